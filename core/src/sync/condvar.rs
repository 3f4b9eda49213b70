//! A condition to wait for while a lock is open.
//!
//! `notify` is one load while nobody waits, and makes no handshake with the waiters. `notify(n)` releases n of those who
//! waited before it, or all; none is lost. Usually exactly n: more only where waiters died, where a second notification
//! overtakes waiters that did not run yet and newcomers stand between, or with [`MANY`] waiters. So a caller looks at its
//! condition again after each return. A dead waiter costs at most such a needless return; the next notification that
//! reaches everybody forgets it.
//!
//! Change the condition with the lock held. Notify with the lock held or afterwards.
//!
//! A death disturbs all who wait, for the dead may have been about to notify. [`Condvar::wait`] returns then; who waits
//! with a [`Ticket`] is told, waits on, and misses no notification meanwhile.
//!
//! # Memory
//!
//! ```text
//!  63           45 44     37 36     25  24  23       12 11        0
//! +---------------+---------+---------+---+-----------+-----------+
//! |  generation   |   era   |  batch  | J |  waiters  |  permits  |   state
//! +---------------+---------+---------+---+-----------+-----------+
//! | reserved, 0                       | sleepers (EventCount)     |
//! +-----------------------------------+---------------------------+
//! ```
//!
//! | field | meaning | who changes it |
//! |---|---|---|
//! | generation | grows when everybody is released | notifier |
//! | era | grows when somebody died, and everybody is disturbed | death procedure |
//! | batch | grows when `permits` leaves 0 | notifier |
//! | J | somebody came to wait while `permits` was not 0 | that one; cleared with `permits` |
//! | waiters | who waits, the dead included; [`MANY`] = did not fit | waiter, coming and going |
//! | permits | waiters released by number and still on their way | notifier up, waiter down |
//!
//! Bytes that are all zero are a condition without waiters.
//!
//! # Invariants
//!
//! * I1. A waiter is counted before it opens the lock. So whoever takes the lock afterwards sees it.
//! * I2. A waiter is released if the generation is another than it came in; or by taking a permit of another batch than
//!   it came in. So nobody takes a permit that was there before it came.
//! * I3. No permit is added to a batch after somebody came to it (J): everybody is released instead. So nobody who was
//!   notified waits on because a newcomer took what was meant for it.
//! * I4. `waiters` is never less than those who wait in this generation. So it is with the disturbed: they stay counted.
//!
//! # Ordering
//!
//! * E1 "notified": the notifier's RMW of `state` → fence → its look for sleepers; the event count's E1, with `state` as
//!   the condition. What the condition protects is published by the lock.
//!
//! # Crash points
//!
//! A waiter that dies stays counted (I4 allows it). A notifier that dies before its wake leaves sleepers asleep until
//! their slice is over or the death procedure calls [`Condvar::recover`], which disturbs everybody.

#[cfg(all(test, not(loom)))]
mod tests;

use core::convert::Infallible;
use core::num::NonZeroU32;

use crate::futex::{ALL, Scope};
use crate::owner::OwnerId;
use crate::primitive::{AtomicU32, AtomicU64, FenceMode, Ordering};
use crate::sync::event_count::EventCount;
use crate::sync::mutex::{Acquired, Mutex};
use crate::sync::reentrant::{NotOwner, ReentrantMutex};
use crate::wait::Waiter;

/// Bits of the counts of waiters and permits.
const COUNT_BITS: u32 = 12;
/// Bits of the batch.
const BATCH_BITS: u32 = 12;
/// Bits of the era.
const ERA_BITS: u32 = 8;
/// Bits of the generation.
const GENERATION_BITS: u32 = 19;

/// From so many waiters on they are no longer counted, and each notification releases all.
pub const MANY: u32 = (1 << COUNT_BITS) - 1;

/// A condition variable: sixteen bytes of shared memory.
#[repr(C)]
#[derive(Debug)]
pub struct Condvar {
    /// Who waits and who is released ([`State`]). Written by waiters and notifiers; any value is harmless.
    state: AtomicU64,
    /// Where waiters sleep.
    sleepers: EventCount,
    /// Zero.
    reserved: AtomicU32,
}

/// How a wait ended. The lock is held again in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Waited<S> {
    /// How the lock was come by.
    pub acquired: Acquired,
    /// Whether a notification released this waiter. Look at the condition in any case.
    pub notified: bool,
    /// Why the waiter gave up, if it did. It may have been notified just the same.
    pub stop: Option<S>,
}

/// One who waits, since when. Dropping it leaves it counted as a dead one: [`Condvar::leave`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Ticket {
    generation: u32,
    era: u32,
    batch: u32,
}

/// Why somebody who waits with a ticket returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// A notification released it: it does not wait any more.
    Notified,
    /// Somebody died. It still waits: look at the condition, if that can have changed, and go on waiting.
    Disturbed,
}

/// The fields of `state`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct State {
    generation: u32,
    era: u32,
    batch: u32,
    joined: bool,
    waiters: u32,
    permits: u32,
}

/// What `state` says to a waiter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Everybody of its generation was released.
    Released,
    /// Everybody of its era was disturbed.
    Disturbed,
    /// It is released if it can make `state` this.
    Take(State),
    /// Somebody else is released and did not run yet.
    OthersTurn,
    /// Nobody is.
    Wait,
}

impl State {
    fn unpack(word: u64) -> Self {
        let mut rest = word;
        let mut field = |bits: u32| {
            let value = rest as u32 & ((1 << bits) - 1);
            rest >>= bits;
            value
        };
        // From the lowest bits on.
        Self {
            permits: field(COUNT_BITS),
            waiters: field(COUNT_BITS),
            joined: field(1) == 1,
            batch: field(BATCH_BITS),
            era: field(ERA_BITS),
            generation: field(GENERATION_BITS),
        }
    }

    fn pack(self) -> u64 {
        let fields = [
            (self.generation, GENERATION_BITS),
            (self.era, ERA_BITS),
            (self.batch, BATCH_BITS),
            (u32::from(self.joined), 1),
            (self.waiters, COUNT_BITS),
            (self.permits, COUNT_BITS),
        ];
        fields.into_iter().fold(0, |word, (value, bits)| word << bits | u64::from(value))
    }

    fn ticket(self) -> Ticket {
        Ticket { generation: self.generation, era: self.era, batch: self.batch }
    }

    /// One more waits.
    fn join(mut self) -> Self {
        self.waiters = (self.waiters + 1).min(MANY);
        self.joined |= self.permits > 0;
        self
    }

    /// Everybody is released.
    fn notify_all(self) -> Self {
        let generation = (self.generation + 1) % (1 << GENERATION_BITS);
        Self { generation, era: self.era, batch: self.batch, ..Self::default() }
    }

    /// Somebody died.
    fn disturb(self) -> Self {
        Self { era: (self.era + 1) % (1 << ERA_BITS), ..self }
    }

    /// `count` more are released.
    fn notify(mut self, count: u32) -> Self {
        let waiting = self.waiters.saturating_sub(self.permits);
        if count >= waiting || self.waiters == MANY || self.joined {
            return self.notify_all();
        }
        if self.permits == 0 {
            self.batch = (self.batch + 1) % (1 << BATCH_BITS);
        }
        self.permits += count;
        self
    }

    /// I2.
    fn verdict(self, ticket: Ticket) -> Verdict {
        if self.generation != ticket.generation {
            Verdict::Released
        } else if self.permits > 0 && self.batch != ticket.batch {
            Verdict::Take(Self { permits: self.permits - 1, ..self }.one_less())
        } else if self.era != ticket.era {
            Verdict::Disturbed
        } else if self.permits > 0 {
            Verdict::OthersTurn
        } else {
            Verdict::Wait
        }
    }

    /// One waiter has gone.
    fn one_less(mut self) -> Self {
        if self.waiters != MANY {
            self.waiters = self.waiters.saturating_sub(1);
        }
        self.permits = self.permits.min(self.waiters);
        self.joined &= self.permits > 0;
        self
    }
}

impl Condvar {
    /// Nobody waits.
    pub fn new() -> Self {
        Self { state: AtomicU64::new(0), sleepers: EventCount::new(), reserved: AtomicU32::new(0) }
    }

    /// Opens the lock, waits for a notification, takes the lock again.
    ///
    /// `waiter` carries the deadline of the wait; `relock` takes the lock again and cannot give up: a holder that lives
    /// is waited for, deadline or not.
    ///
    /// # Errors
    ///
    /// [`NotOwner`] if `me` does not hold the lock; nothing was done then.
    pub fn wait<W: Waiter, R: Waiter<Stop = Infallible>>(
        &self,
        mutex: &Mutex,
        me: OwnerId,
        waiter: &mut W,
        relock: &mut R,
    ) -> Result<Waited<W::Stop>, NotOwner> {
        if mutex.owner() != Some(me) {
            return Err(NotOwner);
        }
        let ticket = self.enter();
        mutex.unlock(me, waiter.scope());
        crash_point!("condvar.wait.unlocked");
        let (notified, stop) = self.block(ticket, waiter);
        let Ok(acquired) = mutex.lock(me, relock);
        Ok(Waited { acquired, notified, stop })
    }

    /// [`Condvar::wait`] with a reentrant lock: opened fully, however deep, and taken again to the same depth.
    ///
    /// # Errors
    ///
    /// [`NotOwner`] if this thread does not hold the lock; nothing was done then.
    pub fn wait_reentrant<W: Waiter, R: Waiter<Stop = Infallible>>(
        &self,
        mutex: &ReentrantMutex,
        me: OwnerId,
        thread: NonZeroU32,
        waiter: &mut W,
        relock: &mut R,
    ) -> Result<Waited<W::Stop>, NotOwner> {
        if !mutex.is_mine(me, thread) {
            return Err(NotOwner);
        }
        let ticket = self.enter();
        let depth = match mutex.unlock_all(me, thread, waiter.scope()) {
            Ok(depth) => depth,
            Err(NotOwner) => {
                self.leave(ticket, waiter.scope());
                return Err(NotOwner);
            }
        };
        crash_point!("condvar.wait.unlocked_all");
        let (notified, stop) = self.block(ticket, waiter);
        let Ok(acquired) = mutex.relock(me, thread, depth, relock);
        Ok(Waited { acquired, notified, stop })
    }

    /// Releases one waiter, if there is one.
    #[inline]
    pub fn notify_one(&self, scope: Scope) {
        self.notify(1, scope);
    }

    /// Releases all who wait.
    #[inline]
    pub fn notify_all(&self, scope: Scope) {
        self.notify(u32::MAX, scope);
    }

    /// Releases `count` waiters, or all if there are fewer.
    #[inline]
    pub fn notify(&self, count: u32, scope: Scope) {
        // ORDERING: Relaxed; by I1 the lock makes the waiters that count visible.
        let seen = self.state.load(Ordering::Relaxed);
        if State::unpack(seen).waiters != 0 && count != 0 {
            self.notify_slow(seen, count, scope);
        }
    }

    #[cold]
    fn notify_slow(&self, mut seen: u64, count: u32, scope: Scope) {
        loop {
            let state = State::unpack(seen);
            if state.waiters == 0 {
                return; // they have gone meanwhile, or somebody else released them
            }
            let next = state.notify(count);
            match self.replace(seen, next) {
                Ok(()) => {
                    crash_point!("condvar.notify.before_wake");
                    let wake = if next.generation == state.generation { count } else { ALL };
                    self.sleepers.notify_after_rmw(wake, scope);
                    return;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Death procedure: disturbs everybody. Idempotent; the living look at their condition and wait again.
    pub fn recover(&self, scope: Scope) {
        // ORDERING: Relaxed; confirmed by the CAS.
        let mut seen = self.state.load(Ordering::Relaxed);
        while let Err(now) = self.replace(seen, State::unpack(seen).disturb()) {
            seen = now;
        }
        crash_point!("condvar.recover.before_wake");
        self.sleepers.wake_all(scope);
    }

    /// How many wait, the dead included until they are forgotten. A glance, for people who look.
    pub fn waiters(&self) -> u32 {
        // ORDERING: Relaxed; a glance.
        State::unpack(self.state.load(Ordering::Relaxed)).waiters
    }

    /// Counts one who is going to wait (I1): with the lock held. For those who keep their lock themselves: give the lock
    /// back, [`Condvar::wait_with`] the ticket, and take the lock again.
    pub fn enter(&self) -> Ticket {
        // ORDERING: Relaxed; confirmed by the CAS.
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            let state = State::unpack(seen);
            match self.replace(seen, state.join()) {
                Ok(()) => {
                    crash_point!("condvar.wait.joined");
                    return state.ticket();
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Sleeps until released or told to stop. A disturbance is a release without a notification: the caller looks at its
    /// condition.
    fn block<W: Waiter>(&self, mut ticket: Ticket, waiter: &mut W) -> (bool, Option<W::Stop>) {
        match self.wait_with(&mut ticket, waiter) {
            Ok(Release::Notified) => (true, None),
            Ok(Release::Disturbed) => {
                self.leave(ticket, waiter.scope());
                (true, None)
            }
            Err(stop) => (self.leave(ticket, waiter.scope()), Some(stop)),
        }
    }

    /// Sleeps until a notification releases the one that has the ticket, or somebody's death disturbs it.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up: it still waits, until it leaves.
    pub fn wait_with<W: Waiter>(
        &self,
        ticket: &mut Ticket,
        waiter: &mut W,
    ) -> Result<Release, W::Stop> {
        let mut passed_on = false;
        self.sleepers.wait_until(waiter, FenceMode::Symmetric, |waiter| {
            self.look(ticket, &mut passed_on, waiter.scope())
        })
    }

    /// Whether this waiter is released or disturbed now.
    fn look(&self, ticket: &mut Ticket, passed_on: &mut bool, scope: Scope) -> Option<Release> {
        // ORDERING: Acquire, E1; the fence of the event count stands before it when it matters.
        let mut seen = self.state.load(Ordering::Acquire);
        loop {
            let state = State::unpack(seen);
            match state.verdict(*ticket) {
                Verdict::Released => return Some(Release::Notified),
                Verdict::Wait => return None,
                Verdict::Take(next) => match self.replace(seen, next) {
                    Ok(()) => {
                        crash_point!("condvar.wait.taken");
                        return Some(Release::Notified);
                    }
                    Err(now) => seen = now,
                },
                Verdict::Disturbed => {
                    ticket.era = state.era;
                    return Some(Release::Disturbed);
                }
                Verdict::OthersTurn => {
                    // The wake-up may have been meant for them. Once per wait: they may also be dead.
                    if !core::mem::replace(passed_on, true) {
                        self.sleepers.wake_all(scope);
                    }
                    return None;
                }
            };
        }
    }

    /// Goes without being released, and wakes another if the wake-up was spent here. Returns whether it was released
    /// with everybody just the same.
    #[cold]
    pub fn leave(&self, ticket: Ticket, scope: Scope) -> bool {
        // ORDERING: Relaxed; confirmed by the CAS.
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            let state = State::unpack(seen);
            if state.generation != ticket.generation {
                return true;
            }
            let next = state.one_less();
            match self.replace(seen, next) {
                Ok(()) => {
                    crash_point!("condvar.leave.before_wake");
                    if next.permits > 0 {
                        self.sleepers.wake_all(scope);
                    }
                    return false;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Changes `state` from exactly `seen`; otherwise returns what it holds now.
    fn replace(&self, seen: u64, next: State) -> Result<(), u64> {
        // ORDERING: AcqRel on success, E1: the event count's fence or RMW follows it on the notifier's side.
        self.state
            .compare_exchange(seen, next.pack(), Ordering::AcqRel, Ordering::Relaxed)
            .map(|_| ())
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}
