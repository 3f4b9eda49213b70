//! How long a call may wait.

use std::time::{Duration, Instant};

use crate::sys::clock::{self, Deadline};

/// When a call gives up. Made from a [`Duration`] (from now), an [`Instant`], or an `Option` of either, where `None` is
/// never.
///
/// ```
/// use std::time::{Duration, Instant};
/// use slipring::{ByteQueue, Error, Segment};
///
/// let segment = Segment::create()?;
/// let (_sender, mut receiver) = ByteQueue::bounded(&segment, 1)?;
/// let short = Duration::from_millis(1);
/// assert!(matches!(receiver.recv_until(short), Err(Error::TimedOut)));
/// assert!(matches!(receiver.recv_until(Instant::now() + short), Err(Error::TimedOut)));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Until(Limit);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Limit {
    Now,
    At(Deadline),
    Never,
}

impl Until {
    /// Gives up rather than wait at all.
    pub const NOW: Self = Self(Limit::Now);
    /// Waits for as long as it takes.
    pub const NEVER: Self = Self(Limit::Never);

    /// Whether the call may not wait.
    #[inline]
    pub(crate) fn is_now(self) -> bool {
        self.0 == Limit::Now
    }

    /// The deadline, if there is one.
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self.0 {
            Limit::Now => Some(Deadline { nanos: 0 }),
            Limit::At(deadline) => Some(deadline),
            Limit::Never => None,
        }
    }
}

impl From<Duration> for Until {
    fn from(wait: Duration) -> Self {
        Self(Limit::At(clock::deadline_in(wait)))
    }
}

impl From<Instant> for Until {
    fn from(at: Instant) -> Self {
        at.saturating_duration_since(Instant::now()).into()
    }
}

impl<T: Into<Self>> From<Option<T>> for Until {
    fn from(wait: Option<T>) -> Self {
        wait.map_or(Self::NEVER, T::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_its_deadline() {
        assert_eq!(Until::from(None::<Duration>), Until::NEVER);
        assert_eq!(Until::NEVER.deadline(), None);
        assert!(Until::NOW.is_now() && !Until::NEVER.is_now());
        let hour = Duration::from_secs(3600);
        let (a, b) = (Until::from(hour), Until::from(Some(Instant::now() + hour)));
        let apart = a.deadline().unwrap().nanos.abs_diff(b.deadline().unwrap().nanos);
        assert!(apart < 1_000_000_000, "{apart}");
    }
}
