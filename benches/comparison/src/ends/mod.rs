//! Ends of the channels that are compared, each used as its own documentation shows.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ours`] | slot rings, pipes and queues of `slipring` |
//! | [`kernel`] | pipes and pairs of sockets |
//! | [`threads`] | rtrb, `ArrayQueue` and crossbeam-channel, between threads |
//! | [`iceoryx`] | iceoryx2: publish-subscribe with and without events, request-response |
//!
//! Whoever sends has the message in memory of its own and copies it into the channel, or makes the value in place if
//! the channel takes values. Whoever receives has read every byte of it: by copying it out, or by summing it where it is.

#[cfg(feature = "iceoryx2")]
pub mod iceoryx;
pub mod kernel;
pub mod ours;
pub mod threads;

use std::hint::black_box;

use slipring_benches::message::read;

/// How whoever cannot go on waits, where the program has to say so itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Pauses that grow, then the CPU is given to others: for streams.
    Patient,
    /// Looks again at once.
    Spin,
    /// Sleeps in the channel's own way.
    Block,
}

/// Reads every byte of a message in place, and its number.
#[inline]
pub fn read_all(message: &[u8]) -> u64 {
    let words = message.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("8")));
    black_box(words.fold(0, u64::wrapping_add));
    read(message)
}
