//! The receiving sides of ordered queues.

use super::common::common;
use super::receiving::Receiving;
use crate::Result;
use crate::wait::Until;

/// Receives byte messages from a LIFO queue. Clone it for another thread; other processes get theirs by fork or through
/// [`Handoff`](crate::Handoff).
///
/// ```
/// use slipring::{ByteLifoQueue, Error, Segment, Until};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteLifoQueue::bounded(&segment, 4)?;
/// for word in ["a", "b", "c"] {
///     sender.send(word.as_bytes())?;
/// }
/// drop(sender);
///
/// let mut buffer = Vec::new();
/// assert_eq!(receiver.recv_into(&mut buffer, Until::NEVER)?, 1);
/// assert_eq!(buffer, b"c");
/// assert_eq!(receiver.recv()?, b"b");
/// assert_eq!(receiver.try_recv()?, b"a");
/// assert!(matches!(receiver.try_recv(), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
pub struct ByteLifoReceiver(Receiving);

/// Receives byte messages from a priority queue. Clone it for another thread; other processes get theirs by fork or through
/// [`Handoff`](crate::Handoff). See [`BytePriorityQueue`](super::BytePriorityQueue).
///
/// ```
/// use slipring::{BytePriorityQueue, Segment, Until};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = BytePriorityQueue::bounded(&segment, 4)?;
/// sender.send(7, b"later")?;
/// sender.send(3, b"sooner")?;
///
/// let mut message = Vec::new(); // used again for each message
/// assert_eq!(receiver.recv_keyed_into(&mut message, Until::NEVER)?, 3);
/// assert_eq!(message, b"sooner");
/// assert_eq!(receiver.recv_into(&mut message, Until::NEVER)?, 5);
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct BytePriorityReceiver(Receiving);

impl BytePriorityReceiver {
    /// As [`BytePriorityReceiver::recv_into`], but returns the key with which the message was sent.
    ///
    /// # Errors
    ///
    /// As [`BytePriorityReceiver::recv_until`]; the buffer is empty then.
    pub fn recv_keyed_into(
        &mut self,
        buffer: &mut Vec<u8>,
        until: impl Into<Until>,
    ) -> Result<u64> {
        self.0.recv(buffer, until.into())
    }
}

/// How bytes are received, in whatever order.
macro_rules! receiver {
    ($($bytes:ident;)*) => {$(
        impl $bytes {
            /// The first message, waiting for one for as long as it takes.
            ///
            /// # Errors
            ///
            /// [`Error::Disconnected`](crate::Error::Disconnected) when the last sender is gone and everything was taken,
            /// [`Error::Closed`](crate::Error::Closed) likewise.
            pub fn recv(&mut self) -> Result<Vec<u8>> {
                self.recv_until(Until::NEVER)
            }

            /// The first message, if there is one.
            ///
            /// # Errors
            ///
            #[doc = concat!("[`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is empty, and as [`", stringify!($bytes), "::recv`].")]
            pub fn try_recv(&mut self) -> Result<Vec<u8>> {
                self.recv_until(Until::NOW)
            }

            /// The first message, waiting for one until a deadline.
            ///
            /// # Errors
            ///
            #[doc = concat!("[`Error::TimedOut`](crate::Error::TimedOut), and as [`", stringify!($bytes), "::recv`].")]
            pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<Vec<u8>> {
                let mut message = Vec::new();
                self.recv_into(&mut message, until)?;
                Ok(message)
            }

            #[doc = concat!("As [`", stringify!($bytes), "::recv_until`],")]
            /// into a buffer that keeps its capacity: what was in it is replaced. Returns the length of the message.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($bytes), "::recv_until`]; the buffer is empty then.")]
            pub fn recv_into(
                &mut self,
                buffer: &mut Vec<u8>,
                until: impl Into<Until>,
            ) -> Result<usize> {
                self.0.recv(buffer, until.into())?;
                Ok(buffer.len())
            }
        }
    )*};
}

receiver! {
    ByteLifoReceiver;
    BytePriorityReceiver;
}

common! {
    ByteLifoReceiver(Receiving) of Lifo,
        "[`Error::TooManyHandles`](crate::Error::TooManyHandles), [`Error::Forked`](crate::Error::Forked).";
    BytePriorityReceiver(Receiving) of Priority,
        "[`Error::TooManyHandles`](crate::Error::TooManyHandles), [`Error::Forked`](crate::Error::Forked).";
}
