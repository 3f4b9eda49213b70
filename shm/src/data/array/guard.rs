//! What can be done with an array under its lock.

use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;

use crate::data::cells::{Cells, Held};
use crate::sync::{LockResult, Locking, told};
use crate::wait::Until;

/// The lock of an [`Array`](super::Array) is held while this lives, by the process that took it.
///
/// # Panics
///
/// Every access does in a forked child, on a guard that the fork copied.
///
/// # Examples
///
/// ```
/// use slipring::{Array, OrRecover, Segment};
///
/// let segment = Segment::create()?;
/// let balances = Array::<i64>::from_slice(&segment, &[100, 100, 0])?;
/// let mut guard = balances.lock().or_recover()?;
/// // Both changes, before anybody else sees the array.
/// guard.update(0, |balance| balance - 30);
/// guard.update(2, |balance| balance + 30);
/// assert_eq!(guard.to_vec(), [70, 100, 30]);
/// drop(guard);
/// assert!(!balances.is_locked());
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "the lock is given back when the guard is dropped"]
pub struct ArrayGuard<'a, T: Pod> {
    held: Held<'a>,
    of: PhantomData<T>,
}

impl<'a, T: Pod> ArrayGuard<'a, T> {
    /// Takes the lock of `cells`.
    #[inline]
    pub(super) fn lock(cells: &'a Cells, until: Until) -> LockResult<Self> {
        let (how, held) = cells.hold(until)?;
        told(how, Self::new(held))
    }

    /// The guard of a lock that is held.
    #[inline]
    pub(super) fn new(held: Held<'a>) -> Self {
        Self { held, of: PhantomData }
    }

    /// How many items there are.
    #[allow(clippy::len_without_is_empty, reason = "the array has that")]
    pub fn len(&self) -> usize {
        self.held.of().len::<T>()
    }

    /// A copy of one item.
    ///
    /// # Panics
    ///
    /// If there is none with this index.
    #[inline]
    pub fn get(&self, index: usize) -> T {
        self.held.of().get(index)
    }

    /// Replaces one item.
    ///
    /// # Panics
    ///
    /// If there is none with this index.
    #[inline]
    pub fn set(&mut self, index: usize, value: T) {
        self.held.of().set(index, &value);
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
        self.held.of().read_into(first, into);
    }

    /// Replaces the items from `first` on.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn write_from(&mut self, first: usize, from: &[T]) {
        self.held.of().write_from(first, from);
    }

    /// Makes all items `value`.
    pub fn fill(&mut self, value: T) {
        self.held.of().fill(value);
    }

    /// A copy of all items.
    pub fn to_vec(&self) -> Vec<T> {
        self.held.of().to_vec()
    }

    /// The items where they lie.
    ///
    /// # Safety
    ///
    /// Nobody accesses the items while the slice lives, with the lock or without ([`Array::raw`](super::Array::raw)): not a thread of this
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
        let (at, len) = (self.held.of().at().cast::<T>(), self.len());
        // SAFETY: in bounds of the object, aligned, committed, and mapped as long as the handle that we borrow. Any
        // bytes are a `T`.
        // SAFETY: we are borrowed exclusively; nobody else accesses them, by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), len) }
    }
}

impl<T: Pod> fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayGuard").field("is_ours", &self.held.is_ours()).finish_non_exhaustive()
    }
}
