//! The first page of a segment, and its check. Nothing else of a file is read before it has passed.
//!
//! A header is read with `pread`, once, into private memory: a file that has not shown that it is a segment is not
//! touched through a mapping, where a hole on a full file system would be a SIGBUS.
//!
//! # Memory
//!
//! ```text
//! byte 0        4        8        12       16       20       24       28       32
//!      +-----------------+--------+--------+-----------------+--------+--------+
//!   0  |      magic      |  abi   | state  |     layout      | creator| fences |
//!      +-----------------+--------+--------+-----------------+--------+--------+
//!  32  |     reserve     |      chunk      |     budget      |     0           |
//!      +-----------------+-----------------+-----------------+-----------------+
//!  64  |    committed    |                 0 (a cache line of its own)         |
//!      +-----------------+-----------------+-----------------+-----------------+
//! 128  | offset and length of the eight regions, 16 bytes each                 |
//!      +-----------------------------------------------------------------------+
//! 256  | flags  |name len|                  name, 128 bytes ...               |
//!      +--------+--------+-----------------------------------------------------+
//! 392  | 0 (to the end of the cache line)                                      |
//!      +-----------------------------------------------------------------------+
//! 448  | who watches: a bit for each participant, 128 bytes                    |
//!      +-----------------------------------------------------------------------+
//! 576  | 0 up to 4096                                                          |
//! ```
//!
//! The first 16 bytes keep their place and meaning in every version: they are what versions tell each other.
//!
//! # Invariants
//!
//! * I1. The creator alone writes the header, `committed` and `watchers` excepted, and only while `state` is not READY.
//! * I2. `state` goes 0 → INITIALISING → READY or FAILED, and never back.
//! * I3. `magic` is there only after `state`, `abi` and `creator` are.
//!
//! # Ordering
//!
//! * E1 "segment is ready": `finish`'s Release of READY → the Acquire of `is_ready`; publishes the whole header and
//!   the commit map's first bits.
//!
//! # Crash points
//!
//! A creator that dies leaves INITIALISING: whoever attaches gets [`Error::HalfMade`]. Before that it leaves a file
//! without a magic number, which is no segment.

use bytemuck::{Pod, Zeroable};
use slipring_core::block::NoteLine;
use slipring_core::member::{Holders, Record, TableHead};
use slipring_core::primitive::{AtomicU32, AtomicU64, FenceMode, Ordering};
use slipring_core::ring::chain::Chain;
use slipring_core::ring::mpmc;

use super::geometry::{
    CHUNK, DIRECTORY_ENTRY_SIZE, Geometry, NOTE_SIZE, PARTICIPANT_SIZE, REGIONS, Region,
};
use crate::error::{Error, Result};

/// The binary interface of this library: what the words of a segment mean.
pub const ABI_VERSION: u32 = 4;

/// "SLIPRING" in the byte order of the machine: a machine of the other order does not know it.
pub(crate) const MAGIC: u64 = u64::from_be_bytes(*b"SLIPRING");

/// Nobody has begun.
pub(crate) const UNINITIALISED: u32 = 0;
/// The creator is at work.
pub(crate) const INITIALISING: u32 = 1;
/// Everything is in place.
pub(crate) const READY: u32 = 2;
/// The creator gave up.
pub(crate) const FAILED: u32 = 3;

const SYMMETRIC: u32 = 0;
const ASYMMETRIC: u32 = 1;

/// The layout fingerprint up to the header of objects: sizes of the shared structs that are no kind of object's own. What
/// only one kind has is folded in behind, kind after kind. A new struct that is no kind's own is folded in here.
pub(crate) const BASE_LAYOUT: u64 = {
    let hash = fold(0, size_of::<Header>() as u64);
    let hash = fold(hash, REGIONS as u64);
    let hash = fold(hash, CHUNK);
    let hash = fold(hash, PARTICIPANT_SIZE);
    let hash = fold(hash, NOTE_SIZE);
    let hash = fold(hash, DIRECTORY_ENTRY_SIZE);
    let hash = fold(hash, size_of::<Record>() as u64);
    let hash = fold(hash, size_of::<TableHead>() as u64);
    let hash = fold(hash, size_of::<NoteLine>() as u64);
    let hash = fold(hash, size_of::<Chain>() as u64);
    let hash = fold(hash, size_of::<mpmc::Header>() as u64);
    // What each object begins with: who holds either side.
    fold(hash, 2 * size_of::<Holders>() as u64)
};

/// Folds one more number into a fingerprint. The order counts.
pub(crate) const fn fold(hash: u64, value: u64) -> u64 {
    // FNV-1a over the bytes of `value`, from FNV's own offset.
    let bytes = value.to_le_bytes();
    let mut hash = hash ^ 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

/// The shared words of the header.
#[repr(C)]
pub(crate) struct Header {
    /// [`MAGIC`]. Written by the creator.
    magic: AtomicU64,
    /// [`ABI_VERSION`] of the creator.
    abi: AtomicU32,
    /// How far creation has come. Written by the creator.
    state: AtomicU32,
    /// The layout fingerprint of the creator.
    layout: AtomicU64,
    /// Process id of the creator in its own pid namespace; for messages only.
    creator: AtomicU32,
    /// 0: wakers fence; 1: sleepers fence the others through the kernel.
    fences: AtomicU32,
    /// Bytes of the file.
    reserve: AtomicU64,
    /// Bytes of a chunk.
    chunk: AtomicU64,
    /// Bytes that may be committed; all ones: as many as there are.
    budget: AtomicU64,
    _zero: [u64; 1],
    /// Bytes committed, or about to be. Written by everybody; a wrong value costs an untimely budget error, or a
    /// missing one.
    pub(crate) committed: AtomicU64,
    _line: [u64; 7],
    /// Offset and length of each region.
    regions: [[AtomicU64; 2]; REGIONS],
    name: NameWords,
    /// Who waits for a bell instead of sleeping on a word: whoever wakes sleepers rings if there is anybody. Each sets and
    /// clears its own bit; the death procedure clears those of the dead. A bit too many costs a read of one byte.
    pub(crate) watchers: Holders,
}

/// What the segment is called, if it has a name. Written by the creator before the file has its name.
#[repr(C)]
struct NameWords {
    /// [`NAMED`], [`PERSISTS`].
    flags: AtomicU32,
    /// Bytes of the name.
    len: AtomicU32,
    /// The name's bytes, from the lowest of the first word on.
    bytes: [AtomicU64; MAX_NAME / 8],
}

/// The segment has a name.
const NAMED: u32 = 1;
/// The name and its object stay when nobody has a handle any more.
const PERSISTS: u32 = 2;
/// The most bytes of a name.
pub(crate) const MAX_NAME: usize = 128;

/// A private copy of the header's words, as read. Any content is possible.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct RawHeader {
    magic: u64,
    abi: u32,
    state: u32,
    layout: u64,
    creator: u32,
    fences: u32,
    reserve: u64,
    chunk: u64,
    budget: u64,
    _zero: [u64; 1],
    committed: u64,
    _line: [u64; 7],
    regions: [[u64; 2]; REGIONS],
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Header, name) == 256 && size_of::<RawHeader>() == 256);
    assert!(offset_of!(Header, state) == 12 && offset_of!(RawHeader, state) == 12);
    assert!(offset_of!(Header, creator) == 24 && offset_of!(RawHeader, creator) == 24);
    assert!(offset_of!(Header, reserve) == 32 && offset_of!(RawHeader, reserve) == 32);
    assert!(offset_of!(Header, committed) == 64 && offset_of!(RawHeader, committed) == 64);
    assert!(offset_of!(Header, regions) == 128 && offset_of!(RawHeader, regions) == 128);
    assert!(offset_of!(Header, watchers) == 448 && size_of::<Header>() == 576);
};

/// What a checked header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    pub(crate) geometry: Geometry,
    pub(crate) budget: u64,
    pub(crate) fences: FenceMode,
}

impl RawHeader {
    /// Checks the header of a file of `size` bytes: magic, then version, then state, then everything else.
    /// `layout` is our layout fingerprint.
    pub(crate) fn check(&self, size: u64, layout: u64) -> Result<Checked> {
        self.check_made(size)?;
        if self.layout != layout {
            return Err(Error::Layout { ours: layout, theirs: self.layout });
        }
        let geometry =
            Geometry::checked(self.reserve, self.chunk, self.regions.map(|[o, l]| (o, l)))?;
        if size < self.reserve {
            return Err(Error::Truncated { expected: self.reserve, found: size });
        }
        let fences = match self.fences {
            SYMMETRIC => FenceMode::Symmetric,
            ASYMMETRIC => FenceMode::Asymmetric,
            _ => return Err(Error::Corrupt { what: "the header states an unknown fence mode" }),
        };
        Ok(Checked { geometry, budget: self.budget, fences })
    }

    /// Whether the file is a segment of this version, and whether it was finished.
    fn check_made(&self, size: u64) -> Result<()> {
        if self.magic == 0 && self.state == INITIALISING {
            return Err(Error::HalfMade { creator: self.creator });
        }
        if self.magic != MAGIC {
            let least = size_of::<Self>() as u64;
            return Err(if size == 0 {
                Error::Truncated { expected: least, found: 0 }
            } else {
                Error::NotASegment {
                    why: format!("its first eight bytes are {:#018x}", self.magic),
                }
            });
        }
        if size < size_of::<Self>() as u64 {
            return Err(Error::Truncated { expected: size_of::<Self>() as u64, found: size });
        }
        if self.abi != ABI_VERSION {
            return Err(Error::AbiVersion { ours: ABI_VERSION, theirs: self.abi });
        }
        match self.state {
            READY => Ok(()),
            UNINITIALISED | INITIALISING => Err(Error::HalfMade { creator: self.creator }),
            FAILED => Err(Error::Failed),
            _ => Err(Error::Corrupt { what: "the header states an unknown state" }),
        }
    }
}

impl Header {
    /// First step of creation: from now on the file is a segment that is being made.
    pub(crate) fn begin(&self, creator: u32) {
        // ORDERING: Relaxed; the magic number's Release publishes the three.
        self.state.store(INITIALISING, Ordering::Relaxed);
        self.abi.store(ABI_VERSION, Ordering::Relaxed);
        self.creator.store(creator, Ordering::Relaxed);
        crash_point!("header.begin.before_magic");
        // ORDERING: Release; I3, for who reads the file meanwhile.
        self.magic.store(MAGIC, Ordering::Release);
        crash_point!("header.begin.after_magic");
    }

    /// Second step: everything but the state.
    pub(crate) fn describe(
        &self,
        layout: u64,
        geometry: &Geometry,
        budget: u64,
        fences: FenceMode,
    ) {
        let fences = if fences == FenceMode::Asymmetric { ASYMMETRIC } else { SYMMETRIC };
        // ORDERING: Relaxed for all; published by E1.
        self.layout.store(layout, Ordering::Relaxed);
        self.fences.store(fences, Ordering::Relaxed);
        self.reserve.store(geometry.reserve(), Ordering::Relaxed);
        self.chunk.store(CHUNK, Ordering::Relaxed);
        self.budget.store(budget, Ordering::Relaxed);
        crash_point!("header.describe.before_regions");
        for (words, region) in self.regions.iter().zip(Region::ALL) {
            let (offset, len) = geometry.region(region);
            // ORDERING: Relaxed; published by E1.
            words[0].store(offset, Ordering::Relaxed);
            words[1].store(len, Ordering::Relaxed);
        }
    }

    /// Last step: ready, or failed.
    pub(crate) fn finish(&self, ready: bool) {
        crash_point!("header.finish.before_state");
        // ORDERING: Release; E1 "segment is ready".
        self.state.store(if ready { READY } else { FAILED }, Ordering::Release);
    }

    /// Calls the segment `name`, of at most [`MAX_NAME`] bytes. Before its file has that name: nobody else knows it.
    pub(crate) fn set_name(&self, name: &str, persists: bool) {
        let mut bytes = [0; MAX_NAME];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        for (word, bytes) in self.name.bytes.iter().zip(bytes.as_chunks().0) {
            // ORDERING: Relaxed for all; the kernel's linking and opening of the file is between us and any reader.
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        self.name.len.store(name.len() as u32, Ordering::Relaxed);
        self.name.flags.store(if persists { NAMED | PERSISTS } else { NAMED }, Ordering::Relaxed);
    }

    /// What the segment is called.
    pub(crate) fn name(&self) -> Option<String> {
        if !self.is_named() {
            return None;
        }
        // ORDERING: Relaxed for both, as in `set_name`. Whatever is there, it is no longer than there is room for.
        let len = (self.name.len.load(Ordering::Relaxed) as usize).min(MAX_NAME);
        let words = self.name.bytes.iter().map(|word| word.load(Ordering::Relaxed));
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).take(len).collect();
        String::from_utf8(bytes).ok()
    }

    /// Whether it has a name.
    pub(crate) fn is_named(&self) -> bool {
        // ORDERING: Relaxed, as in `set_name`.
        self.name.flags.load(Ordering::Relaxed) & NAMED != 0
    }

    /// Whether its name and its object stay when nobody has a handle any more.
    pub(crate) fn persists(&self) -> bool {
        // ORDERING: Relaxed, as in `set_name`.
        self.name.flags.load(Ordering::Relaxed) & PERSISTS != 0
    }

    /// Whether creation has ended well.
    pub(crate) fn is_ready(&self) -> bool {
        // ORDERING: Acquire; E1 "segment is ready".
        self.state.load(Ordering::Acquire) == READY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_depends_on_every_number_and_on_their_order() {
        let one = fold(fold(0, 1), 2);
        assert_ne!(one, fold(fold(0, 2), 1));
        assert_ne!(one, fold(fold(0, 1), 3));
        assert_ne!(fold(0, 0), fold(fold(0, 0), 0));
    }

    #[test]
    fn an_empty_header_is_no_segment_and_a_begun_one_is_half_made() {
        let empty = RawHeader::zeroed();
        assert!(matches!(empty.check(0, 7), Err(Error::Truncated { .. })));
        assert!(matches!(empty.check(1 << 30, 7), Err(Error::NotASegment { .. })));
        let begun = RawHeader { state: INITIALISING, creator: 42, ..empty };
        assert!(matches!(begun.check(1 << 30, 7), Err(Error::HalfMade { creator: 42 })));
    }
}
