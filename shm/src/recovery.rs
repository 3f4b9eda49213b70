//! The one death procedure: what a process left behind when it died, or leaves as it goes.
//!
//! The process that notices a death runs it, under the segment's recovery lock. It may be killed at any step: each step can
//! be done again, and the record is freed in the last step that changes anything, so the next repairer begins at the front.
//!
//! | step | what | why in this order |
//! |---|---|---|
//! | 1 | look at all rings | what is published is not the dead one's any more |
//! | 2 | give back its leases; resolve its notes | a block between a ring and its taker's hands: a task is kept, a message freed |
//! | 3 | free its locks, break its barriers | their waiters are woken at once |
//! | 4 | free its blocks, list those that nobody knows of | after 2: a note covers a block |
//! | 5 | free its reservations | a half-made object has no users |
//! | 6 | take back its handles, end what nobody holds | peers learn of the end of a side only after its messages are safe |
//! | 7 | free its note lines and its record, with the next epoch | nothing carries its id any more |
//! | 8 | wake all sleepers on all objects | a wake-up that it owed is made up for |
//!
//! Step 7 waits while a living process's note covers one of its blocks: that process may have taken it. `docs/recovery.md`
//! has the reasons, and says in which files the parts of each step are.
//!
//! It names no kind of object but the ring, which has no handles and belongs to a queue: what is to be done for an object
//! of each kind is behind [`ObjectKind`](crate::object::ObjectKind).

use std::collections::HashSet;

use slipring_core::block::{BlockRef, Lookup, Repaired};
use slipring_core::directory::Place;
use slipring_core::owner::OwnerId;

use crate::memory::{Regions, take_away};
use crate::object::{self, Found, Kind, Kinds, RING_UNIT, Role};

/// Whether the dead are cleaned up after. The crash build can switch it off, to show that the tests would notice.
pub(crate) fn is_enabled() -> bool {
    !(cfg!(feature = "_crash") && std::env::var_os("SLIPRING_NO_RECOVERY").is_some())
}

/// Repairs what `dead` left, on behalf of `me`, under the recovery lock. Returns whether it is done with: `false` means
/// that a living process is in the middle of taking something from it, and this has to be done again.
pub(crate) fn bury(regions: &Regions, kinds: Kinds, dead: OwnerId, me: OwnerId) -> bool {
    crash_point!("recovery.bury.begun");
    let survey = Survey::new(regions, kinds, dead, me);
    let claims = recover_leases(&survey);
    let notes = recover_notes(regions, dead, &survey);
    let places: Vec<Place> = regions.directory.objects().collect();
    places.iter().for_each(|place| free_locks(regions, kinds, *place, dead));
    let blocks = regions.pool.recover(dead, &survey);
    crash_point!("recovery.bury.blocks");
    free_reservations(regions, kinds, dead, &survey);
    places.iter().for_each(|place| take_back_handles(regions, kinds, *place, dead));
    crash_point!("recovery.bury.handles");
    places.iter().for_each(|place| end_if_abandoned(regions, kinds, *place, me));
    regions.mapping.header().watchers.remove(dead);
    crash_point!("recovery.bury.unwatched");
    let done = notes.and(blocks).pending + claims == 0;
    if done {
        regions.notes().for_each(|line| line.recover(dead));
        crash_point!("recovery.bury.before_retire");
        if let Some(record) = regions.record(dead.index()).filter(|r| r.is(dead)) {
            record.retire();
        }
    }
    crash_point!("recovery.bury.before_wake");
    places.iter().for_each(|place| wake(regions, kinds, *place));
    done
}

/// Ends an embryo whose handles `me` took over, or which was not sent: steps 6 and 7. There is nothing else of it, for it
/// has never run.
pub(crate) fn end_embryo(regions: &Regions, kinds: Kinds, embryo: OwnerId, me: OwnerId) {
    let places: Vec<Place> = regions.directory.objects().collect();
    let holds = |place: &Place| {
        let header = object::header(regions, *place);
        header.is_ok_and(|h| Role::ALL.into_iter().any(|role| h.holders(role).contains(embryo)))
    };
    for place in places.into_iter().filter(|place| has_handles(kinds, *place) && holds(place)) {
        take_back_handles(regions, kinds, place, embryo);
        end_if_abandoned(regions, kinds, place, me);
    }
    crash_point!("recovery.embryo.before_retire");
    if let Some(record) = regions.record(embryo.index()).filter(|r| r.is(embryo)) {
        record.retire();
    }
}

/// What was found in one object.
type FoundObject = Box<dyn Found>;

/// What step 1 saw.
struct Survey<'a> {
    regions: &'a Regions,
    dead: OwnerId,
    /// The participants that are dead by now. Nobody joins meanwhile. A participant that dies meanwhile counts as living,
    /// in all steps, until next time.
    all_dead: HashSet<OwnerId>,
    found: Vec<FoundObject>,
    /// The numbers of what was found, sorted, and where in `found` each is. A peer gone mad may have used one twice.
    numbers: Vec<(u32, usize)>,
}

impl<'a> Survey<'a> {
    fn new(regions: &'a Regions, kinds: Kinds, dead: OwnerId, me: OwnerId) -> Self {
        let survey = |place: Place| kinds.of(place)?.survey(regions, place);
        let found: Vec<_> = regions.directory.objects().filter_map(survey).collect();
        let numbers_of =
            |(at, found): (usize, &FoundObject)| found.numbers().into_iter().map(move |n| (n, at));
        let mut numbers: Vec<_> = found.iter().enumerate().flat_map(numbers_of).collect();
        numbers.sort_unstable();
        let ids = regions.participants().map(|(id, _)| id);
        // The kernel calls the lock of a participant free that asks about itself.
        let is_dead = |id: &OwnerId| *id == dead || (*id != me && regions.record_is_dead(*id));
        let all_dead = ids.filter(is_dead).collect();
        Self { regions, dead, all_dead, found, numbers }
    }

    fn is_dead(&self, owner: OwnerId) -> bool {
        let is_known = || self.regions.record(owner.index()).is_some_and(|r| r.is(owner));
        self.all_dead.contains(&owner) || !is_known()
    }

    /// What has this number.
    fn with(&self, number: u32) -> impl Iterator<Item = &dyn Found> {
        let first = self.numbers.partition_point(|(n, _)| *n < number);
        let these = self.numbers[first..].iter().take_while(move |(n, _)| *n == number);
        these.map(|(_, at)| &*self.found[*at])
    }

    /// Whether a queue's ring lies at `place`.
    fn is_hung(&self, place: Place) -> bool {
        u32::try_from(place.offset / RING_UNIT).is_ok_and(|ring| self.with(ring).next().is_some())
    }
}

impl Lookup for Survey<'_> {
    fn holds(&self, ring: u32, position: u64, block: BlockRef) -> bool {
        self.with(ring).any(|found| found.holds(ring, position, block))
    }

    fn noted_by_living(&self, ring: u32, position: u64) -> bool {
        self.regions.notes().any(|line| {
            let about_it = |owner| {
                owner != self.dead
                    && line.read().is_some_and(|n| (n.ring, n.position) == (ring, position))
                    && !self.is_dead(owner)
            };
            line.owner().is_some_and(about_it)
        })
    }

    fn is_claimed(&self, ring: u32, position: u64, block: BlockRef) -> bool {
        self.with(ring).any(|found| found.is_claimed(ring, position, block))
    }
}

/// Step 2, first half: gives back what all the dead had leased, before their notes and blocks, which are freed where nobody
/// wants them.
fn recover_leases(survey: &Survey<'_>) -> u64 {
    let is_dead = |owner| survey.is_dead(owner);
    let noted = |ring, position| survey.noted_by_living(ring, position);
    let give_back = |found: &FoundObject| found.give_back_leases(survey.regions, &is_dead, &noted);
    survey.found.iter().map(give_back).sum()
}

/// Step 2, second half.
fn recover_notes(regions: &Regions, dead: OwnerId, survey: &Survey<'_>) -> Repaired {
    let of_dead = regions.notes().filter(|line| line.owner() == Some(dead));
    of_dead
        .filter_map(|line| line.read())
        .map(|note| regions.pool.recover_note(note, survey))
        .fold(Repaired::default(), Repaired::and)
}

/// Step 3.
fn free_locks(regions: &Regions, kinds: Kinds, place: Place, dead: OwnerId) {
    if let Some(kind) = kinds.of(place) {
        kind.free_locks(regions, place, dead);
    }
    crash_point!("recovery.bury.lock_freed");
}

/// Step 5. A ring that its maker hung into a queue, and did not live to publish, is the queue's.
fn free_reservations(regions: &Regions, kinds: Kinds, dead: OwnerId, survey: &Survey<'_>) {
    let reserved: Vec<_> = regions.directory.reserved_by(dead).collect();
    for place in reserved {
        if survey.is_hung(place) {
            regions.directory.publish(place.id);
        } else {
            if let Some(kind) = kinds.of(place) {
                kind.unmake(regions, place);
            }
            regions.directory.free(place.id);
        }
        crash_point!("recovery.bury.reservation");
    }
    // And one that a queue's end took out of its chain, and did not live to free.
    let objects: Vec<_> = regions.directory.objects().collect();
    for ring in objects.into_iter().filter(|place| is_ring(*place) && !survey.is_hung(*place)) {
        regions.directory.free(ring.id);
    }
}

fn is_ring(place: Place) -> bool {
    Kind::from_word(place.kind) == Some(Kind::Ring)
}

/// Whether the object has a header and handles. One of no known kind counts as if it had: its header is looked at, and
/// makes sense or not.
fn has_handles(kinds: Kinds, place: Place) -> bool {
    kinds.of(place).is_none_or(|kind| kind.has_handles())
}

/// Step 6, first half. The second half is [`end_if_abandoned`].
fn take_back_handles(regions: &Regions, kinds: Kinds, place: Place, dead: OwnerId) {
    if !has_handles(kinds, place) {
        return;
    }
    let Ok(header) = object::header(regions, place) else { return };
    for role in Role::ALL {
        header.holders(role).remove(dead);
        crash_point!("recovery.bury.handle_removed");
        // Also where the dead one had taken its own handle back, and did not live to say so.
        if header.holders(role).is_empty() {
            side_emptied(regions, kinds, place, role);
        }
    }
}

/// The last holder of a side has gone: tells the other side.
pub(crate) fn side_emptied(regions: &Regions, kinds: Kinds, place: Place, role: Role) {
    if let Some(kind) = kinds.of(place) {
        kind.side_emptied(regions, place, role);
        kind.wake(regions, place);
    }
}

/// Step 8: wakes everybody who sleeps on an object.
fn wake(regions: &Regions, kinds: Kinds, place: Place) {
    if let Some(kind) = kinds.of(place) {
        kind.wake(regions, place);
    }
}

/// Ends an object that nobody has a handle of, on behalf of `me`, under the recovery lock: what is in it is freed, then
/// its memory. Killed in between, the next death procedure goes on.
pub(crate) fn end_if_abandoned(regions: &Regions, kinds: Kinds, place: Place, me: OwnerId) {
    let header_page = regions.mapping.header();
    let is_root = place.id == object::ROOT && header_page.is_named();
    if is_root && header_page.persists() {
        return;
    }
    let still_there = regions.directory.find(place.id).is_some();
    let has_holders = || object::header(regions, place).is_ok_and(|header| !header.is_abandoned());
    if !has_handles(kinds, place) || !still_there || has_holders() {
        return;
    }
    if let Some(kind) = kinds.of(place) {
        kind.drain(regions, place, me);
    }
    crash_point!("recovery.end.emptied");
    if is_root {
        take_away(&regions.mapping);
        crash_point!("recovery.end.unnamed");
    }
    regions.directory.free(place.id);
}
