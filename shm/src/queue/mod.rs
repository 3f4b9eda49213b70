//! A queue of messages, many to many, first in first out.
//!
//! What is sent is in the queue when the call returns: any receiver finds it, and the sender may end. There are no helper
//! threads and nothing is buffered in the process. A bounded queue holds exactly as many messages as was said; a send to
//! a full one waits. An unbounded one grows, and its sends never wait for receivers.
//!
//! Any process that has handles may be killed or stopped at any instruction, and the others go on. A kill costs at most
//! the messages that the process had in its hands. When the last sender is gone, in whatever way, receivers get what is
//! left and then [`Error::Disconnected`]; senders get it when the last receiver is gone.
//!
//! | file | what it holds |
//! |---|---|
//! | `end.rs` | the shared words, growth, and what the death procedure does |
//! | `sender.rs`, `receiver.rs`, `typed.rs` | the two sides, for bytes and for values |

mod end;
mod kind;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;
mod typed;
mod watched;

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use slipring_core::ring::chain::Bound;

pub(crate) use end::{BODY_BYTES, End, about, chain_at, create_as, rings_of, wake};
pub(crate) use kind::{QueueKind, RingKind};
pub use receiver::ByteReceiver;
pub(crate) use receiver::{TRIES_PER_REAP, advance};
pub use sender::ByteSender;
pub use typed::{Receiver, Sender};

use crate::handle::Handle;
use crate::object::Role;
use crate::parcel::enclosed::transfer;
use crate::ticket::named;
use crate::{Error, Result, Segment};

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

    fn bound(self) -> Bound {
        self.capacity.map_or(Bound::Unbounded(FIRST_RING), Bound::Bounded)
    }

    fn max_len(self) -> u64 {
        self.max_len
    }
}

/// A queue of byte messages. See the [module](self).
///
/// ```
/// use slipring::{ByteQueue, Error, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 2)?;
/// sender.send(b"one")?;
/// sender.send(b"two")?;
/// assert!(sender.is_full());
/// assert!(matches!(sender.try_send(b"three"), Err(Error::WouldBlock)));
///
/// assert_eq!(receiver.recv()?, b"one");
/// drop(sender);
/// assert_eq!(receiver.recv()?, b"two");
/// assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct ByteQueue(());

impl ByteQueue {
    /// A queue that holds exactly `capacity` messages, 1 to 2^26.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`], no memory.
    pub fn bounded(segment: &Segment, capacity: u64) -> Result<(ByteSender, ByteReceiver)> {
        Self::with(segment, QueueOptions::bounded(capacity))
    }

    /// A queue that holds as many messages as memory allows.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn unbounded(segment: &Segment) -> Result<(ByteSender, ByteReceiver)> {
        Self::with(segment, QueueOptions::unbounded())
    }

    /// A queue made to measure.
    ///
    /// # Errors
    ///
    /// As [`ByteQueue::bounded`].
    pub fn with(segment: &Segment, options: QueueOptions) -> Result<(ByteSender, ByteReceiver)> {
        let [tx, rx] = end::create(segment, options, Role::ALL)?;
        Ok((Self::sender_of(tx)?, Self::receiver_of(rx)?))
    }

    /// The sender that `handle` is.
    fn sender_of(handle: Handle) -> Result<ByteSender> {
        expect_role(&handle, Role::First)?;
        Ok(ByteSender::new(end::End::new(handle)?))
    }

    /// The receiver that `handle` is.
    fn receiver_of(handle: Handle) -> Result<ByteReceiver> {
        expect_role(&handle, Role::Second)?;
        ByteReceiver::new(end::End::new(handle)?)
    }
}

/// A sender's ticket makes no receiver.
fn expect_role(handle: &Handle, role: Role) -> Result<()> {
    let name = |role| match role {
        Role::First => "sender of a queue",
        Role::Second => "receiver of a queue",
    };
    if handle.role() == role {
        return Ok(());
    }
    Err(Error::WrongKind { wanted: name(role), found: name(handle.role()) })
}

/// A queue of values of any serde type, encoded with postcard. See the [module](self).
///
/// Both sides must mean the same `T`: a message that is none is an error to its receiver.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use slipring::{Queue, Segment};
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Task {
///     id: u32,
///     path: String,
/// }
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = Queue::<Task>::bounded(&segment, 8)?;
/// sender.send(&Task { id: 1, path: "/etc/passwd".into() })?;
/// assert_eq!(receiver.recv()?, Task { id: 1, path: "/etc/passwd".into() });
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct Queue<T>(PhantomData<T>);

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// A queue that holds exactly `capacity` values, 1 to 2^26.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`], no memory.
    pub fn bounded(segment: &Segment, capacity: u64) -> Result<(Sender<T>, Receiver<T>)> {
        Self::with(segment, QueueOptions::bounded(capacity))
    }

    /// A queue that holds as many values as memory allows.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn unbounded(segment: &Segment) -> Result<(Sender<T>, Receiver<T>)> {
        Self::with(segment, QueueOptions::unbounded())
    }

    /// A queue made to measure.
    ///
    /// # Errors
    ///
    /// As [`Queue::bounded`].
    pub fn with(segment: &Segment, options: QueueOptions) -> Result<(Sender<T>, Receiver<T>)> {
        let (sender, receiver) = ByteQueue::with(segment, options)?;
        Ok((Sender::new(sender), Receiver::new(receiver)))
    }
}

transfer! {
    () ByteSender, Queue, ByteSender::handle, ByteQueue::sender_of;
    () ByteReceiver, Queue, ByteReceiver::handle, ByteQueue::receiver_of;
    (T: Serialize) Sender<T>, Queue, |s| s.bytes_ref().handle(),
        |handle| Ok(Self::new(ByteQueue::sender_of(handle)?));
    (T: DeserializeOwned) Receiver<T>, Queue, |r| r.bytes_ref().handle(),
        |handle| Ok(Self::new(ByteQueue::receiver_of(handle)?));
}

/// The sender of a new queue that nobody receives from yet.
fn sender_alone(segment: &Segment, options: &QueueOptions) -> Result<ByteSender> {
    let [tx] = end::create(segment, *options, [Role::First])?;
    ByteQueue::sender_of(tx)
}

/// The receiver of a new queue that nobody sends to yet.
fn receiver_alone(segment: &Segment, options: &QueueOptions) -> Result<ByteReceiver> {
    let [rx] = end::create(segment, *options, [Role::Second])?;
    ByteQueue::receiver_of(rx)
}

named! {
    () ByteSender, Queue, First, QueueOptions, sender_alone, ByteQueue::sender_of;
    () ByteReceiver, Queue, Second, QueueOptions, receiver_alone, ByteQueue::receiver_of;
    (T: Serialize) Sender<T>, Queue, First, QueueOptions,
        |segment, options| Ok(Self::new(sender_alone(segment, options)?)),
        |handle| Ok(Self::new(ByteQueue::sender_of(handle)?));
    (T: DeserializeOwned) Receiver<T>, Queue, Second, QueueOptions,
        |segment, options| Ok(Self::new(receiver_alone(segment, options)?)),
        |handle| Ok(Self::new(ByteQueue::receiver_of(handle)?));
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}
