//! What is done with a [`Mutex`](super::Mutex) that is held, and what lies in memory.

use std::fmt;

use bytemuck::Pod;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, AtomicU64, DataCell, FenceMode, fence_light};
use slipring_core::sync;

use super::condvar::sealed::Sealed;
use super::condvar::{Held, Lock, Reopen};
use super::words::Words;
use crate::{Error, Result};

/// What stands before the value, and says of what type it is.
#[repr(C)]
pub(super) struct Head {
    pub(super) lock: sync::Mutex,
    /// `align_of::<T>()` of who made the mutex. Written once, before the mutex is known.
    pub(super) align: AtomicU32,
    /// `size_of::<T>()` of who made the mutex. Written once, before the mutex is known.
    pub(super) size: AtomicU64,
}

/// The body of a mutex. A small value shares the lock's cache line.
#[repr(C)]
pub(super) struct Body<T> {
    pub(super) head: Head,
    /// The holder's.
    pub(super) value: DataCell<T>,
}

/// The lock is held while this lives, by the process that took it.
#[must_use = "the lock is given back when the guard is dropped"]
pub struct Guard<'a, T: Pod> {
    words: &'a Words<Body<T>>,
    /// Who took it: in a forked child somebody else.
    pub(super) me: OwnerId,
}

impl<'a, T: Pod> Guard<'a, T> {
    /// The guard of a lock that `me` holds.
    #[inline]
    pub(super) fn new(words: &'a Words<Body<T>>, me: OwnerId) -> Self {
        Self { words, me }
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// In a forked child, on a guard that the fork copied.
    #[inline]
    pub fn get(&self) -> T {
        let cell = self.cell();
        // SAFETY: aligned and in bounds: a field of the body. Any bytes are a `T` (`Pod`).
        // SAFETY: we hold the lock, so nobody writes who keeps to it; another process that does not can make the copy a
        // mixture, which is a `T` like any other.
        let value = cell.with(|from| unsafe { from.read() });
        // A compiler barrier: the value is read once, whoever writes to it later.
        fence_light(FenceMode::Asymmetric);
        value
    }

    /// Replaces the value. Killed in the middle, it leaves a mixture of the old bytes and the new.
    ///
    /// # Panics
    ///
    /// In a forked child, on a guard that the fork copied.
    #[inline]
    pub fn set(&mut self, value: T) {
        // SAFETY: aligned and in bounds: a field of the body.
        // SAFETY: we hold the lock, so nobody else accesses it who keeps to it.
        self.cell().with_mut(|to| unsafe { to.write(value) });
        crash_point!("sync.mutex.set");
    }

    /// The value where it lies, to be changed in place: for values too large to copy in and out.
    ///
    /// # Safety
    ///
    /// No process writes to the value while the reference lives. Those that keep to the lock do not; but the memory is
    /// shared, and where [`Guard::get`] would give a mixture if one did, a reference to changing memory is undefined
    /// behaviour here. So every process that maps the segment has to be trusted for this.
    ///
    /// # Panics
    ///
    /// In a forked child, on a guard that the fork copied.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Mutex, OrRecover, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let table = Mutex::new(&segment, [0_u64; 512])?;
    /// let mut guard = table.lock().or_recover()?;
    /// // SAFETY: the segment is anonymous, and only this process has it.
    /// let slots = unsafe { guard.as_mut() };
    /// slots[17] = 4;
    /// assert_eq!(guard.get()[17], 4);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    #[inline]
    pub unsafe fn as_mut(&mut self) -> &mut T {
        // SAFETY: aligned and in bounds: a field of the body, mapped as long as the mutex lives. Any bytes are a `T`.
        // SAFETY: we hold the lock and are borrowed exclusively; nobody writes without it, by the caller's word.
        self.cell().with_mut(|at| unsafe { &mut *at })
    }

    /// The value's place, of which we are sure to be the holder.
    #[inline]
    fn cell(&self) -> &DataCell<T> {
        assert!(self.is_ours(), "this guard was copied by a fork: the lock is the parent's");
        &self.words.get().value
    }

    /// Whether this process took it.
    #[inline]
    fn is_ours(&self) -> bool {
        self.words.me().is_ok_and(|me| me == self.me)
    }
}

impl<T: Pod> Sealed for Guard<'_, T> {
    fn held(&mut self) -> Result<Held<'_>> {
        let attachment = self.words.handle().attachment();
        let lock = Lock::Plain(&self.words.get().head.lock);
        if self.is_ours() { Ok(Held { lock, me: self.me, attachment }) } else { Err(Error::Forked) }
    }
}

impl<T: Pod> Reopen for Guard<'_, T> {}

impl<T: Pod> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // A copied guard must not even give back a lock that the child has taken for itself since.
        if self.is_ours() {
            self.words.get().head.lock.unlock(self.me, Scope::Shared);
        }
    }
}

impl<T: Pod> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("is_ours", &self.is_ours()).finish_non_exhaustive()
    }
}
