//! A bounded many-to-many priority queue of 64-bit descriptors: the smallest key first, equal keys in the order in which
//! they came.
//!
//! One works at a time: `lock`, then `push` or `pop`, each in a number of steps that the capacity bounds. A dead holder's
//! lock goes to the next, who puts in order what the dead one left. A *stopped* holder is waited for. Capacity is exact
//! for any number from 1 to 2^23. Nothing here sleeps but who waits for the lock.
//!
//! What is in the queue is what the slots say, each by one store; the order is derived from them, and is made anew from
//! them when a holder has died. Who looks for blocks of the dead asks the slots and needs no lock.
//!
//! # Memory
//!
//! ```text
//! header   line 0  | capacity |                  written once
//!          line 2  | lock (u32) |
//!          line 4  | len | next sequence |       written under the lock
//! slots    32 bytes each:
//!          | control (u64)           | descriptor (u64) | key (u64) | 0 |
//!          control:  63 ......... 1  | 0
//!                    sequence        | FULL
//! order    4 bytes each: a permutation of the slots' indices
//!          | a binary heap of the `len` slots that are FULL | the others |
//! ```
//!
//! A *position* is the low 40 bits of a sequence, and the index of its slot in 24 bits.
//!
//! | control | meaning | left by |
//! |---|---|---|
//! | sequence, FULL | that message is in the queue | the holder who pushes: one store |
//! | sequence | it was taken, or there was none yet | the holder who pops: one store |
//!
//! # Invariants
//!
//! * I1. Slots, `len`, `next` and `order` are written by the holder of the lock alone.
//! * I2. Descriptor and key of a slot change only while it is not FULL.
//! * I3. No sequence comes twice: `next` is above that of every slot, and a holder after a death makes it so again.
//! * I4. While nobody holds the lock, and no holder has died since, `order` is a permutation, its first `len` entries are
//!   the FULL slots, and none of them is before its parent.
//!
//! # Ordering
//!
//! * E1 "turns": the lock's edges. Whatever a holder wrote is there for the next.
//! * E2 "publication": `push`'s Release of the control → `holds`' Acquire. Publishes the descriptor and the block's owner
//!   word.
//! * E3 "consumption": `pop`'s Release of the control → `holds`' Acquire. What the consumer noted before is visible to
//!   whoever sees the slot taken.
//!
//! # Crash points
//!
//! Before the store of a control: nothing happened. After it: it happened, and `len`, `next` and `order` may say anything.
//! The next holder is told of the death and makes them from the slots; killed at that, so does the one after.

#[cfg(all(test, not(loom)))]
mod tests;

use core::ptr::NonNull;

use super::Corrupt;
use super::mpmc::AttachError;
use super::spsc_slots::PushError;
use crate::futex::Scope;
use crate::owner::OwnerId;
use crate::primitive::{AtomicU32, AtomicU64, CachePadded, Ordering};
use crate::sync::{Acquired, Mutex};
use crate::wait::Waiter;

/// The slot holds a message.
const FULL: u64 = 1;
/// Bits of a position that hold the index.
const INDEX_BITS: u32 = 24;
/// The largest capacity.
pub const MAX_CAPACITY: u64 = 1 << 23;

/// The shared words; slots and order follow.
#[repr(C)]
pub struct Header {
    /// Number of slots. Written by `init`, read once by `attach`.
    capacity: CachePadded<AtomicU64>,
    lock: CachePadded<Mutex>,
    words: CachePadded<Words>,
}

/// What is derived from the slots.
#[repr(C)]
struct Words {
    /// How many are FULL. Written by the holder; others read it as a glance.
    len: AtomicU64,
    /// The next sequence. Written and read by the holder.
    next: AtomicU64,
}

/// One slot.
#[repr(C)]
pub struct Slot {
    /// Sequence and FULL. Written by the holder, read by anybody.
    control: AtomicU64,
    /// Written by the holder before the control, read by anybody after it.
    descriptor: AtomicU64,
    /// Written by the holder before the control, read by holders.
    key: AtomicU64,
    zero: AtomicU64,
}

/// A priority queue in memory that outlives this view. Cheap to copy; geometry is private to the view.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    header: NonNull<Header>,
    slots: NonNull<Slot>,
    order: NonNull<AtomicU32>,
    capacity: u64,
}

// SAFETY: all shared state is atomic, and the view itself is never changed.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

/// The lock, held. It is given back when this is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    heap: &'a Heap,
    me: OwnerId,
    scope: Scope,
}

/// A message that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Popped {
    /// Where it was published.
    pub position: u64,
    /// A word that a peer wrote: check it before use.
    pub descriptor: u64,
    /// Its key.
    pub key: u64,
}

impl Heap {
    /// Bytes that a queue of this capacity occupies, aligned to 64.
    ///
    /// # Errors
    ///
    /// [`AttachError::Capacity`] for 0 or more than [`MAX_CAPACITY`].
    pub fn bytes(capacity: u64) -> Result<usize, AttachError> {
        if capacity == 0 || capacity > MAX_CAPACITY {
            return Err(AttachError::Capacity(capacity));
        }
        let each = size_of::<Slot>() + size_of::<AtomicU32>();
        Ok((size_of::<Header>() + capacity as usize * each).next_multiple_of(64))
    }

    /// Writes an empty queue and returns its view.
    ///
    /// # Errors
    ///
    /// As [`Heap::bytes`].
    ///
    /// # Safety
    ///
    /// `at` is aligned to 128 and valid for [`Heap::bytes`] bytes for as long as any view is used, and nobody else uses
    /// the memory yet.
    pub unsafe fn init(at: NonNull<u8>, capacity: u64) -> Result<Self, AttachError> {
        let heap = Self::view(at, capacity)?;
        // SAFETY: room for the header, by the caller's promise.
        unsafe {
            heap.header.write(Header {
                capacity: CachePadded::new(AtomicU64::new(capacity)),
                lock: CachePadded::new(Mutex::new()),
                words: CachePadded::new(Words { len: AtomicU64::new(0), next: AtomicU64::new(1) }),
            });
        }
        for index in 0..capacity as usize {
            let [control, descriptor, key, zero] = [(); 4].map(|()| AtomicU64::new(0));
            // SAFETY: slot and entry `index` lie within the queue's bytes.
            unsafe {
                heap.slots.add(index).write(Slot { control, descriptor, key, zero });
                heap.order.add(index).write(AtomicU32::new(index as u32));
            }
        }
        Ok(heap)
    }

    /// Views a queue that another process made in `len` bytes at `at`.
    ///
    /// # Errors
    ///
    /// [`AttachError`] where the memory cannot hold what the queue says of itself.
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
        let heap = Self::view(at, capacity)?;
        if Self::bytes(capacity)? > len { Err(AttachError::Truncated) } else { Ok(heap) }
    }

    fn view(at: NonNull<u8>, capacity: u64) -> Result<Self, AttachError> {
        Self::bytes(capacity)?;
        // SAFETY: within the queue's bytes: the header, then the slots, then the order.
        let (slots, order) = unsafe {
            let slots = at.add(size_of::<Header>()).cast::<Slot>();
            (slots, slots.add(capacity as usize).cast())
        };
        Ok(Self { header: at.cast(), slots, order, capacity })
    }

    /// The exact number of descriptors it holds when full.
    #[inline]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Takes a turn, waiting for a living holder; after a dead one, puts in order what it left.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up.
    #[inline]
    pub fn lock<W: Waiter>(&self, me: OwnerId, waiter: &mut W) -> Result<Turn<'_>, W::Stop> {
        let scope = waiter.scope();
        let how = self.header().lock.lock(me, waiter)?;
        let turn = Turn { heap: self, me, scope };
        if how == Acquired::AfterDeath {
            turn.rebuild();
        }
        Ok(turn)
    }

    /// How many descriptors are in it. A glance: exact if nobody is at work meanwhile, and none has died at it since.
    #[inline]
    pub fn len(&self) -> u64 {
        // ORDERING: Acquire, E1 where the holder has unlocked since; a glance otherwise.
        self.header().words.len.load(Ordering::Acquire).min(self.capacity)
    }

    /// Whether there are none. A glance, as [`Heap::len`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whose turn it is, if anybody's. A glance: it may be old when it returns.
    pub fn holder(&self) -> Option<OwnerId> {
        self.header().lock.owner()
    }

    /// Whether a holder died, and nobody has put in order yet what it left: a glance is not to be trusted then.
    #[inline]
    pub fn is_in_doubt(&self) -> bool {
        self.header().lock.is_orphaned()
    }

    /// Takes all descriptors in no order, as the queue ends: nobody else is at work, and nobody takes a turn. `note` is
    /// called with position and descriptor before each is taken, `taken` after it.
    pub fn drain(&self, note: impl Fn(u64, u64), mut taken: impl FnMut(u64, u64)) {
        for index in 0..self.capacity as u32 {
            let slot = self.slot(index);
            // ORDERING: Acquire for both, E2: whoever pushed has no handle any more.
            let control = slot.control.load(Ordering::Acquire);
            if control & FULL == 0 {
                continue;
            }
            let descriptor = slot.descriptor.load(Ordering::Acquire);
            let position = position_of(index, control);
            note(position, descriptor);
            crash_point!("heap.drain.noted");
            // ORDERING: Release, E3.
            slot.control.store(control & !FULL, Ordering::Release);
            crash_point!("heap.drain.taken");
            taken(position, descriptor);
        }
    }

    /// Whether `position` is published, unconsumed, and holds a descriptor that is `wanted`.
    pub fn holds(&self, position: u64, wanted: impl FnOnce(u64) -> bool) -> bool {
        let index = position & ((1 << INDEX_BITS) - 1);
        if index >= self.capacity {
            return false;
        }
        let slot = self.slot(index as u32);
        // ORDERING: Acquire, E2 and E3: both sides' words are visible to what the caller looks at next.
        let before = slot.control.load(Ordering::Acquire);
        let full = before & FULL != 0 && position_of(index as u32, before) == position;
        // ORDERING: Acquire, so that the second look at the control comes after it.
        let found = slot.descriptor.load(Ordering::Acquire);
        // ORDERING: Acquire, as above. By I2 and I3 an unchanged control means that the descriptor was its own.
        full && wanted(found) && slot.control.load(Ordering::Acquire) == before
    }

    /// Death procedure: gives up the turn of the dead `owner`. Idempotent.
    pub fn recover(&self, owner: OwnerId, scope: Scope) -> bool {
        self.header().lock.recover(owner, scope)
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: valid for as long as the view is used, by the promise made to `init` or `attach`.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot {
        debug_assert!(u64::from(index) < self.capacity);
        // SAFETY: callers name indices below the capacity.
        // SAFETY: the slots are valid for as long as the view is used.
        unsafe { self.slots.add(index as usize).as_ref() }
    }

    #[inline]
    fn entry(&self, place: u64) -> &AtomicU32 {
        debug_assert!(place < self.capacity);
        // SAFETY: callers name places below the capacity.
        // SAFETY: the order is valid for as long as the view is used.
        unsafe { self.order.add(place as usize).as_ref() }
    }
}

impl Turn<'_> {
    /// Puts `descriptor` in. `claim` is called with the position before it is published there, so that a block's owner
    /// word can name it first. Returns the position.
    ///
    /// # Errors
    ///
    /// [`PushError`]; the descriptor was not published.
    pub fn push(
        &self,
        key: u64,
        descriptor: u64,
        claim: impl FnOnce(u64),
    ) -> Result<u64, PushError> {
        let len = self.len().map_err(|Corrupt| PushError::Corrupt)?;
        if len == self.heap.capacity {
            return Err(PushError::Full);
        }
        let index = self.index_at(len, 0).ok_or(PushError::Corrupt)?;
        let (sequence, next) = self.sequence().ok_or(PushError::Corrupt)?;
        let (slot, control) = (self.heap.slot(index), sequence << 1 | FULL);
        let position = position_of(index, control);
        // The order first: where that is found damaged nothing was published.
        self.rise(len, index, (key, control)).map_err(|Corrupt| PushError::Corrupt)?;
        claim(position);
        crash_point!("heap.push.before_key");
        // ORDERING: Relaxed; E1, I1.
        slot.key.store(key, Ordering::Relaxed);
        crash_point!("heap.push.before_descriptor");
        // ORDERING: Release, so that `holds` finds it changed only where it also finds the control changed (I2).
        slot.descriptor.store(descriptor, Ordering::Release);
        crash_point!("heap.push.before_publish");
        // ORDERING: Release, E2.
        slot.control.store(control, Ordering::Release);
        crash_point!("heap.push.after_publish");
        // ORDERING: Relaxed; E1, I1.
        self.words().next.store(next, Ordering::Relaxed);
        crash_point!("heap.push.before_len");
        self.set_len(len + 1);
        crash_point!("heap.push.after_len");
        Ok(position)
    }

    /// Takes the first descriptor, if there is one. `note` is called with position and descriptor before it is taken, so
    /// that a taker's death before the block's owner word is changed can be told.
    ///
    /// # Errors
    ///
    /// [`Corrupt`]; nothing was taken.
    pub fn pop(&self, note: impl FnOnce(u64, u64)) -> Result<Option<Popped>, Corrupt> {
        let Some(rest) = self.len()?.checked_sub(1) else { return Ok(None) };
        let index = self.index_at(0, FULL).ok_or(Corrupt)?;
        let last = self.index_at(rest, FULL).ok_or(Corrupt)?;
        let slot = self.heap.slot(index);
        // ORDERING: Relaxed for the three; E1, I1.
        let control = slot.control.load(Ordering::Relaxed);
        let descriptor = slot.descriptor.load(Ordering::Relaxed);
        let key = slot.key.load(Ordering::Relaxed);
        let position = position_of(index, control);
        // The order first: where that is found damaged nothing was taken.
        self.sink(0, last, rest)?;
        note(position, descriptor);
        crash_point!("heap.pop.before_take");
        // ORDERING: Release, E3.
        slot.control.store(control & !FULL, Ordering::Release);
        crash_point!("heap.pop.after_take");
        self.put(rest, index);
        crash_point!("heap.pop.before_len");
        self.set_len(rest);
        crash_point!("heap.pop.after_len");
        Ok(Some(Popped { position, descriptor, key }))
    }

    /// Makes length, sequence and order anew from the slots (I4). Takes time in proportion to the capacity.
    #[cold]
    fn rebuild(&self) {
        let (mut full, mut free, mut last) = (0, self.heap.capacity, 0);
        for index in 0..self.heap.capacity as u32 {
            // ORDERING: Relaxed; E1, I1.
            let control = self.heap.slot(index).control.load(Ordering::Relaxed);
            last = last.max(control >> 1);
            if control & FULL != 0 {
                self.put(full, index);
                full += 1;
            } else {
                free -= 1;
                self.put(free, index);
            }
        }
        crash_point!("heap.rebuild.before_order");
        for place in (0..full / 2).rev() {
            if let Some(index) = self.index_at(place, FULL) {
                // Only a peer gone mad makes this fail; the next one to come by that place is told.
                let _ = self.sink(place, index, full);
            }
        }
        crash_point!("heap.rebuild.before_next");
        // ORDERING: Relaxed; E1, I1.
        self.words().next.store(last + 1, Ordering::Relaxed);
        crash_point!("heap.rebuild.before_len");
        self.set_len(full);
        crash_point!("heap.rebuild.after_len");
    }

    /// Places the slot `index`, of this rank, at the free `place` or above it, at the first where its parent is not
    /// after it.
    fn rise(&self, mut place: u64, index: u32, rank: (u64, u64)) -> Result<(), Corrupt> {
        while place > 0 {
            let above = (place - 1) / 2;
            let parent = self.index_at(above, FULL).ok_or(Corrupt)?;
            if self.rank(parent) <= rank {
                break;
            }
            self.put(place, parent);
            crash_point!("heap.push.risen");
            place = above;
        }
        self.put(place, index);
        Ok(())
    }

    /// Places the slot `index` at the free `place` or below it, at the first where no child is before it; there are
    /// `len` places.
    fn sink(&self, mut place: u64, index: u32, len: u64) -> Result<(), Corrupt> {
        let rank = self.rank(index);
        while let Some((below, child)) = self.first_child(place, len)? {
            if rank <= self.rank(child) {
                break;
            }
            self.put(place, child);
            crash_point!("heap.sink.sunk");
            place = below;
        }
        self.put(place, index);
        Ok(())
    }

    /// The child of `place` that is before the other: its place and its slot.
    fn first_child(&self, place: u64, len: u64) -> Result<Option<(u64, u32)>, Corrupt> {
        let left = 2 * place + 1;
        if left >= len {
            return Ok(None);
        }
        let first = self.index_at(left, FULL).ok_or(Corrupt)?;
        if left + 1 == len {
            return Ok(Some((left, first)));
        }
        let second = self.index_at(left + 1, FULL).ok_or(Corrupt)?;
        let second_comes_first = self.rank(second) < self.rank(first);
        Ok(Some(if second_comes_first { (left + 1, second) } else { (left, first) }))
    }

    /// What slots are ordered by.
    #[inline]
    fn rank(&self, index: u32) -> (u64, u64) {
        let slot = self.heap.slot(index);
        // ORDERING: Relaxed for both; E1, I1.
        (slot.key.load(Ordering::Relaxed), slot.control.load(Ordering::Relaxed))
    }

    /// The slot at `place` of the order, unless that names none, or one that is not as `full` says.
    #[inline]
    fn index_at(&self, place: u64, full: u64) -> Option<u32> {
        // ORDERING: Relaxed; E1, I1. Read once, then checked.
        let index = self.heap.entry(place).load(Ordering::Relaxed);
        let fits = u64::from(index) < self.heap.capacity
            && self.heap.slot(index).control.load(Ordering::Relaxed) & FULL == full;
        fits.then_some(index)
    }

    #[inline]
    fn put(&self, place: u64, index: u32) {
        // ORDERING: Relaxed; E1, I1.
        self.heap.entry(place).store(index, Ordering::Relaxed);
    }

    fn len(&self) -> Result<u64, Corrupt> {
        // ORDERING: Relaxed; E1, I1. Read once, then checked.
        let len = self.words().len.load(Ordering::Relaxed);
        if len <= self.heap.capacity { Ok(len) } else { Err(Corrupt) }
    }

    fn set_len(&self, len: u64) {
        // ORDERING: Release; who glances at it sees the slots as they are.
        self.words().len.store(len, Ordering::Release);
    }

    /// The next sequence and the one after it. There is an end that no honest history comes near.
    fn sequence(&self) -> Option<(u64, u64)> {
        // ORDERING: Relaxed; E1, I1. Read once, then checked.
        let next = self.words().next.load(Ordering::Relaxed);
        (next < u64::MAX >> 1).then(|| (next, next + 1))
    }

    fn words(&self) -> &Words {
        &self.heap.header().words
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.heap.header().lock.unlock(self.me, self.scope);
    }
}

/// The position of what is in slot `index` with this control.
#[inline]
fn position_of(index: u32, control: u64) -> u64 {
    (control >> 1) << INDEX_BITS | u64::from(index)
}
