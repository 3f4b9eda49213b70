//! The receiving side of a joinable queue: takes leases.

use std::fmt;
use std::sync::Arc;

use slipring_core::block::{BlockRef, Descriptor};
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU64, FenceMode, Ordering};
use slipring_core::ring::chain::Bound;
use slipring_core::ring::leases::Hold;
use slipring_core::ring::mpmc::PopError;

use super::desk::{Desk, SIDES};
use super::lease::ByteLease;
use super::letter::{DeadLetter, Hook};
use super::order::order_of;
use crate::member::{Handle, Lookout, Wait};
use crate::message::{Batch, Message, Note};
use crate::object::Role;
use crate::queue::family::expect_role;
use crate::queue::{self, End};
use crate::wait::Until;
use crate::{Error, Result};

/// Numbers for leases and handles of this process, each given once. Private memory.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

fn next_number() -> u64 {
    // ORDERING: Relaxed; each call gets another number, and nothing else matters.
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// Receives items of bytes from a joinable queue, as leases. Clone it for another thread; other processes get theirs by
/// fork or through [`Handoff`](crate::Handoff).
///
/// ```
/// use std::time::Duration;
/// use slipring::{ByteJoinableQueue, Error, Segment, Until};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteJoinableQueue::unbounded(&segment)?;
/// sender.send_batch(["a", "b"], Until::NEVER)?;
/// let (a, b) = (receiver.recv()?, receiver.try_recv()?);
/// assert!(matches!(receiver.recv_until(Duration::from_millis(1)), Err(Error::TimedOut)));
///
/// let id = a.into_id();
/// receiver.task_done(id)?;
/// assert!(matches!(receiver.task_done(id), Err(Error::LeaseEnded)));
/// b.done()?;
/// sender.join()?;
/// # Ok::<(), Error>(())
/// ```
pub struct ByteJoinableReceiver {
    /// Goes before `end`: whoever drops the last handle needs a note line to empty the queue.
    note: Note,
    end: End,
    pub(super) desk: Arc<Desk>,
    /// The entry that the next item goes into: there before the item is taken, so that a death costs nothing.
    claim: Option<Hold>,
    /// The entry that served last.
    last: u32,
    /// This handle's number: leases taken through it do not keep it waiting for their return.
    tag: u64,
    lookout: Lookout,
    hook: Option<Hook>,
}

impl ByteJoinableReceiver {
    /// The receiver that `handle` is.
    pub(super) fn from_handle(handle: Handle) -> Result<Self> {
        expect_role(&handle, Role::Second, SIDES)?;
        let desk = Arc::new(Desk::new(handle.clone())?);
        Self::at(End::new(handle)?, desk)
    }

    fn at(end: End, desk: Arc<Desk>) -> Result<Self> {
        let note = Note::new(end.handle.attachment(), end.me)?;
        let tag = next_number();
        Ok(Self {
            note,
            end,
            desk,
            claim: None,
            last: 0,
            tag,
            lookout: Lookout::default(),
            hook: None,
        })
    }

    /// A lease of the oldest item, waiting for one for as long as it takes. What was given back comes first.
    ///
    /// Where the last sender is gone and no item waits, this waits all the same while somebody else has a lease: that
    /// item may come back. Leases that were taken through this handle do not keep it waiting.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when the last sender is gone and nothing can come any more, [`Error::Closed`] likewise;
    /// [`Error::TooManyLeases`].
    pub fn recv(&mut self) -> Result<ByteLease> {
        self.recv_until(Until::NEVER)
    }

    /// A lease of the oldest item, if one waits.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when none does, and as [`ByteJoinableReceiver::recv`].
    pub fn try_recv(&mut self) -> Result<ByteLease> {
        self.recv_until(Until::NOW)
    }

    /// A lease of the oldest item, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`ByteJoinableReceiver::recv`].
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<ByteLease> {
        let (me, until) = (self.ready()?, until.into());
        match self.try_take(me)? {
            Some(lease) => Ok(lease),
            None => self.take_slow(me, until),
        }
    }

    /// The oldest item with its mark and the number of its lease, waiting for one until a deadline. It is copied to
    /// `buffer`, however long it is: the item itself stays the lease's until that ends. What was in the buffer is replaced.
    ///
    /// ```
    /// use slipring::{ByteJoinableQueue, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = ByteJoinableQueue::bounded(&segment, 4)?;
    /// sender.send_message(b"task", true, Until::NEVER)?;
    /// let mut buffer = Vec::new();
    /// let message = receiver.recv_message(&mut buffer, Until::NEVER)?;
    /// assert!(message.marked && message.view.is_none() && buffer == b"task");
    /// receiver.task_done(message.lease.unwrap())?;
    /// # Ok::<(), slipring::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableReceiver::recv_until`]; the buffer is empty then.
    pub fn recv_message(
        &mut self,
        buffer: &mut Vec<u8>,
        until: impl Into<Until>,
    ) -> Result<Message> {
        buffer.clear();
        let lease = self.recv_until(until)?;
        self.message_of(lease, buffer)
    }

    /// The item of a lease, copied to the end of `into`. What was said to be done before anybody had it is finished.
    #[inline]
    fn message_of(&self, lease: ByteLease, into: &mut Vec<u8>) -> Result<Message> {
        let hold = lease.hold();
        let mut message = lease.into_message(into);
        if self.desk.table.take_ahead(hold) {
            crash_point!("joinable.recv.ahead");
            // Nobody else can have ended it: it is not open to others.
            self.desk.finish(hold, self.end.me)?;
            message.lease = None;
        } else {
            self.desk.table.open_to_others(hold, self.tag);
        }
        Ok(message)
    }

    /// Takes leases of up to `max` items, waiting for the first one only: each as by
    /// [`ByteJoinableReceiver::recv_message`], one after the other. What was in the batch is dropped, and all items are
    /// copied. Returns how many there were.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableReceiver::recv_until`], where there was not even one.
    pub fn recv_messages(
        &mut self,
        batch: &mut Batch,
        max: usize,
        until: impl Into<Until>,
    ) -> Result<usize> {
        batch.fill(max, until.into(), |until, _, buffer| {
            let lease = self.recv_until(until)?;
            self.message_of(lease, buffer)
        })
    }

    /// Calls `hook` with each item that this handle sets aside. It is called once for an item at most, in the process
    /// that notices: whoever looks for work, or joins, after the item came back too often. The letter stays to be taken.
    pub fn on_dead_letter(&mut self, hook: impl FnMut(&DeadLetter<Vec<u8>>) + Send + 'static) {
        self.hook = Some(Box::new(hook));
    }

    /// Takes the oldest dead letter out, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Corrupt`].
    pub fn take_dead_letter(&mut self) -> Result<Option<DeadLetter<Vec<u8>>>> {
        self.ready()?;
        self.desk.take_letter()
    }

    /// How many dead letters there are.
    pub fn dead_letters(&self) -> u64 {
        self.desk.dead_letters()
    }

    /// Waits until every item that was ever put is finished, or a deadline.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableSender::join_until`](super::ByteJoinableSender::join_until), but for
    /// [`Error::Disconnected`].
    pub fn join_until(&mut self, until: impl Into<Until>) -> Result<()> {
        self.ready()?;
        self.desk.join(until.into(), self.end.is_patient, &mut self.hook)
    }

    /// How many items were put and are not finished: true at a moment during the call.
    pub fn unfinished(&self) -> u64 {
        self.desk.unfinished()
    }

    /// How many items wait to be received, those that were given back included.
    pub fn len(&self) -> u64 {
        self.desk.waiting()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most items that wait to be received; `None` for an unbounded queue. Leased ones do not count.
    pub fn capacity(&self) -> Option<u64> {
        self.end.capacity()
    }

    /// Whether receives wait for items while nobody has the sending side: somebody may open the queue by its name. Off at
    /// first: they fail with [`Error::Disconnected`] when the last sender is gone and nothing can come any more.
    pub fn set_patient(&mut self, on: bool) {
        self.end.is_patient = on;
    }

    /// Closes the queue for everybody: sends fail, receivers get what is there and then [`Error::Closed`].
    pub fn close(&self) {
        self.end.close();
    }

    /// Another handle, for another thread. It has no hook.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyHandles`], [`Error::Forked`].
    pub fn try_clone(&self) -> Result<Self> {
        Self::at(self.end.another()?, self.desk.clone())
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.end.handle
    }

    /// Who we are; after a fork, nothing that was the parent's is ours.
    #[inline]
    pub(super) fn ready(&mut self) -> Result<OwnerId> {
        let me = self.desk.me()?;
        if me != self.end.me {
            self.note.renew(me)?;
            self.claim = None;
            self.end.me = me;
        }
        Ok(me)
    }

    #[cold]
    fn take_slow(&mut self, me: OwnerId, until: Until) -> Result<ByteLease> {
        if until.is_now() {
            if self.lookout.is_time() {
                self.desk.attachment().reap();
            }
            return self.take_or_end(me)?.ok_or(Error::WouldBlock);
        }
        let mut spin = self.end.spin.clone();
        let attachment = self.desk.attachment().clone();
        let mut wait = Wait::new(&attachment, Some(&mut spin), until.deadline());
        // The chain's words outlive the loan of `self` to the closure: they live as long as the handle.
        let news: *const _ = &raw const self.end.chain().not_empty;
        // SAFETY: shared memory that stays mapped as long as `self.end.handle`, which outlives this call.
        let news = unsafe { &*news };
        // Senders notify after a locked instruction: the sleeper need not fence them.
        let taken =
            news.wait_until(&mut wait, FenceMode::Symmetric, |_| self.take_or_end(me).transpose());
        self.end.spin = spin;
        taken?
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }

    /// Whether a receive would not wait: an item waits, or there will be none.
    pub(super) fn has_item_or_end(&self) -> bool {
        // Looked at in the order of `take_or_end`, for the same reasons.
        let open = self.end.check_open();
        if self.desk.table.next_given_back().is_some() || self.end.has_message() {
            return true;
        }
        let ours = |me| self.desk.table.tagged(me, self.tag);
        open.is_err() && self.desk.me().is_ok_and(|me| self.desk.kept() == ours(me))
    }

    /// A lease, nothing yet, or the reason why there will be none.
    fn take_or_end(&mut self, me: OwnerId) -> Result<Option<ByteLease>> {
        let open = self.end.check_open();
        // Only now: what was sent before the last sender went is there to be taken.
        if let Some(lease) = self.try_take(me)? {
            return Ok(Some(lease));
        }
        // What others have may come back. Ours are counted after the whole, so they are never more than they were then.
        match open {
            Err(end) if self.desk.kept() == self.desk.table.tagged(me, self.tag) => Err(end),
            _ => Ok(None),
        }
    }

    #[inline]
    fn try_take(&mut self, me: OwnerId) -> Result<Option<ByteLease>> {
        match self.take_again(me)? {
            Some(lease) => Ok(Some(lease)),
            None => self.take_new(me),
        }
    }

    /// An item that was given back. One that came back too often is set aside instead.
    #[inline]
    fn take_again(&mut self, me: OwnerId) -> Result<Option<ByteLease>> {
        let Self { desk, hook, .. } = self;
        while let Some(seen) = desk.table.next_given_back() {
            if desk.table.is_overdue(seen) {
                desk.set_aside(seen, me, hook);
                continue;
            }
            let Some(hold) = desk.table.lease_again(seen, me) else { continue };
            crash_point!("joinable.recv.leased_again");
            desk.table.label(hold, next_number(), self.tag);
            return match desk.take_over(hold, me) {
                Ok(block) => {
                    crash_point!("joinable.recv.taken_over");
                    Ok(Some(ByteLease::new(desk, hold, block, me)))
                }
                Err(corrupt) => {
                    let _ = desk.finish(hold, me);
                    Err(corrupt)
                }
            };
        }
        Ok(None)
    }

    /// The oldest item of the ring.
    fn take_new(&mut self, me: OwnerId) -> Result<Option<ByteLease>> {
        let Self { desk, end, .. } = self;
        let claim = match self.claim {
            Some(claim) => claim,
            None => {
                let claim = desk.table.claim(me, self.last);
                claim.ok_or(Error::TooManyLeases { max: desk.table.count() })?
            }
        };
        (self.claim, self.last) = (Some(claim), claim.index());
        let note = &*self.note;
        loop {
            let (level, ring_id) = (end.cursor.level, end.cursor.ring_id);
            let mut noted = false;
            let popped = end.cursor.ring.pop(|position, word| {
                desk.table.remember(claim, word, order_of(level, position));
                crash_point!("joinable.recv.remembered");
                note.write(ring_id, position, word);
                noted = true;
                crash_point!("joinable.recv.noted");
            });
            let moved = popped.map(|(position, word)| {
                self.claim = None;
                let moved = redirect(desk, claim, me, (ring_id, position), word);
                crash_point!("joinable.recv.redirected");
                moved
            });
            if noted {
                note.erase();
                crash_point!("joinable.recv.erased");
            }
            match moved {
                Ok(moved) => {
                    let lease = lease(desk, claim, me, moved, self.tag);
                    if matches!(end.bound, Bound::Bounded(_)) {
                        end.chain().not_full.notify_after_rmw(1, Scope::Shared);
                    }
                    return lease.map(Some);
                }
                Err(PopError::Empty) => return Ok(None),
                Err(PopError::Corrupt) => {
                    return Err(Error::Corrupt { what: "a queue's ring is damaged" });
                }
                Err(PopError::Drained) => queue::advance(end)?,
            }
        }
    }
}

/// Moves the block that we took from a ring to the claim's place, in one step: at no moment is it in nobody's hands.
fn redirect(
    desk: &Desk,
    claim: Hold,
    me: OwnerId,
    from: (u32, u64),
    word: u64,
) -> Option<(BlockRef, u64)> {
    let Some(Descriptor::Block { block, len }) = Descriptor::decode(word) else { return None };
    let attachment = desk.attachment();
    let block = attachment.pool.check(block, len)?;
    let ours = attachment.pool.control(block).redirect(from, me, (desk.table_id, claim.place()))
        && attachment.pool.is_committed(block, len, attachment.regions());
    ours.then_some((block, len))
}

/// The lease of what was taken. What turned out to be no item counts as finished, for it was counted as put.
fn lease(
    desk: &Arc<Desk>,
    claim: Hold,
    me: OwnerId,
    moved: Option<(BlockRef, u64)>,
    tag: u64,
) -> Result<ByteLease> {
    desk.table.label(claim, next_number(), tag);
    let leased = moved.and_then(|block| Some((block, desk.table.lease(claim, me)?)));
    let Some((block, hold)) = leased else {
        desk.table.spoil(claim, me);
        desk.announce_finished();
        return Err(Error::Corrupt {
            what: "a queue's message names a block that was not sent in it",
        });
    };
    crash_point!("joinable.recv.leased");
    Ok(ByteLease::new(desk, hold, block, me))
}

impl Drop for ByteJoinableReceiver {
    fn drop(&mut self) {
        let Ok(me) = self.desk.me() else { return };
        if me == self.end.me
            && let Some(claim) = self.claim
        {
            self.desk.table.unclaim(claim, me);
        }
    }
}

impl fmt::Debug for ByteJoinableReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ByteJoinableReceiver");
        text.field("len", &self.len()).field("unfinished", &self.unfinished());
        text.finish_non_exhaustive()
    }
}
