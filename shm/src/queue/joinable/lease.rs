//! A lease: an item in a worker's hands, until it is finished or given back.

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use slipring_core::block::BlockRef;
use slipring_core::owner::OwnerId;
use slipring_core::ring::leases::Hold;

use super::desk::Desk;
use crate::Result;
use crate::message::{Message, payload};

/// An item of bytes that this process works at, where it lies.
///
/// [`ByteLease::done`] finishes it. **Dropping it without that gives the item back**: it goes to the next who receives,
/// as another delivery. So does the death of this process.
///
/// It can be sent to another thread. After a fork it stays the parent's: the child's copy does nothing when it is dropped.
///
/// ```
/// use slipring::{ByteJoinableQueue, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteJoinableQueue::bounded(&segment, 4)?;
/// sender.send(b"task")?;
/// drop(receiver.recv()?); // not done
///
/// let lease = receiver.recv()?;
/// assert_eq!((lease.to_vec(), lease.deliveries()), (b"task".to_vec(), 2));
/// assert!(lease.is_redelivered());
/// lease.done()?;
/// assert_eq!(sender.unfinished(), 0);
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct ByteLease {
    desk: Arc<Desk>,
    hold: Hold,
    block: BlockRef,
    len: u64,
    me: OwnerId,
    /// Whether dropping it gives the item back.
    ours: bool,
}

impl ByteLease {
    pub(super) fn new(desk: &Arc<Desk>, hold: Hold, block: (BlockRef, u64), me: OwnerId) -> Self {
        Self { desk: desk.clone(), hold, block: block.0, len: block.1, me, ours: true }
    }

    /// Finishes the item: it is gone, and counts for [`join`](super::ByteJoinableSender::join).
    ///
    /// # Errors
    ///
    /// [`Error::LeaseEnded`](crate::Error::LeaseEnded) if it was ended by its id, or as this process's oldest;
    /// [`Error::NotYourLease`](crate::Error::NotYourLease) in a process that was forked since;
    /// [`Error::Forked`](crate::Error::Forked).
    #[inline]
    pub fn done(mut self) -> Result<()> {
        self.ours = false;
        self.desk.finish(self.hold, self.desk.me()?)
    }

    /// Gives the item back, as dropping does.
    ///
    /// # Errors
    ///
    /// As [`ByteLease::done`].
    pub fn give_back(mut self) -> Result<()> {
        self.ours = false;
        self.desk.give_back(self.hold, self.desk.me()?)
    }

    /// A number for the lease, which lives on: end it with [`task_done`](super::ByteJoinableReceiver::task_done) or
    /// [`give_back`](super::ByteJoinableReceiver::give_back). It goes back with this process, or with its last receiver
    /// of the queue.
    #[must_use = "without its id the lease can be ended only as the process's oldest"]
    pub fn into_id(mut self) -> u64 {
        self.ours = false;
        self.hold.id()
    }

    /// How many times the item was delivered, this time included: 1 for a new one, and counted to 65535.
    #[inline]
    pub fn deliveries(&self) -> u32 {
        self.hold.deliveries()
    }

    /// Whether somebody had it before and did not finish it.
    #[inline]
    pub fn is_redelivered(&self) -> bool {
        self.deliveries() > 1
    }

    /// Whether its sender marked it, as [`send_message`](super::ByteJoinableSender::send_message) does. Arbitrary if the
    /// lease was ended meanwhile by its id.
    #[inline]
    pub fn is_marked(&self) -> bool {
        self.desk.is_marked(self.hold)
    }

    /// Bytes of the message.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A copy of the message. Arbitrary bytes if the lease was ended meanwhile by its id.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append_to(&mut bytes);
        bytes
    }

    /// Appends the message to `into`.
    pub fn append_to(&self, into: &mut Vec<u8>) {
        payload::append_block(self.desk.attachment(), self.block, self.len, into);
    }

    /// Where it stands in the table.
    pub(super) fn hold(&self) -> Hold {
        self.hold
    }

    /// What a binding is told of the lease, which lives on; its message is appended to `into`.
    pub(super) fn into_message(self, into: &mut Vec<u8>) -> Message {
        self.append_to(into);
        Message { marked: self.is_marked(), view: None, lease: Some(self.into_id()) }
    }

    /// Copies the bytes from `offset` on, as many as `into` holds.
    ///
    /// # Panics
    ///
    /// Where the message is shorter than that.
    pub fn read_at(&self, offset: usize, into: &mut [u8]) {
        let fits = offset.checked_add(into.len()).is_some_and(|end| end <= self.len());
        assert!(fits, "{} bytes at {offset} of a message of {}", into.len(), self.len);
        // SAFETY: the range lies in the block, whose first `len` bytes are committed.
        // SAFETY: `into` is private, so the two do not overlap.
        unsafe {
            let from = self.at().as_ptr().add(offset);
            from.copy_to_nonoverlapping(into.as_mut_ptr(), into.len());
        }
    }

    /// The message as a slice.
    ///
    /// # Safety
    ///
    /// No process of the segment writes to memory that is not its own: all of them run code that you trust. Nobody ends
    /// this lease by its id, or as the process's oldest, while the slice is used.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the block is ours alone, by the caller's word, and its first `len` bytes are committed.
        unsafe { std::slice::from_raw_parts(self.at().as_ptr(), self.len()) }
    }

    fn at(&self) -> NonNull<u8> {
        self.desk.attachment().pool.payload(self.block)
    }
}

impl Drop for ByteLease {
    fn drop(&mut self) {
        // In a forked child it is the parent's.
        if self.ours && self.desk.me().is_ok_and(|me| me == self.me) {
            // It may have been ended by its id.
            let _ = self.desk.give_back(self.hold, self.me);
        }
    }
}

impl fmt::Debug for ByteLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ByteLease");
        text.field("len", &self.len).field("deliveries", &self.deliveries()).finish_non_exhaustive()
    }
}

/// An item that this process works at: gives the value. Otherwise as [`ByteLease`].
///
/// ```
/// use slipring::{JoinableQueue, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = JoinableQueue::<String>::bounded(&segment, 4)?;
/// sender.send(&"task".to_owned())?;
/// let lease = receiver.recv()?;
/// assert_eq!((lease.as_str(), lease.deliveries()), ("task", 1));
/// lease.done()?;
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct Lease<T> {
    value: T,
    bytes: ByteLease,
}

impl<T> Lease<T> {
    pub(super) fn new(value: T, bytes: ByteLease) -> Self {
        Self { value, bytes }
    }

    /// Finishes the item, as [`ByteLease::done`].
    ///
    /// # Errors
    ///
    /// As [`ByteLease::done`].
    pub fn done(self) -> Result<()> {
        self.bytes.done()
    }

    /// Finishes the item and gives its value.
    ///
    /// # Errors
    ///
    /// As [`ByteLease::done`].
    pub fn into_done(self) -> Result<T> {
        self.bytes.done().map(|()| self.value)
    }

    /// Gives the item back, as dropping does.
    ///
    /// # Errors
    ///
    /// As [`ByteLease::done`].
    pub fn give_back(self) -> Result<()> {
        self.bytes.give_back()
    }

    /// The value and a number for the lease, as [`ByteLease::into_id`].
    #[must_use = "without its id the lease can be ended only as the process's oldest"]
    pub fn into_id(self) -> (T, u64) {
        (self.value, self.bytes.into_id())
    }

    /// How many times the item was delivered, this time included, as [`ByteLease::deliveries`].
    pub fn deliveries(&self) -> u32 {
        self.bytes.deliveries()
    }

    /// Whether somebody had it before and did not finish it.
    pub fn is_redelivered(&self) -> bool {
        self.bytes.is_redelivered()
    }
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("value", &self.value).field("bytes", &self.bytes).finish()
    }
}
