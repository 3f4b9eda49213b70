//! The two sides for values of any serde type.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lease::Lease;
use super::receiver::ByteJoinableReceiver;
use super::sender::ByteJoinableSender;
use super::{DeadLetter, decode_letter};
use crate::Result;
use crate::encoding::{decode, encode};
use crate::until::Until;

/// Puts values into a joinable queue, encoded with postcard. See [`JoinableQueue`](super::JoinableQueue).
pub struct JoinableSender<T> {
    bytes: ByteJoinableSender,
    buffer: Vec<u8>,
    of: PhantomData<fn(T)>,
}

impl<T: Serialize> JoinableSender<T> {
    pub(super) fn new(bytes: ByteJoinableSender) -> Self {
        Self { bytes, buffer: Vec::new(), of: PhantomData }
    }

    /// Puts `value`, waiting for room for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`](crate::Error::Encode), and as [`ByteJoinableSender::send`].
    pub fn send(&mut self, value: &T) -> Result<()> {
        self.send_until(value, Until::NEVER)
    }

    /// Puts `value` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is full, and as [`JoinableSender::send`].
    pub fn try_send(&mut self, value: &T) -> Result<()> {
        self.send_until(value, Until::NOW)
    }

    /// Puts `value`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`JoinableSender::send`].
    pub fn send_until(&mut self, value: &T, until: impl Into<Until>) -> Result<()> {
        encode(value, &mut self.buffer)?;
        self.bytes.send_until(&self.buffer, until)
    }

    /// Another handle, for another thread. It has no hook.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self::new(self.bytes.try_clone()?))
    }
}

impl<T: DeserializeOwned> JoinableSender<T> {
    /// Takes the oldest dead letter out, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) for one that is no `T`, which is gone all the same; take those with [`JoinableSender::bytes`].
    /// And as [`ByteJoinableSender::take_dead_letter`].
    pub fn take_dead_letter(&mut self) -> Result<Option<DeadLetter<T>>> {
        self.bytes.take_dead_letter()?.map(decode_letter).transpose()
    }
}

impl<T> JoinableSender<T> {
    pub(super) fn handle(&self) -> &crate::handle::Handle {
        self.bytes.handle()
    }

    pub(super) fn bytes_ref(&self) -> &ByteJoinableSender {
        &self.bytes
    }

    /// The same handle, for messages that are bytes already, for dead letters and the hook.
    pub fn bytes(&mut self) -> &mut ByteJoinableSender {
        &mut self.bytes
    }

    /// Waits until every item that was ever put is finished, for as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableSender::join_until`].
    pub fn join(&mut self) -> Result<()> {
        self.bytes.join()
    }

    /// Waits until every item that was ever put is finished, or a deadline.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableSender::join_until`].
    pub fn join_until(&mut self, until: impl Into<Until>) -> Result<()> {
        self.bytes.join_until(until)
    }

    /// How many items were put and are not finished: true at a moment during the call.
    pub fn unfinished(&self) -> u64 {
        self.bytes.unfinished()
    }

    /// How many items wait to be received, those that were given back included.
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

    /// Closes the queue for everybody, as [`ByteJoinableSender::close`].
    pub fn close(&self) {
        self.bytes.close();
    }
}

impl<T> fmt::Debug for JoinableSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinableSender").field(&self.bytes).finish()
    }
}

/// Receives values from a joinable queue, as leases. See [`JoinableQueue`](super::JoinableQueue).
pub struct JoinableReceiver<T> {
    bytes: ByteJoinableReceiver,
    buffer: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> JoinableReceiver<T> {
    pub(super) fn new(bytes: ByteJoinableReceiver) -> Self {
        Self { bytes, buffer: Vec::new(), of: PhantomData }
    }

    /// A lease of the oldest value, as [`ByteJoinableReceiver::recv`].
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) for a message that is no `T`: it goes back, and is set aside in the end; and as
    /// [`ByteJoinableReceiver::recv`].
    pub fn recv(&mut self) -> Result<Lease<T>> {
        self.recv_until(Until::NEVER)
    }

    /// A lease of the oldest value, if one waits.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock) when none does, and as [`JoinableReceiver::recv`].
    pub fn try_recv(&mut self) -> Result<Lease<T>> {
        self.recv_until(Until::NOW)
    }

    /// A lease of the oldest value, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`JoinableReceiver::recv`].
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<Lease<T>> {
        let lease = self.bytes.recv_until(until)?;
        self.buffer.clear();
        lease.append_to(&mut self.buffer);
        Ok(Lease::new(decode(&self.buffer)?, lease))
    }

    /// Takes the oldest dead letter out, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) for one that is no `T`, which is gone all the same; take those with
    /// [`JoinableReceiver::bytes`]. And as [`ByteJoinableReceiver::take_dead_letter`].
    pub fn take_dead_letter(&mut self) -> Result<Option<DeadLetter<T>>> {
        self.bytes.take_dead_letter()?.map(decode_letter).transpose()
    }

    /// Another handle, for another thread. It has no hook.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyHandles`](crate::Error::TooManyHandles), [`Error::Forked`](crate::Error::Forked).
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self::new(self.bytes.try_clone()?))
    }
}

impl<T> JoinableReceiver<T> {
    pub(super) fn handle(&self) -> &crate::handle::Handle {
        self.bytes.handle()
    }

    pub(super) fn bytes_ref(&self) -> &ByteJoinableReceiver {
        &self.bytes
    }

    /// The same handle, for messages as bytes, for ids, dead letters and the hook.
    pub fn bytes(&mut self) -> &mut ByteJoinableReceiver {
        &mut self.bytes
    }

    /// Waits until every item that was ever put is finished, or a deadline.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableReceiver::join_until`].
    pub fn join_until(&mut self, until: impl Into<Until>) -> Result<()> {
        self.bytes.join_until(until)
    }

    /// How many items were put and are not finished: true at a moment during the call.
    pub fn unfinished(&self) -> u64 {
        self.bytes.unfinished()
    }

    /// How many items wait to be received, those that were given back included.
    pub fn len(&self) -> u64 {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Closes the queue for everybody, as [`ByteJoinableReceiver::close`].
    pub fn close(&self) {
        self.bytes.close();
    }
}

impl<T> fmt::Debug for JoinableReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinableReceiver").field(&self.bytes).finish()
    }
}
