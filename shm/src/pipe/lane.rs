//! One direction of a pipe in shared memory: a ring of records, a lock for each side, a bell. And the pipe's body.
//!
//! # Memory
//!
//! ```text
//! body: | size, max, duplex, handles, sides | lane 0: send lock | recv lock | bell | parcels | lane 1: … |
//!       | ring 0 | ring 1 (duplex) |
//! ```
//!
//! Lane 0 carries what the first end sends, lane 1 what the second does. A record of kind BYTES is a message; one of
//! kind BLOCK is the descriptor of a message in a block, and weighs more than its eight bytes, so that a reader who lags
//! holds its senders back. One of kind ENCLOSING is such a descriptor and, behind it, the number of the parcel that the
//! message's handles are in.

use std::ptr::NonNull;

use slipring_core::block::{BlockRef, Descriptor};
use slipring_core::directory::Place;
use slipring_core::primitive::{AtomicU32, AtomicU64, CachePadded, Ordering};
use slipring_core::ring::Corrupt;
use slipring_core::ring::sides::Sides;
use slipring_core::ring::spsc_records::{Layout, Records};
use slipring_core::sync::{Bell, Mutex};

use crate::memory::Regions;
use crate::object::{self, RING_UNIT, Role};
use crate::{Error, Result};

/// The record is the message.
pub(super) const BYTES: u8 = 1;
/// The record is the descriptor of a block.
pub(super) const BLOCK: u8 = 2;
/// The record is the descriptor of a block and the number of a parcel.
pub(super) const ENCLOSING: u8 = 3;

/// Bytes of a pipe's words, for the layout fingerprint.
pub(crate) const BODY_BYTES: u64 = size_of::<Body>() as u64;

/// What a pipe's body begins with.
#[repr(C)]
pub(super) struct Body {
    head: CachePadded<Head>,
    lanes: [LaneWords; 2],
}

#[repr(C)]
struct Head {
    /// Bytes of each ring. Written before the pipe is known, as are the next three.
    size: AtomicU64,
    /// The longest message.
    max_len: AtomicU64,
    /// Whether there is a second lane.
    duplex: AtomicU32,
    /// Whether each end has a socket for handles.
    handles: AtomicU32,
    sides: Sides,
}

/// The words of one direction.
#[repr(C)]
pub(super) struct LaneWords {
    /// Held by whoever sends.
    pub(super) send: CachePadded<Mutex>,
    /// Held by whoever receives.
    pub(super) recv: CachePadded<Mutex>,
    pub(super) bell: CachePadded<Bell>,
    /// How many parcels were begun. Written under the send lock.
    parcels: CachePadded<AtomicU64>,
}

impl LaneWords {
    fn new() -> Self {
        Self {
            send: CachePadded::new(Mutex::new()),
            recv: CachePadded::new(Mutex::new()),
            bell: CachePadded::new(Bell::new()),
            parcels: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// The number of the next parcel: no other one has it. Under the send lock.
    pub(super) fn next_parcel(&self) -> u64 {
        // ORDERING: Relaxed; changed under the send lock only, and read by nobody else.
        let number = self.parcels.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        crash_point!("pipe.parcel.numbered");
        number
    }
}

/// One direction, as one process sees it.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    words: NonNull<LaneWords>,
    pub(super) ring: Records,
    /// The ring's number, for the control words of blocks.
    pub(super) ring_id: u32,
}

// SAFETY: shared memory of atomics, mapped as long as the handle beside it lives.
unsafe impl Send for Lane {}

impl Lane {
    #[inline]
    pub(super) fn words(&self) -> &LaneWords {
        // SAFETY: in a pipe's body, which was checked when the lane was made; atomics, mapped as long as the handle
        // that the lane was made from lives.
        unsafe { self.words.as_ref() }
    }
}

/// What a pipe is, checked and copied.
pub(super) struct Shape {
    pub(super) body: NonNull<Body>,
    pub(super) max_len: u64,
    pub(super) duplex: bool,
    pub(super) handles: bool,
    layout: Layout,
}

impl Shape {
    /// Bytes of the body of a pipe with such rings.
    pub(super) fn body_bytes(layout: Layout, duplex: bool) -> u64 {
        let rings = if duplex { 2 } else { 1 };
        size_of::<Body>() as u64 + rings * ring_bytes(layout)
    }

    /// Writes an empty pipe.
    ///
    /// # Safety
    ///
    /// `body` is aligned to 128, and [`Shape::body_bytes`] from there may be written by us alone.
    pub(super) unsafe fn init(
        body: NonNull<u8>,
        layout: Layout,
        max_len: u64,
        duplex: bool,
        handles: bool,
    ) {
        let head = CachePadded::new(Head {
            size: AtomicU64::new(layout.size() as u64),
            max_len: AtomicU64::new(max_len),
            duplex: AtomicU32::new(u32::from(duplex)),
            handles: AtomicU32::new(u32::from(handles)),
            sides: Sides::new(),
        });
        let words = Body { head, lanes: [LaneWords::new(), LaneWords::new()] };
        // SAFETY: room for the body and, behind it, for the rings, by the caller's promise; ring offsets are multiples
        // of 128.
        unsafe {
            body.cast::<Body>().write(words);
            for index in 0..1 + u64::from(duplex) {
                Records::init(body.add(ring_offset(layout, index) as usize).as_ptr(), layout);
            }
        }
    }

    /// The pipe whose body of `len` bytes is at `body`, committed and mapped as long as the result is used.
    pub(super) fn new(body: NonNull<u8>, len: u64) -> Result<Self> {
        let corrupt = |what| Err(Error::Corrupt { what });
        if len < size_of::<Body>() as u64 {
            return corrupt("a pipe is too small");
        }
        let body = body.cast::<Body>();
        // SAFETY: room for a body, just checked; atomics, for which all bit patterns are valid.
        let head = unsafe { &body.as_ref().head };
        // ORDERING: Relaxed; written before the pipe was known. Read once, then checked.
        let size = usize::try_from(head.size.load(Ordering::Relaxed)).unwrap_or(0);
        let max_len = head.max_len.load(Ordering::Relaxed);
        let duplex = head.duplex.load(Ordering::Relaxed) != 0;
        let handles = head.handles.load(Ordering::Relaxed) != 0;
        let Ok(layout) = Layout::new(size) else {
            return corrupt("a pipe states an impossible size");
        };
        if len < Self::body_bytes(layout, duplex) {
            return corrupt("a pipe's rings do not fit its memory");
        }
        Ok(Self { body, max_len, duplex, handles, layout })
    }

    /// The direction in which `role` sends. `offset` is the body's in the arena.
    pub(super) fn lane(&self, role: Role, offset: u64) -> Result<Lane> {
        let index = role as u64;
        if index == 1 && !self.duplex {
            let (wanted, found) = ("duplex pipe", "one-way pipe");
            return Err(Error::WrongKind { wanted, found });
        }
        let at = ring_offset(self.layout, index);
        // SAFETY: the ring lies in the body (`new`), and is aligned to 128 as its offset is; it is mapped as long as
        // the lane is used.
        let ring = unsafe {
            let ring = self.body.cast::<u8>().add(at as usize).as_ptr();
            Records::attach(ring, ring_bytes(self.layout) as usize)
        };
        let ring = ring.ok().filter(|ring| ring.size() == self.layout.size() as u64);
        let ring = ring.ok_or(Error::Corrupt { what: "a pipe's ring is damaged" })?;
        // SAFETY: the words lie in the body.
        let words = unsafe { NonNull::from(&self.body.as_ref().lanes[index as usize]) };
        let ring_id = u32::try_from((offset + at) / RING_UNIT);
        let ring_id = ring_id.map_err(|_| Error::Corrupt { what: "a pipe lies too far away" })?;
        Ok(Lane { words, ring, ring_id })
    }

    pub(super) fn sides(&self) -> &Sides {
        // SAFETY: as in `new`.
        unsafe { &self.body.as_ref().head.sides }
    }

    /// The directions that there are.
    pub(super) fn lanes(&self, offset: u64) -> impl Iterator<Item = Lane> + '_ {
        let roles = &Role::ALL[..if self.duplex { 2 } else { 1 }];
        roles.iter().filter_map(move |role| self.lane(*role, offset).ok())
    }
}

fn ring_bytes(layout: Layout) -> u64 {
    (layout.bytes() as u64).next_multiple_of(128)
}

fn ring_offset(layout: Layout, index: u64) -> u64 {
    size_of::<Body>() as u64 + index * ring_bytes(layout)
}

/// The pipe at `place`, and where in the arena its body begins.
pub(super) fn shape_at(regions: &Regions, place: Place) -> Option<(Shape, u64)> {
    let body = object::body_at(regions, place)?;
    Some((Shape::new(body.at, body.len).ok()?, body.offset))
}

/// Calls `f` with each direction of the pipe at `place`.
pub(super) fn for_each_lane(regions: &Regions, place: Place, mut f: impl FnMut(Lane)) {
    if let Some((shape, offset)) = shape_at(regions, place) {
        shape.lanes(offset).for_each(&mut f);
    }
}

/// The rings of the pipe at `place`, by number.
pub(super) fn rings_of(regions: &Regions, place: Place) -> Vec<(u32, Records)> {
    let mut rings = Vec::new();
    for_each_lane(regions, place, |lane| rings.push((lane.ring_id, lane.ring)));
    rings
}

#[cold]
pub(super) fn damaged(_: Corrupt) -> Error {
    Error::Corrupt { what: "a pipe's ring is damaged" }
}

/// More records than this are in no ring: a header takes eight bytes.
pub(super) fn most_records(ring: &Records) -> u64 {
    ring.size() / 8
}

/// Whether a record of this kind begins with the descriptor of a block.
pub(super) fn names_one(kind: u8) -> bool {
    kind == BLOCK || kind == ENCLOSING
}

/// Whether a record that was published at `position` and not released names `block`.
pub(super) fn names_block(ring: &Records, position: u64, block: BlockRef) -> bool {
    ring.holds(position, |kind, word| names_one(kind) && Descriptor::block_of(word) == Some(block))
}

#[cfg(test)]
mod tests {
    use slipring_core::futex::Scope;
    use slipring_core::primitive::FenceMode;

    use super::*;
    use crate::{Pipe, PipeOptions, Segment, SegmentOptions};

    #[test]
    fn a_ring_that_was_bent_into_a_circle_keeps_nobody() {
        let segment = Segment::with(SegmentOptions::new().reserve(64 << 20)).unwrap();
        let options = PipeOptions::new().ring(256);
        let (mut reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
        let loan = writer.loan(1).unwrap();
        let ring = writer.end().lane.ring;
        // SAFETY: nobody else sends meanwhile.
        let mut producer = unsafe { ring.producer(Scope::Shared, FenceMode::Symmetric) }.unwrap();
        let first = producer.claim(8, 0).unwrap().as_mut_ptr().wrapping_sub(8).cast::<u64>();
        let header = 1 << 63 | 8 << 34 | 2 << 8 | u64::from(BLOCK);
        let (block, len) = loan.block();
        let word = Descriptor::Block { block, len }.encode();
        for index in 0..16 {
            // SAFETY: the ring has 32 words.
            unsafe { first.add(2 * index).cast::<[u64; 2]>().write([header, word]) };
        }
        assert!(matches!(reader.try_recv(), Err(Error::Corrupt { .. })));
        // Now with the death procedure.
        drop((reader, writer));
        assert!(segment.blocks_in_use() > 0, "the loan was in nobody's ring");
    }
}
