//! What is to be said of an object of each kind.

use std::collections::HashMap;

use slipring_core::directory::Place;
use slipring_core::owner::OwnerId;
use slipring_core::sync;

use crate::attachment::Attachment;
use crate::object::Kind;
use crate::recovery::with_body;
use crate::sync::permits_at;
use crate::{cells, joinable, ordered, pipe, queue};

/// Something that a participant holds.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Held {
    /// Who: a place in [`Seen::participants`](super::Seen::participants); `None` for somebody who is no longer there.
    pub participant: Option<usize>,
    /// What: "the lock", "2 permits".
    pub what: String,
    /// Since when, in nanoseconds of `CLOCK_MONOTONIC`, where that is known: locks do not look at the clock.
    pub since: Option<u64>,
}

/// What there is to say.
#[derive(Default)]
pub(super) struct About {
    pub(super) depth: Option<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) sent: Option<u64>,
    pub(super) state: String,
    pub(super) held: Vec<Held>,
}

impl About {
    fn state(state: impl Into<String>) -> Self {
        Self { state: state.into(), ..Self::default() }
    }
}

/// What there is to say of the object at `place`; `ids` are the participants.
pub(super) fn about(attachment: &Attachment, place: Place, kind: Kind, ids: &[OwnerId]) -> About {
    match kind {
        Kind::Queue => queue_about(attachment, place),
        Kind::Ordered => ordered_about(attachment, place, ids),
        Kind::JoinableQueue => joinable_about(attachment, place, ids),
        Kind::Pipe => pipe_about(attachment, place, ids),
        Kind::Mutex => {
            body(attachment, place, |lock: &sync::Mutex| lock_about(lock.owner(), 1, ids))
        }
        Kind::ReentrantMutex => body(attachment, place, |lock: &sync::ReentrantMutex| {
            lock_about(lock.owner(), lock.count(), ids)
        }),
        Kind::Semaphore => body(attachment, place, |s: &sync::Semaphore| {
            About::state(format!("{} permits to be had", s.value()))
        }),
        Kind::Event => body(attachment, place, |e: &sync::Event| {
            About::state(if e.is_set() { "set" } else { "not set" })
        }),
        Kind::Condvar => body(attachment, place, |c: &sync::Condvar| {
            About::state(format!("{} waiting", c.waiters()))
        }),
        Kind::Barrier => body(attachment, place, |b: &sync::Barrier| {
            let whole = format!("{} of {} there", b.n_waiting(), b.parties());
            About::state(if b.is_broken() { "broken".into() } else { whole })
        }),
        Kind::BoundedSemaphore => permits_about(attachment, place, ids),
        Kind::Value | Kind::Array => {
            body(attachment, place, |head: &cells::Head| cells_about(kind, head, ids))
        }
        Kind::Acceptor => acceptor_about(attachment, place),
        Kind::Slots | Kind::Ring => About::default(),
    }
}

/// What `f` says of the words that the object begins with.
fn body<T>(attachment: &Attachment, place: Place, f: impl FnOnce(&T) -> About) -> About {
    let mut about = About::state("damaged");
    with_body(attachment, place, |words| about = f(words));
    about
}

fn place_of(owner: OwnerId, ids: &[OwnerId]) -> Option<usize> {
    ids.iter().position(|id| *id == owner)
}

/// Who is among `owners`, and how often, in the order in which they came first. A peer gone mad can write as many different
/// ones as there is room for.
fn tally(owners: impl Iterator<Item = OwnerId>) -> Vec<(OwnerId, u64)> {
    let (mut places, mut counts) = (HashMap::new(), Vec::new());
    for owner in owners {
        let place = *places.entry(owner).or_insert(counts.len());
        match counts.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => counts.push((owner, 1)),
        }
    }
    counts
}

fn lock_about(owner: Option<OwnerId>, count: u32, ids: &[OwnerId]) -> About {
    let Some(owner) = owner else { return About::state("free") };
    let what = if count > 1 { format!("the lock, {count} times") } else { "the lock".into() };
    let held = Held { participant: place_of(owner, ids), what, since: None };
    About { held: vec![held], ..About::state("locked") }
}

fn permits_about(attachment: &Attachment, place: Place, ids: &[OwnerId]) -> About {
    let Some(permits) = permits_at(attachment, place) else { return About::state("damaged") };
    let counts = tally(permits.owners());
    let held = counts.into_iter().map(|(owner, count)| {
        let what = if count == 1 { "a permit".into() } else { format!("{count} permits") };
        Held { participant: place_of(owner, ids), what, since: None }
    });
    let state = format!("{} of {} permits to be had", permits.value(), permits.limit());
    About { held: held.collect(), ..About::state(state) }
}

fn cells_about(kind: Kind, head: &cells::Head, ids: &[OwnerId]) -> About {
    let (size, count) = head.shape();
    let of = format!("of {size} bytes");
    let what = if kind == Kind::Value { of } else { format!("{count} items {of}") };
    let lock = if head.has_lock() { lock_about(head.owner(), 1, ids) } else { About::default() };
    let state = if head.has_lock() { format!("{what}, {}", lock.state) } else { what };
    About { state, ..lock }
}

fn queue_about(attachment: &Attachment, place: Place) -> About {
    let Some(glance) = queue::glance(attachment, place) else { return About::state("damaged") };
    About {
        depth: Some(glance.depth),
        capacity: glance.capacity,
        sent: Some(glance.sent),
        ..About::state(if glance.is_closed { "closed" } else { "open" })
    }
}

fn ordered_about(attachment: &Attachment, place: Place, ids: &[OwnerId]) -> About {
    let Some(glance) = ordered::glance(attachment, place) else { return About::state("damaged") };
    let order = if glance.is_lifo { "last in first out" } else { "by priority" };
    let open = if glance.is_closed { "closed" } else { "open" };
    let turn = |id| Held { participant: place_of(id, ids), what: "a turn".into(), since: None };
    About {
        depth: Some(glance.depth),
        capacity: Some(glance.capacity),
        held: glance.holder.map(turn).into_iter().collect(),
        ..About::state(format!("{order}, {open}"))
    }
}

fn joinable_about(attachment: &Attachment, place: Place, ids: &[OwnerId]) -> About {
    let glance = joinable::glance(attachment, place);
    let Some(joinable::Glance { unfinished, given_back, letters, leases }) = glance else {
        return About::state("damaged");
    };
    let about = queue_about(attachment, place);
    let held = tally(leases.into_iter()).into_iter().map(|(owner, count)| {
        let what = if count == 1 { "a lease".into() } else { format!("{count} leases") };
        Held { participant: place_of(owner, ids), what, since: None }
    });
    let mut state = format!("{}, {unfinished} unfinished", about.state);
    if letters > 0 {
        state.push_str(&format!(", {letters} set aside"));
    }
    let depth = about.depth.map(|depth| depth + given_back);
    About { depth, state, held: held.collect(), ..about }
}

fn pipe_about(attachment: &Attachment, place: Place, ids: &[OwnerId]) -> About {
    let Some(lanes) = pipe::glance(attachment, place) else { return About::state("damaged") };
    let used: Vec<_> = lanes.iter().map(|l| format!("{} of {} bytes", l.used, l.size)).collect();
    let turn = |owner: Option<OwnerId>, what: &str| {
        owner.map(|id| Held { participant: place_of(id, ids), what: what.to_owned(), since: None })
    };
    let turns = lanes.iter().flat_map(|lane| {
        [turn(lane.sender, "a turn to send"), turn(lane.receiver, "a turn to receive")]
    });
    About { held: turns.flatten().collect(), ..About::state(used.join(", and back ")) }
}

fn acceptor_about(attachment: &Attachment, place: Place) -> About {
    let Some(glance) = pipe::glance_at_acceptor(attachment, place) else {
        return About::state("damaged");
    };
    let state = if glance.listens { "listens" } else { "does not listen yet" };
    About::state(format!("{state}; {} accepted", glance.accepted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_owners_as_there_can_be_are_counted_in_one_pass() {
        let owner = |n: u32| OwnerId::new(1 + n % 1000, n / 1000);
        let many = || (0..1 << 16).map(owner);
        let counts = tally(many().chain([owner(7), owner(7)]));
        assert!(counts.iter().map(|(owner, _)| *owner).eq(many()));
        assert_eq!((counts[6].1, counts[7].1), (1, 3));
    }
}
