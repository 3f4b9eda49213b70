//! The shared words of a queue: a chain of [`mpmc`](super::mpmc) rings, its closing, and who sleeps on it.
//!
//! A bounded queue is a chain of one ring. An unbounded one grows: whoever finds the last ring full makes a larger
//! one, hangs it in, and only then closes the full one. Senders move on when a ring says `Closed`, receivers when it
//! says `Drained`; order is kept because nothing is published in a ring before its predecessor is closed. Rings are
//! never unhung while the queue lives: the last one stays in use and is large enough for what has been.
//!
//! # Memory
//!
//! ```text
//! line 0:  | capacity (u64) | bounded (u32) | grower (u32) | sides (u32) |   written once, but for the last two
//! line 2:  | tail level (u32) |  hint          line 4:  | head level (u32) |  hint
//! line 6:  | not_empty (event count) |         line 8:  | not_full (event count) |
//! line 10: | level 0 | level 1 | ... | level 25 |   offsets of rings in units of 64 bytes, 0 = none
//! ```
//!
//! # Invariants
//!
//! * I1. A level's offset is set once, from 0, after its ring is initialised.
//! * I2. A ring is closed only after the next level is set: `Closed` and `Drained` always have a successor.
//! * I3. Level hints lag and never lead: they are stored with a level that was seen in use.
//!
//! # Ordering
//!
//! * E1 "hung in": `hang`'s AcqRel CAS → `level`'s Acquire. Publishes the ring's initialisation.
//!
//! # Crash points
//!
//! Who makes a larger ring has the lock `grower` meanwhile, so that others do not make another. Killed with it: the next
//! takes it, by the lock's own rules.
//!
//! Between `hang` and the closing of the old ring: the next sender that finds it full closes it. Between making a ring
//! and `hang`: memory that the arena takes back with its dead owner.

use super::mpmc::MAX_CAPACITY;
use super::sides::Sides;
use crate::futex::Scope;
use crate::primitive::{AtomicU32, AtomicU64, CachePadded, Ordering};
use crate::sync::{EventCount, Mutex};

/// The most rings of a chain.
pub const MAX_LEVELS: usize = 26;

/// The shared words of a queue.
#[repr(C)]
#[derive(Debug)]
pub struct Chain {
    head: CachePadded<Words>,
    tail_level: CachePadded<AtomicU32>,
    head_level: CachePadded<AtomicU32>,
    /// Receivers sleep here.
    pub not_empty: CachePadded<EventCount>,
    /// Senders sleep here.
    pub not_full: CachePadded<EventCount>,
    levels: [AtomicU32; MAX_LEVELS],
}

#[repr(C)]
#[derive(Debug)]
struct Words {
    capacity: AtomicU64,
    bounded: AtomicU32,
    grower: Mutex,
    sides: Sides,
}

/// How much a queue may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// Exactly so many messages; then senders wait.
    Bounded(u64),
    /// As many as memory allows; the first ring holds so many.
    Unbounded(u64),
}

impl Chain {
    /// An empty chain with the offset of its first ring, in units of 64 bytes.
    pub fn new(bound: Bound, first: u32) -> Self {
        let (Bound::Bounded(capacity) | Bound::Unbounded(capacity)) = bound;
        let levels = core::array::from_fn(|i| AtomicU32::new(if i == 0 { first } else { 0 }));
        Self {
            head: CachePadded::new(Words {
                capacity: AtomicU64::new(capacity),
                bounded: AtomicU32::new(u32::from(matches!(bound, Bound::Bounded(_)))),
                grower: Mutex::new(),
                sides: Sides::new(),
            }),
            tail_level: CachePadded::new(AtomicU32::new(0)),
            head_level: CachePadded::new(AtomicU32::new(0)),
            not_empty: CachePadded::new(EventCount::new()),
            not_full: CachePadded::new(EventCount::new()),
            levels,
        }
    }

    /// What the queue was made for. Read it once and keep it.
    pub fn bound(&self) -> Bound {
        // ORDERING: Relaxed; written before the chain's address was known.
        let capacity = self.head.capacity.load(Ordering::Relaxed);
        if self.head.bounded.load(Ordering::Relaxed) != 0 {
            Bound::Bounded(capacity)
        } else {
            Bound::Unbounded(capacity)
        }
    }

    /// The capacity of the ring of a level: each four times the last, up to the largest ring there is.
    pub fn capacity_of_level(first: u64, level: usize) -> u64 {
        first.saturating_mul(1 << (2 * level).min(62)).min(MAX_CAPACITY)
    }

    /// The ring of a level, as an offset in units of 64 bytes. Check it before use.
    #[inline]
    pub fn level(&self, level: usize) -> Option<u32> {
        // ORDERING: Acquire, E1.
        let offset = self.levels.get(level)?.load(Ordering::Acquire);
        (offset != 0).then_some(offset)
    }

    /// Hangs a ring in as `level`. `Err` with the ring that somebody else hung in first.
    ///
    /// # Errors
    ///
    /// The offset that is there already.
    pub fn hang(&self, level: usize, ring: u32) -> Result<(), u32> {
        let Some(word) = self.levels.get(level) else { return Err(0) };
        // ORDERING: AcqRel, E1; on failure Acquire, E1 from the winner.
        word.compare_exchange(0, ring, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
    }

    /// The lock of who makes the next ring.
    pub fn grower(&self) -> &Mutex {
        &self.head.grower
    }

    /// The level where senders were last seen.
    #[inline]
    pub fn tail_level(&self) -> usize {
        // ORDERING: Relaxed; a hint (I3).
        (self.tail_level.load(Ordering::Relaxed) as usize).min(MAX_LEVELS - 1)
    }

    /// The level where receivers were last seen.
    #[inline]
    pub fn head_level(&self) -> usize {
        // ORDERING: Relaxed; a hint (I3).
        (self.head_level.load(Ordering::Relaxed) as usize).min(MAX_LEVELS - 1)
    }

    /// A sender moved on to this level.
    pub fn advance_tail(&self, level: usize) {
        advance(&self.tail_level, level);
    }

    /// A receiver moved on to this level.
    pub fn advance_head(&self, level: usize) {
        advance(&self.head_level, level);
    }

    /// Whether it is closed, and which side is gone.
    #[inline]
    pub fn sides(&self) -> &Sides {
        &self.head.sides
    }

    /// Takes a level's ring out, as the queue ends: nobody has a handle any more.
    pub fn unhang(&self, level: usize) {
        if let Some(word) = self.levels.get(level) {
            // ORDERING: Release; a later death procedure that sees it gone sees what was done before.
            word.store(0, Ordering::Release);
        }
    }

    /// Wakes whoever sleeps on either side.
    pub fn wake_all(&self, scope: Scope) {
        self.not_empty.wake_all(scope);
        self.not_full.wake_all(scope);
    }
}

/// Raises a hint to `level`; lost updates are allowed (I3).
fn advance(hint: &AtomicU32, level: usize) {
    // ORDERING: Relaxed; a hint.
    if (hint.load(Ordering::Relaxed) as usize) < level {
        hint.store(level as u32, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_hung_in_once() {
        let chain = Chain::new(Bound::Unbounded(16), 5);
        assert_eq!((chain.level(0), chain.level(1), chain.level(99)), (Some(5), None, None));
        assert_eq!(chain.hang(1, 7), Ok(()));
        assert_eq!(chain.hang(1, 8), Err(7));
        assert_eq!(chain.level(1), Some(7));
        assert_eq!(chain.bound(), Bound::Unbounded(16));
    }

    #[test]
    fn levels_grow_to_the_largest_ring() {
        assert_eq!(Chain::capacity_of_level(16, 0), 16);
        assert_eq!(Chain::capacity_of_level(16, 2), 256);
        assert_eq!(Chain::capacity_of_level(16, 25), MAX_CAPACITY);
        assert_eq!(Chain::capacity_of_level(1, 13), MAX_CAPACITY);
    }
}
