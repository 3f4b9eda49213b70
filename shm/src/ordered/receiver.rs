//! The receiving sides of ordered queues.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::common;
use super::end::{End, Order};
use super::inlet::Inlet;
use crate::Result;
use crate::encoding::decode;
use crate::object::{Handle, Role};
use crate::until::Until;

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
pub struct ByteLifoReceiver(Inlet);

/// Receives byte messages from a priority queue. Clone it for another thread; other processes get theirs by fork or through
/// [`Handoff`](crate::Handoff). See [`BytePriorityQueue`](super::BytePriorityQueue).
pub struct BytePriorityReceiver(Inlet);

/// Receives values from a LIFO queue, decoded with postcard. See [`LifoQueue`](super::LifoQueue).
pub struct LifoReceiver<T> {
    bytes: ByteLifoReceiver,
    buffer: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

/// Receives values from a priority queue, decoded with postcard. See [`PriorityQueue`](super::PriorityQueue).
pub struct PriorityReceiver<T> {
    bytes: BytePriorityReceiver,
    buffer: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

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

impl<T: DeserializeOwned> PriorityReceiver<T> {
    /// The first value and the key with which it was sent, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// As [`PriorityReceiver::recv_until`].
    pub fn recv_keyed_until(&mut self, until: impl Into<Until>) -> Result<(u64, T)> {
        let key = self.bytes.recv_keyed_into(&mut self.buffer, until)?;
        Ok((key, decode(&self.buffer)?))
    }
}

/// What all receivers have in common: `$bytes` receives bytes, `$values` values.
macro_rules! receiver {
    ($($order:ident, $bytes:ident, $values:ident;)*) => {$(
        impl $bytes {
            /// The receiver that `handle` is.
            pub(super) fn from_handle(handle: Handle) -> Result<Self> {
                Ok(Self(Inlet::new(End::of(handle, Order::$order, Role::Second)?)?))
            }

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

            common!(0.end);

            /// Another handle, for another thread.
            ///
            /// # Errors
            ///
            /// [`Error::TooManyHandles`](crate::Error::TooManyHandles), [`Error::Forked`](crate::Error::Forked).
            pub fn try_clone(&self) -> Result<Self> {
                Ok(Self(self.0.another()?))
            }

            pub(super) fn handle(&self) -> &Handle {
                &self.0.end.handle
            }
        }

        impl<T: DeserializeOwned> $values<T> {
            /// The first value, waiting for one for as long as it takes.
            ///
            /// # Errors
            ///
            /// [`Error::Decode`](crate::Error::Decode) for a message that is no `T`, which is taken all the same; and as
            #[doc = concat!("[`", stringify!($bytes), "::recv`].")]
            pub fn recv(&mut self) -> Result<T> {
                self.recv_until(Until::NEVER)
            }

            /// The first value, if there is one.
            ///
            /// # Errors
            ///
            #[doc = concat!("[`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is empty, and as [`", stringify!($values), "::recv`].")]
            pub fn try_recv(&mut self) -> Result<T> {
                self.recv_until(Until::NOW)
            }

            /// The first value, waiting for one until a deadline.
            ///
            /// # Errors
            ///
            #[doc = concat!("[`Error::TimedOut`](crate::Error::TimedOut), and as [`", stringify!($values), "::recv`].")]
            pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<T> {
                self.bytes.recv_into(&mut self.buffer, until)?;
                decode(&self.buffer)
            }
        }

        impl<T> $values<T> {
            pub(super) fn new(bytes: $bytes) -> Self {
                Self { bytes, buffer: Vec::new(), of: PhantomData }
            }

            /// The same handle, for messages as bytes.
            pub fn bytes(&mut self) -> &mut $bytes {
                &mut self.bytes
            }

            common!(bytes.0.end);

            /// Another handle, for another thread.
            ///
            /// # Errors
            ///
            /// [`Error::TooManyHandles`](crate::Error::TooManyHandles), [`Error::Forked`](crate::Error::Forked).
            pub fn try_clone(&self) -> Result<Self> {
                Ok(Self::new(self.bytes.try_clone()?))
            }

            pub(super) fn handle(&self) -> &Handle {
                self.bytes.handle()
            }
        }

        impl fmt::Debug for $bytes {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($bytes)).field("len", &self.len()).finish_non_exhaustive()
            }
        }

        impl<T> fmt::Debug for $values<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($values)).field(&self.bytes).finish()
            }
        }
    )*};
}

receiver! {
    Lifo, ByteLifoReceiver, LifoReceiver;
    Priority, BytePriorityReceiver, PriorityReceiver;
}
