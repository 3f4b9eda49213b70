//! The sending half of an end.

use std::fmt;
use std::os::fd::BorrowedFd;

use serde::Serialize;
use slipring_core::block::{BlockRef, Descriptor, Magazines};
use slipring_core::owner::OwnerId;

use super::departures::Departures;
use super::enclosing;
use super::end::{End, Sockets};
use super::lane::{BLOCK, BYTES, ENCLOSING};
use crate::codec::{Encode, MessagePack};
use crate::member::Handle;
use crate::message::{Loan, payload};
use crate::travel::handoff::Handoff;
use crate::travel::parcel::Packed;
use crate::wait::Until;
use crate::{Error, Result, Segment};

/// The longest message that travels in the ring itself; longer ones are written once, into a block.
const MAX_IN_RING: usize = 4096;
/// A message in a block weighs this part of its length, so that a reader who lags holds its senders back.
const WEIGHT: u64 = 64;

/// Sends messages to the other end of a pipe. See [`Pipe`](super::Pipe).
///
/// ```
/// use slipring::{Error, Pipe, Segment};
///
/// let segment = Segment::create()?;
/// let (mut reader, mut writer) = Pipe::one_way(&segment)?;
/// writer.send(b"a few bytes")?;
/// writer.send_value(&[1_u32, 2, 3])?;
/// let mut loan = writer.loan(1 << 20)?;
/// loan.write_at(0, b"a megabyte, written in place");
/// writer.send_loan(loan)?;
///
/// assert_eq!(reader.recv()?.len(), 11);
/// drop(reader);
/// assert!(matches!(writer.send(b"?"), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
pub struct PipeWriter {
    departures: Departures,
    magazines: Magazines,
    buffer: Vec<u8>,
}

impl PipeWriter {
    pub(super) fn new(handle: Handle, sockets: Sockets) -> Result<Self> {
        let role = handle.role();
        let departures = Departures::new(End::new(handle, sockets, role)?)?;
        Ok(Self { departures, magazines: Magazines::default(), buffer: Vec::new() })
    }

    /// Sends a copy of `message`, waiting for room for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when nobody has the other end any more ("broken pipe"), [`Error::TooLong`], no memory. The
    /// message was not sent then. A message that was sent before the other end went may go unread all the same.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.send_until(message, Until::NEVER)
    }

    /// Sends a copy of `message` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`], and as [`PipeWriter::send`].
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<()> {
        self.send_until(message, Until::NOW)
    }

    /// Sends a copy of `message`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`PipeWriter::send`].
    pub fn send_until(&mut self, message: &[u8], until: impl Into<Until>) -> Result<()> {
        let (me, until) = (self.ready()?, until.into());
        self.check_len(message.len())?;
        if message.len() <= self.max_in_ring() {
            return self.departures.send(BYTES, message, 0, until, |_| {});
        }
        let attachment = self.departures.end.attachment();
        let block = payload::alloc_copy(attachment, &mut self.magazines, message, me)?;
        self.send_block(block, message.len() as u64, me, until).inspect_err(|_| {
            self.end().attachment().pool.free_now(block, me);
        })
    }

    /// Sends a value of any serde type, encoded with [`MessagePack`], waiting for room for as long as it takes. Handles may be
    /// part of it where the pipe was made with [`PipeOptions::handles`](super::PipeOptions::handles).
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], and as [`PipeWriter::send`]. With handles, also as [`Handoff::send`](crate::Handoff::send).
    pub fn send_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.send_value_until(value, Until::NEVER)
    }

    /// The same, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`PipeWriter::send_value`].
    pub fn send_value_until<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        until: impl Into<Until>,
    ) -> Result<()> {
        self.send_value_as_until(MessagePack, value, until)
    }

    /// Sends a value encoded with a codec of the caller's choice, waiting for room for as long as it takes. The other end
    /// receives it with the same codec: [`PipeReader::recv_value_as`](super::PipeReader::recv_value_as).
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_value`].
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Error, Pipe, Postcard, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut reader, mut writer) = Pipe::one_way(&segment)?;
    /// writer.send_value_as(Postcard, &(7_u32, "seven"))?;
    /// let (number, word): (u32, String) = reader.recv_value_as(Postcard, Until::NEVER)?;
    /// assert_eq!((number, word.as_str()), (7, "seven"));
    ///
    /// writer.send_value_as(Postcard, &8_u32)?;
    /// assert!(matches!(reader.recv_value::<u32>(Until::NEVER), Err(Error::Decode(_))));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn send_value_as<T: ?Sized, C: Encode<T>>(&mut self, codec: C, value: &T) -> Result<()> {
        self.send_value_as_until(codec, value, Until::NEVER)
    }

    /// The same, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`PipeWriter::send_value`].
    pub fn send_value_as_until<T: ?Sized, C: Encode<T>>(
        &mut self,
        _codec: C,
        value: &T,
        until: impl Into<Until>,
    ) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let until = until.into();
        let sent =
            enclosing::encode_with::<C, T>(self.end(), value, &mut buffer).and_then(|handles| {
                if handles.is_empty() {
                    self.send_until(&buffer, until)
                } else {
                    self.send_enclosing(&buffer, handles, until)
                }
            });
        self.buffer = buffer;
        sent
    }

    /// Sends a message and the handles that are part of it.
    fn send_enclosing(
        &mut self,
        message: &[u8],
        handles: Vec<Handoff>,
        until: Until,
    ) -> Result<()> {
        let me = self.ready()?;
        self.check_len(message.len())?;
        let packed = Packed::new(handles)?;
        let attachment = self.end().attachment().clone();
        let block = payload::alloc_copy(&attachment, &mut self.magazines, message, me)?;
        let len = message.len() as u64;
        let weight = self.weight_of(len);
        let sent = self.departures.begin(16, weight, until).and_then(|turn| {
            let number = enclosing::send_parcel(self.end(), packed, until)?;
            crash_point!("pipe.parcel.sent");
            let word = Descriptor::Block { block, len }.encode();
            let words = [word.to_le_bytes(), number.to_le_bytes()].concat();
            let ring_id = self.end().lane.ring_id;
            self.departures.publish(turn, ENCLOSING, &words, weight, |position| {
                attachment.pool.control(block).send_at(me, ring_id, position);
            })
        });
        sent.inspect_err(|_| {
            attachment.pool.free_now(block, me);
        })
    }

    /// Memory for a message of `len` bytes, to be filled in place and sent with [`PipeWriter::send_loan`].
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], no memory.
    pub fn loan(&mut self, len: usize) -> Result<Loan> {
        let me = self.ready()?;
        self.check_len(len)?;
        Loan::new(self.departures.end.attachment().clone(), &mut self.magazines, len, me)
    }

    /// Sends what was filled in place, waiting for room for as long as it takes. Nothing is copied.
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_loan_until`].
    pub fn send_loan(&mut self, loan: Loan) -> Result<()> {
        self.send_loan_until(loan, Until::NEVER)
    }

    /// Sends what was filled in place, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_until`]; the loan is given back to the segment then. [`Error::ForeignLoan`] for a loan that was
    /// taken before a fork, or in another segment.
    pub fn send_loan_until(&mut self, loan: Loan, until: impl Into<Until>) -> Result<()> {
        self.offer_loan(loan, until).map_err(|(_, error)| error)
    }

    /// As [`PipeWriter::send_loan_until`], but what was not sent comes back, with the reason: it can be sent again.
    ///
    /// ```
    /// use slipring::{Error, Pipe, PipeOptions, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut reader, mut writer) = Pipe::one_way_with(&segment, PipeOptions::new().ring(256))?;
    /// while writer.try_send(&[7; 40]).is_ok() {}
    /// let mut loan = writer.loan(1 << 20)?;
    /// loan.write_at(0, b"written once");
    /// while let Err((back, _)) = writer.offer_loan(loan, Until::NOW) {
    ///     loan = back;
    ///     reader.recv()?;
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_loan_until`], with the loan.
    pub fn offer_loan(
        &mut self,
        loan: Loan,
        until: impl Into<Until>,
    ) -> std::result::Result<(), (Loan, Error)> {
        match self.offer(&loan, until.into()) {
            Ok(()) => {
                drop(loan.sent());
                Ok(())
            }
            Err(error) => Err((loan, error)),
        }
    }

    /// As [`PipeWriter::offer_loan`], with a slot in which the loan stays unless it was sent. An empty slot is sent already.
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::offer_loan`].
    #[deprecated(note = "use `offer_loan`, which gives the loan back with the error")]
    pub fn offer_loan_in(
        &mut self,
        slot: &mut Option<Loan>,
        until: impl Into<Until>,
    ) -> Result<()> {
        let Some(loan) = slot.take() else { return Ok(()) };
        self.offer_loan(loan, until).map_err(|(loan, error)| {
            *slot = Some(loan);
            error
        })
    }

    /// Asks the kernel whether anybody has the other end. A send looks at what the other side has said itself, and asks the
    /// kernel only now and then; so up to 64 messages after a kill may be sent to nobody.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] if nobody has.
    pub fn probe(&self) -> Result<()> {
        self.end().probe_open()
    }

    /// A descriptor that hangs up when nobody has the other end any more. Only wait for it: nothing is to be read from it
    /// nor written to it. It tells nothing of the room in the pipe, and is this process's: open as long as it has a handle
    /// of this end.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.end().sockets.bell.as_fd()
    }

    /// The longest message that may be sent, in bytes; what fits the segment may be less.
    pub fn max_message(&self) -> u64 {
        self.end().shape.max_len
    }

    /// Whether the reader has taken everything. A glance: old when it returns.
    pub fn is_empty(&self) -> bool {
        self.end().lane.ring.is_empty()
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
        Self::new(self.end().handle.clone(), self.end().sockets.clone())
    }

    /// In a forked child: gives up a writer that another thread of the parent is using, as
    /// [`PipeReader::abandon`](super::PipeReader::abandon) does a reader.
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn abandon(this: *mut Self) {
        // SAFETY: the end of a whole writer, by the caller's promise.
        unsafe { End::abandon(&raw mut (*this).departures.end) }
    }

    #[inline]
    pub(super) fn end(&self) -> &End {
        &self.departures.end
    }

    /// Who we are; after a fork, nothing that was the parent's is ours.
    #[inline]
    fn ready(&mut self) -> Result<OwnerId> {
        let me = self.end().attachment().me()?;
        if me != self.end().me {
            self.departures.become_child(me);
            self.magazines = Magazines::default();
        }
        Ok(me)
    }

    fn check_len(&self, len: usize) -> Result<()> {
        let (len, max) = (len as u64, self.end().shape.max_len);
        if len > max { Err(Error::TooLong { len, max }) } else { Ok(()) }
    }

    /// Publishes what is in a loan. It stays the caller's where that fails.
    pub(crate) fn offer(&mut self, loan: &Loan, until: Until) -> Result<()> {
        let me = self.ready()?;
        self.check_len(loan.len())?;
        loan.check(self.end().attachment(), me)?;
        let (block, len) = loan.block();
        self.send_block(block, len, me, until)
    }

    /// A quarter of the ring at most.
    #[inline]
    pub(crate) fn max_in_ring(&self) -> usize {
        MAX_IN_RING.min(self.end().lane.ring.size() as usize / 4 - 16)
    }

    /// What the record of a block weighs.
    fn weight_of(&self, len: u64) -> usize {
        (len / WEIGHT).min(self.end().lane.ring.size() / 4) as usize
    }

    /// Sends `me`'s block. Where that fails it is `me`'s still.
    fn send_block(&mut self, block: BlockRef, len: u64, me: OwnerId, until: Until) -> Result<()> {
        let word = Descriptor::Block { block, len }.encode().to_le_bytes();
        let weight = self.weight_of(len);
        let (attachment, ring_id) = (self.end().attachment().clone(), self.end().lane.ring_id);
        let control = attachment.pool.control(block);
        self.departures.send(BLOCK, &word, weight, until, |position| {
            control.send_at(me, ring_id, position);
            crash_point!("pipe.send.in_flight");
        })
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        if self.ready().is_ok() {
            let pool = &self.departures.end.attachment().pool;
            pool.flush(&mut self.magazines, &mut Default::default());
        }
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeWriter").field("handle", &self.end().handle).finish_non_exhaustive()
    }
}
