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
//! The producer is in this file, the rest in `spsc_records/`:
//!
//! | file | what it holds |
//! |---|---|
//! | `layout.rs` | what stands before a ring, how large it is, and what can be wrong with one |
//! | `ring.rs` | a ring at an address: made, attached, looked at |
//! | `entry.rs` | header words, and where records go |
//! | `words.rs`, `words_model.rs` | the ring's bytes; the same for loom |
//! | `consumer.rs` | the side that peeks and releases |
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

mod consumer;
mod entry;
mod layout;
mod ring;
#[cfg(not(loom))]
mod words;
#[cfg(loom)]
#[path = "spsc_records/words_model.rs"]
mod words;

#[cfg(all(test, not(loom)))]
mod tests;

use core::cell::Cell;
use core::marker::PhantomData;

use super::{Corrupt, WaitError};
use crate::futex::Scope;
use crate::primitive::{FenceMode, Ordering};
use crate::wait::Waiter;
pub use consumer::{Consumer, Record};
pub use entry::MAX_SIZE;
use entry::{Entry, Plan, WORD, contiguous, sound};
pub use layout::{AttachError, ClaimError, Layout, MIN_SIZE, SizeError};
pub use ring::Records;

impl Records {
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
        Consumer::new(*self, scope, mode)
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

    /// The position at which it will be published. It does not recur, but for a claim that was never committed: the
    /// next one may be published there instead.
    #[inline]
    pub fn position(&self) -> u64 {
        self.producer.tail
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
