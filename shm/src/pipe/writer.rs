//! The sending half of an end.

use std::fmt;
use std::os::fd::BorrowedFd;

use serde::Serialize;
use slipring_core::block::{BlockRef, Descriptor, Magazines};
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::ring::Corrupt;
use slipring_core::ring::spsc_records::{ClaimError, Producer};
use slipring_core::sync::EventCount;

use super::enclosing::encode_with;
use super::end::{End, Sockets, Turn};
use super::lane::{BLOCK, BYTES, ENCLOSING, damaged};
use crate::codec::{Encode, MessagePack};
use crate::member::{Handle, Wait};
use crate::message::{Loan, payload};
use crate::sys::socket;
use crate::travel::handoff::Handoff;
use crate::travel::parcel::Packed;
use crate::wait::Until;
use crate::{Error, Result};

/// The longest message that travels in the ring itself; longer ones are written once, into a block.
const MAX_IN_RING: usize = 4096;
/// A message in a block weighs this part of its length, so that a reader who lags holds its senders back.
const WEIGHT: u64 = 64;
/// After so many messages that nobody took it is time to ask whether the reader lives.
const SENDS_PER_PROBE: u32 = 64;

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
    pub(super) end: End,
    producer: Producer,
    pub(super) magazines: Magazines,
    buffer: Vec<u8>,
    /// Sends since the last look at the reader's progress, and where it was.
    unseen: u32,
    seen_released: u64,
    /// The kernel said that nobody has the other end any more.
    broken: bool,
}

impl PipeWriter {
    pub(super) fn new(handle: Handle, sockets: Sockets) -> Result<Self> {
        let role = handle.role();
        let end = End::new(handle, sockets, role)?;
        let mode = end.attachment().fences;
        // SAFETY: producers of a lane work under its send lock only, and resume first.
        let producer = unsafe { end.lane.ring.producer(Scope::Shared, mode) }.map_err(damaged)?;
        let (magazines, buffer) = (Magazines::default(), Vec::new());
        Ok(Self { end, producer, magazines, buffer, unseen: 0, seen_released: 0, broken: false })
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
            return self.commit(BYTES, message, 0, until, |_| {});
        }
        let attachment = self.end.attachment();
        let block = payload::alloc_copy(attachment, &mut self.magazines, message, me)?;
        self.send_block(block, message.len() as u64, me, until).inspect_err(|_| {
            self.end.attachment().pool.free_now(block, me);
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
    /// writer.send_value_as(Postcard, &(7, "seven"))?;
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
        let sent = encode_with::<C, T>(&self.end, value, &mut buffer).and_then(|handles| {
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
        let attachment = self.end.attachment().clone();
        let block = payload::alloc_copy(&attachment, &mut self.magazines, message, me)?;
        let len = message.len() as u64;
        let weight = self.weight_of(len);
        let sent = self.begin(16, weight, until).and_then(|turn| {
            let number = self.end.send_parcel(packed, until)?;
            crash_point!("pipe.parcel.sent");
            let word = Descriptor::Block { block, len }.encode();
            let words = [word.to_le_bytes(), number.to_le_bytes()].concat();
            let ring_id = self.end.lane.ring_id;
            self.publish(turn, ENCLOSING, &words, weight, |position| {
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
        Loan::new(self.end.handle.attachment().clone(), &mut self.magazines, len, me)
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
    /// As [`PipeWriter::send_until`]; the loan is given back to the segment then. [`Error::Forked`] for a loan that was
    /// taken before a fork, or in another segment.
    pub fn send_loan_until(&mut self, loan: Loan, until: impl Into<Until>) -> Result<()> {
        let me = self.ready()?;
        self.check_len(loan.len())?;
        if !loan.belongs_to(self.end.attachment(), me) {
            return Err(Error::Forked);
        }
        let (block, len) = loan.block();
        self.send_block(block, len, me, until.into())?;
        drop(loan.sent());
        Ok(())
    }

    /// The same, for who wants to try again: what is in `slot` stays there unless it was sent. An empty slot is sent already.
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_loan_until`], but the loan is not given back.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Error, Pipe, PipeOptions, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut reader, mut writer) = Pipe::one_way_with(&segment, PipeOptions::new().ring(256))?;
    /// while writer.try_send(&[7; 40]).is_ok() {}
    /// let mut loan = writer.loan(1 << 20)?;
    /// loan.write_at(0, b"written once");
    /// let mut slot = Some(loan);
    /// while writer.offer_loan(&mut slot, Until::NOW).is_err() {
    ///     reader.recv()?;
    /// }
    /// assert!(slot.is_none());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn offer_loan(&mut self, slot: &mut Option<Loan>, until: impl Into<Until>) -> Result<()> {
        let me = self.ready()?;
        let Some(loan) = slot.as_ref() else { return Ok(()) };
        self.check_len(loan.len())?;
        if !loan.belongs_to(self.end.attachment(), me) {
            return Err(Error::Forked);
        }
        let (block, len) = loan.block();
        self.send_block(block, len, me, until.into())?;
        slot.take().map(Loan::sent);
        Ok(())
    }

    /// Asks the kernel whether anybody has the other end. A send looks at what the other side has said itself, and asks the
    /// kernel only now and then; so the first messages after a kill may be sent to nobody.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] if nobody has.
    pub fn probe(&self) -> Result<()> {
        self.end.probe_open()
    }

    /// A descriptor that hangs up when nobody has the other end any more. Only wait for it: nothing is to be read from it
    /// nor written to it. It tells nothing of the room in the pipe, and is this process's: open as long as it has a handle
    /// of this end.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.socket()
    }

    /// The longest message that may be sent, in bytes; what fits the segment may be less.
    pub fn max_message(&self) -> u64 {
        self.end.shape.max_len
    }

    /// Whether the reader has taken everything. A glance: old when it returns.
    pub fn is_empty(&self) -> bool {
        self.end.lane.ring.is_empty()
    }

    /// Another handle of the same end, for another thread.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn try_clone(&self) -> Result<Self> {
        Self::new(self.end.handle.clone(), self.end.sockets.clone())
    }

    /// In a forked child: gives up a writer that another thread of the parent is using, as
    /// [`PipeReader::abandon`](super::PipeReader::abandon) does a reader.
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn abandon(this: *mut Self) {
        // SAFETY: the end of a whole writer, by the caller's promise.
        unsafe { End::abandon(&raw mut (*this).end) }
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }

    /// Where senders wait for room.
    pub(super) fn not_full(&self) -> &EventCount {
        self.end.lane.ring.not_full()
    }

    /// Who we are; after a fork, nothing that was the parent's is ours.
    #[inline]
    pub(super) fn ready(&mut self) -> Result<OwnerId> {
        let me = self.end.attachment().me()?;
        if me != self.end.me {
            self.end.me = me;
            self.magazines = Magazines::default();
        }
        Ok(me)
    }

    pub(super) fn check_len(&self, len: usize) -> Result<()> {
        let (len, max) = (len as u64, self.end.shape.max_len);
        if len > max { Err(Error::TooLong { len, max }) } else { Ok(()) }
    }

    /// Publishes what is in a loan if that takes no waiting. It stays the caller's where that fails.
    #[cfg(feature = "tokio")]
    pub(crate) fn offer(&mut self, loan: &Loan) -> Result<()> {
        let me = self.ready()?;
        if !loan.belongs_to(self.end.attachment(), me) {
            return Err(Error::Forked);
        }
        let (block, len) = loan.block();
        self.send_block(block, len, me, Until::NOW)
    }

    /// A quarter of the ring at most.
    #[inline]
    pub(crate) fn max_in_ring(&self) -> usize {
        MAX_IN_RING.min(self.end.lane.ring.size() as usize / 4 - 16)
    }

    /// What the record of a block weighs.
    pub(super) fn weight_of(&self, len: u64) -> usize {
        (len / WEIGHT).min(self.end.lane.ring.size() / 4) as usize
    }

    /// Sends `me`'s block. Where that fails it is `me`'s still.
    fn send_block(&mut self, block: BlockRef, len: u64, me: OwnerId, until: Until) -> Result<()> {
        let word = Descriptor::Block { block, len }.encode().to_le_bytes();
        let weight = self.weight_of(len);
        let (attachment, ring_id) = (self.end.attachment().clone(), self.end.lane.ring_id);
        let control = attachment.pool.control(block);
        self.commit(BLOCK, &word, weight, until, |position| {
            control.send_at(me, ring_id, position);
            crash_point!("pipe.send.in_flight");
        })
    }

    /// Publishes a record in a turn of ours, and rings. `claimed` is called with its position just before.
    #[inline]
    fn commit(
        &mut self,
        kind: u8,
        bytes: &[u8],
        weight: usize,
        until: Until,
        claimed: impl FnOnce(u64),
    ) -> Result<()> {
        let turn = self.begin(bytes.len(), weight, until)?;
        self.publish(turn, kind, bytes, weight, claimed)
    }

    /// A turn of ours, with room for a record.
    #[inline]
    pub(super) fn begin(&mut self, len: usize, weight: usize, until: Until) -> Result<Turn> {
        if self.broken {
            return Err(Error::Disconnected);
        }
        self.end.check_open()?;
        let turn = self.take_turn(until)?;
        match self.producer.claim(len, weight).map(drop) {
            Ok(()) => {}
            Err(ClaimError::Full) if until.is_now() => return Err(self.full()),
            Err(ClaimError::Full) => self.wait_for_room(len, weight, until)?,
            Err(error) => return Err(claim_error(error)),
        }
        Ok(turn)
    }

    /// Publishes a record for which there is room, and ends the turn.
    #[inline]
    pub(super) fn publish(
        &mut self,
        turn: Turn,
        kind: u8,
        bytes: &[u8],
        weight: usize,
        claimed: impl FnOnce(u64),
    ) -> Result<()> {
        let mut claim = self.producer.claim(bytes.len(), weight).map_err(claim_error)?;
        claim.write(0, bytes);
        crash_point!("pipe.send.written");
        claimed(claim.position());
        claim.commit(kind);
        crash_point!("pipe.send.committed");
        if self.end.lane.words().bell.ring(self.end.attachment().fences) {
            self.write_byte();
        }
        drop(turn);
        self.unseen += 1;
        if self.unseen == SENDS_PER_PROBE {
            self.look_at_reader();
        }
        Ok(())
    }

    /// The send lock, with the producer where the last sender's turn ended.
    #[inline]
    fn take_turn(&mut self, until: Until) -> Result<Turn> {
        let (turn, after_death) = self.end.turn(|words| &words.send, until)?;
        crash_point!("pipe.send.locked");
        self.producer.resume().map_err(damaged)?;
        if after_death && self.end.lane.words().bell.mend_sender() {
            self.write_byte();
        }
        Ok(turn)
    }

    /// Why there is no room without waiting: the reader lags, or is gone.
    #[cold]
    fn full(&self) -> Error {
        self.end.probe_open().err().unwrap_or(Error::WouldBlock)
    }

    #[cold]
    fn wait_for_room(&mut self, len: usize, weight: usize, until: Until) -> Result<()> {
        let (attachment, mut spin) = (self.end.attachment().clone(), self.end.spin.clone());
        let mut wait = Wait::new(&attachment, Some(&mut spin), until.deadline());
        let (ring, mut probed) = (self.end.lane.ring, 0);
        let (end, producer) = (&self.end, &mut self.producer);
        let room = ring.not_full().wait_until(&mut wait, attachment.fences, |wait| {
            // The kernel is asked after each sleep; in between the hint will do.
            let slept = wait.sleeps();
            let open = if probed == slept { end.check_open() } else { end.probe_open() };
            probed = slept;
            if let Err(error) = open {
                return Some(Err(error));
            }
            match producer.claim(len, weight) {
                Err(ClaimError::Full) => None,
                // What cannot be claimed at all is found out by the caller's own claim.
                Ok(_) | Err(_) => Some(Ok(())),
            }
        });
        self.end.spin = spin;
        room?
    }

    /// The bell was rung: the byte that wakes the reader's poll.
    #[cold]
    fn write_byte(&self) {
        // A full socket is readable; a reader that is gone is found out by the next send.
        let _ = socket::send_byte(self.end.socket(), 1);
        crash_point!("pipe.send.byte");
        self.end.lane.words().bell.ring_watchers();
    }

    /// Where nothing has been taken for a while the reader may be dead; the next send should know.
    #[cold]
    fn look_at_reader(&mut self) {
        self.unseen = 0;
        let released = self.end.lane.ring.released();
        self.broken = released == self.seen_released && self.end.probe_open().is_err();
        self.seen_released = released;
    }
}

#[cold]
fn claim_error(error: ClaimError) -> Error {
    match error {
        ClaimError::Full => Error::WouldBlock,
        ClaimError::TooLong | ClaimError::Corrupt => damaged(Corrupt),
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        if self.ready().is_ok() {
            let pool = &self.end.handle.attachment().pool;
            pool.flush(&mut self.magazines, &mut Default::default());
        }
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeWriter").field("handle", &self.end.handle).finish_non_exhaustive()
    }
}
