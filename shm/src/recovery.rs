//! The one death procedure: what a process left behind when it died, or leaves as it goes.
//!
//! It runs in whoever notices, under the segment's recovery lock, and may be killed at any step: each step can be done
//! again, and the record is freed last, so the next one begins at the front.
//!
//! | step | what | why in this order |
//! |---|---|---|
//! | 1 | look at all rings | what is published is not the dead one's any more |
//! | 2 | give back its leases; resolve its notes | a block between a ring and its taker's hands: a task is kept, a message freed |
//! | 3 | free its locks, break its barriers | whoever waits for them is woken at once |
//! | 4 | free its blocks, list those that nobody knows of | after 2: a note covers a block |
//! | 5 | free its reservations | a half-made object has no users |
//! | 6 | take back its handles, end what nobody holds | peers learn of the end of a side only after its messages are safe |
//! | 7 | free its note lines and its record, with the next epoch | nothing carries its id any more |
//!
//! Step 7 waits while a living process's note covers one of its blocks: that process may have taken it.

use std::collections::{HashMap, HashSet};

use slipring_core::block::{BlockRef, Descriptor, Lookup, Repaired};
use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::ring::mpmc::Ring;
use slipring_core::ring::spsc_records::Records;
use slipring_core::sync;

use crate::attachment::Attachment;
use crate::object::{self, HEADER_BYTES, Kind, Role};
use crate::sync::permits_at;
use crate::{cells, joinable, name, ordered, pipe, queue, slots};

/// Whether the dead are cleaned up after. The crash build can switch it off, to show that the tests would notice.
pub(crate) fn is_enabled() -> bool {
    !(cfg!(feature = "crash") && std::env::var_os("SLIPRING_NO_RECOVERY").is_some())
}

/// Repairs what `dead` left, on behalf of `me`, under the recovery lock. Returns whether it is done with: `false` means
/// that a living process is in the middle of taking something from it, and this has to be done again.
pub(crate) fn bury(attachment: &Attachment, dead: OwnerId, me: OwnerId) -> bool {
    crash_point!("recovery.bury.begun");
    let survey = Survey::new(attachment, dead);
    let claims = recover_leases(attachment, &survey);
    let notes = recover_notes(attachment, dead, &survey);
    let places: Vec<Place> = attachment.directory.objects().collect();
    places.iter().for_each(|place| free_locks(attachment, *place, dead));
    let blocks = attachment.pool.recover(dead, &survey);
    crash_point!("recovery.bury.blocks");
    free_reservations(attachment, dead, &survey);
    places.iter().for_each(|place| take_back_handles(attachment, *place, dead));
    crash_point!("recovery.bury.handles");
    places.iter().for_each(|place| end_if_abandoned(attachment, *place, me));
    attachment.mapping.header().watchers.remove(dead);
    crash_point!("recovery.bury.unwatched");
    let done = notes.and(blocks).pending + claims == 0;
    if done {
        attachment.notes().for_each(|line| line.recover(dead));
        crash_point!("recovery.bury.before_retire");
        if let Some(record) = attachment.record(dead.index()).filter(|r| r.is(dead)) {
            record.retire();
        }
    }
    crash_point!("recovery.bury.before_wake");
    places.iter().for_each(|place| wake(attachment, *place));
    done
}

/// Ends an embryo whose handles `me` took over, or which was not sent: steps 6 and 7. There is nothing else of it, for it
/// has never run.
pub(crate) fn end_embryo(attachment: &Attachment, embryo: OwnerId, me: OwnerId) {
    let places: Vec<Place> = attachment.directory.objects().collect();
    let holds = |place: &Place| {
        let header = object::header(attachment, *place);
        header.is_ok_and(|h| Role::ALL.into_iter().any(|role| h.holders(role).contains(embryo)))
    };
    let is_ring = |place: &Place| Kind::from_word(place.kind) == Some(Kind::Ring);
    for place in places.into_iter().filter(|place| !is_ring(place) && holds(place)) {
        take_back_handles(attachment, place, embryo);
        end_if_abandoned(attachment, place, me);
    }
    crash_point!("recovery.embryo.before_retire");
    if let Some(record) = attachment.record(embryo.index()).filter(|r| r.is(embryo)) {
        record.retire();
    }
}

/// What step 1 saw.
struct Survey<'a> {
    attachment: &'a Attachment,
    dead: OwnerId,
    /// Who is dead by now. Nobody joins meanwhile; who dies meanwhile counts as living, in all steps, until next time.
    all_dead: HashSet<OwnerId>,
    rings: HashMap<u32, Ring>,
    pipes: HashMap<u32, Records>,
    ordered: HashMap<u32, ordered::Store>,
    desks: Vec<joinable::Desks>,
}

impl<'a> Survey<'a> {
    fn new(attachment: &'a Attachment, dead: OwnerId) -> Self {
        let queues =
            of_kind(attachment, Kind::Queue).chain(of_kind(attachment, Kind::JoinableQueue));
        let rings = queues.flat_map(|place| queue::rings_of(attachment, place)).collect();
        let desks = of_kind(attachment, Kind::JoinableQueue);
        let desks = desks.filter_map(|place| joinable::Desks::new(attachment, place)).collect();
        let pipes = of_kind(attachment, Kind::Pipe);
        let pipes = pipes.flat_map(|place| pipe::rings_of(attachment, place)).collect();
        let ordered = of_kind(attachment, Kind::Ordered);
        let ordered = ordered.filter_map(|place| ordered::store_of(attachment, place)).collect();
        let ids = attachment.participants().map(|(id, _)| id);
        let all_dead = ids.filter(|id| *id == dead || attachment.is_dead(*id)).collect();
        Self { attachment, dead, all_dead, rings, pipes, ordered, desks }
    }

    fn is_dead(&self, owner: OwnerId) -> bool {
        let is_known = || self.attachment.record(owner.index()).is_some_and(|r| r.is(owner));
        self.all_dead.contains(&owner) || !is_known()
    }
}

impl Lookup for Survey<'_> {
    fn holds(&self, ring: u32, position: u64, block: BlockRef) -> bool {
        let names_it = |word| Descriptor::block_of(word) == Some(block);
        let in_pipe = |pipe: &Records| pipe::names_block(pipe, position, block);
        self.rings.get(&ring).is_some_and(|ring| ring.holds(position, names_it))
            || self.pipes.get(&ring).is_some_and(in_pipe)
            || self.ordered.get(&ring).is_some_and(|store| store.holds(position, names_it))
            || self.desks.iter().any(|desk| desk.holds(ring, position, names_it))
    }

    fn noted_by_living(&self, ring: u32, position: u64) -> bool {
        self.attachment.notes().any(|line| {
            let about_it = |owner| {
                owner != self.dead
                    && line.read().is_some_and(|n| (n.ring, n.position) == (ring, position))
                    && !self.is_dead(owner)
            };
            line.owner().is_some_and(about_it)
        })
    }

    fn is_claimed(&self, ring: u32, position: u64, block: BlockRef) -> bool {
        let names_it = |word| Descriptor::block_of(word) == Some(block);
        self.desks.iter().any(|desk| desk.is_claimed(ring, position, names_it))
    }
}

/// The objects of one kind.
fn of_kind(attachment: &Attachment, kind: Kind) -> impl Iterator<Item = Place> {
    attachment.directory.objects().filter(move |place| Kind::from_word(place.kind) == Some(kind))
}

/// Gives back what all the dead had leased: before their notes and blocks, which are freed where nobody wants them.
fn recover_leases(attachment: &Attachment, survey: &Survey<'_>) -> u64 {
    let recover = |desk: &joinable::Desks| {
        let noted = |ring, position| survey.noted_by_living(ring, position);
        desk.recover(attachment, |owner| survey.is_dead(owner), noted)
    };
    survey.desks.iter().map(recover).sum()
}

fn recover_notes(attachment: &Attachment, dead: OwnerId, survey: &Survey<'_>) -> Repaired {
    let of_dead = attachment.notes().filter(|line| line.owner() == Some(dead));
    of_dead
        .filter_map(|line| line.read())
        .map(|note| attachment.pool.recover_note(note, survey))
        .fold(Repaired::default(), Repaired::and)
}

/// Runs `f` on the words that an object of this kind begins with, if there is room for them. `T` is a struct of atomics.
pub(crate) fn with_body<T, R>(attachment: &Attachment, place: Place, f: impl FnOnce(&T) -> R) {
    let len = size_of::<T>() as u64;
    let offset = place.offset + HEADER_BYTES;
    if place.len < HEADER_BYTES + len || !attachment.arena_is_committed(offset, len) {
        return;
    }
    if let Ok(at) = attachment.arena(offset, len) {
        // SAFETY: in bounds, committed, aligned to 128 as extents and headers are; callers name structs of atomics, for
        // which all bit patterns are valid.
        f(unsafe { at.cast::<T>().as_ref() });
    }
}

/// Step 3.
fn free_locks(attachment: &Attachment, place: Place, dead: OwnerId) {
    match Kind::from_word(place.kind) {
        Some(Kind::Mutex | Kind::Value | Kind::Array) => {
            with_body(attachment, place, |l: &sync::Mutex| l.recover(dead, Scope::Shared));
        }
        Some(Kind::ReentrantMutex) => {
            with_body(attachment, place, |l: &sync::ReentrantMutex| l.recover(dead, Scope::Shared));
        }
        Some(Kind::Barrier) if is_party(attachment, place, dead) => {
            with_body(attachment, place, |b: &sync::Barrier| b.break_by_death(Scope::Shared));
        }
        Some(Kind::BoundedSemaphore) => {
            if let Some(permits) = permits_at(attachment, place) {
                permits.recover(dead, Scope::Shared);
            }
        }
        Some(Kind::Pipe) => pipe::free_locks(attachment, place, dead),
        Some(Kind::Ordered) => ordered::free_locks(attachment, place, dead),
        _ => {}
    }
    crash_point!("recovery.bury.lock_freed");
}

/// Whether a process has been at a barrier.
fn is_party(attachment: &Attachment, place: Place, who: OwnerId) -> bool {
    let header = object::header(attachment, place);
    header.is_ok_and(|header| header.holders(Role::Second).contains(who))
}

/// Step 5. A ring that its maker hung into a queue, and did not live to publish, is the queue's.
fn free_reservations(attachment: &Attachment, dead: OwnerId, survey: &Survey<'_>) {
    let reserved: Vec<_> = attachment.directory.reserved_by(dead).collect();
    for place in reserved {
        let hung = u32::try_from(place.offset / queue::RING_UNIT)
            .is_ok_and(|ring| survey.rings.contains_key(&ring));
        if hung {
            attachment.directory.publish(place.id);
        } else {
            cells::give_back(attachment, place);
            attachment.directory.free(place.id);
        }
        crash_point!("recovery.bury.reservation");
    }
    // And one that a queue's end took out of its chain, and did not live to free.
    for place in of_kind(attachment, Kind::Ring).collect::<Vec<_>>() {
        let ring = u32::try_from(place.offset / queue::RING_UNIT).unwrap_or(0);
        if !survey.rings.contains_key(&ring) {
            attachment.directory.free(place.id);
        }
    }
}

/// Step 6, first half.
fn take_back_handles(attachment: &Attachment, place: Place, dead: OwnerId) {
    if Kind::from_word(place.kind) == Some(Kind::Ring) {
        return;
    }
    let Ok(header) = object::header(attachment, place) else { return };
    for role in Role::ALL {
        header.holders(role).remove(dead);
        crash_point!("recovery.bury.handle_removed");
        // Also where the dead one had taken its own handle back, and did not live to say so.
        if header.holders(role).is_empty() {
            side_emptied(attachment, place, role);
        }
    }
}

/// The last handle that `me` had of a side is going.
pub(crate) fn side_left(attachment: &Attachment, place: Place, role: Role, me: OwnerId) {
    if Kind::from_word(place.kind) == Some(Kind::JoinableQueue) && role == Role::Second {
        joinable::give_up(attachment, place, me);
    }
}

/// The last holder of a side has gone: tells whoever is on the other.
pub(crate) fn side_emptied(attachment: &Attachment, place: Place, role: Role) {
    match Kind::from_word(place.kind) {
        Some(Kind::Queue | Kind::JoinableQueue) => queue::side_emptied(attachment, place, role),
        Some(Kind::Pipe) => pipe::side_emptied(attachment, place, role),
        Some(Kind::Ordered) => ordered::side_emptied(attachment, place, role),
        _ => {}
    }
    wake(attachment, place);
}

/// Wakes everybody who sleeps on an object: they look at their condition again.
fn wake(attachment: &Attachment, place: Place) {
    match Kind::from_word(place.kind) {
        Some(Kind::Queue) => queue::wake(attachment, place),
        Some(Kind::JoinableQueue) => joinable::wake(attachment, place),
        Some(Kind::Pipe) => pipe::wake(attachment, place),
        Some(Kind::Ordered) => ordered::wake(attachment, place),
        Some(Kind::Slots) => with_body(attachment, place, |s: &slots::Sleepers| s.wake_all()),
        Some(Kind::Semaphore) => {
            with_body(attachment, place, |s: &sync::Semaphore| s.wake_all(Scope::Shared));
        }
        Some(Kind::BoundedSemaphore) => {
            with_body(attachment, place, |p: &sync::PermitsHead| p.wake_all(Scope::Shared));
        }
        Some(Kind::Event) => {
            with_body(attachment, place, |e: &sync::Event| e.wake_all(Scope::Shared));
        }
        Some(Kind::Condvar) => {
            with_body(attachment, place, |c: &sync::Condvar| c.recover(Scope::Shared));
        }
        _ => {}
    }
}

/// Ends an object that nobody has a handle of, on behalf of `me`, under the recovery lock: what is in it is freed, then
/// its memory. Killed in between, the next death procedure goes on.
pub(crate) fn end_if_abandoned(attachment: &Attachment, place: Place, me: OwnerId) {
    let kind = Kind::from_word(place.kind);
    let header_page = attachment.mapping.header();
    let is_root = place.id == object::ROOT && header_page.is_named();
    if is_root && header_page.persists() {
        return;
    }
    let still_there = attachment.directory.find(place.id).is_some();
    let has_holders =
        || object::header(attachment, place).is_ok_and(|header| !header.is_abandoned());
    if kind == Some(Kind::Ring) || !still_there || has_holders() {
        return;
    }
    match kind {
        Some(Kind::Queue) => queue::drain(attachment, place, me),
        Some(Kind::JoinableQueue) => joinable::drain(attachment, place, me),
        Some(Kind::Pipe) => pipe::drain(attachment, place, me),
        Some(Kind::Array) => cells::give_back(attachment, place),
        Some(Kind::Ordered) => ordered::drain(attachment, place, me),
        _ => {}
    }
    crash_point!("recovery.end.emptied");
    if is_root {
        name::take_away(attachment);
        crash_point!("recovery.end.unnamed");
    }
    attachment.directory.free(place.id);
}
