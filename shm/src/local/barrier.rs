//! A place where a fixed number of threads meet.

use std::fmt;

use slipring_core::futex::Scope;
use slipring_core::sync;

use super::words::Words;
use crate::Result;
use crate::sync::BarrierTurn;
use crate::sync::meet::{for_parties, meet};
use crate::wait::Until;

/// A place where a fixed number of threads meet: all wait until the last has come, again and again. [`crate::Barrier`]
/// without a segment.
///
/// A party that gives up breaks the barrier for all: those who wait and those who come get
/// [`Error::BrokenBarrier`](crate::Error::BrokenBarrier), until somebody resets it. A party that never comes, because
/// its thread has ended, is waited for: give the wait a deadline where that can happen. A clone is another handle of the
/// same barrier.
///
/// # Examples
///
/// ```
/// use slipring::local::Barrier;
///
/// let barrier = Barrier::new(2)?;
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

impl Barrier {
    /// Makes a barrier for `parties` to meet at, 1 to 65 535.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`](crate::Error::Capacity).
    pub fn new(parties: u32) -> Result<Self> {
        Ok(Self { words: Words::new(for_parties(parties)?) })
    }

    /// Comes, and waits for the others for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::BrokenBarrier`](crate::Error::BrokenBarrier) if the barrier is broken, or was broken or reset meanwhile.
    pub fn wait(&self) -> Result<BarrierTurn> {
        self.wait_until(Until::NEVER)
    }

    /// Comes, and waits for the others until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut): the barrier is broken now. And as [`Barrier::wait`].
    pub fn wait_until(&self, until: impl Into<Until>) -> Result<BarrierTurn> {
        self.wait_with(until, || Ok(()))
    }

    /// As [`Barrier::wait_until`]; the last one to come runs `action` before anybody goes on.
    ///
    /// # Errors
    ///
    /// That of the action, for the one that ran it: the barrier is broken then, as it is when the action panics. And as
    /// [`Barrier::wait_until`].
    pub fn wait_with(
        &self,
        until: impl Into<Until>,
        action: impl FnOnce() -> Result<()>,
    ) -> Result<BarrierTurn> {
        self.words.wait(until.into(), |wait| meet(self.words.get(), wait, action))
    }

    /// Breaks the barrier: all who wait and all who come get
    /// [`Error::BrokenBarrier`](crate::Error::BrokenBarrier), until it is reset.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn abort(&self) -> Result<()> {
        self.words.get().abort(Scope::Private);
        Ok(())
    }

    /// Makes a broken barrier whole again. Those who wait at it get
    /// [`Error::BrokenBarrier`](crate::Error::BrokenBarrier).
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn reset(&self) -> Result<()> {
        self.words.get().reset(Scope::Private);
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
    use crate::Error;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    fn is_broken(result: &Result<BarrierTurn>) -> bool {
        matches!(result, Err(Error::BrokenBarrier))
    }

    #[test]
    fn all_meet_again_and_again_and_each_has_its_own_index() {
        let barrier = Barrier::new(3).unwrap();
        let meet = || (0..500).map(|_| barrier.wait().unwrap().index()).collect::<Vec<_>>();
        let turns: Vec<_> = std::thread::scope(|s| {
            let parties: Vec<_> = (0..3).map(|_| s.spawn(meet)).collect();
            parties.into_iter().map(|p| p.join().unwrap()).collect()
        });
        for meeting in 0..500 {
            let mut indices: Vec<_> = turns.iter().map(|t| t[meeting]).collect();
            indices.sort_unstable();
            assert_eq!(indices, [0, 1, 2]);
        }
        assert_eq!((barrier.parties(), barrier.n_waiting()), (3, 0));
    }

    #[test]
    fn giving_up_or_an_abort_breaks_it_until_it_is_reset() {
        let barrier = Barrier::new(2).unwrap();
        let gave_up = barrier.wait_until(Duration::from_millis(2));
        assert!(matches!(gave_up, Err(Error::TimedOut)) && barrier.is_broken());
        assert!(is_broken(&barrier.wait()));
        barrier.reset().unwrap();
        assert!(!barrier.is_broken());
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
    fn an_action_that_fails_or_panics_breaks_it() {
        let barrier = Barrier::new(1).unwrap();
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
        for parties in [0, 65_536] {
            let error = Barrier::new(parties).unwrap_err();
            assert!(matches!(error, Error::Capacity { min: 1, max: 65_535, .. }));
        }
    }
}
