//! The channels whose system calls are counted.

use clap::ValueEnum;

/// A channel of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Channel {
    Slots,
    Queue,
    Pipe,
}
