//! Permits that belong to nobody: for counting and signalling.

use std::fmt;

use slipring_core::futex::Scope;
use slipring_core::sync::{self, OverLimit};

use super::words::Words;
use crate::member::Handle;
use crate::object::Kind;
use crate::wait::Until;
use crate::{Error, Result, Segment};

/// A number of permits: taken one by one, given back by anybody.
///
/// Taking and giving back enters the kernel only where somebody sleeps. Not fair: a newcomer may pass a sleeper.
///
/// # Which of the two
///
/// What is meant by a permit decides. Here it is a *count* or a *signal*: one process releases what another acquires, as
/// often as it likes, so a permit that was acquired is used up and is nobody's. A death changes nothing: what the dead
/// process had acquired is gone, and what it had released stays. Where a permit is a *place* that whoever acquires it
/// keeps for a while and gives back, use a [`BoundedSemaphore`](super::BoundedSemaphore): there it belongs to the process
/// that acquired it, and comes back when that one dies.
///
/// # Examples
///
/// ```
/// use slipring::{Error, Segment, Semaphore};
///
/// let segment = Segment::create()?;
/// let semaphore = Semaphore::new(&segment, 1)?;
/// semaphore.acquire()?;
/// assert!(matches!(semaphore.try_acquire(), Err(Error::WouldBlock)));
/// semaphore.release(2)?;
/// assert_eq!(semaphore.value(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Semaphore {
    words: Words<sync::Semaphore>,
}

impl Semaphore {
    /// Makes a semaphore with `permits` to be had, at most 2^31 - 1.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`], no memory.
    pub fn new(segment: &Segment, permits: u32) -> Result<Self> {
        let core = sync::Semaphore::new(permits).map_err(|OverLimit { max }| Error::Capacity {
            what: "a semaphore's number of permits",
            wanted: permits.into(),
            min: 0,
            max: max.into(),
        })?;
        Ok(Self { words: Words::create(segment, Kind::Semaphore, core)? })
    }

    /// The semaphore that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { words: Words::from_handle(handle)? })
    }

    /// Takes a permit, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], [`Error::Forked`].
    #[inline]
    pub fn acquire(&self) -> Result<()> {
        self.acquire_until(Until::NEVER)
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if there is none, [`Error::Forked`].
    #[inline]
    pub fn try_acquire(&self) -> Result<()> {
        self.acquire_until(Until::NOW)
    }

    /// Takes a permit, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`Semaphore::acquire`].
    #[inline]
    pub fn acquire_until(&self, until: impl Into<Until>) -> Result<()> {
        self.words.me()?;
        if self.core().try_acquire() { Ok(()) } else { self.acquire_slow(until.into()) }
    }

    #[cold]
    fn acquire_slow(&self, until: Until) -> Result<()> {
        if until.is_now() {
            return Err(Error::WouldBlock);
        }
        self.words.wait(until, |wait| self.core().acquire(wait)).map_err(Error::from)
    }

    /// Gives `permits` back, or makes them: anybody may.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] if there would be more than 2^31 - 1; nothing changed then. [`Error::Forked`].
    #[inline]
    pub fn release(&self, permits: u32) -> Result<()> {
        self.words.me()?;
        let released = self.core().release(permits, Scope::Shared);
        released.map_err(|OverLimit { max }| Error::OverLimit { limit: max.into() })
    }

    /// Permits to be had. A glance: it may be old when it returns.
    pub fn value(&self) -> u32 {
        self.core().value()
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }

    #[inline]
    pub(super) fn core(&self) -> &sync::Semaphore {
        self.words.get()
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("value", &self.value()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BoundedSemaphore;
    use crate::member::ticket::Transfer;
    use crate::sync::testing::{alone, in_child};
    use slipring_core::sync::semaphore::MAX_PERMITS;
    use std::time::Duration;

    #[test]
    fn permits_are_taken_one_by_one_and_waited_for() {
        let segment = Segment::create().unwrap();
        let semaphore = Semaphore::new(&segment, 2).unwrap();
        semaphore.acquire().unwrap();
        semaphore.try_acquire().unwrap();
        assert!(matches!(semaphore.try_acquire(), Err(Error::WouldBlock)));
        let short = Duration::from_millis(2);
        assert!(matches!(semaphore.acquire_until(short), Err(Error::TimedOut)));
        let other = semaphore.clone();
        let waiting = std::thread::spawn(move || other.acquire());
        semaphore.release(1).unwrap();
        waiting.join().unwrap().unwrap();
        assert_eq!(semaphore.value(), 0);
    }

    #[test]
    fn absurd_numbers_are_refused() {
        let segment = Segment::create().unwrap();
        let full = Semaphore::new(&segment, MAX_PERMITS).unwrap();
        assert!(matches!(full.release(1), Err(Error::OverLimit { limit: 0x7FFF_FFFF })));
        let error = Semaphore::new(&segment, 1 << 31).unwrap_err();
        assert!(matches!(error, Error::Capacity { wanted: 0x8000_0000, max: 0x7FFF_FFFF, .. }));
    }

    #[test]
    fn the_two_kinds_are_not_mixed_up() {
        let segment = Segment::create().unwrap();
        let free = Semaphore::new(&segment, 1).unwrap();
        let bounded = BoundedSemaphore::new(&segment, 1).unwrap();
        assert!(Semaphore::from_ticket(free.ticket().unwrap(), &segment).is_ok());
        let wrong = Semaphore::from_ticket(bounded.ticket().unwrap(), &segment).unwrap_err();
        assert!(matches!(wrong, Error::WrongKind { found: "bounded semaphore", .. }));
        let wrong = BoundedSemaphore::from_ticket(free.ticket().unwrap(), &segment).unwrap_err();
        assert!(matches!(wrong, Error::WrongKind { found: "semaphore", .. }));
    }

    #[test]
    fn the_death_of_who_acquired_gives_nothing_back_and_that_of_who_released_takes_nothing_away() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let semaphore = Semaphore::new(&segment, 2).unwrap();
            assert!(in_child(|| semaphore.acquire().is_ok() && semaphore.acquire().is_ok()));
            assert!(in_child(|| semaphore.release(3).is_ok()));
            assert_eq!((segment.reap(), semaphore.value()), (2, 3));
        });
    }
}
