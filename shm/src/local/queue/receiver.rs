//! The receiving side of a queue between threads.

use std::fmt;
use std::sync::Arc;

use slipring_core::futex::Scope;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::chain::{Bound, Chain};
use slipring_core::ring::mpmc::PopError;

use super::end::{Cursor, End, Presence, Reading, check_open, damaged};
use super::rings::{Rings, unbox};
use crate::local::threads::Threads;
use crate::wait::{Stop, Until, Wait};
use crate::{Error, Result};

/// Receives values from a queue between threads. Clone it for another thread.
///
/// ```
/// use slipring::local::Queue;
/// use slipring::{Error, Until};
///
/// let (mut sender, mut receiver) = Queue::unbounded()?;
/// sender.send_batch(&mut vec!["a", "b", "c"], Until::NEVER)?;
/// drop(sender);
///
/// assert_eq!(receiver.recv()?, "a");
/// assert_eq!(receiver.recv_batch(9, Until::NEVER)?, ["b", "c"]);
/// assert!(matches!(receiver.try_recv(), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
pub struct Receiver<T> {
    /// Goes first: senders are told before destructors of unread values run.
    pub(super) end: End<T>,
    reading: Arc<Reading<T>>,
}

impl<T: Send> Receiver<T> {
    pub(super) fn new(end: End<T>) -> Self {
        Self { reading: Arc::new(Reading::new(&end)), end }
    }

    /// The oldest value, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when the last sender is gone and everything was taken, [`Error::Closed`] likewise.
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        self.recv_until(Until::NEVER)
    }

    /// The oldest value, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when the queue is empty, and as [`Receiver::recv`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<T> {
        self.recv_until(Until::NOW)
    }

    /// The oldest value, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    #[inline]
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<T> {
        let value = self.take(until.into())?;
        self.announce(1);
        Ok(value)
    }

    /// Takes up to `max` values, waiting for the first one only, and wakes senders once for all of them.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_until`], where there was not even one.
    pub fn recv_batch(&mut self, max: usize, until: impl Into<Until>) -> Result<Vec<T>> {
        let (mut values, mut until) = (Vec::new(), until.into());
        while values.len() < max {
            match self.take(until) {
                Ok(value) => values.push(value),
                Err(error) if values.is_empty() => return Err(error),
                Err(_) => break,
            }
            until = Until::NOW;
        }
        self.announce(values.len());
        Ok(values)
    }

    /// Waits until a receive would not wait: a value is there, or there will be none. `false` when the deadline passed.
    /// For bounded queues, whose one ring the cursor is at.
    pub(in crate::local) fn poll(&mut self, until: Until) -> Result<bool> {
        let End { chain, presence, cursor, spin, .. } = &mut self.end;
        let ready = || !cursor.ring.is_empty() || check_open(chain, presence).is_err();
        if ready() {
            return Ok(true);
        }
        if until.is_now() {
            return Ok(false);
        }
        let mut wait = Wait::new(&Threads, Some(spin), until.deadline());
        let news = &chain.not_empty;
        let waited = news.wait_until(&mut wait, FenceMode::Symmetric, |_| ready().then_some(()));
        // What woke us was meant for one who takes the value: another handle of this end may sleep.
        news.notify(1, Scope::Private, FenceMode::Symmetric);
        match waited {
            Ok(()) => Ok(true),
            Err(Stop::TimedOut) => Ok(false),
            Err(stop) => Err(stop.into()),
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

    #[inline]
    fn announce(&self, taken: usize) {
        if taken > 0 && matches!(self.end.bound, Bound::Bounded(_)) {
            let taken = u32::try_from(taken).unwrap_or(u32::MAX);
            self.end.chain.not_full.notify_after_rmw(taken, Scope::Private);
        }
    }

    /// Takes the oldest value.
    #[inline]
    fn take(&mut self, until: Until) -> Result<T> {
        let End { chain, rings, cursor, .. } = &mut self.end;
        match try_take(chain, rings, cursor)? {
            Some(value) => Ok(value),
            None => self.take_slow(until),
        }
    }

    #[cold]
    fn take_slow(&mut self, until: Until) -> Result<T> {
        let End { chain, rings, presence, cursor, spin, .. } = &mut self.end;
        let mut take_or_end = || {
            let open = check_open(chain, presence);
            // Only now: what was sent before the last sender went is there to be taken.
            match try_take(chain, rings, cursor)? {
                Some(value) => Ok(Some(value)),
                None => open.map(|()| None),
            }
        };
        if until.is_now() {
            return take_or_end()?.ok_or(Error::WouldBlock);
        }
        let mut wait = Wait::new(&Threads, Some(spin), until.deadline());
        let news = &chain.not_empty;
        news.wait_until(&mut wait, FenceMode::Symmetric, |_| take_or_end().transpose())?
    }
}

/// The oldest value, if there is one.
#[inline]
fn try_take<T>(chain: &Chain, rings: &Rings<T>, cursor: &mut Cursor) -> Result<Option<T>> {
    loop {
        match cursor.ring.pop(|_, _| ()) {
            // SAFETY: a word of this queue, into which senders put `T`s only; the ring gives each to one receiver.
            Ok((_, word)) => return Ok(Some(unsafe { unbox(word) })),
            Err(PopError::Empty) => return Ok(None),
            Err(PopError::Drained) => cursor.advance_head(chain, rings)?,
            Err(PopError::Corrupt) => return Err(damaged()),
        }
    }
}

impl<T> Receiver<T> {
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

    /// Closes the queue for everybody, as [`Sender::close`](super::Sender::close).
    pub fn close(&self) {
        self.end.close();
    }

    pub(in crate::local) fn presence(&self) -> &Arc<Presence> {
        &self.end.presence
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { end: self.end.clone(), reading: self.reading.clone() }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}
