//! A lock around a value, between threads.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::DataCell;
use slipring_core::sync;

use super::condvar::Reopen;
use super::condvar::sealed::{Held, Sealed};
use super::threads::me;
use super::words::Words;
use crate::sync::LockResult;
use crate::sync::lock_error::told;
use crate::sync::reopen::Lock;
use crate::wait::Until;
use crate::{Error, Result};

/// The lock and what it protects.
struct Body<T> {
    lock: sync::Mutex,
    /// The holder's.
    value: DataCell<T>,
}

/// A lock around a value, between the threads of this process: [`crate::Mutex`] without a segment, for any type.
///
/// Not fair, and not for the same thread twice: see [`ReentrantMutex`](super::ReentrantMutex). Taking and giving back a
/// lock that nobody wants does not enter the kernel. A clone is another handle of the same mutex.
///
/// A holder that panics gives the lock back as it unwinds, and nobody is told: see the [module](super). A guard that is
/// forgotten keeps the lock for ever.
///
/// # Examples
///
/// ```
/// use slipring::OrRecover;
/// use slipring::local::Mutex;
///
/// let names = Mutex::new(vec!["one".to_owned()]);
/// let here = names.clone();
/// let thread = std::thread::spawn(move || {
///     here.lock().or_recover()?.push("two".to_owned());
///     Ok::<(), slipring::Error>(())
/// });
/// thread.join().unwrap()?;
/// assert_eq!(names.lock().or_recover()?.join(" "), "one two");
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct Mutex<T> {
    words: Words<Body<T>>,
}

/// The lock is held while this lives. It may go to another thread, which gives the lock back then.
///
/// ```
/// use slipring::OrRecover;
/// use slipring::local::{Guard, Mutex};
///
/// fn longest<'a>(words: &'a Guard<'_, Vec<String>>) -> Option<&'a String> {
///     words.iter().max_by_key(|word| word.len()) // the guard is a reference to the value
/// }
///
/// let words = Mutex::new(vec!["a".to_owned(), "abc".to_owned()]);
/// let mut guard = words.lock().or_recover()?;
/// guard.push("ab".to_owned());
/// assert_eq!(longest(&guard).unwrap(), "abc");
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "the lock is given back when the guard is dropped"]
pub struct Guard<'a, T> {
    mutex: &'a Mutex<T>,
    /// The thread that took it.
    me: OwnerId,
    /// It gives out references to the value, so it is `Sync` only where `T` is.
    of: PhantomData<&'a mut T>,
}

impl<T> Mutex<T> {
    /// Makes a mutex around `value`.
    pub fn new(value: T) -> Self {
        let (lock, value) = (sync::Mutex::new(), DataCell::new(value));
        Self { words: Words::new(Body { lock, value }) }
    }

    /// Takes the lock, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// None so far.
    #[inline]
    pub fn lock(&self) -> LockResult<Guard<'_, T>> {
        self.lock_until(Until::NEVER)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if somebody holds it.
    #[inline]
    pub fn try_lock(&self) -> LockResult<Guard<'_, T>> {
        self.lock_until(Until::NOW)
    }

    /// Takes the lock, waiting until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`].
    #[inline]
    pub fn lock_until(&self, until: impl Into<Until>) -> LockResult<Guard<'_, T>> {
        let me = me();
        if self.core().try_lock_fast(me) {
            Ok(self.guard(me))
        } else {
            self.lock_slow(me, until.into())
        }
    }

    #[cold]
    fn lock_slow(&self, me: OwnerId, until: Until) -> LockResult<Guard<'_, T>> {
        if until.is_now() {
            return Err(Error::WouldBlock.into());
        }
        let how = self.words.wait(until, |wait| self.core().lock(me, wait)).map_err(Error::from)?;
        told(how, self.guard(me))
    }

    /// The guard of a lock that was just taken.
    #[inline]
    fn guard(&self, me: OwnerId) -> Guard<'_, T> {
        Guard { mutex: self, me, of: PhantomData }
    }

    /// The guard of a lock that this thread holds, whose guard was forgotten with [`std::mem::forget`].
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`] if this thread did not take the lock.
    ///
    /// # Safety
    ///
    /// The guard was forgotten, and this takes its place: no two guards of one locking live at a time.
    pub unsafe fn assume_locked(&self) -> Result<Guard<'_, T>> {
        let me = me();
        if self.core().owner() == Some(me) { Ok(self.guard(me)) } else { Err(Error::NotHeld) }
    }

    /// Whether somebody holds it. A glance: it may be old when it returns.
    pub fn is_locked(&self) -> bool {
        self.core().owner().is_some()
    }

    #[inline]
    fn core(&self) -> &sync::Mutex {
        &self.words.get().lock
    }
}

impl<T: Copy> Guard<'_, T> {
    /// A copy of the value.
    #[inline]
    pub fn get(&self) -> T {
        **self
    }

    /// Replaces the value.
    #[inline]
    pub fn set(&mut self, value: T) {
        **self = value;
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: we hold the lock while we live, so nobody has an exclusive reference but through us.
        self.mutex.words.get().value.with(|at| unsafe { &*at })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: we hold the lock while we live and are borrowed exclusively, so nobody has another reference.
        self.mutex.words.get().value.with_mut(|at| unsafe { &mut *at })
    }
}

impl<T> Sealed for Guard<'_, T> {
    fn held(&mut self) -> Held<'_> {
        Held { lock: Lock::Plain(self.mutex.core()), me: self.me }
    }
}

impl<T> Reopen for Guard<'_, T> {}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.core().unlock(self.me, Scope::Private);
    }
}

impl<T> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Self { words: self.words.clone() }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("is_locked", &self.is_locked()).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&**self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{LockError, OrRecover};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::time::Duration;

    fn is_blocked<G>(result: LockResult<G>) -> bool {
        matches!(result, Err(LockError::Failed(Error::WouldBlock)))
    }

    #[test]
    fn one_at_a_time_holds_it_and_dropping_the_guard_lets_the_next_in() {
        let mutex = Mutex::new(7_u32);
        let mut guard = mutex.lock().unwrap();
        assert!(mutex.is_locked() && is_blocked(mutex.try_lock()));
        let late = mutex.lock_until(Duration::from_millis(2));
        assert!(matches!(late, Err(LockError::Failed(Error::TimedOut))));
        guard.set(guard.get() + 1);
        drop(guard);
        assert!(!mutex.is_locked());
        assert_eq!(*mutex.try_lock().unwrap(), 8);
    }

    #[test]
    fn the_value_passes_from_thread_to_thread() {
        let mutex = Mutex::new((0_u64, vec![0_u64; 9]));
        std::thread::scope(|s| {
            for _ in 0..4 {
                let mutex = mutex.clone();
                s.spawn(move || {
                    for _ in 0..5_000 {
                        let mut guard = mutex.lock().or_recover().unwrap();
                        guard.0 += 1;
                        guard.1.iter_mut().for_each(|n| *n += 1);
                    }
                });
            }
        });
        let guard = mutex.lock().unwrap();
        assert_eq!((guard.0, &guard.1[..]), (20_000, &[20_000; 9][..]));
    }

    #[test]
    fn who_gave_up_takes_nobodys_turn() {
        let mutex = Mutex::new(0_u32);
        std::thread::scope(|s| {
            for patience in [0, 20, 300, u64::MAX] {
                let mutex = mutex.clone();
                s.spawn(move || {
                    let mut had = 0;
                    while had < 1_000 {
                        if let Ok(mut guard) = mutex.lock_until(Duration::from_micros(patience)) {
                            *guard += 1;
                            had += 1;
                        }
                    }
                });
            }
        });
        assert_eq!(*mutex.lock().unwrap(), 4_000);
    }

    #[test]
    fn a_holder_that_panics_gives_it_back_and_nobody_is_told() {
        let mutex = Mutex::new(1_u8);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut guard = mutex.lock().unwrap();
            *guard = 2;
            panic!("by intent");
        }));
        assert!(panicked.is_err() && !mutex.is_locked());
        assert_eq!(*mutex.lock().unwrap(), 2);
    }

    #[test]
    fn another_thread_may_give_back_what_this_one_took() {
        let mutex = Mutex::new(1_u8);
        let guard = mutex.lock().unwrap();
        std::thread::scope(|s| {
            s.spawn(move || drop(guard));
        });
        assert!(!mutex.is_locked());
    }

    #[test]
    fn the_value_is_dropped_with_the_last_handle() {
        let value = Arc::new(());
        let mutex = Mutex::new(value.clone());
        let other = mutex.clone();
        drop(mutex);
        assert_eq!(Arc::strong_count(&value), 2);
        *other.lock().unwrap() = Arc::new(());
        assert_eq!(Arc::strong_count(&value), 1);
        drop(other);
    }

    #[test]
    fn a_forgotten_guard_is_had_again_by_the_thread_that_took_it() {
        let mutex = Mutex::new(7_u32);
        // SAFETY: there is no guard.
        assert!(matches!(unsafe { mutex.assume_locked() }, Err(Error::NotHeld)));
        std::mem::forget(mutex.lock().unwrap());
        std::thread::scope(|s| {
            // SAFETY: it was forgotten.
            s.spawn(|| assert!(unsafe { mutex.assume_locked() }.is_err()));
        });
        // SAFETY: it was forgotten.
        let guard = unsafe { mutex.assume_locked() }.unwrap();
        assert_eq!(*guard, 7);
        drop(guard);
        assert!(!mutex.is_locked());
    }

    #[test]
    fn methods_of_the_value_are_not_hidden_by_those_of_the_guard() {
        let mutex = Mutex::new(vec![5_u8]);
        let guard = mutex.lock().unwrap();
        assert_eq!(
            (guard.get(..1), format!("{guard:?}")),
            (Some(&[5][..]), "Guard([5])".to_owned())
        );
    }

    #[test]
    fn handles_travel_between_threads() {
        fn travels<T: Send + Sync>() {}
        travels::<Mutex<std::cell::Cell<u8>>>();
        travels::<Guard<'_, u8>>();
    }
}
