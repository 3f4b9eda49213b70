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

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::{align_of, size_of};
use core::ptr::NonNull;

use bytemuck::Pod;

use super::position::{self, Cursor};
use super::{Corrupt, WaitError};
use crate::futex::Scope;
use crate::primitive::{AtomicU64, CachePadded, DataCell, FenceMode, Ordering};
use crate::sync::EventCount;
use crate::wait::Waiter;

/// What attaching checks. Written by `init` only.
#[repr(C)]
struct Geometry {
    /// How many slots.
    capacity: AtomicU64,
    /// Bytes from one slot to the next.
    slot_size: AtomicU64,
    /// `size_of::<T>()` of who made the ring.
    value_size: AtomicU64,
    /// `align_of::<T>()` of who made the ring.
    value_align: AtomicU64,
}

/// What stands before the slots: one cache line for each who writes.
#[repr(C)]
struct Header {
    geometry: CachePadded<Geometry>,
    /// First position not consumed. Written by the consumer, never decreases; a stale read costs the producer a
    /// "full" that is over.
    head: CachePadded<AtomicU64>,
    /// Where the consumer sleeps.
    not_empty: CachePadded<EventCount>,
    /// Where the producer sleeps.
    not_full: CachePadded<EventCount>,
}

/// One message and the news of it. A value of up to 56 bytes shares the word's cache line.
#[repr(C, align(64))]
struct Slot<T> {
    /// Written by the producer; the table above says what it may hold.
    sequence: AtomicU64,
    /// The producer's while the word says "to come", the consumer's while it says "published".
    value: DataCell<T>,
}

/// The size of a ring of `capacity` values of `T`.
#[derive(Clone, Copy, Debug)]
pub struct Layout<T> {
    capacity: u64,
    bytes: usize,
    of: PhantomData<T>,
}

/// No ring has this capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CapacityError {
    /// A ring of no slots.
    Zero,
    /// More bytes than an address space has.
    TooLarge,
}

/// This memory does not hold a ring of `T`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachError {
    /// The address is not aligned to [`Layout::align`].
    Misaligned,
    /// The ring's values have another size.
    TypeSize {
        /// `size_of::<T>()` here.
        ours: u64,
        /// What the ring was made for.
        theirs: u64,
    },
    /// The ring's values have another alignment.
    TypeAlign {
        /// `align_of::<T>()` here.
        ours: u64,
        /// What the ring was made for.
        theirs: u64,
    },
    /// The values agree but the slots do not: made by another version of this code.
    SlotSize {
        /// Bytes from slot to slot here.
        ours: u64,
        /// What the ring was made with.
        theirs: u64,
    },
    /// The stated capacity is zero or absurd.
    Capacity(u64),
    /// The memory ends before the ring does.
    Truncated {
        /// Bytes that the ring takes.
        needed: u64,
        /// Bytes that are there.
        available: u64,
    },
}

/// Why nothing was pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushError {
    /// All slots hold messages that were not consumed yet.
    Full,
    /// The consumer's head is not where a sound consumer can have left it.
    Corrupt,
}

impl<T: Pod> Layout<T> {
    /// The layout of a ring of exactly `capacity` slots.
    ///
    /// # Errors
    ///
    /// A capacity of zero, or one that no address space holds.
    pub fn new(capacity: u64) -> Result<Self, CapacityError> {
        if capacity == 0 {
            return Err(CapacityError::Zero);
        }
        usize::try_from(capacity)
            .ok()
            .and_then(|n| n.checked_mul(size_of::<Slot<T>>()))
            .and_then(|slots| slots.checked_add(Self::slots_offset()))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .map(|bytes| Self { capacity, bytes, of: PhantomData })
            .ok_or(CapacityError::TooLarge)
    }

    /// Bytes of memory that the ring takes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the ring's address must be a multiple of.
    pub const fn align(&self) -> usize {
        Self::alignment()
    }

    /// How many slots.
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    const fn alignment() -> usize {
        let (header, slot) = (align_of::<Header>(), align_of::<Slot<T>>());
        if header > slot { header } else { slot }
    }

    const fn slots_offset() -> usize {
        size_of::<Header>().next_multiple_of(align_of::<Slot<T>>())
    }
}

/// A ring at an address, its geometry checked and copied. Makes producers and consumers.
pub struct Slots<T> {
    header: NonNull<Header>,
    slots: NonNull<Slot<T>>,
    capacity: u64,
}

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slots<T> {}

// SAFETY: the memory behind it is made to be shared; a `Slots` by itself touches nothing but atomic words.
unsafe impl<T: Send> Send for Slots<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Send> Sync for Slots<T> {}

impl<T: Pod> Slots<T> {
    /// Makes an empty ring.
    ///
    /// # Safety
    ///
    /// `at` is aligned to `layout.align()`, `layout.bytes()` bytes from it may be written, and nobody else uses them
    /// until this returns.
    pub unsafe fn init(at: *mut u8, layout: Layout<T>) {
        let header = Header {
            geometry: CachePadded::new(Geometry {
                capacity: AtomicU64::new(layout.capacity),
                slot_size: AtomicU64::new(size_of::<Slot<T>>() as u64),
                value_size: AtomicU64::new(size_of::<T>() as u64),
                value_align: AtomicU64::new(align_of::<T>() as u64),
            }),
            head: CachePadded::new(AtomicU64::new(0)),
            not_empty: CachePadded::new(EventCount::new()),
            not_full: CachePadded::new(EventCount::new()),
        };
        // SAFETY: aligned and writable by the caller's word.
        unsafe { at.cast::<Header>().write(header) };
        for index in 0..layout.capacity {
            let slot = Slot {
                sequence: AtomicU64::new(position::awaited(index, layout.capacity)),
                value: DataCell::new(T::zeroed()),
            };
            // SAFETY: index < capacity, so the slot is inside `layout.bytes()`.
            // SAFETY: the offset of the slots and their size are multiples of their alignment.
            unsafe {
                let slots = at.add(Layout::<T>::slots_offset()).cast::<Slot<T>>();
                slots.add(index as usize).write(slot);
            }
        }
    }

    /// Checks the ring at `at`, of which `available` bytes are mapped, and copies its geometry.
    ///
    /// # Errors
    ///
    /// What does not fit: the memory may hold anything.
    ///
    /// # Safety
    ///
    /// `available` bytes from `at` stay mapped, readable and writable, for as long as the ring or anything made from
    /// it is in use. What is there may be written by peers at any time, but through rings of this kind only, where
    /// they are threads of this process.
    pub unsafe fn attach(at: *mut u8, available: usize) -> Result<Self, AttachError> {
        let truncated = |needed: usize| AttachError::Truncated {
            needed: needed as u64,
            available: available as u64,
        };
        if !at.addr().is_multiple_of(Layout::<T>::alignment()) {
            return Err(AttachError::Misaligned);
        }
        if available < Layout::<T>::slots_offset() {
            return Err(truncated(Layout::<T>::slots_offset()));
        }
        // SAFETY: aligned and long enough, checked above; mapped by the caller's word.
        // SAFETY: atomic words and cells only, so peers may write behind the reference.
        let theirs = unsafe { &(*at.cast::<Header>()).geometry };
        // ORDERING: Relaxed, each word once; whoever passed the address on published what `init` wrote.
        let (capacity, slot_size) =
            (theirs.capacity.load(Ordering::Relaxed), theirs.slot_size.load(Ordering::Relaxed));
        // ORDERING: as above.
        let (value_size, value_align) =
            (theirs.value_size.load(Ordering::Relaxed), theirs.value_align.load(Ordering::Relaxed));
        let ours = size_of::<T>() as u64;
        if value_size != ours {
            return Err(AttachError::TypeSize { ours, theirs: value_size });
        }
        let ours = align_of::<T>() as u64;
        if value_align != ours {
            return Err(AttachError::TypeAlign { ours, theirs: value_align });
        }
        let ours = size_of::<Slot<T>>() as u64;
        if slot_size != ours {
            return Err(AttachError::SlotSize { ours, theirs: slot_size });
        }
        let layout = Layout::<T>::new(capacity).map_err(|_| AttachError::Capacity(capacity))?;
        if available < layout.bytes {
            return Err(truncated(layout.bytes));
        }
        // SAFETY: `available` covers the header and all slots, checked above; null memory is not mapped.
        let (header, slots) = unsafe {
            let slots = at.add(Layout::<T>::slots_offset());
            (NonNull::new_unchecked(at.cast()), NonNull::new_unchecked(slots.cast()))
        };
        Ok(Self { header, slots, capacity })
    }

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
        Ok(Producer { ring: *self, tail, limit, scope, mode, one_thread: PhantomData })
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
        Consumer { ring: *self, head, scope, mode, one_thread: PhantomData }
    }

    /// How many messages fit.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Wakes producer and consumer, whichever sleeps: part of the death procedure.
    pub fn wake_all(&self, scope: Scope) {
        self.header().not_empty.wake_all(scope);
        self.header().not_full.wake_all(scope);
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: mapped and aligned by `attach`.
        // SAFETY: atomic words only, so peers may write behind the reference.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    fn slot(&self, index: u64) -> &Slot<T> {
        debug_assert!(index < self.capacity);
        // SAFETY: every index comes from a cursor over our private capacity (I3), so the slot is in what `attach`
        // checked.
        // SAFETY: an atomic word and a cell, so peers may write behind the reference.
        unsafe { self.slots.add(index as usize).as_ref() }
    }
}

/// The side that pushes. Dropping it changes nothing in the ring.
pub struct Producer<T> {
    ring: Slots<T>,
    /// Where the next message goes.
    tail: Cursor,
    /// The head that was last seen, plus the capacity: up to here slots are known to be free (I2).
    limit: u64,
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
        self.ring.header().not_empty.notify(1, self.scope, self.mode);
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
        if count > 0 {
            self.ring.header().not_empty.notify(1, self.scope, self.mode);
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
        match self.try_push(value) {
            Ok(()) => Ok(()),
            Err(PushError::Full) => self.push_slow(value, waiter),
            Err(PushError::Corrupt) => Err(WaitError::Corrupt),
        }
    }

    #[cold]
    fn push_slow<W: Waiter>(
        &mut self,
        value: &T,
        waiter: &mut W,
    ) -> Result<(), WaitError<W::Stop>> {
        let (ring, mode) = (self.ring, self.mode);
        let pushed =
            ring.header().not_full.wait_until(waiter, mode, |_| match self.try_push(value) {
                Ok(()) => Some(Ok(())),
                Err(PushError::Full) => None,
                Err(PushError::Corrupt) => Some(Err(WaitError::Corrupt)),
            });
        pushed.map_err(WaitError::Stopped)?
    }

    /// How many messages fit.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity
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

/// The side that pops. Dropping it changes nothing in the ring.
pub struct Consumer<T> {
    ring: Slots<T>,
    /// The next message to take.
    head: Cursor,
    scope: Scope,
    mode: FenceMode,
    /// `Send`, and not `Sync`.
    one_thread: PhantomData<Cell<()>>,
}

impl<T: Pod> Consumer<T> {
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
        match self.try_pop() {
            Ok(Some(value)) => Ok(value),
            Ok(None) => self.pop_slow(waiter),
            Err(Corrupt) => Err(WaitError::Corrupt),
        }
    }

    #[cold]
    fn pop_slow<W: Waiter>(&mut self, waiter: &mut W) -> Result<T, WaitError<W::Stop>> {
        let (ring, mode) = (self.ring, self.mode);
        let popped =
            ring.header().not_empty.wait_until(waiter, mode, |_| self.try_pop().transpose());
        popped.map_err(WaitError::Stopped)?.map_err(|Corrupt| WaitError::Corrupt)
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
    fn read(&self, at: Cursor) -> T {
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

impl core::fmt::Display for CapacityError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Zero => "a ring needs at least one slot",
            Self::TooLarge => "a ring of so many slots does not fit an address space",
        })
    }
}

impl core::error::Error for CapacityError {}

impl core::fmt::Display for AttachError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Misaligned => f.write_str("the ring's address is not aligned"),
            Self::TypeSize { ours, theirs } => {
                write!(f, "the ring's values have {theirs} bytes, this type has {ours}")
            }
            Self::TypeAlign { ours, theirs } => {
                write!(f, "the ring's values are aligned to {theirs}, this type to {ours}")
            }
            Self::SlotSize { ours, theirs } => {
                write!(f, "the ring's slots take {theirs} bytes, here they take {ours}")
            }
            Self::Capacity(stated) => write!(f, "the ring states a capacity of {stated}"),
            Self::Truncated { needed, available } => {
                write!(f, "the ring takes {needed} bytes and only {available} are there")
            }
        }
    }
}

impl core::error::Error for AttachError {}

impl core::fmt::Display for PushError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full"),
            Self::Corrupt => Corrupt.fmt(f),
        }
    }
}

impl core::error::Error for PushError {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ring::memory::Memory;
    use std::vec::Vec;

    const MODE: (Scope, FenceMode) = (Scope::Private, FenceMode::Symmetric);

    fn ring<T: Pod>(capacity: u64) -> (Memory, Slots<T>) {
        let layout = Layout::<T>::new(capacity).unwrap();
        let memory = Memory::new(layout.bytes(), layout.align());
        // SAFETY: allocated with the layout's size and alignment; the test keeps it while it uses the ring.
        let ring = unsafe {
            Slots::init(memory.at(), layout);
            Slots::attach(memory.at(), layout.bytes()).unwrap()
        };
        (memory, ring)
    }

    fn producer<T: Pod>(ring: &Slots<T>) -> Result<Producer<T>, Corrupt> {
        // SAFETY: each test lets go of the last producer before it asks for the next.
        unsafe { ring.producer(MODE.0, MODE.1) }
    }

    fn consumer<T: Pod>(ring: &Slots<T>) -> Consumer<T> {
        // SAFETY: each test lets go of the last consumer before it asks for the next.
        unsafe { ring.consumer(MODE.0, MODE.1) }
    }

    fn drain(consumer: &mut Consumer<u64>) -> Vec<u64> {
        core::iter::from_fn(|| consumer.try_pop().unwrap()).collect()
    }

    #[test]
    fn a_message_of_up_to_56_bytes_takes_one_cache_line() {
        assert_eq!(size_of::<Slot<u8>>(), 64);
        assert_eq!(size_of::<Slot<[u64; 7]>>(), 64);
        assert_eq!(size_of::<Slot<[u64; 8]>>(), 128);
        assert_eq!(size_of::<Header>(), 512);
    }

    #[test]
    fn every_capacity_is_exact_for_many_laps() {
        for capacity in 1..=5 {
            let (_memory, ring) = ring::<u64>(capacity);
            let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring));
            let mut next = 0;
            for lap in 0..4 {
                for fill in 0..capacity {
                    assert_eq!((producer.len(), consumer.len()), (fill, fill));
                    producer.try_push(&next).unwrap();
                    next += 1;
                }
                assert!(producer.is_full() && !consumer.is_empty());
                assert_eq!(producer.try_push(&99), Err(PushError::Full));
                assert_eq!(consumer.peek(), Ok(Some(lap * capacity)));
                let expected: Vec<_> = (lap * capacity..next).collect();
                assert_eq!(drain(&mut consumer), expected);
                assert!(consumer.is_empty() && producer.is_empty());
            }
        }
    }

    #[test]
    fn batches_stop_at_full_and_at_empty() {
        let (_memory, ring) = ring::<u64>(3);
        let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring));
        let mut out = [0; 5];
        assert_eq!(producer.push_batch(&[1, 2]), Ok(2));
        assert_eq!(producer.push_batch(&[3, 4]), Ok(1));
        assert_eq!(producer.push_batch(&[4]), Ok(0));
        assert_eq!(consumer.pop_batch(&mut out[..2]), Ok(2));
        assert_eq!(producer.push_batch(&[4, 5, 6]), Ok(2));
        assert_eq!(consumer.pop_batch(&mut out), Ok(3));
        assert_eq!(out[..3], [3, 4, 5]);
        assert_eq!(consumer.pop_batch(&mut out), Ok(0));
    }

    #[test]
    fn a_value_that_was_written_and_not_published_is_not_there_and_is_written_again() {
        for before in 0..3 {
            let (_memory, ring) = ring::<u64>(3);
            let mut dead = producer(&ring).unwrap();
            (0..before).for_each(|n| dead.try_push(&n).unwrap());
            dead.write(dead.tail, &77); // killed at spsc_slots.push.value_written
            let mut heir = producer(&ring).unwrap();
            let mut consumer = consumer(&ring);
            assert_eq!(consumer.len(), before);
            heir.try_push(&before).unwrap();
            assert_eq!(drain(&mut consumer), (0..=before).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_new_producer_finds_the_tail_wherever_the_last_one_died() {
        for capacity in 1..=3 {
            for consumed in 0..3 * capacity {
                for pending in 0..=capacity {
                    let (_memory, ring) = ring::<u64>(capacity);
                    let (mut dead, mut consumer) = (producer(&ring).unwrap(), consumer(&ring));
                    for n in 0..consumed {
                        dead.try_push(&n).unwrap();
                        assert_eq!(consumer.try_pop(), Ok(Some(n)));
                    }
                    (0..pending).for_each(|n| dead.try_push(&(consumed + n)).unwrap());
                    let mut heir = producer(&ring).unwrap();
                    assert_eq!(heir.tail, dead.tail);
                    assert_eq!(heir.len(), pending);
                    let room = heir.push_batch(&[consumed + pending; 3]).unwrap() as u64;
                    assert_eq!(room, 3.min(capacity - pending));
                }
            }
        }
    }

    #[test]
    fn a_batch_that_was_cut_short_leaves_its_first_part() {
        let (_memory, ring) = ring::<u64>(3);
        let dead = producer(&ring).unwrap();
        for ahead in 0..3 {
            dead.write(dead.tail.ahead(ahead, 3), &ahead);
        }
        dead.publish(dead.tail);
        dead.publish(dead.tail.ahead(1, 3)); // killed at spsc_slots.push_batch.one_published
        let mut heir = producer(&ring).unwrap();
        heir.try_push(&20).unwrap();
        assert_eq!(drain(&mut consumer(&ring)), [0, 1, 20]);
    }

    #[test]
    fn a_message_that_a_dead_consumer_had_only_copied_is_delivered_again() {
        let (_memory, ring) = ring::<u64>(2);
        let mut producer = producer(&ring).unwrap();
        assert_eq!(producer.push_batch(&[1, 2]), Ok(2));
        let dead = consumer(&ring);
        assert_eq!(dead.read(dead.head), 1); // killed at spsc_slots.pop.copied
        assert_eq!(producer.try_push(&3), Err(PushError::Full));
        assert_eq!(drain(&mut consumer(&ring)), [1, 2]);
    }

    #[test]
    fn a_scribbled_sequence_word_is_an_error_and_no_loop() {
        for word in [2, 3, u64::MAX, 1 << 63] {
            let (_memory, ring) = ring::<u64>(3);
            ring.slot(0).sequence.store(word, Ordering::Relaxed);
            let mut consumer = consumer(&ring);
            assert_eq!(consumer.try_pop(), Err(Corrupt));
            assert_eq!(consumer.peek(), Err(Corrupt));
            assert_eq!(consumer.pop_batch(&mut [0; 3]), Err(Corrupt));
            assert!(!consumer.is_empty());
            assert_eq!(producer(&ring).err(), Some(Corrupt));
        }
    }

    #[test]
    fn an_impossible_head_is_an_error_and_no_overwrite() {
        let (_memory, ring) = ring::<u64>(2);
        let mut producer_1 = producer(&ring).unwrap();
        assert_eq!(producer_1.push_batch(&[1, 2]), Ok(2));
        for head in [3, 4, u64::MAX, u64::MAX - 1] {
            ring.header().head.store(head, Ordering::Relaxed);
            assert_eq!(producer_1.try_push(&3), Err(PushError::Corrupt), "{head}");
            assert_eq!(producer_1.push_batch(&[3]), Err(Corrupt));
            assert_eq!(producer_1.len(), 2);
        }
        ring.header().head.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(producer(&ring).err(), Some(Corrupt));
        assert_eq!(consumer(&ring).try_pop(), Err(Corrupt));
    }

    #[test]
    fn attaching_says_what_does_not_fit() {
        let (memory, ring) = ring::<u64>(3);
        let bytes = Layout::<u64>::new(3).unwrap().bytes();
        // SAFETY: the memory outlives the calls and nothing is pushed or popped.
        unsafe {
            let size = AttachError::TypeSize { ours: 4, theirs: 8 };
            assert_eq!(Slots::<u32>::attach(memory.at(), bytes).err(), Some(size));
            let align = AttachError::TypeAlign { ours: 1, theirs: 8 };
            assert_eq!(Slots::<[u8; 8]>::attach(memory.at(), bytes).err(), Some(align));
            for available in [0, 100, 511, 512, bytes - 1] {
                let error = Slots::<u64>::attach(memory.at(), available).err();
                assert!(matches!(error, Some(AttachError::Truncated { .. })), "{available}");
            }
            let odd = memory.at().add(8);
            assert_eq!(Slots::<u64>::attach(odd, bytes - 8).err(), Some(AttachError::Misaligned));
            for capacity in [0, u64::MAX, u64::MAX / 64] {
                ring.header().geometry.capacity.store(capacity, Ordering::Relaxed);
                let error = Slots::<u64>::attach(memory.at(), bytes).err();
                assert_eq!(error, Some(AttachError::Capacity(capacity)));
            }
            ring.header().geometry.capacity.store(4, Ordering::Relaxed);
            let error = Slots::<u64>::attach(memory.at(), bytes).err();
            assert!(matches!(error, Some(AttachError::Truncated { .. })));
        }
        assert_eq!(Layout::<u64>::new(0).err(), Some(CapacityError::Zero));
        assert_eq!(Layout::<u64>::new(1 << 60).err(), Some(CapacityError::TooLarge));
    }

    #[test]
    fn handles_move_between_threads_and_the_ring_passes_everything_once() {
        let (_memory, ring) = ring::<[u64; 7]>(3);
        let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring));
        std::thread::scope(|s| {
            s.spawn(move || {
                for n in 0..20_000 {
                    while producer.try_push(&[n; 7]).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
            for n in 0..20_000 {
                let value = loop {
                    match consumer.try_pop().unwrap() {
                        Some(value) => break value,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(value, [n; 7]);
            }
        });
    }
}
