//! The sending side of a queue between threads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use slipring_core::futex::Scope;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::chain::Bound;
use slipring_core::ring::mpmc::PushError;

use super::end::{End, Presence, check_open, damaged, sweep};
use super::rings::{unbox, word_of};
use crate::local::threads::Threads;
use crate::local::{SendError, SendResult};
use crate::wait::{Until, Wait};
use crate::{Error, Result};

/// Sends values to a queue between threads. Clone it for another thread.
///
/// ```
/// use std::time::Duration;
/// use slipring::Error;
/// use slipring::local::Queue;
///
/// let (mut sender, mut receiver) = Queue::bounded(3)?;
/// let mut letters = vec!["a", "b", "c", "d"];
/// let sent = sender.send_batch(&mut letters, Duration::from_millis(1))?;
/// assert_eq!((sent, sender.is_full(), letters), (3, true, vec!["d"]));
///
/// let mut other = sender.clone();
/// let thread = std::thread::spawn(move || other.send("d"));
/// assert_eq!(receiver.recv()?, "a");
/// thread.join().unwrap()?;
/// # Ok::<(), Error>(())
/// ```
pub struct Sender<T> {
    pub(super) end: End<T>,
}

impl<T: Send> Sender<T> {
    pub(super) fn new(end: End<T>) -> Self {
        Self { end }
    }

    /// Sends `value`, waiting for room for as long as it takes. What was sent is found by any receiver as soon as this
    /// returns.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Disconnected`] when the last receiver is gone, [`Error::NoSpace`]; with the value.
    #[inline]
    pub fn send(&mut self, value: T) -> SendResult<T> {
        self.send_until(value, Until::NEVER)
    }

    /// Sends `value` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when the queue is full, and as [`Sender::send`].
    #[inline]
    pub fn try_send(&mut self, value: T) -> SendResult<T> {
        self.send_until(value, Until::NOW)
    }

    /// Sends `value`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`Sender::send`].
    #[inline]
    pub fn send_until(&mut self, value: T, until: impl Into<Until>) -> SendResult<T> {
        self.put(value, until.into())?;
        self.announce(1);
        Ok(())
    }

    /// Sends several values from the front, and wakes receivers once for all of them. Returns how many were sent before
    /// the deadline: all, unless there was no room for the rest, which stays in `values`.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_until`], where not even the first was sent.
    pub fn send_batch(&mut self, values: &mut Vec<T>, until: impl Into<Until>) -> Result<usize> {
        let mut rest = VecDeque::from(std::mem::take(values));
        let sent = self.send_front(&mut rest, until.into());
        *values = rest.into();
        sent
    }

    fn send_front(&mut self, rest: &mut VecDeque<T>, until: Until) -> Result<usize> {
        let mut sent = 0;
        let failed = loop {
            let Some(value) = rest.pop_front() else { break None };
            // Before it waits for room, what is there already must be known.
            let put = match self.put(value, Until::NOW) {
                Err(SendError { value, error: Error::WouldBlock }) if !until.is_now() => {
                    self.announce(sent);
                    self.put(value, until)
                }
                put => put,
            };
            match put {
                Ok(()) => sent += 1,
                Err(SendError { value, error }) => {
                    rest.push_front(value);
                    break Some(error);
                }
            }
        };
        self.announce(sent);
        match failed {
            Some(error) if sent == 0 => Err(error),
            _ => Ok(sent),
        }
    }

    /// Another handle, for another thread.
    ///
    /// # Errors
    ///
    /// None so far: [`Clone`] is the same.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(self.clone())
    }

    fn announce(&self, sent: usize) {
        if sent > 0 {
            let sent = u32::try_from(sent).unwrap_or(u32::MAX);
            self.end.chain.not_empty.notify_after_rmw(sent, Scope::Private);
        }
    }

    /// Publishes `value`.
    #[inline]
    fn put(&mut self, value: T, until: Until) -> SendResult<T> {
        if let Err(error) = self.end.check_open() {
            return Err(SendError { value, error });
        }
        let word = word_of(value);
        let pushed = self.end.cursor.ring.push(word, |_| ());
        if let Err(error) = pushed {
            self.put_slow(word, error, until)?;
        }
        // "Put, or forsaken": the last receiver may have gone since we asked, and swept before our value came.
        if self.end.rings.is_forsaken() {
            sweep(&self.end.chain, &self.end.rings);
        }
        Ok(())
    }

    #[cold]
    fn put_slow(&mut self, word: u64, error: PushError, until: Until) -> SendResult<T> {
        self.keep_pushing(word, error, until).map_err(|error| {
            // SAFETY: made from a `T` in `put`, and in no ring, because no push succeeded.
            SendError { value: unsafe { unbox(word) }, error }
        })
    }

    /// Moves on to where there is room, makes some or waits for some. The word is in a ring exactly if this is `Ok`.
    fn keep_pushing(&mut self, word: u64, error: PushError, until: Until) -> Result<()> {
        let mut pushed = Err(error);
        loop {
            pushed = match (pushed, self.end.bound) {
                (Ok(_), _) => return Ok(()),
                (Err(PushError::Corrupt), _) => return Err(damaged()),
                (Err(PushError::Closed), _) => {
                    self.end.advance_tail()?;
                    self.end.cursor.ring.push(word, |_| ())
                }
                (Err(PushError::Full), Bound::Unbounded(first)) => {
                    self.end.grow(first)?;
                    self.end.cursor.ring.push(word, |_| ())
                }
                (Err(PushError::Full), Bound::Bounded(_)) if until.is_now() => {
                    return Err(Error::WouldBlock);
                }
                (Err(PushError::Full), Bound::Bounded(_)) => self.wait_for_room(word, until)?,
            }
        }
    }

    /// Tries again whenever a receiver has taken something.
    fn wait_for_room(
        &mut self,
        word: u64,
        until: Until,
    ) -> Result<std::result::Result<u64, PushError>> {
        let End { chain, presence, cursor, spin, .. } = &mut self.end;
        let mut wait = Wait::new(&Threads, Some(spin), until.deadline());
        chain.not_full.wait_until(&mut wait, FenceMode::Symmetric, |_| {
            if let Err(error) = check_open(chain, presence) {
                return Some(Err(error));
            }
            match cursor.ring.push(word, |_| ()) {
                Err(PushError::Full) => None,
                pushed => Some(Ok(pushed)),
            }
        })?
    }
}

impl<T> Sender<T> {
    /// How many values are in the queue: exact if nobody is at work meanwhile.
    pub fn len(&self) -> u64 {
        self.end.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a send would wait now.
    pub fn is_full(&self) -> bool {
        self.end.is_full()
    }

    /// The most values that the queue holds; `None` for an unbounded one.
    pub fn capacity(&self) -> Option<u64> {
        self.end.capacity()
    }

    /// Closes the queue for everybody: sends fail, receivers get what is there and then [`Error::Closed`]. A send that
    /// is under way in another thread may still succeed, and go unread.
    pub fn close(&self) {
        self.end.close();
    }

    pub(in crate::local) fn presence(&self) -> &Arc<Presence> {
        &self.end.presence
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { end: self.end.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).finish_non_exhaustive()
    }
}
