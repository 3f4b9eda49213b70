//! A place where a fixed number of parties meet: all wait until the last has come.
//!
//! Arriving is one compare-and-swap; the last one makes one system call if somebody sleeps. There is no handshake: the
//! next round may begin before everybody of the last one has left. Who gives up, aborts, or is found dead breaks the
//! barrier for all, until somebody resets it.
//!
//! The last one to arrive is told before the others are released, so that it can run an action: see
//! [`Barrier::arrive`]. [`Barrier::wait`] is the form without one.
//!
//! # Memory
//!
//! ```text
//!  63            34 33               18  17 16  15              0
//! +----------------+-------------------+---+---+----------------+
//! |   generation   |      history      | 0 | B |    arrivals    |   state   B = broken
//! +----------------+-------------------+---+---+----------------+
//! |         parties                    | sleepers (EventCount)  |
//! +------------------------------------+------------------------+
//! ```
//!
//! | state | meaning | who may leave it |
//! |---|---|---|
//! | arrivals < parties | filling | a party, by adding itself; anybody, by breaking or resetting it |
//! | arrivals = parties | closed: the last one runs its action | that one, by opening the next generation; others as above |
//! | B | broken | anybody, by resetting: the next generation |
//!
//! Bit n of `history` tells how generation `generation - 1 - n` ended: 1 = it was broken or reset, 0 = all had come.
//!
//! Bytes that are all zero have no parties: such a barrier is broken for ever. Use [`Barrier::new`].
//!
//! # Invariants
//!
//! * I1. The generation grows by one with each meeting and with each reset that ended one; its outcome enters `history`
//!   in the same CAS. B is set and cleared without a meeting in between.
//! * I2. Exactly one arrival per generation finds that it is the last, and only it opens the next with outcome 0.
//! * I3. A waiter of an older generation reads its own outcome from `history`, up to [`HISTORY`] generations later;
//!   after that it is told that the barrier broke.
//!
//! # Ordering
//!
//! * E1 "meeting": each arrival's AcqRel → the last one's, which has all of them in its release sequence; its `release`
//!   → the Acquire of each waiter's look. What anybody wrote before it came, everybody sees after.
//! * E2 sleeping: the event count's E1, with `state` as the condition.
//!
//! # Crash points
//!
//! A party that dies is not known here: whoever knows of the death calls [`Barrier::break_by_death`], once or more
//! often. Killed between a change of `state` and the wake: sleepers look again after a slice, and `break_by_death` wakes
//! all.

#[cfg(all(test, not(loom)))]
mod tests;

use core::fmt;

use crate::futex::{ALL, Scope};
use crate::primitive::{AtomicU32, AtomicU64, FenceMode, Ordering};
use crate::sync::event_count::EventCount;
use crate::wait::Waiter;

/// Bits of the count of arrivals.
const ARRIVAL_BITS: u32 = 16;
/// Broken.
const BROKEN: u64 = 1 << ARRIVAL_BITS;
/// Where the history begins.
const HISTORY_SHIFT: u32 = ARRIVAL_BITS + 2;
/// Where the generation begins.
const GENERATION_SHIFT: u32 = HISTORY_SHIFT + HISTORY;
/// Bits of the generation.
const GENERATION_BITS: u32 = 64 - GENERATION_SHIFT;

/// How many generations later a waiter still learns how its own ended.
pub const HISTORY: u32 = 16;
/// The most parties that can meet.
pub const MAX_PARTIES: u32 = (1 << ARRIVAL_BITS) - 1;

/// A barrier: sixteen bytes of shared memory.
#[repr(C)]
#[derive(Debug)]
pub struct Barrier {
    /// Arrivals, B, history and generation. Written by all; any value is harmless.
    state: AtomicU64,
    /// Where waiters sleep.
    sleepers: EventCount,
    /// How many meet. Written before the barrier is shared and never again; read once per call and checked.
    parties: AtomicU32,
}

/// The barrier is broken, or was reset while the caller waited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// A barrier cannot have so many parties: 1 to [`MAX_PARTIES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadParties;

/// Why a wait did not end in a meeting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarrierError<S> {
    /// The barrier is broken, or was reset.
    Broken,
    /// The waiter gave up.
    Stopped {
        /// Why.
        stop: S,
        /// The caller's index, if all had come in the same moment: the others were released, and the barrier is not
        /// broken. A deadline may then be taken for a meeting, an interrupt may not. Otherwise the barrier is broken
        /// now, unless the caller was still waiting for an earlier meeting to end.
        met: Option<u32>,
    },
}

/// A party's place in one generation. Pass it on to [`Barrier::release`], [`Barrier::refuse`] or
/// [`Barrier::wait_for_release`]; dropping it leaves the others waiting.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub struct Turn {
    generation: u32,
    index: u32,
}

impl Turn {
    /// How many came before: 0 to `parties - 1`, each once.
    pub fn index(&self) -> u32 {
        self.index
    }
}

/// What [`Barrier::arrive`] found.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub enum Arrived {
    /// Others are missing: [`Barrier::wait_for_release`].
    Early(Turn),
    /// All are here and wait for this one: [`Barrier::release`], after the action, or [`Barrier::refuse`].
    Last(Turn),
}

/// One step towards having arrived.
enum Step {
    Done(Arrived),
    Broken,
    /// An earlier generation is closed and not released yet.
    Closed,
}

fn arrivals(state: u64) -> u32 {
    state as u32 & MAX_PARTIES
}

fn generation(state: u64) -> u32 {
    (state >> GENERATION_SHIFT) as u32
}

/// The state after `state`'s generation has ended: nobody is here, nothing is broken.
fn next_generation(state: u64, was_broken: bool) -> u64 {
    let history = (state >> HISTORY_SHIFT) << 1 & ((1 << HISTORY) - 1) | u64::from(was_broken);
    let generation = (state >> GENERATION_SHIFT).wrapping_add(1);
    generation << GENERATION_SHIFT | history << HISTORY_SHIFT
}

/// How `mine` ended, if it has.
fn outcome(state: u64, mine: u32) -> Option<Result<(), Broken>> {
    let age = generation(state).wrapping_sub(mine) & ((1 << GENERATION_BITS) - 1);
    match age {
        0 => (state & BROKEN != 0).then_some(Err(Broken)),
        1..=HISTORY => {
            let was_broken = state >> (HISTORY_SHIFT + age - 1) & 1 != 0;
            Some(if was_broken { Err(Broken) } else { Ok(()) })
        }
        _ => Some(Err(Broken)),
    }
}

impl Barrier {
    /// A barrier for `parties` to meet at.
    ///
    /// # Errors
    ///
    /// [`BadParties`] unless there are 1 to [`MAX_PARTIES`].
    pub fn new(parties: u32) -> Result<Self, BadParties> {
        if parties == 0 || parties > MAX_PARTIES {
            return Err(BadParties);
        }
        Ok(Self {
            state: AtomicU64::new(0),
            sleepers: EventCount::new(),
            parties: AtomicU32::new(parties),
        })
    }

    /// Arrives and waits for the others. Returns the caller's index, 0 to `parties - 1`; in each meeting one party has
    /// index 0.
    ///
    /// # Errors
    ///
    /// [`BarrierError`].
    pub fn wait<W: Waiter>(&self, waiter: &mut W) -> Result<u32, BarrierError<W::Stop>> {
        match self.arrive(waiter)? {
            Arrived::Early(turn) => self.wait_for_release(turn, waiter),
            Arrived::Last(turn) => {
                self.release(turn, waiter.scope()).map_err(|Broken| BarrierError::Broken)
            }
        }
    }

    /// Arrives. Waits only where an earlier meeting is closed and its last one still runs its action.
    ///
    /// # Errors
    ///
    /// [`BarrierError`]; the caller has not arrived then, and did not break anything.
    #[inline]
    pub fn arrive<W: Waiter>(&self, waiter: &mut W) -> Result<Arrived, BarrierError<W::Stop>> {
        // ORDERING: Relaxed; written once, before the barrier was shared.
        let parties = self.parties.load(Ordering::Relaxed);
        let ready = |_: &mut W| match self.try_arrive(parties) {
            Step::Done(arrived) => Some(Ok(arrived)),
            Step::Broken => Some(Err(BarrierError::Broken)),
            Step::Closed => None,
        };
        match self.sleepers.wait_until(waiter, FenceMode::Symmetric, ready) {
            Ok(result) => result,
            Err(stop) => Err(BarrierError::Stopped { stop, met: None }),
        }
    }

    #[inline]
    fn try_arrive(&self, parties: u32) -> Step {
        if parties == 0 || parties > MAX_PARTIES {
            return Step::Broken;
        }
        // ORDERING: Relaxed; confirmed by the CAS.
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            if seen & BROKEN != 0 {
                return Step::Broken;
            }
            let index = arrivals(seen);
            if index >= parties {
                return Step::Closed;
            }
            match self.replace(seen, seen + 1) {
                Ok(()) => {
                    crash_point!("barrier.arrive.counted");
                    let turn = Turn { generation: generation(seen), index };
                    let last = index + 1 == parties;
                    return Step::Done(if last {
                        Arrived::Last(turn)
                    } else {
                        Arrived::Early(turn)
                    });
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Waits until the last one releases all. Giving up breaks the barrier.
    ///
    /// # Errors
    ///
    /// [`BarrierError`].
    pub fn wait_for_release<W: Waiter>(
        &self,
        turn: Turn,
        waiter: &mut W,
    ) -> Result<u32, BarrierError<W::Stop>> {
        match self.wait_for_end(&turn, waiter) {
            Ok(Ok(())) => Ok(turn.index),
            Ok(Err(Broken)) => Err(BarrierError::Broken),
            Err(stop) => {
                let met = self.refuse(Turn { ..turn }, waiter.scope()).then_some(turn.index);
                Err(BarrierError::Stopped { stop, met })
            }
        }
    }

    /// Waits until the meeting has ended, one way or the other. Giving up breaks nothing: [`Barrier::refuse`] does, or wait
    /// again.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up.
    pub fn wait_for_end<W: Waiter>(
        &self,
        turn: &Turn,
        waiter: &mut W,
    ) -> Result<Result<(), Broken>, W::Stop> {
        // ORDERING: Acquire, E1, pairs with the AcqRel in `replace`.
        let ready = |_: &mut W| outcome(self.state.load(Ordering::Acquire), turn.generation);
        self.sleepers.wait_until(waiter, FenceMode::Symmetric, ready)
    }

    /// The last one lets all go. Returns its own index, `parties - 1`.
    ///
    /// # Errors
    ///
    /// [`Broken`] if the barrier was broken or reset since it arrived.
    pub fn release(&self, turn: Turn, scope: Scope) -> Result<u32, Broken> {
        // ORDERING: Relaxed; confirmed by the CAS.
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            if generation(seen) != turn.generation || seen & BROKEN != 0 {
                return Err(Broken);
            }
            match self.replace(seen, next_generation(seen, false)) {
                Ok(()) => break,
                Err(now) => seen = now,
            }
        }
        crash_point!("barrier.release.before_wake");
        self.sleepers.notify_after_rmw(ALL, scope);
        Ok(turn.index)
    }

    /// One that arrived does not want to meet: breaks the barrier for its generation. Returns `true`, and does nothing,
    /// if all had met already.
    #[cold]
    pub fn refuse(&self, turn: Turn, scope: Scope) -> bool {
        // ORDERING: Acquire, E1, pairs with the AcqRel in `replace`.
        let mut seen = self.state.load(Ordering::Acquire);
        loop {
            if let Some(ended) = outcome(seen, turn.generation) {
                return ended.is_ok();
            }
            match self.replace(seen, seen | BROKEN) {
                Ok(()) => break,
                // ORDERING: Acquire, as above.
                Err(_) => seen = self.state.load(Ordering::Acquire),
            }
        }
        crash_point!("barrier.refuse.before_wake");
        self.sleepers.notify_after_rmw(ALL, scope);
        false
    }

    /// Breaks the barrier: all who wait and all who come get an error, until it is reset. Returns whether it was whole.
    pub fn abort(&self, scope: Scope) -> bool {
        // ORDERING: AcqRel, E2; the event count's fence follows.
        let was_whole = self.state.fetch_or(BROKEN, Ordering::AcqRel) & BROKEN == 0;
        if was_whole {
            crash_point!("barrier.abort.before_wake");
            self.sleepers.notify_after_rmw(ALL, scope);
        }
        was_whole
    }

    /// Makes a barrier whole again. Who waits at it gets an error; an empty whole one stays as it is.
    pub fn reset(&self, scope: Scope) {
        // ORDERING: Relaxed; confirmed by the CAS.
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            if seen & BROKEN == 0 && arrivals(seen) == 0 {
                return;
            }
            match self.replace(seen, next_generation(seen, true)) {
                Ok(()) => break,
                Err(now) => seen = now,
            }
        }
        crash_point!("barrier.reset.before_wake");
        self.sleepers.notify_after_rmw(ALL, scope);
    }

    /// Death procedure: a dead party breaks the barrier. As [`Barrier::abort`], and wakes everybody in any case, for
    /// the dead may have been about to. Idempotent. Returns whether the barrier was whole.
    pub fn break_by_death(&self, scope: Scope) -> bool {
        let was_whole = self.abort(scope);
        self.sleepers.wake_all(scope);
        was_whole
    }

    /// Whether it is broken. A glance: it may be old when it returns.
    pub fn is_broken(&self) -> bool {
        // ORDERING: Acquire; a glance that may well be followed by a look at why.
        self.state.load(Ordering::Acquire) & BROKEN != 0
    }

    /// How many are here and wait for the others; none at a broken or closed barrier. A glance.
    pub fn n_waiting(&self) -> u32 {
        // ORDERING: Relaxed; a glance.
        let seen = self.state.load(Ordering::Relaxed);
        let here = arrivals(seen);
        if seen & BROKEN == 0 && here < self.parties() { here } else { 0 }
    }

    /// How many meet.
    pub fn parties(&self) -> u32 {
        // ORDERING: Relaxed; written once, before the barrier was shared.
        self.parties.load(Ordering::Relaxed).min(MAX_PARTIES)
    }

    /// Changes `state` from exactly `seen`; otherwise returns what it holds now.
    fn replace(&self, seen: u64, next: u64) -> Result<(), u64> {
        // ORDERING: AcqRel on success, E1 and E2.
        self.state.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed).map(|_| ())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier is broken")
    }
}

impl fmt::Display for BadParties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a barrier has 1 to {MAX_PARTIES} parties")
    }
}

impl core::error::Error for Broken {}
impl core::error::Error for BadParties {}
