//! A ring at an address: made, attached, looked at.

use core::mem::{align_of, size_of};
use core::ptr::NonNull;

#[cfg(not(loom))]
use super::entry::WORD;
use super::entry::{Entry, sound};
use super::layout::{AttachError, Header, Layout, SizeError};
use super::words::Words;
use crate::futex::Scope;
use crate::primitive::{AtomicU64, CachePadded, Ordering};
use crate::ring::Corrupt;
use crate::sync::EventCount;

/// A ring at an address, its geometry checked and copied. Makes producers and consumers.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    header: NonNull<Header>,
    pub(super) words: Words,
    pub(super) size: u64,
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

    /// How far the consumer has come: it grows with each release. A glance: old when it returns.
    pub fn released(&self) -> u64 {
        // ORDERING: Relaxed; a hint.
        self.header().head.load(Ordering::Relaxed)
    }

    /// Whether there is no record. A glance: old when it returns.
    pub fn is_empty(&self) -> bool {
        // ORDERING: Relaxed; a hint.
        let head = self.header().head.load(Ordering::Relaxed);
        // ORDERING: Relaxed; a hint.
        self.words.header(head).load(Ordering::Relaxed) == 0
    }

    /// Whether a record that was published at `position` is there and not released, and its kind and first eight bytes
    /// (fewer: padded with whatever follows) are `wanted`. For the death procedure, which owns neither side.
    #[cfg(not(loom))]
    pub fn holds(&self, position: u64, wanted: impl FnOnce(u8, u64) -> bool) -> bool {
        // ORDERING: Acquire, E2: what the consumer did before it released is visible to who sees it released.
        let head = || self.header().head.load(Ordering::Acquire);
        let is_kept = |head: u64| position.wrapping_sub(head) < self.size;
        let seen = head();
        if !is_kept(seen) || !position.is_multiple_of(WORD) {
            return false;
        }
        let mut at = position;
        let mut found = self.header_at(at, seen);
        if let Ok(Some(Entry { padding: true, span, .. })) = found {
            at = at.wrapping_add(span);
            found = self.header_at(at, seen);
        }
        let Ok(Some(Entry { padding: false, kind, .. })) = found else { return false };
        // ORDERING: Acquire, so that the second look at head comes after it: while it is kept nobody writes it.
        let word = self.words.header(at.wrapping_add(WORD)).load(Ordering::Acquire);
        is_kept(head()) && wanted(kind, word)
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
    pub(super) fn header(&self) -> &Header {
        // SAFETY: mapped and aligned by `attach`.
        // SAFETY: atomic words only, so peers may write behind the reference.
        unsafe { self.header.as_ref() }
    }

    /// Reads the header at `position` once, and checks it.
    #[inline]
    pub(super) fn header_at(&self, position: u64, head: u64) -> Result<Option<Entry>, Corrupt> {
        // ORDERING: Acquire, E1, pairs with the Release in `commit`.
        let word = self.words.header(position).load(Ordering::Acquire);
        Entry::decode(word, position, head, self.size)
    }
}
