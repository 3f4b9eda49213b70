//! The receiving half of an end.

use std::fmt;
use std::os::fd::BorrowedFd;

use serde::de::DeserializeOwned;
use slipring_core::block::{BlockRef, Descriptor, Magazines, Returns};
use slipring_core::owner::OwnerId;
use slipring_core::ring::Corrupt;

use super::arrivals::Arrivals;
use super::enclosing;
use super::end::{End, Sockets};
use super::lane::{BLOCK, BYTES, ENCLOSING, damaged, most_records};
use crate::codec::{Decode, MessagePack};
use crate::member::Handle;
use crate::message::{Message, View, decode, payload};
use crate::travel::parcel::Arrived;
use crate::wait::Until;
use crate::{Error, Result, Segment};

/// Receives messages from the other end of a pipe. See [`Pipe`](super::Pipe).
///
/// ```
/// use std::time::Duration;
/// use slipring::{Error, Pipe, Segment, Until};
///
/// let segment = Segment::create()?;
/// let (mut reader, mut writer) = Pipe::one_way(&segment)?;
/// assert!(!reader.poll(Duration::from_millis(1))?);
/// assert!(matches!(reader.try_recv(), Err(Error::WouldBlock)));
///
/// writer.send_value("a value")?;
/// writer.send(&[7; 100_000])?;
/// drop(writer);
/// assert_eq!(reader.recv_value::<String>(Until::NEVER)?, "a value");
/// assert_eq!(reader.recv_view()?.len(), 100_000);
/// assert!(reader.poll(Until::NOW)?, "the end of file can be received");
/// assert!(matches!(reader.recv(), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
pub struct PipeReader {
    arrivals: Arrivals,
    returns: Returns,
    buffer: Vec<u8>,
    /// What came with the message that was taken last.
    parcel: Option<Result<Arrived>>,
}

/// What was taken from the ring.
enum Taken {
    /// Copied to the buffer.
    Bytes,
    /// In our hands.
    Block(BlockRef, u64),
}

impl PipeReader {
    pub(super) fn new(handle: Handle, sockets: Sockets) -> Result<Self> {
        let sender = handle.role().other();
        let arrivals = Arrivals::new(End::new(handle, sockets, sender)?)?;
        Ok(Self { arrivals, returns: Returns::default(), buffer: Vec::new(), parcel: None })
    }

    /// The next message, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when nobody has the other end any more and everything was received: end of file.
    pub fn recv(&mut self) -> Result<Vec<u8>> {
        self.recv_until(Until::NEVER)
    }

    /// The next message, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`], and as [`PipeReader::recv`].
    pub fn try_recv(&mut self) -> Result<Vec<u8>> {
        self.recv_until(Until::NOW)
    }

    /// The next message, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`PipeReader::recv`].
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<Vec<u8>> {
        let mut message = Vec::new();
        self.recv_into(&mut message, until)?;
        Ok(message)
    }

    /// As [`PipeReader::recv_until`], into a buffer that keeps its capacity: what was in it is replaced. Returns the
    /// length of the message.
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_until`]; the buffer is empty then.
    pub fn recv_into(&mut self, buffer: &mut Vec<u8>, until: impl Into<Until>) -> Result<usize> {
        let len = self.recv_enclosing(buffer, until.into());
        // Handles of a message that is taken as bytes are given back.
        self.parcel = None;
        len
    }

    /// The same; what came with the message is in `parcel`.
    #[inline]
    fn recv_enclosing(&mut self, buffer: &mut Vec<u8>, until: Until) -> Result<usize> {
        buffer.clear();
        let me = self.ready()?;
        let taken = self.take(me, until, buffer)?;
        self.append(taken, me, buffer);
        Ok(buffer.len())
    }

    /// Copies what was taken out of its block, if it is in one, and frees that.
    #[inline]
    fn append(&mut self, taken: Taken, me: OwnerId, into: &mut Vec<u8>) {
        if let Taken::Block(block, len) = taken {
            let attachment = self.arrivals.end.attachment();
            payload::append_block(attachment, block, len, into);
            attachment.pool.free(&mut self.returns, block, me);
        }
    }

    /// The next message where it lies, waiting for one for as long as it takes. A long message is not copied.
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv`].
    pub fn recv_view(&mut self) -> Result<View> {
        self.recv_view_until(Until::NEVER)
    }

    /// The next message where it lies, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_until`].
    pub fn recv_view_until(&mut self, until: impl Into<Until>) -> Result<View> {
        let me = self.ready()?;
        let mut bytes = Vec::new();
        let taken = self.take(me, until.into(), &mut bytes)?;
        self.parcel = None;
        Ok(match taken {
            Taken::Bytes => View::private(bytes),
            Taken::Block(block, len) => View::block(self.arrivals.end.attachment(), block, len, me),
        })
    }

    /// The next message, waiting for one until a deadline: copied to `buffer` if it has at most `max_copy` bytes, and where
    /// it lies, in a view, if it has more. What was in the buffer is replaced. Messages of pipes have no mark. A message of
    /// which the writer made no block is always copied.
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_until`]; the buffer is empty then.
    pub fn recv_message(
        &mut self,
        buffer: &mut Vec<u8>,
        max_copy: usize,
        until: impl Into<Until>,
    ) -> Result<Message> {
        buffer.clear();
        let me = self.ready()?;
        let taken = self.take(me, until.into(), buffer)?;
        self.parcel = None;
        let view = match taken {
            Taken::Block(block, len) if len > max_copy as u64 => {
                Some(View::block(self.arrivals.end.attachment(), block, len, me))
            }
            taken => {
                self.append(taken, me, buffer);
                None
            }
        };
        Ok(Message { marked: false, view, lease: None })
    }

    /// The next message as a value, decoded with [`MessagePack`]. Handles that are part of it are this process's from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] for a message that is no `T`, which is taken all the same; and as [`PipeReader::recv_until`].
    /// [`Error::NotInherited`] for a message whose handles were lost with a killed process, or cannot be had.
    pub fn recv_value<T: DeserializeOwned>(&mut self, until: impl Into<Until>) -> Result<T> {
        self.recv_value_as(MessagePack, until)
    }

    /// The next message as a value, decoded with the codec with which it was sent. See
    /// [`PipeWriter::send_value_as`](super::PipeWriter::send_value_as).
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_value`]; [`Error::Decode`] also for a message that was encoded by another codec.
    pub fn recv_value_as<T, C: Decode<T>>(
        &mut self,
        _codec: C,
        until: impl Into<Until>,
    ) -> Result<T> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let taken = self.recv_enclosing(&mut buffer, until.into());
        let value = taken.and_then(|_| match self.parcel.take() {
            None => decode::<C, T>(&buffer),
            Some(parcel) => {
                enclosing::decode_with::<C, T>(parcel, &buffer, self.end().attachment().kinds())
            }
        });
        self.buffer = buffer;
        value
    }

    /// Waits until a receive would not wait: a message is there, or the end of file. `false` when the deadline passed.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], [`Error::Forked`].
    pub fn poll(&mut self, until: impl Into<Until>) -> Result<bool> {
        self.ready()?;
        match self.arrivals.await_message(until.into()) {
            Ok(_) | Err(Error::Disconnected) => Ok(true),
            Err(Error::TimedOut | Error::WouldBlock) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is no message. A glance: old when it returns. It knows nothing of the end of file.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.arrivals.end.lane.ring.is_empty()
    }

    /// A descriptor for `poll`, `select`, `epoll` and event loops: readable while a message or the end of file is there.
    /// Only wait for it: nothing is to be read from it. Once it was asked for, senders do a system call for each message
    /// that finds the pipe empty.
    ///
    /// It is this handle's, and closed with it. Where several processes share an end, all of their descriptors are readable
    /// while a message is there, and none is when one of them has taken the last.
    ///
    /// # Errors
    ///
    /// No descriptors left.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Pipe, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut reader, mut writer) = Pipe::one_way(&segment)?;
    /// let is_readable = |fd: &dyn std::os::fd::AsFd| {
    ///     let fd = fd.as_fd();
    ///     let mut watched = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    ///     rustix::event::poll(&mut watched, Some(&Default::default())).unwrap() == 1
    /// };
    /// assert!(!is_readable(&reader.as_fd()?));
    /// writer.send(b"hello")?;
    /// assert!(is_readable(&reader.as_fd()?));
    /// reader.recv()?;
    /// assert!(!is_readable(&reader.as_fd()?));
    /// drop(writer);
    /// assert!(is_readable(&reader.as_fd()?));
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn as_fd(&mut self) -> Result<BorrowedFd<'_>> {
        self.ready()?;
        self.arrivals.as_fd()
    }

    /// The same of the end's own socket, which is also the descriptor of the half that sends
    /// ([`PipeWriter::room_fd`](super::PipeWriter::room_fd)): for who waits for both by one. It is the same one in all handles of
    /// the end, and in a forked child.
    ///
    /// # Errors
    ///
    /// [`Error::DescriptorsClosed`], [`Error::Forked`].
    pub fn watch_socket(&mut self) -> Result<BorrowedFd<'_>> {
        self.ready()?;
        self.arrivals.watch_socket()
    }

    /// The segment that the pipe is in.
    pub fn segment(&self) -> Segment {
        Segment::of(self.end().attachment())
    }

    /// Another handle of the same end, for another thread.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn try_clone(&self) -> Result<Self> {
        Self::new(self.arrivals.end.handle.clone(), self.arrivals.end.sockets.clone())
    }

    /// In a forked child: gives up a reader that another thread of the parent is using. That thread does not exist here,
    /// and what it was changing cannot be looked at; so only what counts is given back: the handle and the socket. The
    /// rest of it is never freed.
    ///
    /// # Safety
    ///
    /// `this` points to a reader that was whole at the fork and is reached by nobody else. It is not used any more, nor
    /// dropped, when this returns.
    pub unsafe fn abandon(this: *mut Self) {
        // SAFETY: the end of a whole reader, by the caller's promise.
        unsafe { End::abandon(&raw mut (*this).arrivals.end) }
    }

    pub(super) fn end(&self) -> &End {
        &self.arrivals.end
    }

    pub(super) fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    /// Who we are; after a fork, nothing that was the parent's is ours.
    #[inline]
    fn ready(&mut self) -> Result<OwnerId> {
        let me = self.arrivals.end.attachment().me()?;
        if me != self.arrivals.end.me {
            self.arrivals.become_child(me);
            self.returns = Returns::default();
        }
        Ok(me)
    }

    /// Takes the next message in a turn of ours; short ones are appended to `into`.
    fn take(&mut self, me: OwnerId, until: Until, into: &mut Vec<u8>) -> Result<Taken> {
        // What dead receivers had taken is passed over. More of that than the ring holds is a ring that a peer gone mad
        // has bent into a circle.
        for _ in 0..most_records(&self.arrivals.end.lane.ring) {
            let turn = self.arrivals.await_message(until)?;
            let Some(taken) = self.take_one(me, into)? else { continue };
            self.arrivals.taken();
            drop(turn);
            return Ok(taken);
        }
        Err(damaged(Corrupt))
    }

    /// Takes the record that is there. `None` for a message that was lost with a receiver who had it in its hands.
    #[inline]
    fn take_one(&mut self, me: OwnerId, into: &mut Vec<u8>) -> Result<Option<Taken>> {
        let Some(record) = self.arrivals.consumer.peek().map_err(damaged)? else { return Ok(None) };
        let mut enclosed = None;
        let taken = match record.kind() {
            BYTES => {
                let (start, len) = (into.len(), record.len());
                into.resize(start + len, 0);
                record.copy_to(&mut into[start..]);
                Ok(Some(Taken::Bytes))
            }
            kind @ (BLOCK | ENCLOSING) => {
                let (position, mut words) = (record.position(), [0; 16]);
                record.copy_to(&mut words);
                let [word, number] = bytemuck::cast::<_, [u64; 2]>(words).map(u64::from_le);
                enclosed = (kind == ENCLOSING).then_some(number);
                self.settle(me, position, word)
            }
            _ => Err(Error::Corrupt { what: "a pipe's record is of no known kind" }),
        };
        crash_point!("pipe.recv.settled");
        self.arrivals.consumer.release();
        crash_point!("pipe.recv.released");
        if let (Some(number), Ok(Some(_))) = (enclosed, &taken) {
            self.parcel = Some(enclosing::receive_parcel(self.end(), number));
        }
        taken
    }

    /// Makes the block behind a descriptor at `position` ours.
    fn settle(&self, me: OwnerId, position: u64, word: u64) -> Result<Option<Taken>> {
        let forged = || Error::Corrupt { what: "a pipe's message names no block of its" };
        let Some(Descriptor::Block { block, len }) = Descriptor::decode(word) else {
            return Err(forged());
        };
        let attachment = self.arrivals.end.attachment();
        let block = attachment.pool.check(block, len).ok_or_else(forged)?;
        if !attachment.pool.control(block).taken(me, self.arrivals.end.lane.ring_id, position) {
            // A receiver died with it, after it took the block and before it released the record.
            return Ok(None);
        }
        crash_point!("pipe.recv.taken");
        if !attachment.pool.is_committed(block, len, attachment.regions()) {
            return Err(forged());
        }
        Ok(Some(Taken::Block(block, len)))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        if self.ready().is_ok() {
            let pool = &self.arrivals.end.attachment().pool;
            pool.flush(&mut Magazines::default(), &mut self.returns);
        }
    }
}

impl fmt::Debug for PipeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeReader")
            .field("handle", &self.arrivals.end.handle)
            .finish_non_exhaustive()
    }
}
