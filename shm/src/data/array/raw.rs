//! What can be done with an array without a lock.

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;

use super::bytes::ArrayBytes;
use crate::data::cells::{Cells, Locked};
use crate::member::Handle;
use crate::object::Kind;
use crate::{Result, Segment};

/// An array in shared memory, without a lock: loads and stores that others can come in between.
///
/// # What can tear
///
/// Items of 1, 2, 4 and 8 bytes never do: each is as somebody wrote it, or as it was made. Of items of other sizes, and
/// of several items, that is true for each aligned eight bytes: others can write between any two of them, and a process
/// that is killed between two leaves the rest unwritten, and nobody is told. Whoever writes an item changes none of its
/// neighbours.
///
/// # What is ordered
///
/// Nothing: neither two writes, nor a write and anything else. There is no read-modify-write either. Where that matters,
/// use [`Array`](super::Array).
///
/// # Examples
///
/// ```
/// use slipring::{RawArray, Segment};
///
/// let segment = Segment::create()?;
/// let samples = RawArray::from_slice(&segment, &[1.5_f32, 2.5, 3.5])?;
/// samples.set(1, 0.5);
/// assert_eq!((samples.get(1), samples.to_vec()), (0.5, vec![1.5, 0.5, 3.5]));
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct RawArray<T: Pod> {
    cells: Cells,
    of: PhantomData<T>,
}

impl<T: Pod> RawArray<T> {
    /// Makes an array of `len` items that is never locked. Their bytes are all zero. It may have none.
    ///
    /// # Errors
    ///
    /// As [`Array::new`](super::Array::new).
    pub fn new(segment: &Segment, len: usize) -> Result<Self> {
        let cells = Cells::zeros(segment, Kind::Array, Layout::new::<T>(), len, Locked::No)?;
        Ok(Self::new_view(cells))
    }

    /// Makes an array of these items.
    ///
    /// # Errors
    ///
    /// As [`Array::new`](super::Array::new).
    pub fn from_slice(segment: &Segment, items: &[T]) -> Result<Self> {
        Ok(Self::new_view(Cells::copies(segment, Kind::Array, items, Locked::No)?))
    }

    /// Another view of the same items.
    pub(super) fn new_view(cells: Cells) -> Self {
        Self { cells, of: PhantomData }
    }

    /// The array that `handle` is of: also one with a lock.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        let cells = Cells::open(handle, Some(Layout::new::<T>()), Locked::No)?;
        Ok(Self::new_view(cells))
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.cells.count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loads one item.
    ///
    /// # Panics
    ///
    /// If there is none with this index.
    #[inline]
    pub fn get(&self, index: usize) -> T {
        self.cells.get(index)
    }

    /// Stores one item.
    ///
    /// # Panics
    ///
    /// If there is none with this index.
    #[inline]
    pub fn set(&self, index: usize, value: T) {
        self.cells.set(index, &value);
    }

    /// Copies the items from `first` on out.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn read_into(&self, first: usize, into: &mut [T]) {
        self.cells.read_into(first, into);
    }

    /// Replaces the items from `first` on.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn write_from(&self, first: usize, from: &[T]) {
        self.cells.write_from(first, from);
    }

    /// Makes all items `value`.
    pub fn fill(&self, value: T) {
        self.cells.fill(value);
    }

    /// A copy of all items.
    pub fn to_vec(&self) -> Vec<T> {
        self.cells.to_vec()
    }

    /// The same array, as bytes.
    pub fn bytes(&self) -> ArrayBytes {
        ArrayBytes::new_view(self.cells.clone())
    }

    /// The first item; [`RawArray::len`] items from there may be read and written as long as the handle lives, and others
    /// do so at any moment.
    pub fn as_ptr(&self) -> *mut T {
        self.cells.at().cast().as_ptr()
    }

    /// The items where they lie.
    ///
    /// # Safety
    ///
    /// Nobody writes to the items while the slice lives: not this process, and not another, all of which have to be trusted
    /// for this.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{RawArray, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let table = RawArray::from_slice(&segment, &[2_u64, 3, 5, 7])?;
    /// // SAFETY: the segment is anonymous, only this thread has it, and the table is written no more.
    /// let primes = unsafe { table.as_slice() };
    /// assert_eq!(primes.binary_search(&5), Ok(2));
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub unsafe fn as_slice(&self) -> &[T] {
        // SAFETY: in bounds of the object, aligned, committed, and mapped as long as the handle that we borrow. Any
        // bytes are a `T`.
        // SAFETY: nobody writes to them, by the caller's word.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.cells.handle()
    }
}

impl<T: Pod> Clone for RawArray<T> {
    fn clone(&self) -> Self {
        Self::new_view(self.cells.clone())
    }
}

impl<T: Pod> fmt::Debug for RawArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawArray").field("len", &self.len()).finish_non_exhaustive()
    }
}
