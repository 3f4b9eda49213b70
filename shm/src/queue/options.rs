//! How a queue is to be made.

use slipring_core::ring::chain::Bound;

/// The first ring of an unbounded queue holds so many messages.
const FIRST_RING: u64 = 1024;

/// How a queue is to be made.
///
/// ```
/// use slipring::{ByteQueue, Error, QueueOptions, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, _receiver) =
///     ByteQueue::with(&segment, QueueOptions::bounded(8).max_message(1024))?;
/// assert!(matches!(sender.send(&[0; 1025]), Err(Error::TooLong { len: 1025, max: 1024 })));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueOptions {
    capacity: Option<u64>,
    max_len: u64,
}

impl QueueOptions {
    /// A queue that holds exactly `capacity` messages, 1 to 2^26.
    pub fn bounded(capacity: u64) -> Self {
        Self { capacity: Some(capacity), max_len: u64::MAX }
    }

    /// A queue that holds as many messages as memory allows.
    pub fn unbounded() -> Self {
        Self { capacity: None, max_len: u64::MAX }
    }

    /// The longest message, in bytes. Without it, what fits the segment.
    #[must_use]
    pub fn max_message(mut self, bytes: u64) -> Self {
        self.max_len = bytes;
        self
    }

    /// How many messages it holds.
    pub(super) fn bound(self) -> Bound {
        self.capacity.map_or(Bound::Unbounded(FIRST_RING), Bound::Bounded)
    }

    /// The longest message.
    pub(super) fn max_len(self) -> u64 {
        self.max_len
    }
}
