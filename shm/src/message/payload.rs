//! Messages in blocks: a [`Loan`] to fill and send, a [`View`] to read and drop.
//!
//! A block belongs to the process that has it in hand. It may be written by a peer gone mad all the same, so what is
//! read from it is copied out; whoever trusts all processes of the segment may borrow it as a slice, which is `unsafe`.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use slipring_core::block::{AllocError, BlockRef, Magazines};
use slipring_core::owner::OwnerId;

use crate::member::Attachment;
use crate::memory::Regions;
use crate::{Error, Result};

/// How long a sender that finds no block waits for one who has some in hand to give their memory back.
const GIVERS_MILLIS: u32 = 100;

/// A block in this process's hands. Dropping it frees it; in a forked child, where it is still the parent's, it does not.
#[derive(Debug)]
struct Held {
    attachment: Arc<Attachment>,
    me: OwnerId,
    block: BlockRef,
    len: u64,
}

impl Held {
    fn at(&self) -> NonNull<u8> {
        self.attachment.pool.payload(self.block)
    }

    /// Panics unless `len` bytes at `offset` are inside.
    fn check(&self, offset: usize, len: usize) {
        let fits = offset.checked_add(len).is_some_and(|end| end as u64 <= self.len);
        assert!(fits, "{len} bytes at {offset} of a message of {}", self.len);
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        self.check(offset, into.len());
        // SAFETY: the range lies in the block, whose first `len` bytes are committed.
        // SAFETY: `into` is private, so the two do not overlap.
        unsafe {
            let from = self.at().as_ptr().add(offset);
            from.copy_to_nonoverlapping(into.as_mut_ptr(), into.len());
        }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        if self.attachment.me().is_ok_and(|me| me == self.me) {
            self.attachment.pool.free_now(self.block, self.me);
        }
    }
}

/// Memory for a message, to be filled in place and sent. What is in it at first is arbitrary. Dropping it gives it back.
///
/// Bytes are written with [`io::Write`] one behind the other, or with [`Loan::write_at`].
///
/// ```
/// use std::io::Write;
/// use slipring::{ByteQueue, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 4)?;
/// let mut loan = sender.loan(1 << 20)?;
/// loan.write_all(b"a frame of video").unwrap();
/// loan.write_at((1 << 20) - 3, b"end");
/// sender.send_loan(loan)?;
///
/// let view = receiver.recv_view()?;
/// let mut start = [0; 7];
/// view.read_at(0, &mut start);
/// assert_eq!((view.len(), &start), (1 << 20, b"a frame"));
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct Loan {
    held: Held,
    written: usize,
    marked: bool,
}

impl Loan {
    /// A block for `len` bytes.
    #[inline]
    pub(crate) fn new(
        attachment: Arc<Attachment>,
        magazines: &mut Magazines,
        len: usize,
        me: OwnerId,
    ) -> Result<Self> {
        let block = alloc(&attachment, magazines, len as u64, me)?;
        Ok(Self {
            held: Held { attachment, me, block, len: len as u64 },
            written: 0,
            marked: false,
        })
    }

    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.held.len as usize
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.held.len == 0
    }

    /// Copies `bytes` to `offset` of the message.
    ///
    /// # Panics
    ///
    /// Where they do not fit.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        self.held.check(offset, bytes.len());
        // SAFETY: the range lies in the block, whose first `len` bytes are committed.
        // SAFETY: `bytes` are private, so the two do not overlap.
        unsafe {
            let to = self.held.at().as_ptr().add(offset);
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    /// The first byte; [`Loan::len`] bytes from there may be written until the loan is sent or dropped.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.held.at().as_ptr()
    }

    /// The message as a slice.
    ///
    /// # Safety
    ///
    /// No process of the segment writes to memory that is not its own: all of them run code that you trust.
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        let (at, len) = (self.held.at(), self.len());
        // SAFETY: the block is ours alone, by the caller's word, and its first `len` bytes are committed; all bit
        // patterns are valid bytes.
        unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), len) }
    }

    /// Makes the message shorter.
    ///
    /// # Panics
    ///
    /// If `len` is more than [`Loan::len`].
    pub fn truncate(&mut self, len: usize) {
        self.held.check(0, len);
        self.held.len = len as u64;
    }

    /// Has the message sent with a mark, as [`send_message`](crate::ByteSender::send_message) does, or without, as it is at
    /// first. Queues have marks; what else loans are sent through passes over it.
    ///
    /// ```
    /// use slipring::{ByteQueue, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 4)?;
    /// let mut loan = sender.loan(3)?;
    /// loan.write_at(0, b"one");
    /// loan.set_marked(true);
    /// sender.send_loan(loan)?;
    /// assert!(receiver.recv_message(&mut Vec::new(), 100, Until::NEVER)?.marked);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn set_marked(&mut self, marked: bool) {
        self.marked = marked;
    }

    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.marked
    }

    /// Looks whether it is a block of this segment, taken by this process.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignLoan`].
    pub(crate) fn check(&self, attachment: &Arc<Attachment>, me: OwnerId) -> crate::Result<()> {
        let is_ours = Arc::ptr_eq(&self.held.attachment, attachment) && self.held.me == me;
        if is_ours { Ok(()) } else { Err(crate::Error::ForeignLoan) }
    }

    pub(crate) fn block(&self) -> (BlockRef, u64) {
        (self.held.block, self.held.len)
    }

    /// It was sent: not ours any more. What is left of it may serve the next one.
    #[inline]
    pub(crate) fn sent(self) -> Arc<Attachment> {
        let Self { held, .. } = self;
        let held = std::mem::ManuallyDrop::new(held);
        // SAFETY: read once from a value that is never dropped.
        unsafe { std::ptr::read(&raw const held.attachment) }
    }
}

impl io::Write for Loan {
    /// Writes behind what was written last; 0 when the message is full.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.len().saturating_sub(self.written));
        self.write_at(self.written, &bytes[..count]);
        self.written += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A received message where it lies. It keeps its memory and nothing else: drop it to give that back.
///
/// ```
/// use slipring::{ByteQueue, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 4)?;
/// sender.send(b"some words to count")?;
/// let view = receiver.recv_view()?;
/// assert_eq!(view.to_vec(), b"some words to count");
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct View(Content);

#[derive(Debug)]
enum Content {
    Block(Held),
    Private(Vec<u8>),
}

impl View {
    /// A block that has just been taken from a ring.
    #[inline]
    pub(crate) fn block(
        attachment: &Arc<Attachment>,
        block: BlockRef,
        len: u64,
        me: OwnerId,
    ) -> Self {
        Self(Content::Block(Held { attachment: attachment.clone(), me, block, len }))
    }

    /// A message that was no block.
    pub(crate) fn private(bytes: Vec<u8>) -> Self {
        Self(Content::Private(bytes))
    }

    /// Bytes of the message.
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::Block(held) => held.len as usize,
            Content::Private(bytes) => bytes.len(),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the bytes from `offset` on, as many as `into` holds.
    ///
    /// # Panics
    ///
    /// Where the message is shorter than that.
    pub fn read_at(&self, offset: usize, into: &mut [u8]) {
        match &self.0 {
            Content::Block(held) => held.read(offset, into),
            Content::Private(bytes) => into.copy_from_slice(&bytes[offset..offset + into.len()]),
        }
    }

    /// A copy of the message.
    pub fn to_vec(&self) -> Vec<u8> {
        match &self.0 {
            Content::Block(held) => copy_out(&held.attachment, held.block, held.len),
            Content::Private(bytes) => bytes.clone(),
        }
    }

    /// Whether it is a block of shared memory. If not, it is private memory: the message was so short that it had no
    /// block.
    pub fn is_block(&self) -> bool {
        matches!(self.0, Content::Block(_))
    }

    /// The segment's file, and where in it the message begins, if it is a block.
    pub(crate) fn place_in_file(&self) -> Option<(BorrowedFd<'_>, u64)> {
        let Content::Block(held) = &self.0 else { return None };
        let mapping = &held.attachment.mapping;
        let start = mapping.ptr(0, 0).ok()?;
        Some((held.attachment.fd().ok()?, (held.at().addr().get() - start.addr().get()) as u64))
    }

    /// The first byte, to write to: the memory is this view's alone, and nobody else sees what is done to it. [`View::len`]
    /// bytes from there may be read and written while the view lives.
    ///
    /// ```
    /// use slipring::{ByteQueue, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 4)?;
    /// sender.send(b"some words to change")?;
    /// let mut view = receiver.recv_view()?;
    /// // SAFETY: the message has a first byte, and no slice of the view is in use.
    /// unsafe { view.as_mut_ptr().write(b'S') };
    /// assert!(view.is_block() && view.to_vec() == b"Some words to change");
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        match &mut self.0 {
            Content::Block(held) => held.at().as_ptr(),
            Content::Private(bytes) => bytes.as_mut_ptr(),
        }
    }

    /// The first byte; [`View::len`] bytes from there may be read while the view lives.
    pub fn as_ptr(&self) -> *const u8 {
        match &self.0 {
            Content::Block(held) => held.at().as_ptr(),
            Content::Private(bytes) => bytes.as_ptr(),
        }
    }

    /// The message as a slice.
    ///
    /// # Safety
    ///
    /// No process of the segment writes to memory that is not its own: all of them run code that you trust.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the block is ours alone, by the caller's word, and its first `len` bytes are committed.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }
}

/// A block of `me`'s for `len` bytes.
#[inline]
pub(crate) fn alloc(
    attachment: &Attachment,
    magazines: &mut Magazines,
    len: u64,
    me: OwnerId,
) -> Result<BlockRef> {
    match attachment.pool.alloc(magazines, len, me, attachment.regions()) {
        Ok(block) => Ok(block),
        Err(error) => alloc_again(attachment, magazines, (len, me), alloc_error(error, len)),
    }
}

/// Where memory is short, what the dead had and what lies free is looked for before it is said so.
#[cold]
fn alloc_again(
    attachment: &Attachment,
    magazines: &mut Magazines,
    (len, me): (u64, OwnerId),
    error: Error,
) -> Result<BlockRef> {
    let is_relieved = match error {
        Error::NoSpace { .. } | Error::Budget { .. } => {
            // In this order: what the dead had lies free then.
            let buried = attachment.reap_now();
            attachment.trim(me) > 0 || buried > 0
        }
        Error::NoBlock { .. } => attachment.reap_now() > 0 || outwait_giver(attachment),
        _ => false,
    };
    if !is_relieved {
        return Err(error);
    }
    attachment
        .pool
        .alloc(magazines, len, me, attachment.regions())
        .map_err(|error| alloc_error(error, len))
}

/// Waits while another process has free blocks in hand to give their memory back. Whether there was one.
fn outwait_giver(attachment: &Attachment) -> bool {
    let is_giving = || attachment.pool.is_giving_back();
    if !is_giving() {
        return false;
    }
    // It may have been stopped.
    for _ in 0..GIVERS_MILLIS {
        std::thread::sleep(Duration::from_millis(1));
        if !is_giving() {
            break;
        }
    }
    true
}

#[cold]
fn alloc_error(error: AllocError<Error>, len: u64) -> Error {
    match error {
        AllocError::TooLong(max) => Error::TooLong { len, max },
        AllocError::Exhausted { block, count } => Error::NoBlock { len, block, count },
        AllocError::Backing(error) => error,
    }
}

/// A block of `me`'s with a copy of `bytes`.
#[inline]
pub(crate) fn alloc_copy(
    attachment: &Attachment,
    magazines: &mut Magazines,
    bytes: &[u8],
    me: OwnerId,
) -> Result<BlockRef> {
    let block = alloc(attachment, magazines, bytes.len() as u64, me)?;
    // SAFETY: the block holds as many bytes, committed, and is ours; `bytes` are private.
    unsafe {
        let to = attachment.pool.payload(block).as_ptr();
        to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
    Ok(block)
}

/// Appends the first `len` bytes of a block that is in our hands to `into`.
#[inline]
pub(crate) fn append_block(regions: &Regions, block: BlockRef, len: u64, into: &mut Vec<u8>) {
    let len = len as usize;
    into.reserve(len);
    // SAFETY: the block's first `len` bytes are committed, which whoever took it has checked; the spare capacity is
    // at least `len` bytes, private, and initialised by the copy before it counts.
    unsafe {
        let from = regions.pool.payload(block).as_ptr();
        from.copy_to_nonoverlapping(into.as_mut_ptr().add(into.len()), len);
        into.set_len(into.len() + len);
    }
}

fn copy_out(regions: &Regions, block: BlockRef, len: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_block(regions, block, len, &mut bytes);
    bytes
}
