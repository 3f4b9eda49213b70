//! What observers are told of an object. Each kind fills it in: [`ObjectKind::about`](super::ObjectKind::about).

use std::collections::HashMap;

use slipring_core::owner::OwnerId;

/// Something that a participant holds.
///
/// ```
/// use slipring::observe::Observer;
/// use slipring::{Mutex, Named, OrRecover};
///
/// # let name = format!("doc-held-{}", std::process::id());
/// # let name = name.as_str();
/// let mutex = Mutex::create(name, 0_u32)?;
/// let _guard = mutex.lock().or_recover()?;
/// let seen = Observer::open(name)?.look();
/// let held = &seen.objects[0].held[0];
/// assert_eq!(held.what, "the lock");
/// assert_eq!(seen.participants[held.participant.unwrap()].pid, std::process::id());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Held {
    /// The holder: a place in [`Seen::participants`](crate::observe::Seen::participants); `None` for a participant that is
    /// no longer there.
    pub participant: Option<usize>,
    /// What: "the lock", "2 permits".
    pub what: String,
    /// Since when, in nanoseconds of `CLOCK_MONOTONIC`, where that is known: locks do not look at the clock.
    pub since: Option<u64>,
}

impl Held {
    /// That `owner`, one of `ids`, holds `what`.
    pub(crate) fn by(owner: OwnerId, ids: &[OwnerId], what: impl Into<String>) -> Self {
        let participant = ids.iter().position(|id| *id == owner);
        Self { participant, what: what.into(), since: None }
    }
}

/// What there is to say of an object.
#[derive(Default)]
pub(crate) struct About {
    pub(crate) depth: Option<u64>,
    pub(crate) capacity: Option<u64>,
    pub(crate) sent: Option<u64>,
    pub(crate) state: String,
    pub(crate) held: Vec<Held>,
}

impl About {
    /// That it is in this state, and no more.
    pub(crate) fn state(state: impl Into<String>) -> Self {
        Self { state: state.into(), ..Self::default() }
    }

    /// That its words make no sense.
    pub(crate) fn damaged() -> Self {
        Self::state("damaged")
    }

    /// That `owner` has locked it `count` times, or nobody has.
    pub(crate) fn lock(owner: Option<OwnerId>, count: u32, ids: &[OwnerId]) -> Self {
        let Some(owner) = owner else { return Self::state("free") };
        let what = if count > 1 { format!("the lock, {count} times") } else { "the lock".into() };
        Self { held: vec![Held::by(owner, ids, what)], ..Self::state("locked") }
    }
}

/// Each of `owners` once, with how often it came, in the order in which they came first. A peer gone mad can write as many
/// different ones as there is room for.
pub(crate) fn tally(owners: impl Iterator<Item = OwnerId>) -> Vec<(OwnerId, u64)> {
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
