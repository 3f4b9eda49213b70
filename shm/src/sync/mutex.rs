//! A lock around a value that lies in the segment.

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;
use slipring_core::primitive::DataCell;
use slipring_core::sync;

use super::guard::{Body, Guard};
use super::lock_error::{LockResult, told};
use super::typed_lock::{Locking, TypedLock};
use super::words::Words;
use crate::member::Handle;
use crate::object::Kind;
use crate::wait::Until;
use crate::{Result, Segment};

/// A lock around a value in shared memory.
///
/// Not fair, and not for the same thread twice: see [`ReentrantMutex`](super::ReentrantMutex). Taking and giving back a
/// lock that nobody wants does not enter the kernel. A holder that lives is waited for, stopped or not. When a holder
/// dies its lock goes to the next, who is told by [`LockError::OwnerDied`](super::LockError::OwnerDied).
///
/// The value is any type whose every bit pattern is a value ([`bytemuck::Pod`]), so that what a dying process left
/// half-written is still one.
///
/// # Examples
///
/// ```
/// use slipring::{Mutex, OrRecover, Segment};
///
/// let segment = Segment::create()?;
/// let counter = Mutex::new(&segment, 0_u64)?;
/// let here = counter.clone();
/// let thread = std::thread::spawn(move || {
///     let mut guard = here.lock().or_recover()?;
///     guard.set(guard.get() + 1);
///     Ok::<(), slipring::Error>(())
/// });
/// thread.join().unwrap()?;
/// assert_eq!(counter.lock().or_recover()?.get(), 1);
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct Mutex<T: Pod> {
    words: Words<Body<T>>,
    of: PhantomData<T>,
}

impl<T: Pod> Mutex<T> {
    /// Makes a mutex around `value`.
    ///
    /// # Errors
    ///
    /// No memory. [`Error::Capacity`](crate::Error::Capacity) for a `T` that is aligned to more than 64 bytes.
    pub fn new(segment: &Segment, value: T) -> Result<Self> {
        let head = TypedLock::new(Layout::new::<T>())?;
        let body = Body { head, value: DataCell::new(value) };
        Ok(Self { words: Words::create(segment, Kind::Mutex, body)?, of: PhantomData })
    }

    /// The mutex that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        let head = Words::<TypedLock>::from_handle(handle)?;
        head.get().item().check(Layout::new::<T>())?;
        Ok(Self { words: Words::from_handle(head.into_handle())?, of: PhantomData })
    }

    /// Takes the lock, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`](super::LockError::OwnerDied) with the guard if the last holder died;
    /// [`Error::Interrupted`](crate::Error::Interrupted), [`Error::Forked`](crate::Error::Forked).
    #[inline]
    pub fn lock(&self) -> LockResult<Guard<'_, T>> {
        self.lock_until(Until::NEVER)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock) if somebody holds it, and as [`Mutex::lock`].
    #[inline]
    pub fn try_lock(&self) -> LockResult<Guard<'_, T>> {
        self.lock_until(Until::NOW)
    }

    /// Takes the lock, waiting until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`Mutex::lock`].
    #[inline]
    pub fn lock_until(&self, until: impl Into<Until>) -> LockResult<Guard<'_, T>> {
        let (how, held) = self.words.hold(until)?;
        told(how, Guard::new(held))
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
    pub unsafe fn assume_locked(&self) -> Result<Guard<'_, T>> {
        // SAFETY: by the caller's word.
        Ok(Guard::new(unsafe { self.words.assume_held() }?))
    }

    /// Whether somebody holds it. A glance: it may be old when it returns.
    pub fn is_locked(&self) -> bool {
        self.words.is_held()
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }

    #[inline]
    pub(super) fn core(&self) -> &sync::Mutex {
        self.words.core()
    }
}

impl<T: Pod> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Self { words: self.words.clone(), of: PhantomData }
    }
}

impl<T: Pod> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("is_locked", &self.is_locked()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::member::ticket::Transfer;
    use crate::object::Role;
    use crate::sync::reopen::sealed::Sealed;
    use crate::sync::testing::{alone, in_child, somebody_dead};
    use crate::sync::{Event, LockError, OrRecover};
    use std::time::Duration;

    fn reopen<T: Pod, U: Pod>(mutex: &Mutex<T>) -> Result<Mutex<U>> {
        let (attachment, id) = (mutex.handle().attachment(), mutex.handle().id());
        Mutex::from_handle(Handle::adopt(attachment, id, Kind::Mutex, Role::First)?)
    }

    fn is_blocked<G>(result: LockResult<G>) -> bool {
        matches!(result, Err(LockError::Failed(Error::WouldBlock)))
    }

    #[test]
    fn one_at_a_time_holds_it_and_dropping_the_guard_lets_the_next_in() {
        let segment = Segment::create().unwrap();
        let mutex = Mutex::new(&segment, 7_u32).unwrap();
        let guard = mutex.lock().unwrap();
        assert!(mutex.is_locked() && is_blocked(mutex.try_lock()));
        let late = mutex.lock_until(Duration::from_millis(2));
        assert!(matches!(late, Err(LockError::Failed(Error::TimedOut))));
        assert_eq!(guard.get(), 7);
        drop(guard);
        assert!(!mutex.is_locked() && mutex.try_lock().is_ok());
    }

    #[test]
    fn a_forgotten_guard_is_had_again_by_the_holder_only() {
        let segment = Segment::create().unwrap();
        let mutex = Mutex::new(&segment, 7_u32).unwrap();
        // SAFETY: there is no guard.
        assert!(matches!(unsafe { mutex.assume_locked() }, Err(Error::NotHeld)));
        std::mem::forget(mutex.lock().unwrap());
        assert!(is_blocked(mutex.try_lock()));
        // SAFETY: it was forgotten.
        let guard = unsafe { mutex.assume_locked() }.unwrap();
        assert_eq!(guard.get(), 7);
        drop(guard);
        assert!(mutex.try_lock().is_ok());
    }

    #[test]
    fn the_value_passes_from_thread_to_thread() {
        let segment = Segment::create().unwrap();
        let mutex = Mutex::new(&segment, [0_u64; 9]).unwrap();
        std::thread::scope(|s| {
            for _ in 0..4 {
                let mutex = mutex.clone();
                s.spawn(move || {
                    for _ in 0..2_000 {
                        let mut guard = mutex.lock().unwrap();
                        guard.set(guard.get().map(|n| n + 1));
                    }
                });
            }
        });
        assert_eq!(mutex.lock().unwrap().get(), [8_000; 9]);
    }

    #[test]
    fn a_value_of_each_alignment_lies_where_its_type_wants_it() {
        #[derive(Clone, Copy)]
        #[repr(C, align(64))]
        struct Wide([u8; 64]);
        // SAFETY: an array of bytes without padding: zero is a value.
        unsafe impl bytemuck::Zeroable for Wide {}
        // SAFETY: as above, and all bit patterns are.
        unsafe impl Pod for Wide {}
        let segment = Segment::create().unwrap();
        let wide = Mutex::new(&segment, Wide([3; 64])).unwrap();
        let mut guard = wide.lock().unwrap();
        // SAFETY: nobody else has the segment.
        let value = unsafe { guard.as_mut() };
        assert_eq!((&raw const *value).addr() % 64, 0);
        value.0[63] = 4;
        assert_eq!((guard.get().0[0], guard.get().0[63]), (3, 4));
        assert!(Mutex::new(&segment, ()).unwrap().lock().is_ok(), "no value is a value");
    }

    #[test]
    fn another_type_and_too_large_an_alignment_are_refused() {
        #[derive(Clone, Copy)]
        #[repr(C, align(128))]
        struct TooWide([u8; 128]);
        // SAFETY: an array of bytes without padding: zero is a value.
        unsafe impl bytemuck::Zeroable for TooWide {}
        // SAFETY: as above, and all bit patterns are.
        unsafe impl Pod for TooWide {}
        let segment = Segment::create().unwrap();
        let error = Mutex::new(&segment, TooWide([0; 128])).unwrap_err();
        assert!(matches!(
            error,
            Error::Capacity { what: "an alignment", wanted: 128, min: 1, max: 64 }
        ));
        let mutex = Mutex::new(&segment, 5_u64).unwrap();
        assert_eq!(reopen::<_, u64>(&mutex).unwrap().lock().unwrap().get(), 5);
        let size = reopen::<_, [u64; 128]>(&mutex).unwrap_err();
        assert!(matches!(size, Error::TypeMismatch { what: "size", ours: 1024, theirs: 8 }));
        let align = reopen::<_, [u8; 8]>(&mutex).unwrap_err();
        assert!(matches!(align, Error::TypeMismatch { what: "alignment", ours: 1, theirs: 8 }));
    }

    #[test]
    fn a_ticket_gives_a_handle_of_its_own_kind_and_type_alone() {
        let segment = Segment::create().unwrap();
        let mutex = Mutex::new(&segment, 5_u64).unwrap();
        let ticket = || mutex.ticket().unwrap();
        let same = Mutex::<u64>::from_ticket(ticket(), &segment).unwrap();
        same.lock().unwrap().set(6);
        assert_eq!(mutex.lock().unwrap().get(), 6);
        let other = Mutex::<u32>::from_ticket(ticket(), &segment).unwrap_err();
        assert!(matches!(other, Error::TypeMismatch { what: "size", .. }));
        let other = Event::from_ticket(ticket(), &segment).unwrap_err();
        assert!(matches!(other, Error::WrongKind { wanted: "event", found: "mutex" }));
    }

    #[test]
    fn a_dead_owners_lock_goes_to_the_next_who_is_told_once() {
        let segment = Segment::create().unwrap();
        let mutex = Mutex::new(&segment, 1_u8).unwrap();
        for lock in [Mutex::lock, Mutex::try_lock] {
            assert!(mutex.core().try_lock_fast(somebody_dead()));
            let told = lock(&mutex).unwrap_err();
            assert!(told.is_owner_died() && mutex.is_locked());
            drop(told);
            assert!(lock(&mutex).is_ok());
        }
    }

    #[test]
    fn a_process_that_ends_with_the_lock_leaves_it_to_us() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let mutex = Mutex::new(&segment, 0_u64).unwrap();
            let locked = in_child(|| {
                let Ok(mut guard) = mutex.lock() else { return false };
                guard.set(9);
                std::mem::forget(guard);
                true
            });
            let guard = mutex.lock();
            assert!(locked && matches!(&guard, Err(e) if e.is_owner_died()));
            assert_eq!(guard.or_recover().unwrap().get(), 9);
        });
    }

    #[test]
    fn a_guard_that_a_fork_copied_gives_nothing_back() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let mutex = Mutex::new(&segment, 0_u64).unwrap();
            let guard = mutex.lock().unwrap();
            assert!(in_child(|| {
                // SAFETY: the parent's own guard is another copy, and is not touched here.
                drop(unsafe { std::ptr::read(&raw const guard) });
                is_blocked(mutex.try_lock())
            }));
            assert!(mutex.is_locked());
            drop(guard);
            assert!(!mutex.is_locked());
        });
    }

    #[test]
    fn a_guard_of_who_we_were_is_not_ours_even_if_we_hold_the_lock() {
        let segment = Segment::create().unwrap();
        let mutex = Mutex::new(&segment, 0_u64).unwrap();
        let mut guard = mutex.lock().unwrap();
        let attachment = segment.attachment();
        let me = attachment.me().unwrap();
        attachment.set_me(None);
        assert!(matches!(mutex.lock(), Err(LockError::Failed(Error::Forked))));
        assert!(matches!(guard.held(), Err(Error::Forked)));
        let touched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| guard.get()));
        assert!(touched.is_err());
        attachment.set_me(Some(me));
        assert_eq!(guard.get(), 0);
    }

    #[test]
    fn handles_travel_and_the_last_one_ends_the_mutex() {
        fn travels<T: Send + Sync>() {}
        travels::<Mutex<u64>>();
        let segment = Segment::create().unwrap();
        let mutex = Mutex::new(&segment, 0_u64).unwrap();
        let other = mutex.clone();
        let id = mutex.handle().id();
        drop(mutex);
        assert!(format!("{other:?} {:?}", other.lock().unwrap()).contains("is_ours: true"));
        assert!(segment.attachment().directory.find(id).is_some());
        drop(other);
        assert!(segment.attachment().directory.find(id).is_none());
    }
}
