//! The sending sides of ordered queues.

use super::common::common;
use super::sending::Sending;
use crate::Result;
use crate::wait::Until;

/// Sends byte messages to a LIFO queue. Clone it for another thread; other processes get theirs by fork or through
/// [`Handoff`](crate::Handoff). See [`ByteLifoQueue`](super::ByteLifoQueue).
///
/// ```
/// use std::time::Duration;
/// use slipring::{ByteLifoQueue, Error, Segment};
///
/// let segment = Segment::create()?;
/// let (mut undo, mut steps) = ByteLifoQueue::bounded(&segment, 2)?;
/// undo.send(b"typed a")?;
/// undo.send(b"typed b")?;
/// let full = undo.send_until(b"typed c", Duration::from_millis(1));
/// assert!(matches!(full, Err(Error::TimedOut)));
/// assert_eq!(steps.recv()?, b"typed b");
/// # Ok::<(), Error>(())
/// ```
pub struct ByteLifoSender(Sending);

/// Sends byte messages to a priority queue. Clone it for another thread; other processes get theirs by fork or through
/// [`Handoff`](crate::Handoff). See [`BytePriorityQueue`](super::BytePriorityQueue).
///
/// ```
/// use slipring::{BytePriorityQueue, Error, Segment};
///
/// let segment = Segment::create()?;
/// let (mut orders, mut kitchen) = BytePriorityQueue::bounded(&segment, 2)?;
/// orders.send(10, b"cake")?;
/// orders.try_send(1, b"soup")?;
/// assert!(matches!(orders.try_send(0, b"water"), Err(Error::WouldBlock)), "two orders are there");
/// assert_eq!(kitchen.recv()?, b"soup");
/// # Ok::<(), Error>(())
/// ```
pub struct BytePrioritySender(Sending);

impl ByteLifoSender {
    /// Sends a copy of `message`, waiting for room for as long as it takes. What was sent is found by any receiver as
    /// soon as this returns, and stays when this process ends.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Disconnected`](crate::Error::Disconnected) when the last
    /// receiver is gone, [`Error::TooLong`](crate::Error::TooLong), no memory. The message was not sent then. Where the last
    /// receiver was killed, up to 64 messages, or those of the next 25 ms, may be sent before that is said.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.send_until(message, Until::NEVER)
    }

    /// Sends a copy of `message` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is full, and as [`ByteLifoSender::send`].
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<()> {
        self.send_until(message, Until::NOW)
    }

    /// Sends a copy of `message`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`ByteLifoSender::send`].
    #[inline]
    pub fn send_until(&mut self, message: &[u8], until: impl Into<Until>) -> Result<()> {
        self.0.send(0, message, until.into())
    }
}

impl BytePrioritySender {
    /// Sends a copy of `message`, waiting for room for as long as it takes; the smallest `key` goes first. What was sent
    /// is found by any receiver as soon as this returns, and stays when this process ends.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Disconnected`](crate::Error::Disconnected) when the last
    /// receiver is gone, [`Error::TooLong`](crate::Error::TooLong), no memory. The message was not sent then. Where the last
    /// receiver was killed, up to 64 messages, or those of the next 25 ms, may be sent before that is said.
    #[inline]
    pub fn send(&mut self, key: u64, message: &[u8]) -> Result<()> {
        self.send_until(key, message, Until::NEVER)
    }

    /// Sends a copy of `message` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is full, and as [`BytePrioritySender::send`].
    #[inline]
    pub fn try_send(&mut self, key: u64, message: &[u8]) -> Result<()> {
        self.send_until(key, message, Until::NOW)
    }

    /// Sends a copy of `message`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`BytePrioritySender::send`].
    #[inline]
    pub fn send_until(&mut self, key: u64, message: &[u8], until: impl Into<Until>) -> Result<()> {
        self.0.send(key, message, until.into())
    }
}

common! {
    ByteLifoSender(Sending) of Lifo, "[`Error::Forked`](crate::Error::Forked).";
    BytePrioritySender(Sending) of Priority, "[`Error::Forked`](crate::Error::Forked).";
}
