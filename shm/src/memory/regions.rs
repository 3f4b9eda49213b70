//! The regions of a mapped segment, viewed: block pool, directory, records of participants, note lines, arena.
//!
//! A participant, the death procedure and an observer all look at a segment through [`Regions`]. It does not know which
//! process looks: the id of this process and the recovery lock belong to the attachment, which is built on it.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use slipring_core::block::{self, Backing, Geometry as PoolGeometry, NoteLine, Pool, Reach};
use slipring_core::directory::Directory;
use slipring_core::member::{Identity, MAX_PARTICIPANTS, MemberState, Record, TableHead};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::FenceMode;

use super::geometry::{DIRECTORY_ENTRIES, NOTE_LINES, NOTE_SIZE, PARTICIPANT_SIZE, Region};
use super::give_back;
use super::mapping::Mapping;
use super::reopen;
use crate::error::{Error, Result};
use crate::sys::pieces::Pieces;
use crate::sys::{clock, file, lock};

/// Lock bytes lie far beyond any size that a segment can have. The first one is the recovery lock. Byte `n` behind it
/// proves the life of participant `n`.
pub(crate) const LOCK_BASE: u64 = 1 << 62;

/// Entries that fit in the directory's region beside its counter.
const ENTRIES: u32 = DIRECTORY_ENTRIES as u32 - 2;

/// A mapped segment and its regions.
#[derive(Debug)]
pub struct Regions {
    pub(crate) mapping: Mapping,
    pub(crate) pool: Pool,
    pub(crate) directory: Directory,
    pub(crate) fences: FenceMode,
    /// What the pool asks.
    _reaching: Arc<Reaching>,
}

/// Where the regions of blocks are, for the pool, which asks before it touches a block.
#[derive(Debug)]
struct Reaching {
    pieces: Arc<Pieces>,
    meta_at: u64,
    data_at: u64,
}

impl Reaching {
    fn ask(context: NonNull<()>, region: block::Region, offset: u64, len: u64) -> bool {
        // SAFETY: what `Regions::over` gave the pool, and keeps beside it.
        let this = unsafe { context.cast::<Self>().as_ref() };
        let at = match region {
            block::Region::Meta => this.meta_at,
            block::Region::Data => this.data_at,
        };
        this.pieces.reach((at + offset) as usize, len as usize).is_ok()
    }
}

/// Maps what the pool touches without asking; and takes address space for ordinary messages and objects: a process that is
/// given a limit of it later can go on. `at`: where the regions of blocks begin.
fn prepare(mapping: &Mapping, classes: &PoolGeometry, at: (u64, u64)) -> Result<()> {
    // Blocks up to 1 MiB.
    const ORDINARY: usize = 15;
    for (index, class) in classes.classes().iter().enumerate() {
        mapping.reach(at.0 + class.summary, class.controls - class.summary)?;
        if index < ORDINARY {
            // Where it does not fit now it is asked for again.
            let _ = mapping.reach(at.0 + class.controls, 1);
            let _ = mapping.reach(at.1 + class.data, class.stride);
        }
    }
    let (arena, _) = mapping.geometry().region(Region::Arena);
    let _ = mapping.reach(arena, 1);
    Ok(())
}

impl Regions {
    /// The regions of a mapped segment. What a participant needs of them at once is paid for.
    ///
    /// # Errors
    ///
    /// No memory; [`Error::Corrupt`].
    pub(crate) fn commit(mapping: Mapping) -> Result<Self> {
        for (region, len) in Self::NEEDED {
            mapping.commit(mapping.geometry().region(region).0, len)?;
        }
        Self::over(mapping)
    }

    /// The regions of a segment that is only looked at: nothing is written to it.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], also for a segment that nobody has taken part in yet.
    pub(crate) fn observe(mapping: Mapping) -> Result<Self> {
        let is_there =
            |(region, len)| mapping.is_committed(mapping.geometry().region(region).0, len);
        if !Self::NEEDED.into_iter().all(is_there) {
            return Err(Error::Corrupt { what: "nothing was ever made in it" });
        }
        Self::over(mapping)
    }

    /// What is looked at in any segment, beside what creation commits.
    const NEEDED: [(Region, u64); 2] =
        [(Region::BlockMeta, block::FRESH_BYTES), (Region::Directory, 128)];

    fn over(mapping: Mapping) -> Result<Self> {
        let geometry = *mapping.geometry();
        let (meta, meta_len) = geometry.region(Region::BlockMeta);
        let (data, data_len) = geometry.region(Region::BlockData);
        let (directory, _) = geometry.region(Region::Directory);
        let (_, arena_len) = geometry.region(Region::Arena);
        let classes = PoolGeometry::new(meta_len, data_len)
            .ok_or(Error::Corrupt { what: "its regions hold no block pool" })?;
        let (meta_at, data_at) = (meta, data);
        let (meta, data) = (mapping.ptr(meta, meta_len)?, mapping.ptr(data, data_len)?);
        // SAFETY: the regions have the sizes that the geometry was made for, are aligned to chunks, and belong to the
        // pool alone; they are zero in a new file.
        // SAFETY: the mapping lives beside the pool, and the first bytes of `meta` have just been committed.
        let mut pool =
            unsafe { Pool::new(meta, data, classes) }.with_clock(|| clock::coarse() / 1_000_000);
        let reaching = Arc::new(Reaching { pieces: mapping.pieces().clone(), meta_at, data_at });
        if mapping.pieces().is_in_pieces() {
            prepare(&mapping, &classes, (meta_at, data_at))?;
            let context = NonNull::from(&*reaching).cast();
            // SAFETY: `reaching` lives beside the pool, where it does not move.
            pool = unsafe { pool.with_reach(Reach { context, ask: Reaching::ask }) };
        }
        let at = mapping.ptr(directory, Directory::bytes(ENTRIES))?;
        // SAFETY: the region is aligned to a chunk, zero in a new file, and lives as long as the mapping beside it.
        let directory = unsafe { Directory::new(at, ENTRIES, arena_len) };
        Ok(Self { fences: mapping.fences(), mapping, pool, directory, _reaching: reaching })
    }

    /// The record of participant `index`, 1 to the last.
    pub(crate) fn record(&self, index: u32) -> Option<&Record> {
        if index == 0 || index >= MAX_PARTICIPANTS {
            return None;
        }
        let (table, _) = self.mapping.geometry().region(Region::Participants);
        let at = self.mapping.ptr(table + u64::from(index) * PARTICIPANT_SIZE, PARTICIPANT_SIZE);
        // SAFETY: in bounds of the mapping, aligned to 256, committed at creation, all bit patterns are valid.
        at.ok().map(|at| unsafe { at.cast::<Record>().as_ref() })
    }

    /// What stands in the place of record 0.
    fn table_head(&self) -> Result<&TableHead> {
        let (table, _) = self.mapping.geometry().region(Region::Participants);
        let at = self.mapping.ptr(table, PARTICIPANT_SIZE)?;
        // SAFETY: in bounds of the mapping, aligned to a chunk, committed at creation, all bit patterns are valid.
        Ok(unsafe { at.cast::<TableHead>().as_ref() })
    }

    /// All participants there are: id and record.
    pub(crate) fn participants(&self) -> impl Iterator<Item = (OwnerId, &Record)> {
        let used = self.table_head().map_or(0, TableHead::used);
        (1..=used).filter_map(|index| {
            let record = self.record(index)?;
            Some((record.id(index)?, record))
        })
    }

    /// Whether `owner` is proven dead: its record went on to another life, or the kernel has freed its byte.
    ///
    /// It is not for a participant to ask about itself: [`Attachment::is_dead`](crate::member::Attachment::is_dead) is.
    pub(crate) fn record_is_dead(&self, owner: OwnerId) -> bool {
        match self.record(owner.index()) {
            Some(record) if record.is(owner) => self.byte_is_free(owner.index()),
            _ => true,
        }
    }

    /// Whether nobody has the byte that proves the life of participant `index`. Where that cannot be asked: it lives.
    fn byte_is_free(&self, index: u32) -> bool {
        let byte = LOCK_BASE + u64::from(index);
        self.fd().is_ok_and(|fd| lock::is_locked_by_other(fd, byte).is_ok_and(|locked| !locked))
    }

    /// The descriptor of the segment's file, opened again where the program has closed it.
    ///
    /// # Errors
    ///
    /// [`Error::DescriptorsClosed`] where that is not possible.
    #[inline]
    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        match self.mapping.file().get() {
            Some(fd) => Ok(fd),
            None => {
                let records = self.participants().map(|(_, record)| record.identity());
                reopen::regain(&self.mapping, records)
            }
        }
    }

    /// Whether `proof` proves the life of an embryo that nobody has adopted. Under the recovery lock.
    pub(crate) fn is_proof_of(&self, proof: BorrowedFd<'_>, embryo: OwnerId) -> bool {
        let index = embryo.index();
        let is_embryo = |r: &Record| r.is(embryo) && r.state() == MemberState::Embryo;
        self.record(index).is_some_and(is_embryo)
            && !self.byte_is_free(index)
            // Where another description has the lock this cannot be had.
            && lock::try_lock_byte(proof, LOCK_BASE + u64::from(index)).is_ok_and(|locked| locked)
    }

    /// Begins a participant's life in a free record, proven by a lock of `proof`. Under the recovery lock.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyParticipants`].
    pub(crate) fn begin_life(
        &self,
        proof: BorrowedFd<'_>,
        who: Identity,
        live: bool,
    ) -> Result<OwnerId> {
        for index in 1..MAX_PARTICIPANTS {
            let Some(record) = self.record(index).filter(|r| r.id(index).is_none()) else {
                continue;
            };
            if !lock::try_lock_byte(proof, LOCK_BASE + u64::from(index)).map_err(lock_error)? {
                continue;
            }
            crash_point!("attachment.begin_life.locked");
            self.table_head()?.note(index);
            crash_point!("attachment.begin_life.noted");
            let id = record.begin(index, who, live);
            crash_point!("attachment.begin_life.begun");
            return Ok(id);
        }
        Err(Error::TooManyParticipants { max: MAX_PARTICIPANTS - 1 })
    }

    /// Whether `file` is the segment's.
    pub(crate) fn is_of(&self, file: BorrowedFd<'_>) -> Result<bool> {
        file::identity(file).map_err(Error::io("look at the descriptor"))?;
        Ok(self.mapping.file().is_same_file(file))
    }

    /// Whether the other segment is the same.
    pub(crate) fn is_same(&self, other: &Self) -> Result<bool> {
        self.is_of(other.fd()?)
    }

    /// A pointer to `len` bytes at `offset` of the arena. Touch what [`Regions::commit_arena`] or
    /// [`Regions::arena_is_committed`] has said may be.
    pub(crate) fn arena(&self, offset: u64, len: u64) -> Result<NonNull<u8>> {
        self.mapping.ptr(self.in_arena(offset, len)?, len)
    }

    /// Makes `len` bytes at `offset` of the arena safe to touch.
    pub(crate) fn commit_arena(&self, offset: u64, len: u64) -> Result<()> {
        self.mapping.commit(self.in_arena(offset, len)?, len)
    }

    /// Gives the whole chunks among them back. The caller owns them all.
    pub(crate) fn decommit_arena(&self, offset: u64, len: u64) -> Result<()> {
        self.mapping.decommit(self.in_arena(offset, len)?, len)
    }

    /// Whether they are safe to touch.
    pub(crate) fn arena_is_committed(&self, offset: u64, len: u64) -> bool {
        self.in_arena(offset, len).is_ok_and(|at| self.mapping.is_committed(at, len))
    }

    /// Where in the segment `offset` of the arena is, if `len` bytes from there on are in the arena.
    fn in_arena(&self, offset: u64, len: u64) -> Result<u64> {
        let (arena, arena_len) = self.mapping.geometry().region(Region::Arena);
        match offset.checked_add(len) {
            Some(end) if end <= arena_len => Ok(arena + offset),
            _ => Err(Error::Corrupt { what: "an offset points outside of the arena" }),
        }
    }

    /// Makes room for one more directory entry. Under the recovery lock.
    pub(crate) fn commit_directory(&self) -> Result<()> {
        let (directory, _) = self.mapping.geometry().region(Region::Directory);
        let entries = (self.directory.used() + 1).min(ENTRIES);
        self.mapping.commit(directory, Directory::bytes(entries))
    }

    /// Makes a free note line `me`'s, until [`NoteLine::free`].
    ///
    /// # Errors
    ///
    /// [`Error::TooManyHandles`].
    pub(crate) fn claim_note(&self, me: OwnerId) -> Result<&NoteLine> {
        for index in 0..NOTE_LINES {
            let offset = self.note_offset(index);
            self.mapping.commit(offset, NOTE_SIZE)?;
            let line = self.mapping.ptr(offset, NOTE_SIZE)?.cast::<NoteLine>();
            // SAFETY: in bounds, aligned, committed, all bit patterns are valid.
            let line = unsafe { line.as_ref() };
            if line.claim(me) {
                return Ok(line);
            }
        }
        Err(Error::TooManyHandles)
    }

    /// All note lines that were ever used.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &NoteLine> {
        (0..NOTE_LINES)
            .map(|index| self.note_offset(index))
            .take_while(|offset| self.mapping.is_committed(*offset, NOTE_SIZE))
            .filter_map(|offset| {
                let line = self.mapping.ptr(offset, NOTE_SIZE).ok()?.cast::<NoteLine>();
                // SAFETY: in bounds, aligned, committed, all bit patterns are valid.
                Some(unsafe { line.as_ref() })
            })
    }

    fn note_offset(&self, index: u64) -> u64 {
        self.mapping.geometry().region(Region::Notes).0 + index * NOTE_SIZE
    }

    /// Gives the memory of large blocks back that lay free for long, as `me`, if it is time to look for such.
    #[inline]
    pub(crate) fn tidy(&self, me: OwnerId) {
        if self.pool.may_have_idle() {
            self.tidy_now(me);
        }
    }

    #[cold]
    fn tidy_now(&self, me: OwnerId) {
        let patience = give_back::patience(self.mapping.budget());
        self.pool.tidy(&patience, me, self, |offset, len| self.give_back(offset, len));
    }

    /// Gives whole free large blocks back to the kernel at once, as `me`. Returns about how many bytes that were.
    pub(crate) fn trim(&self, me: OwnerId) -> u64 {
        let before = self.mapping.committed_bytes();
        self.pool.trim(me, self, |offset, len| self.give_back(offset, len));
        before.saturating_sub(self.mapping.committed_bytes())
    }

    fn give_back(&self, offset: u64, len: u64) {
        let (data, _) = self.mapping.geometry().region(Region::BlockData);
        // What cannot be given back can be committed again: nothing is lost.
        let _ = self.mapping.decommit(data + offset, len);
    }

    fn pool_offset(&self, region: block::Region) -> u64 {
        let region = match region {
            block::Region::Meta => Region::BlockMeta,
            block::Region::Data => Region::BlockData,
        };
        self.mapping.geometry().region(region).0
    }
}

impl Backing for Regions {
    type Error = Error;

    #[inline]
    fn commit(&self, region: block::Region, offset: u64, len: u64) -> Result<()> {
        self.mapping.commit(self.pool_offset(region) + offset, len)
    }

    #[inline]
    fn is_committed(&self, region: block::Region, offset: u64, len: u64) -> bool {
        self.mapping.is_committed(self.pool_offset(region) + offset, len)
    }

    #[inline]
    fn has_a_moment(&self, me: OwnerId) {
        self.tidy(me);
    }
}

pub(crate) fn lock_error(source: std::io::Error) -> Error {
    Error::Io { op: "lock a byte of the segment", source }
}
