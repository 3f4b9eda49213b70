//! Permits that threads take and give back.

use std::fmt;

use slipring_core::futex::Scope;
use slipring_core::sync;
use slipring_core::sync::semaphore::MAX_PERMITS;

use super::words::Words;
use crate::wait::Until;
use crate::{Error, Result};

/// What both kinds do.
#[derive(Clone)]
struct Permits {
    words: Words<sync::Semaphore>,
}

impl Permits {
    fn new(permits: u32, limit: u32) -> Result<Self> {
        let core = sync::Semaphore::bounded(permits, limit);
        let core = core.map_err(|sync::OverLimit { max }| Error::Capacity {
            what: "a semaphore's number of permits",
            wanted: permits.into(),
            min: 0,
            max: max.into(),
        })?;
        Ok(Self { words: Words::new(core) })
    }

    #[inline]
    fn acquire(&self, until: impl Into<Until>) -> Result<()> {
        if self.core().try_acquire() { Ok(()) } else { self.acquire_slow(until.into()) }
    }

    #[cold]
    fn acquire_slow(&self, until: Until) -> Result<()> {
        if until.is_now() {
            return Err(Error::WouldBlock);
        }
        self.words.wait(until, |wait| self.core().acquire(wait)).map_err(Error::from)
    }

    #[inline]
    fn release(&self, permits: u32) -> Result<()> {
        let released = self.core().release(permits, Scope::Private);
        released.map_err(|sync::OverLimit { max }| Error::OverLimit { limit: max.into() })
    }

    #[inline]
    fn core(&self) -> &sync::Semaphore {
        self.words.get()
    }
}

/// A number of permits: taken one by one, given back by anybody. [`crate::Semaphore`] without a segment.
///
/// Taking and giving back enters the kernel only where somebody sleeps. Not fair: a newcomer may pass a sleeper.
/// Permits belong to nobody. A clone is another handle of the same semaphore.
///
/// # Examples
///
/// ```
/// use slipring::Error;
/// use slipring::local::Semaphore;
///
/// let semaphore = Semaphore::new(1)?;
/// semaphore.acquire()?;
/// assert!(matches!(semaphore.try_acquire(), Err(Error::WouldBlock)));
/// semaphore.release(2)?;
/// assert_eq!(semaphore.value(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Semaphore(Permits);

/// A semaphore that never has more permits than it began with: giving back what was not taken is an error.
/// [`crate::BoundedSemaphore`] without a segment.
///
/// Otherwise as [`Semaphore`].
///
/// # Examples
///
/// ```
/// use slipring::Error;
/// use slipring::local::BoundedSemaphore;
///
/// let seats = BoundedSemaphore::new(2)?;
/// seats.acquire()?;
/// seats.release(1)?;
/// assert!(matches!(seats.release(1), Err(Error::OverLimit { limit: 2 })));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct BoundedSemaphore(Permits);

impl Semaphore {
    /// Makes a semaphore with `permits` to be had, at most 2^31 - 1.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`].
    pub fn new(permits: u32) -> Result<Self> {
        Permits::new(permits, MAX_PERMITS).map(Self)
    }

    /// Takes a permit, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// None so far.
    #[inline]
    pub fn acquire(&self) -> Result<()> {
        self.0.acquire(Until::NEVER)
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if there is none.
    #[inline]
    pub fn try_acquire(&self) -> Result<()> {
        self.0.acquire(Until::NOW)
    }

    /// Takes a permit, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`].
    #[inline]
    pub fn acquire_until(&self, until: impl Into<Until>) -> Result<()> {
        self.0.acquire(until)
    }

    /// Gives `permits` back, or makes them: anybody may.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] if there would be more than 2^31 - 1; nothing changed then.
    #[inline]
    pub fn release(&self, permits: u32) -> Result<()> {
        self.0.release(permits)
    }

    /// Permits to be had. A glance: it may be old when it returns.
    pub fn value(&self) -> u32 {
        self.0.core().value()
    }
}

impl BoundedSemaphore {
    /// Makes a semaphore with `permits` to be had, at most 2^31 - 1, and never more than that.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`].
    pub fn new(permits: u32) -> Result<Self> {
        Permits::new(permits, permits.min(MAX_PERMITS)).map(Self)
    }

    /// Takes a permit, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// None so far.
    #[inline]
    pub fn acquire(&self) -> Result<()> {
        self.0.acquire(Until::NEVER)
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if there is none.
    #[inline]
    pub fn try_acquire(&self) -> Result<()> {
        self.0.acquire(Until::NOW)
    }

    /// Takes a permit, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`].
    #[inline]
    pub fn acquire_until(&self, until: impl Into<Until>) -> Result<()> {
        self.0.acquire(until)
    }

    /// Gives `permits` back, all or none.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] if there would be more than at the beginning; nothing changed then.
    #[inline]
    pub fn release(&self, permits: u32) -> Result<()> {
        self.0.release(permits)
    }

    /// Permits to be had. A glance: it may be old when it returns.
    pub fn value(&self) -> u32 {
        self.0.core().value()
    }

    /// The most permits at a time.
    pub fn limit(&self) -> u32 {
        self.0.core().limit()
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("value", &self.value()).finish_non_exhaustive()
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, limit) = (self.value(), self.limit());
        let mut text = f.debug_struct("BoundedSemaphore");
        text.field("value", &value).field("limit", &limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn permits_are_taken_one_by_one_and_waited_for() {
        let semaphore = Semaphore::new(2).unwrap();
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
    fn under_load_no_permit_is_lost_or_made() {
        let seats = BoundedSemaphore::new(2).unwrap();
        std::thread::scope(|s| {
            for patience in [None, None, Some(Duration::from_micros(30)), None] {
                let seats = &seats;
                s.spawn(move || {
                    for _ in 0..3_000 {
                        while seats.acquire_until(patience).is_err() {}
                        assert!(seats.value() < 2);
                        seats.release(1).unwrap();
                    }
                });
            }
        });
        assert_eq!(seats.value(), 2);
    }

    #[test]
    fn a_release_over_the_limit_changes_nothing() {
        let bounded = BoundedSemaphore::new(3).unwrap();
        bounded.acquire().unwrap();
        assert!(matches!(bounded.release(2), Err(Error::OverLimit { limit: 3 })));
        assert_eq!((bounded.value(), bounded.limit()), (2, 3));
        let free = Semaphore::new(MAX_PERMITS).unwrap();
        assert!(matches!(free.release(1), Err(Error::OverLimit { limit: 0x7FFF_FFFF })));
    }

    #[test]
    fn absurd_numbers_are_refused() {
        let refused =
            |error| matches!(error, Error::Capacity { wanted: 0x8000_0000, max: 0x7FFF_FFFF, .. });
        assert!(refused(Semaphore::new(1 << 31).unwrap_err()));
        assert!(refused(BoundedSemaphore::new(1 << 31).unwrap_err()));
    }
}
