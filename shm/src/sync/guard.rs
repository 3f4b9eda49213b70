//! What is done with a [`Mutex`](super::Mutex) that is held, and what lies in memory.

use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;
use slipring_core::primitive::{DataCell, FenceMode, fence_light};
use slipring_core::sync;

use super::reopen::sealed::Sealed;
use super::reopen::{Held, Lock, Reopen};
use super::typed_lock::{Hold, Locking, TypedLock};
use super::words::Words;
use crate::Result;

/// The body of a mutex. A small value shares the lock's cache line.
#[repr(C)]
pub(super) struct Body<T> {
    pub(super) head: TypedLock,
    /// The holder's.
    pub(super) value: DataCell<T>,
}

/// The lock is held while this lives, by the process that took it.
///
/// ```
/// use slipring::{Mutex, OrRecover, Segment};
///
/// let segment = Segment::create()?;
/// let record = Mutex::new(&segment, 12_u32)?;
/// {
///     let mut guard = record.lock().or_recover()?;
///     if guard.get() < 15 {
///         guard.set(15); // nobody came in between
///     }
/// } // the lock is given back
/// assert!(!record.is_locked());
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "the lock is given back when the guard is dropped"]
pub struct Guard<'a, T: Pod> {
    held: Hold<'a, Words<Body<T>>>,
    of: PhantomData<&'a T>,
}

impl<T> Locking for Words<Body<T>> {
    type Body = Body<T>;

    #[inline]
    fn words(&self) -> &Self {
        self
    }

    #[inline]
    fn lock_in(body: &Body<T>) -> &sync::Mutex {
        body.head.lock()
    }
}

impl<'a, T: Pod> Guard<'a, T> {
    /// The guard of a lock that is held.
    #[inline]
    pub(super) fn new(held: Hold<'a, Words<Body<T>>>) -> Self {
        Self { held, of: PhantomData }
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
        &self.held.of().get().value
    }
}

impl<T: Pod> Sealed for Guard<'_, T> {
    fn held(&mut self) -> Result<Held<'_>> {
        let (words, me) = self.held.of_holder()?;
        let attachment = words.handle().attachment();
        Ok(Held { lock: Lock::Plain(words.core()), me, attachment })
    }
}

impl<T: Pod> Reopen for Guard<'_, T> {}

impl<T: Pod> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("is_ours", &self.held.is_ours()).finish_non_exhaustive()
    }
}
