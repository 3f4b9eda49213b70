//! Items of one type in a row that several processes read and write: [`Array`] under a lock, [`RawArray`] without,
//! [`ArrayBytes`] without a type.
//!
//! An array's length is fixed when it is made, and can be as large as the segment's arena: about a fifth of its reserve,
//! and as much memory as its budget allows. Its memory goes back to the machine with its last handle.
//!
//! | file | what it holds |
//! |---|---|
//! | `guard.rs` | what can be done under the lock |
//! | `raw.rs` | what can be done without |
//! | `bytes.rs` | arrays of items whose type is known by size and alignment alone |

mod bytes;
mod guard;
mod raw;

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;

pub use bytes::ArrayBytes;
pub use guard::ArrayGuard;
pub use raw::RawArray;

use crate::data::cells::{Cells, Locked};
use crate::member::Handle;
use crate::member::ticket::named;
use crate::object::Kind;
use crate::sync::{LockResult, Locking};
use crate::travel::parcel::enclosed::transfer;
use crate::wait::Until;
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

impl<T: Pod> Array<T> {
    /// Makes an array of `len` items, whose bytes are all zero. It may have none.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`](crate::Error::Capacity) if the segment could never hold so many, and for a `T` that is aligned to more
    /// than 64 bytes; no memory.
    pub fn new(segment: &Segment, len: usize) -> Result<Self> {
        let cells = Cells::zeros(segment, Kind::Array, Layout::new::<T>(), len, Locked::Yes)?;
        Ok(Self { cells, of: PhantomData })
    }

    /// Makes an array of these items.
    ///
    /// # Errors
    ///
    /// As [`Array::new`].
    pub fn from_slice(segment: &Segment, items: &[T]) -> Result<Self> {
        let cells = Cells::copies(segment, Kind::Array, items, Locked::Yes)?;
        Ok(Self { cells, of: PhantomData })
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

    /// The guard of a lock that this process holds, whose guard was forgotten with [`std::mem::forget`]: for bindings, which
    /// cannot keep it.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`](crate::Error::NotHeld) if this process does not hold the lock.
    ///
    /// # Safety
    ///
    /// The guard was forgotten, and this takes its place: no two guards of one locking live at a time.
    pub unsafe fn assume_locked(&self) -> Result<ArrayGuard<'_, T>> {
        // SAFETY: by the caller's word.
        Ok(ArrayGuard::new(unsafe { self.cells.assume_held() }?))
    }

    /// Whether somebody holds the lock. A glance: it may be old when it returns.
    pub fn is_locked(&self) -> bool {
        self.cells.is_held()
    }

    /// The same array, to be accessed without the lock.
    pub fn raw(&self) -> RawArray<T> {
        RawArray::new_view(self.cells.clone())
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

impl<T: Pod> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, is_locked) = (self.len(), self.is_locked());
        let mut text = f.debug_struct("Array");
        text.field("len", &len).field("is_locked", &is_locked).finish_non_exhaustive()
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
