//! A bounded many-to-many queue of 64-bit descriptors, FIFO by publication.
//!
//! `push` and `pop` are lock-free, and each takes effect in ONE compare-and-swap: no half-done state exists in the
//! ring, so a process that is killed or stopped at any instruction leaves it whole and in nobody's way. Capacity is
//! exact for any number from 1 to 2^26. Nothing here sleeps: [`super::chain`] and the crate `slipring` add that.
//!
//! # Memory
//!
//! ```text
//! header   line 0  | capacity |                     written once
//!          line 2  | tail     | hint of producers
//!          line 4  | head     | hint of consumers
//! slots    16 bytes each, four to a line:
//!          | control (u64)            | descriptor (u64)          |
//!          control:  63 ............ 2 | 1      | 0
//!                    lap               | CLOSED | FULL
//! ```
//!
//! A *position* is `lap << shift | index` with `index < capacity <= 1 << shift`: it grows for ever and splits without
//! a division. `next` of the last index is index 0 of the next lap.
//!
//! | control of slot i | meaning | left by |
//! |---|---|---|
//! | FREE(l) | position (l, i) is to be published next in this slot | a producer: 16-byte CAS to FULL(l) |
//! | FULL(l) | position (l, i) is published, its descriptor is here | a consumer: CAS to FREE(l + 1) |
//! | FULL(l) + CLOSED | as FULL, and it is the ring's oldest for ever | a consumer: CAS to CLOSED(l + 1) |
//! | CLOSED(l) | nothing will be published at (l, i) or later, all before is consumed | nobody |
//!
//! # Invariants
//!
//! * I1. A control word never recurs: each transition raises (lap, FULL, CLOSED) in lexical order.
//! * I2. The descriptor of a slot changes only in the CAS that makes it FULL.
//! * I3. `tail` is at most the first unpublished position, `head` at most the first unconsumed one. Hints lag, and
//!   never lead: each is stored only with a position that was seen to be done.
//! * I4. Published positions are a prefix, and so are consumed ones: by I3 a producer reaches position p + 1 only
//!   after it saw p published, a consumer only after it saw p consumed.
//! * I5. CLOSED is set only in the control of a full ring's oldest slot, so all of the ring was published before.
//!
//! # Ordering
//!
//! * E1 "publication": `push`'s CAS (full fence) → `pop`'s Acquire load of the control. Publishes the block behind
//!   the descriptor.
//! * E2 "consumption": `pop`'s CAS (AcqRel) → `push`'s Acquire load of FREE. What the consumer did before, its note
//!   included, is visible to whoever sees the slot free.
//! * E3 "the hint": `push`'s Release of tail → `tail_hint`'s Acquire, and `pop`'s Release of head → `head_hint`'s. Who
//!   sees the hint sees the controls of all positions before it as done; else a hint would seem to lead (I3).
//!
//! # Crash points
//!
//! Before a CAS: nothing happened. After it: it happened, and a hint lags, which costs the next one a step. The block
//! behind the descriptor has its own owner word ([`crate::block`]).
//!
//! Source: Vyukov's bounded MPMC queue, with the sequence word and the datum replaced together.

#[cfg(all(test, not(loom)))]
mod tests;

use core::ptr::NonNull;

use crate::primitive::{AtomicU64, CachePadded, Ordering, Pair, spin_hint};

/// The slot holds a published descriptor.
const FULL: u64 = 1;
/// Nothing more will be published.
const CLOSED: u64 = 2;
/// Bits below the lap.
const LAP_SHIFT: u32 = 2;
/// The largest capacity of one ring.
pub const MAX_CAPACITY: u64 = 1 << 26;
/// After so many steps without an end, and some rounds of the ring, the memory is held for corrupt: no honest history comes
/// near.
const MAX_STEPS: u64 = 1 << 24;

/// The shared words of a ring; the slots follow.
#[repr(C)]
pub struct Header {
    /// Number of slots. Written by `init`, read once by `attach`.
    capacity: CachePadded<AtomicU64>,
    /// Producers' hint (I3). A stale read costs steps.
    tail: CachePadded<AtomicU64>,
    /// Consumers' hint (I3). A stale read costs steps.
    head: CachePadded<AtomicU64>,
}

/// A ring in memory that outlives this view. Cheap to copy; geometry is private to the view.
#[derive(Clone, Copy)]
pub struct Ring {
    header: NonNull<Header>,
    slots: NonNull<Pair>,
    capacity: u64,
    shift: u32,
}

// SAFETY: all shared state is atomic, and the view itself is never changed.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

/// Why a push did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushError {
    /// All slots hold unconsumed descriptors.
    Full,
    /// The ring was closed for good; a successor takes over.
    Closed,
    /// The shared words contradict each other: some process wrote where it must not.
    Corrupt,
}

/// Why a pop brought nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PopError {
    /// Nothing is published.
    Empty,
    /// Closed, and all of it is consumed.
    Drained,
    /// The shared words contradict each other: some process wrote where it must not.
    Corrupt,
}

/// The memory given does not hold a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachError {
    /// The capacity is 0 or above [`MAX_CAPACITY`].
    Capacity(u64),
    /// The memory is smaller than the ring says.
    Truncated,
}

/// What a producer that looks at a slot from position `pos` does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TailStep {
    Publish,
    Full,
    Closed,
    Jump(u64),
    Corrupt,
}

/// What a consumer that looks at a slot from position `pos` does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HeadStep {
    Take,
    Empty,
    Drained,
    Jump(u64),
    Corrupt,
}

impl Ring {
    /// Bytes that a ring of this capacity occupies, aligned to 64.
    ///
    /// # Errors
    ///
    /// [`AttachError::Capacity`] for 0 or more than [`MAX_CAPACITY`].
    pub fn bytes(capacity: u64) -> Result<usize, AttachError> {
        if capacity == 0 || capacity > MAX_CAPACITY {
            return Err(AttachError::Capacity(capacity));
        }
        let slots = capacity as usize * size_of::<Pair>();
        Ok(size_of::<Header>() + slots.next_multiple_of(64))
    }

    /// Writes an empty ring and returns its view.
    ///
    /// # Errors
    ///
    /// As [`Ring::bytes`].
    ///
    /// # Safety
    ///
    /// `at` is aligned to 64 and valid for [`Ring::bytes`] bytes for as long as any view is used, and nobody else
    /// uses the memory yet.
    pub unsafe fn init(at: NonNull<u8>, capacity: u64) -> Result<Self, AttachError> {
        let ring = Self::view(at, capacity)?;
        // SAFETY: room for the header, by the caller's promise.
        unsafe {
            ring.header.write(Header {
                capacity: CachePadded::new(AtomicU64::new(capacity)),
                tail: CachePadded::new(AtomicU64::new(0)),
                head: CachePadded::new(AtomicU64::new(0)),
            });
        }
        for index in 0..capacity {
            // SAFETY: slot `index` lies within the ring's bytes.
            unsafe { ring.slots.add(index as usize).write(Pair::new(0, 0)) };
        }
        Ok(ring)
    }

    /// Views a ring that another process made in `len` bytes at `at`.
    ///
    /// # Errors
    ///
    /// [`AttachError`] where the memory cannot hold what the ring says of itself.
    ///
    /// # Safety
    ///
    /// `at` is aligned to 64 and valid for `len` bytes for as long as any view is used.
    pub unsafe fn attach(at: NonNull<u8>, len: usize) -> Result<Self, AttachError> {
        if len < size_of::<Header>() {
            return Err(AttachError::Truncated);
        }
        // SAFETY: room for a header, just checked; all bit patterns are valid for atomics.
        let header = unsafe { at.cast::<Header>().as_ref() };
        // ORDERING: Relaxed; written before the address was published to us. Read once, then checked.
        let capacity = header.capacity.load(Ordering::Relaxed);
        let ring = Self::view(at, capacity)?;
        if Self::bytes(capacity)? > len { Err(AttachError::Truncated) } else { Ok(ring) }
    }

    fn view(at: NonNull<u8>, capacity: u64) -> Result<Self, AttachError> {
        Self::bytes(capacity)?;
        // SAFETY: within the ring's bytes, which begin with the header.
        let slots = unsafe { at.add(size_of::<Header>()).cast() };
        let shift = (capacity * 2 - 1).ilog2();
        Ok(Self { header: at.cast(), slots, capacity, shift })
    }

    /// The exact number of descriptors it holds when full.
    #[inline]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Publishes `descriptor`. `claim` is called with the position before each attempt to publish there, so that a
    /// block's owner word can name it first. Returns the position of publication.
    ///
    /// The publication is a full fence.
    ///
    /// # Errors
    ///
    /// [`PushError`]; the descriptor was not published.
    #[inline]
    pub fn push(&self, descriptor: u64, mut claim: impl FnMut(u64)) -> Result<u64, PushError> {
        let mut pos = self.tail_hint();
        let mut lost = 0;
        for _ in 0..self.max_steps() {
            let slot = self.slot(pos);
            // ORDERING: Acquire, E2, pairs with the CAS in `pop`.
            let control = slot.lo(Ordering::Acquire);
            match self.tail_step(control, pos) {
                TailStep::Publish => {
                    // ORDERING: Relaxed; by I2 stable while the control is FREE(l), which the CAS confirms.
                    let old = slot.hi(Ordering::Relaxed);
                    claim(pos);
                    crash_point!("mpmc.push.before_publish");
                    // ORDERING: a full fence, E1, pairs with the Acquire load in `pop`.
                    if slot.replace((control, old), (control | FULL, descriptor)) {
                        crash_point!("mpmc.push.after_publish");
                        // ORDERING: Release, E3, pairs with the Acquire in `tail_hint`.
                        self.header().tail.store(self.next(pos), Ordering::Release);
                        crash_point!("mpmc.push.after_hint");
                        return Ok(pos);
                    }
                    back_off(&mut lost);
                    pos = self.tail_hint();
                }
                TailStep::Jump(to) => pos = to,
                TailStep::Full => return Err(PushError::Full),
                TailStep::Closed => return Err(PushError::Closed),
                TailStep::Corrupt => return Err(PushError::Corrupt),
            }
        }
        Err(PushError::Corrupt)
    }

    /// Takes the oldest descriptor. `note` is called with position and descriptor before each attempt to take it, so
    /// that a taker's death between the CAS and the block's owner word can be told. Returns both.
    ///
    /// The descriptor is a word that a peer wrote: check it before use.
    ///
    /// # Errors
    ///
    /// [`PopError`]; nothing was taken.
    #[inline]
    pub fn pop(&self, mut note: impl FnMut(u64, u64)) -> Result<(u64, u64), PopError> {
        let mut pos = self.head_hint();
        let mut lost = 0;
        for _ in 0..self.max_steps() {
            let slot = self.slot(pos);
            // ORDERING: Acquire, E1, pairs with the CAS in `push`.
            let control = slot.lo(Ordering::Acquire);
            match self.head_step(control, pos) {
                HeadStep::Take => {
                    // ORDERING: Relaxed; by I2 it belongs to this control, which the CAS confirms (I1).
                    let descriptor = slot.hi(Ordering::Relaxed);
                    note(pos, descriptor);
                    crash_point!("mpmc.pop.before_take");
                    // ORDERING: AcqRel, E2, pairs with the Acquire load in `push`.
                    if slot.replace_lo(control, taken(control), Ordering::AcqRel) {
                        crash_point!("mpmc.pop.after_take");
                        // ORDERING: Release, E3, pairs with the Acquire in `head_hint`.
                        self.header().head.store(self.next(pos), Ordering::Release);
                        crash_point!("mpmc.pop.after_hint");
                        return Ok((pos, descriptor));
                    }
                    back_off(&mut lost);
                    pos = self.head_hint();
                }
                HeadStep::Jump(to) => pos = to,
                HeadStep::Empty => return Err(PopError::Empty),
                HeadStep::Drained => return Err(PopError::Drained),
                HeadStep::Corrupt => return Err(PopError::Corrupt),
            }
        }
        Err(PopError::Corrupt)
    }

    /// Closes the ring for good if it is full now. Afterwards every push says `Closed`, and pops bring what is left
    /// and then `Drained`. Returns `false`, and does nothing, if the ring was not full.
    #[cold]
    pub fn close_if_full(&self) -> bool {
        let mut pos = self.tail_hint();
        for _ in 0..self.max_steps() {
            let slot = self.slot(pos);
            // ORDERING: Relaxed; confirmed by the CAS, nothing is read through it.
            let control = slot.lo(Ordering::Relaxed);
            match self.tail_step(control, pos) {
                TailStep::Closed => return true,
                TailStep::Full => {
                    crash_point!("mpmc.close.before_mark");
                    // ORDERING: AcqRel; the successor ring was made known before (chain, E1).
                    if slot.replace_lo(control, control | CLOSED, Ordering::AcqRel) {
                        crash_point!("mpmc.close.after_mark");
                        return true;
                    }
                }
                TailStep::Jump(to) => pos = to,
                TailStep::Publish | TailStep::Corrupt => return false,
            }
        }
        false
    }

    /// Whether position `pos` is published, unconsumed, and holds a descriptor that is `wanted`.
    pub fn holds(&self, pos: u64, wanted: impl FnOnce(u64) -> bool) -> bool {
        if self.index(pos) >= self.capacity {
            return false;
        }
        let slot = self.slot(pos);
        let full = |control: u64| control & FULL != 0 && control >> LAP_SHIFT == self.lap(pos);
        // ORDERING: Acquire, E1 and E2: both sides' words are visible to what the caller looks at next.
        let before = slot.lo(Ordering::Acquire);
        // ORDERING: Acquire, so that the second look at the control comes after it.
        let found = slot.hi(Ordering::Acquire);
        // ORDERING: Acquire, as above. By I1 an unchanged control means that the descriptor was its own.
        full(before) && wanted(found) && slot.lo(Ordering::Acquire) == before
    }

    /// How many descriptors are published and not consumed. Exact if nobody is at work meanwhile; between 0 and the
    /// capacity in any case.
    pub fn len(&self) -> u64 {
        let head = self.first_unconsumed();
        let tail = self.first_unpublished();
        self.ordinal(tail).saturating_sub(self.ordinal(head)).min(self.capacity)
    }

    /// How many descriptors were ever published. Exact if nobody is at work meanwhile.
    pub fn published(&self) -> u64 {
        self.ordinal(self.first_unpublished())
    }

    /// A number that grows when a descriptor is taken, and not before. It lags as the hint does.
    #[inline]
    pub fn taken(&self) -> u64 {
        // ORDERING: Relaxed; a number that stands for itself.
        self.header().head.load(Ordering::Relaxed)
    }

    /// Whether nothing was published at the moment of the look.
    pub fn is_empty(&self) -> bool {
        let pos = self.first_unconsumed();
        // ORDERING: Relaxed; the answer may be old when it returns.
        let control = self.slot(pos).lo(Ordering::Relaxed);
        matches!(self.head_step(control, pos), HeadStep::Empty | HeadStep::Drained)
    }

    /// Whether nothing could be published at the moment of the look. A closed ring is not full.
    pub fn is_full(&self) -> bool {
        let pos = self.first_unpublished();
        // ORDERING: Relaxed; the answer may be old when it returns.
        let control = self.slot(pos).lo(Ordering::Relaxed);
        self.tail_step(control, pos) == TailStep::Full
    }

    /// Whether the ring was closed.
    pub fn is_closed(&self) -> bool {
        let pos = self.first_unpublished();
        // ORDERING: Relaxed; CLOSED never goes away.
        let control = self.slot(pos).lo(Ordering::Relaxed);
        self.tail_step(control, pos) == TailStep::Closed
    }

    fn first_unpublished(&self) -> u64 {
        let mut pos = self.tail_hint();
        for _ in 0..self.max_steps() {
            // ORDERING: Acquire, so that what is published is seen in order (I4).
            match self.tail_step(self.slot(pos).lo(Ordering::Acquire), pos) {
                TailStep::Jump(to) => pos = to,
                _ => break,
            }
        }
        pos
    }

    fn first_unconsumed(&self) -> u64 {
        let mut pos = self.head_hint();
        for _ in 0..self.max_steps() {
            // ORDERING: Acquire, as above.
            match self.head_step(self.slot(pos).lo(Ordering::Acquire), pos) {
                HeadStep::Jump(to) => pos = to,
                _ => break,
            }
        }
        pos
    }

    /// A hint that was stored by a process that had been stopped meanwhile lags by any number of laps. From there it is one
    /// jump to the lap at hand, and then a step for each slot up to its end: a round of the ring. Each lost CAS begins anew.
    #[inline]
    fn max_steps(&self) -> u64 {
        MAX_STEPS + 4 * self.capacity
    }

    #[inline]
    fn tail_hint(&self) -> u64 {
        // ORDERING: Acquire, E3, pairs with the Release in `push`.
        self.sane(self.header().tail.load(Ordering::Acquire))
    }

    #[inline]
    fn head_hint(&self) -> u64 {
        // ORDERING: Acquire, E3, pairs with the Release in `pop`.
        self.sane(self.header().head.load(Ordering::Acquire))
    }

    /// A hint with an index beyond the capacity comes from a peer gone mad; begin at the front of its lap.
    #[inline]
    fn sane(&self, pos: u64) -> u64 {
        if self.index(pos) < self.capacity { pos } else { self.lap(pos) << self.shift }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: valid for as long as the view is used, by the promise made to `init` or `attach`.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    fn slot(&self, pos: u64) -> &Pair {
        debug_assert!(self.index(pos) < self.capacity);
        // SAFETY: positions in use have an index below the capacity: `sane` and `next` see to it.
        // SAFETY: the slots are valid for as long as the view is used.
        unsafe { self.slots.add(self.index(pos) as usize).as_ref() }
    }

    #[inline]
    fn index(&self, pos: u64) -> u64 {
        pos & ((1 << self.shift) - 1)
    }

    #[inline]
    fn lap(&self, pos: u64) -> u64 {
        pos >> self.shift
    }

    /// The position after `pos`.
    #[inline]
    fn next(&self, pos: u64) -> u64 {
        if self.index(pos) + 1 < self.capacity {
            pos + 1
        } else {
            (self.lap(pos) + 1) << self.shift
        }
    }

    /// How many positions come before `pos`.
    fn ordinal(&self, pos: u64) -> u64 {
        self.lap(pos).wrapping_mul(self.capacity).wrapping_add(self.index(pos))
    }

    #[inline]
    fn tail_step(&self, control: u64, pos: u64) -> TailStep {
        let (lap, found) = (self.lap(pos), control >> LAP_SHIFT);
        let full = control & FULL != 0;
        if found == lap && !full {
            return if control & CLOSED != 0 { TailStep::Closed } else { TailStep::Publish };
        }
        if full && found.wrapping_add(1) == lap {
            return if control & CLOSED != 0 { TailStep::Closed } else { TailStep::Full };
        }
        if found < lap {
            return TailStep::Corrupt; // a hint led, which I3 excludes
        }
        // The hint lags: (found, i) is published, or (found - 1, i) is consumed.
        let done = if full { found } else { found - 1 };
        let to = self.next(done << self.shift | self.index(pos));
        if to > pos { TailStep::Jump(to) } else { TailStep::Corrupt } // a lap that no ring lives to see
    }

    #[inline]
    fn head_step(&self, control: u64, pos: u64) -> HeadStep {
        let (lap, found) = (self.lap(pos), control >> LAP_SHIFT);
        if found == lap {
            return match control & (FULL | CLOSED) {
                0 => HeadStep::Empty,
                CLOSED => HeadStep::Drained,
                _ => HeadStep::Take,
            };
        }
        if found < lap {
            return HeadStep::Corrupt; // a hint led, which I3 excludes
        }
        // The hint lags: (found - 1, i) is consumed. Nothing more is known: never jump by the tail's rule.
        let to = self.next((found - 1) << self.shift | self.index(pos));
        if to > pos { HeadStep::Jump(to) } else { HeadStep::Corrupt } // a lap that no ring lives to see
    }
}

/// The control that a consumer leaves behind.
#[inline]
fn taken(control: u64) -> u64 {
    (control & !FULL).wrapping_add(1 << LAP_SHIFT)
}

/// After a lost CAS: let the winners move on before reading their lines again.
#[cold]
fn back_off(lost: &mut u32) {
    for _ in 0..1 << (*lost).min(5) {
        spin_hint();
    }
    *lost += 1;
}
