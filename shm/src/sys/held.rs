//! Descriptors that this process keeps, and that the program around us may close behind our back: daemons close all that are
//! above 2. The number then means another file, which is none of our business.
//!
//! So a descriptor that lives longer than one call is a [`HeldFd`]. It remembers which file it is of, and looks before each
//! use whether its number still means that file: one system call beside a call that is made anyway. A file or a socket is told
//! by device and inode.
//!
//! An epoll, an eventfd, a timer or an inotify instance shares its inode with all others. Before such a number is closed,
//! the kernel is asked in `/proc/self/fdinfo` whether it is ours. Before it is used, it is only told from files and sockets.
//!
//! Nothing helps where another thread closes the number between the look and the use.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use slipring_core::primitive::{AtomicU32, Ordering};

use super::file;

/// No descriptor: the number of one that was given up.
const NONE: u32 = u32::MAX;

/// What tells the file of a descriptor from all others.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mark {
    /// Device and inode.
    file: (u64, u64),
    /// A line of `/proc/self/fdinfo`, for what shares its inode with all others of its sort. It is asked before the number is
    /// closed: a read of it costs ten times a look at the inode.
    info: Option<String>,
}

/// A descriptor of ours.
#[derive(Debug)]
pub(crate) struct HeldFd {
    /// Private memory.
    number: AtomicU32,
    mark: Mark,
}

impl HeldFd {
    /// Keeps a descriptor of a file, a socket, or anything that has an inode of its own.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        Self::marked(fd, None)
    }

    /// Keeps a descriptor that the kernel tells from others of its sort by the line of its `fdinfo` that begins so. Where
    /// there is none, it is told by its device and inode, which others of its sort share.
    pub(crate) fn told_by(fd: OwnedFd, begins: &str) -> io::Result<Self> {
        let info = info_of(fd.as_raw_fd());
        let line = info.lines().find(|line| line.starts_with(begins)).map(str::to_owned);
        Self::marked(fd, line)
    }

    fn marked(fd: OwnedFd, info: Option<String>) -> io::Result<Self> {
        let mark = Mark { file: file::identity(fd.as_fd())?, info };
        Ok(Self { number: AtomicU32::new(fd.into_raw_fd() as u32), mark })
    }

    /// The descriptor, if it is still ours.
    pub(crate) fn get(&self) -> Option<BorrowedFd<'_>> {
        let number = self.number()?;
        // SAFETY: a number that may be closed, or be another file's, is only asked about here.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        file::identity(fd).is_ok_and(|found| found == self.mark.file).then_some(fd)
    }

    /// The same, asking the kernel all that it knows: before the number is closed, or given another meaning.
    fn get_for_certain(&self) -> Option<RawFd> {
        let number = self.get()?.as_raw_fd();
        let is_ours = match &self.mark.info {
            Some(line) => info_of(number).lines().any(|found| found == line),
            None => true,
        };
        is_ours.then_some(number)
    }

    /// The same, or what the kernel says of a descriptor that is closed.
    pub(crate) fn open(&self) -> io::Result<BorrowedFd<'_>> {
        self.get().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    /// The number as a descriptor, for those that wait for it and do not use it: event loops.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: whatever the number means by now, nothing but a wait is done with it, by a caller that was given it.
        unsafe { BorrowedFd::borrow_raw(self.number().unwrap_or(i32::MAX)) }
    }

    /// Its number, whatever that means by now.
    pub(crate) fn number(&self) -> Option<RawFd> {
        // ORDERING: Relaxed; private memory, a number that stands for itself and is looked at by the kernel.
        let number = self.number.load(Ordering::Relaxed);
        (number != NONE).then_some(number as RawFd)
    }

    /// Device and inode of its file, which no other file has while that one is mapped or open.
    pub(crate) fn identity(&self) -> (u64, u64) {
        self.mark.file
    }

    /// Whether `fd` is of the same file.
    pub(crate) fn is_same_file(&self, fd: BorrowedFd<'_>) -> bool {
        file::identity(fd).is_ok_and(|found| self.is_file(found))
    }

    /// Whether the file with this device and inode is the same.
    pub(crate) fn is_file(&self, file: (u64, u64)) -> bool {
        self.mark.file == file
    }

    /// From now on `with` is the descriptor, which is of the same file. What it was before is closed, if that is still ours.
    /// Where another thread was faster its descriptor stays, and `with` is closed.
    pub(crate) fn replace(&self, with: OwnedFd) {
        let old = self.get_for_certain();
        // ORDERING: Relaxed for both; private memory, as in `number`.
        let before = self.number.load(Ordering::Relaxed);
        let new = with.as_raw_fd() as u32;
        let exchanged =
            self.number.compare_exchange(before, new, Ordering::Relaxed, Ordering::Relaxed);
        if exchanged.is_ok() {
            let _ = with.into_raw_fd();
            close_own(old);
        }
    }

    /// Gives the descriptor up: it is closed, if it is still ours.
    pub(crate) fn let_go(&self) {
        let old = self.get_for_certain();
        // ORDERING: Relaxed; private memory, as in `number`.
        self.number.store(NONE, Ordering::Relaxed);
        close_own(old);
    }
}

/// For event loops, which wait for the number and do nothing else with it.
impl AsRawFd for HeldFd {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Drop for HeldFd {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Closes a number that was just found to be ours.
fn close_own(number: Option<RawFd>) {
    if let Some(number) = number {
        // SAFETY: found to be ours, and given up: nobody else closes it.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
}

/// What the kernel says of a descriptor; nothing where it is closed, or `/proc` is not there.
fn info_of(number: RawFd) -> String {
    std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::memory;

    /// Closes a number as a daemon does, and has another file take it.
    fn close_and_reuse(number: RawFd) -> OwnedFd {
        let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        // SAFETY: the number is this test's; whoever held it looks before it uses it.
        let closed = unsafe { OwnedFd::from_raw_fd(number) };
        drop(closed);
        let mut taken = vec![];
        // Other tests open descriptors meanwhile: the number is taken by one of ours, or by one of theirs.
        for _ in 0..64 {
            let copy = file::duplicate(null.as_fd()).unwrap();
            if copy.as_raw_fd() == number {
                return copy;
            }
            taken.push(copy);
        }
        null
    }

    #[test]
    fn a_number_that_means_another_file_is_neither_used_nor_closed() {
        let held = HeldFd::new(memory::memfd("held").unwrap()).unwrap();
        let number = held.number().unwrap();
        assert!(held.get().is_some());
        let stranger = close_and_reuse(number);
        assert!(held.get().is_none());
        assert_eq!(held.open().unwrap_err().raw_os_error(), Some(libc::EBADF));
        drop(held);
        assert!(file::stat(stranger.as_fd()).is_ok(), "the stranger's descriptor is still open");
    }

    #[test]
    fn a_descriptor_that_was_lost_can_be_given_back() {
        let file = memory::memfd("held").unwrap();
        let again = file::reopen(file.as_fd()).unwrap();
        let held = HeldFd::new(file).unwrap();
        assert!(held.is_same_file(again.as_fd()));
        let _stranger = close_and_reuse(held.number().unwrap());
        held.replace(again);
        assert!(held.get().is_some());
        held.let_go();
        assert!(held.get().is_none() && held.number().is_none());
    }

    #[test]
    fn an_eventfd_is_told_from_another() {
        use rustix::event::{EventfdFlags, eventfd};
        let make = || eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let (one, other) = (make(), make());
        let copy = file::duplicate(other.as_fd()).unwrap();
        let held = HeldFd::told_by(one, "eventfd-id:").unwrap();
        assert!(held.get().is_some());
        // The number of the one becomes the other's.
        file::replace(held.get().unwrap(), copy.as_fd()).unwrap();
        let number = held.number().unwrap();
        assert!(held.get_for_certain().is_none());
        drop(held);
        // SAFETY: still open, and this test's.
        let left = unsafe { OwnedFd::from_raw_fd(number) };
        assert!(file::identity(left.as_fd()).is_ok(), "it was not closed");
    }
}
