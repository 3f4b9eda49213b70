//! A flag to wait for.

use std::fmt;

use slipring_core::futex::Scope;
use slipring_core::sync;

/// What an event's word held once.
///
/// ```
/// use slipring::{Event, Moment, Segment};
///
/// let reload = Event::new(&Segment::create()?)?;
/// let mut seen: Moment = reload.moment();
/// // Another process sets the event, and clears it at once.
/// reload.set()?;
/// reload.clear()?;
/// assert!(!reload.is_set() && reload.was_set_since(seen));
/// seen = reload.moment();
/// assert!(!reload.was_set_since(seen));
/// # Ok::<(), slipring::Error>(())
/// ```
pub use slipring_core::sync::Moment;

use super::words::Words;
use crate::member::Handle;
use crate::object::Kind;
use crate::wait::Until;
use crate::{Error, Result, Segment};

/// A flag that anybody sets, clears and waits for.
///
/// Setting wakes everybody who waits. Who waited when it was set returns even if it was cleared again before it ran; so
/// when a wait returns, the flag may be clear. What was written to shared memory before it was set is visible after the
/// wait.
///
/// # Examples
///
/// ```
/// use slipring::{Event, Segment};
///
/// let segment = Segment::create()?;
/// let ready = Event::new(&segment)?;
/// let there = ready.clone();
/// let waiting = std::thread::spawn(move || there.wait());
/// ready.set()?;
/// waiting.join().unwrap()?;
/// assert!(ready.is_set());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone)]
pub struct Event {
    words: Words<sync::Event>,
}

impl Event {
    /// Makes an event that is not set.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn new(segment: &Segment) -> Result<Self> {
        Ok(Self { words: Words::create(segment, Kind::Event, sync::Event::new(false))? })
    }

    /// The event that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { words: Words::from_handle(handle)? })
    }

    /// Sets it and wakes everybody who waits. Returns whether it was clear.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    #[inline]
    pub fn set(&self) -> Result<bool> {
        self.words.me()?;
        Ok(self.words.get().set(Scope::Shared))
    }

    /// Clears it. Returns whether it was set.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    #[inline]
    pub fn clear(&self) -> Result<bool> {
        self.words.me()?;
        Ok(self.words.get().clear())
    }

    /// Whether it is set. A glance: it may be old when it returns.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.words.get().is_set()
    }

    /// A mark of this moment, for [`Event::was_set_since`].
    pub fn moment(&self) -> Moment {
        self.words.get().moment()
    }

    /// Whether it is set, or was set since that moment, until 2^30 sets later: for waits that are ended and gone on with.
    ///
    /// ```
    /// use slipring::{Event, Segment};
    ///
    /// let event = Event::new(&Segment::create()?)?;
    /// let came = event.moment();
    /// assert!(!event.was_set_since(came));
    /// event.set()?;
    /// event.clear()?;
    /// assert!(event.was_set_since(came));
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn was_set_since(&self, moment: Moment) -> bool {
        self.words.get().was_set_since(moment)
    }

    /// Waits until it is set, or was set since the call began.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], [`Error::Forked`].
    #[inline]
    pub fn wait(&self) -> Result<()> {
        self.wait_until(Until::NEVER)
    }

    /// Waits until it is set, or was set since the call began, or a deadline has passed.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`Event::wait`]. With [`Until::NOW`] it is [`Error::WouldBlock`].
    #[inline]
    pub fn wait_until(&self, until: impl Into<Until>) -> Result<()> {
        self.words.me()?;
        if self.is_set() { Ok(()) } else { self.wait_slow(until.into()) }
    }

    #[cold]
    fn wait_slow(&self, until: Until) -> Result<()> {
        if until.is_now() {
            return Err(Error::WouldBlock);
        }
        self.words.wait(until, |wait| self.words.get().wait(wait)).map_err(Error::from)
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }

    pub(crate) fn core(&self) -> &sync::Event {
        self.words.get()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::testing::{alone, in_child};
    use std::time::Duration;

    #[test]
    fn setting_and_clearing_say_what_they_changed() {
        let segment = Segment::create().unwrap();
        let event = Event::new(&segment).unwrap();
        assert!(!event.is_set() && !event.clear().unwrap());
        assert!(event.set().unwrap() && !event.set().unwrap());
        assert!(event.wait().is_ok() && event.wait_until(Until::NOW).is_ok());
        assert!(event.clear().unwrap() && !event.is_set());
    }

    #[test]
    fn a_wait_ends_with_its_deadline() {
        let segment = Segment::create().unwrap();
        let event = Event::new(&segment).unwrap();
        let short = Duration::from_millis(2);
        assert!(matches!(event.wait_until(short), Err(Error::TimedOut)));
        assert!(matches!(event.wait_until(Until::NOW), Err(Error::WouldBlock)));
    }

    #[test]
    fn everybody_who_waits_is_woken() {
        let segment = Segment::create().unwrap();
        let event = Event::new(&segment).unwrap();
        std::thread::scope(|s| {
            let waiting: Vec<_> = (0..3).map(|_| s.spawn(|| event.wait())).collect();
            std::thread::sleep(Duration::from_millis(5));
            event.set().unwrap();
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap().is_ok()));
        });
    }

    #[test]
    fn a_child_sets_what_its_parent_waits_for() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let event = Event::new(&segment).unwrap();
            assert!(in_child(|| event.set().is_ok()));
            assert!(event.is_set());
            let me = segment.attachment().me().unwrap();
            segment.attachment().set_me(None);
            assert!(matches!(event.wait(), Err(Error::Forked)));
            assert!(matches!(event.set(), Err(Error::Forked)));
            segment.attachment().set_me(Some(me));
        });
    }
}
