//! One process's attachment to one segment: the mapping, who this process is in it, and which handles it has.
//!
//! # Locks, in the order in which they are taken
//!
//! 1. the list of attachments (fork only),
//! 2. an attachment's `private` lock: threads of this process,
//! 3. the segment's recovery lock: an OFD lock, so the kernel frees it with its holder.
//!
//! Rings, locks and blocks take none of them. Creating, opening and closing objects, joining and burying do.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::time::Duration;

use slipring_core::block::{self, Backing, Geometry as PoolGeometry, NoteLine, Pool};
use slipring_core::directory::{Directory, ObjectId};
use slipring_core::member::{Identity, MAX_PARTICIPANTS, MemberState, Record, TableHead};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, AtomicU64, FenceMode, Ordering};

use crate::object::Role;
use crate::private_lock::PrivateLock;
use crate::segment::{DIRECTORY_ENTRIES, Mapping, NOTE_LINES, NOTE_SIZE, PARTICIPANT_SIZE, Region};
use crate::sys::{clock, file, lock, process};
use crate::wait::{Spin, SpinPolicy};
use crate::{Error, Result, recovery, watch};

/// Lock bytes lie far beyond any size that a segment can have.
const LOCK_BASE: u64 = 1 << 62;
/// How long a creation waits for somebody who holds the recovery lock and is alive: stopped, perhaps.
pub(crate) const RECOVERY_PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of an object waits for it: somebody else's death procedure can do it as well.
pub(crate) const SHORT_PATIENCE: Duration = Duration::from_millis(100);
/// Looks for the dead come at most this often from one process.
const REAP_INTERVAL: u64 = 20_000_000;

/// One process's attachment.
#[derive(Debug)]
pub struct Attachment {
    pub(crate) mapping: Mapping,
    pub(crate) pool: Pool,
    pub(crate) directory: Directory,
    pub(crate) fences: FenceMode,
    pub(crate) cpus: u32,
    /// Our id in this segment, 0 while we take no part. Changes in a forked child. Private memory.
    me: AtomicU32,
    /// Whether signals end waits. Private memory.
    interruptible: AtomicU32,
    /// When this process last looked for the dead. Private memory.
    last_reap: AtomicU64,
    pub(crate) private: PrivateLock<Private>,
}

/// What an attachment keeps behind its private lock.
#[derive(Debug, Default)]
pub(crate) struct Private {
    /// How many handles this process has of each side of each object.
    pub(crate) handles: HashMap<(ObjectId, Role), usize>,
    /// How handles made from now on spin.
    spin: SpinPolicy,
    /// During a fork: the child's participant and the open file description that proves it.
    pub(crate) embryo: Option<(OwnerId, OwnedFd)>,
}

impl Attachment {
    /// Takes part in a mapped segment.
    pub(crate) fn join(mapping: Mapping) -> Result<Self> {
        let attachment = Self::view(mapping)?;
        let me =
            attachment.with_recovery(|| attachment.begin_life(attachment.mapping.fd(), true))??;
        attachment.set_me(Some(me));
        Ok(attachment)
    }

    /// Takes part under the id that somebody prepared: an embryo whose lock is `mapping`'s own file description.
    pub(crate) fn adopt(mapping: Mapping, embryo: OwnerId) -> Result<Self> {
        let attachment = Self::view(mapping)?;
        let record = attachment.record(embryo.index());
        // A process that runs already has its place: this one inherited a stale description.
        let known = record.is_some_and(|r| r.is(embryo) && r.state() == MemberState::Embryo);
        if !known {
            let what = "the place kept for this process in the segment";
            return Err(Error::NotInherited(what.into()));
        }
        attachment.hatch(embryo)?;
        Ok(attachment)
    }

    fn view(mapping: Mapping) -> Result<Self> {
        for (region, len) in Self::NEEDED {
            mapping.commit(mapping.geometry().region(region).0, len)?;
        }
        Self::over(mapping)
    }

    /// Looks at a mapped segment and takes no part: nothing is written to it.
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
        let (meta, data) = (mapping.ptr(meta, meta_len)?, mapping.ptr(data, data_len)?);
        // SAFETY: the regions have the sizes that the geometry was made for, are aligned to chunks, and belong to the
        // pool alone; they are zero in a new file.
        // SAFETY: the mapping lives beside the pool, and the first bytes of `meta` have just been committed.
        let pool = unsafe { Pool::new(meta, data, classes) };
        let at = mapping.ptr(directory, Directory::bytes(ENTRIES))?;
        // SAFETY: the region is aligned to a chunk, zero in a new file, and lives as long as the mapping beside it.
        let directory = unsafe { Directory::new(at, ENTRIES, arena_len) };
        Ok(Self {
            fences: mapping.fences(),
            mapping,
            pool,
            directory,
            cpus: process::cpu_count(),
            me: AtomicU32::new(0),
            interruptible: AtomicU32::new(0),
            last_reap: AtomicU64::new(0),
            private: PrivateLock::new(Private::default()),
        })
    }

    /// Our id in this segment.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`] in a child for which no place was to be had.
    #[inline]
    pub(crate) fn me(&self) -> Result<OwnerId> {
        // ORDERING: Relaxed; private memory, changed only while this process has one thread (a fork's child).
        match OwnerId::from_bits(self.me.load(Ordering::Relaxed)) {
            Some(me) => Ok(me),
            // Not `ok_or`: that would build and drop an error in every operation.
            None => Err(Error::Forked),
        }
    }

    pub(crate) fn set_me(&self, me: Option<OwnerId>) {
        // ORDERING: Relaxed; as above.
        self.me.store(me.map_or(0, OwnerId::bits), Ordering::Relaxed);
    }

    pub(crate) fn interruptible(&self) -> bool {
        // ORDERING: Relaxed; private memory.
        self.interruptible.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn set_interruptible(&self, on: bool) {
        // ORDERING: Relaxed; private memory.
        self.interruptible.store(u32::from(on), Ordering::Relaxed);
    }

    /// What a new handle knows of spinning.
    pub(crate) fn new_spin(&self) -> Spin {
        Spin::new(self.private.lock().spin, self.cpus)
    }

    pub(crate) fn set_spin(&self, policy: SpinPolicy) {
        self.private.lock().spin = policy;
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

    /// Whether `owner` is proven dead: its record went on to another life, or the kernel has freed its byte.
    pub(crate) fn is_dead(&self, owner: OwnerId) -> bool {
        if self.me().is_ok_and(|me| me == owner) {
            return false;
        }
        match self.record(owner.index()) {
            Some(record) if record.is(owner) => self.byte_is_free(owner.index()),
            _ => true,
        }
    }

    /// Whether nobody has the byte that proves the life of participant `index`.
    fn byte_is_free(&self, index: u32) -> bool {
        let byte = LOCK_BASE + u64::from(index);
        lock::is_locked_by_other(self.mapping.fd(), byte).is_ok_and(|locked| !locked)
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

    /// Whether `file` is the segment's.
    pub(crate) fn is_of(&self, file: BorrowedFd<'_>) -> Result<bool> {
        let identity = |fd| file::identity(fd).map_err(Error::io("look at the descriptor"));
        Ok(identity(self.mapping.fd())? == identity(file)?)
    }

    /// Begins a participant's life in a free record, proven by a lock of `proof`. Under the recovery lock.
    pub(crate) fn begin_life(&self, proof: BorrowedFd<'_>, live: bool) -> Result<OwnerId> {
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
            let id = record.begin(index, identity(), live);
            crash_point!("attachment.begin_life.begun");
            return Ok(id);
        }
        Err(Error::TooManyParticipants { max: MAX_PARTICIPANTS - 1 })
    }

    /// An embryo for a child of this process. Under the recovery lock.
    pub(crate) fn begin_embryo(&self, proof: BorrowedFd<'_>) -> Result<OwnerId> {
        match self.begin_life(proof, false) {
            Err(Error::TooManyParticipants { .. }) if self.bury_all_dead() > 0 => {
                self.begin_life(proof, false)
            }
            begun => begun,
        }
    }

    /// As [`Attachment::reap`], under the recovery lock: for who starts children again and again and never waits in the
    /// segment. Nobody else would look for those that have ended, for the sake of the memory that they had.
    pub(crate) fn reap_held(&self) {
        if self.is_time_to_reap() {
            self.bury_all_dead();
        }
    }

    /// This process is the one that `embryo` was prepared for.
    pub(crate) fn hatch(&self, embryo: OwnerId) -> Result<()> {
        let record = self.record(embryo.index()).ok_or(Error::Forked)?;
        record.adopt(identity());
        crash_point!("attachment.hatch.adopted");
        self.set_me(Some(embryo));
        Ok(())
    }

    /// All participants there are: index and record.
    pub(crate) fn participants(&self) -> impl Iterator<Item = (OwnerId, &Record)> {
        let used = self.table_head().map_or(0, TableHead::used);
        (1..=used).filter_map(|index| {
            let record = self.record(index)?;
            Some((record.id(index)?, record))
        })
    }

    /// Looks for dead participants and repairs what they left, unless this process did so a moment ago.
    #[cold]
    pub(crate) fn reap(&self) {
        if self.is_time_to_reap() {
            self.reap_now();
        }
    }

    /// Whether this process has not looked for the dead for a moment; it is about to.
    fn is_time_to_reap(&self) -> bool {
        let now = clock::now();
        // ORDERING: Relaxed; private memory, a lost update costs one more look.
        if now.wrapping_sub(self.last_reap.load(Ordering::Relaxed)) < REAP_INTERVAL {
            return false;
        }
        self.last_reap.store(now, Ordering::Relaxed);
        true
    }

    /// Looks for dead participants and repairs what they left. Returns how many were buried.
    pub(crate) fn reap_now(&self) -> usize {
        if !self.participants().any(|(id, _)| self.is_dead(id)) {
            return 0;
        }
        // Somebody else is at it, or is stopped in the middle of it: our own operations go on all the same.
        self.try_with_recovery(|| self.bury_all_dead()).unwrap_or(0)
    }

    /// Repairs what the dead left. Under the recovery lock.
    fn bury_all_dead(&self) -> usize {
        let Ok(me) = self.me() else { return 0 };
        if !recovery::is_enabled() {
            return 0;
        }
        let dead: Vec<_> =
            self.participants().map(|(id, _)| id).filter(|id| self.is_dead(*id)).collect();
        dead.into_iter().filter(|id| recovery::bury(self, *id, me)).count()
    }

    /// The same, waiting for whoever is at it.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], as [`Attachment::with_recovery`].
    pub(crate) fn reap_patiently(&self) -> Result<()> {
        if self.participants().any(|(id, _)| self.is_dead(id)) {
            self.with_recovery(|| self.bury_all_dead())?;
        }
        Ok(())
    }

    /// Runs `f` under the recovery lock.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if a living process keeps the lock for very long: it was stopped.
    pub(crate) fn with_recovery<R>(&self, f: impl FnOnce() -> R) -> Result<R> {
        let _private = self.private.lock();
        self.with_recovery_held(RECOVERY_PATIENCE, f)
    }

    /// The same for somebody who holds the private lock, and has so much patience.
    pub(crate) fn with_recovery_held<R>(
        &self,
        patience: Duration,
        f: impl FnOnce() -> R,
    ) -> Result<R> {
        wait_for_lock(patience, || self.lock_recovery())?;
        crash_point!("attachment.recovery.locked");
        let result = f();
        crash_point!("attachment.recovery.done");
        self.unlock_recovery();
        Ok(result)
    }

    /// Runs `f` under the recovery lock if it is to be had at once: not where a thread of ours waits for it, either.
    fn try_with_recovery<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let _private = self.private.try_lock()?;
        self.with_recovery_held(Duration::ZERO, f).ok()
    }

    fn lock_recovery(&self) -> Result<bool> {
        lock::try_lock_byte(self.mapping.fd(), LOCK_BASE).map_err(lock_error)
    }

    fn unlock_recovery(&self) {
        // Cannot fail on a descriptor that could lock it.
        let _ = lock::unlock_byte(self.mapping.fd(), LOCK_BASE);
    }

    /// A pointer to `len` bytes at `offset` of the arena.
    pub(crate) fn arena(&self, offset: u64, len: u64) -> Result<NonNull<u8>> {
        self.mapping.ptr(self.in_arena(offset, len)?, len)
    }

    /// Makes `len` bytes at `offset` of the arena safe to touch.
    pub(crate) fn commit_arena(&self, offset: u64, len: u64) -> Result<()> {
        self.mapping.commit(self.in_arena(offset, len)?, len)
    }

    /// Gives the whole chunks among them back. Whoever calls owns them all.
    pub(crate) fn decommit_arena(&self, offset: u64, len: u64) -> Result<()> {
        self.mapping.decommit(self.in_arena(offset, len)?, len)
    }

    /// Whether they are.
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

    /// Makes a free note line ours.
    pub(crate) fn claim_note(&self, me: OwnerId) -> Result<NonNull<NoteLine>> {
        for index in 0..NOTE_LINES {
            let offset = self.note_offset(index);
            self.mapping.commit(offset, NOTE_SIZE)?;
            let line = self.mapping.ptr(offset, NOTE_SIZE)?.cast::<NoteLine>();
            // SAFETY: in bounds, aligned, committed, all bit patterns are valid.
            if unsafe { line.as_ref() }.claim(me) {
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
            // SAFETY: in bounds, aligned, committed, all bit patterns are valid.
            .filter_map(|offset| {
                let line = self.mapping.ptr(offset, NOTE_SIZE).ok()?.cast::<NoteLine>();
                // SAFETY: in bounds, aligned, committed, all bit patterns are valid.
                Some(unsafe { line.as_ref() })
            })
    }

    fn note_offset(&self, index: u64) -> u64 {
        self.mapping.geometry().region(Region::Notes).0 + index * NOTE_SIZE
    }

    /// A descriptor of the segment's file with an open file description of its own.
    pub(crate) fn reopen(&self) -> Result<OwnedFd> {
        file::reopen(self.mapping.fd()).map_err(Error::io("reopen the segment"))
    }

    /// Gives whole free large blocks back to the kernel.
    pub(crate) fn trim(&self) -> Result<u64> {
        let (data, _) = self.mapping.geometry().region(Region::BlockData);
        let me = self.me()?;
        let before = self.mapping.committed_bytes();
        self.pool.trim(crate::segment::CHUNK, me, |offset, len| {
            // What cannot be given back stays committed and in use: nothing is lost.
            let _ = self.mapping.decommit(data + offset, len);
        });
        Ok(before.saturating_sub(self.mapping.committed_bytes()))
    }
}

/// Entries that fit in the directory's region beside its counter.
const ENTRIES: u32 = DIRECTORY_ENTRIES as u32 - 2;

impl Backing for Attachment {
    type Error = Error;

    #[inline]
    fn commit(&self, region: block::Region, offset: u64, len: u64) -> Result<()> {
        self.mapping.commit(self.pool_offset(region) + offset, len)
    }

    #[inline]
    fn is_committed(&self, region: block::Region, offset: u64, len: u64) -> bool {
        self.mapping.is_committed(self.pool_offset(region) + offset, len)
    }
}

impl Attachment {
    fn pool_offset(&self, region: block::Region) -> u64 {
        let region = match region {
            block::Region::Meta => Region::BlockMeta,
            block::Region::Data => Region::BlockData,
        };
        self.mapping.geometry().region(region).0
    }
}

/// Who this process is, for people who look: what `/proc` does not tell is 0. Asked once per process; not waited for
/// where a thread of ours, or one that a fork left behind, is just asking.
fn identity() -> Identity {
    static KNOWN: PrivateLock<Option<Identity>> = PrivateLock::new(None);
    let pid = process::pid();
    let mut known = KNOWN.try_lock();
    let cached = known.as_ref().and_then(|known| **known).filter(|who| who.pid == pid);
    let who = cached.unwrap_or_else(|| Identity {
        pid,
        pid_namespace: process::pid_namespace().unwrap_or(0),
        start_time: process::start_time().unwrap_or(0),
        joined: 0,
    });
    if let Some(known) = &mut known {
        **known = Some(who);
    }
    Identity { joined: clock::now(), ..who }
}

/// The recovery lock of a segment that this process takes no part in, held as long as what is returned lives.
pub(crate) fn lock_recovery_of(file: &OwnedFd, patience: Duration) -> Result<impl Drop + use<'_>> {
    struct Lock<'a>(&'a OwnedFd);
    impl Drop for Lock<'_> {
        fn drop(&mut self) {
            let _ = lock::unlock_byte(self.0.as_fd(), LOCK_BASE);
        }
    }
    wait_for_lock(patience, || lock::try_lock_byte(file.as_fd(), LOCK_BASE).map_err(lock_error))?;
    Ok(Lock(file))
}

/// Tries again and again, for so long.
fn wait_for_lock(patience: Duration, try_lock: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = clock::deadline_in(patience);
    let mut nap = Duration::from_micros(5);
    while !try_lock()? {
        if clock::has_passed(deadline) {
            return Err(Error::TimedOut);
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(1));
    }
    Ok(())
}

fn lock_error(source: std::io::Error) -> Error {
    Error::Io { op: "lock a byte of the segment", source }
}

impl Attachment {
    /// Leaving is dying in good order. If the recovery lock is not to be had, the others do it; but of a named segment this
    /// may be the last one, who takes the name away.
    fn leave(&self, me: OwnerId) {
        let is_named = self.mapping.header().is_named();
        let patience = if is_named { SHORT_PATIENCE } else { Duration::ZERO };
        let Some(_private) = self.private.try_lock() else { return };
        let _ = self.with_recovery_held(patience, || {
            if is_named {
                self.bury_all_dead();
            }
            recovery::bury(self, me, me)
        });
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Ok(me) = self.me() {
            self.leave(me);
        }
        watch::forget(self);
        watch::ring::forget(self);
    }
}
