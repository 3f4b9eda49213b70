//! What values and arrays have in common: an object of items of one type, and a lock that may be taken or left.
//!
//! # Memory
//!
//! ```text
//! byte 0   | lock [u32] | alignment of an item [u32] | size of an item [u64] | number of items [u64] | locked [u32] | 0 |
//!          '---------------- sync/typed_lock.rs ----------------'
//!     32   | items, and zeros up to a multiple of 8 |    from byte 64 on where items are aligned to 64
//! ```
//!
//! # Invariants
//!
//! * I1. All but the lock and the items is written once, before the object is known. A handle checks it once and goes by
//!   its own copy from then on.
//! * I2. Items are accessed through [`bytes`] alone: by safe code, there is no data race whoever writes to them when.
//!
//! What a death does to values and arrays, and what observers are told of them, is in `cells/kinds.rs`.

mod kinds;

pub(crate) use kinds::{ArrayKind, ValueKind};

use std::alloc::Layout;
use std::ptr::NonNull;

use bytemuck::Pod;
use slipring_core::bytes;
use slipring_core::directory::EXTENT_UNIT;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, AtomicU64, Ordering};
use slipring_core::sync::Mutex;

use crate::member::Handle;
use crate::memory::Region;
use crate::object::{HEADER_BYTES, Kind, SharedWords};
use crate::sync::{Hold, Locking, TypedLock, Words};
use crate::{Error, Result, Segment};

/// So many bytes are filled at a time with copies of one item.
const FILL_BYTES: usize = 4096;

/// What stands before the items.
#[repr(C)]
pub(crate) struct Head {
    lock: TypedLock,
    count: AtomicU64,
    /// 1: whoever accesses the items takes the lock. 0: nobody does.
    locked: AtomicU32,
    _zero: u32,
}

/// Bytes before the items, where their alignment does not ask for more.
pub(crate) const HEAD_BYTES: u64 = size_of::<Head>() as u64;
const _: () = assert!(HEAD_BYTES == 32);

// SAFETY: atomics, of which all bit patterns are valid.
unsafe impl SharedWords for Head {}

/// A handle of items.
#[derive(Clone)]
pub(crate) struct Cells {
    words: Words<Head>,
    item: Layout,
    count: usize,
}

/// Whether the items are accessed under the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Locked {
    Yes,
    No,
}

/// The lock, while this lives.
pub(crate) type Held<'a> = Hold<'a, Cells>;

impl Locking for Cells {
    type Body = Head;

    #[inline]
    fn words(&self) -> &Words<Head> {
        &self.words
    }

    #[inline]
    fn lock_in(head: &Head) -> &Mutex {
        head.lock.lock()
    }
}

impl Head {
    /// Who holds the lock. A glance.
    pub(crate) fn owner(&self) -> Option<OwnerId> {
        self.lock.lock().owner()
    }

    /// Whether there is one.
    pub(crate) fn has_lock(&self) -> bool {
        // ORDERING: Relaxed; written before the object was known.
        self.locked.load(Ordering::Relaxed) != 0
    }

    /// Bytes of an item, and how many there are, unchecked.
    pub(crate) fn shape(&self) -> (u64, u64) {
        // ORDERING: Relaxed, as above.
        (self.lock.item().size, self.count.load(Ordering::Relaxed))
    }
}

impl Cells {
    /// Makes `count` items that may hold anything: nobody else knows of them yet.
    fn create(
        segment: &Segment,
        kind: Kind,
        item: Layout,
        count: usize,
        locked: Locked,
    ) -> Result<Self> {
        let lock = TypedLock::new(item)?;
        let len = body_len(item, count).filter(|len| *len <= room(segment)).ok_or_else(|| {
            let max = (room(segment) - first_item(item) as u64) / (item.size() as u64).max(1);
            let (what, wanted) = ("a number of items", count as u64);
            Error::Capacity { what, wanted, min: 0, max }
        })?;
        let words = Words::create_with(segment, kind, len, |at| {
            let head = Head {
                lock,
                count: AtomicU64::new(count as u64),
                locked: AtomicU32::new((locked == Locked::Yes).into()),
                _zero: 0,
            };
            // SAFETY: committed memory of `len` bytes, aligned to 128, that nobody else knows of.
            unsafe { at.cast::<Head>().write(head) };
        })?;
        crash_point!("cells.create.unfilled");
        Ok(Self { words, item, count })
    }

    /// Makes `count` items whose bytes are all zero.
    pub(crate) fn zeros(
        segment: &Segment,
        kind: Kind,
        item: Layout,
        count: usize,
        locked: Locked,
    ) -> Result<Self> {
        let cells = Self::create(segment, kind, item, count, locked)?;
        cells.clear();
        Ok(cells)
    }

    /// Makes copies of these items.
    pub(crate) fn copies<T: Pod>(
        segment: &Segment,
        kind: Kind,
        items: &[T],
        locked: Locked,
    ) -> Result<Self> {
        let cells = Self::create(segment, kind, Layout::new::<T>(), items.len(), locked)?;
        cells.write_from(0, items);
        Ok(cells)
    }

    /// The items that `handle` is of. `item` is what they have to be, unless that does not matter; `locked` says that
    /// they must be made to be accessed under the lock.
    pub(crate) fn open(handle: Handle, item: Option<Layout>, locked: Locked) -> Result<Self> {
        let words = Words::<Head>::from_handle(handle)?;
        let head = words.get();
        // ORDERING: Relaxed; written before the object was known.
        let count = head.count.load(Ordering::Relaxed) as usize;
        let (stated, is_locked) = (head.lock.item(), head.has_lock());
        let corrupt = |what| Error::Corrupt { what };
        let theirs = stated.layout();
        let theirs = theirs.ok_or_else(|| corrupt("items have an impossible size or alignment"))?;
        item.map_or(Ok(()), |ours| stated.check(ours))?;
        if locked == Locked::Yes && !is_locked {
            let (wanted, found) = ("value or array with a lock", "value or array without a lock");
            return Err(Error::WrongKind { wanted, found });
        }
        let (_, room) = words.handle().body();
        let len = body_len(theirs, count).filter(|len| *len <= room);
        let len = len.ok_or_else(|| corrupt("there are more items than there is room for"))?;
        let handle = words.handle();
        if !handle.attachment().arena_is_committed(handle.body_offset(), len) {
            return Err(corrupt("items lie in memory that nobody paid for"));
        }
        Ok(Self { words, item: theirs, count })
    }

    /// The type of an item.
    pub(crate) fn item(&self) -> Layout {
        self.item
    }

    /// How many items there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many items of type `T` there are, if it is the items' own type or `u8`.
    #[inline]
    pub(crate) fn len<T>(&self) -> usize {
        if size_of::<T>() == self.item.size() { self.count } else { self.byte_len() }
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.item.size() * self.count
    }

    /// Where the items begin.
    #[inline]
    pub(crate) fn at(&self) -> NonNull<u8> {
        let (body, _) = self.words.handle().body();
        // SAFETY: the body is longer than that: `create` and `open` saw to it.
        unsafe { body.byte_add(first_item(self.item)) }
    }

    #[inline]
    fn cells(&self) -> &[AtomicU64] {
        let count = self.byte_len().div_ceil(bytes::WORD);
        // SAFETY: so many words lie in the body behind the head, aligned to 32 and committed: `create` and `open` saw to
        // it. They are mapped as long as the handle lives.
        // SAFETY: atomic words, so peers may write behind the reference.
        unsafe { std::slice::from_raw_parts(self.at().cast().as_ptr(), count) }
    }

    /// Makes all items zeros.
    fn clear(&self) {
        // ORDERING: Relaxed; nobody else knows of them yet, or is to see them at any given time.
        self.cells().iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    #[inline]
    pub(crate) fn get<T: Pod>(&self, index: usize) -> T {
        self.check_range::<T>(index, 1);
        let mut value = T::zeroed();
        bytes::read(self.cells(), index * size_of::<T>(), bytemuck::bytes_of_mut(&mut value));
        value
    }

    #[inline]
    pub(crate) fn set<T: Pod>(&self, index: usize, value: &T) {
        self.check_range::<T>(index, 1);
        bytes::write(self.cells(), index * size_of::<T>(), bytemuck::bytes_of(value));
    }

    pub(crate) fn read_into<T: Pod>(&self, first: usize, into: &mut [T]) {
        self.check_range::<T>(first, into.len());
        bytes::read(self.cells(), first * size_of::<T>(), bytemuck::cast_slice_mut(into));
    }

    pub(crate) fn write_from<T: Pod>(&self, first: usize, from: &[T]) {
        self.check_range::<T>(first, from.len());
        bytes::write(self.cells(), first * size_of::<T>(), bytemuck::cast_slice(from));
    }

    /// Makes all items `value`.
    pub(crate) fn fill<T: Pod>(&self, value: T) {
        let len = self.len::<T>();
        let some = vec![value; len.min(FILL_BYTES / size_of::<T>().max(1)).max(1)];
        let mut first = 0;
        while first < len && size_of::<T>() > 0 {
            let count = some.len().min(len - first);
            self.write_from(first, &some[..count]);
            first += count;
        }
    }

    pub(crate) fn to_vec<T: Pod>(&self) -> Vec<T> {
        let mut all = vec![T::zeroed(); self.len::<T>()];
        self.read_into(0, &mut all);
        all
    }

    #[inline]
    fn check_range<T>(&self, first: usize, count: usize) {
        let len = self.len::<T>();
        let inside = first <= len && count <= len - first;
        assert!(inside, "items {first} to {first} + {count} of {len}");
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }
}

/// Where the first item begins in the body.
fn first_item(item: Layout) -> usize {
    item.align().max(size_of::<Head>())
}

/// Bytes of a body with so many items, if there are as many bytes in the world.
fn body_len(item: Layout, count: usize) -> Option<u64> {
    let bytes = item.size().checked_mul(count)?.checked_next_multiple_of(bytes::WORD)?;
    let len = bytes.checked_add(first_item(item)).filter(|len| *len <= isize::MAX as usize)?;
    Some(len as u64)
}

/// Bytes that the longest body could have.
fn room(segment: &Segment) -> u64 {
    let (_, arena) = segment.attachment().mapping.geometry().region(Region::Arena);
    // No extent begins at 0.
    arena - EXTENT_UNIT - HEADER_BYTES
}

#[cfg(test)]
mod tests;
