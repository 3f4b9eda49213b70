//! The ring's bytes for loom, where an atomic word is no memory to copy bytes to: each word has a cell of content beside
//! it, so that unordered accesses to content are reported.

use core::ptr::NonNull;

use super::entry::WORD;
use crate::primitive::{AtomicU64, DataCell};

#[derive(Debug)]
pub struct Word {
    header: AtomicU64,
    content: DataCell<[u8; 8]>,
}

#[derive(Clone, Copy, Debug)]
pub struct Words {
    first: NonNull<Word>,
    mask: u64,
}

impl Words {
    /// # Safety
    ///
    /// `size / 8` words from `first` may be written, and nobody else uses them.
    pub unsafe fn init(first: *mut Word, size: usize) {
        for index in 0..size / WORD as usize {
            let word = Word { header: AtomicU64::new(0), content: DataCell::new([0; 8]) };
            // SAFETY: one of the words that the caller vouches for.
            unsafe { first.add(index).write(word) };
        }
    }

    pub fn new(first: NonNull<Word>, size: usize) -> Self {
        Self { first, mask: size as u64 - WORD }
    }

    pub fn header(&self, position: u64) -> &AtomicU64 {
        &self.word(position).header
    }

    fn word(&self, position: u64) -> &Word {
        // SAFETY: a word of the ring, as the mask is; an atomic and a cell.
        unsafe { self.first.add(((position & self.mask) / WORD) as usize).as_ref() }
    }

    /// # Safety
    ///
    /// `bytes` fit the ring from `content + offset` without wrapping.
    pub unsafe fn write(&self, content: u64, offset: usize, bytes: &[u8]) {
        for (at, byte) in (offset..).zip(bytes) {
            self.word(content + at as u64).content.with_mut(|word| {
                // SAFETY: loom reports it if somebody else uses the cell.
                unsafe { (*word)[at % 8] = *byte };
            });
        }
    }

    /// # Safety
    ///
    /// `into` fits the ring from `content + offset` without wrapping.
    pub unsafe fn read(&self, content: u64, offset: usize, into: &mut [u8]) {
        for (at, byte) in (offset..).zip(into) {
            self.word(content + at as u64).content.with(|word| {
                // SAFETY: loom reports it if somebody else writes the cell.
                *byte = unsafe { (*word)[at % 8] };
            });
        }
    }
}
