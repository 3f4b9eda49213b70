//! Byte-range locks of an open file description (`F_OFD_*`): the kernel frees them when its last descriptor goes.
//!
//! A lock belongs to the open file description, not to the process: copies of a descriptor share it, and a child of
//! fork has a copy. Two descriptors from two `open`s exclude each other, even within one process.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Locks the byte unless somebody has it. `false`: somebody has.
pub(crate) fn try_lock_byte(fd: BorrowedFd<'_>, offset: u64) -> io::Result<bool> {
    match control(fd, libc::F_OFD_SETLK, libc::F_WRLCK, offset, 1) {
        Ok(_) => Ok(true),
        Err(error) if is_taken(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Unlocks the byte; nothing happens where it was not locked by this open file description.
pub(crate) fn unlock_byte(fd: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    control(fd, libc::F_OFD_SETLK, libc::F_UNLCK, offset, 1).map(drop)
}

/// Whether another open file description has the byte. One's own lock does not count.
pub(crate) fn is_locked_by_other(fd: BorrowedFd<'_>, offset: u64) -> io::Result<bool> {
    is_any_locked_by_other(fd, offset, 1)
}

/// Whether another open file description has any of `count` bytes.
pub(crate) fn is_any_locked_by_other(
    fd: BorrowedFd<'_>,
    offset: u64,
    count: u64,
) -> io::Result<bool> {
    let found = control(fd, libc::F_OFD_GETLK, libc::F_WRLCK, offset, count)?;
    Ok(found.l_type != libc::F_UNLCK as libc::c_short)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}

fn control(
    fd: BorrowedFd<'_>,
    command: libc::c_int,
    kind: libc::c_int,
    offset: u64,
    count: u64,
) -> io::Result<libc::flock> {
    let in_range = |number| libc::off_t::try_from(number).map_err(|_| io::ErrorKind::InvalidInput);
    let (start, len) = (in_range(offset)?, in_range(count)?);
    let mut range = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: len,
        // The OFD commands want 0 here.
        l_pid: 0,
    };
    // SAFETY: the descriptor is open for the call.
    // SAFETY: `range` is a valid `flock` that the kernel may write to.
    if unsafe { libc::fcntl(fd.as_raw_fd(), command, &raw mut range) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{file, memory};
    use std::os::fd::AsFd;

    #[test]
    fn two_open_descriptions_exclude_each_other_byte_by_byte() {
        let one = memory::memfd("test").unwrap();
        let two = file::reopen(one.as_fd()).unwrap();
        let (one, two) = (one.as_fd(), two.as_fd());
        assert!(try_lock_byte(one, 5).unwrap());
        assert!(try_lock_byte(one, 5).unwrap(), "its own lock is no obstacle");
        assert!(!try_lock_byte(two, 5).unwrap());
        assert!(try_lock_byte(two, 6).unwrap());
        assert!(is_locked_by_other(two, 5).unwrap());
        assert!(!is_locked_by_other(one, 5).unwrap());
        assert!(!is_locked_by_other(two, 7).unwrap());
        assert!(is_any_locked_by_other(two, 2, 4).unwrap());
        assert!(
            !is_any_locked_by_other(two, 2, 3).unwrap()
                && !is_any_locked_by_other(two, 6, 9).unwrap()
        );
        unlock_byte(two, 5).unwrap();
        assert!(is_locked_by_other(two, 5).unwrap(), "nobody unlocks another's byte");
        unlock_byte(one, 5).unwrap();
        assert!(try_lock_byte(two, 5).unwrap());
    }

    #[test]
    fn the_last_descriptor_of_a_description_takes_the_lock_with_it() {
        let one = memory::memfd("test").unwrap();
        let two = file::reopen(one.as_fd()).unwrap();
        let copy = file::duplicate(two.as_fd()).unwrap();
        assert!(try_lock_byte(two.as_fd(), 1 << 40).unwrap());
        drop(two);
        assert!(is_locked_by_other(one.as_fd(), 1 << 40).unwrap());
        drop(copy);
        assert!(!is_locked_by_other(one.as_fd(), 1 << 40).unwrap());
        assert!(is_locked_by_other(one.as_fd(), u64::MAX).is_err());
    }
}
