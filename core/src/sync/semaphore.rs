//! A counting semaphore in one word, with a limit beside it.
//!
//! Acquire and release are one compare-and-swap each while nobody waits. Not fair: a newcomer may pass a sleeper. The
//! word does not know who holds permits, and nobody does: one process may release what another acquires, and a death
//! changes nothing. [`Permits`](super::Permits) know their holders.
//!
//! # Memory
//!
//! ```text
//!  31 30                                  0
//! +---+-----------------------------------+
//! | W |        permits to be had          |   word    W = somebody may sleep
//! +---+-----------------------------------+
//! |         most permits at a time        |   max     written once
//! +---------------------------------------+
//! ```
//!
//! | word | meaning | who may leave it |
//! |---|---|---|
//! | n | n permits, nobody sleeps | n > 0: anybody, by CAS to n - 1; anybody, by CAS to n + k |
//! | W + 0 | none, and somebody may sleep | a releaser, by CAS to W + k |
//! | W + n | n permits, and somebody may sleep or be on the way | as above; a releaser that found nobody asleep, by CAS to n |
//!
//! Bytes that are all zero are a semaphore without permits and with limit 0: valid, and it never gives any.
//!
//! # Invariants
//!
//! * I1. A sleeper sleeps on W + 0 only: while there is a permit nobody falls asleep.
//! * I2. Each release of k wakes k sleepers, where there are so many. W stays, so the next release wakes others.
//! * I3. W is cleared only after a wake found fewer sleepers than permits, and everybody is woken once more after it:
//!   whoever fell asleep between the two is not forgotten.
//! * I4. Who was woken and gives up without a permit wakes another in its place.
//!
//! # Ordering
//!
//! * E1 "permit": `release`'s Release → `try_acquire`'s Acquire. Each change of the word is a read-modify-write, so an
//!   acquirer sees what all releasers before it published.
//!
//! # Crash points
//!
//! Killed between release and wake, between I3's two steps, or woken and killed before taking the permit: the others
//! look again after a slice, and the death procedure calls [`Semaphore::wake_all`]. Killed with a permit: it is gone.

use core::fmt;

use crate::futex::{self, Scope};
use crate::primitive::{AtomicU32, Ordering};
use crate::wait::Waiter;

/// Somebody may sleep.
const WAITERS: u32 = 1 << 31;

/// The most permits that a semaphore can hold.
pub const MAX_PERMITS: u32 = WAITERS - 1;

/// A counting semaphore: eight bytes of shared memory.
#[repr(C)]
#[derive(Debug)]
pub struct Semaphore {
    /// W and the permits. Written by everybody.
    word: AtomicU32,
    /// The limit. Written before the semaphore is shared and never again; whatever is found is cut to
    /// [`MAX_PERMITS`].
    max: AtomicU32,
}

/// There would be more permits than allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OverLimit {
    /// The most permits allowed.
    pub max: u32,
}

impl Semaphore {
    /// `permits` to be had, and no limit but [`MAX_PERMITS`].
    ///
    /// # Errors
    ///
    /// [`OverLimit`] if there are more than that.
    pub fn new(permits: u32) -> Result<Self, OverLimit> {
        Self::bounded(permits, MAX_PERMITS)
    }

    /// `permits` to be had, and never more than `max`.
    ///
    /// # Errors
    ///
    /// [`OverLimit`] if `permits` is above `max`, or `max` above [`MAX_PERMITS`].
    pub fn bounded(permits: u32, max: u32) -> Result<Self, OverLimit> {
        if max > MAX_PERMITS {
            return Err(OverLimit { max: MAX_PERMITS });
        }
        if permits > max {
            return Err(OverLimit { max });
        }
        Ok(Self { word: AtomicU32::new(permits), max: AtomicU32::new(max) })
    }

    /// Takes a permit if there is one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        // ORDERING: Relaxed; confirmed by the CAS.
        let mut seen = self.word.load(Ordering::Relaxed);
        while seen & MAX_PERMITS != 0 {
            // ORDERING: Acquire on success, E1, pairs with the Release in `add`.
            match self.word.compare_exchange(seen, seen - 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    crash_point!("semaphore.acquire.taken");
                    return true;
                }
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Takes a permit, waiting for one.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up; no permit is taken then.
    #[inline]
    pub fn acquire<W: Waiter>(&self, waiter: &mut W) -> Result<(), W::Stop> {
        if self.try_acquire() { Ok(()) } else { self.acquire_slow(waiter) }
    }

    #[cold]
    fn acquire_slow<W: Waiter>(&self, waiter: &mut W) -> Result<(), W::Stop> {
        loop {
            if self.try_acquire() {
                return Ok(());
            }
            if waiter.spin() || !self.announce() {
                continue;
            }
            crash_point!("semaphore.acquire.announced");
            if let Err(stop) = waiter.sleep(&self.word, WAITERS) {
                self.pass_on(waiter.scope());
                return Err(stop);
            }
        }
    }

    /// Leaves the mark of a sleeper. `false` if there is a permit now.
    fn announce(&self) -> bool {
        // ORDERING: Relaxed; the futex compares the word again under the kernel's lock.
        match self.word.compare_exchange(0, WAITERS, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(seen) => seen == WAITERS,
        }
    }

    /// Announces a watcher: what the word holds from now on, until it has to look again. Try to take a permit afterwards.
    /// `None` if there was a permit: then nothing was announced, and if the try fails all the same, announce again.
    ///
    /// A watcher is a sleeper that a bell wakes ([`futex::set_bell`]): by I1 it waits on W + 0 only, and nobody makes a
    /// permit out of that, or clears W, without waking.
    pub fn watch(&self) -> Option<u32> {
        loop {
            // ORDERING: Relaxed; confirmed by the CAS, or by the try that follows.
            let seen = self.word.load(Ordering::Relaxed);
            if seen & MAX_PERMITS != 0 {
                return None;
            }
            if self.announce() {
                crash_point!("semaphore.watch.announced");
                return Some(WAITERS);
            }
        }
    }

    /// The word, for who watches it.
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// I4: a wake-up that was spent on somebody who gave up goes to another.
    #[cold]
    fn pass_on(&self, scope: Scope) {
        // ORDERING: Relaxed; nothing is read through it. A permit that comes later comes with its own wake-up.
        let seen = self.word.load(Ordering::Relaxed);
        if seen & WAITERS != 0 && seen != WAITERS {
            futex::wake(&self.word, 1, scope);
        }
    }

    /// Gives `permits` back, all or none.
    ///
    /// # Errors
    ///
    /// [`OverLimit`] if there would be more than allowed; nothing changed then.
    #[inline]
    pub fn release(&self, permits: u32, scope: Scope) -> Result<(), OverLimit> {
        let max = self.limit();
        // ORDERING: Relaxed; confirmed by the CAS.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let left = max.saturating_sub(seen & MAX_PERMITS);
            if permits > left {
                return Err(OverLimit { max });
            }
            match self.add(seen, permits, scope) {
                Ok(()) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    /// Adds permits to exactly `seen`, which has room for them, and wakes as many sleepers. Otherwise returns what the
    /// word holds now.
    #[inline]
    fn add(&self, seen: u32, permits: u32, scope: Scope) -> Result<(), u32> {
        let now = seen + permits;
        // ORDERING: Release on success, E1, pairs with the Acquire in `try_acquire`.
        self.word.compare_exchange(seen, now, Ordering::Release, Ordering::Relaxed)?;
        if now & WAITERS != 0 && permits > 0 {
            self.wake(now, permits, scope);
        }
        Ok(())
    }

    #[cold]
    fn wake(&self, now: u32, permits: u32, scope: Scope) {
        crash_point!("semaphore.release.before_wake");
        // Those who watch hear of it once, and last: not where sleepers were woken for all that there is.
        if futex::wake_sleepers(&self.word, permits.min(futex::ALL), scope) >= permits {
            return;
        }
        // ORDERING: Relaxed, I3: fails if anything moved since; the permits were published by `add`, whose release
        // sequence this read-modify-write continues.
        let clear = now & !WAITERS;
        if self.word.compare_exchange(now, clear, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            crash_point!("semaphore.release.after_clear");
            futex::wake_sleepers(&self.word, futex::ALL, scope);
        }
        futex::ring_in(&self.word, scope);
    }

    /// Wakes everybody to look again: part of the death procedure.
    pub fn wake_all(&self, scope: Scope) {
        futex::wake(&self.word, futex::ALL, scope);
    }

    /// Permits to be had. A glance: it may be old when it returns.
    pub fn value(&self) -> u32 {
        // ORDERING: Relaxed; a glance.
        self.word.load(Ordering::Relaxed) & MAX_PERMITS
    }

    /// The most permits at a time.
    pub fn limit(&self) -> u32 {
        // ORDERING: Relaxed; written once, before the semaphore was shared. Read once per call and cut to what fits.
        self.max.load(Ordering::Relaxed).min(MAX_PERMITS)
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a semaphore of at most {} permits would hold more", self.max)
    }
}

impl core::error::Error for OverLimit {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::testing::{Hasty, Late, Patient};

    #[test]
    fn permits_are_counted_and_a_release_over_the_limit_changes_nothing() {
        let semaphore = Semaphore::bounded(1, 2).unwrap();
        assert!(semaphore.try_acquire());
        assert!(!semaphore.try_acquire());
        assert_eq!(semaphore.release(3, Scope::Private), Err(OverLimit { max: 2 }));
        assert_eq!(semaphore.release(u32::MAX, Scope::Private), Err(OverLimit { max: 2 }));
        assert_eq!(semaphore.value(), 0);
        assert_eq!(semaphore.release(2, Scope::Private), Ok(()));
        assert_eq!(semaphore.release(0, Scope::Private), Ok(()));
        assert_eq!(semaphore.value(), 2);
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert_eq!(Semaphore::bounded(3, 2).unwrap_err(), OverLimit { max: 2 });
        assert_eq!(Semaphore::new(1 << 31).unwrap_err(), OverLimit { max: MAX_PERMITS });
        let full = Semaphore::new(MAX_PERMITS).unwrap();
        assert_eq!(full.release(1, Scope::Private), Err(OverLimit { max: MAX_PERMITS }));
    }

    #[test]
    fn giving_up_takes_no_permit_and_the_mark_it_leaves_is_cleared_by_the_next_release() {
        let semaphore = Semaphore::new(0).unwrap();
        assert_eq!(semaphore.acquire(&mut Hasty), Err(Late));
        assert_eq!(semaphore.word.load(Ordering::Relaxed), WAITERS);
        semaphore.release(1, Scope::Private).unwrap();
        assert_eq!(semaphore.word.load(Ordering::Relaxed), 1);
        assert_eq!(semaphore.acquire(&mut Hasty), Ok(()));
    }

    #[test]
    fn a_scribbled_word_and_limit_give_errors_and_no_overflow() {
        let semaphore = Semaphore::bounded(0, 1).unwrap();
        semaphore.word.store(u32::MAX, Ordering::Relaxed);
        assert_eq!(semaphore.release(1, Scope::Private), Err(OverLimit { max: 1 }));
        semaphore.max.store(u32::MAX, Ordering::Relaxed);
        assert_eq!(semaphore.release(1, Scope::Private), Err(OverLimit { max: MAX_PERMITS }));
        assert_eq!(semaphore.value(), MAX_PERMITS);
    }

    #[test]
    fn a_release_that_died_before_its_wake_is_found_by_the_death_procedure() {
        let semaphore = Semaphore::new(0).unwrap();
        std::thread::scope(|s| {
            let sleeper = s.spawn(|| semaphore.acquire(&mut Patient));
            while semaphore.word.load(Ordering::Relaxed) != WAITERS {
                std::thread::yield_now();
            }
            semaphore.word.store(WAITERS | 1, Ordering::Release); // and here the releaser dies
            while !sleeper.is_finished() {
                semaphore.wake_all(Scope::Private);
                std::thread::yield_now();
            }
        });
        assert_eq!(semaphore.value(), 0);
    }

    #[test]
    fn every_sleeper_gets_its_permit() {
        let semaphore = Semaphore::new(0).unwrap();
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| (0..500).for_each(|_| semaphore.acquire(&mut Patient).unwrap()));
            }
            for n in 0..500 {
                semaphore.release(n % 5 + 2, Scope::Private).unwrap();
                if n % 50 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        assert_eq!(semaphore.value(), 0, "500 times 4 on average were released, and as many taken");
    }
}
