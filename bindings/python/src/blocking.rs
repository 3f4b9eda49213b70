//! Waiting: without the interpreter's lock, until a deadline, and until a signal handler raises.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use slipring::{Error, Result, Until};

use crate::error::raise;

/// How long this process stays in the engine before it looks for signals that came just before it went to sleep.
const SLICE: Duration = Duration::from_millis(100);
/// Longer than anybody waits, and short enough to be added to any instant.
const FOR_EVER: f64 = 1e9;

/// When a call gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// Rather than wait at all.
    Now,
    /// At this moment.
    At(Instant),
    /// Never.
    Never,
}

impl Deadline {
    /// What `timeout` seconds from now are: `None` is never, and what is negative or 0 is now.
    pub fn after(timeout: Option<f64>) -> Self {
        match timeout {
            None => Self::Never,
            Some(seconds) if seconds > 0.0 => {
                Self::At(Instant::now() + Duration::from_secs_f64(seconds.min(FOR_EVER)))
            }
            Some(_) => Self::Now,
        }
    }

    /// What `block` and `timeout` say in the calls that have both.
    pub fn of(block: bool, timeout: Option<f64>) -> Self {
        if block { Self::after(timeout) } else { Self::Now }
    }

    /// The next moment at which the engine is left, and whether that is the deadline.
    fn next(self) -> (Until, bool) {
        let slice = Instant::now() + SLICE;
        match self {
            Self::Now => (Until::NOW, true),
            Self::At(at) if at <= slice => (at.into(), true),
            Self::At(_) | Self::Never => (slice.into(), false),
        }
    }
}

/// Calls `attempt` without the interpreter's lock until it gives a value, which is returned, or the deadline has
/// passed, which is `None`. Signal handlers run in between; what one raises ends the wait.
pub fn wait<T: Send>(
    py: Python<'_>,
    deadline: Deadline,
    attempt: impl FnMut(Until) -> Result<T> + Send,
) -> PyResult<Option<T>> {
    wait_while(py, deadline, |_| Ok(()), attempt)
}

/// As [`wait`], asking `go_on` in between, too: its error ends the wait.
pub fn wait_while<T: Send>(
    py: Python<'_>,
    deadline: Deadline,
    go_on: impl Fn(Python<'_>) -> PyResult<()>,
    mut attempt: impl FnMut(Until) -> Result<T> + Send,
) -> PyResult<Option<T>> {
    loop {
        let (until, is_last) = deadline.next();
        match py.detach(|| attempt(until)) {
            Ok(value) => return Ok(Some(value)),
            Err(Error::TimedOut | Error::WouldBlock) if is_last => return Ok(None),
            Err(Error::TimedOut | Error::WouldBlock | Error::Interrupted) => {
                py.check_signals()?;
                go_on(py)?;
            }
            Err(error) => return Err(raise(error)),
        }
    }
}
