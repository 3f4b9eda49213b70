//! A robust mutex that its holder may lock again.
//!
//! A [`Mutex`] with a depth beside it. The holder is one thread of one participant; locking again and all but the last
//! unlock are a load and a store. A dead holder's lock is inherited as the mutex's is, with depth 1. A thread that ends
//! while its process lives keeps its lock.
//!
//! # Memory
//!
//! ```text
//!  63              32 31               0
//! +------------------+------------------+
//! |      depth       |  lock (Mutex)    |
//! +------------------+------------------+
//! |    OwnerId       |  thread number   |   holder, 0 = nobody, or its holder is about to say
//! +------------------+------------------+
//! ```
//!
//! Bytes that are all zero are a free lock.
//!
//! # Invariants
//!
//! * I1. `depth` and `holder` are written only by who holds `lock`: after taking it, and before giving it up.
//! * I2. `holder` names a thread exactly from its first lock to its last unlock, or that thread died. A thread reads
//!   its own name there only if it wrote it there itself; participant and thread are one word so that no mixture of
//!   two holders can look like a third.
//!
//! # Ordering
//!
//! * E1 is the mutex's. `holder` and `depth` need no order of their own: a thread looks there for its own writes.
//!
//! # Crash points
//!
//! Killed at any step while `lock` is held: the heir overwrites both words before it uses them. So the death procedure
//! touches `lock` alone; what the dead left in the other two means nothing while `lock` names somebody else.

use core::fmt;
use core::num::NonZeroU32;

use crate::futex::Scope;
use crate::owner::OwnerId;
use crate::primitive::{AtomicU32, AtomicU64, Ordering};
use crate::sync::mutex::{Acquired, Mutex};
use crate::wait::Waiter;

/// A robust mutex that its holder may lock again: sixteen bytes of shared memory.
#[repr(C)]
#[derive(Debug)]
pub struct ReentrantMutex {
    /// Who is inside.
    lock: Mutex,
    /// How often the holder locked it. Written by the holder (I1); stale after a death until the heir comes.
    depth: AtomicU32,
    /// Participant and thread of the holder. Written by the holder (I1); stale after a death until the heir comes.
    holder: AtomicU64,
}

/// The caller does not hold the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotOwner;

/// The holder locked it 2^32 - 1 times already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooDeep;

/// Why [`ReentrantMutex::lock`] did not lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockError<S> {
    /// See [`TooDeep`].
    TooDeep,
    /// The waiter gave up.
    Stopped(S),
}

/// The word that names a thread of a participant.
fn name(me: OwnerId, thread: NonZeroU32) -> u64 {
    u64::from(me.bits()) << 32 | u64::from(thread.get())
}

impl ReentrantMutex {
    /// A free lock.
    pub fn new() -> Self {
        Self { lock: Mutex::new(), depth: AtomicU32::new(0), holder: AtomicU64::new(0) }
    }

    /// Whether this thread of `me` holds it. `thread` is any number that no other living thread of the process has:
    /// the kernel's thread id, for one.
    #[inline]
    pub fn is_mine(&self, me: OwnerId, thread: NonZeroU32) -> bool {
        // ORDERING: Relaxed; a thread looks for what it wrote itself (I2).
        self.holder.load(Ordering::Relaxed) == name(me, thread) && self.lock.owner() == Some(me)
    }

    /// Takes the lock once more, or if it is free, or if its holder is proven dead. Taking it once more is
    /// [`Acquired::Clean`].
    ///
    /// # Errors
    ///
    /// [`TooDeep`]; the depth is as before.
    #[inline]
    pub fn try_lock(
        &self,
        me: OwnerId,
        thread: NonZeroU32,
        is_dead: impl FnOnce(OwnerId) -> bool,
    ) -> Result<Option<Acquired>, TooDeep> {
        if self.is_mine(me, thread) {
            return self.deepen().map(Some);
        }
        let how = self.lock.try_lock(me, is_dead);
        if how.is_some() {
            self.enter(me, thread, 1);
        }
        Ok(how)
    }

    /// Takes the lock, waiting for a living holder other than this thread. Taking it once more is
    /// [`Acquired::Clean`].
    ///
    /// # Errors
    ///
    /// [`LockError`]; the depth is as before.
    #[inline]
    pub fn lock<W: Waiter>(
        &self,
        me: OwnerId,
        thread: NonZeroU32,
        waiter: &mut W,
    ) -> Result<Acquired, LockError<W::Stop>> {
        if self.is_mine(me, thread) {
            return self.deepen().map_err(|TooDeep| LockError::TooDeep);
        }
        self.relock(me, thread, NonZeroU32::MIN, waiter).map_err(LockError::Stopped)
    }

    /// Takes back a lock that [`ReentrantMutex::unlock_all`] gave up, to the same depth. The thread must not hold it.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up.
    #[inline]
    pub fn relock<W: Waiter>(
        &self,
        me: OwnerId,
        thread: NonZeroU32,
        depth: NonZeroU32,
        waiter: &mut W,
    ) -> Result<Acquired, W::Stop> {
        let how = self.lock.lock(me, waiter)?;
        self.enter(me, thread, depth.get());
        Ok(how)
    }

    /// Unlocks once. Returns the depth that is left: 0 if others may have the lock now.
    ///
    /// # Errors
    ///
    /// [`NotOwner`]; nothing changed.
    #[inline]
    pub fn unlock(&self, me: OwnerId, thread: NonZeroU32, scope: Scope) -> Result<u32, NotOwner> {
        if !self.is_mine(me, thread) {
            return Err(NotOwner);
        }
        // ORDERING: Relaxed, load and store; the holder's own word (I1).
        let left = self.depth.load(Ordering::Relaxed).saturating_sub(1);
        if left > 0 {
            self.depth.store(left, Ordering::Relaxed);
            crash_point!("reentrant.unlock.shallower");
            return Ok(left);
        }
        self.leave(me, scope);
        Ok(0)
    }

    /// Unlocks as often as it was locked. Returns how often that was, for [`ReentrantMutex::relock`].
    ///
    /// # Errors
    ///
    /// [`NotOwner`]; nothing changed.
    pub fn unlock_all(
        &self,
        me: OwnerId,
        thread: NonZeroU32,
        scope: Scope,
    ) -> Result<NonZeroU32, NotOwner> {
        if !self.is_mine(me, thread) {
            return Err(NotOwner);
        }
        // ORDERING: Relaxed; the holder's own word (I1).
        let depth = self.depth.load(Ordering::Relaxed);
        self.leave(me, scope);
        Ok(NonZeroU32::new(depth).unwrap_or(NonZeroU32::MIN))
    }

    fn deepen(&self) -> Result<Acquired, TooDeep> {
        // ORDERING: Relaxed, load and store; the holder's own word (I1).
        let depth = self.depth.load(Ordering::Relaxed).checked_add(1).ok_or(TooDeep)?;
        self.depth.store(depth, Ordering::Relaxed);
        crash_point!("reentrant.lock.deeper");
        Ok(Acquired::Clean)
    }

    /// The lock was just taken: overwrites whatever the last holder left.
    #[inline]
    fn enter(&self, me: OwnerId, thread: NonZeroU32, depth: u32) {
        // ORDERING: Relaxed, both; read by this thread, and at a glance by others.
        self.depth.store(depth, Ordering::Relaxed);
        crash_point!("reentrant.lock.depth_set");
        self.holder.store(name(me, thread), Ordering::Relaxed);
        crash_point!("reentrant.lock.named");
    }

    /// I1: both words are cleared while the lock is still held.
    #[inline]
    fn leave(&self, me: OwnerId, scope: Scope) {
        // ORDERING: Relaxed, both; the next holder's writes come after, by the mutex's E1.
        self.holder.store(0, Ordering::Relaxed);
        crash_point!("reentrant.unlock.unnamed");
        self.depth.store(0, Ordering::Relaxed);
        crash_point!("reentrant.unlock.depth_cleared");
        self.lock.unlock(me, scope);
    }

    /// How often the holder locked it; 0 if nobody did. A glance, except for the holder.
    pub fn count(&self) -> u32 {
        // ORDERING: Relaxed; a glance.
        if self.lock.owner().is_some() { self.depth.load(Ordering::Relaxed) } else { 0 }
    }

    /// The participant that holds it, if any. A glance: it may be old when it returns.
    pub fn owner(&self) -> Option<OwnerId> {
        self.lock.owner()
    }

    /// Death procedure: gives up what the dead `owner` holds, however deep. Returns whether it held the lock.
    /// Idempotent.
    pub fn recover(&self, owner: OwnerId, scope: Scope) -> bool {
        self.lock.recover(owner, scope)
    }
}

impl Default for ReentrantMutex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for NotOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is not held by the caller")
    }
}

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is held too many times already")
    }
}

impl core::error::Error for NotOwner {}
impl core::error::Error for TooDeep {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::testing::{Hasty, Late};

    const ONE: NonZeroU32 = NonZeroU32::new(1).unwrap();
    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();

    fn id(index: u32) -> OwnerId {
        OwnerId::new(index, 3)
    }

    fn nobody_dead(_: OwnerId) -> bool {
        false
    }

    #[test]
    fn the_holder_locks_again_and_the_last_unlock_frees() {
        let lock = ReentrantMutex::new();
        assert_eq!(lock.try_lock(id(1), ONE, nobody_dead), Ok(Some(Acquired::Clean)));
        assert_eq!(lock.lock(id(1), ONE, &mut Hasty), Ok(Acquired::Clean));
        assert_eq!((lock.count(), lock.owner()), (2, Some(id(1))));
        assert_eq!(lock.unlock(id(1), ONE, Scope::Private), Ok(1));
        assert_eq!(lock.try_lock(id(2), ONE, nobody_dead), Ok(None));
        assert_eq!(lock.unlock(id(1), ONE, Scope::Private), Ok(0));
        assert_eq!((lock.count(), lock.owner()), (0, None));
        assert_eq!(lock.unlock(id(1), ONE, Scope::Private), Err(NotOwner));
    }

    #[test]
    fn another_thread_and_another_process_with_that_thread_number_are_strangers() {
        let lock = ReentrantMutex::new();
        assert!(lock.lock(id(1), ONE, &mut Hasty).is_ok());
        for (me, thread) in [(id(1), TWO), (id(2), ONE), (OwnerId::new(1, 4), ONE)] {
            assert!(!lock.is_mine(me, thread));
            assert_eq!(lock.lock(me, thread, &mut Hasty), Err(LockError::Stopped(Late)));
            assert_eq!(lock.unlock(me, thread, Scope::Private), Err(NotOwner));
            assert_eq!(lock.unlock_all(me, thread, Scope::Private), Err(NotOwner));
        }
        assert!(lock.is_mine(id(1), ONE));
    }

    #[test]
    fn a_full_depth_is_an_error_and_stays() {
        let lock = ReentrantMutex::new();
        assert_eq!(lock.relock(id(1), ONE, NonZeroU32::MAX, &mut Hasty), Ok(Acquired::Clean));
        assert_eq!(lock.lock(id(1), ONE, &mut Hasty), Err(LockError::TooDeep));
        assert_eq!(lock.try_lock(id(1), ONE, nobody_dead), Err(TooDeep));
        assert_eq!(lock.unlock_all(id(1), ONE, Scope::Private), Ok(NonZeroU32::MAX));
        assert_eq!(lock.owner(), None);
    }

    #[test]
    fn the_heir_of_a_deep_lock_starts_at_depth_one() {
        let lock = ReentrantMutex::new();
        assert!(lock.relock(id(1), ONE, NonZeroU32::new(7).unwrap(), &mut Hasty).is_ok());
        let inherited = lock.try_lock(id(2), ONE, |owner| owner == id(1));
        assert_eq!(inherited, Ok(Some(Acquired::AfterDeath)));
        assert_eq!(lock.count(), 1);
        assert_eq!(lock.unlock(id(2), ONE, Scope::Private), Ok(0));
    }

    #[test]
    fn every_half_done_step_of_the_dead_is_recovered() {
        // (depth, holder) as a death leaves them: in the middle of `enter`, deep inside, in the middle of `leave`.
        let left = [(0, 0), (1, 0), (7, name(id(1), ONE)), (1, name(id(3), TWO))];
        for (depth, holder) in left {
            let lock = ReentrantMutex::new();
            assert!(lock.lock.try_lock_fast(id(1)));
            lock.depth.store(depth, Ordering::Relaxed);
            lock.holder.store(holder, Ordering::Relaxed);
            assert!(lock.recover(id(1), Scope::Private));
            assert!(!lock.recover(id(1), Scope::Private));
            assert_eq!((lock.count(), lock.owner()), (0, None));
            assert!(!lock.is_mine(id(3), TWO));
            assert_eq!(lock.lock(id(3), TWO, &mut Hasty), Ok(Acquired::AfterDeath));
            assert_eq!(lock.unlock(id(3), TWO, Scope::Private), Ok(0));
        }
    }
}
