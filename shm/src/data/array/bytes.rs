//! Arrays of items whose type is known by size and alignment alone.

use std::alloc::Layout;
use std::fmt;

use super::guard::ArrayGuard;
use crate::data::cells::{Cells, Locked};
use crate::member::Handle;
use crate::object::Kind;
use crate::sync::{LockResult, Locking};
use crate::wait::Until;
use crate::{Result, Segment};

/// An array whose items' type is known by its size and alignment alone: for programs that learn it when they run.
///
/// It is opened for any array, and an array that it makes can be opened as an [`Array`](super::Array) or [`RawArray`](super::RawArray) of a type of that
/// size and alignment. It reads and writes bytes, in the way of a [`RawArray`](super::RawArray): any 1, 2, 4 or 8 bytes that begin at a
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

impl ArrayBytes {
    /// Makes an array of `len` items of this size and alignment, with a lock. Their bytes are all zero.
    ///
    /// # Errors
    ///
    /// As [`Array::new`](super::Array::new).
    pub fn new(segment: &Segment, item: Layout, len: usize) -> Result<Self> {
        let cells = Cells::zeros(segment, Kind::Array, item, len, Locked::Yes)?;
        Ok(Self::new_view(cells))
    }

    /// Another view of the same items.
    pub(super) fn new_view(cells: Cells) -> Self {
        Self { cells }
    }

    /// The array that `handle` is of: of whatever type, with a lock or without.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self::new_view(Cells::open(handle, None, Locked::No)?))
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
    /// As [`Array::lock_until`](super::Array::lock_until); [`Error::WouldBlock`](crate::Error::WouldBlock) instead of [`Error::TimedOut`](crate::Error::TimedOut) with [`Until::NOW`].
    pub fn lock_until(&self, until: impl Into<Until>) -> LockResult<ArrayGuard<'_, u8>> {
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
    pub unsafe fn assume_locked(&self) -> Result<ArrayGuard<'_, u8>> {
        // SAFETY: by the caller's word.
        Ok(ArrayGuard::new(unsafe { self.cells.assume_held() }?))
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

impl fmt::Debug for ArrayBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ArrayBytes");
        text.field("item", &self.item()).field("len", &self.len()).finish_non_exhaustive()
    }
}
