//! The lost-wake-up protocol, once: a word on which "something may have changed" is waited for.
//!
//! `notify` is wait-free and one load while nobody sleeps. A sleeper leaves one bit and no count, so a sleeper that
//! is killed leaves nothing behind but, at most, one needless system call of the next notifier. Spurious wake-ups
//! happen; a caller looks at its condition after each.
//!
//! # Memory
//!
//! ```text
//!  31                               1   0
//! +-----------------------------------+---+
//! |        count of wake-ups          | S |    S = somebody may sleep
//! +-----------------------------------+---+
//! ```
//!
//! Sleepers set S. A notifier that saw S adds 2, so a sleeper on its way into the kernel finds the word changed. Only
//! a notifier that found nobody asleep clears S, and it wakes once more after that.
//!
//! # Invariants
//!
//! * I1. A sleeper sleeps only on a value that it left in the word with S set, and has looked at its condition since.
//! * I2. S is cleared only by a CAS on a value after whose appearance no sleeper was found.
//! * I3. After clearing S a notifier wakes all: whoever slept on the cleared value's eve is not forgotten.
//!
//! # Ordering
//!
//! * E1 "publish, then look for sleepers": the condition's store → fence → `notify`'s load of S. Partner: `key`'s
//!   RMW of S → fence → the sleeper's second look at the condition. One of the two sees the other.
//!
//! # Crash points
//!
//! A notifier that dies before its wake leaves sleepers asleep: sleeps are sliced ([`Waiter::sleep`]) and the death
//! procedure notifies all. Between the CAS of I2 and the wake of I3 the same holds.
//!
//! # Watchers
//!
//! Who waits for several words, or in an event loop, announces itself ([`EventCount::watch`]), looks at its condition,
//! and compares the word with what it left there whenever a bell rings ([`futex::set_bell`]). A notifier that sees S
//! changes the word before it rings, and one that clears S rings after that: so the word of a watcher that has to look
//! again is never the one that it left, until 2^31 wake-ups later.
//!
//! Source: the event count of Dice and Kogan, reduced to one bit; the second wake (I3) is what makes the bit clearable.

use crate::futex::{self, Scope};
use crate::primitive::{AtomicU32, FenceMode, Ordering, fence_after_rmw, fence_full, fence_light};
use crate::wait::Waiter;

/// Somebody may sleep.
const SLEEPERS: u32 = 1;
/// One wake-up.
const EPOCH: u32 = 2;

/// A word to sleep on until something may have changed.
#[repr(transparent)]
#[derive(Debug)]
pub struct EventCount {
    word: AtomicU32,
}

/// What the word held when a sleeper announced itself.
#[derive(Clone, Copy, Debug)]
pub struct Key(u32);

impl EventCount {
    /// Nobody sleeps.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// Nobody sleeps.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// Wakes up to `count` sleepers, if there are any. The publication before it was a plain store and `mode` says
    /// who fences between the two. Returns whether the kernel was asked to wake somebody.
    #[inline]
    pub fn notify(&self, count: u32, scope: Scope, mode: FenceMode) -> bool {
        fence_light(mode);
        self.notify_fenced(count, scope)
    }

    /// Wakes up to `count` sleepers, if there are any. The publication before it was a locked read-modify-write,
    /// which is fence enough on this machine. Returns whether the kernel was asked to wake somebody.
    #[inline]
    pub fn notify_after_rmw(&self, count: u32, scope: Scope) -> bool {
        fence_after_rmw();
        self.notify_fenced(count, scope)
    }

    /// Whether a notification is owed for what was published: somebody may be asleep. The publication before it was a locked
    /// read-modify-write. Where this says no, whoever goes to sleep afterwards sees what was published.
    #[inline]
    pub fn is_owed_after_rmw(&self) -> bool {
        fence_after_rmw();
        // ORDERING: Relaxed; E1's fence stands before it.
        self.word.load(Ordering::Relaxed) & SLEEPERS != 0
    }

    #[inline]
    fn notify_fenced(&self, count: u32, scope: Scope) -> bool {
        // ORDERING: Relaxed; E1's fence stands before it.
        let any = self.word.load(Ordering::Relaxed) & SLEEPERS != 0;
        if any {
            self.wake(count, scope);
        }
        any
    }

    #[cold]
    fn wake(&self, count: u32, scope: Scope) {
        // ORDERING: AcqRel; the new value tells a sleeper on its way into the kernel that the condition changed.
        let seen = self.word.fetch_add(EPOCH, Ordering::AcqRel).wrapping_add(EPOCH);
        crash_point!("event_count.wake.before_wake");
        // Those who watch hear of it once, and last: not where sleepers were woken for all that there is.
        let woken = futex::wake_sleepers(&self.word, count, scope);
        // ORDERING: AcqRel on success, I2: fails if a sleeper or another notifier came since.
        let clear = seen & !SLEEPERS;
        if woken == 0
            && self.word.compare_exchange(seen, clear, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            crash_point!("event_count.wake.after_clear");
            futex::wake_sleepers(&self.word, futex::ALL, scope);
        }
        if woken < count {
            futex::ring_in(&self.word, scope);
        }
    }

    /// Announces a sleeper. Look at the condition once more afterwards, then [`EventCount::sleep`] with the key.
    #[inline]
    pub fn key(&self) -> Key {
        // ORDERING: AcqRel, then a full fence: the sleeper's half of E1.
        let key = self.word.fetch_or(SLEEPERS, Ordering::AcqRel) | SLEEPERS;
        fence_full();
        Key(key)
    }

    /// Announces a watcher: what the word holds from now on, until something is notified. Look at the condition once
    /// more afterwards.
    pub fn watch(&self) -> u32 {
        let Key(key) = self.key();
        crash_point!("event_count.watch.announced");
        key
    }

    /// The word, for who watches it.
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Sleeps unless something was notified since `key`.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up.
    pub fn sleep<W: Waiter>(&self, key: Key, waiter: &mut W) -> Result<(), W::Stop> {
        waiter.sleep(&self.word, key.0)
    }

    /// Calls `ready` until it gives something, sleeping in between: spin, announce, look again, sleep.
    ///
    /// `mode` is the fence mode of the notifiers of this word.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up; `ready` had nothing just before.
    pub fn wait_until<W: Waiter, R>(
        &self,
        waiter: &mut W,
        mode: FenceMode,
        mut ready: impl FnMut(&mut W) -> Option<R>,
    ) -> Result<R, W::Stop> {
        loop {
            if let Some(found) = ready(waiter) {
                return Ok(found);
            }
            if waiter.spin() {
                continue;
            }
            let key = self.key();
            if mode == FenceMode::Asymmetric {
                waiter.fence_peers();
            }
            if let Some(found) = ready(waiter) {
                return Ok(found);
            }
            self.sleep(key, waiter)?;
        }
    }

    /// Wakes everybody, sleeping or about to: part of the death procedure.
    pub fn wake_all(&self, scope: Scope) {
        fence_full();
        // ORDERING: AcqRel, as in `wake`.
        self.word.fetch_add(EPOCH, Ordering::AcqRel);
        futex::wake(&self.word, futex::ALL, scope);
    }

    /// Whether somebody may be asleep. A hint for people who look.
    pub fn may_have_sleepers(&self) -> bool {
        // ORDERING: Relaxed; a glance.
        self.word.load(Ordering::Relaxed) & SLEEPERS != 0
    }
}

impl Default for EventCount {
    fn default() -> Self {
        Self::new()
    }
}
