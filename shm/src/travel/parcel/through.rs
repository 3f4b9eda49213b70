//! Handoffs through a Unix socket: a parcel of one segment.

use std::os::fd::AsFd;

use super::{Packed, post};
use crate::Result;
use crate::object::Kinds;
use crate::travel::handoff::{Handoff, Inherited, not_inherited};
use crate::wait::Until;

impl Handoff {
    /// Sends all that was given to whoever receives it from the other end of a Unix socket, a stream or one that keeps
    /// boundaries (`SOCK_SEQPACKET`), with [`Inherited::receive`]. Waits for room for as long as it takes.
    ///
    /// This process need not wait for the other one to receive it, nor live that long. The handles count as held while
    /// they are on their way; if the socket is closed with them in it, they are given back.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`](crate::Error::Disconnected) where nobody has the other end. [`Error::Capacity`](crate::Error::Capacity) for more than 253 descriptors: each
    /// pipe's end has one or two, the segment one. [`Error::TooLong`](crate::Error::TooLong) for some thousands of handles. Too many participants.
    /// Nothing was handed over then.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use slipring::{ByteQueue, ByteReceiver, Error, Handoff, Inherited, Segment};
    ///
    /// let (here, there) = UnixStream::pair().unwrap();
    /// let segment = Segment::create()?;
    /// let (mut sender, receiver) = ByteQueue::bounded(&segment, 16)?;
    /// let mut handoff = Handoff::new(&segment);
    /// handoff.give("lines", &receiver)?;
    /// handoff.send(&here)?;
    /// drop(receiver);
    /// sender.send(b"sent while nobody had taken it")?;
    ///
    /// // In another process:
    /// let mut inherited = Inherited::receive(&there)?;
    /// let mut lines: ByteReceiver = inherited.take("lines")?;
    /// assert_eq!(lines.recv()?.len(), 30);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn send(self, socket: impl AsFd) -> Result<()> {
        self.send_until(socket, Until::NEVER)
    }

    /// The same, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), or [`Error::WouldBlock`](crate::Error::WouldBlock) for [`Until::NOW`]: a stream may have a part of the message then, and
    /// is of no further use. And as [`Handoff::send`].
    pub fn send_until(self, socket: impl AsFd, until: impl Into<Until>) -> Result<()> {
        let attachment = self.attachment().clone();
        let packed = Packed::new(vec![self])?;
        post::send(socket.as_fd(), packed, 0, &attachment, until.into())
    }
}

/// Receives what [`Handoff::send`] sent, waiting for it until a deadline.
///
/// # Errors
///
/// As [`Inherited::receive_until`].
pub(crate) fn receive_one(socket: impl AsFd, until: Until, kinds: Kinds) -> Result<Inherited> {
    let mut places = post::receive(socket.as_fd(), until)?.open(kinds)?;
    let only = places.pop().filter(|_| places.is_empty());
    only.ok_or_else(|| not_inherited("a parcel of one segment"))
}
