//! A file that is mapped in pieces, as they are used: all of them where they would be if it were mapped whole.
//!
//! A mapping of a whole reserve costs no memory, but address space, and programs limit that (`ulimit -v`, RLIMIT_AS). Here
//! only what is used counts. The addresses of the rest stay free because nobody goes there: the kernel places what has no
//! address of its own from the stack downwards and from the heap upwards, and these lie far from both. Where that does not
//! work out, because of the machine or of what else is there, the file is mapped whole.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};

use memmap2::MmapRaw;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use slipring_core::primitive::{AtomicU32, AtomicU64, Ordering};

use super::held::HeldFd;
use super::memory::{self, AllocateError};
use super::{file, process};

/// Bytes of a piece.
const PIECE: usize = 1 << 20;
/// Where the addresses for mappings in pieces begin.
const FIRST: usize = 16 << 40;
/// The unit in which they are handed out.
const SLOT: usize = 32 << 30;
/// So many of them, in words of 64.
const WORDS: usize = 32;
/// So many places are tried.
const TRIES: usize = 8;

/// Which slots are taken. Private memory; a forked child has its parent's mappings and slots.
static SLOTS: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
/// Whether this process maps in pieces.
static IN_PIECES: AtomicU32 = AtomicU32::new(0);

/// From now on this process maps files in pieces.
pub(crate) fn map_in_pieces() {
    // ORDERING: Relaxed; a setting that stands for itself.
    IN_PIECES.store(1, Ordering::Relaxed);
}

/// A mapped file. Only what [`Pieces::has`], or was asked for with [`Pieces::grow`], may be touched.
#[derive(Debug)]
pub(crate) struct Pieces {
    base: *mut u8,
    len: usize,
    for_reading: bool,
    /// Where it is mapped whole.
    whole: Option<MmapRaw>,
    /// For mapping more of it.
    file: OnceLock<Arc<HeldFd>>,
    slots: Range<usize>,
    /// A bit for each piece that is mapped.
    mapped: Box<[AtomicU64]>,
}

// SAFETY: addresses; what is done at them is the business of those who use them.
unsafe impl Send for Pieces {}
// SAFETY: as above, and the bits are atomics.
unsafe impl Sync for Pieces {}

impl Pieces {
    /// Maps the first `len` bytes of a file, those from `first` on when they are used, if this process maps in pieces.
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        len: usize,
        first: usize,
        for_reading: bool,
    ) -> io::Result<Self> {
        // ORDERING: Relaxed; as in `map_in_pieces`.
        if IN_PIECES.load(Ordering::Relaxed) != 0
            && let Some(pieces) = Self::in_pieces(fd, len, first, for_reading)
        {
            return Ok(pieces);
        }
        let whole = if for_reading {
            memory::map_for_reading(fd, len)?
        } else {
            memory::map_shared(fd, len)?
        };
        let (base, mapped) = (whole.as_mut_ptr(), Box::default());
        let (whole, file) = (Some(whole), OnceLock::new());
        Ok(Self { base, len, for_reading, whole, file, slots: 0..0, mapped })
    }

    /// The same in pieces, if there are addresses for that.
    fn in_pieces(fd: BorrowedFd<'_>, len: usize, first: usize, for_reading: bool) -> Option<Self> {
        for _ in 0..TRIES {
            let slots = take_slots(len.div_ceil(SLOT))?;
            let base = std::ptr::without_provenance_mut(FIRST + slots.start * SLOT);
            let count = len.div_ceil(PIECE).div_ceil(64);
            let mapped = (0..count).map(|_| AtomicU64::new(0)).collect();
            let (whole, file) = (None, OnceLock::new());
            let pieces = Self { base, len, for_reading, whole, file, slots, mapped };
            match pieces.grow(fd, 0, first.min(len)) {
                Ok(()) => return Some(pieces),
                // Somebody is there: these slots stay taken.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    std::mem::forget(pieces);
                }
                Err(_) => return None,
            }
        }
        None
    }

    /// Whether it is not mapped whole.
    pub(crate) fn is_in_pieces(&self) -> bool {
        self.whole.is_none()
    }

    /// The file's descriptor, for what is mapped later.
    pub(crate) fn keep(&self, file: &Arc<HeldFd>) {
        let _ = self.file.set(file.clone());
    }

    /// Has the range be mapped, with the descriptor that was kept.
    #[inline]
    pub(crate) fn reach(&self, offset: usize, len: usize) -> io::Result<()> {
        if self.has(offset, len) { Ok(()) } else { self.reach_more(offset, len) }
    }

    #[cold]
    fn reach_more(&self, offset: usize, len: usize) -> io::Result<()> {
        let file = self.file.get().ok_or(Errno::BADF)?;
        self.grow(file.open()?, offset, len)
    }

    /// The first byte.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.base
    }

    /// The same.
    #[inline]
    pub(crate) fn as_mut_ptr(&self) -> *mut u8 {
        self.base
    }

    /// Whether the range is mapped.
    #[inline]
    pub(crate) fn has(&self, offset: usize, len: usize) -> bool {
        if self.whole.is_some() || len == 0 {
            return true;
        }
        let last = (offset + len - 1) / PIECE;
        (offset / PIECE..=last).all(|piece| self.has_piece(piece))
    }

    #[inline]
    fn has_piece(&self, piece: usize) -> bool {
        // ORDERING: Acquire; "mapped", the Release in `mark`.
        let word = self.mapped.get(piece / 64).map(|word| word.load(Ordering::Acquire));
        word.is_some_and(|word| word >> (piece % 64) & 1 != 0)
    }

    fn mark(&self, pieces: Range<usize>) {
        for piece in pieces {
            // ORDERING: Release; "mapped".
            self.mapped[piece / 64].fetch_or(1 << (piece % 64), Ordering::Release);
        }
    }

    /// Maps the range, so that it may be touched. `AlreadyExists`: something else is mapped there.
    #[cold]
    fn grow(&self, fd: BorrowedFd<'_>, offset: usize, len: usize) -> io::Result<()> {
        if self.has(offset, len) {
            return Ok(());
        }
        let (mut at, end) = (offset / PIECE, (offset + len).div_ceil(PIECE));
        while at < end {
            let run = (at..end).take_while(|piece| !self.has_piece(*piece)).count();
            if run > 0 && self.map(fd, at..at + run) == Err(Errno::EXIST) {
                for piece in at..at + run {
                    match self.map(fd, piece..piece + 1) {
                        Ok(()) => {}
                        // Another thread was faster, or one of a forking parent's was about to say so.
                        Err(Errno::EXIST) if self.is_ours(fd, piece)? => {
                            self.mark(piece..piece + 1)
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            } else if run > 0 && !self.has_piece(at) {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            at += run.max(1);
        }
        Ok(())
    }

    fn map(&self, fd: BorrowedFd<'_>, pieces: Range<usize>) -> Result<(), Errno> {
        let start = pieces.start * PIECE;
        let len = (pieces.end * PIECE).min(self.len) - start;
        let (prot, at) = (ProtFlags::READ, self.base.wrapping_add(start));
        let prot = if self.for_reading { prot } else { prot | ProtFlags::WRITE };
        let flags = MapFlags::SHARED | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: nothing is mapped there, or the kernel says so and changes nothing.
        let found = unsafe { mmap(at.cast(), len, prot, flags, fd, start as u64)? };
        if found.addr() != at.addr() {
            // A kernel before 4.17 takes the address for a wish.
            // SAFETY: just mapped, and nobody knows of it.
            let _ = unsafe { munmap(found, len) };
            return Err(Errno::NOMEM);
        }
        // SAFETY: advice about memory of ours. A hint: without it a core dump is as large as the segment.
        let _ = unsafe { madvise(found, len, Advice::LinuxDontDump) };
        self.mark(pieces);
        Ok(())
    }

    /// Whether what is mapped in the place of a piece is that piece.
    fn is_ours(&self, fd: BorrowedFd<'_>, piece: usize) -> io::Result<bool> {
        let address = self.base.addr() + piece * PIECE;
        let (_, inode) = file::identity(fd)?;
        let found = process::mapped_file_at(address);
        Ok(found == Some((inode, (piece * PIECE) as u64)))
    }

    /// Makes part of it exist, as [`memory::allocate`] does, without a descriptor; see [`memory::populate`].
    pub(crate) fn populate(&self, offset: usize, len: usize) -> Option<Result<(), AllocateError>> {
        match &self.whole {
            Some(map) => memory::populate(map, offset, len),
            None if !self.has(offset, len) => None,
            None => {
                let at = self.base.wrapping_add(offset).cast();
                // SAFETY: a range that is mapped, and stays what it is.
                let done = unsafe { madvise(at, len, Advice::LinuxPopulateWrite) };
                memory::populated(done.map_err(io::Error::from))
            }
        }
    }

    /// Gives part of it back to the machine; by `elsewhere` where it is not mapped.
    ///
    /// # Safety
    ///
    /// Nothing in that part is used any more: it reads as zeros afterwards.
    pub(crate) unsafe fn remove(
        &self,
        elsewhere: impl FnOnce() -> io::Result<()>,
        offset: usize,
        len: usize,
    ) -> io::Result<()> {
        match &self.whole {
            // SAFETY: the caller's promise.
            Some(map) => unsafe { memory::remove(map, offset, len) },
            None if !self.has(offset, len) => elsewhere(),
            None => {
                let at = self.base.wrapping_add(offset).cast();
                // SAFETY: the caller's promise; the range is mapped.
                unsafe { madvise(at, len, Advice::LinuxRemove)? };
                Ok(())
            }
        }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if self.whole.is_some() {
            return;
        }
        let count = self.len.div_ceil(PIECE);
        let mut at = 0;
        while at < count {
            let run = (at..count).take_while(|piece| self.has_piece(*piece)).count();
            if run > 0 {
                let len = ((at + run) * PIECE).min(self.len) - at * PIECE;
                // SAFETY: mapped here, and used by nobody any more.
                let _ = unsafe { munmap(self.base.wrapping_add(at * PIECE).cast(), len) };
            }
            at += run.max(1);
        }
        give_back_slots(self.slots.clone());
    }
}

fn bits_of(slots: &Range<usize>) -> u64 {
    (u64::MAX >> (64 - slots.len())) << (slots.start % 64)
}

/// So many slots side by side, which lie in one word.
fn take_slots(count: usize) -> Option<Range<usize>> {
    if !(1..=64).contains(&count) {
        return None;
    }
    for (index, word) in SLOTS.iter().enumerate() {
        // ORDERING: Relaxed; private memory, and nothing is read through it.
        let mut taken = word.load(Ordering::Relaxed);
        while let Some(shift) =
            (0..=64 - count).find(|shift| taken & bits_of(&(*shift..*shift + count)) == 0)
        {
            let slots = index * 64 + shift..index * 64 + shift + count;
            let new = taken | bits_of(&slots);
            // ORDERING: Relaxed; as above.
            match word.compare_exchange(taken, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(slots),
                Err(now) => taken = now,
            }
        }
    }
    None
}

fn give_back_slots(slots: Range<usize>) {
    if !slots.is_empty() {
        // ORDERING: Relaxed; as in `take_slots`.
        SLOTS[slots.start / 64].fetch_and(!bits_of(&slots), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    const SIZE: usize = 64 << 30;

    fn file() -> HeldFd {
        let file = memory::memfd("pieces").unwrap();
        memory::set_size(file.as_fd(), SIZE as u64).unwrap();
        HeldFd::new(file).unwrap()
    }

    fn pieces(file: &HeldFd) -> Pieces {
        Pieces::in_pieces(file.as_fd(), SIZE, 1, false).unwrap()
    }

    fn byte(pieces: &Pieces, at: usize) -> *mut u8 {
        assert!(pieces.has(at, 1));
        pieces.as_mut_ptr().wrapping_add(at)
    }

    #[test]
    fn what_was_asked_for_is_there_and_no_more() {
        let file = file();
        let (one, two) = (pieces(&file), pieces(&file));
        assert!(one.has(0, PIECE) && !one.has(0, PIECE + 1) && one.has(5, 0) && one.is_in_pieces());
        let far = SIZE - 3 * PIECE - 5;
        one.grow(file.as_fd(), far, 3 * PIECE).unwrap();
        assert!(one.has(far, 3 * PIECE) && !one.has(far - PIECE, PIECE) && !two.has(far, 1));
        assert!(two.reach(far, 1).is_err(), "no descriptor was kept");
        two.keep(&Arc::new(HeldFd::new(file::duplicate(file.as_fd()).unwrap()).unwrap()));
        two.reach(far, 1).unwrap();
        // SAFETY: mapped, just looked at, and nobody else's.
        unsafe {
            byte(&one, far).write_volatile(7);
            assert_eq!(byte(&two, far).read_volatile(), 7);
        }
    }

    #[test]
    fn what_another_thread_or_a_parent_has_mapped_is_found_and_what_is_somebody_elses_is_not_touched()
     {
        let file = file();
        let pieces = pieces(&file);
        pieces.grow(file.as_fd(), 0, 5 * PIECE).unwrap();
        // As a child finds it whose parent was about to note it.
        pieces.mapped[0].fetch_and(!0b110, Ordering::Relaxed);
        assert!(!pieces.has(PIECE, 1));
        pieces.grow(file.as_fd(), 0, 6 * PIECE).unwrap();
        assert!(pieces.has(0, 6 * PIECE));
        let (at, flags) = (pieces.as_mut_ptr().wrapping_add(8 * PIECE), MapFlags::PRIVATE);
        // SAFETY: nothing is mapped there, or it fails.
        let theirs = unsafe {
            rustix::mm::mmap_anonymous(
                at.cast(),
                PIECE,
                ProtFlags::READ,
                flags | MapFlags::FIXED_NOREPLACE,
            )
            .unwrap()
        };
        let error = pieces.grow(file.as_fd(), 7 * PIECE, 3 * PIECE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(!pieces.has(8 * PIECE, 1));
        // SAFETY: ours, and nobody uses it.
        unsafe { munmap(theirs, PIECE).unwrap() };
        pieces.grow(file.as_fd(), 7 * PIECE, 3 * PIECE).unwrap();
        assert!(pieces.has(7 * PIECE, 3 * PIECE));
    }

    #[test]
    fn places_are_given_back_and_lie_side_by_side() {
        let taken = take_slots(16).unwrap();
        assert_eq!((taken.len(), taken.start / 64), (16, (taken.end - 1) / 64));
        give_back_slots(taken);
        let all: Vec<_> = (0..3).map(|_| take_slots(64).unwrap()).collect();
        assert!(take_slots(0).is_none() && take_slots(65).is_none());
        all.into_iter().for_each(give_back_slots);
        assert_eq!(bits_of(&(64..128)), u64::MAX);
    }
}
