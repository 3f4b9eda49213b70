//! The mapped file: made, attached to, paid for chunk by chunk, given back.
//!
//! # Invariants
//!
//! * I1. Whatever is touched through a pointer of [`Mapping::ptr`] was committed before: by creation, by
//!   [`Mapping::commit`] here, or by a peer whose bit in the commit map we saw with [`Mapping::is_committed`]. Each of these
//!   has mapped it in this process.
//! * I2. A chunk is given back only by whoever owns all of it, so nobody commits it meanwhile.
//! * I3. `committed` counts at least what is paid for, but for what a dying process left: a recount mends that.
//!
//! # Crash points
//!
//! | killed | leaves | mended by |
//! |---|---|---|
//! | while making it | a header that says INITIALISING | whoever attaches is told, and makes another |
//! | after counting | bytes counted that nobody paid for | the recount before a budget error |
//! | after allocating, before the bit | a chunk paid for that nobody knows of | the next commit pays again, at no cost |
//! | after clearing the bit, before the hole | the same | the same |

#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use bytemuck::Zeroable;
use slipring_core::primitive::{AtomicU64, FenceMode, Ordering, check_cpu};

use super::commit_map;
use super::geometry::{CHUNK, Geometry, MIN_RESERVE, Region};
use super::header::{Checked, Header, MAGIC, RawHeader};
use super::options::{DEFAULT_RESERVE, SegmentOptions};
use crate::error::{Error, Result};
use crate::sys::held::HeldFd;
use crate::sys::memory::{AllocateError, Seals};
use crate::sys::pieces::Pieces;
use crate::sys::{cgroup, file, membarrier, memory, process};

/// The most chunks that one `fallocate` asks for: short enough not to be interrupted for ever.
const RUN: u64 = 1024;

/// A segment's file, mapped: whole, or in pieces as they are used.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: Arc<Pieces>,
    /// An open file description of our own: the locks taken on it are ours alone. The program may close its number.
    file: Arc<HeldFd>,
    geometry: Geometry,
    budget: u64,
    fences: FenceMode,
}

impl Mapping {
    /// A new segment in a memfd of its own. `layout` is our layout fingerprint, here and below.
    pub(crate) fn create(options: SegmentOptions, layout: u64) -> Result<Self> {
        let file = memory::memfd("slipring").map_err(Error::io("make a memfd"))?;
        Self::create_in(file.as_fd(), options, layout)
    }

    /// A new segment in an empty file.
    pub(crate) fn create_in(
        file: BorrowedFd<'_>,
        options: SegmentOptions,
        layout: u64,
    ) -> Result<Self> {
        Self::create_with(file, options, DEFAULT_RESERVE, layout)
    }

    /// The same, with a reserve of `default` unless `options` say how much.
    pub(crate) fn create_with(
        file: BorrowedFd<'_>,
        options: SegmentOptions,
        default: u64,
        layout: u64,
    ) -> Result<Self> {
        check_cpu()?;
        let size = regular_size(file)?;
        if size != 0 {
            return Err(Error::NotEmpty { found: size });
        }
        let file = own_description(file)?;
        let (geometry, map) = reserve(file.as_fd(), options, default)?;
        if file::is_memfd(file.as_fd()).map_err(Error::io("read a link of /proc/self/fd"))? {
            memory::seal_size(file.as_fd()).map_err(Error::io("seal the segment's size"))?;
        }
        let budget = options.budget_under(cgroup::memory_limit());
        let asymmetric = !options.wants_symmetric() && membarrier::enable();
        let fences = if asymmetric { FenceMode::Asymmetric } else { FenceMode::Symmetric };
        let mapping = Self::over(map, held(file)?, (geometry, budget, fences));
        mapping.format(layout)?;
        Ok(mapping)
    }

    fn over(
        map: Pieces,
        file: Arc<HeldFd>,
        (geometry, budget, fences): (Geometry, u64, FenceMode),
    ) -> Self {
        map.keep(&file);
        Self { map: Arc::new(map), file, geometry, budget, fences }
    }

    /// Fills in the header. Nobody else knows the file, or they wait for its state.
    fn format(&self, layout: u64) -> Result<()> {
        let (at, len) = self.geometry.region(Region::Header);
        self.allocate(at, len)?;
        self.header().begin(process::pid());
        let made = self.commit_first_regions();
        if made.is_ok() {
            self.header().describe(layout, &self.geometry, self.budget, self.fences);
        }
        self.header().finish(made.is_ok());
        made
    }

    fn commit_first_regions(&self) -> Result<()> {
        let bytes: u64 = Region::AT_CREATION.iter().map(|r| self.geometry.region(*r).1).sum();
        if bytes > self.budget {
            return Err(Error::Budget { wanted: bytes, limit: self.budget });
        }
        self.allocate_first_regions()?;
        for region in Region::AT_CREATION {
            let (offset, len) = self.geometry.region(region);
            commit_map::set(self.bits(), offset / CHUNK..(offset + len) / CHUNK);
            crash_point!("mapping.format.marked");
        }
        // ORDERING: Relaxed; published with the header's state.
        self.header().committed.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Attaches to the segment in `file`, which may be any descriptor at all.
    pub(crate) fn attach(file: BorrowedFd<'_>, layout: u64) -> Result<Self> {
        regular_size(file)?;
        Self::attach_own(own_description(file)?, layout)
    }

    /// The same, where the open file description is ours already.
    pub(crate) fn attach_own(file: OwnedFd, layout: u64) -> Result<Self> {
        check_cpu()?;
        let size = regular_size(file.as_fd())?;
        refuse_shrinkable(file.as_fd())?;
        let Checked { geometry, budget, fences } = read_header(file.as_fd(), size, layout)?;
        if fences == FenceMode::Asymmetric && !membarrier::enable() {
            return Err(Error::Io {
                op: "register for membarrier, which this segment's wakers rely on; make the segment with \
                     symmetric fences, or let the seccomp filter pass membarrier",
                source: std::io::ErrorKind::Unsupported.into(),
            });
        }
        let map = map(file.as_fd(), &geometry, false).map_err(Error::io("map the segment"))?;
        let mapping = Self::over(map, held(file)?, (geometry, budget, fences));
        // Paid for already in any honest segment; in another one a touch must not be a SIGBUS.
        mapping.allocate_first_regions()?;
        if mapping.header().is_ready() { Ok(mapping) } else { Err(Error::Failed) }
    }

    /// Maps the segment in `file`, which was opened for reading only, to be looked at. Nothing but plain loads is
    /// possible through this mapping: the kernel sees to it.
    pub(crate) fn observe(file: OwnedFd, layout: u64) -> Result<Self> {
        check_cpu()?;
        let size = regular_size(file.as_fd())?;
        let Checked { geometry, budget, fences } = read_header(file.as_fd(), size, layout)?;
        let map = map(file.as_fd(), &geometry, true).map_err(Error::io("map the segment"))?;
        Ok(Self::over(map, held(file)?, (geometry, budget, fences)))
    }

    /// They lie together: one call.
    fn allocate_first_regions(&self) -> Result<()> {
        let (offset, len) =
            self.geometry.region(Region::AT_CREATION[Region::AT_CREATION.len() - 1]);
        self.allocate(0, offset + len)
    }

    /// The open file description that is this process's own, while the program has not closed it.
    pub(crate) fn file(&self) -> &Arc<HeldFd> {
        &self.file
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Who fences between a publication and the look for sleepers.
    pub(crate) fn fences(&self) -> FenceMode {
        self.fences
    }

    /// The most bytes that may be committed; `u64::MAX` where there is no limit.
    pub(crate) fn budget(&self) -> u64 {
        self.budget
    }

    /// Bytes committed, about: what the shared counter says.
    pub(crate) fn committed_bytes(&self) -> u64 {
        // ORDERING: Relaxed; a number.
        self.header().committed.load(Ordering::Relaxed)
    }

    /// The address of `offset`, with `len` bytes of the segment behind it. Touch what is committed, and no more.
    #[inline]
    pub(crate) fn ptr(&self, offset: u64, len: u64) -> Result<NonNull<u8>> {
        let what = "an offset lies outside of the segment";
        self.geometry.end_of(offset, len).ok_or(Error::Corrupt { what })?;
        let at = self.map.as_mut_ptr().wrapping_add(offset as usize);
        NonNull::new(at).ok_or(Error::Corrupt { what })
    }

    /// Whether the range may be touched.
    #[inline]
    pub(crate) fn is_committed(&self, offset: u64, len: u64) -> bool {
        let touched = self.geometry.chunks_touched(offset, len);
        touched.is_some_and(|chunks| commit_map::all_set(self.bits(), chunks))
            && self.map.reach(offset as usize, len as usize).is_ok()
    }

    /// Has the range be mapped in this process.
    pub(crate) fn reach(&self, offset: u64, len: u64) -> Result<()> {
        let outside = Error::Corrupt { what: "a range lies outside of the segment" };
        self.geometry.end_of(offset, len).ok_or(outside)?;
        self.map.reach(offset as usize, len as usize).map_err(|source| match source.raw_os_error() {
            Some(libc::EBADF) => Error::DescriptorsClosed,
            _ => Error::Io {
                op: "map more of the segment: is address space limited (`ulimit -v`, RLIMIT_AS)?",
                source,
            },
        })
    }

    /// The mapped file.
    pub(crate) fn pieces(&self) -> &Arc<Pieces> {
        &self.map
    }

    /// Pays for the range, so that it may be touched. Cheap where that is done already. What is new reads as zeros.
    #[inline]
    pub(crate) fn commit(&self, offset: u64, len: u64) -> Result<()> {
        if self.is_committed(offset, len) { Ok(()) } else { self.commit_slow(offset, len) }
    }

    #[cold]
    fn commit_slow(&self, offset: u64, len: u64) -> Result<()> {
        let outside = Error::Corrupt { what: "a range lies outside of the segment" };
        let chunks = self.geometry.chunks_touched(offset, len).ok_or(outside)?;
        self.reach(offset, len)?;
        while let Some(run) = commit_map::first_clear_run(self.bits(), chunks.clone(), RUN) {
            let bytes = (run.end - run.start) * CHUNK;
            self.count(bytes)?;
            crash_point!("mapping.commit.counted");
            if let Err(error) = self.allocate(run.start * CHUNK, bytes) {
                self.uncount(bytes);
                return Err(error);
            }
            crash_point!("mapping.commit.allocated");
            let new = commit_map::set(self.bits(), run) * CHUNK;
            crash_point!("mapping.commit.marked");
            // A peer paid for the others at the same time.
            self.uncount(bytes - new);
        }
        Ok(())
    }

    /// Gives the whole chunks of a range back; they read as zeros when they are committed again. The caller owns the
    /// range (I2).
    pub(crate) fn decommit(&self, offset: u64, len: u64) -> Result<()> {
        let outside = Error::Corrupt { what: "a range lies outside of the segment" };
        let chunks = self.geometry.chunks_inside(offset, len).ok_or(outside)?;
        if chunks.is_empty() {
            return Ok(());
        }
        let (at, bytes) = (chunks.start * CHUNK, (chunks.end - chunks.start) * CHUNK);
        let gone = commit_map::clear(self.bits(), chunks) * CHUNK;
        crash_point!("mapping.decommit.cleared");
        let punch = || self.file.open().and_then(|fd| memory::punch(fd, at, bytes));
        // SAFETY: the caller owns the range (I2).
        let punched = unsafe { self.map.remove(punch, at as usize, bytes as usize) };
        crash_point!("mapping.decommit.punched");
        self.uncount(gone);
        punched.map_err(Error::io("give memory of the segment back"))
    }

    /// Counts `bytes` towards the budget.
    fn count(&self, bytes: u64) -> Result<()> {
        let committed = &self.header().committed;
        for last_try in [false, true] {
            // ORDERING: Relaxed; a counter, nothing is read through it.
            let before = committed.fetch_add(bytes, Ordering::Relaxed);
            if before.saturating_add(bytes) <= self.budget {
                return Ok(());
            }
            self.uncount(bytes);
            if !last_try {
                self.recount();
            }
        }
        Err(Error::Budget { wanted: bytes, limit: self.budget })
    }

    fn uncount(&self, bytes: u64) {
        // ORDERING: Relaxed; a counter, nothing is read through it.
        self.header().committed.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Mends the counter from the commit map (I3). A peer that commits meanwhile may go uncounted: the next recount
    /// has it.
    fn recount(&self) {
        let set = commit_map::count_set(self.bits(), 0..self.geometry.chunks());
        // ORDERING: Relaxed; a counter, nothing is read through it.
        self.header().committed.store(set * CHUNK, Ordering::Relaxed);
    }

    /// Makes a range exist. Through the mapping, which needs no descriptor, it is not all or nothing: what a full file system
    /// did not refuse would stay taken, and be nobody's. So that is for a program that closed the descriptor.
    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let (at, bytes) = (offset as usize, len as usize);
        until_allocated(len, || match self.file.open() {
            Ok(fd) => memory::allocate(fd, offset, len),
            Err(closed) => self.map.populate(at, bytes).unwrap_or(Err(AllocateError::Io(closed))),
        })
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the map is at least a chunk long and page-aligned; the header lies at its start.
        // SAFETY: atomic words only, so peers may write behind the reference; it lives as long as the map.
        unsafe { &*self.map.as_ptr().cast::<Header>() }
    }

    #[inline]
    fn bits(&self) -> &[AtomicU64] {
        let (offset, len) = self.geometry.region(Region::CommitMap);
        // SAFETY: the region lies inside the map (geometry I1), is aligned to a chunk and committed at creation.
        // SAFETY: atomic words only, so peers may write behind the reference; it lives as long as the map.
        unsafe {
            let first = self.map.as_ptr().add(offset as usize).cast::<AtomicU64>();
            std::slice::from_raw_parts(first, len as usize / size_of::<AtomicU64>())
        }
    }
}

fn held(file: OwnedFd) -> Result<Arc<HeldFd>> {
    HeldFd::new(file).map(Arc::new).map_err(Error::io("look at the descriptor"))
}

/// Tries again as long as signals arrive.
fn until_allocated(
    len: u64,
    mut allocate: impl FnMut() -> std::result::Result<(), AllocateError>,
) -> Result<()> {
    loop {
        match allocate() {
            Ok(()) => return Ok(()),
            Err(AllocateError::Interrupted) => {}
            Err(AllocateError::NoSpace) => return Err(Error::NoSpace { wanted: len }),
            Err(AllocateError::Io(source)) => {
                return Err(Error::Io { op: "allocate memory for the segment", source });
            }
        }
    }
}

/// The size of a regular file; anything else is no segment.
fn regular_size(file: BorrowedFd<'_>) -> Result<u64> {
    match file::stat(file).map_err(Error::io("look at the descriptor"))? {
        (file::Kind::Regular, size) => Ok(size),
        (file::Kind::Other(why), _) => Err(Error::NotASegment { why: format!("it is {why}") }),
    }
}

fn own_description(file: BorrowedFd<'_>) -> Result<OwnedFd> {
    file::reopen(file).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::NoProc,
        _ => Error::Io { op: "reopen the segment", source },
    })
}

/// A memfd that somebody can shrink would be a SIGBUS to come. A file with a name cannot be sealed.
fn refuse_shrinkable(file: BorrowedFd<'_>) -> Result<()> {
    let sealed = match memory::seals(file).map_err(Error::io("read the seals of the file"))? {
        Seals::NoShrink => true,
        Seals::Open => false,
        Seals::Unavailable => {
            !file::is_memfd(file).map_err(Error::io("read a link of /proc/self/fd"))?
        }
    };
    let why = "it is not sealed against shrinking";
    if sealed { Ok(()) } else { Err(Error::NotASegment { why: why.into() }) }
}

/// Whether the file begins as a segment does, of whatever version.
pub(crate) fn is_segment(file: BorrowedFd<'_>) -> Result<bool> {
    let mut magic = [0; 8];
    if regular_size(file)? < 8 {
        return Ok(false);
    }
    file::read_at(file, &mut magic, 0).map_err(Error::io("read the segment's header"))?;
    Ok(u64::from_le_bytes(magic) == MAGIC)
}

fn read_header(file: BorrowedFd<'_>, size: u64, layout: u64) -> Result<Checked> {
    let mut raw = RawHeader::zeroed();
    let bytes = bytemuck::bytes_of_mut(&mut raw);
    file::read_at(file, bytes, 0).map_err(Error::io("read the segment's header"))?;
    raw.check(size, layout)
}

/// Maps a file, in pieces from the first regions on that have one size in all segments.
fn map(file: BorrowedFd<'_>, geometry: &Geometry, for_reading: bool) -> std::io::Result<Pieces> {
    let (first, _) = geometry.region(Region::BlockMeta);
    Pieces::new(file, geometry.reserve() as usize, first as usize, for_reading)
}

/// Sizes and maps an empty file; a default reserve shrinks until the address space holds it.
fn reserve(
    file: BorrowedFd<'_>,
    options: SegmentOptions,
    default: u64,
) -> Result<(Geometry, Pieces)> {
    let (wanted, asked_for) = options.wanted_reserve(default)?;
    let least = if asked_for { wanted } else { MIN_RESERVE };
    let wanted = Geometry::for_reserve(wanted)?.reserve();
    let (reserve, map) = memory::reserve_shrinking(wanted, least, |bytes| {
        memory::set_size(file, bytes)?;
        let geometry = Geometry::for_reserve(bytes).map_err(|_| std::io::ErrorKind::InvalidInput)?;
        map(file, &geometry, false)
    })
    .map_err(|source| match source.kind() {
        std::io::ErrorKind::FileTooLarge => Error::Io {
            op: "give the segment its size: the limit of file sizes counts for shared memory too; raise it \
                 (`ulimit -f`, RLIMIT_FSIZE), or make the segment with a smaller reserve",
            source,
        },
        // What valgrind says of a mapping that is larger than what it has. A half of it would take it minutes.
        std::io::ErrorKind::InvalidInput => Error::Io {
            op: "reserve address space for the segment; under valgrind set SLIPRING_RESERVE=256M",
            source,
        },
        _ => Error::Io { op: "reserve address space for the segment", source },
    })?;
    Ok((Geometry::for_reserve(reserve)?, map))
}
