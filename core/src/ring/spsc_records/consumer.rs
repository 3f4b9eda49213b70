//! The side that peeks and releases.

use core::cell::Cell;
use core::marker::PhantomData;

use super::entry::WORD;
use super::ring::Records;
use crate::futex::Scope;
use crate::primitive::{FenceMode, Ordering};
use crate::ring::Corrupt;
use crate::wait::Waiter;

/// The side that peeks and releases. Dropping it changes nothing in the ring. Its cells make it `Send`, and not `Sync`.
#[derive(Debug)]
pub struct Consumer {
    ring: Records,
    /// First byte not released.
    pub(super) head: u64,
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
    /// Where it was published.
    position: u64,
    /// The position of its first byte.
    content: u64,
    of: PhantomData<&'a Consumer>,
}

impl Consumer {
    /// At the shared head.
    pub(super) fn new(ring: Records, scope: Scope, mode: FenceMode) -> Result<Self, Corrupt> {
        let (first, shown) = (Cell::new(0), Cell::new(0));
        let mut consumer = Self { ring, head: 0, first, shown, scope, mode };
        consumer.resume()?;
        Ok(consumer)
    }

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
        let position = self.shown.get();
        let mut at = position;
        let Some(mut entry) = self.ring.header_at(at, self.head)? else { return Ok(None) };
        if entry.padding {
            at = at.wrapping_add(entry.span);
            // I3: padding and the record behind it were published together, and a record is not padding.
            entry = self.ring.header_at(at, self.head)?.filter(|e| !e.padding).ok_or(Corrupt)?;
        }
        self.shown.set(at.wrapping_add(entry.span));
        let (kind, len, content) = (entry.kind, entry.len, at.wrapping_add(WORD));
        Ok(Some(Record { ring: self.ring, kind, len, position, content, of: PhantomData }))
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

    /// The position at which it was published: what [`Claim::position`](super::Claim::position) said.
    #[inline]
    pub fn position(&self) -> u64 {
        self.position
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
