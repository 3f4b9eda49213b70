//! Permits that belong to the process that acquired them, and come back when it dies.

use std::collections::HashMap;
use std::fmt;

use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, Ordering};
use slipring_core::sync::{MAX_OWNED_PERMITS, OverLimit, Permits, PermitsHead};

use super::words::Words;
use crate::member::{Attachment, Handle};
use crate::memory::Regions;
use crate::object::{self, Kind};
use crate::wait::Until;
use crate::{Error, Result, Segment};

/// A semaphore that never has more permits than it began with, and knows which process holds which: those of a process
/// that dies come back.
///
/// Taking and giving back enters the kernel only where somebody sleeps. Not fair: a newcomer may pass a sleeper. Nothing
/// here is a lock: a process that is stopped holds up nobody, but for the permits that it holds.
///
/// # Which of the two
///
/// Here a permit is a *place*: whoever acquires it keeps it for a while and gives it back. It belongs to the process (not
/// the thread) that acquired it, so a death gives it back, exactly, to whoever waits, within a blocked call's 50 ms.
/// Where one process releases what another acquires, a permit is a count or a signal, and nobody's: that is a
/// [`Semaphore`](super::Semaphore), which gives nothing back.
///
/// A process that releases without having acquired gives back what it finds: another's permit. The count is right then;
/// but the one whose permit it was holds none any more, and its death gives none back. So it is after a fork: the child
/// holds none of the permits that its parent has, and if it releases one, that is its parent's.
///
/// # Examples
///
/// ```
/// use slipring::{BoundedSemaphore, Error, Segment};
///
/// let segment = Segment::create()?;
/// let seats = BoundedSemaphore::new(&segment, 2)?;
/// seats.acquire()?;
/// assert_eq!(seats.holders(), [(std::process::id(), 1)]);
/// seats.release(1)?;
/// assert!(matches!(seats.release(1), Err(Error::OverLimit { limit: 2 })));
/// # Ok::<(), Error>(())
/// ```
pub struct BoundedSemaphore {
    words: Words<PermitsHead>,
    /// How many permits there are: private, once it was checked.
    limit: u32,
    /// The permit that was taken or given back last: where the next one is looked for first. Private memory.
    near: AtomicU32,
}

impl BoundedSemaphore {
    /// Makes a semaphore with `permits` to be had, at most 65 536, and never more than that. Each costs 8 bytes, and to
    /// find the last of many free ones takes up to as many looks.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`], no memory.
    pub fn new(segment: &Segment, permits: u32) -> Result<Self> {
        if permits > MAX_OWNED_PERMITS {
            return Err(Error::Capacity {
                what: "a bounded semaphore's number of permits",
                wanted: permits.into(),
                min: 0,
                max: MAX_OWNED_PERMITS.into(),
            });
        }
        let len = Permits::bytes(permits) as u64;
        let words = Words::create_with(segment, Kind::BoundedSemaphore, len, |at| {
            // SAFETY: committed memory of that length, aligned to 128, that nobody else knows of.
            unsafe { Permits::init(at, permits) };
        })?;
        Self::from_words(words)
    }

    /// The semaphore that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Self::from_words(Words::from_handle(handle)?)
    }

    fn from_words(words: Words<PermitsHead>) -> Result<Self> {
        let corrupt = Error::Corrupt { what: "a bounded semaphore has more permits than room" };
        let handle = words.handle();
        let ((at, len), attachment) = (handle.body(), handle.attachment());
        if !attachment.arena_is_committed(handle.body_offset(), len) {
            return Err(corrupt);
        }
        // SAFETY: aligned to 128, committed, and mapped as long as the handle; peers touch words in it.
        let Ok(limit) = (unsafe { Permits::attach(at, len as usize) }) else { return Err(corrupt) };
        let near = AtomicU32::new(first_look(attachment, limit));
        Ok(Self { words, limit, near })
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

    /// Takes a permit if there is one: also a dead process's.
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
    /// [`Error::TimedOut`], and as [`BoundedSemaphore::acquire`].
    #[inline]
    pub fn acquire_until(&self, until: impl Into<Until>) -> Result<()> {
        let me = self.words.me()?;
        if self.core().try_acquire_fast(me, self.near()) {
            crash_point!("sync.bounded_semaphore.held");
            return Ok(());
        }
        self.acquire_slow(me, until.into())
    }

    #[cold]
    fn acquire_slow(&self, me: OwnerId, until: Until) -> Result<()> {
        let near = self.near();
        let taken = if until.is_now() {
            let attachment = self.words.handle().attachment();
            let dead = |owner| attachment.is_dead(owner);
            self.core().try_acquire(me, near, dead).ok_or(Error::WouldBlock)?
        } else {
            self.words.wait(until, |wait| self.core().acquire(me, near, wait))?
        };
        self.come_near(taken);
        Ok(())
    }

    /// Gives `permits` back: this process's, and those of others where it has none.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] if fewer are taken; nothing changed then, unless others gave back too much at the same time,
    /// who can come in between. [`Error::Forked`].
    #[inline]
    pub fn release(&self, permits: u32) -> Result<()> {
        let me = self.words.me()?;
        if permits != 1 && self.limit - self.value() < permits {
            return Err(self.over());
        }
        for _ in 0..permits {
            let given = self.core().release(me, self.near(), Scope::Shared);
            self.come_near(given.map_err(|OverLimit { .. }| self.over())?);
        }
        Ok(())
    }

    #[cold]
    fn over(&self) -> Error {
        Error::OverLimit { limit: self.limit.into() }
    }

    /// Permits to be had. A glance: it may be old when it returns.
    pub fn value(&self) -> u32 {
        self.core().value()
    }

    /// How many of them this process holds. A glance, where other threads of it take and give back.
    pub fn held_here(&self) -> u32 {
        let Ok(me) = self.words.me() else { return 0 };
        self.core().owners().filter(|owner| *owner == me).count() as u32
    }

    /// The most permits at a time.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Who holds permits, and how many: process ids, each in its own pid namespace, in order. A glance, for people who
    /// look. Dead ones are there until somebody wants a permit, or cleans up after them.
    pub fn holders(&self) -> Vec<(u32, u32)> {
        let attachment = self.words.handle().attachment();
        let mut counts = HashMap::new();
        self.core().owners().for_each(|owner| *counts.entry(owner).or_insert(0) += 1);
        let pid = |owner: OwnerId| {
            let record = attachment.record(owner.index()).filter(|record| record.is(owner))?;
            Some(record.identity().pid)
        };
        let mut holders: Vec<_> =
            counts.into_iter().filter_map(|(owner, count)| Some((pid(owner)?, count))).collect();
        holders.sort_unstable();
        holders
    }

    /// Has the permits that this process holds, of all bounded semaphores in `segment`, be nobody's: when it ends they stay
    /// held, until another process releases them. Returns how many that were.
    ///
    /// It is for a process that ends in good order, and whose permits mean that something is there to be worked on. Those of one
    /// that is killed before it has said this come back.
    ///
    /// ```
    /// use slipring::{BoundedSemaphore, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let places = BoundedSemaphore::new(&segment, 2)?;
    /// places.acquire()?;
    /// assert_eq!(BoundedSemaphore::leave_all(&segment)?, 1);
    /// assert_eq!((places.value(), places.held_here()), (1, 0));
    /// places.release(1)?;
    /// assert_eq!(places.value(), 2);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn leave_all(segment: &Segment) -> Result<u32> {
        let attachment = segment.attachment();
        let me = attachment.me()?;
        let all = attachment.directory.objects();
        let all = all.filter(|place| Kind::from_word(place.kind) == Some(Kind::BoundedSemaphore));
        let permits = all.filter_map(|place| permits_at(attachment, place));
        Ok(permits.map(|permits| permits.leave(me)).sum())
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }

    #[inline]
    pub(super) fn core(&self) -> &Permits {
        // SAFETY: `limit` is what was found there, see `from_words`; mapped as long as the handle lives.
        unsafe { Permits::at(self.words.handle().body().0, self.limit) }
    }

    #[inline]
    fn near(&self) -> u32 {
        // ORDERING: Relaxed; where a search begins.
        self.near.load(Ordering::Relaxed)
    }

    #[inline]
    fn come_near(&self, index: u32) {
        if index != self.near() {
            // ORDERING: Relaxed; where a search begins.
            self.near.store(index, Ordering::Relaxed);
        }
    }
}

/// Where a new handle looks first: processes begin in cache lines of their own, where there are so many.
fn first_look(attachment: &Attachment, limit: u32) -> u32 {
    const A_LINE: u32 = (64 / size_of::<u64>()) as u32;
    attachment.me().map_or(0, |me| me.index() * A_LINE % limit.max(1))
}

/// The permits of the semaphore that lies at `place`, if there can be any.
pub(super) fn permits_at(regions: &Regions, place: Place) -> Option<&Permits> {
    let body = object::body_at(regions, place)?;
    // SAFETY: in bounds, committed, aligned to 128 as bodies are; peers touch words in it.
    let limit = unsafe { Permits::attach(body.at, body.len as usize) }.ok()?;
    // SAFETY: found there just now; the mapping lives as long as the regions.
    Some(unsafe { Permits::at(body.at, limit) })
}

impl Clone for BoundedSemaphore {
    fn clone(&self) -> Self {
        let near = AtomicU32::new(self.near());
        Self { words: self.words.clone(), limit: self.limit, near }
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
    use crate::sync::testing::{alone, in_child, somebody_dead};
    use std::time::{Duration, Instant};

    #[test]
    fn permits_are_taken_and_waited_for_and_never_more_than_the_limit() {
        let segment = Segment::create().unwrap();
        let bounded = BoundedSemaphore::new(&segment, 3).unwrap();
        (0..3).for_each(|_| bounded.acquire().unwrap());
        assert!(matches!(bounded.try_acquire(), Err(Error::WouldBlock)));
        let short = Duration::from_millis(2);
        assert!(matches!(bounded.acquire_until(short), Err(Error::TimedOut)));
        let other = bounded.clone();
        let waiting = std::thread::spawn(move || other.acquire());
        bounded.release(1).unwrap();
        waiting.join().unwrap().unwrap();
        assert_eq!((bounded.holders(), bounded.held_here()), (vec![(std::process::id(), 3)], 3));
        bounded.release(2).unwrap();
        assert!(matches!(bounded.release(2), Err(Error::OverLimit { limit: 3 })));
        assert!(matches!(bounded.release(u32::MAX), Err(Error::OverLimit { limit: 3 })));
        assert_eq!((bounded.value(), bounded.limit()), (2, 3));
        bounded.release(1).unwrap();
        bounded.release(0).unwrap();
        assert!(matches!(bounded.release(1), Err(Error::OverLimit { limit: 3 })));
    }

    #[test]
    fn the_most_permits_there_can_be_are_all_there_and_more_are_refused() {
        let segment = Segment::create().unwrap();
        let most = BoundedSemaphore::new(&segment, MAX_OWNED_PERMITS).unwrap();
        (0..MAX_OWNED_PERMITS).for_each(|_| most.try_acquire().unwrap());
        assert!(matches!(most.try_acquire(), Err(Error::WouldBlock)));
        most.release(MAX_OWNED_PERMITS).unwrap();
        assert_eq!(most.value(), MAX_OWNED_PERMITS);
        let error = BoundedSemaphore::new(&segment, MAX_OWNED_PERMITS + 1).unwrap_err();
        assert!(matches!(error, Error::Capacity { wanted: 65_537, max: 65_536, .. }));
        let none = BoundedSemaphore::new(&segment, 0).unwrap();
        assert!(matches!(none.try_acquire(), Err(Error::WouldBlock)));
        assert!(matches!(none.release(1), Err(Error::OverLimit { limit: 0 })));
    }

    #[test]
    fn a_dead_ones_permits_are_had_at_once_by_who_tries_and_soon_by_who_waits() {
        let segment = Segment::create().unwrap();
        let bounded = BoundedSemaphore::new(&segment, 3).unwrap();
        (0..3).for_each(|_| {
            assert!(bounded.core().try_acquire(somebody_dead(), 0, |_| false).is_some())
        });
        assert_eq!((bounded.value(), bounded.holders()), (0, vec![]));
        bounded.try_acquire().unwrap();
        bounded.acquire_until(Duration::from_secs(9)).unwrap();
        recover(&bounded);
        assert_eq!(bounded.value(), 1);
    }

    fn recover(bounded: &BoundedSemaphore) -> u32 {
        let permits = permits_at(bounded.handle().attachment(), place_of(bounded));
        permits.map_or(0, |permits| permits.recover(somebody_dead(), Scope::Shared))
    }

    fn place_of(bounded: &BoundedSemaphore) -> Place {
        bounded.handle().attachment().directory.find(bounded.handle().id()).unwrap()
    }

    #[test]
    fn a_process_that_ends_with_permits_gives_back_its_own_and_no_others() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let bounded = BoundedSemaphore::new(&segment, 4).unwrap();
            bounded.acquire().unwrap();
            assert!(in_child(|| {
                bounded.holders().len() == 1
                    && (0..3).all(|_| bounded.acquire().is_ok())
                    && bounded.holders().len() == 2
            }));
            assert_eq!(bounded.value(), 0);
            let start = Instant::now();
            bounded.acquire().unwrap();
            assert!(start.elapsed() < Duration::from_millis(200));
            segment.reap();
            assert_eq!((bounded.value(), bounded.holders()), (2, vec![(std::process::id(), 2)]));
        });
    }

    #[test]
    fn a_forked_child_that_releases_gives_back_its_parents() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let bounded = BoundedSemaphore::new(&segment, 1).unwrap();
            bounded.acquire().unwrap();
            assert!(in_child(|| bounded.release(1).is_ok()));
            assert!(bounded.try_acquire().is_ok(), "as the count says");
        });
    }

    #[test]
    fn a_number_of_permits_that_does_not_fit_its_object_is_an_error() {
        let segment = Segment::create().unwrap();
        let bounded = BoundedSemaphore::new(&segment, 2).unwrap();
        let (body, _) = bounded.handle().body();
        // SAFETY: the first word of the body, a number; nobody uses the semaphore meanwhile.
        unsafe { body.cast::<u32>().write(60_000) };
        let attachment = segment.attachment();
        let id = bounded.handle().id();
        let again = Handle::adopt(attachment, id, Kind::BoundedSemaphore, Role::First).unwrap();
        let error = BoundedSemaphore::from_handle(again).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }));
        assert!(permits_at(attachment, place_of(&bounded)).is_none());
        assert_eq!(bounded.value(), 2, "what was checked once counts");
    }
}
