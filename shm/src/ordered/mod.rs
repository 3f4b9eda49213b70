//! Queues that do not give messages out in the order in which they came: last in first out, and by priority.
//!
//! Both are many to many and bounded: they hold exactly as many messages as was said, 1 to 2^23. In all else they are as
//! [`queue`](crate::queue)s are: messages of any size, what is sent is in the queue when the call returns, deadlines,
//! [`Error::Disconnected`] when the other side is gone in whatever way, and a kill at any instruction costs at most the
//! messages that the process had in its hands.
//!
//! | queue | goes out first | how long a send or a receive takes |
//! |---|---|---|
//! | [`LifoQueue`] | what came in last | the same, however many there are |
//! | [`PriorityQueue`] | the smallest key; of equal keys, what came first | a time that grows with the logarithm of their number |
//!
//! # Who is stopped
//!
//! A LIFO queue is lock-free: whoever is stopped at whatever instruction, the others go on.
//!
//! In a priority queue one works at a time, for well under a microsecond. A process that is *stopped* within that time
//! (a signal, a debugger) holds the others up until it goes on, as a lock's holder does: `try_` calls then give up after
//! 50 ms with [`Error::WouldBlock`], others at their deadline. One that is *killed* there holds up nobody: the next one puts
//! in order what it left, which takes time in proportion to the capacity. A process that waits for a message or for room
//! has no turn, and may be stopped for as long as anyone likes.
//!
//! # Why there is no unbounded one
//!
//! Where a message lies follows from the order and not from the time at which it came, so the memory cannot be a chain of
//! ever larger rings as an unbounded [`queue`](crate::queue)'s is. Make it as large as need be: a place takes 16 bytes in a
//! LIFO queue and 36 in a priority queue, all paid for when the queue is made.
//!
//! | file | what it holds |
//! |---|---|
//! | `end.rs` | the shared words, and what the death procedure does |
//! | `outlet.rs` | how messages get in |
//! | `sender.rs`, `receiver.rs` | the two sides |

mod end;
mod outlet;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use end::{BODY_BYTES, Store, drain, free_locks, side_emptied, store_of, wake};
use end::{End, Order};
use outlet::Outlet;
pub use receiver::{ByteOrderedReceiver, OrderedReceiver};
pub use sender::{ByteLifoSender, BytePrioritySender, LifoSender, PrioritySender};

use crate::handoff::transfer;
use crate::object::{Handle, Role};
use crate::{Error, Result, Segment};

/// What handles of both sides tell of their queue.
macro_rules! common {
    ($($end:tt).+) => {
        /// How many messages are in the queue: exact if nobody is at work meanwhile.
        pub fn len(&self) -> u64 {
            self.$($end).+.len()
        }

        /// Whether there are none.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Whether a send would wait now.
        pub fn is_full(&self) -> bool {
            self.len() >= self.capacity()
        }

        /// The most messages that the queue holds.
        pub fn capacity(&self) -> u64 {
            self.$($end).+.shape.store.capacity()
        }

        /// Closes the queue for everybody: sends fail, receivers get what is there and then
        /// [`Error::Closed`](crate::Error::Closed). A send that is under way in another process may still succeed, and go
        /// unread.
        pub fn close(&self) {
            self.$($end).+.close();
        }
    };
}
use common;

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

    fn capacity(self) -> u64 {
        self.capacity
    }

    fn max_len(self) -> u64 {
        self.max_len
    }
}

/// A queue of byte messages, last in first out. See the [module](self).
///
/// ```
/// use slipring::{ByteLifoQueue, Error, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteLifoQueue::bounded(&segment, 2)?;
/// sender.send(b"one")?;
/// sender.send(b"two")?;
/// assert!(matches!(sender.try_send(b"three"), Err(Error::WouldBlock)));
/// assert_eq!(receiver.recv()?, b"two");
/// sender.send(b"three")?;
/// assert_eq!((receiver.recv()?, receiver.recv()?), (b"three".to_vec(), b"one".to_vec()));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct ByteLifoQueue(());

/// A queue of byte messages, the smallest key first. See the [module](self).
///
/// ```
/// use slipring::{BytePriorityQueue, Error, Segment, Until};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = BytePriorityQueue::bounded(&segment, 8)?;
/// sender.send(5, b"five")?;
/// sender.send(1, b"one")?;
/// sender.send(5, b"five again")?;
/// let mut buffer = Vec::new();
/// assert_eq!(receiver.recv_keyed_into(&mut buffer, Until::NEVER)?, 1);
/// assert_eq!(buffer, b"one");
/// assert_eq!(receiver.recv()?, b"five");
/// assert_eq!(receiver.recv()?, b"five again");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct BytePriorityQueue(());

/// A queue of values of any serde type, encoded with postcard, last in first out. See the [module](self).
///
/// Both sides must mean the same `T`: a message that is none is an error to its receiver.
///
/// ```
/// use slipring::{LifoQueue, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = LifoQueue::<(u32, String)>::bounded(&segment, 8)?;
/// sender.send(&(1, "first".into()))?;
/// sender.send(&(2, "second".into()))?;
/// assert_eq!(receiver.recv()?, (2, "second".to_owned()));
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct LifoQueue<T>(PhantomData<T>);

/// A queue of values of any serde type, encoded with postcard, the smallest key first. See the [module](self).
///
/// Both sides must mean the same `T`: a message that is none is an error to its receiver.
///
/// ```
/// use slipring::{PriorityQueue, Segment, Until};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = PriorityQueue::<String>::bounded(&segment, 8)?;
/// sender.send(20, &"later".into())?;
/// sender.send(10, &"sooner".into())?;
/// assert_eq!(receiver.recv_keyed_until(Until::NOW)?, (10, "sooner".to_owned()));
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct PriorityQueue<T>(PhantomData<T>);

/// The constructors of a queue of bytes and of one of values.
macro_rules! constructors {
    ($($bytes:ident, $values:ident, $order:expr, $byte_sender:ident, $sender:ident;)*) => {$(
        impl $bytes {
            /// A queue that holds exactly `capacity` messages, 1 to 2^23.
            ///
            /// # Errors
            ///
            /// [`Error::Capacity`], no memory.
            pub fn bounded(
                segment: &Segment,
                capacity: u64,
            ) -> Result<($byte_sender, ByteOrderedReceiver)> {
                Self::with(segment, OrderedOptions::bounded(capacity))
            }

            /// A queue made to measure.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($bytes), "::bounded`].")]
            pub fn with(
                segment: &Segment,
                options: OrderedOptions,
            ) -> Result<($byte_sender, ByteOrderedReceiver)> {
                let (tx, rx) = end::create(segment, $order, options)?;
                Ok(($byte_sender::new(Outlet::new(tx)), ByteOrderedReceiver::new(rx)?))
            }
        }

        impl<T: Serialize + DeserializeOwned> $values<T> {
            /// A queue that holds exactly `capacity` values, 1 to 2^23.
            ///
            /// # Errors
            ///
            /// [`Error::Capacity`], no memory.
            pub fn bounded(
                segment: &Segment,
                capacity: u64,
            ) -> Result<($sender<T>, OrderedReceiver<T>)> {
                Self::with(segment, OrderedOptions::bounded(capacity))
            }

            /// A queue made to measure.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($values), "::bounded`].")]
            pub fn with(
                segment: &Segment,
                options: OrderedOptions,
            ) -> Result<($sender<T>, OrderedReceiver<T>)> {
                let (sender, receiver) = $bytes::with(segment, options)?;
                Ok(($sender::new(sender), OrderedReceiver::new(receiver)))
            }
        }

        impl<T> fmt::Debug for $values<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($values))
            }
        }
    )*};
}

constructors! {
    ByteLifoQueue, LifoQueue, Order::Lifo, ByteLifoSender, LifoSender;
    BytePriorityQueue, PriorityQueue, Order::Priority, BytePrioritySender, PrioritySender;
}

/// What `handle` sends with: it must be a sender's, of a queue of this order.
fn outlet_of(handle: Handle, order: Order) -> Result<Outlet> {
    let end = End::new(handle)?;
    match end.handle.role() {
        Role::First if end.shape.order == order => Ok(Outlet::new(end)),
        Role::First => {
            Err(Error::WrongKind { wanted: order.sender(), found: end.shape.order.sender() })
        }
        Role::Second => Err(Error::WrongKind { wanted: order.sender(), found: RECEIVER }),
    }
}

/// The receiver that `handle` is.
fn receiver_of(handle: Handle) -> Result<ByteOrderedReceiver> {
    let end = End::new(handle)?;
    match end.handle.role() {
        Role::Second => ByteOrderedReceiver::new(end),
        Role::First => Err(Error::WrongKind { wanted: RECEIVER, found: end.shape.order.sender() }),
    }
}

const RECEIVER: &str = "receiver of an ordered queue";

transfer! {
    () ByteLifoSender, Ordered, ByteLifoSender::handle,
        |handle| Ok(Self::new(outlet_of(handle, Order::Lifo)?));
    () BytePrioritySender, Ordered, BytePrioritySender::handle,
        |handle| Ok(Self::new(outlet_of(handle, Order::Priority)?));
    () ByteOrderedReceiver, Ordered, ByteOrderedReceiver::handle, receiver_of;
    (T: Serialize) LifoSender<T>, Ordered, LifoSender::handle,
        |handle| Ok(Self::new(ByteLifoSender::new(outlet_of(handle, Order::Lifo)?)));
    (T: Serialize) PrioritySender<T>, Ordered, PrioritySender::handle,
        |handle| Ok(Self::new(BytePrioritySender::new(outlet_of(handle, Order::Priority)?)));
    (T: DeserializeOwned) OrderedReceiver<T>, Ordered, OrderedReceiver::handle,
        |handle| Ok(Self::new(receiver_of(handle)?));
}
