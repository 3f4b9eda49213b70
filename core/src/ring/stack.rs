//! A bounded many-to-many stack of 64-bit descriptors: last in, first out.
//!
//! `push` and `pop` are lock-free, and each takes effect in ONE compare-and-swap of the top: a process that is killed or
//! stopped at any instruction leaves the stack whole and in nobody's way. Capacity is exact for any number from 1 to
//! 2^23. Nothing here sleeps: the crate `slipring` adds that.
//!
//! The top word carries its own descriptor. Whoever moves the top first copies what it carries to its slot, unless
//! somebody did already: a copy that a dead or stopped process owes is made by the next one.
//!
//! # Memory
//!
//! ```text
//! header   line 0  | capacity |                                      written once
//!          line 2  | tag (u64)            | descriptor (u64)       | the top
//! slots    16 bytes each, one more than the capacity:
//!          | tag (u64)                    | descriptor (u64)       |
//!          tag:  63 ................. 24 | 23 .............. 0
//!                visit                   | index
//! ```
//!
//! Index 0 is the bottom: a top of index `n` means that `n` descriptors are in it, the last one beside the tag and those
//! below in the slots `1..n`. What slots above the top hold is old. A *visit* counts how often the top came to an index.
//!
//! | tag of slot `i` | meaning | left by |
//! |---|---|---|
//! | as the top's | what the top carries was copied | whoever was about to move the top |
//! | the top's, one visit earlier | it was not copied yet | the last one who moved the top |
//! | any other, index `i` | the top is elsewhere; its next visit here is one later | the copy before the top left |
//!
//! # Invariants
//!
//! * I1. The top's tag never recurs: each visit of an index is one later than the slot says, and before the top leaves
//!   an index the slot says that visit. (A visit has 40 bits; at ten million visits of one index a second they last
//!   for 30 hours. To be misled, a process has to be stopped between its load and its CAS for exactly that long.)
//! * I2. The top leaves an index only after its descriptor was copied to the slot.
//! * I3. A slot changes only while the top is at its index, and once in each visit.
//! * I4. By I1 a CAS of the top that succeeds found the top unmoved since it was read, and so by I3 the neighbouring
//!   slot that was read in between.
//!
//! # Ordering
//!
//! * E1 "publication": `push`'s CAS of the top (full fence) → every Acquire load of the top that reads it or a later one,
//!   for each CAS of the top reads the one before. Publishes the block behind the descriptor.
//! * E2 "consumption": `pop`'s CAS of the top (full fence) → the same loads. What the consumer did before, its note
//!   included, is visible to whoever sees the top moved.
//! * E3 "copied": the CAS of a slot (full fence) → the Acquire loads of slots.
//!
//! # Crash points
//!
//! Before the CAS of the top: nothing happened, or a copy was made. After it: it happened, and the next one makes the copy.
//! The block behind the descriptor has its own owner word ([`crate::block`]).
//!
//! Source: Shafiei's array-based stack (Non-blocking array-based algorithms for stacks and queues, 2009).

#[cfg(all(test, not(loom)))]
mod tests;

use core::ptr::NonNull;

use super::Corrupt;
use super::mpmc::AttachError;
use super::spsc_slots::PushError;
use crate::primitive::{AtomicU64, CachePadded, Ordering, Pair, spin_hint};

/// Bits of a tag that hold the index.
const INDEX_BITS: u32 = 24;
/// One visit.
const VISIT: u64 = 1 << INDEX_BITS;
/// The largest capacity of a stack.
pub const MAX_CAPACITY: u64 = 1 << 23;
/// After so many steps without an end the memory is held for corrupt: no honest history comes near.
const MAX_STEPS: u32 = 1 << 24;

/// The shared words of a stack; the slots follow.
#[repr(C)]
pub struct Header {
    /// Number of descriptors when full. Written by `init`, read once by `attach`.
    capacity: CachePadded<AtomicU64>,
    /// The truth.
    top: CachePadded<Pair>,
}

/// A stack in memory that outlives this view. Cheap to copy; geometry is private to the view.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    header: NonNull<Header>,
    slots: NonNull<Pair>,
    capacity: u64,
}

// SAFETY: all shared state is atomic, and the view itself is never changed.
unsafe impl Send for Stack {}
// SAFETY: as above.
unsafe impl Sync for Stack {}

/// The top as it was read: both words belong together only if a CAS on them succeeds.
#[derive(Clone, Copy)]
struct Top {
    tag: u64,
    descriptor: u64,
}

impl Stack {
    /// Bytes that a stack of this capacity occupies, aligned to 64.
    ///
    /// # Errors
    ///
    /// [`AttachError::Capacity`] for 0 or more than [`MAX_CAPACITY`].
    pub fn bytes(capacity: u64) -> Result<usize, AttachError> {
        if capacity == 0 || capacity > MAX_CAPACITY {
            return Err(AttachError::Capacity(capacity));
        }
        let slots = (capacity as usize + 1) * size_of::<Pair>();
        Ok(size_of::<Header>() + slots.next_multiple_of(64))
    }

    /// Writes an empty stack and returns its view.
    ///
    /// # Errors
    ///
    /// As [`Stack::bytes`].
    ///
    /// # Safety
    ///
    /// `at` is aligned to 128 and valid for [`Stack::bytes`] bytes for as long as any view is used, and nobody else
    /// uses the memory yet.
    pub unsafe fn init(at: NonNull<u8>, capacity: u64) -> Result<Self, AttachError> {
        let stack = Self::view(at, capacity)?;
        // SAFETY: room for the header, by the caller's promise.
        unsafe {
            stack.header.write(Header {
                capacity: CachePadded::new(AtomicU64::new(capacity)),
                top: CachePadded::new(Pair::new(0, 0)),
            });
        }
        for index in 0..=capacity {
            // SAFETY: slot `index` lies within the stack's bytes.
            unsafe { stack.slots.add(index as usize).write(Pair::new(index, 0)) };
        }
        Ok(stack)
    }

    /// Views a stack that another process made in `len` bytes at `at`.
    ///
    /// # Errors
    ///
    /// [`AttachError`] where the memory cannot hold what the stack says of itself.
    ///
    /// # Safety
    ///
    /// `at` is aligned to 128 and valid for `len` bytes for as long as any view is used.
    pub unsafe fn attach(at: NonNull<u8>, len: usize) -> Result<Self, AttachError> {
        if len < size_of::<Header>() {
            return Err(AttachError::Truncated);
        }
        // SAFETY: room for a header, just checked; all bit patterns are valid for atomics.
        let header = unsafe { at.cast::<Header>().as_ref() };
        // ORDERING: Relaxed; written before the address was published to us. Read once, then checked.
        let capacity = header.capacity.load(Ordering::Relaxed);
        let stack = Self::view(at, capacity)?;
        if Self::bytes(capacity)? > len { Err(AttachError::Truncated) } else { Ok(stack) }
    }

    fn view(at: NonNull<u8>, capacity: u64) -> Result<Self, AttachError> {
        Self::bytes(capacity)?;
        // SAFETY: within the stack's bytes, which begin with the header.
        let slots = unsafe { at.add(size_of::<Header>()).cast() };
        Ok(Self { header: at.cast(), slots, capacity })
    }

    /// The exact number of descriptors it holds when full.
    #[inline]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Puts `descriptor` on top. `claim` is called with the position before each attempt to publish there, so that a
    /// block's owner word can name it first. No position comes twice (I1). Returns the position of publication.
    ///
    /// The publication is a full fence.
    ///
    /// # Errors
    ///
    /// [`PushError`]; the descriptor was not published.
    #[inline]
    pub fn push(&self, descriptor: u64, mut claim: impl FnMut(u64)) -> Result<u64, PushError> {
        let mut lost = 0;
        for _ in 0..MAX_STEPS {
            let top = self.top();
            let index = self.index(top.tag).ok_or(PushError::Corrupt)?;
            if index == self.capacity {
                return Err(PushError::Full);
            }
            if !self.copy(top, index).map_err(|Corrupt| PushError::Corrupt)? {
                continue;
            }
            // ORDERING: Acquire, E3; by I4 of the last visit there, if the CAS succeeds.
            let above = self.slot(index + 1).lo(Ordering::Acquire);
            let position = next_visit(above, index + 1).ok_or(PushError::Corrupt)?;
            claim(position);
            crash_point!("stack.push.before_publish");
            // ORDERING: a full fence, E1.
            if self.header().top.replace(top.words(), (position, descriptor)) {
                crash_point!("stack.push.after_publish");
                return Ok(position);
            }
            back_off(&mut lost);
        }
        Err(PushError::Corrupt)
    }

    /// Takes the descriptor on top, if there is one. `note` is called with its depth and itself before each attempt to
    /// take it, so that a taker's death between the CAS and the block's owner word can be told. Returns both.
    ///
    /// The depth is what [`depth`] gives for the position at which it was pushed. The descriptor is a word that a peer
    /// wrote: check it before use.
    ///
    /// # Errors
    ///
    /// [`Corrupt`]; nothing was taken.
    #[inline]
    pub fn pop(&self, mut note: impl FnMut(u64, u64)) -> Result<Option<(u64, u64)>, Corrupt> {
        let mut lost = 0;
        for _ in 0..MAX_STEPS {
            let top = self.top();
            let index = self.index(top.tag).ok_or(Corrupt)?;
            if index == 0 {
                return Ok(None);
            }
            if !self.copy(top, index)? {
                continue;
            }
            let slot = self.slot(index - 1);
            // ORDERING: Acquire, E3; by I4 both belong together, and to what was pushed there, if the CAS succeeds.
            let (below, descriptor) = (slot.lo(Ordering::Acquire), slot.hi(Ordering::Acquire));
            let next = (next_visit(below, index - 1).ok_or(Corrupt)?, descriptor);
            note(index, top.descriptor);
            crash_point!("stack.pop.before_take");
            // ORDERING: a full fence, E2.
            if self.header().top.replace(top.words(), next) {
                crash_point!("stack.pop.after_take");
                return Ok(Some((index, top.descriptor)));
            }
            back_off(&mut lost);
        }
        Err(Corrupt)
    }

    /// Copies what the top carries to its slot, unless that was done. `false`: the top has moved meanwhile.
    #[inline]
    fn copy(&self, top: Top, index: u64) -> Result<bool, Corrupt> {
        let slot = self.slot(index);
        // ORDERING: Acquire, E3.
        let tag = slot.lo(Ordering::Acquire);
        if tag == top.tag {
            return Ok(true);
        }
        if next_visit(tag, index) != Some(top.tag) {
            // ORDERING: Acquire, E1 and E2. By I1 and I3 an unmoved top has a slot of its own visit or the last.
            let moved = self.header().top.lo(Ordering::Acquire) != top.tag;
            return if moved { Ok(false) } else { Err(Corrupt) };
        }
        // ORDERING: Acquire, E3; by I3 the slot's own if the CAS succeeds.
        let old = slot.hi(Ordering::Acquire);
        crash_point!("stack.copy.before");
        // ORDERING: a full fence, E3. It fails only where somebody else has made the copy. That of a top whose words
        // do not belong together fails: the second word was read after the top had left, so after the copy (I2).
        slot.replace((tag, old), top.words());
        crash_point!("stack.copy.after");
        Ok(true)
    }

    /// Whether the descriptor that is in the stack at the depth of `position` is `wanted`: at some moment of the call.
    pub fn holds(&self, position: u64, wanted: impl Fn(u64) -> bool) -> bool {
        let index = depth(position);
        if index == 0 || index > self.capacity {
            return false;
        }
        for _ in 0..MAX_STEPS {
            // ORDERING: Acquire, E1 and E2: both sides' words are visible to what the caller looks at next.
            let tag = self.header().top.lo(Ordering::Acquire);
            let top = depth(tag);
            if top < index {
                return false;
            }
            let found = if top == index {
                // ORDERING: Acquire, so that the second look at the tag comes after it.
                self.header().top.hi(Ordering::Acquire)
            } else {
                // ORDERING: Acquire, E3, and as above.
                self.slot(index).hi(Ordering::Acquire)
            };
            // ORDERING: Acquire, as above. By I1 and I3 an unmoved top means that what was read belongs to it.
            if self.header().top.lo(Ordering::Acquire) == tag {
                return wanted(found);
            }
        }
        // Nobody moves the top so often while this is asked. In doubt the block is not ours to free.
        true
    }

    /// How many descriptors are in it: exact at the moment of the look.
    pub fn len(&self) -> u64 {
        // ORDERING: Acquire, E1: who sees a message counted may take it.
        depth(self.header().top.lo(Ordering::Acquire)).min(self.capacity)
    }

    /// Whether there are none at the moment of the look.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn top(&self) -> Top {
        let top = &self.header().top;
        // ORDERING: Acquire for both, E1 and E2; the tag first, so that a descriptor that is not its own is a later one.
        Top { tag: top.lo(Ordering::Acquire), descriptor: top.hi(Ordering::Acquire) }
    }

    /// The index that a top's tag says, unless there is none such.
    #[inline]
    fn index(&self, tag: u64) -> Option<u64> {
        let index = depth(tag);
        (index <= self.capacity).then_some(index)
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: valid for as long as the view is used, by the promise made to `init` or `attach`.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    fn slot(&self, index: u64) -> &Pair {
        debug_assert!(index <= self.capacity);
        // SAFETY: callers name indices up to the capacity, and there is one slot more than that.
        // SAFETY: the slots are valid for as long as the view is used.
        unsafe { self.slots.add(index as usize).as_ref() }
    }
}

impl Top {
    #[inline]
    fn words(self) -> (u64, u64) {
        (self.tag, self.descriptor)
    }
}

/// How many descriptors were in the stack, the one pushed at `position` included.
#[inline]
pub fn depth(position: u64) -> u64 {
    position & (VISIT - 1)
}

/// The tag of the next visit of `index`, where the slot's says the last one. `None` for a tag of another index.
#[inline]
fn next_visit(tag: u64, index: u64) -> Option<u64> {
    (depth(tag) == index).then_some(tag.wrapping_add(VISIT))
}

/// After a lost CAS: let the winners move on before reading their lines again.
#[cold]
fn back_off(lost: &mut u32) {
    for _ in 0..1 << (*lost).min(5) {
        spin_hint();
    }
    *lost += 1;
}
