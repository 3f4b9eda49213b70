//! Rings: one file each, with a folder beside it where one has parts.
//!
//! | file | what it holds |
//! |---|---|
//! | [`mpmc`] | many to many, first in first out |
//! | [`chain`] | the rings of one queue: how it grows, and who sleeps on it |
//! | [`stack`] | many to many, last in first out |
//! | [`heap`] | many to many, the smallest key first |
//! | [`leases`] | who works at which item of a queue |
//! | [`spsc_records`] | one to one, byte records of any length |
//! | [`spsc_slots`] | one to one, values of one size |
//! | [`sides`] | whether a channel is closed, or one of its sides is gone |
//! | [`position`] | arithmetic of positions |

pub mod chain;
pub mod heap;
pub mod leases;
pub mod mpmc;
pub mod position;
pub mod sides;
pub mod spsc_records;
pub mod spsc_slots;
pub mod stack;

#[cfg(all(test, not(loom)))]
#[path = "../../tests/support/memory.rs"]
mod memory;

/// The shared words contradict each other: some process wrote where it must not. Nothing was read through them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

impl core::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the ring is corrupt: its words contradict each other")
    }
}

impl core::error::Error for Corrupt {}

/// Why a blocking call on a ring ended without its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitError<S> {
    /// The waiter gave up: its deadline, an interrupt.
    Stopped(S),
    /// The shared words contradict each other.
    Corrupt,
}
