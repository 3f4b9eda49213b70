//! Descriptors: what they are of, open file descriptions of one's own, close-on-exec.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::FdFlags;

/// What kind of file a descriptor is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A regular file; memfds are regular files too.
    Regular,
    /// Anything else, named for an error message.
    Other(&'static str),
}

/// Kind and size in bytes.
pub(crate) fn stat(fd: BorrowedFd<'_>) -> io::Result<(Kind, u64)> {
    let stat = rustix::fs::fstat(fd)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Other("a directory"),
        FileType::CharacterDevice => Kind::Other("a character device"),
        FileType::BlockDevice => Kind::Other("a block device"),
        FileType::Fifo => Kind::Other("a pipe"),
        FileType::Socket => Kind::Other("a socket"),
        _ => Kind::Other("not a regular file"),
    };
    Ok((kind, u64::try_from(stat.st_size).unwrap_or(0)))
}

/// What tells one file from all others of this machine: device and inode.
pub(crate) fn identity(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// The same, of what a path led to.
pub(crate) fn identity_of(meta: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

/// What a path leads to, read-write and close-on-exec.
pub(crate) fn open(path: &std::path::Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// The same file through an open file description of its own, read-write and close-on-exec: locks taken on it are
/// not those of whoever else has a copy of `fd`. `NotFound` means that `/proc` is not mounted.
pub(crate) fn reopen(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(link(fd), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// Whether `fd` is of a memfd, which has no name in any directory.
pub(crate) fn is_memfd(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::fs::readlink(link(fd), Vec::new())?.to_bytes().starts_with(b"/memfd:"))
}

fn link(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Another descriptor of the same open file description, close-on-exec.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 0)?)
}

/// Makes `kept`'s number a descriptor of `with`'s open file description, close-on-exec; what it was before is closed.
pub(crate) fn replace(kept: BorrowedFd<'_>, with: impl AsFd) -> io::Result<()> {
    // SAFETY: the number stays open all the time, and whoever owns it goes on owning it: nothing closes it here.
    let mut kept = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(kept.as_raw_fd()) });
    Ok(rustix::io::dup3(with, &mut kept, rustix::io::DupFlags::CLOEXEC)?)
}

/// Sets or clears close-on-exec.
pub(crate) fn set_close_on_exec(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let flags = if on { FdFlags::CLOEXEC } else { FdFlags::empty() };
    Ok(rustix::io::fcntl_setfd(fd, flags)?)
}

/// Whether the descriptor is closed by exec.
pub(crate) fn is_close_on_exec(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::io::fcntl_getfd(fd)?.contains(FdFlags::CLOEXEC))
}

/// Reads from `offset` until `buffer` is full or the file ends; returns how many bytes there were. Retries `EINTR`.
pub(crate) fn read_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        let rest = &mut buffer[done..];
        match rustix::io::pread(fd.as_fd(), rest, offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

/// Writes all of `bytes` at `offset`. Retries `EINTR`.
#[cfg(test)]
pub(crate) fn write_at(fd: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::pwrite(fd, &bytes[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::memory;

    #[test]
    fn a_reopened_file_is_the_same_file() {
        let file = memory::memfd("test").unwrap();
        let again = reopen(file.as_fd()).unwrap();
        write_at(file.as_fd(), b"words", 3).unwrap();
        let mut bytes = [9; 16];
        assert_eq!(read_at(again.as_fd(), &mut bytes, 0).unwrap(), 8);
        assert_eq!(&bytes[..9], b"\0\0\0words\x09");
        assert_eq!(stat(again.as_fd()).unwrap(), (Kind::Regular, 8));
        assert!(is_close_on_exec(again.as_fd()).unwrap());
    }

    #[test]
    fn close_on_exec_is_set_and_cleared() {
        let file = memory::memfd("test").unwrap();
        let copy = duplicate(file.as_fd()).unwrap();
        assert!(is_close_on_exec(copy.as_fd()).unwrap());
        set_close_on_exec(copy.as_fd(), false).unwrap();
        assert!(!is_close_on_exec(copy.as_fd()).unwrap());
        assert!(is_close_on_exec(file.as_fd()).unwrap());
    }

    #[test]
    fn other_kinds_of_file_are_named() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(stat(null.as_fd()).unwrap().0, Kind::Other("a character device"));
        let root = std::fs::File::open("/").unwrap();
        assert_eq!(stat(root.as_fd()).unwrap().0, Kind::Other("a directory"));
        assert!(is_memfd(memory::memfd("test").unwrap().as_fd()).unwrap());
        assert!(!is_memfd(null.as_fd()).unwrap());
    }
}
