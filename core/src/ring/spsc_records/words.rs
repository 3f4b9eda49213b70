//! The ring's bytes, addressed by masked positions: a word is a header or eight bytes of content, as the records that
//! come by want it.

use core::ptr::NonNull;

use super::entry::WORD;
use crate::primitive::AtomicU64;

/// Eight bytes of the ring.
pub type Word = AtomicU64;

/// Where they are. Copied freely.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    first: NonNull<u8>,
    /// Of the offset of a word: in the ring, and a multiple of 8 (I4).
    mask: u64,
}

impl Words {
    /// # Safety
    ///
    /// `size` bytes from `first` may be written, and nobody else uses them.
    pub unsafe fn init(first: *mut Word, _size: usize) {
        // SAFETY: a ring has a first word. It is the terminator; what is behind it does not matter (I2).
        unsafe { first.write(AtomicU64::new(0)) };
    }

    pub fn new(first: NonNull<Word>, size: usize) -> Self {
        Self { first: first.cast(), mask: size as u64 - WORD }
    }

    /// The word at `position`, as a header.
    #[inline]
    pub fn header(&self, position: u64) -> &AtomicU64 {
        // SAFETY: in the ring and aligned, as the mask is; mapped by `attach`. Peers may write an atomic word.
        unsafe { &*self.byte(position).cast() }
    }

    /// The address of the word at `position`.
    #[inline]
    pub fn byte(&self, position: u64) -> *mut u8 {
        self.first.as_ptr().wrapping_add((position & self.mask) as usize)
    }

    /// # Safety
    ///
    /// `bytes` fit the ring from `content + offset` without wrapping, and nobody else uses that part of it.
    #[inline]
    pub unsafe fn write(&self, content: u64, offset: usize, bytes: &[u8]) {
        let to = self.byte(content).wrapping_add(offset);
        // SAFETY: in the ring, by the caller's word; `bytes` are private, so they do not overlap it.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// # Safety
    ///
    /// `into` fits the ring from `content + offset` without wrapping, and nobody writes that part of it.
    #[inline]
    pub unsafe fn read(&self, content: u64, offset: usize, into: &mut [u8]) {
        let from = self.byte(content).wrapping_add(offset);
        // SAFETY: in the ring, by the caller's word; `into` is private, so it does not overlap it.
        unsafe { from.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
    }
}
