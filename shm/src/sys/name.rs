//! Names of files in a directory: given to a file that is finished, looked up, taken away.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags};
use rustix::io::Errno;

/// What a file says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Status {
    /// The owner.
    pub(crate) uid: u32,
    /// The permission bits.
    pub(crate) mode: u32,
    /// Device and inode: which file it is.
    pub(crate) file: (u64, u64),
}

/// A file without a name on the file system of `directory`, read-write, for its owner alone.
pub(crate) fn unnamed(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR)?)
}

/// Sets group and permissions.
pub(crate) fn set_access(file: BorrowedFd<'_>, mode: u32, group: Option<u32>) -> io::Result<()> {
    if let Some(group) = group {
        rustix::fs::fchown(file, None, Some(Gid::from_raw(group)))?;
    }
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

/// Gives the file a name, unless something has it. `false`: something has.
pub(crate) fn link(file: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(CWD, from, CWD, path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The file of this name, read-write. A symbolic link is not followed, and nothing is waited for.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags =
        OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// The same, for reading only.
pub(crate) fn open_for_reading(path: &Path) -> io::Result<OwnedFd> {
    let flags =
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Whether [`open`] met a symbolic link.
pub(crate) fn is_symlink(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// Whether this process, or the machine, has as many files open as it may.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// The names of all files in a directory.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<OsString>> {
    std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// The same, one after the other, as far as they can be read.
pub(crate) fn entries(directory: &Path) -> io::Result<impl Iterator<Item = OsString>> {
    let entries = std::fs::read_dir(directory)?;
    Ok(entries.map_while(Result::ok).map(|entry| entry.file_name()))
}

/// What an open file says of itself.
pub(crate) fn status(file: BorrowedFd<'_>) -> io::Result<Status> {
    rustix::fs::fstat(file).map(described).map_err(Into::into)
}

/// What the file of this name says of itself; a symbolic link speaks for itself.
pub(crate) fn status_at(path: &Path) -> io::Result<Status> {
    rustix::fs::lstat(path).map(described).map_err(Into::into)
}

fn described(stat: rustix::fs::Stat) -> Status {
    Status { uid: stat.st_uid, mode: stat.st_mode & 0o7777, file: (stat.st_dev, stat.st_ino) }
}

/// Takes the name away.
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlink(path)?)
}

/// Who this process acts for.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_name_is_given_once_and_means_that_file() {
        let directory = std::env::temp_dir();
        let path = directory.join(format!("slipring-test-{}", std::process::id()));
        let (one, two) = (unnamed(&directory).unwrap(), unnamed(&directory).unwrap());
        set_access(one.as_fd(), 0o640, None).unwrap();
        assert!(link(one.as_fd(), &path).unwrap());
        assert!(!link(two.as_fd(), &path).unwrap());
        let found = open(&path).unwrap();
        assert_eq!(status(found.as_fd()).unwrap(), status_at(&path).unwrap());
        assert_eq!(status(found.as_fd()).unwrap().file, status(one.as_fd()).unwrap().file);
        assert_eq!(
            (status_at(&path).unwrap().mode, status_at(&path).unwrap().uid),
            (0o640, user())
        );
        unlink(&path).unwrap();
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
