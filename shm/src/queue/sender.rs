//! The sending side of a queue.

use std::fmt;
use std::sync::Arc;

use slipring_core::block::Descriptor;

use super::end::End;
use super::sending::{Sending, word_of};
use crate::member::{Attachment, Handle};
use crate::message::Loan;
use crate::object::Role;
use crate::sys::clock;
use crate::wait::Until;
use crate::{Error, Result};

/// Sends byte messages to a queue. Clone it for another thread; other processes get theirs by fork or through
/// [`Handoff`](crate::Handoff).
///
/// ```
/// use std::time::Duration;
/// use slipring::{ByteQueue, Error, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 3)?;
/// let sent = sender.send_batch(["a", "b", "c", "d"], Duration::from_millis(1))?;
/// assert_eq!((sent, sender.len(), sender.is_full()), (3, 3, true));
/// assert!(matches!(sender.try_send(b"d"), Err(Error::WouldBlock)));
///
/// let mut other = sender.try_clone()?;
/// let thread = std::thread::spawn(move || other.send(b"d"));
/// assert_eq!(receiver.recv()?, b"a");
/// thread.join().unwrap()?;
/// # Ok::<(), Error>(())
/// ```
pub struct ByteSender {
    to: Sending,
    /// What the last loan left: the next one need not count references.
    spare: Option<Arc<Attachment>>,
}

impl ByteSender {
    /// The sender that `handle` is.
    pub(super) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self::new(End::of(handle, Role::First)?))
    }

    fn new(end: End) -> Self {
        Self { to: Sending::new(end, true), spare: None }
    }

    /// A sender each of whose messages lies in a block.
    pub(crate) fn of_blocks(end: End) -> Self {
        Self { to: Sending::new(end, false), spare: None }
    }

    pub(crate) fn end(&self) -> &End {
        &self.to.end
    }

    /// Sends a copy of `message`, waiting for room for as long as it takes. What was sent is found by any receiver as
    /// soon as this returns, and stays when this process ends.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Disconnected`] when the last receiver is gone, [`Error::TooLong`], no memory. The
    /// message was not sent then. Where the last receiver was killed, up to 64 messages, or those of the next 25 ms, may be
    /// sent before that is said.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.send_until(message, Until::NEVER)
    }

    /// Sends a copy of `message` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when the queue is full, and as [`ByteSender::send`].
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<()> {
        self.send_until(message, Until::NOW)
    }

    /// Sends a copy of `message`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`ByteSender::send`].
    #[inline]
    pub fn send_until(&mut self, message: &[u8], until: impl Into<Until>) -> Result<()> {
        self.send_message(message, false, until)
    }

    /// As [`ByteSender::send_until`], with a mark or without: one bit beside the message, that
    /// [`ByteReceiver::recv_message`](super::ByteReceiver::recv_message) tells. Other receives pass over it.
    ///
    /// # Errors
    ///
    /// As [`ByteSender::send_until`].
    #[inline]
    pub fn send_message(
        &mut self,
        message: &[u8],
        marked: bool,
        until: impl Into<Until>,
    ) -> Result<()> {
        let me = self.to.ready()?;
        if self.to.is_look_due() {
            self.to.look()?;
        }
        self.to.put(message, marked, me, until.into())?;
        self.to.announce(1);
        Ok(())
    }

    /// Sends copies of several messages, in order, and wakes receivers once for all of them, or sooner where the iterator
    /// takes its time; where there is no room it waits for some, message by message. Returns how many were sent: all, unless
    /// the deadline passed, or something else came between, which the next call then says.
    ///
    /// # Errors
    ///
    /// As [`ByteSender::send_until`], where not even the first was sent.
    pub fn send_batch<M: AsRef<[u8]>>(
        &mut self,
        messages: impl IntoIterator<Item = M>,
        until: impl Into<Until>,
    ) -> Result<usize> {
        self.send_messages(messages.into_iter().map(|message| (message, false)), until)
    }

    /// As [`ByteSender::send_batch`], each message with a mark or without.
    ///
    /// # Errors
    ///
    /// As [`ByteSender::send_batch`].
    pub fn send_messages<M: AsRef<[u8]>>(
        &mut self,
        messages: impl IntoIterator<Item = (M, bool)>,
        until: impl Into<Until>,
    ) -> Result<usize> {
        let (me, until) = (self.to.ready()?, until.into());
        let mut messages = messages.into_iter();
        // How many come is known of what is in memory already. Others come from wherever, and may be waited for.
        let at_once = matches!(messages.size_hint(), (least, Some(most)) if least == most);
        let (mut sent, mut announced, mut tick) = (0, 0, clock::coarse());
        loop {
            if self.to.announce_meanwhile(sent - announced, at_once, &mut tick) {
                announced = sent;
            }
            let Some((message, marked)) = messages.next() else { break };
            let put = if self.to.is_look_due() { self.to.look() } else { Ok(()) };
            // Before it waits for room, what is there already must be known.
            let put = match put.and_then(|()| self.to.put(message.as_ref(), marked, me, Until::NOW))
            {
                Err(Error::WouldBlock) if !until.is_now() => {
                    self.to.announce(sent - announced);
                    announced = sent;
                    self.to.put(message.as_ref(), marked, me, until)
                }
                put => put,
            };
            match put {
                Ok(()) => sent += 1,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        self.to.announce(sent - announced);
        Ok(sent)
    }

    /// Memory for a message of `len` bytes, to be filled in place and sent with [`ByteSender::send_loan`].
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], no memory.
    #[inline]
    pub fn loan(&mut self, len: usize) -> Result<Loan> {
        let me = self.to.ready()?;
        self.to.check_len(len)?;
        let spare = self.spare.take();
        let attachment = spare.unwrap_or_else(|| self.to.end.handle.attachment().clone());
        Loan::new(attachment, &mut self.to.magazines, len, me)
    }

    /// Sends what was filled in place, waiting for room for as long as it takes. Nothing is copied.
    ///
    /// # Errors
    ///
    /// As [`ByteSender::send_loan_until`].
    #[inline]
    pub fn send_loan(&mut self, loan: Loan) -> Result<()> {
        self.send_loan_until(loan, Until::NEVER)
    }

    /// Sends what was filled in place, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// As [`ByteSender::send_until`]; the loan is given back to the segment then. [`Error::ForeignLoan`] for a loan
    /// that was taken before a fork, or in another segment.
    #[inline]
    pub fn send_loan_until(&mut self, loan: Loan, until: impl Into<Until>) -> Result<()> {
        self.offer_loan(loan, until).map_err(|(_, error)| error)
    }

    /// As [`ByteSender::send_loan_until`], but what was not sent comes back, with the reason: it can be sent again.
    ///
    /// ```
    /// use slipring::{ByteQueue, Error, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 1)?;
    /// sender.send(b"one")?;
    /// let mut loan = sender.loan(3)?;
    /// loan.write_at(0, b"two");
    /// let (loan, error) = sender.offer_loan(loan, Until::NOW).unwrap_err();
    /// assert!(matches!(error, Error::WouldBlock));
    /// receiver.recv()?;
    /// sender.send_loan(loan)?;
    /// assert_eq!(receiver.recv()?, b"two");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ByteSender::send_loan_until`], with the loan.
    #[inline]
    pub fn offer_loan(
        &mut self,
        loan: Loan,
        until: impl Into<Until>,
    ) -> std::result::Result<(), (Loan, Error)> {
        if let Err(error) = self.offer(&loan, until.into()) {
            return Err((loan, error));
        }
        self.spare = Some(loan.sent());
        Ok(())
    }

    /// How many messages are in the queue: exact if nobody is at work meanwhile.
    pub fn len(&self) -> u64 {
        self.to.end.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a send would wait now.
    pub fn is_full(&self) -> bool {
        self.to.end.capacity().is_some_and(|capacity| self.len() >= capacity)
    }

    /// The most messages that the queue holds; `None` for an unbounded one.
    pub fn capacity(&self) -> Option<u64> {
        self.to.end.capacity()
    }

    /// The longest message that can be sent, in bytes, given the memory for it.
    pub fn max_message(&self) -> u64 {
        self.to.end.max_len.min(self.to.end.handle.attachment().pool.geometry().max_len())
    }

    /// Whether all that was sent with this handle has been taken. A queue without [`Name::persist`](crate::Name::persist)
    /// ends with its last handle, and what is in it as well: who wants its messages to be read keeps the handle until
    /// then.
    ///
    /// ```
    /// use slipring::{ByteQueue, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 8)?;
    /// let mut other = sender.try_clone()?;
    /// sender.send(b"one")?;
    /// other.send(b"two")?;
    /// assert!(!sender.is_taken() && !other.is_taken());
    /// receiver.recv()?;
    /// assert!(sender.is_taken() && !other.is_taken());
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn is_taken(&self) -> bool {
        self.to.is_taken()
    }

    /// How many processes have the receiving side. One that died counts until somebody has noticed.
    pub fn receivers(&self) -> u32 {
        self.to.end.count_holders(Role::Second)
    }

    /// Whether sends go on while nobody has the receiving side, as long as there is room: somebody may open the queue
    /// by its name. Off at first: they fail with [`Error::Disconnected`] when the last receiver is gone.
    ///
    /// ```
    /// use slipring::{ByteReceiver, ByteSender, Error, Named, QueueOptions};
    ///
    /// # let name = format!("doc-patient-{}", std::process::id());
    /// # let name = name.as_str();
    /// let mut sender = ByteSender::create(name, QueueOptions::bounded(8))?;
    /// drop(ByteReceiver::open(name)?);
    /// assert!(matches!(sender.send(b"one"), Err(Error::Disconnected)));
    /// sender.set_patient(true);
    /// sender.send(b"one")?;
    /// assert_eq!(ByteReceiver::open(name)?.recv()?, b"one");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_patient(&mut self, on: bool) {
        self.to.end.is_patient = on;
    }

    /// Closes the queue for everybody: sends fail, receivers get what is there and then [`Error::Closed`]. A send that
    /// is under way in another process may still succeed, and go unread.
    pub fn close(&self) {
        self.to.end.close();
    }

    /// Another handle, for another thread.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self { to: self.to.another()?, spare: None })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.to.end.handle
    }

    /// Publishes what is in a loan. It stays the caller's where that fails.
    #[inline]
    pub(crate) fn offer(&mut self, loan: &Loan, until: Until) -> Result<()> {
        let me = self.to.ready()?;
        self.to.check_len(loan.len())?;
        loan.check(self.to.end.handle.attachment(), me)?;
        if self.to.is_look_due() {
            self.to.look()?;
        }
        let (block, len) = loan.block();
        self.to.publish(word_of(Descriptor::Block { block, len }, loan.is_marked()), me, until)?;
        self.to.announce(1);
        Ok(())
    }
}

impl fmt::Debug for ByteSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteSender").field("len", &self.len()).finish_non_exhaustive()
    }
}
