//! A lock that the thread which holds it may take again.

use std::fmt;
use std::marker::PhantomData;

use slipring_core::futex::Scope;
use slipring_core::sync;

use super::condvar::Reopen;
use super::condvar::sealed::{Held, Sealed};
use super::threads::me;
use super::words::Words;
use crate::sync::LockResult;
use crate::sync::lock_error::told;
use crate::sync::reentrant::{thread_number, too_deep};
use crate::sync::reopen::Lock;
use crate::wait::Until;
use crate::{Error, Result};

/// A lock that the thread which holds it may take again: [`crate::ReentrantMutex`] without a segment. It is given back
/// when it was unlocked as often. It protects no value of its own.
///
/// A holder that panics gives the lock back as it unwinds. A thread that ends, its guard forgotten, keeps it for ever.
/// A clone is another handle of the same lock.
///
/// # Examples
///
/// ```
/// use slipring::OrRecover;
/// use slipring::local::ReentrantMutex;
///
/// let lock = ReentrantMutex::new();
/// let outer = lock.lock().or_recover()?;
/// let inner = lock.lock().or_recover()?;
/// assert_eq!(lock.count(), 2);
/// drop(inner);
/// assert!(lock.is_mine());
/// drop(outer);
/// assert!(!lock.is_locked());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone)]
pub struct ReentrantMutex {
    words: Words<sync::ReentrantMutex>,
}

/// One locking: the lock is held at least while this lives, by the thread that took it.
///
/// ```
/// use slipring::OrRecover;
/// use slipring::local::ReentrantMutex;
///
/// let lock = ReentrantMutex::new();
/// let guard = lock.lock().or_recover()?;
/// // The same thread may have it again, another one may not.
/// assert!(lock.try_lock().is_ok());
/// std::thread::scope(|scope| {
///     scope.spawn(|| assert!(lock.try_lock().is_err()));
/// });
/// drop(guard);
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "the lock is given back when the guard is dropped"]
pub struct ReentrantGuard<'a> {
    mutex: &'a ReentrantMutex,
    /// Only the thread that took it can give it back.
    not_send: PhantomData<*const ()>,
}

impl ReentrantMutex {
    /// Makes a lock that nobody holds.
    pub fn new() -> Self {
        Self { words: Words::new(sync::ReentrantMutex::new()) }
    }

    /// Takes the lock, once more if this thread has it, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] after 2^32 - 1 times.
    #[inline]
    pub fn lock(&self) -> LockResult<ReentrantGuard<'_>> {
        self.lock_until(Until::NEVER)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if another thread holds it, and as [`ReentrantMutex::lock`].
    #[inline]
    pub fn try_lock(&self) -> LockResult<ReentrantGuard<'_>> {
        self.lock_until(Until::NOW)
    }

    /// Takes the lock, waiting until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`ReentrantMutex::lock`].
    #[inline]
    pub fn lock_until(&self, until: impl Into<Until>) -> LockResult<ReentrantGuard<'_>> {
        let taken = self.words.get().try_lock(me(), thread_number(), |_| false);
        match taken.map_err(too_deep)? {
            Some(how) => told(how, self.guard()),
            None => self.lock_slow(until.into()),
        }
    }

    #[cold]
    fn lock_slow(&self, until: Until) -> LockResult<ReentrantGuard<'_>> {
        if until.is_now() {
            return Err(Error::WouldBlock.into());
        }
        let core = self.words.get();
        let locked = self.words.wait(until, |wait| core.lock(me(), thread_number(), wait));
        let how = locked.map_err(|error| match error {
            sync::LockError::TooDeep => too_deep(sync::TooDeep),
            sync::LockError::Stopped(stop) => stop.into(),
        })?;
        told(how, self.guard())
    }

    /// The guard of a lock that was just taken.
    #[inline]
    fn guard(&self) -> ReentrantGuard<'_> {
        ReentrantGuard { mutex: self, not_send: PhantomData }
    }

    /// How often the holder has taken it; 0 if nobody did. A glance, except for the holder.
    pub fn count(&self) -> u32 {
        self.words.get().count()
    }

    /// Whether somebody holds it. A glance: it may be old when it returns.
    pub fn is_locked(&self) -> bool {
        self.words.get().owner().is_some()
    }

    /// A guard of a lock that this thread holds, whose own was forgotten with [`std::mem::forget`]. Each guard that is
    /// dropped gives the lock back once.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`] if this thread does not hold the lock.
    pub fn assume_locked(&self) -> Result<ReentrantGuard<'_>> {
        if self.is_mine() { Ok(self.guard()) } else { Err(Error::NotHeld) }
    }

    /// Whether this thread holds it.
    pub fn is_mine(&self) -> bool {
        self.words.get().is_mine(me(), thread_number())
    }
}

impl Sealed for ReentrantGuard<'_> {
    fn held(&mut self) -> Held<'_> {
        Held { lock: Lock::Reentrant(self.mutex.words.get(), thread_number()), me: me() }
    }
}

impl Reopen for ReentrantGuard<'_> {}

impl Drop for ReentrantGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // It holds it: the guard does not leave its thread.
        let _ = self.mutex.words.get().unlock(me(), thread_number(), Scope::Private);
    }
}

impl Default for ReentrantMutex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ReentrantMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReentrantGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantGuard").field("mutex", self.mutex).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::LockError;
    use std::time::Duration;

    #[test]
    fn its_holder_takes_it_again_and_another_thread_does_not() {
        let lock = ReentrantMutex::default();
        let outer = lock.lock().unwrap();
        let inner = lock.try_lock().unwrap();
        assert_eq!(lock.count(), 2);
        std::thread::scope(|s| {
            s.spawn(|| {
                assert!(lock.is_locked() && !lock.is_mine());
                let blocked = lock.try_lock().err();
                assert!(matches!(blocked, Some(LockError::Failed(Error::WouldBlock))));
                let late = lock.lock_until(Duration::from_millis(2)).err();
                assert!(matches!(late, Some(LockError::Failed(Error::TimedOut))));
            });
        });
        drop(outer);
        assert!(lock.is_mine() && lock.count() == 1, "guards may go in any order");
        std::mem::forget(inner);
        drop(lock.assume_locked().unwrap());
        assert!(matches!(lock.assume_locked(), Err(Error::NotHeld)));
        assert!(!lock.is_locked());
    }

    #[test]
    fn threads_take_turns_however_deep_they_go() {
        let (lock, inside) = (ReentrantMutex::new(), super::super::Semaphore::new(1).unwrap());
        std::thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    for round in 0..2_000 {
                        let guards: Vec<_> =
                            (0..1 + round % 3).map(|_| lock.lock().unwrap()).collect();
                        inside.try_acquire().expect("nobody else is inside");
                        inside.release(1).unwrap();
                        assert_eq!(lock.count() as usize, guards.len());
                    }
                });
            }
        });
        assert_eq!(lock.count(), 0);
    }
}
