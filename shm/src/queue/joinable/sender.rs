//! The sending side of a joinable queue: puts items, and waits until they are finished.

use std::fmt;

use super::desk::{Desk, SIDES};
use super::letter::{DeadLetter, Hook};
use crate::Result;
use crate::member::Handle;
use crate::message::Loan;
use crate::object::Role;
use crate::queue::family::expect_role;
use crate::queue::{self, End};
use crate::wait::Until;

/// Puts items of bytes into a joinable queue. Clone it for another thread; other processes get theirs by fork or through
/// [`Handoff`](crate::Handoff).
///
/// ```
/// use std::time::Duration;
/// use slipring::{ByteJoinableQueue, Error, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteJoinableQueue::bounded(&segment, 4)?;
/// sender.send(b"task")?;
/// assert_eq!((sender.len(), sender.unfinished()), (1, 1));
///
/// let lease = receiver.recv()?;
/// assert_eq!((sender.len(), sender.unfinished()), (0, 1));
/// assert!(matches!(sender.join_until(Duration::from_millis(1)), Err(Error::TimedOut)));
/// lease.done()?;
/// sender.join()?;
/// # Ok::<(), Error>(())
/// ```
pub struct ByteJoinableSender {
    items: queue::ByteSender,
    desk: Desk,
    hook: Option<Hook>,
}

impl ByteJoinableSender {
    /// The sender that `handle` is.
    pub(super) fn from_handle(handle: Handle) -> Result<Self> {
        expect_role(&handle, Role::First, SIDES)?;
        Self::new(handle)
    }

    fn new(handle: Handle) -> Result<Self> {
        let desk = Desk::new(handle.clone())?;
        Ok(Self { items: queue::ByteSender::of_blocks(End::new(handle)?), desk, hook: None })
    }

    /// Puts a copy of `message`, waiting for room for as long as it takes. What was put is found by any receiver as soon
    /// as this returns, stays when this process ends, and is unfinished from then on.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Disconnected`](crate::Error::Disconnected) when the last receiver is
    /// gone, [`Error::TooLong`](crate::Error::TooLong), no memory. Nothing was put then. Where the last receiver was killed, up
    /// to 64 messages, or those of the next 25 ms, may be put before that is said.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.items.send(message)
    }

    /// Puts a copy of `message` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is full, and as [`ByteJoinableSender::send`].
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<()> {
        self.items.try_send(message)
    }

    /// Puts a copy of `message`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`ByteJoinableSender::send`].
    #[inline]
    pub fn send_until(&mut self, message: &[u8], until: impl Into<Until>) -> Result<()> {
        self.items.send_until(message, until)
    }

    /// As [`ByteJoinableSender::send_until`], with a mark or without: one bit beside the message, that
    /// [`ByteLease::is_marked`](super::ByteLease::is_marked) tells.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableSender::send_until`].
    #[inline]
    pub fn send_message(
        &mut self,
        message: &[u8],
        marked: bool,
        until: impl Into<Until>,
    ) -> Result<()> {
        self.items.send_message(message, marked, until)
    }

    /// Puts copies of several messages, in order, as [`ByteSender::send_batch`](crate::ByteSender::send_batch) does.
    /// Returns how many were put.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableSender::send_until`], where not even the first was put.
    pub fn send_batch<M: AsRef<[u8]>>(
        &mut self,
        messages: impl IntoIterator<Item = M>,
        until: impl Into<Until>,
    ) -> Result<usize> {
        self.items.send_batch(messages, until)
    }

    /// As [`ByteJoinableSender::send_batch`], each message with a mark or without.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableSender::send_batch`].
    pub fn send_messages<M: AsRef<[u8]>>(
        &mut self,
        messages: impl IntoIterator<Item = (M, bool)>,
        until: impl Into<Until>,
    ) -> Result<usize> {
        self.items.send_messages(messages, until)
    }

    /// Memory for a message of `len` bytes, to be filled in place and put with [`ByteJoinableSender::send_loan_until`].
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`](crate::Error::TooLong), no memory.
    pub fn loan(&mut self, len: usize) -> Result<Loan> {
        self.items.loan(len)
    }

    /// Puts what was filled in place, waiting for room until a deadline. Nothing is copied.
    ///
    /// # Errors
    ///
    /// As [`ByteSender::send_loan_until`](crate::ByteSender::send_loan_until).
    pub fn send_loan_until(&mut self, loan: Loan, until: impl Into<Until>) -> Result<()> {
        self.items.send_loan_until(loan, until)
    }

    /// As [`ByteJoinableSender::send_loan_until`], but what was not put comes back, with the reason.
    ///
    /// # Errors
    ///
    /// As [`ByteSender::offer_loan`](crate::ByteSender::offer_loan).
    pub fn offer_loan(
        &mut self,
        loan: Loan,
        until: impl Into<Until>,
    ) -> std::result::Result<(), (Loan, crate::Error)> {
        self.items.offer_loan(loan, until)
    }

    /// Waits until every item that was ever put is finished, for as long as it takes. A dead letter is finished.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableSender::join_until`].
    pub fn join(&mut self) -> Result<()> {
        self.join_until(Until::NEVER)
    }

    /// Waits until every item that was ever put is finished, or a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut); [`Error::WouldBlock`](crate::Error::WouldBlock) where it may not wait; [`Error::Disconnected`](crate::Error::Disconnected) when the last receiver
    /// is gone and left something unfinished: nobody can finish it any more, unless somebody comes
    /// ([`ByteJoinableSender::set_patient`]). [`Error::Interrupted`](crate::Error::Interrupted), [`Error::Forked`](crate::Error::Forked).
    pub fn join_until(&mut self, until: impl Into<Until>) -> Result<()> {
        let is_patient = self.items.end().is_patient;
        self.desk.join(until.into(), is_patient, &mut self.hook)
    }

    /// How many items were put and are not finished: true at a moment during the call.
    pub fn unfinished(&self) -> u64 {
        self.desk.unfinished()
    }

    /// Calls `hook` with each item that this handle sets aside, as it joins. As
    /// [`ByteJoinableReceiver::on_dead_letter`](super::ByteJoinableReceiver::on_dead_letter).
    pub fn on_dead_letter(&mut self, hook: impl FnMut(&DeadLetter<Vec<u8>>) + Send + 'static) {
        self.hook = Some(Box::new(hook));
    }

    /// Takes the oldest dead letter out, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`](crate::Error::Forked), [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn take_dead_letter(&mut self) -> Result<Option<DeadLetter<Vec<u8>>>> {
        self.desk.take_letter()
    }

    /// How many dead letters there are.
    pub fn dead_letters(&self) -> u64 {
        self.desk.dead_letters()
    }

    /// How many items wait to be received, those that were given back included.
    pub fn len(&self) -> u64 {
        self.desk.waiting()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a send would wait now. What was given back takes no room.
    pub fn is_full(&self) -> bool {
        self.items.is_full()
    }

    /// The most items that wait to be received; `None` for an unbounded queue. Leased ones do not count.
    pub fn capacity(&self) -> Option<u64> {
        self.items.capacity()
    }

    /// Whether this handle goes on while nobody has the receiving side: the next worker may open the queue by its name, or
    /// the only one is being started again. Then items are put as long as there is room, and a join waits on. Off at first:
    /// both fail with [`Error::Disconnected`](crate::Error::Disconnected) when the last receiver is gone.
    ///
    /// ```
    /// use slipring::joinable::JoinableOptions;
    /// use slipring::{ByteJoinableReceiver, ByteJoinableSender, Error, Named, Until};
    ///
    /// # let name = format!("doc-patient-tasks-{}", std::process::id());
    /// # let name = name.as_str();
    /// let mut sender = ByteJoinableSender::create(name, JoinableOptions::bounded(8))?;
    /// drop(ByteJoinableReceiver::open(name)?);
    /// assert!(matches!(sender.send(b"task"), Err(Error::Disconnected)));
    /// sender.set_patient(true);
    /// sender.send(b"task")?;
    /// assert!(matches!(sender.join_until(Until::NOW), Err(Error::WouldBlock)));
    /// ByteJoinableReceiver::open(name)?.recv()?.done()?;
    /// sender.join()?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_patient(&mut self, on: bool) {
        self.items.set_patient(on);
    }

    /// Closes the queue for everybody: sends fail, receivers get what is there and then [`Error::Closed`](crate::Error::Closed).
    pub fn close(&self) {
        self.items.close();
    }

    /// Another handle, for another thread. It has no hook.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn try_clone(&self) -> Result<Self> {
        self.desk.me()?;
        let mut another = Self::new(self.handle().clone())?;
        another.set_patient(self.items.end().is_patient);
        Ok(another)
    }

    pub(super) fn items(&self) -> &queue::ByteSender {
        &self.items
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.items.end().handle
    }
}

impl fmt::Debug for ByteJoinableSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ByteJoinableSender");
        text.field("len", &self.len()).field("unfinished", &self.unfinished());
        text.finish_non_exhaustive()
    }
}
