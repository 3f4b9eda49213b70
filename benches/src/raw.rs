//! The least that a ring between two processes can be: the limit that ours is measured against.
//!
//! One producer, one consumer, 56 bytes of payload and a sequence word in a slot of one cache line. It never blocks,
//! has no handles, checks nothing, and knows nothing of deaths. Both sides look again without a `PAUSE`.
//!
//! # Memory
//!
//! ```text
//! line 0   | head: first position not consumed      |  the consumer's
//! line 2   | slot 0: sequence u64 | value, 56 bytes |  the producer's
//! line 3   | slot 1 ...                             |
//! ```
//!
//! # Ordering
//!
//! * E1 "the message": `put`'s Release of the sequence word → `take`'s Acquire.
//! * E2 "the free slot": `take`'s Release of head → `put`'s Acquire.

use std::sync::Arc;

use slipring_core::primitive::{AtomicU64, CachePadded, DataCell, Ordering};

use crate::message::Value;
use crate::shared::Shared;
use crate::stream::{Put, Take};

/// How many slots: a power of two.
pub const CAPACITY: u64 = 1024;

/// What fits beside the sequence word.
type Payload = [u64; 7];

#[repr(C, align(64))]
struct Slot {
    /// Position + 1 of the message that was put here last.
    sequence: AtomicU64,
    value: DataCell<Payload>,
}

#[repr(C)]
struct Words {
    head: CachePadded<AtomicU64>,
    slots: [Slot; CAPACITY as usize],
}

/// The ring, as both sides see it.
struct Raw(Arc<Shared>);

impl Raw {
    #[inline]
    fn words(&self) -> &Words {
        // SAFETY: long enough, page-aligned, and zero is an empty ring; atomics and cells, which others may write.
        unsafe { self.0.at().cast::<Words>().as_ref() }
    }

    #[inline]
    fn slot(&self, position: u64) -> &Slot {
        &self.words().slots[(position % CAPACITY) as usize]
    }
}

/// The side that puts. One per ring.
pub struct RawPut {
    ring: Raw,
    tail: u64,
    /// The head that was last seen, plus the capacity.
    limit: u64,
}

/// The side that takes. One per ring.
pub struct RawTake {
    ring: Raw,
    head: u64,
}

/// Makes an empty ring.
pub fn ring() -> (RawPut, RawTake) {
    let memory = Arc::new(Shared::new(size_of::<Words>()));
    let put = RawPut { ring: Raw(memory.clone()), tail: 0, limit: CAPACITY };
    (put, RawTake { ring: Raw(memory), head: 0 })
}

impl Put for RawPut {
    #[inline]
    fn put(&mut self, number: u64) {
        while self.tail == self.limit {
            // ORDERING: Acquire, E2.
            self.limit = self.ring.words().head.load(Ordering::Acquire) + CAPACITY;
        }
        let slot = self.ring.slot(self.tail);
        // SAFETY: a field of the slot, which is ours: head is less than a lap behind (E2), and there is one producer.
        slot.value.with_mut(|to| unsafe { to.write(Payload::of(number)) });
        self.tail += 1;
        // ORDERING: Release, E1.
        slot.sequence.store(self.tail, Ordering::Release);
    }
}

impl Take for RawTake {
    #[inline]
    fn take(&mut self) -> u64 {
        let slot = self.ring.slot(self.head);
        // ORDERING: Acquire, E1.
        while slot.sequence.load(Ordering::Acquire) != self.head + 1 {}
        // SAFETY: a field of the slot, which is published (E1) and stays ours until head moves.
        let value = slot.value.with(|from| unsafe { from.read() });
        self.head += 1;
        // ORDERING: Release, E2.
        self.ring.words().head.store(self.head, Ordering::Release);
        value.number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken_in_order_over_several_laps() {
        let (mut put, mut take) = ring();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..5 * CAPACITY).for_each(|n| put.put(n)));
            (0..5 * CAPACITY).for_each(|n| assert_eq!(take.take(), n));
        });
    }
}
