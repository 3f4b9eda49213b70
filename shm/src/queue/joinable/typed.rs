//! The two sides for values.

use super::lease::Lease;
use super::letter::{DeadLetter, decode_letter};
use super::receiver::ByteJoinableReceiver;
use super::sender::ByteJoinableSender;
use crate::Result;
use crate::codec::Decode;
use crate::message::decode;
use crate::queue::typed::values;
use crate::wait::Until;

values! {
    /// Puts values into a joinable queue, encoded with `C`. See [`JoinableQueue`](super::JoinableQueue).
    ///
    /// ```
    /// use slipring::{Error, JoinableQueue, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut tasks, mut worker) = JoinableQueue::<u32>::bounded(&segment, 10)?;
    /// for number in 1..=3 {
    ///     tasks.send(&number)?;
    /// }
    /// let worker = std::thread::spawn(move || -> Result<u32, Error> {
    ///     let mut sum = 0;
    ///     while let Ok(task) = worker.recv() {
    ///         sum += *task;
    ///         task.done()?;
    ///     }
    ///     Ok(sum)
    /// });
    /// tasks.join()?; // until all three are done
    /// assert_eq!(tasks.unfinished(), 0);
    /// drop(tasks); // no more will come: the worker ends
    /// assert_eq!(worker.join().unwrap()?, 6);
    /// # Ok::<(), Error>(())
    /// ```
    JoinableSender(fn(T)) over ByteJoinableSender, send_values("Puts");
    bytes: "The same handle, for messages as bytes, for dead letters and the hook.";
    len: "How many items wait to be received, those that were given back included.";
    try_clone: "Another handle, for another thread. It has no hook.";
}

impl<T, C: Decode<T>> JoinableSender<T, C> {
    /// Takes the oldest dead letter out, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) for one that is no `T`, which is gone all the same; take those with [`JoinableSender::bytes`].
    /// And as [`ByteJoinableSender::take_dead_letter`].
    pub fn take_dead_letter(&mut self) -> Result<Option<DeadLetter<T>>> {
        self.bytes.take_dead_letter()?.map(decode_letter::<C, T>).transpose()
    }
}

impl<T, C> JoinableSender<T, C> {
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
}

impl<T, C: Decode<T>> JoinableReceiver<T, C> {
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
        Ok(Lease::new(decode::<C, T>(&self.buffer)?, lease))
    }

    /// Takes the oldest dead letter out, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) for one that is no `T`, which is gone all the same; take those with
    /// [`JoinableReceiver::bytes`]. And as [`ByteJoinableReceiver::take_dead_letter`].
    pub fn take_dead_letter(&mut self) -> Result<Option<DeadLetter<T>>> {
        self.bytes.take_dead_letter()?.map(decode_letter::<C, T>).transpose()
    }
}

values! {
    /// Receives values from a joinable queue, as leases. See [`JoinableQueue`](super::JoinableQueue).
    ///
    /// ```
    /// use slipring::{JoinableQueue, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut tasks, mut worker) = JoinableQueue::<String>::bounded(&segment, 10)?;
    /// tasks.send(&"turn photo 4".to_owned())?;
    ///
    /// drop(worker.recv()?); // A worker gives up, or dies.
    /// let task = worker.recv()?;
    /// assert!(task.is_redelivered());
    /// assert_eq!(worker.unfinished(), 1);
    /// task.done()?;
    /// assert_eq!(worker.unfinished(), 0);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    JoinableReceiver(fn() -> T) over ByteJoinableReceiver;
    bytes: "The same handle, for messages as bytes, for ids, dead letters and the hook.";
    len: "How many items wait to be received, those that were given back included.";
    try_clone: "Another handle, for another thread. It has no hook.";
}

impl<T, C> JoinableReceiver<T, C> {
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
}
