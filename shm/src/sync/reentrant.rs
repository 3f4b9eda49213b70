//! A lock that the thread which holds it may take again.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, Ordering};
use slipring_core::sync;

use super::lock_error::{LockResult, told};
use super::reopen::sealed::Sealed;
use super::reopen::{Held, Lock, Reopen};
use super::words::Words;
use crate::member::Handle;
use crate::object::Kind;
use crate::wait::Until;
use crate::{Error, Result, Segment};

/// A lock that the thread which holds it may take again: it is given back when it was unlocked as often. It protects no
/// value of its own.
///
/// The holder is one thread of one process. A holder that lives is waited for; when its process dies the lock goes to
/// the next, who is told by [`LockError::OwnerDied`](super::LockError::OwnerDied). A thread that ends while its
/// process lives, its guard forgotten, keeps the lock.
///
/// # Examples
///
/// ```
/// use slipring::{OrRecover, ReentrantMutex, Segment};
///
/// let segment = Segment::create()?;
/// let lock = ReentrantMutex::new(&segment)?;
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
/// use slipring::{OrRecover, ReentrantMutex, Result, Segment};
///
/// /// Takes the lock itself: its caller may have it or not.
/// fn depth(lock: &ReentrantMutex) -> Result<u32> {
///     let _guard = lock.lock().or_recover()?;
///     Ok(lock.count())
/// }
///
/// let lock = ReentrantMutex::new(&Segment::create()?)?;
/// assert_eq!(depth(&lock)?, 1);
/// let _guard = lock.lock().or_recover()?;
/// assert_eq!(depth(&lock)?, 2);
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "the lock is given back when the guard is dropped"]
pub struct ReentrantGuard<'a> {
    mutex: &'a ReentrantMutex,
    /// Who took it: in a forked child somebody else.
    me: OwnerId,
    /// Only the thread that took it can give it back.
    not_send: PhantomData<*const ()>,
}

impl ReentrantMutex {
    /// Makes a lock that nobody holds.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn new(segment: &Segment) -> Result<Self> {
        let body = sync::ReentrantMutex::new();
        Ok(Self { words: Words::create(segment, Kind::ReentrantMutex, body)? })
    }

    /// The lock that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { words: Words::from_handle(handle)? })
    }

    /// Takes the lock, once more if this thread has it, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`](super::LockError::OwnerDied) with the guard if the last holder died;
    /// [`Error::OverLimit`] after 2^32 - 1 times; [`Error::Interrupted`], [`Error::Forked`].
    #[inline]
    pub fn lock(&self) -> LockResult<ReentrantGuard<'_>> {
        self.lock_until(Until::NEVER)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if somebody else holds it, and as [`ReentrantMutex::lock`].
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
        let (me, thread) = (self.words.me()?, thread_number());
        // First without asking who is dead, which takes a system call.
        match self.words.get().try_lock(me, thread, |_| false).map_err(too_deep)? {
            Some(how) => told(how, self.guard(me)),
            None => self.lock_slow(me, thread, until.into()),
        }
    }

    #[cold]
    fn lock_slow(
        &self,
        me: OwnerId,
        thread: NonZeroU32,
        until: Until,
    ) -> LockResult<ReentrantGuard<'_>> {
        let core = self.words.get();
        let how = if until.is_now() {
            let attachment = self.words.handle().attachment();
            let taken = core.try_lock(me, thread, |owner| attachment.is_dead(owner));
            taken.map_err(too_deep)?.ok_or(Error::WouldBlock)?
        } else {
            let locked = self.words.wait(until, |wait| core.lock(me, thread, wait));
            locked.map_err(|error| match error {
                sync::LockError::TooDeep => too_deep(sync::TooDeep),
                sync::LockError::Stopped(stop) => stop.into(),
            })?
        };
        told(how, self.guard(me))
    }

    /// The guard of a lock that was just taken.
    #[inline]
    fn guard(&self, me: OwnerId) -> ReentrantGuard<'_> {
        ReentrantGuard { mutex: self, me, not_send: PhantomData }
    }

    /// How often the holder has taken it; 0 if nobody did. A glance, except for the holder.
    pub fn count(&self) -> u32 {
        self.words.get().count()
    }

    /// Whether somebody holds it. A glance: it may be old when it returns.
    pub fn is_locked(&self) -> bool {
        self.words.get().owner().is_some()
    }

    /// Whether this process holds it, in whichever thread. A glance: it may be old when it returns.
    pub fn is_locked_here(&self) -> bool {
        self.words.me().is_ok_and(|me| self.words.get().owner() == Some(me))
    }

    /// A guard of a lock that this thread holds, whose own was forgotten with [`std::mem::forget`]: for bindings, which
    /// cannot keep it. Each guard that is dropped gives the lock back once.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`] if this thread does not hold the lock.
    pub fn assume_locked(&self) -> Result<ReentrantGuard<'_>> {
        if self.is_mine() { Ok(self.guard(self.words.me()?)) } else { Err(Error::NotHeld) }
    }

    /// Gives the lock back once, where the guard was forgotten with [`std::mem::forget`]: for bindings, which cannot keep it.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`] if this thread does not hold the lock; [`Error::Forked`].
    #[inline]
    pub fn unlock(&self) -> Result<()> {
        let unlocked = self.words.get().unlock(self.words.me()?, thread_number(), Scope::Shared);
        match unlocked {
            Ok(_) => Ok(()),
            Err(sync::NotOwner) => Err(Error::NotHeld),
        }
    }

    /// Whether this thread holds it.
    #[inline]
    pub fn is_mine(&self) -> bool {
        self.words.me().is_ok_and(|me| self.words.get().is_mine(me, thread_number()))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }
}

#[cold]
pub(crate) fn too_deep(_: sync::TooDeep) -> Error {
    Error::OverLimit { limit: u32::MAX.into() }
}

/// A number that no other living thread of this process has. A fork's only thread keeps the one of its original.
#[inline]
pub(crate) fn thread_number() -> NonZeroU32 {
    thread_local!(static MINE: Cell<Option<NonZeroU32>> = const { Cell::new(None) });
    MINE.with(|mine| mine.get().unwrap_or_else(|| number_thread(mine)))
}

#[cold]
fn number_thread(mine: &Cell<Option<NonZeroU32>>) -> NonZeroU32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    loop {
        // ORDERING: Relaxed; each thread gets another number, and nothing else matters.
        let next = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if let Some(number) = NonZeroU32::new(next) {
            mine.set(Some(number));
            return number;
        }
    }
}

impl ReentrantGuard<'_> {
    /// Whether this process took it.
    #[inline]
    fn is_ours(&self) -> bool {
        self.mutex.words.me().is_ok_and(|me| me == self.me)
    }
}

impl Sealed for ReentrantGuard<'_> {
    fn held(&mut self) -> Result<Held<'_>> {
        let words = &self.mutex.words;
        if !self.is_ours() {
            return Err(Error::Forked);
        }
        let lock = Lock::Reentrant(words.get(), thread_number());
        Ok(Held { lock, me: self.me, attachment: words.handle().attachment() })
    }
}

impl Reopen for ReentrantGuard<'_> {}

impl Drop for ReentrantGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // A copied guard must not even give back a lock that the child has taken for itself since.
        if self.is_ours() {
            // It holds it: the guard does not leave its thread.
            let _ = self.mutex.words.get().unlock(self.me, thread_number(), Scope::Shared);
        }
    }
}

impl fmt::Debug for ReentrantMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReentrantGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantGuard").field("is_ours", &self.is_ours()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::LockError;
    use crate::sync::testing::{alone, in_child, somebody_dead};
    use std::time::Duration;

    fn is_blocked<G>(result: LockResult<G>) -> bool {
        matches!(result, Err(LockError::Failed(Error::WouldBlock)))
    }

    #[test]
    fn its_holder_takes_it_again_and_another_thread_does_not() {
        let segment = Segment::create().unwrap();
        let lock = ReentrantMutex::new(&segment).unwrap();
        let outer = lock.lock().unwrap();
        let inner = lock.try_lock().unwrap();
        assert_eq!(lock.count(), 2);
        std::thread::scope(|s| {
            s.spawn(|| {
                assert!(lock.is_locked_here() && !lock.is_mine() && is_blocked(lock.try_lock()));
                let late = lock.lock_until(Duration::from_millis(2));
                assert!(matches!(late, Err(LockError::Failed(Error::TimedOut))));
            });
        });
        drop(outer);
        assert!(lock.is_mine() && lock.count() == 1, "guards may go in any order");
        drop(inner);
        assert!(!lock.is_locked());
    }

    #[test]
    fn who_forgot_the_guards_unlocks_as_often() {
        let segment = Segment::create().unwrap();
        let lock = ReentrantMutex::new(&segment).unwrap();
        (0..2).for_each(|_| std::mem::forget(lock.lock().unwrap()));
        std::thread::scope(|s| {
            s.spawn(|| assert!(matches!(lock.unlock(), Err(Error::NotHeld))));
        });
        lock.unlock().unwrap();
        assert!(lock.is_mine() && lock.count() == 1);
        lock.unlock().unwrap();
        assert!(matches!(lock.unlock(), Err(Error::NotHeld)) && !lock.is_locked());
    }

    #[test]
    fn a_thread_that_waits_gets_it_after_the_last_unlock() {
        let segment = Segment::create().unwrap();
        let lock = ReentrantMutex::new(&segment).unwrap();
        let outer = lock.lock().unwrap();
        let other = lock.clone();
        let waiting = std::thread::spawn(move || {
            let _guard = other.lock().unwrap();
            other.is_mine()
        });
        drop(lock.lock().unwrap());
        drop(outer);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn a_dead_owners_lock_goes_to_the_next_who_is_told() {
        let segment = Segment::create().unwrap();
        let lock = ReentrantMutex::new(&segment).unwrap();
        for take in [ReentrantMutex::lock, ReentrantMutex::try_lock] {
            let dead = lock.words.get().try_lock(somebody_dead(), NonZeroU32::MAX, |_| false);
            assert!(matches!(dead, Ok(Some(_))));
            let told = take(&lock).unwrap_err();
            assert!(told.is_owner_died() && lock.is_mine() && lock.count() == 1);
            assert!(lock.lock().is_ok(), "once more is no inheritance");
            drop(told);
            assert!(!lock.is_locked());
        }
    }

    #[test]
    fn a_guard_that_a_fork_copied_gives_nothing_back() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let lock = ReentrantMutex::new(&segment).unwrap();
            let guard = lock.lock().unwrap();
            assert!(in_child(|| {
                // SAFETY: the parent's own guard is another copy, and is not touched here.
                drop(unsafe { std::ptr::read(&raw const guard) });
                lock.is_locked() && !lock.is_locked_here() && is_blocked(lock.try_lock())
            }));
            assert!(lock.is_mine() && lock.count() == 1);
        });
    }

    #[test]
    fn too_deep_is_an_error_of_its_own() {
        let error = too_deep(sync::TooDeep);
        assert!(matches!(error, Error::OverLimit { limit: 0xFFFF_FFFF }));
    }

    #[test]
    fn threads_have_different_numbers() {
        let mine = thread_number();
        assert_eq!(mine, thread_number());
        assert_ne!(std::thread::spawn(thread_number).join().unwrap(), mine);
    }
}
