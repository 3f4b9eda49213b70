//! What stands before a ring, how large it is, and what can be wrong with one.

use super::entry::{MAX_SIZE, WORD};
use super::words::Word;
use crate::primitive::{AtomicU64, CachePadded};
use crate::ring::Corrupt;
use crate::sync::EventCount;

/// The smallest ring, in bytes.
pub const MIN_SIZE: usize = 256;

/// What stands before the ring: one cache line for each who writes.
#[repr(C)]
pub struct Header {
    /// Bytes of the ring. Written by `init` only.
    pub size: CachePadded<AtomicU64>,
    /// First byte not released. Written by the consumer, never decreases; a stale read costs the producer a "full"
    /// that is over.
    pub head: CachePadded<AtomicU64>,
    /// Where the last commit ended. Written by the producer after the header; may lag by one record, never leads.
    pub tail: CachePadded<AtomicU64>,
    /// Where the consumer sleeps.
    pub not_empty: CachePadded<EventCount>,
    /// Where the producer sleeps.
    pub not_full: CachePadded<EventCount>,
}

/// The size of a ring in memory.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub(super) size: usize,
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
