//! Messages that show whether they came whole and in order.
//!
//! A message is its number, written at both ends of it. A number says who produced it and how many came before:
//! 56 bits, so that the shortest message, of seven bytes, holds it.

use std::hint::black_box;

/// Bits of a number that count.
const COUNT_BITS: u32 = 48;
/// The most producers.
pub const MAX_PRODUCERS: usize = 8;

/// The number of `producer`'s message after `count` others.
#[inline]
pub fn number(producer: usize, count: u64) -> u64 {
    (producer as u64) << COUNT_BITS | count
}

/// Writes `number` at both ends of a message.
#[inline]
pub fn stamp(message: &mut [u8], number: u64) {
    let bytes = number.to_le_bytes();
    let len = message.len();
    if len < 16 {
        let short = len.min(8);
        message[..short].copy_from_slice(&bytes[..short]);
        return;
    }
    message[..8].copy_from_slice(&bytes);
    message[len - 8..].copy_from_slice(&bytes);
}

/// The number of a message.
///
/// # Panics
///
/// Where its ends differ.
#[inline]
pub fn read(message: &[u8]) -> u64 {
    // All of it was wanted, not its ends alone.
    let message = black_box(message);
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let len = message.len();
    if len < 16 {
        return word(&message[..len.min(8)]);
    }
    let first = word(&message[..8]);
    assert_eq!(first, word(&message[len - 8..]), "a message is torn");
    first
}

/// Messages as values of one size.
pub trait Value: Copy + Send {
    /// The message with this number.
    fn of(number: u64) -> Self;

    /// Its number.
    ///
    /// # Panics
    ///
    /// Where its ends differ.
    fn number(&self) -> u64;
}

impl Value for u64 {
    #[inline]
    fn of(number: u64) -> Self {
        number
    }

    #[inline]
    fn number(&self) -> u64 {
        *self
    }
}

impl<const N: usize> Value for [u8; N] {
    #[inline]
    fn of(number: u64) -> Self {
        let mut message = [0; N];
        stamp(&mut message, number);
        message
    }

    #[inline]
    fn number(&self) -> u64 {
        read(self)
    }
}

/// Words that begin and end with the number.
impl<const WORDS: usize> Value for [u64; WORDS] {
    #[inline]
    fn of(number: u64) -> Self {
        let mut message = [0; WORDS];
        (message[0], message[WORDS - 1]) = (number, number);
        message
    }

    #[inline]
    fn number(&self) -> u64 {
        let message = black_box(self);
        assert_eq!(message[0], message[WORDS - 1], "a message is torn");
        message[0]
    }
}

/// What one consumer got.
#[derive(Debug, Default)]
pub struct Tally {
    /// Of each producer, the number after the last one that came.
    next: [u64; MAX_PRODUCERS],
    /// How many came.
    pub count: u64,
    /// The sum of their numbers, wrapping.
    pub sum: u64,
}

impl Tally {
    /// One more came.
    ///
    /// # Panics
    ///
    /// If a later one of the same producer came before it.
    #[inline]
    pub fn add(&mut self, number: u64) {
        let (producer, count) = (number >> COUNT_BITS, number & ((1 << COUNT_BITS) - 1));
        let next = &mut self.next[producer as usize % MAX_PRODUCERS];
        assert!(count >= *next, "message {count} of producer {producer} came after {next}");
        *next = count + 1;
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
    }
}

/// The sum of all numbers of so many producers with so many messages each, wrapping.
pub fn sum_of(producers: usize, each: u64) -> u64 {
    let ordinals = (u128::from(each) * u128::from(each.saturating_sub(1)) / 2) as u64;
    let one = |producer| number(producer, 0).wrapping_mul(each).wrapping_add(ordinals);
    (0..producers).map(one).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_back_from_messages_of_each_size() {
        let wanted = number(7, 123_456_789);
        for len in [7, 8, 64, 1000] {
            let mut message = vec![0; len];
            stamp(&mut message, wanted);
            assert_eq!(read(&message), wanted, "{len}");
        }
        assert_eq!(<[u64; 7]>::of(wanted).number(), wanted);
    }

    #[test]
    fn the_sum_is_what_a_tally_of_all_comes_to() {
        let mut tally = Tally::default();
        for count in 0..100 {
            (0..3).for_each(|producer| tally.add(number(producer, count)));
        }
        assert_eq!((tally.count, tally.sum), (300, sum_of(3, 100)));
    }

    #[test]
    #[should_panic(expected = "came after")]
    fn a_message_that_comes_late_is_noticed() {
        let mut tally = Tally::default();
        tally.add(number(1, 5));
        tally.add(number(1, 4));
    }
}
