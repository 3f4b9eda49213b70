//! A consumer's note: "I am about to take this position". One line per consuming handle.
//!
//! Between the CAS that takes a position and the store that makes the block the taker's, a killed taker would leave a
//! block that nobody answers for. So the taker notes position and descriptor first. Several may note the same
//! position and one wins: a note of a living process is waited out, never overruled.
//!
//! # Memory
//!
//! ```text
//! line (64 bytes): | owner (u32) | ring (u32) | mark (u64) | descriptor (u64) | ...
//! mark = 0: nothing noted; else position + 1
//! ```
//!
//! # Invariants
//!
//! * I1. Only the line's owner writes `ring`, `mark` and `descriptor`, and it writes `mark` last.
//! * I2. While a position is noted, the block behind it is not reclaimed by anybody.
//!
//! # Ordering
//!
//! * E1 "noted before taken": the note's stores → the CAS that takes (Release) → a recoverer that saw the slot taken.
//! * E2 "owned before erased": `Control::taken` (Release) → `erase`'s Release → a recoverer that saw no note: it sees
//!   the block owned.

use crate::owner::OwnerId;
use crate::primitive::{AtomicU32, AtomicU64, Ordering};

/// One note line of shared memory. All-zero is a free line.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct NoteLine {
    /// Whose line, 0 = nobody's.
    owner: AtomicU32,
    /// In which ring. Written before `mark`.
    ring: AtomicU32,
    /// Position + 1, 0 = nothing noted.
    mark: AtomicU64,
    /// The descriptor found at that position.
    descriptor: AtomicU64,
}

/// What a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Note {
    /// In which ring.
    pub ring: u32,
    /// Which position.
    pub position: u64,
    /// The descriptor that was found there.
    pub descriptor: u64,
}

impl NoteLine {
    /// A free line.
    #[allow(clippy::new_without_default, reason = "in shared memory it is zeroed memory")]
    pub fn new() -> Self {
        Self {
            owner: AtomicU32::new(0),
            ring: AtomicU32::new(0),
            mark: AtomicU64::new(0),
            descriptor: AtomicU64::new(0),
        }
    }

    /// Makes a free line `me`'s.
    pub fn claim(&self, me: OwnerId) -> bool {
        // ORDERING: AcqRel; what the last owner wrote is behind us.
        self.owner.compare_exchange(0, me.bits(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Gives the line back.
    pub fn free(&self, me: OwnerId) {
        self.erase();
        // ORDERING: Release; the erased mark goes with it. Only if it is still ours: a fork's child may drop a copy.
        let _ = self.owner.compare_exchange(me.bits(), 0, Ordering::Release, Ordering::Relaxed);
    }

    /// Notes that `me` is about to take `position`.
    #[inline]
    pub fn write(&self, ring: u32, position: u64, descriptor: u64) {
        // ORDERING: Relaxed, then Release for the mark: who reads the mark reads its ring and descriptor (I1).
        self.ring.store(ring, Ordering::Relaxed);
        self.descriptor.store(descriptor, Ordering::Relaxed);
        self.mark.store(position.wrapping_add(1), Ordering::Release);
    }

    /// Forgets the note: the position went to another, or the block is ours.
    #[inline]
    pub fn erase(&self) {
        // ORDERING: Release, E2.
        self.mark.store(0, Ordering::Release);
    }

    /// Whose line it is.
    pub fn owner(&self) -> Option<OwnerId> {
        // ORDERING: Acquire; pairs with `claim`.
        OwnerId::from_bits(self.owner.load(Ordering::Acquire))
    }

    /// What is noted.
    pub fn read(&self) -> Option<Note> {
        // ORDERING: Acquire, E1 and E2.
        let mark = self.mark.load(Ordering::Acquire);
        // ORDERING: Relaxed; behind the mark. A living owner may be rewriting them: then the mark changed too.
        let ring = self.ring.load(Ordering::Relaxed);
        let descriptor = self.descriptor.load(Ordering::Relaxed);
        (mark != 0).then(|| Note { ring, position: mark - 1, descriptor })
    }

    /// Death procedure: frees the line of a dead owner.
    pub fn recover(&self, dead: OwnerId) {
        // ORDERING: Relaxed; the owner is dead, nobody else writes (I1).
        if self.owner.load(Ordering::Relaxed) == dead.bits() {
            self.free(dead);
        }
    }
}
