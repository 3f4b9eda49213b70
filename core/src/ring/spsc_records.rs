//! A ring of byte records of any length, each contiguous in memory, between one producer and one consumer at a time.
//! Claim, commit, peek and release are wait-free; waiting for room or for a record sleeps on an event count. Several
//! processes may take turns at either end, under a lock of their own, and say so with `resume`. A record longer than
//! [`Producer::max_len`] does not pass: it belongs into a block, with a record that names it.
//!
//! The news of a record is its own first word, so neither side reads a word of the other's while the ring is neither
//! full nor empty.
//!
//! # Memory
//!
//! ```text
//! byte 0        +----------------------------------------------------------------+
//!               | size u64: bytes of the ring, a power of two                    |  written once, by `init`
//!     +128      +----------------------------------------------------------------+
//!               | head u64: first byte not released                              |  the consumer's
//!     +256      +----------------------------------------------------------------+
//!               | tail u64: where a new producer starts to look; may lag         |  the producer's
//!     +384      +----------------------------------------------------------------+
//!               | not_empty u32: event count                                     |  written when the consumer sleeps
//!     +512      +----------------------------------------------------------------+
//!               | not_full u32: event count                                      |  written when the producer sleeps
//!     +640      +----------------------------------------------------------------+
//!               | the ring: records, each at a multiple of 8                     |  the producer's
//!               +----------------------------------------------------------------+
//!
//! a record      | header word | len bytes | padding to 8 | extra: not touched    |
//!               |<----------------------- span --------------------------------->|
//!
//! header word    63   62  61                         34 33                   8 7     0
//!               +---+---+------------------------------+----------------------+-------+
//!               | 1 | P | len in bytes                 | span in 8 bytes      | kind  |
//!               +---+---+------------------------------+----------------------+-------+
//! ```
//!
//! | header word | meaning |
//! |---|---|
//! | 0 | terminator: nothing is published from here on |
//! | bit 63, P = 0 | a record; the next header is `span` further on |
//! | bit 63, P = 1 | padding: the record did not fit before the end of the ring and starts at index 0 |
//!
//! Header and bytes of a record never wrap; `extra` may, as nobody touches it. It is how a payload kept elsewhere
//! weighs on the ring and so holds its producer back.
//!
//! # Invariants
//!
//! * I1. `head <= tail` and `tail + 8 <= head + size`: the terminator at tail always has its room. (Here tail is the
//!   first terminator behind head; the shared word `tail` lags behind it for one step of a commit.)
//! * I2. From head, headers lead from record to record and end in the terminator.
//! * I3. A commit writes the next terminator before the header that makes it reachable, and one single store of a word
//!   that was the terminator publishes record and padding together.
//! * I4. Size, addresses and each side's own position are private: an index is masked with the private size, so shared
//!   memory cannot move an access out of the ring.
//! * I5. Each header is read once, then checked against I1 and the end of the ring, then used.
//!
//! # Ordering
//!
//! * E1 "the record": `commit`'s Release of the header → `header_at`'s Acquire. Publishes the bytes, the terminator
//!   behind them, and, where there is padding, the record's own header.
//! * E2 "the room": `release_to`'s Release of head → `refresh`'s Acquire. The consumer is done with the bytes before
//!   they are written again.
//! * E3 "publish, then look for sleepers": the event count's edge, for both words.
//! * E4 "the turn": between two producers, or two consumers, the caller's lock orders everything.
//!
//! # Crash points
//!
//! | killed | leaves | repaired by |
//! |---|---|---|
//! | in a claim, at any byte | bytes behind the terminator | nobody needs to: the next claim writes over them |
//! | after the next terminator | two terminators; the first one counts | as above |
//! | after the header behind the padding, before the padding | a record that no header leads to | as above |
//! | after the header, before `tail` | a published record, `tail` one record behind | `Producer::resume` walks to the terminator |
//! | that, and the consumer went on | `tail` behind head | `Producer::resume` starts at head |
//! | peeked and not released | a record that is delivered again | `Consumer::resume` starts at head |
//! | before a notification | a sleeper | sliced sleeps, [`Records::wake_all`] |
//!
//! # Examples
//!
//! ```
//! use slipring_core::futex::Scope;
//! use slipring_core::primitive::FenceMode;
//! use slipring_core::ring::spsc_records::{Layout, Records};
//!
//! let layout = Layout::new(256).unwrap();
//! let memory = std::alloc::Layout::from_size_align(layout.bytes(), layout.align()).unwrap();
//! // SAFETY: freshly allocated with the layout's size and alignment, and used by one producer and one consumer.
//! unsafe {
//!     let at = std::alloc::alloc(memory);
//!     Records::init(at, layout);
//!     let ring = Records::attach(at, layout.bytes()).unwrap();
//!     let mut producer = ring.producer(Scope::Private, FenceMode::Symmetric).unwrap();
//!     let mut consumer = ring.consumer(Scope::Private, FenceMode::Symmetric).unwrap();
//!
//!     let mut claim = producer.claim(5, 0).unwrap();
//!     claim.write(0, b"hello");
//!     claim.commit(7);
//!
//!     let record = consumer.peek().unwrap().unwrap();
//!     let mut bytes = [0; 5];
//!     record.copy_to(&mut bytes);
//!     assert_eq!((record.kind(), record.len(), &bytes), (7, 5, b"hello"));
//!     consumer.release();
//!     assert!(consumer.is_empty());
//!     std::alloc::dealloc(at, memory);
//! }
//! ```

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::{align_of, size_of};
use core::ptr::NonNull;

use super::{Corrupt, WaitError};
use crate::futex::Scope;
use crate::primitive::{AtomicU64, CachePadded, FenceMode, Ordering};
use crate::sync::EventCount;
use crate::wait::Waiter;
use words::{Word, Words};

/// The smallest ring, in bytes.
pub const MIN_SIZE: usize = 256;
/// The largest ring, in bytes.
pub const MAX_SIZE: usize = 1 << 28;

/// Bytes of a header word, and what every record's place is a multiple of.
const WORD: u64 = 8;

/// What stands before the ring: one cache line for each who writes.
#[repr(C)]
struct Header {
    /// Bytes of the ring. Written by `init` only.
    size: CachePadded<AtomicU64>,
    /// First byte not released. Written by the consumer, never decreases; a stale read costs the producer a "full"
    /// that is over.
    head: CachePadded<AtomicU64>,
    /// Where the last commit ended. Written by the producer after the header; may lag by one record, never leads.
    tail: CachePadded<AtomicU64>,
    /// Where the consumer sleeps.
    not_empty: CachePadded<EventCount>,
    /// Where the producer sleeps.
    not_full: CachePadded<EventCount>,
}

/// The size of a ring in memory.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    size: usize,
}

/// No ring has this size: it is not a power of two between [`MIN_SIZE`] and [`MAX_SIZE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeError;

/// This memory does not hold a ring of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachError {
    /// The address is not aligned to [`Layout::align`].
    Misaligned,
    /// The stated size is none that a ring can have.
    Size(u64),
    /// The memory ends before the ring does.
    Truncated {
        /// Bytes that the ring takes.
        needed: u64,
        /// Bytes that are there.
        available: u64,
    },
}

/// Why nothing was claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClaimError {
    /// There is no room until the consumer releases some.
    Full,
    /// Length and extra together are more than the ring is sure to hold, even empty.
    TooLong,
    /// The consumer's head is not where a sound consumer can have left it.
    Corrupt,
}

impl Layout {
    /// The layout of a ring of `size` bytes.
    ///
    /// # Errors
    ///
    /// A size that is not a power of two between [`MIN_SIZE`] and [`MAX_SIZE`].
    pub const fn new(size: usize) -> Result<Self, SizeError> {
        if size.is_power_of_two() && MIN_SIZE <= size && size <= MAX_SIZE {
            Ok(Self { size })
        } else {
            Err(SizeError)
        }
    }

    /// Bytes of memory that the ring takes.
    pub const fn bytes(&self) -> usize {
        size_of::<Header>() + self.size / WORD as usize * size_of::<Word>()
    }

    /// What the ring's address must be a multiple of.
    pub const fn align(&self) -> usize {
        align_of::<Header>()
    }

    /// Bytes of the ring itself.
    pub const fn size(&self) -> usize {
        self.size
    }
}

/// What a header word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    /// Whether it only fills the end of the ring.
    padding: bool,
    /// Bytes of the record.
    len: u64,
    /// Bytes from this header to the next.
    span: u64,
    /// The user's.
    kind: u8,
}

impl Entry {
    const PUBLISHED: u64 = 1 << 63;
    const PADDING: u64 = 1 << 62;
    const LEN_SHIFT: u32 = 34;
    const LEN_MASK: u64 = (1 << 28) - 1;
    const SPAN_SHIFT: u32 = 8;
    const SPAN_MASK: u64 = (1 << 26) - 1;

    const fn padding(span: u64) -> Self {
        Self { padding: true, len: 0, span, kind: 0 }
    }

    const fn encode(self) -> u64 {
        debug_assert!(self.len <= Self::LEN_MASK && self.span / WORD <= Self::SPAN_MASK);
        debug_assert!(self.span.is_multiple_of(WORD) && self.span >= WORD);
        Self::PUBLISHED
            | if self.padding { Self::PADDING } else { 0 }
            | (self.len << Self::LEN_SHIFT)
            | (self.span / WORD) << Self::SPAN_SHIFT
            | self.kind as u64
    }

    /// What `word` says when it stands at `position` of a ring of `size` bytes whose head is at `head`: `None` for the
    /// terminator. Checks I1 and that the record does not wrap (I5).
    const fn decode(
        word: u64,
        position: u64,
        head: u64,
        size: u64,
    ) -> Result<Option<Self>, Corrupt> {
        if word == 0 {
            return Ok(None);
        }
        let entry = Self {
            padding: word & Self::PADDING != 0,
            len: (word >> Self::LEN_SHIFT) & Self::LEN_MASK,
            span: ((word >> Self::SPAN_SHIFT) & Self::SPAN_MASK) * WORD,
            kind: word as u8,
        };
        let to_end = to_end(position, size);
        let shape = if entry.padding {
            entry.span == to_end
        } else {
            contiguous(entry.len) <= to_end && contiguous(entry.len) <= entry.span
        };
        let fits = position.wrapping_sub(head).saturating_add(entry.span) <= size - WORD;
        if word & Self::PUBLISHED != 0 && shape && fits { Ok(Some(entry)) } else { Err(Corrupt) }
    }
}

/// Bytes from `position` to where the ring ends.
const fn to_end(position: u64, size: u64) -> u64 {
    size - (position & (size - 1))
}

/// Bytes that a record's header and content take, without its extra.
const fn contiguous(len: u64) -> u64 {
    WORD + len.next_multiple_of(WORD)
}

/// Whether a tail of `tail` goes with a head of `head` (I1), and both are where a header can be.
const fn sound(head: u64, tail: u64, size: u64) -> bool {
    tail.wrapping_sub(head) <= size - WORD && head.is_multiple_of(WORD) && tail.is_multiple_of(WORD)
}

/// Where a record of `len` bytes goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plan {
    /// Padding before it.
    pad: u64,
    len: u64,
    span: u64,
}

impl Plan {
    /// The record's place behind `tail`; `None` where an empty ring would not be sure to hold it: in the worst case the
    /// padding is one word shorter than the record.
    const fn new(len: usize, extra: usize, tail: u64, size: u64) -> Option<Self> {
        if len > MAX_SIZE || extra > MAX_SIZE {
            return None;
        }
        let (len, extra) = (len as u64, (extra as u64).next_multiple_of(WORD));
        let contiguous = contiguous(len);
        if 2 * contiguous + extra > size {
            return None;
        }
        let to_end = to_end(tail, size);
        let pad = if contiguous <= to_end { 0 } else { to_end };
        Some(Self { pad, len, span: contiguous + extra })
    }

    /// Bytes that must be free: padding, record, terminator.
    const fn needed(self) -> u64 {
        self.pad + self.span + WORD
    }
}

/// A ring at an address, its geometry checked and copied. Makes producers and consumers.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    header: NonNull<Header>,
    words: Words,
    size: u64,
}

// SAFETY: the memory behind it is made to be shared; a `Records` by itself touches nothing but atomic words.
unsafe impl Send for Records {}
// SAFETY: as for `Send`.
unsafe impl Sync for Records {}

impl Records {
    /// Makes an empty ring. Touches the first page and no more.
    ///
    /// # Safety
    ///
    /// `at` is aligned to `layout.align()`, `layout.bytes()` bytes from it may be written, and nobody else uses them
    /// until this returns.
    pub unsafe fn init(at: *mut u8, layout: Layout) {
        let header = Header {
            size: CachePadded::new(AtomicU64::new(layout.size as u64)),
            head: CachePadded::new(AtomicU64::new(0)),
            tail: CachePadded::new(AtomicU64::new(0)),
            not_empty: CachePadded::new(EventCount::new()),
            not_full: CachePadded::new(EventCount::new()),
        };
        // SAFETY: aligned and writable by the caller's word; the words stand right behind the header.
        unsafe {
            at.cast::<Header>().write(header);
            Words::init(at.add(size_of::<Header>()).cast(), layout.size);
        }
    }

    /// Checks the ring at `at`, of which `available` bytes are mapped, and copies its geometry.
    ///
    /// # Errors
    ///
    /// What does not fit: the memory may hold anything.
    ///
    /// # Safety
    ///
    /// `available` bytes from `at` stay mapped, readable and writable, for as long as the ring or anything made from
    /// it is in use. What is there may be written by peers at any time, but through rings of this kind only, where
    /// they are threads of this process.
    pub unsafe fn attach(at: *mut u8, available: usize) -> Result<Self, AttachError> {
        let truncated = |needed: usize| AttachError::Truncated {
            needed: needed as u64,
            available: available as u64,
        };
        if !at.addr().is_multiple_of(align_of::<Header>()) {
            return Err(AttachError::Misaligned);
        }
        if available < size_of::<Header>() {
            return Err(truncated(size_of::<Header>()));
        }
        // SAFETY: aligned and long enough, checked above; mapped by the caller's word.
        // SAFETY: atomic words only, so peers may write behind the reference.
        let header = unsafe { &*at.cast::<Header>() };
        // ORDERING: Relaxed, once; whoever passed the address on published what `init` wrote.
        let size = header.size.load(Ordering::Relaxed);
        let layout = usize::try_from(size)
            .map_err(|_| SizeError)
            .and_then(Layout::new)
            .map_err(|SizeError| AttachError::Size(size))?;
        if available < layout.bytes() {
            return Err(truncated(layout.bytes()));
        }
        // SAFETY: `available` covers the header and the whole ring, checked above; null memory is not mapped.
        let (header, words) = unsafe {
            let words = at.add(size_of::<Header>());
            (NonNull::new_unchecked(at.cast()), NonNull::new_unchecked(words.cast()))
        };
        Ok(Self { header, words: Words::new(words, layout.size), size })
    }

    /// The one who claims and commits. Starts where the last one's turn ended, wherever it died.
    ///
    /// `scope` and `mode` say how a sleeping consumer is woken, and must be what the consumer uses.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where the words are what no sound peer leaves.
    ///
    /// # Safety
    ///
    /// No other producer of this ring is in use while this one is. (It may exist, if its owner waits for its turn and
    /// calls [`Producer::resume`] first.)
    pub unsafe fn producer(&self, scope: Scope, mode: FenceMode) -> Result<Producer, Corrupt> {
        let mut producer =
            Producer { ring: *self, tail: 0, head: 0, scope, mode, one_thread: PhantomData };
        producer.take_over()?;
        Ok(producer)
    }

    /// The one who peeks and releases. Starts at head: what the last one had peeked at and not released comes again.
    ///
    /// `scope` and `mode` say how a sleeping producer is woken, and must be what the producer uses.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where head is what no sound consumer leaves.
    ///
    /// # Safety
    ///
    /// No other consumer of this ring is in use while this one is. (It may exist, if its owner waits for its turn and
    /// calls [`Consumer::resume`] first.)
    pub unsafe fn consumer(&self, scope: Scope, mode: FenceMode) -> Result<Consumer, Corrupt> {
        let (first, shown) = (Cell::new(0), Cell::new(0));
        let mut consumer = Consumer { ring: *self, head: 0, first, shown, scope, mode };
        consumer.resume()?;
        Ok(consumer)
    }

    /// Bytes of the ring.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// About how many bytes are taken, padding and extra included. A glance: old when it returns.
    pub fn used(&self) -> u64 {
        // ORDERING: Relaxed, head first so that it is not ahead of tail; a hint.
        let head = self.header().head.load(Ordering::Relaxed);
        // ORDERING: as above.
        let tail = self.header().tail.load(Ordering::Relaxed);
        // Behind head, tail lags: then the ring is about empty.
        if sound(head, tail, self.size) { tail.wrapping_sub(head) } else { 0 }
    }

    /// Whether there is no record. A glance: old when it returns.
    pub fn is_empty(&self) -> bool {
        // ORDERING: Relaxed; a hint.
        let head = self.header().head.load(Ordering::Relaxed);
        // ORDERING: Relaxed; a hint.
        self.words.header(head).load(Ordering::Relaxed) == 0
    }

    /// What the consumer sleeps on: notified after every commit.
    pub fn not_empty(&self) -> &EventCount {
        &self.header().not_empty
    }

    /// What the producer sleeps on: notified after every release.
    pub fn not_full(&self) -> &EventCount {
        &self.header().not_full
    }

    /// Wakes producer and consumer, whichever sleeps: part of the death procedure.
    pub fn wake_all(&self, scope: Scope) {
        self.header().not_empty.wake_all(scope);
        self.header().not_full.wake_all(scope);
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: mapped and aligned by `attach`.
        // SAFETY: atomic words only, so peers may write behind the reference.
        unsafe { self.header.as_ref() }
    }

    /// Reads the header at `position` once, and checks it.
    #[inline]
    fn header_at(&self, position: u64, head: u64) -> Result<Option<Entry>, Corrupt> {
        // ORDERING: Acquire, E1, pairs with the Release in `commit`.
        let word = self.words.header(position).load(Ordering::Acquire);
        Entry::decode(word, position, head, self.size)
    }
}

/// The side that claims and commits. Dropping it changes nothing in the ring.
#[derive(Debug)]
pub struct Producer {
    ring: Records,
    /// Where the terminator is, and the next record goes.
    tail: u64,
    /// The head that was last seen.
    head: u64,
    scope: Scope,
    mode: FenceMode,
    /// `Send`, and not `Sync`.
    one_thread: PhantomData<Cell<()>>,
}

impl Producer {
    /// The longest record that is sure to fit an empty ring, with no extra.
    pub fn max_len(&self) -> usize {
        (self.ring.size / 2 - WORD) as usize
    }

    /// The largest extra that a record of `len` bytes may have.
    pub fn max_extra(&self, len: usize) -> usize {
        if len > self.max_len() {
            0
        } else {
            (self.ring.size - 2 * contiguous(len as u64)) as usize
        }
    }

    /// Makes room for a record of `len` bytes that weighs `extra` bytes more. Nothing is published before
    /// [`Claim::commit`], and nothing at all if the claim is dropped.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Full`], [`ClaimError::TooLong`], or [`ClaimError::Corrupt`] where head is impossible.
    #[inline]
    pub fn claim(&mut self, len: usize, extra: usize) -> Result<Claim<'_>, ClaimError> {
        let plan = self.plan(len, extra)?;
        Ok(Claim { producer: self, plan })
    }

    /// Waits until a claim of `len` and `extra` finds room, which it then does unless another producer's turn came in
    /// between.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up, or a corrupt ring. What is too long is not waited for: `claim` will say so.
    pub fn wait_for_room<W: Waiter>(
        &mut self,
        len: usize,
        extra: usize,
        waiter: &mut W,
    ) -> Result<(), WaitError<W::Stop>> {
        let (ring, mode) = (self.ring, self.mode);
        let found = ring.not_full().wait_until(waiter, mode, |_| match self.plan(len, extra) {
            Ok(_) | Err(ClaimError::TooLong) => Some(Ok(())),
            Err(ClaimError::Full) => None,
            Err(ClaimError::Corrupt) => Some(Err(WaitError::Corrupt)),
        });
        found.map_err(WaitError::Stopped)?
    }

    /// Catches up with what others committed since this one's last turn. Two loads, unless one of them died on the way.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where the words are what no sound peer leaves.
    pub fn resume(&mut self) -> Result<(), Corrupt> {
        let ring = self.ring;
        // ORDERING: Relaxed; E4, or the proof of a death, orders the turns.
        let tail = ring.header().tail.load(Ordering::Relaxed);
        if sound(self.head, tail, ring.size) && ring.header_at(tail, self.head) == Ok(None) {
            self.tail = tail;
            return Ok(());
        }
        self.take_over()
    }

    /// Whether the consumer has released everything. Once true, true until the next commit.
    pub fn is_empty(&self) -> bool {
        self.used() == 0
    }

    /// Bytes taken: never too few, but some may be free already.
    pub fn used(&self) -> u64 {
        // ORDERING: Relaxed; a hint.
        let head = self.ring.header().head.load(Ordering::Relaxed);
        if sound(head, self.tail, self.ring.size) {
            self.tail.wrapping_sub(head)
        } else {
            self.ring.size
        }
    }

    /// The ring it belongs to.
    pub fn ring(&self) -> Records {
        self.ring
    }

    /// The record's place, if there is room for it.
    #[inline]
    fn plan(&mut self, len: usize, extra: usize) -> Result<Plan, ClaimError> {
        let size = self.ring.size;
        let plan = Plan::new(len, extra, self.tail, size).ok_or(ClaimError::TooLong)?;
        if self.tail.wrapping_sub(self.head) + plan.needed() > size {
            self.refresh()?;
            if self.tail.wrapping_sub(self.head) + plan.needed() > size {
                return Err(ClaimError::Full);
            }
        }
        Ok(plan)
    }

    /// Looks how far the consumer has come.
    #[cold]
    fn refresh(&mut self) -> Result<(), ClaimError> {
        // ORDERING: Acquire, E2, pairs with the Release in `release_to`.
        let head = self.ring.header().head.load(Ordering::Acquire);
        if !sound(head, self.tail, self.ring.size) {
            return Err(ClaimError::Corrupt);
        }
        self.head = head;
        Ok(())
    }

    /// Finds the terminator, from the shared tail or, where that is behind head, from head; at most one step for each
    /// word of the ring. Leaves the shared tail right.
    #[cold]
    fn take_over(&mut self) -> Result<(), Corrupt> {
        let (ring, size) = (self.ring, self.ring.size);
        // ORDERING: Acquire, E2. Before tail, so that head is not the newer of the two.
        let head = ring.header().head.load(Ordering::Acquire);
        // ORDERING: Relaxed; as in `resume`.
        let hint = ring.header().tail.load(Ordering::Relaxed);
        let mut tail = if sound(head, hint, size) { hint } else { head };
        if !sound(head, tail, size) {
            return Err(Corrupt);
        }
        // Each step is a word or more, and `decode` keeps the sum within the ring: the loop ends.
        while let Some(entry) = ring.header_at(tail, head)? {
            tail = tail.wrapping_add(entry.span);
        }
        (self.head, self.tail) = (head, tail);
        // ORDERING: Relaxed; as in `commit`.
        ring.header().tail.store(tail, Ordering::Relaxed);
        crash_point!("spsc_records.take_over.tail_stored");
        Ok(())
    }
}

/// Room for one record, written in place. Dropping it publishes nothing.
#[derive(Debug)]
#[must_use]
pub struct Claim<'a> {
    producer: &'a mut Producer,
    plan: Plan,
}

impl Claim<'_> {
    /// Bytes of the record.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "a length that was asked for, not a container")]
    pub fn len(&self) -> usize {
        self.plan.len as usize
    }

    /// Copies `bytes` to `offset` of the record.
    ///
    /// # Panics
    ///
    /// Where they do not fit the record.
    #[inline]
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= self.len());
        assert!(fits, "{} bytes at {offset} of a record of {}", bytes.len(), self.len());
        // SAFETY: the record's bytes do not wrap (`Plan::new`) and these are among them.
        // SAFETY: nobody else accesses them: the consumer has released them (E2) and stops at the terminator.
        unsafe { self.producer.ring.words.write(self.content(), offset, bytes) };
    }

    /// The record's first byte. [`Claim::len`] bytes from there may be written until the commit; a hostile peer may
    /// write them too, so what is read back is not to be relied on.
    #[cfg(not(loom))]
    #[inline]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.producer.ring.words.byte(self.content())
    }

    /// Publishes the record.
    #[inline]
    pub fn commit(self, kind: u8) {
        let (Plan { pad, len, span }, tail) = (self.plan, self.producer.tail);
        let (ring, at) = (self.producer.ring, tail.wrapping_add(pad));
        let end = at.wrapping_add(span);
        // ORDERING: Relaxed; I3, the Release below publishes it.
        ring.words.header(end).store(0, Ordering::Relaxed);
        crash_point!("spsc_records.commit.terminated");
        let mut first = Entry { padding: false, len, span, kind };
        if pad > 0 {
            // ORDERING: Relaxed; the Release of the padding, which leads here, publishes it.
            ring.words.header(at).store(first.encode(), Ordering::Relaxed);
            crash_point!("spsc_records.commit.behind_padding");
            first = Entry::padding(pad);
        }
        // ORDERING: Release, E1, pairs with the Acquire in `header_at`.
        ring.words.header(tail).store(first.encode(), Ordering::Release);
        crash_point!("spsc_records.commit.published");
        self.producer.tail = end;
        // ORDERING: Relaxed; read by the next producer, behind E4, and by people who look.
        ring.header().tail.store(end, Ordering::Relaxed);
        crash_point!("spsc_records.commit.tail_stored");
        ring.not_empty().notify(1, self.producer.scope, self.producer.mode);
    }

    /// The position of the record's first byte.
    #[inline]
    fn content(&self) -> u64 {
        self.producer.tail.wrapping_add(self.plan.pad + WORD)
    }
}

/// The side that peeks and releases. Dropping it changes nothing in the ring. Its cells make it `Send`, and not `Sync`.
#[derive(Debug)]
pub struct Consumer {
    ring: Records,
    /// First byte not released.
    head: u64,
    /// Behind the first record shown.
    first: Cell<u64>,
    /// Behind the last record shown.
    shown: Cell<u64>,
    scope: Scope,
    mode: FenceMode,
}

/// A record in the ring. It stays until it is released, which waits for the end of this borrow.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    ring: Records,
    kind: u8,
    len: u64,
    /// The position of its first byte.
    content: u64,
    of: PhantomData<&'a Consumer>,
}

impl Consumer {
    /// The first record that is not released.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where a header says what no sound producer writes.
    #[inline]
    pub fn peek(&self) -> Result<Option<Record<'_>>, Corrupt> {
        self.shown.set(self.head);
        self.first.set(self.head);
        let record = self.peek_next()?;
        self.first.set(self.shown.get());
        Ok(record)
    }

    /// The record behind the last one shown, none of which is released.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], as `peek`.
    #[inline]
    pub fn peek_next(&self) -> Result<Option<Record<'_>>, Corrupt> {
        let mut at = self.shown.get();
        let Some(mut entry) = self.ring.header_at(at, self.head)? else { return Ok(None) };
        if entry.padding {
            at = at.wrapping_add(entry.span);
            // I3: padding and the record behind it were published together, and a record is not padding.
            entry = self.ring.header_at(at, self.head)?.filter(|e| !e.padding).ok_or(Corrupt)?;
        }
        self.shown.set(at.wrapping_add(entry.span));
        let (kind, len, content) = (entry.kind, entry.len, at.wrapping_add(WORD));
        Ok(Some(Record { ring: self.ring, kind, len, content, of: PhantomData }))
    }

    /// Gives the producer the record that the last `peek` showed, and keeps the ones behind it. Start over with `peek`.
    #[inline]
    pub fn release(&mut self) {
        self.release_to(self.first.get());
    }

    /// Gives the producer all records that `peek` and `peek_next` showed.
    #[inline]
    pub fn release_all(&mut self) {
        self.release_to(self.shown.get());
    }

    /// Waits for a record; a corrupt one ends the wait too, and `peek` will say so.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up.
    pub fn wait_for_record<W: Waiter>(&mut self, waiter: &mut W) -> Result<(), W::Stop> {
        let ring = self.ring;
        ring.not_empty().wait_until(waiter, self.mode, |_| (!self.is_empty()).then_some(()))
    }

    /// Catches up with what others released since this one's last turn. What was shown and not released will be shown
    /// again.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where head is what no sound consumer leaves.
    pub fn resume(&mut self) -> Result<(), Corrupt> {
        // ORDERING: Relaxed; E4, or the proof of a death, orders the turns.
        let head = self.ring.header().head.load(Ordering::Relaxed);
        if !head.is_multiple_of(WORD) {
            return Err(Corrupt);
        }
        self.head = head;
        self.first.set(head);
        self.shown.set(head);
        Ok(())
    }

    /// Whether there is no record. A `false` holds until the next release; a corrupt ring is not empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // ORDERING: Acquire, E1.
        self.ring.words.header(self.head).load(Ordering::Acquire) == 0
    }

    /// About how many bytes are taken. Old when it returns.
    pub fn used(&self) -> u64 {
        self.ring.used()
    }

    /// The ring it belongs to.
    pub fn ring(&self) -> Records {
        self.ring
    }

    #[inline]
    fn release_to(&mut self, position: u64) {
        if position == self.head {
            return;
        }
        self.head = position;
        self.first.set(position);
        self.shown.set(position);
        // ORDERING: Release, E2, pairs with the Acquire in `refresh` and `take_over`.
        self.ring.header().head.store(position, Ordering::Release);
        crash_point!("spsc_records.release.head_stored");
        self.ring.not_full().notify(1, self.scope, self.mode);
    }
}

impl Record<'_> {
    /// What the producer called it.
    #[inline]
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// Bytes of the record.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies the record's first bytes, as many as `into` holds; returns how many that were.
    #[inline]
    pub fn copy_to(&self, into: &mut [u8]) -> usize {
        self.copy_from(0, into)
    }

    /// Copies the record's bytes from `offset` on, as many as there are and `into` holds; returns how many that were.
    #[inline]
    pub fn copy_from(&self, offset: usize, into: &mut [u8]) -> usize {
        let count = self.len().saturating_sub(offset).min(into.len());
        // SAFETY: the record's bytes do not wrap (`decode`) and these are among them.
        // SAFETY: they are published (E1) and stay ours until they are released, which this borrow keeps off.
        unsafe { self.ring.words.read(self.content, offset.min(self.len()), &mut into[..count]) };
        count
    }

    /// The record's first byte. [`Record::len`] bytes from there may be read until the release; a hostile peer may
    /// change them while they are.
    #[cfg(not(loom))]
    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        self.ring.words.byte(self.content)
    }
}

/// The ring's bytes, addressed by masked positions: a word is a header or eight bytes of content, as the records that
/// come by want it.
#[cfg(not(loom))]
mod words {
    use super::{AtomicU64, NonNull, WORD};

    /// Eight bytes of the ring.
    pub type Word = AtomicU64;

    #[derive(Clone, Copy, Debug)]
    pub struct Words {
        first: NonNull<u8>,
        /// Of the offset of a word: in the ring, and a multiple of 8 (I4).
        mask: u64,
    }

    impl Words {
        /// # Safety
        ///
        /// `size` bytes from `first` may be written, and nobody else uses them.
        pub unsafe fn init(first: *mut Word, _size: usize) {
            // SAFETY: a ring has a first word. It is the terminator; what is behind it does not matter (I2).
            unsafe { first.write(AtomicU64::new(0)) };
        }

        pub fn new(first: NonNull<Word>, size: usize) -> Self {
            Self { first: first.cast(), mask: size as u64 - WORD }
        }

        /// The word at `position`, as a header.
        #[inline]
        pub fn header(&self, position: u64) -> &AtomicU64 {
            // SAFETY: in the ring and aligned, as the mask is; mapped by `attach`. Peers may write an atomic word.
            unsafe { &*self.byte(position).cast() }
        }

        /// The address of the word at `position`.
        #[inline]
        pub fn byte(&self, position: u64) -> *mut u8 {
            self.first.as_ptr().wrapping_add((position & self.mask) as usize)
        }

        /// # Safety
        ///
        /// `bytes` fit the ring from `content + offset` without wrapping, and nobody else uses that part of it.
        #[inline]
        pub unsafe fn write(&self, content: u64, offset: usize, bytes: &[u8]) {
            let to = self.byte(content).wrapping_add(offset);
            // SAFETY: in the ring, by the caller's word; `bytes` are private, so they do not overlap it.
            unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }

        /// # Safety
        ///
        /// `into` fits the ring from `content + offset` without wrapping, and nobody writes that part of it.
        #[inline]
        pub unsafe fn read(&self, content: u64, offset: usize, into: &mut [u8]) {
            let from = self.byte(content).wrapping_add(offset);
            // SAFETY: in the ring, by the caller's word; `into` is private, so it does not overlap it.
            unsafe { from.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        }
    }
}

/// The same for loom, where an atomic word is no memory to copy bytes to: each word has a cell of content beside it, so
/// that unordered accesses to content are reported.
#[cfg(loom)]
mod words {
    use super::{AtomicU64, NonNull, WORD};
    use crate::primitive::DataCell;

    #[derive(Debug)]
    pub struct Word {
        header: AtomicU64,
        content: DataCell<[u8; 8]>,
    }

    #[derive(Clone, Copy, Debug)]
    pub struct Words {
        first: NonNull<Word>,
        mask: u64,
    }

    impl Words {
        /// # Safety
        ///
        /// `size / 8` words from `first` may be written, and nobody else uses them.
        pub unsafe fn init(first: *mut Word, size: usize) {
            for index in 0..size / WORD as usize {
                let word = Word { header: AtomicU64::new(0), content: DataCell::new([0; 8]) };
                // SAFETY: one of the words that the caller vouches for.
                unsafe { first.add(index).write(word) };
            }
        }

        pub fn new(first: NonNull<Word>, size: usize) -> Self {
            Self { first, mask: size as u64 - WORD }
        }

        pub fn header(&self, position: u64) -> &AtomicU64 {
            &self.word(position).header
        }

        fn word(&self, position: u64) -> &Word {
            // SAFETY: a word of the ring, as the mask is; an atomic and a cell.
            unsafe { self.first.add(((position & self.mask) / WORD) as usize).as_ref() }
        }

        /// # Safety
        ///
        /// `bytes` fit the ring from `content + offset` without wrapping.
        pub unsafe fn write(&self, content: u64, offset: usize, bytes: &[u8]) {
            for (at, byte) in (offset..).zip(bytes) {
                self.word(content + at as u64).content.with_mut(|word| {
                    // SAFETY: loom reports it if somebody else uses the cell.
                    unsafe { (*word)[at % 8] = *byte };
                });
            }
        }

        /// # Safety
        ///
        /// `into` fits the ring from `content + offset` without wrapping.
        pub unsafe fn read(&self, content: u64, offset: usize, into: &mut [u8]) {
            for (at, byte) in (offset..).zip(into) {
                self.word(content + at as u64).content.with(|word| {
                    // SAFETY: loom reports it if somebody else writes the cell.
                    *byte = unsafe { (*word)[at % 8] };
                });
            }
        }
    }
}

impl core::fmt::Display for SizeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "a ring of records takes a power of two from {MIN_SIZE} to {MAX_SIZE} bytes")
    }
}

impl core::error::Error for SizeError {}

impl core::fmt::Display for AttachError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Misaligned => f.write_str("the ring's address is not aligned"),
            Self::Size(stated) => write!(f, "the ring states a size of {stated} bytes"),
            Self::Truncated { needed, available } => {
                write!(f, "the ring takes {needed} bytes and only {available} are there")
            }
        }
    }
}

impl core::error::Error for AttachError {}

impl core::fmt::Display for ClaimError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full"),
            Self::TooLong => f.write_str("the record is longer than the ring is sure to hold"),
            Self::Corrupt => Corrupt.fmt(f),
        }
    }
}

impl core::error::Error for ClaimError {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ring::memory::Memory;
    use std::vec::Vec;

    const MODE: (Scope, FenceMode) = (Scope::Private, FenceMode::Symmetric);

    fn ring(size: usize) -> (Memory, Records) {
        let layout = Layout::new(size).unwrap();
        let memory = Memory::new(layout.bytes(), layout.align());
        // SAFETY: allocated with the layout's size and alignment; the test keeps it while it uses the ring.
        let ring = unsafe {
            Records::init(memory.at(), layout);
            Records::attach(memory.at(), layout.bytes()).unwrap()
        };
        (memory, ring)
    }

    fn producer(ring: &Records) -> Result<Producer, Corrupt> {
        // SAFETY: each test lets only one producer work at a time.
        unsafe { ring.producer(MODE.0, MODE.1) }
    }

    fn consumer(ring: &Records) -> Result<Consumer, Corrupt> {
        // SAFETY: each test lets only one consumer work at a time.
        unsafe { ring.consumer(MODE.0, MODE.1) }
    }

    fn send(producer: &mut Producer, kind: u8, bytes: &[u8]) -> Result<(), ClaimError> {
        let mut claim = producer.claim(bytes.len(), 0)?;
        claim.write(0, bytes);
        claim.commit(kind);
        Ok(())
    }

    fn receive(consumer: &mut Consumer) -> Result<Option<(u8, Vec<u8>)>, Corrupt> {
        let received = consumer.peek()?.map(|record| {
            let mut bytes = std::vec![0; record.len()];
            assert_eq!(record.copy_to(&mut bytes), record.len());
            (record.kind(), bytes)
        });
        consumer.release();
        Ok(received)
    }

    fn drain(consumer: &mut Consumer) -> Vec<u8> {
        core::iter::from_fn(|| receive(consumer).unwrap()).map(|(kind, _)| kind).collect()
    }

    /// A ring whose tail and head are at `position`, everything released.
    fn advanced(position: u64) -> (Memory, Records) {
        let (memory, ring) = ring(256);
        let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring).unwrap());
        for _ in 0..position / WORD {
            send(&mut producer, 0, &[]).unwrap();
            assert_eq!(drain(&mut consumer), [0]);
        }
        assert_eq!((producer.tail, consumer.head), (position, position));
        // Every word but the terminator is garbage that looks like a header.
        for word in 1..256 / WORD {
            let garbage = Entry { padding: false, len: 0, span: 8, kind: 0xee }.encode();
            ring.words.header(position + word * WORD).store(garbage, Ordering::Relaxed);
        }
        (memory, ring)
    }

    #[test]
    fn a_header_word_says_what_was_put_into_it() {
        for len in [0, 1, 7, 8, 100, 120] {
            for extra in [0, 8, 16] {
                for kind in [0, 1, 255] {
                    let entry = Entry { padding: false, len, span: contiguous(len) + extra, kind };
                    assert_eq!(Entry::decode(entry.encode(), 256, 256, 256), Ok(Some(entry)));
                }
            }
        }
        let max = MAX_SIZE as u64;
        let (len, span) = (max / 2 - WORD, max - WORD);
        let entry = Entry { padding: false, len, span, kind: 255 };
        assert_eq!(Entry::decode(entry.encode(), 0, 0, max), Ok(Some(entry)));
        assert_eq!(Entry::decode(0, 8, 0, 256), Ok(None));
    }

    #[test]
    fn a_header_that_leads_out_of_the_ring_is_refused_wherever_it_stands() {
        let size = 256;
        for head in [0, 8, 248, 256, 1 << 40, u64::MAX - 7] {
            for ahead in (0..size - WORD).step_by(8) {
                let at = u64::wrapping_add(head, ahead);
                for span in (8..512).step_by(8) {
                    for len in [0, 1, span - 8, span] {
                        let entry = Entry { padding: false, len, span, kind: 3 };
                        let sound = ahead + span + WORD <= size
                            && contiguous(len) <= span
                            && (at % size) + contiguous(len) <= size;
                        let decoded = Entry::decode(entry.encode(), at, head, size);
                        assert_eq!(decoded, if sound { Ok(Some(entry)) } else { Err(Corrupt) });
                    }
                    let padding = Entry::padding(span);
                    let sound = ahead + span + WORD <= size && at % size + span == size;
                    let decoded = Entry::decode(padding.encode(), at, head, size);
                    assert_eq!(decoded, if sound { Ok(Some(padding)) } else { Err(Corrupt) });
                }
            }
        }
        for word in [1, 0xff, 1 << 62, Entry::PUBLISHED, u64::MAX] {
            assert_eq!(Entry::decode(word, 0, 0, size), Err(Corrupt), "{word:#x}");
        }
    }

    #[test]
    fn an_empty_ring_holds_the_longest_record_at_every_position() {
        for position in (0..512).step_by(8) {
            let (_memory, ring) = advanced(position);
            let mut producer = producer(&ring).unwrap();
            let mut consumer = consumer(&ring).unwrap();
            let long = std::vec![7; producer.max_len()];
            send(&mut producer, 1, &long).unwrap();
            assert_eq!(receive(&mut consumer), Ok(Some((1, long))));
            assert!(consumer.is_empty() && producer.is_empty() && ring.is_empty());
            let (len, extra) = (9, producer.max_extra(9));
            assert_eq!(producer.claim(len, extra + 1).err(), Some(ClaimError::TooLong));
            producer.claim(len, extra).unwrap().commit(2);
            assert_eq!(drain(&mut consumer), [2]);
            let too_long = producer.max_len() + 1;
            assert_eq!(producer.claim(too_long, 0).err(), Some(ClaimError::TooLong));
            assert_eq!(producer.claim(usize::MAX, 0).err(), Some(ClaimError::TooLong));
            assert_eq!(producer.claim(0, usize::MAX).err(), Some(ClaimError::TooLong));
        }
    }

    #[test]
    fn a_full_ring_refuses_until_something_is_released_and_keeps_room_for_the_terminator() {
        for position in (0..256).step_by(8) {
            let (_memory, ring) = advanced(position);
            let mut producer = producer(&ring).unwrap();
            let mut consumer = consumer(&ring).unwrap();
            let mut sent = 0;
            while send(&mut producer, sent, &[]).is_ok() {
                sent += 1;
            }
            assert_eq!(u64::from(sent), 256 / WORD - 1);
            assert_eq!(producer.used(), 248);
            assert_eq!(receive(&mut consumer), Ok(Some((0, Vec::new()))));
            send(&mut producer, sent, &[]).unwrap();
            assert_eq!(drain(&mut consumer), (1..=sent).collect::<Vec<_>>());
        }
    }

    #[test]
    fn extra_holds_the_producer_back_as_if_it_were_bytes() {
        let (_memory, ring) = ring(256);
        let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring).unwrap());
        producer.claim(8, 100).unwrap().commit(1);
        producer.claim(8, 100).unwrap().commit(2);
        assert_eq!(ring.used(), 240);
        assert_eq!(producer.claim(8, 0).err(), Some(ClaimError::Full));
        assert_eq!(consumer.peek().unwrap().map(|r| (r.kind(), r.len())), Some((1, 8)));
        consumer.release();
        producer.claim(8, 96).unwrap().commit(3);
        assert_eq!(drain(&mut consumer), [2, 3]);
    }

    #[test]
    fn several_records_are_shown_before_any_is_released() {
        let (_memory, ring) = ring(256);
        let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring).unwrap());
        (1..=3).for_each(|kind| send(&mut producer, kind, &[kind; 20]).unwrap());
        let (one, two) = (consumer.peek().unwrap(), consumer.peek_next().unwrap());
        assert_eq!((one.unwrap().kind(), two.unwrap().kind()), (1, 2));
        let mut part = [0; 2];
        assert_eq!(two.unwrap().copy_from(19, &mut part), 1);
        assert_eq!(two.unwrap().copy_from(21, &mut part), 0);
        assert_eq!(part, [2, 0]);
        consumer.release(); // the first only
        assert_eq!(consumer.peek().unwrap().unwrap().kind(), 2);
        assert_eq!(consumer.peek_next().unwrap().unwrap().kind(), 3);
        assert!(consumer.peek_next().unwrap().is_none());
        consumer.release_all();
        assert!(consumer.is_empty() && ring.used() == 0);
        consumer.release_all();
        assert!(consumer.peek().unwrap().is_none());
        consumer.release();
        assert_eq!(ring.used(), 0);
    }

    #[test]
    fn a_dropped_claim_publishes_nothing() {
        for position in (0..256).step_by(8) {
            let (_memory, ring) = advanced(position);
            let mut producer = producer(&ring).unwrap();
            let mut consumer = consumer(&ring).unwrap();
            producer.claim(100, 0).unwrap().write(0, &[0xff; 100]);
            assert!(consumer.is_empty());
            send(&mut producer, 5, &[5; 30]).unwrap();
            assert_eq!(receive(&mut consumer), Ok(Some((5, std::vec![5; 30]))));
        }
    }

    #[test]
    #[should_panic(expected = "4 bytes at 5 of a record of 8")]
    fn writing_past_a_claim_panics() {
        let (_memory, ring) = ring(256);
        producer(&ring).unwrap().claim(8, 0).unwrap().write(5, &[0; 4]);
    }

    /// The stores of a commit, in order, up to the step at which it is killed.
    fn commit_until(step: usize, producer: &mut Producer, kind: u8, bytes: &[u8]) {
        let (ring, tail) = (producer.ring, producer.tail);
        let mut claim = producer.claim(bytes.len(), 0).unwrap();
        claim.write(0, bytes);
        let Plan { pad, len, span } = claim.plan;
        let (at, end) = (tail + pad, tail + pad + span);
        let record = Entry { padding: false, len, span, kind }.encode();
        let store = |position, word| ring.words.header(position).store(word, Ordering::Relaxed);
        if step >= 1 {
            store(end, 0); // spsc_records.commit.terminated
        }
        if step >= 2 && pad > 0 {
            store(at, record); // spsc_records.commit.behind_padding
        }
        if step >= 3 {
            store(tail, if pad > 0 { Entry::padding(pad).encode() } else { record });
            // spsc_records.commit.published
        }
        if step >= 4 {
            ring.header().tail.store(end, Ordering::Relaxed); // spsc_records.commit.tail_stored
        }
    }

    #[test]
    fn whatever_step_a_commit_was_killed_at_the_next_producer_goes_on() {
        for position in (0..256).step_by(8) {
            for step in 0..=4 {
                for pending in 0..2 {
                    let (_memory, ring) = advanced(position);
                    let mut dead = producer(&ring).unwrap();
                    let mut other = producer(&ring).unwrap(); // waits for its turn
                    let mut consumer = consumer(&ring).unwrap();
                    (0..pending).for_each(|_| send(&mut dead, 1, &[1; 40]).unwrap());
                    commit_until(step, &mut dead, 2, &[2; 60]);
                    other.resume().unwrap();
                    let mut heir = producer(&ring).unwrap();
                    assert_eq!((heir.tail, heir.head), (other.tail, other.head));
                    send(&mut heir, 3, &[3; 33]).unwrap();
                    let mut expected = Vec::new();
                    (0..pending).for_each(|_| expected.push((1, std::vec![1; 40])));
                    if step >= 3 {
                        expected.push((2, std::vec![2; 60]));
                    }
                    expected.push((3, std::vec![3; 33]));
                    for record in expected {
                        assert_eq!(receive(&mut consumer), Ok(Some(record)), "{position} {step}");
                    }
                    assert_eq!(receive(&mut consumer), Ok(None));
                    assert_eq!(ring.used(), 0);
                }
            }
        }
    }

    #[test]
    fn a_tail_that_lags_behind_head_is_repaired_from_head() {
        for position in (0..256).step_by(8) {
            let (_memory, ring) = advanced(position);
            let mut dead = producer(&ring).unwrap();
            let mut other = producer(&ring).unwrap();
            let mut consumer = consumer(&ring).unwrap();
            commit_until(3, &mut dead, 1, &[1; 60]);
            assert_eq!(drain(&mut consumer), [1]);
            assert_eq!((ring.used(), ring.is_empty()), (0, true), "hints bear it");
            other.resume().unwrap();
            assert_eq!(other.tail, consumer.head);
            send(&mut other, 2, &[2; 60]).unwrap();
            assert_eq!(drain(&mut consumer), [2]);
        }
    }

    #[test]
    fn producers_and_consumers_take_turns() {
        let (_memory, ring) = ring(256);
        let mut producers = [producer(&ring).unwrap(), producer(&ring).unwrap()];
        let mut consumers = [consumer(&ring).unwrap(), consumer(&ring).unwrap()];
        for n in 0..200_u8 {
            let turn = &mut producers[usize::from(n / 3 % 2)];
            turn.resume().unwrap();
            send(turn, n, &std::vec![n; usize::from(n) % 70]).unwrap();
            let turn = &mut consumers[usize::from(n / 7 % 2)];
            turn.resume().unwrap();
            let expected = (n, std::vec![n; usize::from(n) % 70]);
            assert_eq!(receive(turn), Ok(Some(expected)));
        }
    }

    #[test]
    fn a_record_that_was_peeked_and_not_released_comes_again() {
        let (_memory, ring) = ring(256);
        let mut producer = producer(&ring).unwrap();
        send(&mut producer, 1, &[]).unwrap();
        send(&mut producer, 2, &[]).unwrap();
        let dead = consumer(&ring).unwrap();
        assert!(dead.peek().unwrap().is_some() && dead.peek_next().unwrap().is_some());
        assert_eq!(drain(&mut consumer(&ring).unwrap()), [1, 2]);
    }

    #[test]
    fn scribbled_words_are_errors_and_nothing_is_read_through_them() {
        for word in [1, u64::MAX, Entry::PUBLISHED, Entry::padding(8).encode()] {
            let (_memory, ring) = ring(256);
            let mut producer_1 = producer(&ring).unwrap();
            let mut consumer = consumer(&ring).unwrap();
            send(&mut producer_1, 1, &[]).unwrap();
            ring.words.header(0).store(word, Ordering::Relaxed);
            assert_eq!(consumer.peek().err(), Some(Corrupt));
            consumer.release_all();
            assert_eq!(consumer.head, 0);
            ring.header().tail.store(3, Ordering::Relaxed);
            assert_eq!(producer(&ring).err(), Some(Corrupt));
        }
        // Padding that leads to no record, and to padding.
        for behind in [0, Entry::padding(256).encode()] {
            let (_memory, ring) = advanced(128);
            ring.words.header(0).store(behind, Ordering::Relaxed);
            ring.words.header(128).store(Entry::padding(128).encode(), Ordering::Relaxed);
            assert_eq!(consumer(&ring).unwrap().peek().err(), Some(Corrupt));
        }
    }

    #[test]
    fn an_impossible_head_is_an_error_and_no_overwrite() {
        let (_memory, ring) = ring(256);
        let mut first = producer(&ring).unwrap();
        send(&mut first, 1, &[1; 113]).unwrap();
        // Odd ones, one behind tail, and ones that are no lap of this ring.
        for head in [1, 116, 136, u64::MAX, 1 << 40] {
            ring.header().head.store(head, Ordering::Relaxed);
            assert_eq!(first.claim(120, 0).err(), Some(ClaimError::Corrupt), "{head}");
            assert!(first.used() == 256 && ring.used() <= 256);
            assert!(!ring.is_empty() || head > 128);
        }
        ring.header().head.store(4, Ordering::Relaxed);
        assert_eq!(consumer(&ring).err(), Some(Corrupt));
        assert_eq!(producer(&ring).err(), Some(Corrupt));
    }

    #[test]
    fn attaching_says_what_does_not_fit() {
        let (memory, ring) = ring(256);
        let bytes = Layout::new(256).unwrap().bytes();
        // SAFETY: the memory outlives the calls and nothing is sent.
        unsafe {
            for available in [0, 639, 640, bytes - 1] {
                let error = Records::attach(memory.at(), available).err();
                assert!(matches!(error, Some(AttachError::Truncated { .. })), "{available}");
            }
            let odd = Records::attach(memory.at().add(8), bytes - 8);
            assert_eq!(odd.err(), Some(AttachError::Misaligned));
            for size in [0, 128, 257, 1 << 29, u64::MAX] {
                ring.header().size.store(size, Ordering::Relaxed);
                let error = Records::attach(memory.at(), bytes).err();
                assert_eq!(error, Some(AttachError::Size(size)));
            }
        }
        assert_eq!(Layout::new(300).err(), Some(SizeError));
    }
}
