//! The receiving side of a queue.

use std::fmt;

use slipring_core::block::{Descriptor, Magazines, Returns};
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::chain::Bound;
use slipring_core::ring::mpmc::PopError;

use super::end::End;
use crate::member::{Handle, Lookout, Wait};
use crate::message::{Batch, Message, Note, Taken, View};
use crate::object::Role;
use crate::wait::Until;
use crate::{Error, Result};

/// Receives byte messages from a queue. Clone it for another thread; other processes get theirs by fork or through
/// [`Handoff`](crate::Handoff).
///
/// ```
/// use slipring::{ByteQueue, Error, Segment, Until};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::unbounded(&segment)?;
/// sender.send_batch(["a", "b", "c", "d"], Until::NEVER)?;
/// drop(sender);
///
/// let mut buffer = Vec::new();
/// assert_eq!(receiver.recv_into(&mut buffer, Until::NEVER)?, 1);
/// assert_eq!(receiver.recv_batch(2, Until::NEVER)?, [b"b", b"c"]);
/// assert_eq!(receiver.recv_view()?.to_vec(), b"d");
/// assert!(matches!(receiver.try_recv(), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
pub struct ByteReceiver {
    /// Goes before `end`: whoever drops the last handle needs a note line to empty the queue.
    taker: Taker,
    end: End,
    lookout: Lookout,
}

/// What one receiving handle needs to take messages safely.
struct Taker {
    note: Note,
    returns: Returns,
    /// The descriptor that was taken last.
    word: u64,
}

impl ByteReceiver {
    /// The receiver that `handle` is.
    pub(super) fn from_handle(handle: Handle) -> Result<Self> {
        Self::new(End::of(handle, Role::Second)?)
    }

    fn new(end: End) -> Result<Self> {
        let note = Note::new(end.handle.attachment(), end.me)?;
        Ok(Self {
            taker: Taker { note, returns: Returns::default(), word: 0 },
            end,
            lookout: Lookout::default(),
        })
    }

    /// The oldest message, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when the last sender is gone and everything was taken, [`Error::Closed`] likewise.
    pub fn recv(&mut self) -> Result<Vec<u8>> {
        self.recv_until(Until::NEVER)
    }

    /// The oldest message, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when the queue is empty, and as [`ByteReceiver::recv`].
    pub fn try_recv(&mut self) -> Result<Vec<u8>> {
        self.recv_until(Until::NOW)
    }

    /// The oldest message, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`ByteReceiver::recv`].
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<Vec<u8>> {
        let mut message = Vec::new();
        self.recv_into(&mut message, until)?;
        Ok(message)
    }

    /// As [`ByteReceiver::recv_until`], into a buffer that keeps its capacity: what was in it is replaced. Returns the
    /// length of the message.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv_until`]; the buffer is empty then.
    #[inline]
    pub fn recv_into(&mut self, buffer: &mut Vec<u8>, until: impl Into<Until>) -> Result<usize> {
        buffer.clear();
        let me = self.ready()?;
        let taken = self.take(me, until.into())?;
        self.free_into(taken, me, buffer);
        self.announce(1);
        Ok(buffer.len())
    }

    /// Takes up to `max` messages, waiting for the first one only, and wakes senders once for all of them. They
    /// are copied to one buffer, and then shown to `each` in order. Returns how many there were.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv_until`], where there was not even one.
    pub fn recv_each(
        &mut self,
        max: usize,
        until: impl Into<Until>,
        mut each: impl FnMut(&[u8]),
    ) -> Result<usize> {
        let (me, mut until) = (self.ready()?, until.into());
        let (mut buffer, mut ends) = (Vec::new(), Vec::new());
        while ends.len() < max {
            match self.take(me, until) {
                Ok(message) => {
                    self.free_into(message, me, &mut buffer);
                    ends.push(buffer.len());
                    until = Until::NOW;
                }
                Err(error) if ends.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        // Before the caller's own work: senders need not wait for that.
        self.announce(ends.len());
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(&ends).for_each(|(start, end)| each(&buffer[start..*end]));
        Ok(ends.len())
    }

    /// As [`ByteReceiver::recv_each`], each message in a vector of its own.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv_until`], where there was not even one.
    pub fn recv_batch(&mut self, max: usize, until: impl Into<Until>) -> Result<Vec<Vec<u8>>> {
        let mut messages = Vec::new();
        self.recv_each(max, until, |message| messages.push(message.to_vec()))?;
        Ok(messages)
    }

    /// The oldest message where it lies, waiting for one for as long as it takes. Nothing is copied.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv`].
    #[inline]
    pub fn recv_view(&mut self) -> Result<View> {
        self.recv_view_until(Until::NEVER)
    }

    /// The oldest message where it lies, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv_until`].
    #[inline]
    pub fn recv_view_until(&mut self, until: impl Into<Until>) -> Result<View> {
        let me = self.ready()?;
        let taken = self.take(me, until.into())?;
        self.announce(1);
        Ok(match taken {
            Taken::Inline(len, bytes) => View::private(bytes[..usize::from(len)].to_vec()),
            Taken::Block(block, len) => View::block(self.end.handle.attachment(), block, len, me),
        })
    }

    /// The oldest message with its mark, waiting for one until a deadline: copied to `buffer` if it has at most `max_copy`
    /// bytes, and where it lies, in a view, if it has more. What was in the buffer is replaced.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv_until`]; the buffer is empty then.
    #[inline]
    pub fn recv_message(
        &mut self,
        buffer: &mut Vec<u8>,
        max_copy: usize,
        until: impl Into<Until>,
    ) -> Result<Message> {
        buffer.clear();
        let me = self.ready()?;
        let taken = self.take(me, until.into())?;
        let message = self.hand_over(taken, me, max_copy, buffer);
        self.announce(1);
        Ok(message)
    }

    /// Takes up to `max` messages with their marks, waiting for the first one only, and wakes senders once for all of
    /// them. What was in the batch is replaced. Returns how many there were.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv_until`], where there was not even one.
    pub fn recv_messages(
        &mut self,
        batch: &mut Batch,
        max: usize,
        until: impl Into<Until>,
    ) -> Result<usize> {
        let me = self.ready()?;
        let received = batch.fill(max, until.into(), |until, max_copy, buffer| {
            let taken = self.take(me, until)?;
            Ok(self.hand_over(taken, me, max_copy, buffer))
        })?;
        self.announce(received);
        Ok(received)
    }

    /// How many messages are in the queue: exact if nobody is at work meanwhile.
    pub fn len(&self) -> u64 {
        self.end.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a send would wait now.
    pub fn is_full(&self) -> bool {
        self.end.capacity().is_some_and(|capacity| self.len() >= capacity)
    }

    /// The most messages that the queue holds; `None` for an unbounded one.
    pub fn capacity(&self) -> Option<u64> {
        self.end.capacity()
    }

    /// How many processes have the sending side. One that died counts until somebody has noticed.
    pub fn senders(&self) -> u32 {
        self.end.count_holders(Role::First)
    }

    /// Whether receives wait for messages while nobody has the sending side: somebody may open the queue by its name.
    /// Off at first: they fail with [`Error::Disconnected`] when the last sender is gone and everything was taken.
    pub fn set_patient(&mut self, on: bool) {
        self.end.is_patient = on;
    }

    /// Closes the queue for everybody, as [`ByteSender::close`](super::ByteSender::close).
    pub fn close(&self) {
        self.end.close();
    }

    /// Another handle, for another thread.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyHandles`], [`Error::Forked`].
    pub fn try_clone(&self) -> Result<Self> {
        Self::new(self.end.another()?)
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.end.handle
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }

    /// Who we are; after a fork, nothing that was the parent's is ours.
    #[inline]
    fn ready(&mut self) -> Result<OwnerId> {
        let me = self.end.handle.attachment().me()?;
        if me != self.end.me {
            self.taker.note.renew(me)?;
            self.taker.returns = Returns::default();
            self.end.me = me;
        }
        Ok(me)
    }

    fn announce(&self, taken: usize) {
        if taken > 0 && matches!(self.end.bound, Bound::Bounded(_)) {
            let taken = u32::try_from(taken).unwrap_or(u32::MAX);
            self.end.chain().not_full.notify_after_rmw(taken, Scope::Shared);
        }
    }

    /// Copies what was taken out of its block, and frees that.
    #[inline]
    fn free_into(&mut self, taken: Taken, me: OwnerId, into: &mut Vec<u8>) {
        taken.free_into(self.end.handle.attachment(), me, &mut self.taker.returns, into);
    }

    /// What was taken just now: copied to `into`, or as a view if it has more than `max_copy` bytes.
    #[inline]
    fn hand_over(
        &mut self,
        taken: Taken,
        me: OwnerId,
        max_copy: usize,
        into: &mut Vec<u8>,
    ) -> Message {
        let marked = Descriptor::is_marked(self.taker.word);
        let view = match taken {
            Taken::Block(block, len) if len > max_copy as u64 => {
                Some(View::block(self.end.handle.attachment(), block, len, me))
            }
            taken => {
                self.free_into(taken, me, into);
                None
            }
        };
        Message { marked, view, lease: None }
    }

    /// Takes the oldest message.
    #[inline]
    fn take(&mut self, me: OwnerId, until: Until) -> Result<Taken> {
        match self.taker.try_take(&mut self.end, me)? {
            Some(taken) => Ok(taken),
            None => self.take_slow(me, until),
        }
    }

    #[cold]
    fn take_slow(&mut self, me: OwnerId, until: Until) -> Result<Taken> {
        if until.is_now() {
            return self.take_now(me);
        }
        let Self { end, taker, .. } = self;
        let mut spin = end.spin.clone();
        let attachment = end.handle.attachment().clone();
        let mut wait = Wait::new(&attachment, Some(&mut spin), until.deadline());
        // The chain's words outlive the loan of `end` to the closure: they live as long as the handle.
        let news: *const _ = &raw const end.chain().not_empty;
        // SAFETY: shared memory that stays mapped as long as `end.handle`, which outlives this call.
        let news = unsafe { &*news };
        // Senders notify after a locked instruction: the sleeper need not fence them.
        let taken = news.wait_until(&mut wait, FenceMode::Symmetric, |_| {
            taker.take_or_end(end, me).transpose()
        });
        self.end.spin = spin;
        taken?
    }

    /// One more look, and now and then one at who is dead. Who polls never sleeps: memory goes back from here.
    fn take_now(&mut self, me: OwnerId) -> Result<Taken> {
        self.end.handle.attachment().tidy();
        if self.lookout.is_time() {
            self.end.handle.attachment().reap();
        }
        self.taker.take_or_end(&mut self.end, me)?.ok_or(Error::WouldBlock)
    }
}

impl Taker {
    /// A message, nothing yet, or the reason why there will be none.
    fn take_or_end(&mut self, end: &mut End, me: OwnerId) -> Result<Option<Taken>> {
        let open = end.check_open();
        // Only now: what was sent before the last sender went is there to be taken.
        match self.try_take(end, me)? {
            Some(taken) => Ok(Some(taken)),
            None => open.map(|()| None),
        }
    }

    #[inline]
    fn try_take(&mut self, end: &mut End, me: OwnerId) -> Result<Option<Taken>> {
        loop {
            let cursor = &end.cursor;
            let note = &*self.note;
            let mut noted = false;
            let popped = cursor.ring.pop(|position, word| {
                if Descriptor::block_of(word).is_some() {
                    note.write(cursor.ring_id, position, word);
                    noted = true;
                    crash_point!("queue.recv.noted");
                }
            });
            let taken = popped.map(|(position, word)| {
                self.word = word;
                let attachment = end.handle.attachment();
                let taken = Taken::settle(attachment, me, cursor.ring_id, position, word);
                crash_point!("queue.recv.settled");
                taken
            });
            if noted {
                note.erase();
                crash_point!("queue.recv.erased");
            }
            match taken {
                Ok(taken) => return taken.map(Some),
                Err(PopError::Empty) => return Ok(None),
                Err(PopError::Corrupt) => {
                    return Err(Error::Corrupt { what: "a queue's ring is damaged" });
                }
                Err(PopError::Drained) => advance(end)?,
            }
        }
    }
}

/// On to the next ring: this one is drained.
#[cold]
pub(crate) fn advance(end: &mut End) -> Result<()> {
    let attachment = end.handle.attachment().clone();
    let mut cursor = super::end::Cursor { ..end.cursor };
    cursor.advance(&attachment, end.chain())?;
    end.chain().advance_head(cursor.level);
    end.cursor = cursor;
    Ok(())
}

impl Drop for ByteReceiver {
    fn drop(&mut self) {
        let Ok(me) = self.end.handle.attachment().me() else { return };
        if me == self.end.me {
            let pool = &self.end.handle.attachment().pool;
            pool.flush(&mut Magazines::default(), &mut self.taker.returns);
        }
    }
}

impl fmt::Debug for ByteReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteReceiver").field("len", &self.len()).finish_non_exhaustive()
    }
}
