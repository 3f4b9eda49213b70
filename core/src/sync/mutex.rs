//! A robust mutex in one word: the owner is the word.
//!
//! Lock and unlock are one read-modify-write each while nobody contends. A lock is never taken from the living; a
//! dead owner's lock goes to whoever comes next or waits longest in the kernel, and that one is told
//! ([`Acquired::AfterDeath`]). Not fair: a newcomer may pass a sleeper. Not reentrant: see `reentrant`.
//!
//! # Memory
//!
//! ```text
//!  31  30 29                             0
//! +---+---+-------------------------------+
//! | W | D |   owner (OwnerId, 0 = nobody) |
//! +---+---+-------------------------------+
//! ```
//!
//! | word | meaning | who may leave it |
//! |---|---|---|
//! | 0 | free | anybody, by CAS to its own id |
//! | owner | held | the owner, by swap to 0; a waiter, by CAS to W + owner; anybody who proved the owner dead |
//! | W + owner | held, and somebody may sleep | as above |
//! | D, W + D | the owner died holding it (left by the death procedure) | anybody, by CAS to its own id |
//! | an id that nobody can have | scribbled: taken as from a dead owner | anybody, by CAS to its own id |
//!
//! # Invariants
//!
//! * I1. The owner bits are non-zero exactly while that participant's critical section is open, or it died there.
//! * I2. Only a CAS on the exact word with a proven-dead owner moves a lock away from an owner other than itself.
//!   Ids carry an epoch and a record is reused only after its locks were released, so the word cannot come to mean
//!   someone else in between.
//! * I3. Whoever sleeps has seen W set in the word it sleeps on, and whoever slept takes the lock with W kept.
//!
//! # Ordering
//!
//! * E1 "critical section": `unlock`'s Release → `try_lock`'s Acquire. Publishes all that the holder wrote.
//! * E2 "inheritance": what a dead holder wrote before it died is visible to whoever proved the death, because the
//!   proof goes through the kernel; the Acquire of the taking CAS keeps later reads behind it.
//!
//! # Crash points
//!
//! Killed while holding: E2. Killed between unlock and wake: sleepers look again after a slice.

use crate::futex::{self, Scope};
use crate::owner::{OWNER_MASK, OwnerId};
use crate::primitive::{AtomicU32, Ordering};
use crate::wait::Waiter;

/// Somebody may sleep.
const WAITERS: u32 = 1 << 31;
/// The last owner died holding the lock.
const DIED: u32 = 1 << 30;

/// A robust mutex: four bytes of shared memory.
#[repr(transparent)]
#[derive(Debug)]
pub struct Mutex {
    word: AtomicU32,
}

/// How the lock was come by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Acquired {
    /// From a holder who unlocked it, or nobody.
    Clean,
    /// The last holder died with it: what it protects may be half-changed.
    AfterDeath,
}

impl Mutex {
    /// A free lock.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// A free lock.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// Takes the lock if it is free, without asking who is dead.
    #[inline]
    pub fn try_lock_fast(&self, me: OwnerId) -> bool {
        // ORDERING: Acquire on success, E1, pairs with the Release in `unlock`.
        self.word.compare_exchange(0, me.bits(), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes the lock if it is free or its holder is proven dead.
    #[inline]
    pub fn try_lock(&self, me: OwnerId, is_dead: impl FnOnce(OwnerId) -> bool) -> Option<Acquired> {
        if self.try_lock_fast(me) {
            crash_point!("mutex.try_lock.held");
            return Some(Acquired::Clean);
        }
        self.try_inherit(me, is_dead)
    }

    /// Takes the lock, waiting for a living holder.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up (its deadline, say); the lock is not held then.
    #[inline]
    pub fn lock<W: Waiter>(&self, me: OwnerId, waiter: &mut W) -> Result<Acquired, W::Stop> {
        if self.try_lock_fast(me) {
            crash_point!("mutex.lock.held");
            return Ok(Acquired::Clean);
        }
        self.lock_slow(me, waiter)
    }

    #[cold]
    fn lock_slow<W: Waiter>(&self, me: OwnerId, waiter: &mut W) -> Result<Acquired, W::Stop> {
        let mut keep = 0;
        loop {
            // ORDERING: Relaxed; whatever is found is confirmed by a CAS.
            let seen = self.word.load(Ordering::Relaxed);
            if let Some(how) = self.take_free(seen, me, keep) {
                return Ok(how);
            }
            if seen & OWNER_MASK == 0 {
                continue; // was free, somebody was faster
            }
            if seen & WAITERS == 0 && waiter.spin() {
                continue;
            }
            if OwnerId::from_bits(seen).is_none_or(|owner| waiter.is_dead(owner))
                && self.take_exact(seen, me, keep)
            {
                return Ok(Acquired::AfterDeath);
            }
            if seen & WAITERS == 0 && !self.announce(seen) {
                continue;
            }
            waiter.sleep(&self.word, seen | WAITERS)?;
            keep = WAITERS; // I3: others may sleep behind us
        }
    }

    /// One attempt at a free or dead holder's lock.
    #[cold]
    fn try_inherit(&self, me: OwnerId, is_dead: impl FnOnce(OwnerId) -> bool) -> Option<Acquired> {
        // ORDERING: Relaxed; confirmed by a CAS.
        let seen = self.word.load(Ordering::Relaxed);
        if seen & OWNER_MASK == 0 {
            return self.take_free(seen, me, 0);
        }
        let dead = OwnerId::from_bits(seen).is_none_or(is_dead);
        (dead && self.take_exact(seen, me, 0)).then_some(Acquired::AfterDeath)
    }

    /// Takes a lock that `seen` says nobody holds.
    fn take_free(&self, seen: u32, me: OwnerId, keep: u32) -> Option<Acquired> {
        if seen & OWNER_MASK != 0 || !self.take_exact(seen, me, keep) {
            return None;
        }
        Some(if seen & DIED != 0 { Acquired::AfterDeath } else { Acquired::Clean })
    }

    /// Moves the lock from exactly `seen` to `me`, keeping the mark of sleepers.
    fn take_exact(&self, seen: u32, me: OwnerId, keep: u32) -> bool {
        let mine = me.bits() | seen & WAITERS | keep;
        // ORDERING: Acquire on success, E1 and E2.
        let taken =
            self.word.compare_exchange(seen, mine, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            crash_point!("mutex.lock.taken");
        }
        taken
    }

    /// Leaves the mark of a sleeper.
    fn announce(&self, seen: u32) -> bool {
        // ORDERING: Relaxed; the futex compares the word again under the kernel's lock.
        self.word
            .compare_exchange(seen, seen | WAITERS, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Announces a watcher: what the word holds from now on, until the lock is given back. Try to take the lock
    /// afterwards. `None` if nobody holds it: then nothing was announced, and if the try fails all the same, announce
    /// again.
    ///
    /// A watcher is a sleeper that a bell wakes ([`futex::set_bell`]). It need not take the lock with W kept: all
    /// watchers hear the bell, and those that do not get the lock announce themselves anew, as does the sleeper that
    /// was woken. The word may come to hold the same value again: then the same owner holds it again, with W set, and
    /// will ring.
    pub fn watch(&self) -> Option<u32> {
        loop {
            // ORDERING: Relaxed; confirmed by the CAS, or by the try that follows.
            let seen = self.word.load(Ordering::Relaxed);
            if seen & OWNER_MASK == 0 {
                return None;
            }
            if seen & WAITERS != 0 || self.announce(seen) {
                crash_point!("mutex.watch.announced");
                return Some(seen | WAITERS);
            }
        }
    }

    /// The word, for who watches it.
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Whether the lock is free or its holder is proven dead. A glance: it may be old when it returns.
    pub fn may_be_taken(&self, is_dead: impl FnOnce(OwnerId) -> bool) -> bool {
        // ORDERING: Relaxed; a glance.
        OwnerId::from_bits(self.word.load(Ordering::Relaxed)).is_none_or(is_dead)
    }

    /// Releases a lock that `me` holds. Returns `false`, and does nothing, where `me` does not hold it: a guard that a
    /// fork copied, for one.
    #[inline]
    pub fn unlock(&self, me: OwnerId, scope: Scope) -> bool {
        // ORDERING: Release on success, E1, pairs with the Acquire in `try_lock_fast` and `take_exact`.
        match self.word.compare_exchange(me.bits(), 0, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => true,
            Err(seen) => self.unlock_slow(seen, me, scope),
        }
    }

    #[cold]
    fn unlock_slow(&self, seen: u32, me: OwnerId, scope: Scope) -> bool {
        if seen & OWNER_MASK != me.bits() {
            return false;
        }
        // ORDERING: Release, E1. Only W can have been added by others while we hold it (I2).
        self.word.swap(0, Ordering::Release);
        crash_point!("mutex.unlock.before_wake");
        futex::wake(&self.word, 1, scope);
        true
    }

    /// Who holds it, if anybody. A glance: it may be old when it returns.
    pub fn owner(&self) -> Option<OwnerId> {
        // ORDERING: Relaxed; a glance.
        OwnerId::from_bits(self.word.load(Ordering::Relaxed))
    }

    /// Whether nobody holds it, and the last who did died so. A glance.
    #[inline]
    pub fn is_orphaned(&self) -> bool {
        // ORDERING: Relaxed; a glance.
        let seen = self.word.load(Ordering::Relaxed);
        seen & DIED != 0 && seen & OWNER_MASK == 0
    }

    /// Death procedure: gives up what the dead `owner` holds. Returns whether it held the lock. Idempotent.
    pub fn recover(&self, owner: OwnerId, scope: Scope) -> bool {
        loop {
            // ORDERING: Relaxed; confirmed by the CAS.
            let seen = self.word.load(Ordering::Relaxed);
            if seen & OWNER_MASK != owner.bits() {
                return false;
            }
            let freed = seen & WAITERS | DIED;
            // ORDERING: AcqRel; passes E2 on to the next holder.
            if self.word.compare_exchange(seen, freed, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                crash_point!("mutex.recover.before_wake");
                futex::wake(&self.word, futex::ALL, scope);
                return true;
            }
        }
    }
}

impl Default for Mutex {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn id(index: u32) -> OwnerId {
        OwnerId::new(index, 3)
    }

    #[test]
    fn a_dead_holders_lock_goes_to_the_next_who_is_told() {
        let lock = Mutex::new();
        assert_eq!(lock.try_lock(id(1), |_| false), Some(Acquired::Clean));
        assert_eq!(lock.try_lock(id(2), |owner| owner == id(7)), None);
        assert_eq!(lock.try_lock(id(2), |owner| owner == id(1)), Some(Acquired::AfterDeath));
        assert_eq!(lock.owner(), Some(id(2)));
        assert!(!lock.unlock(id(1), Scope::Private), "the dead one's unlock does nothing");
        assert!(lock.unlock(id(2), Scope::Private));
        assert_eq!(lock.try_lock(id(1), |_| false), Some(Acquired::Clean));
    }

    #[test]
    fn recovery_marks_the_lock_once_and_the_next_holder_clears_the_mark() {
        let lock = Mutex::new();
        let _ = lock.try_lock(id(1), |_| false);
        assert!(!lock.recover(id(2), Scope::Private));
        assert!(lock.recover(id(1), Scope::Private));
        assert!(!lock.recover(id(1), Scope::Private));
        assert_eq!(lock.try_lock(id(2), |_| false), Some(Acquired::AfterDeath));
        assert!(lock.unlock(id(2), Scope::Private));
        assert_eq!(lock.try_lock(id(2), |_| false), Some(Acquired::Clean));
    }

    #[test]
    fn a_scribbled_owner_that_nobody_can_be_is_not_waited_for() {
        let lock = Mutex::new();
        // Bits of an epoch, and index 0.
        lock.word.store(WAITERS | 5 << 20, Ordering::Relaxed);
        assert_eq!(lock.try_lock(id(1), |_| unreachable!()), Some(Acquired::AfterDeath));
        assert!(lock.unlock(id(1), Scope::Private));
        assert_eq!(lock.try_lock(id(1), |_| false), Some(Acquired::Clean));
    }
}
