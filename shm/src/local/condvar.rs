//! A condition that threads wait for while a lock is open.

use std::fmt;

use slipring_core::futex::Scope;
use slipring_core::sync;

use super::threads::Threads;
use super::words::Words;
use crate::Result;
use crate::sync::LockResult;
use crate::sync::reopen::wait_open;
use crate::wait::{Until, Wait};

/// A condition to wait for while a lock is open, with the guard of a [`Mutex`](super::Mutex) or of a
/// [`ReentrantMutex`](super::ReentrantMutex) of this module: [`crate::Condvar`] without a segment.
///
/// Change the condition with the lock held; notify with the lock held or afterwards. A notification reaches those who
/// waited before it. **A wait may return without one**: look at the condition again after each. Notifying is one load
/// while nobody waits. A clone is another handle of the same condition.
///
/// # Examples
///
/// ```
/// use slipring::OrRecover;
/// use slipring::local::{Condvar, Mutex};
///
/// let (stock, more) = (Mutex::new(Vec::new()), Condvar::new());
/// let (stock_here, more_here) = (stock.clone(), more.clone());
/// let consumer = std::thread::spawn(move || {
///     let mut guard = stock_here.lock().or_recover()?;
///     while guard.is_empty() {
///         more_here.wait(&mut guard).or_recover()?;
///     }
///     Ok::<_, slipring::Error>(guard.pop())
/// });
/// stock.lock().or_recover()?.push("an apple");
/// more.notify_one()?;
/// assert_eq!(consumer.join().unwrap()?, Some("an apple"));
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone)]
pub struct Condvar {
    words: Words<sync::Condvar>,
}

/// A guard whose lock a [`Condvar`] can open and take again: [`Guard`](super::Guard) and
/// [`ReentrantGuard`](super::ReentrantGuard).
///
/// ```
/// use std::time::Duration;
/// use slipring::OrRecover;
/// use slipring::local::{Condvar, Mutex, Reopen};
///
/// /// Waits with the guard of whichever lock.
/// fn nap<G: Reopen>(bell: &Condvar, guard: &mut G) {
///     let _ = bell.wait_until(guard, Duration::from_millis(1));
/// }
///
/// let (bell, lock) = (Condvar::new(), Mutex::new("awake"));
/// let mut guard = lock.lock().or_recover()?;
/// nap(&bell, &mut guard);
/// assert_eq!(*guard, "awake");
/// # Ok::<(), slipring::Error>(())
/// ```
pub trait Reopen: sealed::Sealed {}

pub(super) mod sealed {
    use slipring_core::owner::OwnerId;

    use crate::sync::reopen::Lock;

    /// A lock that a guard holds, and in whose name.
    pub struct Held<'a> {
        pub(crate) lock: Lock<'a>,
        pub(crate) me: OwnerId,
    }

    /// Only this module's guards can be waited with.
    pub trait Sealed {
        /// The lock.
        fn held(&mut self) -> Held<'_>;
    }
}

impl Condvar {
    /// Makes a condition that nobody waits for.
    pub fn new() -> Self {
        Self { words: Words::new(sync::Condvar::new()) }
    }

    /// Opens the lock, waits for a notification for as long as it takes, and takes the lock again: a reentrant one is
    /// opened however deep it is, and taken again as deep.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn wait<G: Reopen>(&self, guard: &mut G) -> LockResult<()> {
        self.wait_until(guard, Until::NEVER)
    }

    /// As [`Condvar::wait`], until a deadline. The deadline ends the wait for a notification; for the lock it waits as
    /// long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut); the guard holds the lock.
    pub fn wait_until<G: Reopen>(&self, guard: &mut G, until: impl Into<Until>) -> LockResult<()> {
        let sealed::Held { lock, me } = guard.held();
        let relock = Wait::new(&Threads, None, None);
        self.words.wait(until.into(), |wait| wait_open(self.words.get(), &lock, me, wait, relock))
    }

    /// Releases one who waits, if there is one.
    ///
    /// # Errors
    ///
    /// None so far.
    #[inline]
    pub fn notify_one(&self) -> Result<()> {
        self.notify(1)
    }

    /// Releases all who wait.
    ///
    /// # Errors
    ///
    /// None so far.
    #[inline]
    pub fn notify_all(&self) -> Result<()> {
        self.notify(u32::MAX)
    }

    /// Releases `count` of those who wait, or all if they are fewer.
    ///
    /// # Errors
    ///
    /// None so far.
    #[inline]
    pub fn notify(&self, count: u32) -> Result<()> {
        self.words.get().notify(count, Scope::Private);
        Ok(())
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiters = self.words.get().waiters();
        f.debug_struct("Condvar").field("waiters", &waiters).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::local::{Mutex, ReentrantMutex};
    use crate::sync::LockError;
    use std::time::Duration;

    #[test]
    fn a_wait_ends_at_its_deadline_with_the_lock_held() {
        let (mutex, condvar) = (Mutex::new(0_u8), Condvar::new());
        let mut guard = mutex.lock().unwrap();
        let late = condvar.wait_until(&mut guard, Duration::from_millis(2));
        assert!(matches!(late, Err(LockError::Failed(Error::TimedOut))));
        assert!(mutex.is_locked());
    }

    #[test]
    fn a_bounded_buffer_under_load_loses_nothing() {
        let (mutex, room, more) = (Mutex::new(Vec::new()), Condvar::new(), Condvar::new());
        let sum = Mutex::new(0_u64);
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    for number in 0..3_000_u64 {
                        let mut guard = mutex.lock().unwrap();
                        while guard.len() == 3 {
                            room.wait(&mut guard).unwrap();
                        }
                        guard.push(number);
                        drop(guard);
                        more.notify_one().unwrap();
                    }
                });
                s.spawn(|| {
                    for _ in 0..3_000 {
                        let mut guard = mutex.lock().unwrap();
                        while guard.is_empty() {
                            more.wait(&mut guard).unwrap();
                        }
                        let number = guard.pop().unwrap();
                        drop(guard);
                        room.notify_one().unwrap();
                        *sum.lock().unwrap() += number;
                    }
                });
            }
        });
        assert_eq!(*sum.lock().unwrap(), 2 * (0..3_000).sum::<u64>());
        assert!(mutex.lock().unwrap().is_empty());
    }

    #[test]
    fn a_reentrant_lock_is_opened_and_taken_again_as_deep() {
        let (lock, condvar) = (ReentrantMutex::new(), Condvar::default());
        let _outer = lock.lock().unwrap();
        let mut inner = lock.lock().unwrap();
        std::thread::scope(|s| {
            s.spawn(|| {
                // Only while the other one waits is this one to be had.
                let _guard = lock.lock().unwrap();
                condvar.notify_all().unwrap();
            });
            condvar.wait(&mut inner).unwrap();
            assert!(lock.is_mine() && lock.count() == 2);
        });
    }
}
