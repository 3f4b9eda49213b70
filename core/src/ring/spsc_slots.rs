//! A ring of fixed-size slots between one producer and one consumer. Push and pop are wait-free; the blocking forms
//! sleep on an event count. Capacity is exact for any number from 1 on. It does not let two producers (or two
//! consumers) in at once, and it does not keep a message for later that a dead consumer had already copied out.
//!
//! Each slot carries its own sequence word, so a message and the news of it travel in one cache line, and neither
//! side reads a word of the other's while the ring is neither full nor empty.
//!
//! # Memory
//!
//! ```text
//! byte 0        +--------------------------------------------------------------+
//!               | capacity u64 | slot size u64 | value size u64 | align u64    |  written once, by `init`
//!               | sides u32: which of them is gone                             |  by who keeps handles
//!     +128      +--------------------------------------------------------------+
//!               | head u64: first position not consumed                        |  the consumer's
//!     +256      +--------------------------------------------------------------+
//!               | not_empty u32: event count                                   |  written when the consumer sleeps
//!     +384      +--------------------------------------------------------------+
//!               | not_full u32: event count                                    |  written when the producer sleeps
//!     +512      +--------------------------------------------------------------+
//!               | slot 0: sequence u64 | value T | padding to 64 bytes         |  the producer's
//!               | slot 1 ...                                                   |
//!               +--------------------------------------------------------------+
//! ```
//!
//! | sequence word of the slot of position p | meaning |
//! |---|---|
//! | p + 1 - capacity | the message of p is still to come ([`position::awaited`]) |
//! | p + 1 | the message of p is in the slot ([`position::published`]) |
//! | anything else | a peer scribbled: [`Corrupt`] |
//!
//! # Invariants
//!
//! * I1. `head <= tail <= head + capacity`, where tail is the first position whose sequence word is not published.
//!   There is no shared tail: the sequence words are the tail.
//! * I2. The producer writes into the slot of p only when it has seen `head > p - capacity`.
//! * I3. Capacity, addresses and each side's own position are private: shared memory cannot move an access out of the
//!   ring.
//!
//! # Ordering
//!
//! * E1 "the message": `try_push`'s Release of the sequence word → `try_pop`'s Acquire. Publishes the value.
//! * E2 "the free slot": `try_pop`'s Release of head → `refresh`'s Acquire. The consumer's copy is complete before
//!   the slot is written again.
//! * E3 "publish, then look for sleepers": the event count's edge, for both words.
//!
//! # Crash points
//!
//! | killed | leaves | repaired by |
//! |---|---|---|
//! | after the value, before the sequence word | a slot that still says "to come" | nobody needs to: the next producer writes it again |
//! | after the sequence word | a published message | `producer` finds the tail behind it |
//! | after the consumer's copy, before head | a message that is delivered again | `consumer` starts at head |
//! | before a notification | a sleeper | sliced sleeps, [`Slots::wake_all`] |
//!
//! The producer is in this file, the rest in `spsc_slots/`:
//!
//! | file | what it holds |
//! |---|---|
//! | `layout.rs` | what a ring is in memory, how large it is, and what can be wrong with one |
//! | `ring.rs` | a ring at an address: made and attached |
//! | `consumer.rs` | the side that pops |
//!
//! # Examples
//!
//! ```
//! use slipring_core::futex::Scope;
//! use slipring_core::primitive::FenceMode;
//! use slipring_core::ring::spsc_slots::{Layout, PushError, Slots};
//!
//! let layout = Layout::<[u64; 7]>::new(3).unwrap();
//! let memory = std::alloc::Layout::from_size_align(layout.bytes(), layout.align()).unwrap();
//! // SAFETY: freshly allocated with the layout's size and alignment, and used by one producer and one consumer.
//! unsafe {
//!     let at = std::alloc::alloc(memory);
//!     Slots::init(at, layout);
//!     let ring = Slots::<[u64; 7]>::attach(at, layout.bytes()).unwrap();
//!     let mut producer = ring.producer(Scope::Private, FenceMode::Symmetric).unwrap();
//!     let mut consumer = ring.consumer(Scope::Private, FenceMode::Symmetric);
//!     for n in 0..3 {
//!         producer.try_push(&[n; 7]).unwrap();
//!     }
//!     assert_eq!(producer.try_push(&[9; 7]), Err(PushError::Full));
//!     assert_eq!(consumer.try_pop(), Ok(Some([0; 7])));
//!     std::alloc::dealloc(at, memory);
//! }
//! ```

mod consumer;
mod layout;
mod ring;
#[cfg(all(test, not(loom)))]
mod tests;

use core::cell::Cell;
use core::marker::PhantomData;

use bytemuck::Pod;

use super::position::{self, Cursor};
use super::{Corrupt, WaitError};
use crate::futex::Scope;
use crate::primitive::{FenceMode, Ordering};
use crate::wait::Waiter;
pub use consumer::Consumer;
pub use layout::{AttachError, CapacityError, Layout, PushError};
pub use ring::Slots;

impl<T: Pod> Slots<T> {
    /// The one who pushes. Finds the tail behind the published messages, so it also takes over from a producer that
    /// died at any step; reads up to `capacity` slots for that.
    ///
    /// `scope` and `mode` say how a sleeping consumer is woken, and must be what the consumer uses.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where head or a sequence word is what no sound peer leaves.
    ///
    /// # Safety
    ///
    /// No other producer of this ring is alive, or will be while this one is.
    pub unsafe fn producer(&self, scope: Scope, mode: FenceMode) -> Result<Producer<T>, Corrupt> {
        // ORDERING: Acquire, E2.
        let head = Cursor::at(self.header().head.load(Ordering::Acquire), self.capacity);
        let mut tail = head;
        while tail.position().wrapping_sub(head.position()) < self.capacity {
            // ORDERING: Relaxed; the values are not read.
            match self.slot(tail.index()).sequence.load(Ordering::Relaxed) {
                word if word == position::published(tail.position()) => tail.step(self.capacity),
                word if word == position::awaited(tail.position(), self.capacity) => break,
                _ => return Err(Corrupt),
            }
        }
        let limit = head.position().wrapping_add(self.capacity);
        Ok(Producer {
            ring: *self,
            tail,
            limit,
            pause: limit,
            scope,
            mode,
            one_thread: PhantomData,
        })
    }

    /// The one who pops. Starts at head, so it also takes over from a consumer that died at any step: what that one
    /// copied out but had not given back is delivered again.
    ///
    /// `scope` and `mode` say how a sleeping producer is woken, and must be what the producer uses.
    ///
    /// # Safety
    ///
    /// No other consumer of this ring is alive, or will be while this one is.
    pub unsafe fn consumer(&self, scope: Scope, mode: FenceMode) -> Consumer<T> {
        // ORDERING: Acquire, E2: what the last consumer did, it did before this.
        let head = Cursor::at(self.header().head.load(Ordering::Acquire), self.capacity);
        Consumer::new(*self, head, scope, mode)
    }
}

/// The side that pushes. Dropping it changes nothing in the ring.
pub struct Producer<T> {
    ring: Slots<T>,
    /// Where the next message goes.
    tail: Cursor,
    /// The head that was last seen, plus the capacity: up to here slots are known to be free (I2).
    limit: u64,
    /// From here on there is no room at hand: see [`Producer::pause_after`].
    pause: u64,
    scope: Scope,
    mode: FenceMode,
    /// `Send`, and not `Sync`.
    one_thread: PhantomData<Cell<()>>,
}

impl<T: Pod> Producer<T> {
    /// Publishes one message.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] where every slot is taken, [`PushError::Corrupt`] where head is impossible.
    #[inline]
    pub fn try_push(&mut self, value: &T) -> Result<(), PushError> {
        if self.tail.position() == self.limit {
            self.refresh()?;
        }
        self.write(self.tail, value);
        crash_point!("spsc_slots.push.value_written");
        self.publish(self.tail);
        crash_point!("spsc_slots.push.published");
        self.tail.step(self.ring.capacity);
        if self.ring.header().not_empty.notify(1, self.scope, self.mode) {
            self.pause = self.tail.position();
        }
        Ok(())
    }

    /// Publishes as many of `values` as there is room for, the first ones, and says how many: all values are written,
    /// then all are published in order, with one look for a sleeper.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where head is impossible. A full ring is no error: 0.
    pub fn push_batch(&mut self, values: &[T]) -> Result<usize, Corrupt> {
        if self.free() < values.len() as u64 && self.refresh() == Err(PushError::Corrupt) {
            return Err(Corrupt);
        }
        let count = self.free().min(values.len() as u64);
        let mut cursor = self.tail;
        for value in &values[..count as usize] {
            self.write(cursor, value);
            cursor.step(self.ring.capacity);
        }
        crash_point!("spsc_slots.push_batch.values_written");
        for _ in 0..count {
            self.publish(self.tail);
            crash_point!("spsc_slots.push_batch.one_published");
            self.tail.step(self.ring.capacity);
        }
        if count > 0 && self.ring.header().not_empty.notify(1, self.scope, self.mode) {
            self.pause = self.tail.position();
        }
        Ok(count as usize)
    }

    /// Publishes one message, waiting for room.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up, or a corrupt ring; nothing was published then.
    #[inline]
    pub fn push<W: Waiter>(&mut self, value: &T, waiter: &mut W) -> Result<(), WaitError<W::Stop>> {
        loop {
            match self.try_push(value) {
                Ok(()) => return Ok(()),
                Err(PushError::Full) => self.wait_for_room(waiter)?,
                Err(PushError::Corrupt) => return Err(WaitError::Corrupt),
            }
        }
    }

    /// Whether there is room for one message, as far as the producer knows without a look at the consumer. False where it is
    /// to pause as well.
    #[inline]
    pub fn has_room_at_hand(&self) -> bool {
        self.pause.wrapping_sub(self.tail.position()).cast_signed() > 0
    }

    /// Has [`Producer::has_room_at_hand`] say no after so many messages, or sooner where the room ends or the consumer had to
    /// be woken: for a caller who has something else to look at then, and does not count.
    pub fn pause_after(&mut self, messages: u64) {
        self.pause = self.tail.position().wrapping_add(messages.min(self.free()));
    }

    /// Whether there is room for one message.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where head is impossible.
    pub fn has_room(&mut self) -> Result<bool, Corrupt> {
        if self.free() > 0 {
            return Ok(true);
        }
        match self.refresh() {
            Ok(()) => Ok(true),
            Err(PushError::Full) => Ok(false),
            Err(PushError::Corrupt) => Err(Corrupt),
        }
    }

    /// Waits until there is room for one message.
    ///
    /// It knows nothing of the message, and so the caller can keep that in registers: each store to the stack that
    /// stands between two slots in the store buffer holds up the second one's cache line.
    ///
    /// # Errors
    ///
    /// As `push`.
    #[cold]
    pub fn wait_for_room<W: Waiter>(&mut self, waiter: &mut W) -> Result<(), WaitError<W::Stop>> {
        let (ring, mode) = (self.ring, self.mode);
        let room = ring.header().not_full.wait_until(waiter, mode, |_| match self.refresh() {
            Ok(()) => Some(Ok(())),
            Err(PushError::Full) => None,
            Err(PushError::Corrupt) => Some(Err(WaitError::Corrupt)),
        });
        room.map_err(WaitError::Stopped)?
    }

    /// How many messages fit.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity
    }

    /// Whether nobody closed the ring and no side was found empty.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.ring.sides().is_open()
    }

    /// How many messages were ever taken: a hint that lags.
    pub fn taken(&self) -> u64 {
        // ORDERING: Relaxed; a hint.
        self.ring.header().head.load(Ordering::Relaxed)
    }

    /// How many messages are in the ring: never too few, but some may be gone already.
    pub fn len(&self) -> u64 {
        // ORDERING: Relaxed; a hint.
        let head = self.ring.header().head.load(Ordering::Relaxed);
        position::used(head, self.tail.position(), self.capacity()).unwrap_or(self.capacity())
    }

    /// Whether the consumer has taken everything. Once true, true until the next push.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a push would have found no room. A `false` holds until the next push.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Slots known to be free without a look at the consumer's line.
    #[inline]
    fn free(&self) -> u64 {
        self.limit.wrapping_sub(self.tail.position())
    }

    /// Looks how far the consumer has come.
    #[cold]
    fn refresh(&mut self) -> Result<(), PushError> {
        // ORDERING: Acquire, E2, pairs with the Release in `try_pop` and `pop_batch`.
        let head = self.ring.header().head.load(Ordering::Acquire);
        let used = position::used(head, self.tail.position(), self.ring.capacity)
            .ok_or(PushError::Corrupt)?;
        self.limit = head.wrapping_add(self.ring.capacity);
        if used < self.ring.capacity { Ok(()) } else { Err(PushError::Full) }
    }

    #[inline]
    fn write(&self, at: Cursor, value: &T) {
        self.ring.slot(at.index()).value.with_mut(|to| {
            // SAFETY: aligned and in bounds: a field of the slot.
            // SAFETY: nobody else accesses it: the one producer is us, and the consumer is past it or not yet there
            // (I2).
            unsafe { to.write(*value) };
        });
    }

    #[inline]
    fn publish(&self, at: Cursor) {
        let word = position::published(at.position());
        // ORDERING: Release, E1, pairs with the Acquire in `try_pop`.
        self.ring.slot(at.index()).sequence.store(word, Ordering::Release);
    }
}
