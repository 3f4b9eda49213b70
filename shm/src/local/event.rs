//! A flag that threads wait for.

use std::fmt;

use slipring_core::futex::Scope;
use slipring_core::sync;

use super::words::Words;
use crate::wait::Until;
use crate::{Error, Result};

/// A flag that any thread sets, clears and waits for: [`crate::Event`] without a segment.
///
/// Setting wakes everybody who waits. Who waited when it was set returns even if it was cleared again before it ran; so
/// when a wait returns, the flag may be clear. What was written before it was set is visible after the wait. A clone is
/// another handle of the same event.
///
/// # Examples
///
/// ```
/// use slipring::local::Event;
///
/// let ready = Event::new();
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
    pub fn new() -> Self {
        Self { words: Words::new(sync::Event::new(false)) }
    }

    /// Sets it and wakes everybody who waits. Returns whether it was clear.
    ///
    /// # Errors
    ///
    /// None so far.
    #[inline]
    pub fn set(&self) -> Result<bool> {
        Ok(self.words.get().set(Scope::Private))
    }

    /// Clears it. Returns whether it was set.
    ///
    /// # Errors
    ///
    /// None so far.
    #[inline]
    pub fn clear(&self) -> Result<bool> {
        Ok(self.words.get().clear())
    }

    /// Whether it is set. A glance: it may be old when it returns.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.words.get().is_set()
    }

    /// Waits until it is set, or was set since the call began.
    ///
    /// # Errors
    ///
    /// None so far.
    #[inline]
    pub fn wait(&self) -> Result<()> {
        self.wait_until(Until::NEVER)
    }

    /// Waits until it is set, or was set since the call began, or a deadline has passed.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]. With [`Until::NOW`] it is [`Error::WouldBlock`].
    #[inline]
    pub fn wait_until(&self, until: impl Into<Until>) -> Result<()> {
        if self.is_set() { Ok(()) } else { self.wait_slow(until.into()) }
    }

    #[cold]
    fn wait_slow(&self, until: Until) -> Result<()> {
        if until.is_now() {
            return Err(Error::WouldBlock);
        }
        self.words.wait(until, |wait| self.words.get().wait(wait)).map_err(Error::from)
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
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
    use std::time::Duration;

    #[test]
    fn setting_and_clearing_tell_what_they_changed() {
        let event = Event::default();
        assert!(!event.is_set() && !event.clear().unwrap());
        assert!(matches!(event.wait_until(Until::NOW), Err(Error::WouldBlock)));
        assert!(matches!(event.wait_until(Duration::from_millis(2)), Err(Error::TimedOut)));
        assert!(event.set().unwrap() && !event.set().unwrap());
        event.wait_until(Until::NOW).unwrap();
        assert!(event.clear().unwrap());
    }

    #[test]
    fn two_threads_hand_a_turn_to_and_fro() {
        let (ping, pong) = (Event::new(), Event::new());
        std::thread::scope(|s| {
            s.spawn(|| {
                for _ in 0..5_000 {
                    ping.wait().unwrap();
                    assert!(ping.clear().unwrap());
                    assert!(pong.set().unwrap());
                }
            });
            for _ in 0..5_000 {
                assert!(ping.set().unwrap());
                pong.wait().unwrap();
                assert!(pong.clear().unwrap());
            }
        });
        assert!(!ping.is_set() && !pong.is_set());
    }

    #[test]
    fn all_who_wait_return_when_it_is_set() {
        let event = Event::new();
        let waiting: Vec<_> = (0..4).map(|_| event.clone()).collect();
        let waiting: Vec<_> =
            waiting.into_iter().map(|e| std::thread::spawn(move || e.wait())).collect();
        event.set().unwrap();
        assert!(waiting.into_iter().all(|w| w.join().unwrap().is_ok()));
    }
}
