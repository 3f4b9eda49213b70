//! One bit per chunk: set when the chunk is paid for. Every operation is wait-free, over a bounded range.
//!
//! It does not allocate or free anything; `mapping.rs` does, and keeps the two in step.
//!
//! # Memory
//!
//! ```text
//! word 0:  |63 … 1 0|   word 1:  |127 … 65 64|   …      bit i = chunk i of the file
//! ```
//!
//! # Invariants
//!
//! * I1. A bit is set only after its chunk was allocated, and cleared only before it is punched out.
//!
//! # Ordering
//!
//! * E1 "chunk is committed": `set`'s Release → the Acquire of `all_set`: what the committer did before is seen.

use std::ops::Range;

use slipring_core::primitive::{AtomicU64, Ordering};

/// Bits per word.
const BITS: u64 = 64;

/// Whether every bit of `range` is set. `range` lies inside the map, here and below.
#[inline]
pub(crate) fn all_set(words: &[AtomicU64], range: Range<u64>) -> bool {
    // ORDERING: Acquire; E1 "chunk is committed".
    pieces(range).all(|(index, mask)| words[index].load(Ordering::Acquire) & mask == mask)
}

/// How many bits of `range` are set.
pub(crate) fn count_set(words: &[AtomicU64], range: Range<u64>) -> u64 {
    // ORDERING: Relaxed; a number, nothing is read through it.
    let ones = |(index, mask): (usize, u64)| words[index].load(Ordering::Relaxed) & mask;
    pieces(range).map(|piece| u64::from(ones(piece).count_ones())).sum()
}

/// The first clear bits of `range` that follow each other, at most `most` of them.
pub(crate) fn first_clear_run(
    words: &[AtomicU64],
    range: Range<u64>,
    most: u64,
) -> Option<Range<u64>> {
    let start = first(words, range.clone(), false)?;
    let limit = range.end.min(start.saturating_add(most));
    Some(start..first(words, start..limit, true).unwrap_or(limit))
}

/// The first bit of `range` that is `set`.
fn first(words: &[AtomicU64], range: Range<u64>, set: bool) -> Option<u64> {
    let flip = if set { 0 } else { u64::MAX };
    pieces(range).find_map(|(index, mask)| {
        // ORDERING: Relaxed; a run found is a proposal, `set` tells whose it was.
        let found = (words[index].load(Ordering::Relaxed) ^ flip) & mask;
        (found != 0).then(|| index as u64 * BITS + u64::from(found.trailing_zeros()))
    })
}

/// Sets the bits of `range`; returns how many were clear.
pub(crate) fn set(words: &[AtomicU64], range: Range<u64>) -> u64 {
    let mut new = 0;
    for (index, mask) in pieces(range) {
        // ORDERING: AcqRel; E1 "chunk is committed".
        let old = words[index].fetch_or(mask, Ordering::AcqRel);
        new += u64::from((mask & !old).count_ones());
    }
    new
}

/// Clears the bits of `range`; returns how many were set.
pub(crate) fn clear(words: &[AtomicU64], range: Range<u64>) -> u64 {
    let mut gone = 0;
    for (index, mask) in pieces(range) {
        // ORDERING: AcqRel; I1, the punch comes after it.
        let old = words[index].fetch_and(!mask, Ordering::AcqRel);
        gone += u64::from((mask & old).count_ones());
    }
    gone
}

/// The words that `range` touches, each with a mask of its bits.
#[inline]
fn pieces(range: Range<u64>) -> impl Iterator<Item = (usize, u64)> {
    let words = if range.is_empty() { 0..0 } else { range.start / BITS..range.end.div_ceil(BITS) };
    words.map(move |word| {
        let from = range.start.saturating_sub(word * BITS);
        let to = (range.end - word * BITS).min(BITS);
        (word as usize, u64::MAX << from & u64::MAX >> (BITS - to))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(values: &[u64]) -> Vec<AtomicU64> {
        values.iter().map(|&value| AtomicU64::new(value)).collect()
    }

    #[test]
    fn every_range_of_three_words_sets_and_clears_exactly_its_bits() {
        for start in 0..192 {
            for end in start..=192 {
                let map = words(&[0, 0, 0]);
                assert_eq!(set(&map, start..end), end - start);
                assert_eq!(count_set(&map, 0..192), end - start);
                assert!(all_set(&map, start..end));
                assert!(start == 0 || !all_set(&map, start - 1..end));
                assert!(end == 192 || !all_set(&map, start..end + 1));
                assert_eq!(set(&map, start..end), 0);
                assert_eq!(clear(&map, start..end), end - start);
                assert_eq!(count_set(&map, 0..192), 0);
            }
        }
    }

    #[test]
    fn clear_runs_are_found_and_cut_to_size() {
        let map = words(&[u64::MAX >> 4, 0b1000, u64::MAX]);
        assert_eq!(first_clear_run(&map, 0..192, 100), Some(60..67));
        assert_eq!(first_clear_run(&map, 0..192, 3), Some(60..63));
        assert_eq!(first_clear_run(&map, 67..192, 100), Some(68..128));
        assert_eq!(first_clear_run(&map, 67..70, 100), Some(68..70));
        assert_eq!(first_clear_run(&map, 128..192, 100), None);
        assert_eq!(first_clear_run(&map, 5..5, 100), None);
    }
}
