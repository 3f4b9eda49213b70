//! Bytes in shared memory that anybody may read and write at any moment, without a lock: no access here is a data race.
//!
//! The memory is a slice of atomic words of eight bytes, and every access is to whole words: so there are no accesses
//! of different sizes to one place either, which the language does not allow. A part of a word is written by
//! compare-and-swap of the whole, which keeps the rest of the word as it is. Reads are wait-free. Writes are wait-free,
//! but for the parts of words at their ends, which are lock-free.
//!
//! What it does not do: order anything. All accesses are Relaxed; whoever needs order takes a lock around them.
//!
//! # Memory
//!
//! ```text
//! byte 0         8         16        24
//!      +---------+---------+---------+---
//!      | word 0  | word 1  | word 2  | ...
//!      +---------+---------+---------+---
//!            |<- a range of bytes ->|
//!             CAS    store      CAS
//! ```
//!
//! # Invariants
//!
//! * I1. A range of bytes that lies in one word is read and written in one access: aligned values of 1, 2, 4 and 8 bytes
//!   are never torn.
//! * I2. A write changes the bytes of its range and no others, whoever writes to their neighbours meanwhile.
//! * I3. A longer range is read and written word by word, from its beginning to its end. Others can come in between any
//!   two words.
//!
//! # Crash points
//!
//! Killed in the middle of a write: the words up to there are new, the others old.
//!
//! # Examples
//!
//! ```
//! use slipring_core::bytes;
//! use slipring_core::primitive::AtomicU64;
//!
//! let words = [const { AtomicU64::new(0) }; 2];
//! bytes::write(&words, 6, b"abc");
//! let mut all = [0; 16];
//! bytes::read(&words, 0, &mut all);
//! assert_eq!(&all, b"\0\0\0\0\0\0abc\0\0\0\0\0\0\0");
//! ```

use crate::primitive::{AtomicU64, Ordering};

/// Bytes of a word.
pub const WORD: usize = size_of::<u64>();

/// Copies the bytes from `offset` on out.
///
/// # Panics
///
/// If there are fewer.
#[inline]
pub fn read(words: &[AtomicU64], offset: usize, into: &mut [u8]) {
    let mut words = words_of(words, offset, into.len());
    let (head, rest) = into.split_at_mut(head_len(offset, into.len()));
    if !head.is_empty() {
        let skip = offset % WORD;
        head.copy_from_slice(&load(words.next())[skip..skip + head.len()]);
    }
    let (whole, tail) = rest.as_chunks_mut::<WORD>();
    for bytes in whole {
        *bytes = load(words.next());
    }
    if !tail.is_empty() {
        tail.copy_from_slice(&load(words.next())[..tail.len()]);
    }
}

/// Writes `from` to the bytes from `offset` on.
///
/// # Panics
///
/// If there are fewer.
#[inline]
pub fn write(words: &[AtomicU64], offset: usize, from: &[u8]) {
    let mut words = words_of(words, offset, from.len());
    let (head, rest) = from.split_at(head_len(offset, from.len()));
    if !head.is_empty() {
        merge(words.next(), offset % WORD, head);
    }
    let (whole, tail) = rest.as_chunks::<WORD>();
    for bytes in whole {
        store(words.next(), *bytes);
    }
    if !tail.is_empty() {
        merge(words.next(), 0, tail);
    }
}

/// The words that a range of bytes lies in.
#[inline]
fn words_of(words: &[AtomicU64], offset: usize, len: usize) -> impl Iterator<Item = &AtomicU64> {
    let end = offset.checked_add(len).filter(|end| *end <= words.len() * WORD);
    assert!(end.is_some(), "{len} bytes at {offset} of {} words", words.len());
    words[offset / WORD..].iter()
}

/// How many bytes of a range lie before the first word that is its own from the beginning.
#[inline]
fn head_len(offset: usize, len: usize) -> usize {
    (offset.next_multiple_of(WORD) - offset).min(len)
}

#[inline]
fn load(word: Option<&AtomicU64>) -> [u8; WORD] {
    // ORDERING: Relaxed, see the top.
    word.map_or(0, |word| word.load(Ordering::Relaxed)).to_ne_bytes()
}

#[inline]
fn store(word: Option<&AtomicU64>, bytes: [u8; WORD]) {
    let Some(word) = word else { return };
    // ORDERING: Relaxed, see the top.
    word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
    crash_point!("bytes.write.stored");
}

/// Replaces some of a word's bytes (I2).
#[inline]
fn merge(word: Option<&AtomicU64>, skip: usize, from: &[u8]) {
    let Some(word) = word else { return };
    // ORDERING: Relaxed; confirmed by the CAS.
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let mut bytes = seen.to_ne_bytes();
        bytes[skip..skip + from.len()].copy_from_slice(from);
        let new = u64::from_ne_bytes(bytes);
        // ORDERING: Relaxed, see the top.
        match word.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    crash_point!("bytes.write.merged");
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_written_and_read_and_its_neighbours_stay() {
        for offset in 0..=24_usize {
            for len in 0..=24 - offset {
                let words = [const { AtomicU64::new(u64::MAX) }; 3];
                let from: [u8; 24] = core::array::from_fn(|at| at as u8 + 1);
                write(&words, offset, &from[..len]);
                let mut all = [0; 24];
                read(&words, 0, &mut all);
                for (at, byte) in all.into_iter().enumerate() {
                    let inside = (offset..offset + len).contains(&at);
                    assert_eq!(byte, if inside { from[at - offset] } else { 255 });
                }
                let mut back = [0; 24];
                read(&words, offset, &mut back[..len]);
                assert_eq!(back[..len], from[..len]);
            }
        }
    }

    #[test]
    fn a_range_that_is_not_there_is_a_panic_and_no_access() {
        let words = [const { AtomicU64::new(0) }; 2];
        for (offset, len) in [(0, 17), (16, 1), (17, 0), (usize::MAX, 1), (9, 8)] {
            let from = [1; 24];
            let written = std::panic::catch_unwind(|| write(&words, offset, &from[..len]));
            let read = std::panic::catch_unwind(|| read(&words, offset, &mut [0; 24][..len]));
            assert!(written.is_err() && read.is_err(), "{len} at {offset}");
        }
        assert_eq!(words.each_ref().map(|word| word.load(Ordering::Relaxed)), [0; 2]);
        read(&words, 16, &mut []);
    }

    #[test]
    fn neighbours_that_write_at_once_lose_nothing() {
        let words = [const { AtomicU64::new(0) }; 1];
        std::thread::scope(|s| {
            for at in 0..4 {
                let words = &words;
                s.spawn(move || {
                    for n in 0..20_000_u16 {
                        write(words, at * 2, &n.to_ne_bytes());
                        let mut seen = [0; 2];
                        read(words, at * 2, &mut seen);
                        assert_eq!(u16::from_ne_bytes(seen), n, "nobody else writes it");
                    }
                });
            }
        });
    }
}
