//! The two sides for values of any serde type.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::receiver::ByteReceiver;
use super::sender::ByteSender;
use crate::Result;
use crate::encoding::{decode, encode};
use crate::until::Until;

/// Sends values to a queue, encoded with postcard. See [`Queue`](super::Queue).
pub struct Sender<T> {
    bytes: ByteSender,
    buffer: Vec<u8>,
    of: PhantomData<fn(T)>,
}

impl<T: Serialize> Sender<T> {
    pub(crate) fn new(bytes: ByteSender) -> Self {
        Self { bytes, buffer: Vec::new(), of: PhantomData }
    }

    /// Sends `value`, waiting for room for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`](crate::Error::Encode), and as [`ByteSender::send`].
    pub fn send(&mut self, value: &T) -> Result<()> {
        self.send_until(value, Until::NEVER)
    }

    /// Sends `value` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is full, and as [`Sender::send`].
    pub fn try_send(&mut self, value: &T) -> Result<()> {
        self.send_until(value, Until::NOW)
    }

    /// Sends `value`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`Sender::send`].
    pub fn send_until(&mut self, value: &T, until: impl Into<Until>) -> Result<()> {
        encode(value, &mut self.buffer)?;
        self.bytes.send_until(&self.buffer, until)
    }

    /// Sends several values, and wakes receivers once for all of them. Returns how many were sent before the deadline.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_until`], where not even the first was sent.
    pub fn send_batch<'a>(
        &mut self,
        values: impl IntoIterator<Item = &'a T>,
        until: impl Into<Until>,
    ) -> Result<usize>
    where
        T: 'a,
    {
        let encoded = values.into_iter().map(|value| {
            let mut bytes = Vec::new();
            encode(value, &mut bytes).map(|()| bytes)
        });
        let encoded: Vec<_> = encoded.collect::<Result<_>>()?;
        self.bytes.send_batch(encoded, until)
    }

    /// Another handle, for another thread.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self::new(self.bytes.try_clone()?))
    }
}

impl<T> Sender<T> {
    pub(super) fn handle(&self) -> &crate::handle::Handle {
        self.bytes.handle()
    }

    pub(super) fn bytes_ref(&self) -> &ByteSender {
        &self.bytes
    }

    /// The same handle, for messages that are bytes already.
    pub fn bytes(&mut self) -> &mut ByteSender {
        &mut self.bytes
    }

    /// How many messages are in the queue: exact if nobody is at work meanwhile.
    pub fn len(&self) -> u64 {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether a send would wait now.
    pub fn is_full(&self) -> bool {
        self.bytes.is_full()
    }

    /// Closes the queue for everybody, as [`ByteSender::close`].
    pub fn close(&self) {
        self.bytes.close();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.bytes).finish()
    }
}

/// Receives values from a queue, decoded with postcard. See [`Queue`](super::Queue).
pub struct Receiver<T> {
    bytes: ByteReceiver,
    buffer: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Receiver<T> {
    pub(crate) fn new(bytes: ByteReceiver) -> Self {
        Self { bytes, buffer: Vec::new(), of: PhantomData }
    }

    /// The oldest value, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) for a message that is no `T`, which is taken all the same; and as [`ByteReceiver::recv`].
    pub fn recv(&mut self) -> Result<T> {
        self.recv_until(Until::NEVER)
    }

    /// The oldest value, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is empty, and as [`Receiver::recv`].
    pub fn try_recv(&mut self) -> Result<T> {
        self.recv_until(Until::NOW)
    }

    /// The oldest value, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`Receiver::recv`].
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<T> {
        self.bytes.recv_into(&mut self.buffer, until)?;
        decode(&self.buffer)
    }

    /// Takes up to `max` values, waiting for the first one only. A message that is no `T` is an error in its place.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv_until`], where there was not even one.
    pub fn recv_batch(&mut self, max: usize, until: impl Into<Until>) -> Result<Vec<Result<T>>> {
        let mut values = Vec::new();
        self.bytes.recv_each(max, until, |message| values.push(decode(message)))?;
        Ok(values)
    }

    /// Another handle, for another thread.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyHandles`](crate::Error::TooManyHandles), [`Error::Forked`](crate::Error::Forked).
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self::new(self.bytes.try_clone()?))
    }
}

impl<T> Receiver<T> {
    pub(super) fn handle(&self) -> &crate::handle::Handle {
        self.bytes.handle()
    }

    pub(super) fn bytes_ref(&self) -> &ByteReceiver {
        &self.bytes
    }

    /// The same handle, for messages as bytes.
    pub fn bytes(&mut self) -> &mut ByteReceiver {
        &mut self.bytes
    }

    /// How many messages are in the queue: exact if nobody is at work meanwhile.
    pub fn len(&self) -> u64 {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Closes the queue for everybody, as [`ByteSender::close`](super::ByteSender::close).
    pub fn close(&self) {
        self.bytes.close();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.bytes).finish()
    }
}
