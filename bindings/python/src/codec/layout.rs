//! Where a pickle and the buffers beside it lie in a message.
//!
//! ```text
//!  0     1        4        8              16                16 + 8 * count
//! +-----+--------+--------+--------------+-----------------+--------+-----+----------+-----+----------+
//! | tag | 0      | count  | pickle's len | len of buffer i | pickle | pad | buffer 0 | pad | buffer 1 ...
//! +-----+--------+--------+--------------+-----------------+--------+-----+----------+-----+----------+
//! ```
//!
//! Each buffer begins at a multiple of 64 from the message's first byte. The highest bit of a buffer's length says that it
//! must not be written to.

use std::ops::Range;

use super::tags::PICKLE_AND_BUFFERS;

/// Buffers are aligned to this, which is enough for any vector instruction.
const ALIGN: usize = 64;
const FRONT: usize = 16;
const READONLY: u64 = 1 << 63;

/// A buffer's place in the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) range: Range<usize>,
    pub(super) readonly: bool,
}

/// Where everything lies.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Layout {
    pub(super) pickle: Range<usize>,
    pub(super) buffers: Vec<Place>,
    /// Bytes of the message.
    pub(super) len: usize,
}

impl Layout {
    /// For a pickle and buffers of these lengths. `None` if that is more than there can be.
    pub(super) fn new(
        pickle: usize,
        buffers: impl ExactSizeIterator<Item = (usize, bool)>,
    ) -> Option<Self> {
        let start = buffers.len().checked_mul(8)?.checked_add(FRONT)?;
        let mut end = start.checked_add(pickle)?;
        let pickle = start..end;
        let mut places = Vec::with_capacity(buffers.len());
        for (len, readonly) in buffers {
            let at = end.checked_next_multiple_of(ALIGN)?;
            end = at.checked_add(len)?;
            places.push(Place { range: at..end, readonly });
        }
        Some(Self { pickle, buffers: places, len: end })
    }

    /// The bytes before the pickle.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(self.pickle.start);
        header.extend([PICKLE_AND_BUFFERS, 0, 0, 0]);
        header.extend((self.buffers.len() as u32).to_le_bytes());
        header.extend((self.pickle.len() as u64).to_le_bytes());
        for place in &self.buffers {
            let flag = if place.readonly { READONLY } else { 0 };
            header.extend((place.range.len() as u64 | flag).to_le_bytes());
        }
        header
    }

    /// What the message of `len` bytes says about itself, if that is possible. `read` gives the 8 bytes at an offset that
    /// is inside.
    pub(super) fn read(len: usize, read: impl Fn(usize) -> u64) -> Option<Self> {
        if len < FRONT {
            return None;
        }
        let (count, pickle) = ((read(0) >> 32) as usize, usize::try_from(read(8)).ok()?);
        if count > (len - FRONT) / 8 {
            return None;
        }
        let lens = (0..count).map(|i| read(FRONT + 8 * i));
        let lens = lens.map(|word| ((word & !READONLY) as usize, word & READONLY != 0));
        Self::new(pickle, lens).filter(|layout| layout.len <= len)
    }
}
