//! Where each region of a segment is. Pure arithmetic: no memory, no system call.
//!
//! # Memory
//!
//! Regions follow each other in this order, each on a chunk boundary, without gaps:
//!
//! ```text
//! | Header | Participants | CommitMap | Notes | Directory | BlockMeta | BlockData | Arena |
//! |  64 Ki |       256 Ki | 1 bit/chk |512 Ki |     4 Mi  |  1/32     |   3/4     | rest  |
//! ```
//!
//! # Invariants
//!
//! * I1. A [`Geometry`] has only regions that lie inside the reserve, on chunk boundaries, and do not overlap.
//! * I2. The regions of fixed shape have exactly their size; the commit map has a bit for every chunk.
//! * I3. It is private memory: nothing that a peer writes changes it after it was checked.

use std::ops::Range;

use crate::error::{Error, Result};

/// Bytes of a chunk: the unit in which memory is committed and given back.
pub const CHUNK: u64 = 64 << 10;
/// The smallest reserve.
pub const MIN_RESERVE: u64 = 32 << 20;
/// The largest reserve: its commit map is 1 MiB.
pub const MAX_RESERVE: u64 = 512 << 30;
/// Records of participants.
pub const PARTICIPANTS: u64 = 1024;
/// Bytes of a participant's record.
pub const PARTICIPANT_SIZE: u64 = 256;
/// Note lines: one per thread that consumes.
pub const NOTE_LINES: u64 = 8192;
/// Bytes of a note line: one cache line.
pub const NOTE_SIZE: u64 = 64;
/// Entries of the directory: one per object.
pub const DIRECTORY_ENTRIES: u64 = 65536;
/// Bytes of a directory entry.
pub const DIRECTORY_ENTRY_SIZE: u64 = 64;
/// How many regions there are.
pub const REGIONS: usize = 8;

/// A part of the segment with one purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Region {
    /// The header page and the rest of its chunk, which is zero.
    Header = 0,
    /// [`PARTICIPANTS`] records: who is attached.
    Participants = 1,
    /// One bit per chunk of the file: whether it is committed.
    CommitMap = 2,
    /// [`NOTE_LINES`] lines: what each consuming thread is about to take.
    Notes = 3,
    /// [`DIRECTORY_ENTRIES`] entries: which objects there are.
    Directory = 4,
    /// Control words and hints of the blocks.
    BlockMeta = 5,
    /// The blocks.
    BlockData = 6,
    /// Where objects are placed.
    Arena = 7,
}

impl Region {
    /// All of them, in the order in which they lie.
    pub const ALL: [Self; REGIONS] = [
        Self::Header,
        Self::Participants,
        Self::CommitMap,
        Self::Notes,
        Self::Directory,
        Self::BlockMeta,
        Self::BlockData,
        Self::Arena,
    ];

    /// Those that creation commits, which are the first; the others are committed as they are used.
    pub(crate) const AT_CREATION: [Self; 3] = [Self::Header, Self::Participants, Self::CommitMap];
}

/// Offset and length in bytes.
type Extent = (u64, u64);

/// Where the regions of one segment are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    reserve: u64,
    extents: [Extent; REGIONS],
}

/// Bytes set aside for what the pool must know about its blocks.
pub const fn block_meta_size(reserve: u64) -> u64 {
    reserve / 32 / CHUNK * CHUNK
}

/// Bytes set aside for blocks.
const fn block_data_size(reserve: u64) -> u64 {
    reserve / 4 * 3 / CHUNK * CHUNK
}

/// Bytes of the bits for all chunks of `reserve`, in whole chunks.
const fn commit_map_size(reserve: u64) -> u64 {
    round_up(reserve / CHUNK / 8)
}

/// `bytes` in whole chunks. `bytes` is far from the end of `u64`.
const fn round_up(bytes: u64) -> u64 {
    bytes.div_ceil(CHUNK) * CHUNK
}

/// Lengths of all regions but the arena.
const fn lengths(reserve: u64) -> [u64; REGIONS - 1] {
    [
        CHUNK,
        round_up(PARTICIPANTS * PARTICIPANT_SIZE),
        commit_map_size(reserve),
        round_up(NOTE_LINES * NOTE_SIZE),
        round_up(DIRECTORY_ENTRIES * DIRECTORY_ENTRY_SIZE),
        block_meta_size(reserve),
        block_data_size(reserve),
    ]
}

impl Geometry {
    /// The regions of a new segment with this reserve, rounded up to whole chunks.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`] unless it is [`MIN_RESERVE`] to [`MAX_RESERVE`].
    pub fn for_reserve(reserve: u64) -> Result<Self> {
        if !(MIN_RESERVE..=MAX_RESERVE).contains(&reserve) {
            let (min, max) = (MIN_RESERVE, MAX_RESERVE);
            return Err(Error::Capacity { what: "a reserve", wanted: reserve, min, max });
        }
        let reserve = round_up(reserve);
        let mut extents = [(0, 0); REGIONS];
        let mut at = 0;
        for (extent, len) in extents.iter_mut().zip(lengths(reserve)) {
            *extent = (at, len);
            at += len;
        }
        extents[Region::Arena as usize] = (at, reserve - at);
        Ok(Self { reserve, extents })
    }

    /// The geometry that a header states, if I1 and I2 hold for it. Any numbers are safe to pass.
    pub(crate) fn checked(reserve: u64, chunk: u64, extents: [Extent; REGIONS]) -> Result<Self> {
        let corrupt = |what| Err(Error::Corrupt { what });
        if chunk != CHUNK {
            return corrupt("the header states another chunk size");
        }
        if !(MIN_RESERVE..=MAX_RESERVE).contains(&reserve) || !reserve.is_multiple_of(CHUNK) {
            return corrupt("the header states an impossible reserve");
        }
        let mut end = 0;
        for (offset, len) in extents {
            let fits = offset >= end && offset.checked_add(len).is_some_and(|end| end <= reserve);
            if !fits || len == 0 || offset % CHUNK != 0 || len % CHUNK != 0 {
                return corrupt("the header states regions that overlap or lie outside the file");
            }
            end = offset + len;
        }
        let shapes = lengths(reserve);
        let fixed = Region::Header as usize..=Region::Directory as usize;
        if extents[0].0 != 0 || fixed.into_iter().any(|index| extents[index].1 != shapes[index]) {
            return corrupt("the header states a region of a wrong size");
        }
        Ok(Self { reserve, extents })
    }

    /// Bytes of the file and of the mapping.
    pub fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Offset and length of a region, in bytes.
    #[inline]
    pub fn region(&self, region: Region) -> (u64, u64) {
        self.extents[region as usize]
    }

    /// How many chunks the file has.
    pub fn chunks(&self) -> u64 {
        self.reserve / CHUNK
    }

    /// The chunks that `offset..offset + len` touches; `None` where that is not inside the file.
    #[inline]
    pub(crate) fn chunks_touched(&self, offset: u64, len: u64) -> Option<Range<u64>> {
        let end = self.end_of(offset, len)?;
        Some(if len == 0 { 0..0 } else { offset / CHUNK..end.div_ceil(CHUNK) })
    }

    /// The chunks that lie wholly inside `offset..offset + len`; `None` where that is not inside the file.
    pub(crate) fn chunks_inside(&self, offset: u64, len: u64) -> Option<Range<u64>> {
        let end = self.end_of(offset, len)? / CHUNK;
        let start = offset.div_ceil(CHUNK);
        Some(start.min(end)..end)
    }

    /// `offset + len`, where that is inside the file.
    #[inline]
    pub(crate) fn end_of(&self, offset: u64, len: u64) -> Option<u64> {
        offset.checked_add(len).filter(|&end| end <= self.reserve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_regions_fill_the_reserve_without_gap_or_overlap() {
        for reserve in [MIN_RESERVE, MIN_RESERVE + 1, 100_000_001, 1 << 30, 128 << 30, MAX_RESERVE]
        {
            let geometry = Geometry::for_reserve(reserve).unwrap();
            let mut at = 0;
            for region in Region::ALL {
                let (offset, len) = geometry.region(region);
                assert_eq!(offset, at, "{region:?} of {reserve}");
                assert!(len > 0 && len % CHUNK == 0, "{region:?} of {reserve}");
                at += len;
            }
            assert_eq!(at, geometry.reserve());
            assert!(at >= reserve && at - reserve < CHUNK);
            assert!(geometry.region(Region::CommitMap).1 * 8 >= geometry.chunks());
            let again = Geometry::checked(geometry.reserve, CHUNK, geometry.extents).unwrap();
            assert_eq!(again, geometry);
        }
    }

    #[test]
    fn a_reserve_out_of_range_is_refused() {
        for reserve in [0, 1, MIN_RESERVE - 1, MAX_RESERVE + 1, u64::MAX] {
            assert!(matches!(Geometry::for_reserve(reserve), Err(Error::Capacity { .. })));
        }
    }

    #[test]
    fn no_stated_number_passes_that_breaks_an_invariant() {
        let good = Geometry::for_reserve(MIN_RESERVE).unwrap();
        let bad = [0, 1, CHUNK, CHUNK + 1, MIN_RESERVE, u64::MAX, u64::MAX - CHUNK + 1, 1 << 63];
        for index in 0..REGIONS {
            for value in bad {
                let mut extents = good.extents;
                extents[index].0 = value;
                let moved = Geometry::checked(good.reserve, CHUNK, extents);
                assert!(moved.is_err() || extents == good.extents, "offset {index} {value}");
                let mut extents = good.extents;
                extents[index].1 = value;
                let sized = Geometry::checked(good.reserve, CHUNK, extents);
                // Lengths of the last three regions are the creator's choice, as long as they fit.
                assert!(
                    sized.is_err() || extents == good.extents || index >= 5 && value == CHUNK,
                    "length {index} {value}"
                );
            }
        }
        for reserve in [0, 1, MIN_RESERVE + 1, MIN_RESERVE - CHUNK, MAX_RESERVE + CHUNK, u64::MAX] {
            assert!(Geometry::checked(reserve, CHUNK, good.extents).is_err());
        }
        assert!(Geometry::checked(good.reserve, 4096, good.extents).is_err());
    }

    #[test]
    fn ranges_become_chunks_outwards_and_inwards() {
        let geometry = Geometry::for_reserve(MIN_RESERVE).unwrap();
        assert_eq!(geometry.chunks_touched(0, 1), Some(0..1));
        assert_eq!(geometry.chunks_touched(CHUNK - 1, 2), Some(0..2));
        assert_eq!(geometry.chunks_touched(7, 0), Some(0..0));
        assert_eq!(geometry.chunks_touched(MIN_RESERVE, 1), None);
        assert_eq!(geometry.chunks_touched(u64::MAX, 2), None);
        assert_eq!(geometry.chunks_inside(0, CHUNK), Some(0..1));
        assert_eq!(geometry.chunks_inside(1, CHUNK), Some(1..1));
        assert_eq!(geometry.chunks_inside(1, 3 * CHUNK), Some(1..3));
        assert!(geometry.chunks_inside(5, 1).unwrap().is_empty());
        assert_eq!(geometry.chunks_inside(1, u64::MAX), None);
    }
}
