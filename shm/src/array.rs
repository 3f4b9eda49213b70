//! Items of one type in a row that several processes read and write: [`Array`] under a lock, [`RawArray`] without,
//! [`ArrayBytes`] without a type.
//!
//! An array's length is fixed when it is made, and can be as large as the segment's arena: about a fifth of its reserve,
//! and as much memory as its budget allows. Its memory goes back to the machine with its last handle.

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;

use crate::cells::{Cells, Held, Locked};
use crate::handoff::transfer;
use crate::name::named;
use crate::object::{Handle, Kind};
use crate::sync::{LockResult, told};
use crate::until::Until;
use crate::{Result, Segment};

/// An array in shared memory, behind a lock.
///
/// The lock is that of [`Mutex`](crate::Mutex): not fair, not for the same thread twice, never taken from the living. When
/// a holder dies, the next one is told by [`LockError::OwnerDied`](crate::LockError::OwnerDied), for the items may be
/// half-written.
///
/// The items are of any type whose every bit pattern is a value ([`bytemuck::Pod`]). They can be had without the lock,
/// too ([`Array::raw`]): no access is ever a data race.
///
/// # Examples
///
/// ```
/// use slipring::{Array, OrRecover, Segment};
///
/// let segment = Segment::create()?;
/// let scores = Array::<u32>::new(&segment, 1000)?;
/// let mut guard = scores.lock().or_recover()?;
/// guard.set(999, 7);
/// guard.write_from(0, &[1, 2, 3]);
/// let mut some = [0; 4];
/// guard.read_into(1, &mut some);
/// assert_eq!((some, guard.get(999)), ([2, 3, 0, 0], 7));
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct Array<T: Pod> {
    cells: Cells,
    of: PhantomData<T>,
}

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
/// use [`Array`].
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

/// An array whose items' type is known by its size and alignment alone: for programs that learn it when they run.
///
/// It is opened for any array, and an array that it makes can be opened as an [`Array`] or [`RawArray`] of a type of that
/// size and alignment. It reads and writes bytes, in the way of a [`RawArray`]: any 1, 2, 4 or 8 bytes that begin at a
/// multiple of their number, and are read and written by one call each, do not tear.
///
/// # Examples
///
/// ```
/// use std::alloc::Layout;
/// use slipring::{ArrayBytes, Segment};
///
/// let segment = Segment::create()?;
/// let array = ArrayBytes::new(&segment, Layout::new::<u16>(), 100)?;
/// array.write_at(2, &7_u16.to_ne_bytes());
/// let mut item = [0; 2];
/// array.read_at(2, &mut item);
/// assert_eq!((u16::from_ne_bytes(item), array.len(), array.byte_len()), (7, 100, 200));
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone)]
pub struct ArrayBytes {
    cells: Cells,
}

/// The lock of an [`Array`] is held while this lives, by the process that took it.
///
/// # Panics
///
/// Every access does in a forked child, on a guard that the fork copied.
#[must_use = "the lock is given back when the guard is dropped"]
pub struct ArrayGuard<'a, T: Pod> {
    held: Held<'a>,
    of: PhantomData<T>,
}

/// An array of zeros.
fn zeros(segment: &Segment, item: Layout, len: usize, locked: Locked) -> Result<Cells> {
    let cells = Cells::create(segment, Kind::Array, item, len, locked)?;
    cells.clear();
    Ok(cells)
}

/// An array of these items.
fn copy<T: Pod>(segment: &Segment, items: &[T], locked: Locked) -> Result<Cells> {
    let item = Layout::new::<T>();
    let cells = Cells::create(segment, Kind::Array, item, items.len(), locked)?;
    cells.write_from(0, items);
    Ok(cells)
}

impl<T: Pod> Array<T> {
    /// Makes an array of `len` items, whose bytes are all zero. It may have none.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`](crate::Error::Capacity) if the segment could never hold so many; no memory. [`Error::TypeMismatch`](crate::Error::TypeMismatch) for a `T` that is
    /// aligned to more than 64 bytes.
    pub fn new(segment: &Segment, len: usize) -> Result<Self> {
        let cells = zeros(segment, Layout::new::<T>(), len, Locked::Yes)?;
        Ok(Self { cells, of: PhantomData })
    }

    /// Makes an array of these items.
    ///
    /// # Errors
    ///
    /// As [`Array::new`].
    pub fn from_slice(segment: &Segment, items: &[T]) -> Result<Self> {
        Ok(Self { cells: copy(segment, items, Locked::Yes)?, of: PhantomData })
    }

    /// The array that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        let cells = Cells::open(handle, Some(Layout::new::<T>()), Locked::Yes)?;
        Ok(Self { cells, of: PhantomData })
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.cells.count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the lock, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`](crate::LockError::OwnerDied) with the guard if the last holder died;
    /// [`Error::Interrupted`](crate::Error::Interrupted), [`Error::Forked`](crate::Error::Forked).
    #[inline]
    pub fn lock(&self) -> LockResult<ArrayGuard<'_, T>> {
        self.lock_until(Until::NEVER)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock) if somebody holds it, and as [`Array::lock`].
    #[inline]
    pub fn try_lock(&self) -> LockResult<ArrayGuard<'_, T>> {
        self.lock_until(Until::NOW)
    }

    /// Takes the lock, waiting until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`Array::lock`].
    #[inline]
    pub fn lock_until(&self, until: impl Into<Until>) -> LockResult<ArrayGuard<'_, T>> {
        ArrayGuard::lock(&self.cells, until.into())
    }

    /// Whether somebody holds the lock. A glance: it may be old when it returns.
    pub fn is_locked(&self) -> bool {
        self.cells.is_locked()
    }

    /// The same array, to be accessed without the lock.
    pub fn raw(&self) -> RawArray<T> {
        RawArray { cells: self.cells.clone(), of: PhantomData }
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.cells.handle()
    }
}

impl<'a, T: Pod> ArrayGuard<'a, T> {
    #[inline]
    fn lock(cells: &'a Cells, until: Until) -> LockResult<Self> {
        let (how, held) = cells.lock(until)?;
        told(how, Self { held, of: PhantomData })
    }

    /// How many items there are.
    #[allow(clippy::len_without_is_empty, reason = "the array has that")]
    pub fn len(&self) -> usize {
        self.held.cells().len::<T>()
    }

    /// A copy of one item.
    ///
    /// # Panics
    ///
    /// If there is none with this index.
    #[inline]
    pub fn get(&self, index: usize) -> T {
        self.held.cells().get(index)
    }

    /// Replaces one item.
    ///
    /// # Panics
    ///
    /// If there is none with this index.
    #[inline]
    pub fn set(&mut self, index: usize, value: T) {
        self.held.cells().set(index, &value);
    }

    /// Replaces one item by what `change` makes of it, and returns that.
    ///
    /// # Panics
    ///
    /// If there is none with this index.
    #[inline]
    pub fn update(&mut self, index: usize, change: impl FnOnce(T) -> T) -> T {
        let value = change(self.get(index));
        self.set(index, value);
        value
    }

    /// Copies the items from `first` on out.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn read_into(&self, first: usize, into: &mut [T]) {
        self.held.cells().read_into(first, into);
    }

    /// Replaces the items from `first` on.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn write_from(&mut self, first: usize, from: &[T]) {
        self.held.cells().write_from(first, from);
    }

    /// Makes all items `value`.
    pub fn fill(&mut self, value: T) {
        self.held.cells().fill(value);
    }

    /// A copy of all items.
    pub fn to_vec(&self) -> Vec<T> {
        self.held.cells().to_vec()
    }

    /// The items where they lie.
    ///
    /// # Safety
    ///
    /// Nobody accesses the items while the slice lives, with the lock or without ([`Array::raw`]): not a thread of this
    /// process, and not another process, all of which have to be trusted for this.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Array, OrRecover, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let array = Array::from_slice(&segment, &[3_u8, 1, 2])?;
    /// let mut guard = array.lock().or_recover()?;
    /// // SAFETY: the segment is anonymous, and only this thread has it.
    /// unsafe { guard.as_mut_slice() }.sort();
    /// assert_eq!(guard.to_vec(), [1, 2, 3]);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub unsafe fn as_mut_slice(&mut self) -> &mut [T] {
        let (at, len) = (self.held.cells().at().cast::<T>(), self.len());
        // SAFETY: in bounds of the object, aligned, committed, and mapped as long as the handle that we borrow. Any
        // bytes are a `T`.
        // SAFETY: we are borrowed exclusively; nobody else accesses them, by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), len) }
    }
}

impl<T: Pod> RawArray<T> {
    /// Makes an array of `len` items that is never locked. Their bytes are all zero. It may have none.
    ///
    /// # Errors
    ///
    /// As [`Array::new`].
    pub fn new(segment: &Segment, len: usize) -> Result<Self> {
        let cells = zeros(segment, Layout::new::<T>(), len, Locked::No)?;
        Ok(Self { cells, of: PhantomData })
    }

    /// Makes an array of these items.
    ///
    /// # Errors
    ///
    /// As [`Array::new`].
    pub fn from_slice(segment: &Segment, items: &[T]) -> Result<Self> {
        Ok(Self { cells: copy(segment, items, Locked::No)?, of: PhantomData })
    }

    /// The array that `handle` is of: also one with a lock.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        let cells = Cells::open(handle, Some(Layout::new::<T>()), Locked::No)?;
        Ok(Self { cells, of: PhantomData })
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
        ArrayBytes { cells: self.cells.clone() }
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

impl ArrayBytes {
    /// Makes an array of `len` items of this size and alignment, with a lock. Their bytes are all zero.
    ///
    /// # Errors
    ///
    /// As [`Array::new`].
    pub fn new(segment: &Segment, item: Layout, len: usize) -> Result<Self> {
        Ok(Self { cells: zeros(segment, item, len, Locked::Yes)? })
    }

    /// The array that `handle` is of: of whatever type, with a lock or without.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { cells: Cells::open(handle, None, Locked::No)? })
    }

    /// Size and alignment of an item.
    pub fn item(&self) -> Layout {
        self.cells.item()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.cells.count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes there are.
    pub fn byte_len(&self) -> usize {
        self.cells.byte_len()
    }

    /// Copies the bytes from `offset` on out.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn read_at(&self, offset: usize, into: &mut [u8]) {
        self.cells.read_into(offset, into);
    }

    /// Replaces the bytes from `offset` on.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn write_at(&self, offset: usize, from: &[u8]) {
        self.cells.write_from(offset, from);
    }

    /// Takes the array's lock, waiting until a deadline; the guard gives access to the bytes. In an array that was made
    /// without a lock it keeps out those alone who take it in this way.
    ///
    /// # Errors
    ///
    /// As [`Array::lock_until`]; [`Error::WouldBlock`](crate::Error::WouldBlock) instead of [`Error::TimedOut`](crate::Error::TimedOut) with [`Until::NOW`].
    pub fn lock_until(&self, until: impl Into<Until>) -> LockResult<ArrayGuard<'_, u8>> {
        ArrayGuard::lock(&self.cells, until.into())
    }

    /// The first byte; [`ArrayBytes::byte_len`] bytes from there may be read and written as long as the handle lives, and
    /// others do so at any moment.
    pub fn as_ptr(&self) -> *mut u8 {
        self.cells.at().as_ptr()
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.cells.handle()
    }
}

impl<T: Pod> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone(), of: PhantomData }
    }
}

impl<T: Pod> Clone for RawArray<T> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone(), of: PhantomData }
    }
}

impl<T: Pod> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, is_locked) = (self.len(), self.is_locked());
        let mut text = f.debug_struct("Array");
        text.field("len", &len).field("is_locked", &is_locked).finish_non_exhaustive()
    }
}

impl<T: Pod> fmt::Debug for RawArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawArray").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ArrayBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ArrayBytes");
        text.field("item", &self.item()).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T: Pod> fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayGuard").field("is_ours", &self.held.is_ours()).finish_non_exhaustive()
    }
}

transfer! {
    (T: Pod) Array<T>, Array, Array::handle, Array::from_handle;
    (T: Pod) RawArray<T>, Array, RawArray::handle, RawArray::from_handle;
    () ArrayBytes, Array, ArrayBytes::handle, ArrayBytes::from_handle;
}

named! {
    (T: Pod) Array<T>, Array, First, usize, |segment, len| Array::new(segment, *len), Array::from_handle;
    (T: Pod) RawArray<T>, Array, First, usize, |segment, len| RawArray::new(segment, *len),
        RawArray::from_handle;
    () ArrayBytes, Array, First, (Layout, usize), |segment, (item, len)| ArrayBytes::new(segment, *item, *len),
        ArrayBytes::from_handle;
}
