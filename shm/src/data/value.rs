//! A value that several processes read and write: [`Value`] under a lock, [`RawValue`] without.

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;

use crate::data::cells::{Cells, Held, Locked};
use crate::member::Handle;
use crate::member::ticket::named;
use crate::object::Kind;
use crate::sync::{LockResult, Locking, told};
use crate::travel::parcel::enclosed::transfer;
use crate::wait::Until;
use crate::{Error, Result, Segment};

/// A value in shared memory, behind a lock.
///
/// The lock is that of [`Mutex`](crate::Mutex): not fair, not for the same thread twice, never taken from the living. When
/// a holder dies, the next one is told by [`LockError::OwnerDied`](crate::LockError::OwnerDied), for the value may be
/// half-written.
///
/// The value is any type whose every bit pattern is a value ([`bytemuck::Pod`]). It can be had without the lock, too
/// ([`Value::raw`]): no access is ever a data race, only old or, where the type is large, a mixture.
///
/// # Examples
///
/// ```
/// use slipring::{OrRecover, Segment, Value};
///
/// let segment = Segment::create()?;
/// let total = Value::new(&segment, 0_u64)?;
/// let here = total.clone();
/// let thread = std::thread::spawn(move || {
///     here.lock().or_recover()?.update(|n| n + 1);
///     Ok::<(), slipring::Error>(())
/// });
/// thread.join().unwrap()?;
/// assert_eq!(total.lock().or_recover()?.get(), 1);
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct Value<T: Pod> {
    cells: Cells,
    of: PhantomData<T>,
}

/// A value in shared memory, without a lock: loads and stores that others can come in between.
///
/// # What can tear
///
/// | size of `T` in bytes | a load |
/// |---|---|
/// | 1, 2, 4, 8 | gives a value that somebody stored, or the first one |
/// | any other | can give a mixture: each aligned eight bytes of it are as somebody stored them, or the first ones |
///
/// A process that is killed in the middle of a store of the second kind leaves such a mixture for good, and nobody is
/// told.
///
/// # What is ordered
///
/// Nothing: neither the stores to two values, nor a store and anything else. There is no read-modify-write either: of two
/// processes that both load, add one and store, one may lose its one. Where that matters, use [`Value`].
///
/// # Examples
///
/// ```
/// use slipring::{RawValue, Segment};
///
/// let segment = Segment::create()?;
/// let progress = RawValue::new(&segment, 0.0_f64)?;
/// progress.set(0.5);
/// assert_eq!(progress.get(), 0.5);
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct RawValue<T: Pod> {
    cells: Cells,
    of: PhantomData<T>,
}

/// The lock of a [`Value`] is held while this lives, by the process that took it.
///
/// ```
/// use slipring::{OrRecover, Segment, Value};
///
/// let segment = Segment::create()?;
/// let highest = Value::new(&segment, 3.5_f64)?;
/// let mut guard = highest.lock().or_recover()?;
/// assert_eq!(guard.update(|value| value.max(7.25)), 7.25);
/// drop(guard);
/// assert_eq!(highest.raw().get(), 7.25);
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "the lock is given back when the guard is dropped"]
pub struct ValueGuard<'a, T: Pod> {
    pub(crate) held: Held<'a>,
    of: PhantomData<T>,
}

/// An object with one item in it.
fn create<T: Pod>(segment: &Segment, value: T, locked: Locked) -> Result<Cells> {
    Cells::copies(segment, Kind::Value, &[value], locked)
}

/// The item that `handle` is of.
fn open<T: Pod>(handle: Handle, locked: Locked) -> Result<Cells> {
    let cells = Cells::open(handle, Some(Layout::new::<T>()), locked)?;
    let is_one = cells.count() == 1;
    if is_one { Ok(cells) } else { Err(Error::Corrupt { what: "a value is not one item" }) }
}

impl<T: Pod> Value<T> {
    /// Makes a value.
    ///
    /// # Errors
    ///
    /// No memory. [`Error::Capacity`] for a `T` that is aligned to more than 64 bytes.
    pub fn new(segment: &Segment, value: T) -> Result<Self> {
        Ok(Self { cells: create(segment, value, Locked::Yes)?, of: PhantomData })
    }

    /// The value that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { cells: open::<T>(handle, Locked::Yes)?, of: PhantomData })
    }

    /// Takes the lock, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`](crate::LockError::OwnerDied) with the guard if the last holder died;
    /// [`Error::Interrupted`], [`Error::Forked`].
    #[inline]
    pub fn lock(&self) -> LockResult<ValueGuard<'_, T>> {
        self.lock_until(Until::NEVER)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if somebody holds it, and as [`Value::lock`].
    #[inline]
    pub fn try_lock(&self) -> LockResult<ValueGuard<'_, T>> {
        self.lock_until(Until::NOW)
    }

    /// Takes the lock, waiting until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`Value::lock`].
    #[inline]
    pub fn lock_until(&self, until: impl Into<Until>) -> LockResult<ValueGuard<'_, T>> {
        let (how, held) = self.cells.hold(until)?;
        told(how, ValueGuard { held, of: PhantomData })
    }

    /// The guard of a lock that this process holds, whose guard was forgotten with [`std::mem::forget`]: for bindings, which
    /// cannot keep it.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`] if this process does not hold the lock.
    ///
    /// # Safety
    ///
    /// The guard was forgotten, and this takes its place: no two guards of one locking live at a time.
    pub unsafe fn assume_locked(&self) -> Result<ValueGuard<'_, T>> {
        // SAFETY: by the caller's word.
        let held = unsafe { self.cells.assume_held() }?;
        Ok(ValueGuard { held, of: PhantomData })
    }

    /// Whether somebody holds the lock. A glance: it may be old when it returns.
    pub fn is_locked(&self) -> bool {
        self.cells.is_held()
    }

    /// The same value, to be accessed without the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{OrRecover, Segment, Value};
    ///
    /// let segment = Segment::create()?;
    /// let level = Value::new(&segment, 5_u32)?;
    /// let guard = level.lock().or_recover()?;
    /// assert_eq!(level.raw().get(), 5, "though somebody holds the lock");
    /// # drop(guard);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn raw(&self) -> RawValue<T> {
        RawValue { cells: self.cells.clone(), of: PhantomData }
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.cells.handle()
    }
}

impl<T: Pod> ValueGuard<'_, T> {
    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// In a forked child, on a guard that the fork copied.
    #[inline]
    pub fn get(&self) -> T {
        self.held.of().get(0)
    }

    /// Replaces the value. Killed in the middle, it leaves a mixture of the old bytes and the new.
    ///
    /// # Panics
    ///
    /// In a forked child, on a guard that the fork copied.
    #[inline]
    pub fn set(&mut self, value: T) {
        self.held.of().set(0, &value);
    }

    /// Replaces the value by what `change` makes of it, and returns that.
    ///
    /// # Panics
    ///
    /// In a forked child, on a guard that the fork copied.
    #[inline]
    pub fn update(&mut self, change: impl FnOnce(T) -> T) -> T {
        let value = change(self.get());
        self.set(value);
        value
    }
}

impl<T: Pod> RawValue<T> {
    /// Makes a value that is never locked.
    ///
    /// # Errors
    ///
    /// No memory. [`Error::Capacity`] for a `T` that is aligned to more than 64 bytes.
    pub fn new(segment: &Segment, value: T) -> Result<Self> {
        Ok(Self { cells: create(segment, value, Locked::No)?, of: PhantomData })
    }

    /// The value that `handle` is of: also one with a lock.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { cells: open::<T>(handle, Locked::No)?, of: PhantomData })
    }

    /// Loads the value.
    #[inline]
    pub fn get(&self) -> T {
        self.cells.get(0)
    }

    /// Stores the value.
    #[inline]
    pub fn set(&self, value: T) {
        self.cells.set(0, &value);
    }

    /// Where the value lies: it may be read and written as long as the handle lives, and others do so at any moment.
    pub fn as_ptr(&self) -> *mut T {
        self.cells.at().cast().as_ptr()
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.cells.handle()
    }
}

impl<T: Pod> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone(), of: PhantomData }
    }
}

impl<T: Pod> Clone for RawValue<T> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone(), of: PhantomData }
    }
}

impl<T: Pod> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("is_locked", &self.is_locked()).finish_non_exhaustive()
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RawValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawValue").field(&self.get()).finish()
    }
}

impl<T: Pod> fmt::Debug for ValueGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueGuard").field("is_ours", &self.held.is_ours()).finish_non_exhaustive()
    }
}

transfer! {
    (T: Pod) Value<T>, Value, Value::handle, Value::from_handle;
    (T: Pod) RawValue<T>, Value, RawValue::handle, RawValue::from_handle;
}

named! {
    (T: Pod) Value<T>, Value, First, T, |segment, value| Value::new(segment, *value), Value::from_handle;
    (T: Pod) RawValue<T>, Value, First, T, |segment, value| RawValue::new(segment, *value),
        RawValue::from_handle;
}
