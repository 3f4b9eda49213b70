//! Part of a file at an address of its own, that can be cut loose from the file.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

/// The size of a page.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// Mapped pages, unmapped when this is dropped.
#[derive(Debug)]
pub(crate) struct Window {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: an address and a length; what is done with the memory is the owner's affair.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

const ACCESS: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

impl Window {
    /// Maps `len` bytes at `offset` shared; both are multiples of the size of a page, and `len` is not 0.
    pub(crate) fn open(file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // SAFETY: the kernel chooses the address: nothing that is mapped is replaced.
        let at = unsafe { mmap(std::ptr::null_mut(), len, ACCESS, flags, file, offset)? };
        let at = NonNull::new(at.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { at, len })
    }

    /// The first byte.
    pub(crate) fn at(&self) -> NonNull<u8> {
        self.at
    }

    /// Has the pages hold what they hold, and be this process's alone: `file` and `offset` are those it was opened with.
    /// Nothing is lost of what other threads write meanwhile.
    pub(crate) fn cut_loose(&mut self, file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        let at = self.at.as_ptr().cast();
        // SAFETY: it replaces this window's own pages by pages of the same content: the file has all that was written.
        // SAFETY: threads that write meanwhile write to the file before, or to pages of their own afterwards.
        unsafe { mmap(at, self.len, ACCESS, flags, file, offset)? };
        // Every page is copied now, by the kernel: in one step, as if it were written to.
        // SAFETY: our own pages; their content stays.
        match unsafe { madvise(at, self.len, Advice::LinuxPopulateWrite) } {
            Ok(()) => Ok(()),
            Err(Errno::INVAL) => {
                self.touch();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes to every page what it holds. For kernels before 5.14.
    fn touch(&self) {
        for offset in (0..self.len).step_by(page_size()) {
            // SAFETY: inside the window, which can be written to.
            unsafe {
                let byte = self.at.as_ptr().add(offset);
                byte.write_volatile(byte.read_volatile());
            }
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: mapped by `open`, and nobody has the address any more: the owner of a window says so by dropping it.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::memory;

    #[test]
    fn what_is_cut_loose_keeps_its_content_and_its_address_and_leaves_the_file_alone() {
        let file = memory::memfd("window").unwrap();
        memory::set_size(file.as_fd(), 16 * 4096).unwrap();
        let mut window = Window::open(file.as_fd(), 4096, 8 * 4096).unwrap();
        let other = Window::open(file.as_fd(), 4096, 8 * 4096).unwrap();
        let (mine, theirs) = (window.at().as_ptr(), other.at().as_ptr());
        // SAFETY: both are mapped, and so long.
        unsafe {
            mine.add(5000).write(7);
            assert_eq!(theirs.add(5000).read(), 7);
            window.cut_loose(file.as_fd(), 4096).unwrap();
            assert_eq!((window.at().as_ptr(), mine.add(5000).read()), (mine, 7));
            theirs.add(5000).write(8);
            theirs.add(20000).write(9);
            mine.write(1);
            assert_eq!((mine.add(5000).read(), mine.add(20000).read()), (7, 0));
            assert_eq!(theirs.read(), 0);
        }
    }
}
