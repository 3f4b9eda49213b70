//! How a LIFO or priority queue is to be made.

/// How a LIFO or priority queue is to be made.
///
/// ```
/// use slipring::{ByteLifoQueue, Error, OrderedOptions, Segment};
///
/// let segment = Segment::create()?;
/// let options = OrderedOptions::bounded(8).max_message(1024);
/// let (mut sender, _receiver) = ByteLifoQueue::with(&segment, options)?;
/// assert!(matches!(sender.send(&[0; 1025]), Err(Error::TooLong { len: 1025, max: 1024 })));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderedOptions {
    capacity: u64,
    max_len: u64,
}

impl OrderedOptions {
    /// A queue that holds exactly `capacity` messages, 1 to 2^23.
    pub fn bounded(capacity: u64) -> Self {
        Self { capacity, max_len: u64::MAX }
    }

    /// The longest message, in bytes. Without it, what fits the segment.
    #[must_use]
    pub fn max_message(mut self, bytes: u64) -> Self {
        self.max_len = bytes;
        self
    }

    /// How many messages it holds.
    pub(super) fn capacity(self) -> u64 {
        self.capacity
    }

    /// The longest message.
    pub(super) fn max_len(self) -> u64 {
        self.max_len
    }
}
