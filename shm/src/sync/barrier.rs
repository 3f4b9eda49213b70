//! A place where a fixed number of parties meet.

use std::fmt;

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::sync;
use slipring_core::sync::{Arrived, BarrierError, Broken, Turn};

use super::meet::{BarrierTurn, for_parties, meet};
use super::words::Words;
use crate::member::Handle;
use crate::object::{Kind, Role};
use crate::wait::Until;
use crate::{Error, Result, Segment};

/// A place where a fixed number of parties meet: all wait until the last has come, again and again.
///
/// A party that gives up breaks the barrier for all, and so does a process that dies after it has once been at it: those
/// who wait and those who come get [`Error::BrokenBarrier`], until somebody resets it. A process that ends in good order
/// drops its handles first; one that calls `exit` with a handle is taken for dead. A process that was never at the
/// barrier is nobody whom it knows: a program's child that only happens to have a handle breaks nothing.
///
/// # Examples
///
/// ```
/// use slipring::{Barrier, Segment};
///
/// let segment = Segment::create()?;
/// let barrier = Barrier::new(&segment, 2)?;
/// let there = barrier.clone();
/// let other = std::thread::spawn(move || there.wait());
/// let turn = barrier.wait()?;
/// let others = other.join().unwrap()?;
/// assert!(turn.is_leader() != others.is_leader(), "one of them is");
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone)]
pub struct Barrier {
    words: Words<sync::Barrier>,
}

/// A party that has come, and waits as it likes: see [`Barrier::arrive_until`]. Dropping it breaks the barrier.
///
/// ```
/// use slipring::{Barrier, Error, Segment, Until};
///
/// let segment = Segment::create()?;
/// let barrier = Barrier::new(&segment, 2)?;
/// let arrival = barrier.arrive_until(Until::NEVER)?;
/// assert!(!arrival.is_last());
/// // It does not wait for the other party.
/// assert!(arrival.leave().is_none());
/// assert!(matches!(barrier.wait(), Err(Error::BrokenBarrier)));
/// barrier.reset()?;
/// # Ok::<(), Error>(())
/// ```
#[must_use = "dropping it breaks the barrier"]
#[derive(Debug)]
pub struct Arrival<'a> {
    barrier: &'a Barrier,
    /// Who came: in a forked child somebody else.
    me: OwnerId,
    index: u32,
    is_last: bool,
    /// `None` once the meeting has ended.
    turn: Option<Turn>,
}

impl Barrier {
    /// Makes a barrier for `parties` to meet at, 1 to 65 535.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`], no memory.
    pub fn new(segment: &Segment, parties: u32) -> Result<Self> {
        Ok(Self { words: Words::create(segment, Kind::Barrier, for_parties(parties)?)? })
    }

    /// The barrier that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { words: Words::from_handle(handle)? })
    }

    /// Comes, and waits for the others for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::BrokenBarrier`] if the barrier is broken, or was broken or reset meanwhile. [`Error::Interrupted`]: the
    /// barrier is broken now. [`Error::Forked`].
    pub fn wait(&self) -> Result<BarrierTurn> {
        self.wait_until(Until::NEVER)
    }

    /// Comes, and waits for the others until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]: the barrier is broken now. And as [`Barrier::wait`].
    pub fn wait_until(&self, until: impl Into<Until>) -> Result<BarrierTurn> {
        self.wait_with(until, || Ok(()))
    }

    /// As [`Barrier::wait_until`]; the last one to come runs `action` before anybody goes on.
    ///
    /// # Errors
    ///
    /// That of the action, for the one that ran it: the barrier is broken then, as it is when the action panics. And as
    /// [`Barrier::wait_until`].
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Barrier, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let alone = Barrier::new(&segment, 1)?;
    /// let mut meetings = 0;
    /// alone.wait_with(Until::NEVER, || {
    ///     meetings += 1;
    ///     Ok(())
    /// })?;
    /// assert_eq!(meetings, 1);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn wait_with(
        &self,
        until: impl Into<Until>,
        action: impl FnOnce() -> Result<()>,
    ) -> Result<BarrierTurn> {
        self.come()?;
        self.words.wait(until.into(), |wait| meet(self.words.get(), wait, action))
    }

    /// Comes, and leaves the waiting to the caller: for bindings, which run actions of their own and have more to do while
    /// they wait. Waits only where an earlier meeting's last one still runs its action.
    ///
    /// # Errors
    ///
    /// [`Error::BrokenBarrier`], [`Error::Forked`]; [`Error::TimedOut`] and [`Error::Interrupted`]: it did not come, and the
    /// barrier is as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Barrier, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let barrier = Barrier::new(&segment, 2)?;
    /// let mut first = barrier.arrive_until(Until::NEVER)?;
    /// let mut second = barrier.arrive_until(Until::NEVER)?;
    /// assert!(!first.is_last() && second.is_last());
    /// // Here is the place of an action.
    /// assert_eq!(second.wait_until(Until::NEVER)?.index(), 1);
    /// assert_eq!(first.wait_until(Until::NEVER)?.index(), 0);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn arrive_until(&self, until: impl Into<Until>) -> Result<Arrival<'_>> {
        self.come()?;
        let core = self.words.get();
        let arrived = self.words.wait(until.into(), |wait| core.arrive(wait));
        let (turn, is_last) = match arrived {
            Ok(Arrived::Early(turn)) => (turn, false),
            Ok(Arrived::Last(turn)) => (turn, true),
            Err(BarrierError::Broken) => return Err(Error::BrokenBarrier),
            Err(BarrierError::Stopped { stop, .. }) => return Err(stop.into()),
        };
        let me = self.words.me()?;
        Ok(Arrival { barrier: self, me, index: turn.index(), turn: Some(turn), is_last })
    }

    /// This process is no party any more: its death will not break the barrier, until it comes again.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn retire(&self) -> Result<()> {
        let me = self.words.me()?;
        self.words.handle().holders(Role::Second).remove(me);
        Ok(())
    }

    /// Notes, once, that this process is one of the parties: its death breaks the barrier.
    fn come(&self) -> Result<()> {
        let (me, parties) = (self.words.me()?, self.words.handle().holders(Role::Second));
        if !parties.contains(me) {
            parties.add(me);
            crash_point!("barrier.come.noted");
        }
        Ok(())
    }

    /// Breaks the barrier: all who wait and all who come get [`Error::BrokenBarrier`], until it is reset.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn abort(&self) -> Result<()> {
        self.words.me()?;
        self.words.get().abort(Scope::Shared);
        Ok(())
    }

    /// Makes a broken barrier whole again. Those who wait at it get [`Error::BrokenBarrier`].
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn reset(&self) -> Result<()> {
        self.words.me()?;
        self.words.get().reset(Scope::Shared);
        Ok(())
    }

    /// Whether it is broken. A glance: it may be old when it returns.
    pub fn is_broken(&self) -> bool {
        self.words.get().is_broken()
    }

    /// How many meet.
    pub fn parties(&self) -> u32 {
        self.words.get().parties()
    }

    /// How many are here and wait for the others. A glance: it may be old when it returns.
    pub fn n_waiting(&self) -> u32 {
        self.words.get().n_waiting()
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }
}

impl Arrival<'_> {
    /// How many had come before.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Whether all are here and wait for this one.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Waits until all are here; the last one lets them go. After an error that is none of the barrier's it is still there,
    /// and may call this again.
    ///
    /// # Errors
    ///
    /// [`Error::BrokenBarrier`]. [`Error::TimedOut`], [`Error::Interrupted`]: nothing changed. [`Error::Forked`] in a child.
    pub fn wait_until(&mut self, until: impl Into<Until>) -> Result<BarrierTurn> {
        let words = &self.barrier.words;
        if words.me()? != self.me {
            return Err(Error::Forked);
        }
        let core = words.get();
        let Some(turn) = self.turn.take() else { return Err(Error::BrokenBarrier) };
        let ended = if self.is_last {
            core.release(turn, Scope::Shared).map(drop)
        } else {
            let ended = words.wait(until.into(), |wait| core.wait_for_end(&turn, wait));
            ended.inspect_err(|_| self.turn = Some(turn))?
        };
        match ended {
            Ok(()) => Ok(BarrierTurn { index: self.index }),
            Err(Broken) => Err(Error::BrokenBarrier),
        }
    }

    /// Goes: that breaks the barrier, unless all have met already, of which it is told.
    pub fn leave(mut self) -> Option<BarrierTurn> {
        self.give_up().then_some(BarrierTurn { index: self.index })
    }

    fn give_up(&mut self) -> bool {
        let words = &self.barrier.words;
        let is_ours = words.me().is_ok_and(|me| me == self.me);
        self.turn.take().is_some_and(|turn| is_ours && words.get().refuse(turn, Scope::Shared))
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Barrier");
        text.field("parties", &self.parties()).field("n_waiting", &self.n_waiting());
        text.field("is_broken", &self.is_broken()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::testing::{alone, in_child};
    use slipring_core::sync::barrier::MAX_PARTIES;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    fn is_broken(result: &Result<BarrierTurn>) -> bool {
        matches!(result, Err(Error::BrokenBarrier))
    }

    #[test]
    fn all_meet_again_and_again_and_each_has_its_own_index() {
        let segment = Segment::create().unwrap();
        let barrier = Barrier::new(&segment, 3).unwrap();
        for _ in 0..50 {
            let mut indices: Vec<_> = std::thread::scope(|s| {
                let parties: Vec<_> = (0..3).map(|_| s.spawn(|| barrier.wait())).collect();
                parties.into_iter().map(|p| p.join().unwrap().unwrap().index()).collect()
            });
            indices.sort_unstable();
            assert_eq!(indices, [0, 1, 2]);
        }
        assert_eq!((barrier.parties(), barrier.n_waiting()), (3, 0));
    }

    #[test]
    fn giving_up_breaks_it_until_it_is_reset() {
        let segment = Segment::create().unwrap();
        let barrier = Barrier::new(&segment, 2).unwrap();
        let gave_up = barrier.wait_until(Duration::from_millis(2));
        assert!(matches!(gave_up, Err(Error::TimedOut)) && barrier.is_broken());
        assert!(is_broken(&barrier.wait()));
        barrier.reset().unwrap();
        assert!(!barrier.is_broken());
        barrier.abort().unwrap();
        assert!(is_broken(&barrier.wait()));
    }

    #[test]
    fn those_who_wait_learn_of_an_abort() {
        let segment = Segment::create().unwrap();
        let barrier = Barrier::new(&segment, 2).unwrap();
        std::thread::scope(|s| {
            let waiting = s.spawn(|| barrier.wait());
            while barrier.n_waiting() == 0 {
                std::thread::yield_now();
            }
            barrier.abort().unwrap();
            assert!(is_broken(&waiting.join().unwrap()));
        });
    }

    #[test]
    fn a_process_that_was_at_it_and_died_breaks_it() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let barrier = Barrier::new(&segment, 2).unwrap();
            let short = Duration::from_millis(120);
            assert!(in_child(|| !barrier.is_broken()));
            assert!(matches!(barrier.wait_until(short), Err(Error::TimedOut)), "it was never here");
            barrier.reset().unwrap();
            assert!(in_child(|| {
                let gave_up = barrier.wait_until(Duration::from_millis(1));
                barrier.reset().unwrap();
                matches!(gave_up, Err(Error::TimedOut))
            }));
            assert!(is_broken(&barrier.wait()), "it was found dead while we waited");
            barrier.reset().unwrap();
            let late = barrier.wait_until(short);
            assert!(matches!(late, Err(Error::TimedOut)), "it dies once");
        });
    }

    #[test]
    fn who_has_come_may_look_again_and_again_and_breaks_it_by_leaving() {
        let segment = Segment::create().unwrap();
        let barrier = Barrier::new(&segment, 2).unwrap();
        let short = Duration::from_millis(2);
        let mut first = barrier.arrive_until(short).unwrap();
        for _ in 0..2 {
            assert!(matches!(first.wait_until(short), Err(Error::TimedOut)));
        }
        assert!((barrier.n_waiting(), barrier.is_broken(), first.is_last()) == (1, false, false));
        let mut last = barrier.arrive_until(short).unwrap();
        assert!(matches!(barrier.arrive_until(short), Err(Error::TimedOut)), "they are two");
        assert!(last.is_last() && last.wait_until(Until::NOW).unwrap().index() == 1);
        assert_eq!(first.leave().map(BarrierTurn::index), Some(0), "all had met");
        let left = barrier.arrive_until(short).unwrap();
        assert!(left.leave().is_none() && barrier.is_broken());
        assert!(matches!(barrier.arrive_until(short), Err(Error::BrokenBarrier)));
    }

    #[test]
    fn a_party_that_retired_may_end_without_breaking_it() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let barrier = Barrier::new(&segment, 1).unwrap();
            assert!(in_child(|| barrier.wait().is_ok() && barrier.retire().is_ok()));
            segment.reap();
            assert!(!barrier.is_broken());
            assert!(in_child(|| barrier.wait().is_ok()));
            segment.reap();
            assert!(barrier.is_broken());
        });
    }

    #[test]
    fn an_action_that_fails_or_panics_breaks_it() {
        let segment = Segment::create().unwrap();
        let barrier = Barrier::new(&segment, 1).unwrap();
        let failed = barrier.wait_with(Until::NEVER, || Err(Error::Closed));
        assert!(matches!(failed, Err(Error::Closed)) && barrier.is_broken());
        barrier.reset().unwrap();
        let wait = || barrier.wait_with(Until::NEVER, || panic!("by intent"));
        assert!(catch_unwind(AssertUnwindSafe(wait)).is_err() && barrier.is_broken());
        barrier.reset().unwrap();
        assert!(barrier.wait().unwrap().is_leader());
    }

    #[test]
    fn absurd_numbers_of_parties_are_refused() {
        let segment = Segment::create().unwrap();
        for parties in [0, MAX_PARTIES + 1] {
            let error = Barrier::new(&segment, parties).unwrap_err();
            assert!(matches!(error, Error::Capacity { min: 1, max: 65_535, .. }));
        }
    }
}
