//! Permits to be taken and given back.

use std::fmt;

use slipring_core::futex::Scope;
use slipring_core::primitive::{AtomicU32, Ordering};
use slipring_core::sync;
use slipring_core::sync::semaphore::MAX_PERMITS;

use super::words::Words;
use crate::object::{Handle, Kind};
use crate::until::Until;
use crate::{Error, Result, Segment};

/// The body of a semaphore of either kind.
#[repr(C)]
struct Body {
    core: sync::Semaphore,
    /// Whether it is a [`BoundedSemaphore`]. Written once, before the semaphore is known.
    bounded: AtomicU32,
}

/// What both kinds do.
#[derive(Clone)]
struct Permits {
    words: Words<Body>,
}

impl Permits {
    fn create(
        segment: &Segment,
        core: std::result::Result<sync::Semaphore, sync::OverLimit>,
        permits: u32,
        bounded: bool,
    ) -> Result<Self> {
        let core = core.map_err(|sync::OverLimit { max }| Error::Capacity {
            what: "a semaphore's number of permits",
            wanted: permits.into(),
            min: 0,
            max: max.into(),
        })?;
        let body = Body { core, bounded: AtomicU32::new(bounded.into()) };
        Ok(Self { words: Words::create(segment, Kind::Semaphore, body)? })
    }

    fn from_handle(handle: Handle, bounded: bool) -> Result<Self> {
        let words = Words::<Body>::from_handle(handle)?;
        // ORDERING: Relaxed; written before the semaphore was known.
        let found = words.get().bounded.load(Ordering::Relaxed) != 0;
        let name = |bounded| if bounded { "bounded semaphore" } else { "semaphore" };
        if found != bounded {
            return Err(Error::WrongKind { wanted: name(bounded), found: name(found) });
        }
        Ok(Self { words })
    }

    #[inline]
    fn acquire(&self, until: impl Into<Until>) -> Result<()> {
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

    #[inline]
    fn release(&self, permits: u32) -> Result<()> {
        self.words.me()?;
        let released = self.core().release(permits, Scope::Shared);
        released.map_err(|sync::OverLimit { max }| Error::OverLimit { limit: max.into() })
    }

    #[inline]
    fn core(&self) -> &sync::Semaphore {
        &self.words.get().core
    }
}

/// A number of permits: taken one by one, given back by anybody.
///
/// Taking and giving back enters the kernel only where somebody sleeps. Not fair: a newcomer may pass a sleeper.
/// Permits belong to nobody, so those that a dead process had taken are gone.
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
pub struct Semaphore(Permits);

/// A semaphore that never has more permits than it began with: giving back what was not taken is an error.
///
/// Otherwise as [`Semaphore`].
///
/// # Examples
///
/// ```
/// use slipring::{BoundedSemaphore, Error, Segment};
///
/// let segment = Segment::create()?;
/// let seats = BoundedSemaphore::new(&segment, 2)?;
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
    /// [`Error::Capacity`], no memory.
    pub fn new(segment: &Segment, permits: u32) -> Result<Self> {
        Permits::create(segment, sync::Semaphore::new(permits), permits, false).map(Self)
    }

    /// The semaphore that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Permits::from_handle(handle, false).map(Self)
    }

    /// Takes a permit, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], [`Error::Forked`].
    #[inline]
    pub fn acquire(&self) -> Result<()> {
        self.0.acquire(Until::NEVER)
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if there is none, [`Error::Forked`].
    #[inline]
    pub fn try_acquire(&self) -> Result<()> {
        self.0.acquire(Until::NOW)
    }

    /// Takes a permit, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`Semaphore::acquire`].
    #[inline]
    pub fn acquire_until(&self, until: impl Into<Until>) -> Result<()> {
        self.0.acquire(until)
    }

    /// Gives `permits` back, or makes them: anybody may.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] if there would be more than 2^31 - 1; nothing changed then. [`Error::Forked`].
    #[inline]
    pub fn release(&self, permits: u32) -> Result<()> {
        self.0.release(permits)
    }

    /// Permits to be had. A glance: it may be old when it returns.
    pub fn value(&self) -> u32 {
        self.0.core().value()
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.words.handle()
    }
}

impl BoundedSemaphore {
    /// Makes a semaphore with `permits` to be had, at most 2^31 - 1, and never more than that.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`], no memory.
    pub fn new(segment: &Segment, permits: u32) -> Result<Self> {
        let core = sync::Semaphore::bounded(permits.min(MAX_PERMITS), permits);
        Permits::create(segment, core, permits, true).map(Self)
    }

    /// The semaphore that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Permits::from_handle(handle, true).map(Self)
    }

    /// Takes a permit, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], [`Error::Forked`].
    #[inline]
    pub fn acquire(&self) -> Result<()> {
        self.0.acquire(Until::NEVER)
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if there is none, [`Error::Forked`].
    #[inline]
    pub fn try_acquire(&self) -> Result<()> {
        self.0.acquire(Until::NOW)
    }

    /// Takes a permit, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`BoundedSemaphore::acquire`].
    #[inline]
    pub fn acquire_until(&self, until: impl Into<Until>) -> Result<()> {
        self.0.acquire(until)
    }

    /// Gives `permits` back, all or none.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] if there would be more than at the beginning; nothing changed then. [`Error::Forked`].
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

    pub(crate) fn handle(&self) -> &Handle {
        self.0.words.handle()
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
    use crate::object::Role;
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
    fn a_release_over_the_limit_changes_nothing() {
        let segment = Segment::create().unwrap();
        let bounded = BoundedSemaphore::new(&segment, 3).unwrap();
        bounded.acquire().unwrap();
        assert!(matches!(bounded.release(2), Err(Error::OverLimit { limit: 3 })));
        assert_eq!((bounded.value(), bounded.limit()), (2, 3));
        bounded.release(1).unwrap();
        assert!(bounded.acquire_until(Duration::ZERO).is_ok(), "there is one");
        let free = Semaphore::new(&segment, MAX_PERMITS).unwrap();
        assert!(matches!(free.release(1), Err(Error::OverLimit { limit: 0x7FFF_FFFF })));
    }

    #[test]
    fn absurd_numbers_are_refused() {
        let segment = Segment::create().unwrap();
        let (max, wanted) = (u64::from(MAX_PERMITS), 1 << 31);
        for error in [
            Semaphore::new(&segment, 1 << 31).unwrap_err(),
            BoundedSemaphore::new(&segment, 1 << 31).unwrap_err(),
        ] {
            assert!(matches!(&error, Error::Capacity { wanted: w, max: m, .. }
                if (*w, *m) == (wanted, max)));
        }
    }

    #[test]
    fn the_two_kinds_are_not_mixed_up() {
        let segment = Segment::create().unwrap();
        let free = Semaphore::new(&segment, 1).unwrap();
        let bounded = BoundedSemaphore::new(&segment, 1).unwrap();
        let open = |of: &Handle| {
            Handle::adopt(of.attachment(), of.id(), Kind::Semaphore, Role::First).unwrap()
        };
        assert!(Semaphore::from_handle(open(free.handle())).is_ok());
        assert!(BoundedSemaphore::from_handle(open(bounded.handle())).is_ok());
        let wrong = Semaphore::from_handle(open(bounded.handle())).unwrap_err();
        assert!(matches!(wrong, Error::WrongKind { found: "bounded semaphore", .. }));
        let wrong = BoundedSemaphore::from_handle(open(free.handle())).unwrap_err();
        assert!(matches!(wrong, Error::WrongKind { found: "semaphore", .. }));
    }
}
