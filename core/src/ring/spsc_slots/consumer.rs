//! The side that pops.

use core::cell::Cell;
use core::marker::PhantomData;

use bytemuck::Pod;

use super::ring::Slots;
use crate::futex::Scope;
use crate::primitive::{FenceMode, Ordering};
use crate::ring::position::{self, Cursor};
use crate::ring::{Corrupt, WaitError};
use crate::wait::Waiter;

/// The side that pops. Dropping it changes nothing in the ring.
pub struct Consumer<T> {
    ring: Slots<T>,
    /// The next message to take.
    pub(super) head: Cursor,
    scope: Scope,
    mode: FenceMode,
    /// `Send`, and not `Sync`.
    one_thread: PhantomData<Cell<()>>,
}

impl<T: Pod> Consumer<T> {
    /// At `head`.
    pub(super) fn new(ring: Slots<T>, head: Cursor, scope: Scope, mode: FenceMode) -> Self {
        Self { ring, head, scope, mode, one_thread: PhantomData }
    }

    /// Takes the next message, if it is there.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where the slot says what no sound producer writes.
    #[inline]
    pub fn try_pop(&mut self) -> Result<Option<T>, Corrupt> {
        if !self.ready(self.head)? {
            return Ok(None);
        }
        let value = self.read(self.head);
        crash_point!("spsc_slots.pop.copied");
        self.head.step(self.ring.capacity);
        self.give_back();
        Ok(Some(value))
    }

    /// A copy of the next message, which stays in the ring.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], as `try_pop`.
    pub fn peek(&self) -> Result<Option<T>, Corrupt> {
        if !self.ready(self.head)? {
            return Ok(None);
        }
        let value = self.ring.slot(self.head.index()).value.with(|from| {
            // SAFETY: aligned and in bounds: a field of the slot. Any bytes are a `T` (`Pod`).
            // SAFETY: the slot is published (E1) and stays ours until head moves. Volatile: no Release follows that
            // would keep the compiler from reading a hostile producer's slot twice.
            unsafe { from.read_volatile() }
        });
        Ok(Some(value))
    }

    /// Takes as many messages as there are and `into` holds, and says how many; gives all slots back at once.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], as `try_pop`, where nothing came before it.
    pub fn pop_batch(&mut self, into: &mut [T]) -> Result<usize, Corrupt> {
        let mut count = 0;
        for to in into {
            match self.ready(self.head) {
                Ok(true) => *to = self.read(self.head),
                Err(Corrupt) if count == 0 => return Err(Corrupt),
                Ok(false) | Err(Corrupt) => break,
            }
            self.head.step(self.ring.capacity);
            count += 1;
        }
        if count > 0 {
            crash_point!("spsc_slots.pop_batch.copied");
            self.give_back();
        }
        Ok(count)
    }

    /// Takes the next message, waiting for it.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up, or a corrupt ring; nothing was taken then.
    #[inline]
    pub fn pop<W: Waiter>(&mut self, waiter: &mut W) -> Result<T, WaitError<W::Stop>> {
        loop {
            match self.try_pop() {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => self.wait_for_message(waiter).map_err(WaitError::Stopped)?,
                Err(Corrupt) => return Err(WaitError::Corrupt),
            }
        }
    }

    /// Waits for a message, which is not moved about meanwhile; a corrupt one ends the wait too, and `try_pop` will say
    /// so.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up.
    #[cold]
    pub fn wait_for_message<W: Waiter>(&mut self, waiter: &mut W) -> Result<(), W::Stop> {
        let (ring, mode) = (self.ring, self.mode);
        ring.header().not_empty.wait_until(waiter, mode, |_| (!self.is_empty()).then_some(()))
    }

    /// How many messages fit.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity
    }

    /// How many messages are in the ring: never too many, but more may have come. Looks at a few slots, about
    /// `log2(capacity)`.
    pub fn len(&self) -> u64 {
        position::first_false(self.capacity(), |count| {
            let at = self.head.ahead(count, self.ring.capacity);
            // ORDERING: Relaxed; a hint.
            let word = self.ring.slot(at.index()).sequence.load(Ordering::Relaxed);
            word == position::published(at.position())
        })
    }

    /// Whether a pop would have found nothing. A `false` holds until the next pop; a corrupt ring is not empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ready(self.head) == Ok(false)
    }

    /// Whether the message of `at` is there.
    #[inline]
    fn ready(&self, at: Cursor) -> Result<bool, Corrupt> {
        // ORDERING: Acquire, E1, pairs with the Release in `publish`.
        let word = self.ring.slot(at.index()).sequence.load(Ordering::Acquire);
        if word == position::published(at.position()) {
            Ok(true)
        } else if word == position::awaited(at.position(), self.ring.capacity) {
            Ok(false)
        } else {
            Err(Corrupt)
        }
    }

    /// Copies a value out of a published slot, before `give_back`.
    #[inline]
    pub(super) fn read(&self, at: Cursor) -> T {
        self.ring.slot(at.index()).value.with(|from| {
            // SAFETY: aligned and in bounds: a field of the slot. Any bytes are a `T` (`Pod`).
            // SAFETY: the slot is published (E1) and stays ours until head moves; the Release of head stands behind
            // the copy, so it is made once.
            unsafe { from.read() }
        })
    }

    /// Lets the producer have the slots before our head.
    #[inline]
    fn give_back(&self) {
        // ORDERING: Release, E2, pairs with the Acquire in `refresh`.
        self.ring.header().head.store(self.head.position(), Ordering::Release);
        crash_point!("spsc_slots.pop.given_back");
        self.ring.header().not_full.notify(1, self.scope, self.mode);
    }
}
