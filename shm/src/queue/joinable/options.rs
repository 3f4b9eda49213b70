//! How a joinable queue is to be made.

use slipring_core::ring::leases::{self, Leases};

use crate::queue::QueueOptions;
use crate::{Error, Result};

/// Deliveries that an item may have, unless something else is said.
const DELIVERIES: u32 = 10;
/// Leases that there can be at a time, unless something else is said.
const LEASES: u32 = 4096;

/// How a joinable queue is to be made.
///
/// ```
/// use slipring::{ByteJoinableQueue, JoinableOptions, Segment};
///
/// let segment = Segment::create()?;
/// let options = JoinableOptions::bounded(8).max_deliveries(Some(2)).max_leases(64);
/// let (mut sender, mut receiver) = ByteJoinableQueue::with(&segment, options)?;
/// sender.send(b"poison")?;
/// for _ in 0..2 {
///     drop(receiver.recv()?); // nobody can do it
/// }
/// sender.on_dead_letter(|letter| println!("{} deliveries", letter.deliveries));
/// sender.join()?;
/// let letter = sender.take_dead_letter()?.unwrap();
/// assert_eq!((letter.message, letter.deliveries), (b"poison".to_vec(), 2));
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JoinableOptions {
    queue: QueueOptions,
    deliveries: Option<u32>,
    leases: u32,
}

impl JoinableOptions {
    /// A queue in which exactly `capacity` items wait at most, 1 to 2^26. Those that are leased do not count.
    pub fn bounded(capacity: u64) -> Self {
        Self::of(QueueOptions::bounded(capacity))
    }

    /// A queue in which as many items wait as memory allows.
    pub fn unbounded() -> Self {
        Self::of(QueueOptions::unbounded())
    }

    fn of(queue: QueueOptions) -> Self {
        Self { queue, deliveries: Some(DELIVERIES), leases: LEASES }
    }

    /// The longest message, in bytes. Without it, what fits the segment.
    #[must_use]
    pub fn max_message(mut self, bytes: u64) -> Self {
        self.queue = self.queue.max_message(bytes);
        self
    }

    /// How many times an item is delivered, 1 to 65535, before it is set aside when it comes back once more; `None`: as
    /// often as it takes. Without it, 10.
    #[must_use]
    pub fn max_deliveries(mut self, times: Option<u32>) -> Self {
        self.deliveries = times;
        self
    }

    /// How many items can be leased, given back, or dead letters at a time, 1 to 65536; each receiver that waits needs
    /// one, too. Without it, 4096. Each takes 64 bytes.
    #[must_use]
    pub fn max_leases(mut self, leases: u32) -> Self {
        self.leases = leases;
        self
    }

    /// The options of the queue within.
    pub(super) fn queue(self) -> QueueOptions {
        self.queue
    }

    /// Entries of the table of leases.
    pub(super) fn leases(self) -> u32 {
        self.leases
    }

    /// Bytes of the table of leases, and the limit in its terms.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`].
    pub(super) fn check(self) -> Result<(u64, u32)> {
        let range = |what, wanted: u32, max: u32| Error::Capacity {
            what,
            wanted: wanted.into(),
            min: 1,
            max: max.into(),
        };
        let limit = match self.deliveries {
            None => 0,
            Some(times) if (1..=leases::MAX_DELIVERIES).contains(&times) => times,
            Some(times) => {
                return Err(range("a number of deliveries", times, leases::MAX_DELIVERIES));
            }
        };
        let bytes = Leases::bytes(self.leases);
        let bytes =
            bytes.ok_or_else(|| range("a number of leases", self.leases, leases::MAX_ENTRIES));
        Ok((bytes? as u64, limit))
    }
}
