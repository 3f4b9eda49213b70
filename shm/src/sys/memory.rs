//! Shared memory as a file: make it, seal it, map it, pay for it, give it back.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Why `fallocate` gave nothing.
#[derive(Debug)]
pub(crate) enum AllocateError {
    /// The file system, the quota or the machine is full.
    NoSpace,
    /// A signal arrived; nothing was allocated.
    Interrupted,
    /// Anything else.
    Io(io::Error),
}

/// Which promises the kernel enforces on a file's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seals {
    /// Nobody can shrink it: touching the mapping never faults beyond its end.
    NoShrink,
    /// It could be sealed, and nobody did.
    Open,
    /// It cannot be sealed: a file with a name, or on a file system without seals.
    Unavailable,
}

/// A new anonymous file, close-on-exec, that may be sealed. `name` shows up in `/proc` only.
pub(crate) fn memfd(name: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

/// Fixes the size of the file for ever.
pub(crate) fn seal_size(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?)
}

/// What is sealed.
pub(crate) fn seals(fd: BorrowedFd<'_>) -> io::Result<Seals> {
    match rustix::fs::fcntl_get_seals(fd) {
        Ok(seals) if seals.contains(SealFlags::SHRINK) => Ok(Seals::NoShrink),
        Ok(seals) if seals.contains(SealFlags::SEAL) => Ok(Seals::Unavailable),
        Ok(_) => Ok(Seals::Open),
        Err(Errno::INVAL) => Ok(Seals::Unavailable),
        Err(error) => Err(error.into()),
    }
}

/// Sets the size; costs no memory. `FileTooLarge`: over this process's limit. The kernel would say that with SIGXFSZ, whose
/// default is death, so it is not asked.
pub(crate) fn set_size(fd: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    if getrlimit(Resource::Fsize).current.is_some_and(|limit| bytes > limit) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(rustix::fs::ftruncate(fd, bytes)?)
}

/// Makes the range exist, so that touching it cannot fail for want of space. All or nothing. The file's size stays.
pub(crate) fn allocate(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), AllocateError> {
    rustix::fs::fallocate(fd, FallocateFlags::KEEP_SIZE, offset, len).map_err(|error| match error {
        Errno::NOSPC | Errno::DQUOT | Errno::NOMEM => AllocateError::NoSpace,
        Errno::INTR => AllocateError::Interrupted,
        error => AllocateError::Io(error.into()),
    })
}

/// Makes part of a mapping exist, as [`allocate`] does, without a descriptor. Not all or nothing: where it fails, a part of
/// it may exist. `None`: this kernel cannot (before 5.14).
pub(crate) fn populate(
    map: &MmapRaw,
    offset: usize,
    len: usize,
) -> Option<Result<(), AllocateError>> {
    populated(map.advise_range(Advice::PopulateWrite, offset, len))
}

/// What the kernel's answer to that says.
pub(super) fn populated(done: io::Result<()>) -> Option<Result<(), AllocateError>> {
    match done {
        Ok(()) => Some(Ok(())),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINVAL) => None,
            // A touch would be a SIGBUS: the file system is full.
            Some(libc::EFAULT | libc::ENOMEM) => Some(Err(AllocateError::NoSpace)),
            Some(libc::EINTR | libc::EAGAIN) => Some(Err(AllocateError::Interrupted)),
            _ => Some(Err(AllocateError::Io(error))),
        },
    }
}

/// Gives part of a mapping back to the machine, without a descriptor.
///
/// # Safety
///
/// Nothing in that part is used any more: it reads as zeros afterwards.
pub(crate) unsafe fn remove(map: &MmapRaw, offset: usize, len: usize) -> io::Result<()> {
    // SAFETY: the caller's promise.
    unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::Remove, offset, len) }
}

/// Gives part of a file back to the machine.
pub(crate) fn punch(fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(fd, flags, offset, len)?)
}

/// Bytes that the file occupies, as opposed to its size.
#[cfg(test)]
pub(crate) fn allocated(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(fd)?.st_blocks).unwrap_or(0) * 512)
}

/// Maps the first `len` bytes shared and read-write, without a swap reservation and without a place in core dumps.
/// `OutOfMemory`: the address space has no such gap left (`ulimit -v`).
pub(crate) fn map_shared(fd: BorrowedFd<'_>, len: usize) -> io::Result<MmapRaw> {
    let map = MmapOptions::new().len(len).no_reserve_swap().map_raw(fd.as_raw_fd())?;
    // A hint: without it a core dump of a process is as large as the segment.
    let _ = map.advise(Advice::DontDump);
    Ok(map)
}

/// Maps the first `len` bytes shared, to be read only.
pub(crate) fn map_for_reading(fd: BorrowedFd<'_>, len: usize) -> io::Result<MmapRaw> {
    MmapOptions::new().len(len).no_reserve_swap().map_raw_read_only(fd.as_raw_fd())
}

/// Calls `attempt` with `wanted`, then with ever smaller halves down to `least`, as long as the answer is that it is too
/// much: a default reserve must not fail where address space or the size of files is rationed.
pub(crate) fn reserve_shrinking<R>(
    wanted: u64,
    least: u64,
    mut attempt: impl FnMut(u64) -> io::Result<R>,
) -> io::Result<(u64, R)> {
    let mut bytes = wanted;
    loop {
        match attempt(bytes) {
            Ok(made) => return Ok((bytes, made)),
            Err(error) if is_too_much(&error) && bytes / 2 >= least => bytes /= 2,
            Err(error) => return Err(error),
        }
    }
}

fn is_too_much(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::OutOfMemory | io::ErrorKind::FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_sealed_file_cannot_change_its_size() {
        let file = memfd("test").unwrap();
        assert_eq!(seals(file.as_fd()).unwrap(), Seals::Open);
        set_size(file.as_fd(), 65536).unwrap();
        seal_size(file.as_fd()).unwrap();
        assert_eq!(seals(file.as_fd()).unwrap(), Seals::NoShrink);
        assert!(set_size(file.as_fd(), 0).is_err());
        assert!(set_size(file.as_fd(), 1 << 20).is_err());
        let plain = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(seals(plain.as_fd()).unwrap(), Seals::Unavailable);
    }

    #[test]
    fn memory_is_allocated_and_given_back_by_range() {
        let file = memfd("test").unwrap();
        set_size(file.as_fd(), 1 << 30).unwrap();
        assert_eq!(allocated(file.as_fd()).unwrap(), 0);
        allocate(file.as_fd(), 65536, 131_072).unwrap();
        assert_eq!(allocated(file.as_fd()).unwrap(), 131_072);
        let map = map_shared(file.as_fd(), 1 << 20).unwrap();
        // SAFETY: nobody uses the map.
        unsafe { remove(&map, 65536, 65536).unwrap() };
        assert_eq!(allocated(file.as_fd()).unwrap(), 65536);
        if let Some(populated) = populate(&map, 262_144, 131_072) {
            populated.unwrap();
            assert_eq!(allocated(file.as_fd()).unwrap(), 65536 + 131_072);
        }
    }

    #[test]
    fn two_maps_of_a_file_are_one_memory() {
        let file = memfd("test").unwrap();
        set_size(file.as_fd(), 4096).unwrap();
        let (one, two) =
            (map_shared(file.as_fd(), 4096).unwrap(), map_shared(file.as_fd(), 4096).unwrap());
        // SAFETY: byte 7 is inside both maps, which nobody else has.
        unsafe {
            one.as_mut_ptr().add(7).write_volatile(42);
            assert_eq!(two.as_ptr().add(7).read_volatile(), 42);
        }
    }

    #[test]
    fn a_reserve_that_does_not_fit_is_halved_until_it_does() {
        let limited = |limit| {
            move |bytes| {
                if bytes > limit { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
            }
        };
        assert_eq!(reserve_shrinking(1024, 64, limited(200)).unwrap().0, 128);
        assert_eq!(reserve_shrinking(1024, 64, limited(4096)).unwrap().0, 1024);
        assert!(reserve_shrinking(1024, 64, limited(63)).is_err());
    }
}
