//! A flag to wait for: set, cleared, set again.
//!
//! `set` wakes everybody who waits, with at most one system call and none while nobody sleeps or it is set already;
//! `clear` and `is_set` never enter the kernel. Whoever waited when the event was set returns, even if it was cleared
//! again before the waiter ran. There is no owner: a death leaves nothing to repair but sleepers to wake.
//!
//! # Memory
//!
//! ```text
//!  31                            2   1   0
//! +--------------------------------+---+---+
//! |         count of sets          | S | F |   F = set, S = somebody may sleep
//! +--------------------------------+---+---+
//! ```
//!
//! Bytes that are all zero are an event that is not set.
//!
//! # Invariants
//!
//! * I1. A change of F from 0 to 1 adds one to the count and clears S, all in one CAS; nothing else changes the count.
//! * I2. Whoever sleeps left the word with S set and F clear, and sleeps on exactly that: a set since then keeps it
//!   from falling asleep (until 2^30 sets later) or wakes it.
//!
//! # Ordering
//!
//! * E1 "signal": `set`'s Release → the Acquire of `is_set`, `clear` and `wait`. `set` is a read-modify-write even when
//!   the event is set already: else the classic "wait, clear, look" could clear a set whose news it did not see.
//!
//! # Crash points
//!
//! Killed between set and wake: sleepers look again after a slice, and the death procedure calls
//! [`Event::wake_all`].

use crate::futex::{self, Scope};
use crate::primitive::{AtomicU32, Ordering};
use crate::wait::Waiter;

/// The event is set.
const SET: u32 = 1;
/// Somebody may sleep.
const SLEEPERS: u32 = 2;
/// One set.
const COUNT: u32 = 4;

/// An event: four bytes of shared memory.
#[repr(transparent)]
#[derive(Debug)]
pub struct Event {
    word: AtomicU32,
}

/// What an event's word held once.
#[derive(Clone, Copy, Debug)]
pub struct Moment(u32);

impl Event {
    /// An event that is set or not.
    pub fn new(set: bool) -> Self {
        Self { word: AtomicU32::new(u32::from(set)) }
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        // ORDERING: Acquire, E1, pairs with the Release in `set`.
        self.word.load(Ordering::Acquire) & SET != 0
    }

    /// Sets it and wakes everybody who waits. Returns whether it was clear before.
    #[inline]
    pub fn set(&self, scope: Scope) -> bool {
        // ORDERING: Relaxed; confirmed by the CAS.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            // ORDERING: Release on success, E1, pairs with the Acquire in `is_set`, `clear` and `wait`.
            match self.word.compare_exchange(
                seen,
                after_set(seen),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        if seen & (SET | SLEEPERS) == SLEEPERS {
            crash_point!("event.set.before_wake");
            futex::wake(&self.word, futex::ALL, scope);
        }
        seen & SET == 0
    }

    /// Clears it. Returns whether it was set.
    #[inline]
    pub fn clear(&self) -> bool {
        // ORDERING: AcqRel, E1: what was published before each set that this undoes is seen from here on.
        self.word.fetch_and(!SET, Ordering::AcqRel) & SET != 0
    }

    /// Waits until it is set, or was set since the call began.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up.
    #[inline]
    pub fn wait<W: Waiter>(&self, waiter: &mut W) -> Result<(), W::Stop> {
        // ORDERING: Acquire, E1, pairs with the Release in `set`.
        let seen = self.word.load(Ordering::Acquire);
        if seen & SET != 0 { Ok(()) } else { self.wait_slow(seen, waiter) }
    }

    #[cold]
    fn wait_slow<W: Waiter>(&self, since: u32, waiter: &mut W) -> Result<(), W::Stop> {
        loop {
            // ORDERING: Acquire, E1, pairs with the Release in `set`.
            let seen = self.word.load(Ordering::Acquire);
            if was_set(since, seen) {
                return Ok(());
            }
            if waiter.spin() || !self.announce(seen) {
                continue;
            }
            crash_point!("event.wait.announced");
            waiter.sleep(&self.word, seen | SLEEPERS)?;
        }
    }

    /// Leaves the mark of a sleeper.
    fn announce(&self, seen: u32) -> bool {
        // ORDERING: Relaxed; the futex compares the word again under the kernel's lock.
        seen & SLEEPERS != 0
            || self
                .word
                .compare_exchange(seen, seen | SLEEPERS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// A mark of this moment, for [`Event::was_set_since`].
    pub fn moment(&self) -> Moment {
        // ORDERING: Acquire, E1, pairs with the Release in `set`.
        Moment(self.word.load(Ordering::Acquire))
    }

    /// Whether it is set, or was set since `moment` (until 2^30 sets later).
    pub fn was_set_since(&self, moment: Moment) -> bool {
        // ORDERING: Acquire, E1, pairs with the Release in `set`.
        was_set(moment.0, self.word.load(Ordering::Acquire))
    }

    /// Announces a watcher: what the word holds from now on, until it is set. Look whether it was set afterwards.
    /// `None` if it is set: then nothing was announced, and who finds it clear after that announces again.
    ///
    /// A watcher is a sleeper that a bell wakes ([`futex::set_bell`]): it waits on a word with S and without F (I2), and
    /// a set changes that word's count before it rings.
    pub fn watch(&self) -> Option<u32> {
        loop {
            // ORDERING: Relaxed; confirmed by the CAS, or by the look that follows.
            let seen = self.word.load(Ordering::Relaxed);
            if seen & SET != 0 {
                return None;
            }
            if self.announce(seen) {
                crash_point!("event.watch.announced");
                return Some(seen | SLEEPERS);
            }
        }
    }

    /// The word, for who watches it.
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Wakes everybody to look again: part of the death procedure.
    pub fn wake_all(&self, scope: Scope) {
        futex::wake(&self.word, futex::ALL, scope);
    }
}

/// The word after a set.
fn after_set(seen: u32) -> u32 {
    if seen & SET != 0 { seen } else { (seen & !SLEEPERS).wrapping_add(COUNT) | SET }
}

/// Whether the event is set in `seen`, or was since the word held `since`.
fn was_set(since: u32, seen: u32) -> bool {
    seen & SET != 0 || (since ^ seen) >= COUNT
}

impl Default for Event {
    fn default() -> Self {
        Self::new(false)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::testing::{Hasty, Late, Patient};

    #[test]
    fn set_and_clear_tell_what_they_changed() {
        let event = Event::default();
        assert!(!event.is_set() && !event.clear());
        assert_eq!(event.wait(&mut Hasty), Err(Late));
        assert!(event.set(Scope::Private));
        assert!(!event.set(Scope::Private));
        assert_eq!(event.wait(&mut Hasty), Ok(()));
        assert!(event.clear() && !event.is_set());
        assert!(Event::new(true).is_set());
    }

    #[test]
    fn the_count_grows_by_one_per_change_and_wraps() {
        assert_eq!(after_set(SLEEPERS), COUNT | SET);
        assert_eq!(after_set(COUNT | SET), COUNT | SET);
        assert_eq!(after_set(u32::MAX - SET), SET, "the count wraps, S is gone");
        assert!(was_set(SLEEPERS, COUNT) && was_set(0, SET) && !was_set(0, SLEEPERS));
    }

    #[test]
    fn who_waited_when_it_was_set_returns_though_it_was_cleared_at_once() {
        let event = Event::default();
        std::thread::scope(|s| {
            let waiter = s.spawn(|| event.wait(&mut Patient));
            while event.word.load(Ordering::Relaxed) & SLEEPERS == 0 {
                std::thread::yield_now();
            }
            event.set(Scope::Private);
            event.clear();
            assert_eq!(waiter.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn a_set_that_died_before_its_wake_is_found_by_the_death_procedure() {
        let event = Event::default();
        std::thread::scope(|s| {
            let waiter = s.spawn(|| event.wait(&mut Patient));
            while event.word.load(Ordering::Relaxed) & SLEEPERS == 0 {
                std::thread::yield_now();
            }
            event.word.store(after_set(SLEEPERS), Ordering::Release); // and here the setter dies
            while !waiter.is_finished() {
                event.wake_all(Scope::Private);
                std::thread::yield_now();
            }
        });
    }
}
