//! Memory for a ring under test: aligned, zeroed, freed at the end.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// A piece of memory of a stated alignment.
pub struct Memory {
    at: *mut u8,
    layout: Layout,
}

// SAFETY: it only gives out the address; what is done with it is its user's to show.
unsafe impl Send for Memory {}
// SAFETY: as for `Send`.
unsafe impl Sync for Memory {}

impl Memory {
    /// `bytes` zeroes, aligned to `align`.
    pub fn new(bytes: usize, align: usize) -> Self {
        let layout = Layout::from_size_align(bytes, align).unwrap();
        assert!(bytes > 0);
        // SAFETY: the layout has a size above zero.
        let at = unsafe { alloc_zeroed(layout) };
        if at.is_null() {
            handle_alloc_error(layout);
        }
        Self { at, layout }
    }

    /// Where it is.
    pub fn at(&self) -> *mut u8 {
        self.at
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and freed once.
        unsafe { dealloc(self.at, self.layout) };
    }
}
