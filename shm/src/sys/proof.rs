//! A lock that lives as long as this process, without a descriptor.
//!
//! An `F_OFD` lock belongs to the open file description, and a mapping keeps the description: one page that nobody may
//! touch, mapped from it, keeps the lock when all its descriptors are closed. A child of `fork` does not inherit the page
//! (`MADV_DONTFORK`), so that it cannot keep its parent's lock. An exec ends the mapping, and so does death.
//!
//! Exceptions: a child of `vfork` keeps it until its exec, for it has the same memory. Where the address space is used up
//! (`ulimit -v`, `vm.max_map_count`), the descriptor is kept instead.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use super::held::HeldFd;
use super::window::page_size;

/// What keeps an open file description, and with it its locks.
#[derive(Debug)]
pub(crate) enum Kept {
    Mapped {
        /// Where. It is kept for its drop.
        page: Page,
    },
    /// Where a mapping was refused.
    Held {
        /// Kept for its drop.
        fd: HeldFd,
    },
}

impl Kept {
    /// Keeps the description of `fd`, whose file has a first page.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        Self::mapped(fd.as_fd()).or_else(|_| Ok(Self::Held { fd: HeldFd::new(fd)? }))
    }

    /// Keeps it by a mapping, or not at all.
    fn mapped(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let page = Page::of(fd)?;
        page.keep_from_children()?;
        Ok(Self::Mapped { page })
    }

    /// Keeps it for the child of the next fork, which has it then beside this process. However many there are, they need no
    /// descriptors.
    pub(crate) fn for_child(fd: OwnedFd) -> io::Result<Self> {
        match Page::of(fd.as_fd()) {
            Ok(page) => Ok(Self::Mapped { page }),
            Err(_) => Ok(Self::Held { fd: HeldFd::new(fd)? }),
        }
    }

    /// In that child: it is this process's from now on, and not its children's.
    pub(crate) fn settle(self) -> io::Result<Self> {
        match &self {
            Self::Mapped { page } => page.keep_from_children().map(|()| self),
            Self::Held { fd } => Self::mapped(fd.open()?).or(Ok(self)),
        }
    }
}

/// A page of address space, unmapped when this is dropped.
#[derive(Debug)]
pub(crate) struct Page {
    at: NonNull<std::ffi::c_void>,
}

// SAFETY: an address; nothing is read or written there.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: the kernel chooses the address: nothing that is mapped is replaced.
        let at = unsafe {
            mmap(std::ptr::null_mut(), page_size(), ProtFlags::empty(), MapFlags::SHARED, fd, 0)?
        };
        Ok(Self { at: NonNull::new(at).ok_or(io::ErrorKind::OutOfMemory)? })
    }

    fn keep_from_children(&self) -> io::Result<()> {
        // SAFETY: our own page; children do without it.
        unsafe { madvise(self.at.as_ptr(), page_size(), Advice::LinuxDontFork)? };
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`, and nothing points into it.
        let _ = unsafe { munmap(self.at.as_ptr(), page_size()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::testing::{alone, in_child};
    use crate::sys::{file, lock, memory};

    #[test]
    fn a_lock_outlives_its_descriptors_and_ends_with_its_page() {
        let one = memory::memfd("test").unwrap();
        memory::set_size(one.as_fd(), 4096).unwrap();
        let two = file::reopen(one.as_fd()).unwrap();
        assert!(lock::try_lock_byte(two.as_fd(), 7).unwrap());
        let kept = Kept::new(two).unwrap();
        assert!(matches!(kept, Kept::Mapped { .. }));
        assert!(lock::is_locked_by_other(one.as_fd(), 7).unwrap());
        drop(kept);
        assert!(!lock::is_locked_by_other(one.as_fd(), 7).unwrap());
    }

    #[test]
    fn what_is_kept_for_a_child_is_the_childs_alone_afterwards() {
        alone(|| {
            let one = memory::memfd("test").unwrap();
            memory::set_size(one.as_fd(), 4096).unwrap();
            let two = file::reopen(one.as_fd()).unwrap();
            assert!(lock::try_lock_byte(two.as_fd(), 7).unwrap());
            let mut kept = Some(Kept::for_child(two).unwrap());
            let is_locked = || lock::is_locked_by_other(one.as_fd(), 7).is_ok_and(|locked| locked);
            assert!(in_child(|| {
                let ours = kept.take().map(|kept| kept.settle().unwrap());
                let was_ours = is_locked();
                drop(ours);
                was_ours && is_locked()
            }));
            drop(kept);
            assert!(!is_locked(), "the child has ended");
        });
    }

    #[test]
    fn a_forked_child_does_not_keep_it() {
        alone(|| {
            let one = memory::memfd("test").unwrap();
            memory::set_size(one.as_fd(), 4096).unwrap();
            let two = file::reopen(one.as_fd()).unwrap();
            assert!(lock::try_lock_byte(two.as_fd(), 7).unwrap());
            let mut kept = Some(Kept::new(two).unwrap());
            assert!(in_child(|| {
                // The child has no such page: nothing is to be unmapped.
                std::mem::forget(kept.take());
                lock::is_locked_by_other(one.as_fd(), 7).is_ok_and(|locked| locked)
            }));
            drop(kept);
            assert!(!lock::is_locked_by_other(one.as_fd(), 7).unwrap());
        });
    }
}
