//! Who is attached to a segment, and which of them hold a handle to an object.
//!
//! A [`Record`] says that a participant exists and in which epoch; it does not say that it lives. The proof of life is
//! a lock that the kernel frees, which the caller looks at (`slipring` keeps it in `participants`). Records are changed
//! under the caller's recovery lock; they are read by anybody at any time.
//!
//! # Memory
//!
//! ```text
//! table:   | used (u32), in the place of record 0 | record 1 | record 2 | ...
//! record:  | state (u32) | epoch (u32) | pid (u32) | pad | pid namespace (u64) | start time (u64) | joined (u64) |
//! holders: 16 words of 64 bits: bit i of word w = participant w * 64 + i holds a handle
//! ```
//!
//! | state | meaning | left by |
//! |---|---|---|
//! | FREE (0) | nobody | `begin`, under the recovery lock |
//! | EMBRYO (1) | prepared for a process that does not run yet (fork, spawn) | the child's `adopt`, the death procedure |
//! | LIVE (2) | a process that attached | its own `retire`, the death procedure |
//!
//! # Invariants
//!
//! * I1. While the state is not FREE, the record's proof of life was locked before the state was written.
//! * I2. The epoch grows in `retire` only, after everything that carried the old id is gone.
//! * I3. `used` is at least the index of every record that is not FREE.
//! * I4. A holder bit is set by its own participant (or by the parent for its embryo) and cleared by it or, once it is
//!   dead, by the death procedure.
//!
//! # Ordering
//!
//! * E1 "joined": `begin`'s Release of the state → `id`'s Acquire: epoch and identity are those of this life.

use crate::owner::OwnerId;
use crate::primitive::{AtomicU32, AtomicU64, Ordering};

/// How many records a table has; record 0 is never used.
pub const MAX_PARTICIPANTS: u32 = 1024;
const HOLDER_WORDS: usize = MAX_PARTICIPANTS as usize / 64;

/// What a record says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberState {
    /// Nobody's.
    Free,
    /// Prepared for a process that does not run yet.
    Embryo,
    /// A process that attached.
    Live,
}

/// Who a process is, as far as `/proc` can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// Process id in its own namespace.
    pub pid: u32,
    /// Inode of its pid namespace.
    pub pid_namespace: u64,
    /// Start time in clock ticks since boot.
    pub start_time: u64,
    /// When it joined: nanoseconds of `CLOCK_MONOTONIC`.
    pub joined: u64,
}

/// One participant's record. All-zero is a free record.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Record {
    state: AtomicU32,
    epoch: AtomicU32,
    pid: AtomicU32,
    reserved: AtomicU32,
    pid_namespace: AtomicU64,
    start_time: AtomicU64,
    joined: AtomicU64,
}

/// How far a table of records has been used, so that nobody has to look at all of it. All-zero is not at all.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct TableHead {
    used: AtomicU32,
}

impl TableHead {
    /// Record `index` is about to be used (I3). The caller holds the recovery lock.
    pub fn note(&self, index: u32) {
        // ORDERING: Relaxed; changed under the recovery lock only.
        if self.used.load(Ordering::Relaxed) < index {
            // ORDERING: Release, E1: who sees the record's state sees this.
            self.used.store(index, Ordering::Release);
        }
    }

    /// The highest index that was ever used; below [`MAX_PARTICIPANTS`], whatever is there.
    pub fn used(&self) -> u32 {
        // ORDERING: Acquire, pairs with `note`.
        self.used.load(Ordering::Acquire).min(MAX_PARTICIPANTS - 1)
    }
}

const FREE: u32 = 0;
const EMBRYO: u32 = 1;
const LIVE: u32 = 2;

impl Record {
    /// Its state; anything unknown counts as live, so that only a proof of death frees it.
    pub fn state(&self) -> MemberState {
        // ORDERING: Acquire, E1.
        match self.state.load(Ordering::Acquire) {
            FREE => MemberState::Free,
            EMBRYO => MemberState::Embryo,
            _ => MemberState::Live,
        }
    }

    /// The id of whoever has record `index` now, if anybody.
    pub fn id(&self, index: u32) -> Option<OwnerId> {
        // ORDERING: Relaxed; behind the Acquire of the state (E1).
        (self.state() != MemberState::Free)
            .then(|| OwnerId::new(index, self.epoch.load(Ordering::Relaxed)))
    }

    /// Whether `owner`, whose record this is, is in this life of it.
    pub fn is(&self, owner: OwnerId) -> bool {
        self.id(owner.index()) == Some(owner)
    }

    /// Begins a life of a free record. Its proof of life is locked (I1), the caller holds the recovery lock.
    pub fn begin(&self, index: u32, who: Identity, live: bool) -> OwnerId {
        self.identify(who);
        crash_point!("member.begin.before_state");
        // ORDERING: Release, E1.
        self.state.store(if live { LIVE } else { EMBRYO }, Ordering::Release);
        // ORDERING: Relaxed; under the recovery lock.
        OwnerId::new(index, self.epoch.load(Ordering::Relaxed))
    }

    /// The embryo's process runs and takes the record over.
    pub fn adopt(&self, who: Identity) {
        self.identify(who);
        crash_point!("member.adopt.before_state");
        // ORDERING: Release, E1.
        self.state.store(LIVE, Ordering::Release);
    }

    fn identify(&self, who: Identity) {
        // ORDERING: Relaxed; published by the state (E1).
        self.pid.store(who.pid, Ordering::Relaxed);
        self.pid_namespace.store(who.pid_namespace, Ordering::Relaxed);
        self.start_time.store(who.start_time, Ordering::Relaxed);
        self.joined.store(who.joined, Ordering::Relaxed);
    }

    /// Ends this life: the id means nobody from now on. The caller holds the recovery lock (I2).
    pub fn retire(&self) {
        // ORDERING: Relaxed; under the recovery lock, published by the state.
        let epoch = self.epoch.load(Ordering::Relaxed);
        self.epoch.store(epoch.wrapping_add(1), Ordering::Relaxed);
        crash_point!("member.retire.before_state");
        // ORDERING: Release, E1.
        self.state.store(FREE, Ordering::Release);
    }

    /// Who it says it is.
    pub fn identity(&self) -> Identity {
        // ORDERING: Relaxed; for people who look.
        Identity {
            pid: self.pid.load(Ordering::Relaxed),
            pid_namespace: self.pid_namespace.load(Ordering::Relaxed),
            start_time: self.start_time.load(Ordering::Relaxed),
            joined: self.joined.load(Ordering::Relaxed),
        }
    }
}

/// Which participants hold a handle. All-zero is nobody.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Holders {
    words: [AtomicU64; HOLDER_WORDS],
}

impl Holders {
    /// Notes that the participant holds a handle. A full fence.
    pub fn add(&self, who: OwnerId) {
        let (word, bit) = self.place(who.index());
        // ORDERING: AcqRel; whoever sees the bit sees what came before it.
        word.fetch_or(bit, Ordering::AcqRel);
    }

    /// Notes that it holds none any more. Returns whether it did.
    pub fn remove(&self, who: OwnerId) -> bool {
        let (word, bit) = self.place(who.index());
        // ORDERING: AcqRel; what the holder did with its handle comes before its going.
        word.fetch_and(!bit, Ordering::AcqRel) & bit != 0
    }

    /// Whether this participant holds a handle.
    pub fn contains(&self, who: OwnerId) -> bool {
        let (word, bit) = self.place(who.index());
        // ORDERING: Acquire, pairs with `add`.
        word.load(Ordering::Acquire) & bit != 0
    }

    /// Whether nobody holds a handle. Once true, what all of them did with theirs is visible.
    pub fn is_empty(&self) -> bool {
        // ORDERING: Acquire, pairs with the AcqRel in `remove`.
        self.words.iter().all(|w| w.load(Ordering::Acquire) == 0)
    }

    /// Whether nobody but `me` holds a handle.
    pub fn is_only(&self, me: OwnerId) -> bool {
        self.count() == 1 && self.contains(me)
    }

    /// How many participants hold one.
    pub fn count(&self) -> u32 {
        // ORDERING: Acquire, as above.
        self.words.iter().map(|w| w.load(Ordering::Acquire).count_ones()).sum()
    }

    /// The indices of those that hold one.
    pub fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        (0..MAX_PARTICIPANTS).filter(|i| {
            let (word, bit) = self.place(*i);
            // ORDERING: Acquire, as above.
            word.load(Ordering::Acquire) & bit != 0
        })
    }

    /// Index to word and bit; indices beyond the table wrap, which no honest id does.
    fn place(&self, index: u32) -> (&AtomicU64, u64) {
        (&self.words[index as usize / 64 % HOLDER_WORDS], 1 << (index % 64))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn zeroed<T>() -> T {
        // SAFETY: both structs consist of atomics, for which zero is a value.
        unsafe { core::mem::zeroed() }
    }

    #[test]
    fn a_record_that_was_retired_no_longer_means_its_last_owner() {
        let record: Record = zeroed();
        assert_eq!(record.id(5), None);
        let first = record.begin(5, Identity { pid: 77, ..Identity::default() }, false);
        assert!(record.is(first) && record.state() == MemberState::Embryo);
        record.adopt(Identity { pid: 78, ..Identity::default() });
        assert_eq!((record.state(), record.identity().pid), (MemberState::Live, 78));
        record.retire();
        assert!(!record.is(first));
        let second = record.begin(5, Identity::default(), true);
        assert!(second != first && record.is(second) && !record.is(first));
    }

    #[test]
    fn a_table_is_used_as_far_as_its_highest_record_and_no_further_than_it_goes() {
        let head: TableHead = zeroed();
        assert_eq!(head.used(), 0);
        head.note(5);
        head.note(3);
        assert_eq!(head.used(), 5);
        head.note(u32::MAX);
        assert_eq!(head.used(), MAX_PARTICIPANTS - 1);
    }

    #[test]
    fn holders_are_counted_by_participant() {
        let holders: Holders = zeroed();
        let (a, b) = (OwnerId::new(1, 0), OwnerId::new(1023, 9));
        assert!(holders.is_empty());
        holders.add(a);
        holders.add(a);
        assert!(holders.is_only(a) && !holders.is_only(b));
        holders.add(b);
        assert_eq!(holders.indices().collect::<Vec<_>>(), [1, 1023]);
        assert!(holders.remove(a) && !holders.remove(a));
        assert!(holders.is_only(b) && holders.count() == 1 && holders.contains(b));
    }
}
