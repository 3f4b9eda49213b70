//! Header words and where records go: arithmetic of positions, without atomics.

use crate::ring::Corrupt;

/// Bytes of a header word, and what every record's place is a multiple of.
pub const WORD: u64 = 8;
/// The largest ring, in bytes: a header word says where in it a record ends.
pub const MAX_SIZE: usize = 1 << 28;

/// What a header word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Whether it only fills the end of the ring.
    pub padding: bool,
    /// Bytes of the record.
    pub len: u64,
    /// Bytes from this header to the next.
    pub span: u64,
    /// The user's.
    pub kind: u8,
}

impl Entry {
    pub const PUBLISHED: u64 = 1 << 63;
    pub const PADDING: u64 = 1 << 62;
    pub const LEN_SHIFT: u32 = 34;
    pub const LEN_MASK: u64 = (1 << 28) - 1;
    pub const SPAN_SHIFT: u32 = 8;
    pub const SPAN_MASK: u64 = (1 << 26) - 1;

    pub const fn padding(span: u64) -> Self {
        Self { padding: true, len: 0, span, kind: 0 }
    }

    pub const fn encode(self) -> u64 {
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
    pub const fn decode(
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
pub const fn to_end(position: u64, size: u64) -> u64 {
    size - (position & (size - 1))
}

/// Bytes that a record's header and content take, without its extra.
pub const fn contiguous(len: u64) -> u64 {
    WORD + len.next_multiple_of(WORD)
}

/// Whether a tail of `tail` goes with a head of `head` (I1), and both are where a header can be.
pub const fn sound(head: u64, tail: u64, size: u64) -> bool {
    tail.wrapping_sub(head) <= size - WORD && head.is_multiple_of(WORD) && tail.is_multiple_of(WORD)
}

/// Where a record of `len` bytes goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Padding before it.
    pub pad: u64,
    pub len: u64,
    pub span: u64,
}

impl Plan {
    /// The record's place behind `tail`; `None` where an empty ring would not be sure to hold it: in the worst case the
    /// padding is one word shorter than the record.
    pub const fn new(len: usize, extra: usize, tail: u64, size: u64) -> Option<Self> {
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
    pub const fn needed(self) -> u64 {
        self.pad + self.span + WORD
    }
}
