//! What a ring is in memory, how large it is, and what can be wrong with one.

use core::marker::PhantomData;
use core::mem::{align_of, size_of};

use bytemuck::Pod;

use crate::primitive::{AtomicU64, CachePadded, DataCell};
use crate::ring::Corrupt;
use crate::ring::sides::Sides;
use crate::sync::EventCount;

/// What attaching checks, written by `init` only; and whether a side is gone, which who keeps handles writes.
#[repr(C)]
pub struct Geometry {
    /// How many slots.
    pub capacity: AtomicU64,
    /// Bytes from one slot to the next.
    pub slot_size: AtomicU64,
    /// `size_of::<T>()` of who made the ring.
    pub value_size: AtomicU64,
    /// `align_of::<T>()` of who made the ring.
    pub value_align: AtomicU64,
    /// The ring itself does not look at it.
    pub sides: Sides,
}

/// What stands before the slots: one cache line for each who writes.
#[repr(C)]
pub struct Header {
    pub geometry: CachePadded<Geometry>,
    /// First position not consumed. Written by the consumer, never decreases; a stale read costs the producer a
    /// "full" that is over.
    pub head: CachePadded<AtomicU64>,
    /// Where the consumer sleeps.
    pub not_empty: CachePadded<EventCount>,
    /// Where the producer sleeps.
    pub not_full: CachePadded<EventCount>,
}

/// One message and the news of it. A value of up to 56 bytes shares the word's cache line.
#[repr(C, align(64))]
pub struct Slot<T> {
    /// Written by the producer; the table above says what it may hold.
    pub sequence: AtomicU64,
    /// The producer's while the word says "to come", the consumer's while it says "published".
    pub value: DataCell<T>,
}

/// The size of a ring of `capacity` values of `T`.
#[derive(Clone, Copy, Debug)]
pub struct Layout<T> {
    pub(super) capacity: u64,
    pub(super) bytes: usize,
    of: PhantomData<T>,
}

/// No ring has this capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CapacityError {
    /// A ring of no slots.
    Zero,
    /// More bytes than an address space has.
    TooLarge,
}

/// This memory does not hold a ring of `T`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachError {
    /// The address is not aligned to [`Layout::align`].
    Misaligned,
    /// The ring's values have another size.
    TypeSize {
        /// `size_of::<T>()` here.
        ours: u64,
        /// What the ring was made for.
        theirs: u64,
    },
    /// The ring's values have another alignment.
    TypeAlign {
        /// `align_of::<T>()` here.
        ours: u64,
        /// What the ring was made for.
        theirs: u64,
    },
    /// The values agree but the slots do not: made by another version of this code.
    SlotSize {
        /// Bytes from slot to slot here.
        ours: u64,
        /// What the ring was made with.
        theirs: u64,
    },
    /// The stated capacity is zero or absurd.
    Capacity(u64),
    /// The memory ends before the ring does.
    Truncated {
        /// Bytes that the ring takes.
        needed: u64,
        /// Bytes that are there.
        available: u64,
    },
}

/// Why nothing was pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushError {
    /// All slots hold messages that were not consumed yet.
    Full,
    /// The consumer's head is not where a sound consumer can have left it.
    Corrupt,
}

impl<T: Pod> Layout<T> {
    /// The layout of a ring of exactly `capacity` slots.
    ///
    /// # Errors
    ///
    /// A capacity of zero, or one that no address space holds.
    pub fn new(capacity: u64) -> Result<Self, CapacityError> {
        if capacity == 0 {
            return Err(CapacityError::Zero);
        }
        usize::try_from(capacity)
            .ok()
            .and_then(|n| n.checked_mul(size_of::<Slot<T>>()))
            .and_then(|slots| slots.checked_add(Self::slots_offset()))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .map(|bytes| Self { capacity, bytes, of: PhantomData })
            .ok_or(CapacityError::TooLarge)
    }

    /// Bytes of memory that the ring takes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the ring's address must be a multiple of.
    pub const fn align(&self) -> usize {
        Self::alignment()
    }

    /// How many slots.
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) const fn alignment() -> usize {
        let (header, slot) = (align_of::<Header>(), align_of::<Slot<T>>());
        if header > slot { header } else { slot }
    }

    pub(super) const fn slots_offset() -> usize {
        size_of::<Header>().next_multiple_of(align_of::<Slot<T>>())
    }
}

impl core::fmt::Display for CapacityError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Zero => "a ring needs at least one slot",
            Self::TooLarge => "a ring of so many slots does not fit an address space",
        })
    }
}

impl core::error::Error for CapacityError {}

impl core::fmt::Display for AttachError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Misaligned => f.write_str("the ring's address is not aligned"),
            Self::TypeSize { ours, theirs } => {
                write!(f, "the ring's values have {theirs} bytes, this type has {ours}")
            }
            Self::TypeAlign { ours, theirs } => {
                write!(f, "the ring's values are aligned to {theirs}, this type to {ours}")
            }
            Self::SlotSize { ours, theirs } => {
                write!(f, "the ring's slots take {theirs} bytes, here they take {ours}")
            }
            Self::Capacity(stated) => write!(f, "the ring states a capacity of {stated}"),
            Self::Truncated { needed, available } => {
                write!(f, "the ring takes {needed} bytes and only {available} are there")
            }
        }
    }
}

impl core::error::Error for AttachError {}

impl core::fmt::Display for PushError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full"),
            Self::Corrupt => Corrupt.fmt(f),
        }
    }
}

impl core::error::Error for PushError {}
