//! What a wait is told, and what it answers.

/// Who shares the word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Processes that map the same memory.
    Shared,
    /// Threads of this process.
    Private,
}

/// An instant on `CLOCK_MONOTONIC`, in nanoseconds since that clock's start. The same in all processes of a machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub nanos: u64,
}

/// Why a wait returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// Woken, or for no reason (the kernel allows itself that).
    Woken,
    /// The word did not hold the expected value.
    Changed,
    /// The deadline has passed.
    TimedOut,
    /// A signal handler ran (`EINTR`): the caller may want to look at what it did.
    Interrupted,
}
