//! Memory that forked children share.

use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Zeroed memory, page-aligned, that this process and its children see alike. Unmapped when it is dropped.
#[derive(Debug)]
pub struct Shared {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: an address and a length; whoever uses the memory shows that it may.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// `len` bytes.
    pub fn new(len: usize) -> Self {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping, where the kernel chooses.
        let at = unsafe {
            mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags)
        };
        let at = NonNull::new(at.expect("shared memory").cast()).expect("an address");
        Self { at, len }
    }

    /// The first byte.
    pub fn at(&self) -> NonNull<u8> {
        self.at
    }

    /// How many bytes.
    #[allow(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nobody has it beyond this value.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), self.len) };
    }
}
