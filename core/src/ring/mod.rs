//! Rings: one file each.
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
