//! A condition to wait for while a lock is open.

use std::fmt;

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::sync::{self, Ticket};

use super::lock_error::LockResult;
use super::reopen::{Held, Reopen, wait_open};
use super::words::Words;
use crate::member::{Handle, Wait};
use crate::object::Kind;
use crate::wait::Until;
use crate::{Error, Result, Segment};

/// A condition to wait for while a lock is open: with the guard of a [`Mutex`](super::Mutex) or of a
/// [`ReentrantMutex`](super::ReentrantMutex).
///
/// Change the condition with the lock held; notify with the lock held or afterwards. A notification reaches those who
/// waited before it. **A wait may return without one**: look at the condition again after each. Notifying is one load
/// while nobody waits, and no waiter is waited for: a dead one costs the others nothing but a needless return.
///
/// # Examples
///
/// ```
/// use slipring::{Condvar, Mutex, OrRecover, Segment};
///
/// let segment = Segment::create()?;
/// let (stock, more) = (Mutex::new(&segment, 0_u32)?, Condvar::new(&segment)?);
/// let (stock_here, more_here) = (stock.clone(), more.clone());
/// let consumer = std::thread::spawn(move || {
///     let mut guard = stock_here.lock().or_recover()?;
///     while guard.get() == 0 {
///         more_here.wait(&mut guard).or_recover()?;
///     }
///     guard.set(guard.get() - 1);
///     Ok::<(), slipring::Error>(())
/// });
/// stock.lock().or_recover()?.set(1);
/// more.notify_one()?;
/// consumer.join().unwrap()?;
/// assert_eq!(stock.lock().or_recover()?.get(), 0);
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone)]
pub struct Condvar {
    words: Words<sync::Condvar>,
}

/// Why somebody who waits without a guard returned.
///
/// ```
/// use std::time::Duration;
/// use slipring::{Condvar, Release, Segment};
///
/// let changed = Condvar::new(&Segment::create()?)?;
/// let mut waiting = changed.enter()?;
/// changed.notify_one()?;
/// loop {
///     match waiting.wait_until(Duration::from_secs(1))? {
///         Release::Notified => break,
///         Release::Disturbed => { /* look at the condition, and go on waiting */ }
///     }
/// }
/// # Ok::<(), slipring::Error>(())
/// ```
pub use slipring_core::sync::Release;

/// One who waits for a [`Condvar`] and keeps its lock itself: for bindings, which have no guards. See
/// [`Condvar::enter`]. It waits until it is released or dropped.
///
/// ```
/// use slipring::{Condvar, Segment};
///
/// let changed = Condvar::new(&Segment::create()?)?;
/// let waiting = changed.enter()?;
/// let other = changed.enter()?;
/// assert_eq!(changed.waiters(), 2);
/// changed.notify_all()?;
/// assert!(waiting.leave(), "a notification came before");
/// drop(other); // this one waits no more, either
/// assert!(!changed.enter()?.leave());
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "it waits until it is dropped"]
#[derive(Debug)]
pub struct Waiting<'a> {
    condvar: &'a Condvar,
    /// Who entered: in a forked child somebody else.
    me: OwnerId,
    /// `None` once it was released.
    ticket: Option<Ticket>,
}

impl Condvar {
    /// Makes a condition that nobody waits for.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn new(segment: &Segment) -> Result<Self> {
        Ok(Self { words: Words::create(segment, Kind::Condvar, sync::Condvar::new())? })
    }

    /// The condition that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { words: Words::from_handle(handle)? })
    }

    /// Opens the lock, waits for a notification for as long as it takes, and takes the lock again: a reentrant one is
    /// opened however deep it is, and taken again as deep.
    ///
    /// # Errors
    ///
    /// The guard holds the lock after each of them but [`Error::Forked`].
    /// [`LockError::OwnerDied`](super::LockError::OwnerDied): somebody died with the lock meanwhile; the guard has inherited it, and whether it was
    /// notified is not said. [`Error::Interrupted`]. [`Error::Forked`]: the guard was copied by a fork.
    pub fn wait<G: Reopen>(&self, guard: &mut G) -> LockResult<()> {
        self.wait_until(guard, Until::NEVER)
    }

    /// As [`Condvar::wait`], until a deadline. The deadline ends the wait for a notification; for the lock it waits as
    /// long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`Condvar::wait`].
    pub fn wait_until<G: Reopen>(&self, guard: &mut G, until: impl Into<Until>) -> LockResult<()> {
        self.words.me()?;
        let Held { lock, me, attachment } = guard.held()?;
        let relock = Wait::new(attachment, None, None);
        self.words.wait(until.into(), |wait| wait_open(self.words.get(), &lock, me, wait, relock))
    }

    /// Begins to wait, with whatever lock protects the condition held. Then give the lock back, wait, and take the lock
    /// again; who notifies has the lock, or had it when it changed the condition. No notification since is missed, however
    /// often the wait itself is ended by its deadline and gone on with.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use slipring::{Condvar, Error, Release, Segment, Semaphore};
    ///
    /// let segment = Segment::create()?;
    /// let (lock, changed) = (Semaphore::new(&segment, 1)?, Condvar::new(&segment)?);
    /// lock.acquire()?;
    /// let mut waiting = changed.enter()?;
    /// lock.release(1)?;
    /// assert!(matches!(waiting.wait_until(Duration::from_millis(1)), Err(Error::TimedOut)));
    /// changed.notify_one()?;
    /// assert_eq!(waiting.wait_until(Duration::from_secs(1))?, Release::Notified);
    /// lock.acquire()?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn enter(&self) -> Result<Waiting<'_>> {
        let me = self.words.me()?;
        Ok(Waiting { condvar: self, me, ticket: Some(self.words.get().enter()) })
    }

    /// Releases one who waits, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    #[inline]
    pub fn notify_one(&self) -> Result<()> {
        self.notify(1)
    }

    /// Releases all who wait.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    #[inline]
    pub fn notify_all(&self) -> Result<()> {
        self.notify(u32::MAX)
    }

    /// Releases `count` of those who wait, or all if they are fewer.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    #[inline]
    pub fn notify(&self, count: u32) -> Result<()> {
        self.words.me()?;
        self.words.get().notify(count, Scope::Shared);
        Ok(())
    }

    /// How many wait, the dead included until they are forgotten. A glance: it may be old when it returns.
    pub fn waiters(&self) -> u32 {
        self.words.get().waiters()
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }
}

impl Waiting<'_> {
    /// Waits until a notification, a death or a deadline. After [`Release::Disturbed`] and after an error it waits still,
    /// and nothing that comes meanwhile is missed: look at the condition, if you like, and call this again.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Interrupted`]; [`Error::Forked`] in a child.
    pub fn wait_until(&mut self, until: impl Into<Until>) -> Result<Release> {
        let words = &self.condvar.words;
        if words.me()? != self.me {
            return Err(Error::Forked);
        }
        let Some(ticket) = &mut self.ticket else { return Ok(Release::Notified) };
        let released = words.wait(until.into(), |wait| words.get().wait_with(ticket, wait))?;
        if released == Release::Notified {
            self.ticket = None;
        }
        Ok(released)
    }

    /// Waits no more. Returns whether a notification had released it before.
    pub fn leave(mut self) -> bool {
        self.give_up()
    }

    fn give_up(&mut self) -> bool {
        let words = &self.condvar.words;
        match self.ticket.take() {
            None => true,
            Some(ticket) if words.me().is_ok_and(|me| me == self.me) => {
                words.get().leave(ticket, Scope::Shared)
            }
            Some(_) => false,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiters = self.waiters();
        f.debug_struct("Condvar").field("waiters", &waiters).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::testing::{alone, in_child, somebody_dead};
    use crate::sync::{LockError, Mutex, OrRecover, ReentrantMutex};
    use std::time::Duration;

    const SHORT: Duration = Duration::from_millis(2);

    fn wait_for_waiters(condvar: &Condvar, count: u32) {
        while condvar.waiters() != count {
            std::thread::yield_now();
        }
    }

    #[test]
    fn so_many_are_released_as_were_notified() {
        let segment = Segment::create().unwrap();
        let (mutex, condvar) =
            (Mutex::new(&segment, 0_u32).unwrap(), Condvar::new(&segment).unwrap());
        std::thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    let mut guard = mutex.lock().unwrap();
                    while guard.get() == 0 {
                        condvar.wait(&mut guard).unwrap();
                    }
                    guard.set(guard.get() - 1);
                });
            }
            wait_for_waiters(&condvar, 3);
            mutex.lock().unwrap().set(1);
            condvar.notify_one().unwrap();
            while mutex.lock().unwrap().get() != 0 {
                std::thread::yield_now();
            }
            mutex.lock().unwrap().set(2);
            condvar.notify(2).unwrap();
        });
        assert_eq!(mutex.lock().unwrap().get(), 0);
        condvar.notify_all().unwrap();
    }

    #[test]
    fn the_lock_is_open_while_somebody_waits_and_held_when_the_wait_ends() {
        let segment = Segment::create().unwrap();
        let (mutex, condvar) =
            (Mutex::new(&segment, 0_u32).unwrap(), Condvar::new(&segment).unwrap());
        let mut guard = mutex.lock().unwrap();
        std::thread::scope(|s| {
            s.spawn(|| mutex.lock().unwrap().set(5));
            while guard.get() != 5 {
                let waited = condvar.wait_until(&mut guard, SHORT);
                assert!(matches!(waited, Err(LockError::Failed(Error::TimedOut))));
                assert!(mutex.is_locked());
            }
        });
    }

    #[test]
    fn a_reentrant_lock_is_opened_from_any_depth_and_taken_again_as_deep() {
        let segment = Segment::create().unwrap();
        let lock = ReentrantMutex::new(&segment).unwrap();
        let condvar = Condvar::new(&segment).unwrap();
        let outer = lock.lock().unwrap();
        let mut inner = lock.lock().unwrap();
        std::thread::scope(|s| {
            s.spawn(|| {
                let _guard = lock.lock().unwrap();
                condvar.notify_all().unwrap();
            });
            condvar.wait(&mut inner).unwrap();
        });
        assert_eq!(lock.count(), 2);
        drop((outer, inner));
        assert!(!lock.is_locked());
    }

    #[test]
    fn a_waiter_is_told_that_somebody_died_with_the_lock_meanwhile() {
        let segment = Segment::create().unwrap();
        let (mutex, condvar) =
            (Mutex::new(&segment, 0_u32).unwrap(), Condvar::new(&segment).unwrap());
        let mut guard = mutex.lock().unwrap();
        std::thread::scope(|s| {
            s.spawn(|| {
                while !mutex.core().try_lock_fast(somebody_dead()) {
                    std::thread::yield_now();
                }
                condvar.notify_all().unwrap();
            });
            let waited = condvar.wait(&mut guard);
            assert!(matches!(waited, Err(LockError::OwnerDied(()))));
        });
        assert!(mutex.is_locked() && condvar.wait_until(&mut guard, SHORT).is_err());
        drop(guard);
        assert!(mutex.lock().or_recover().is_ok());
    }

    #[test]
    fn who_waits_without_a_guard_misses_no_notification_between_two_looks() {
        let segment = Segment::create().unwrap();
        let condvar = Condvar::new(&segment).unwrap();
        let mut first = condvar.enter().unwrap();
        let second = condvar.enter().unwrap();
        for until in [Until::NOW, SHORT.into()] {
            assert!(matches!(first.wait_until(until), Err(Error::TimedOut)));
        }
        condvar.notify_one().unwrap();
        assert_eq!(first.wait_until(Until::NEVER).unwrap(), Release::Notified);
        assert_eq!(first.wait_until(Until::NEVER).unwrap(), Release::Notified);
        assert!(first.leave() && !second.leave());
        assert_eq!(condvar.waiters(), 0);
        let dropped = condvar.enter().unwrap();
        condvar.notify_all().unwrap();
        assert!(dropped.leave(), "it had been released");
    }

    #[test]
    fn a_death_disturbs_who_waits_without_a_guard_and_takes_nothing_from_it() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let condvar = Condvar::new(&segment).unwrap();
            let mut waiting = condvar.enter().unwrap();
            // Dies at the end, counted.
            assert!(in_child(|| {
                let mut mine = condvar.enter().unwrap();
                matches!(mine.wait_until(SHORT), Err(Error::TimedOut))
                    && matches!(waiting.wait_until(SHORT), Err(Error::Forked))
                    && {
                        std::mem::forget(mine);
                        true
                    }
            }));
            let released = waiting.wait_until(Duration::from_secs(10)).unwrap();
            assert_eq!(released, Release::Disturbed);
            let again = waiting.wait_until(SHORT);
            assert!(matches!(again, Err(Error::TimedOut)), "it is told once");
            condvar.notify_one().unwrap();
            assert_eq!(waiting.wait_until(Until::NEVER).unwrap(), Release::Notified);
            condvar.notify_one().unwrap();
            assert_eq!(condvar.waiters(), 0, "the dead one is forgotten");
        });
    }

    #[test]
    fn waiting_with_a_copied_guard_is_refused() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let (mutex, condvar) =
                (Mutex::new(&segment, 0_u32).unwrap(), Condvar::new(&segment).unwrap());
            let mut guard = mutex.lock().unwrap();
            assert!(in_child(|| {
                let waited = condvar.wait(&mut guard);
                matches!(waited, Err(LockError::Failed(Error::Forked)))
            }));
            assert!(mutex.is_locked());
        });
    }
}
