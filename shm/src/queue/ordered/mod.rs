//! Queues that do not give messages out in the order in which they came: last in first out, and by priority.
//!
//! Both are many to many and bounded: they hold exactly as many messages as was said, 1 to 2^23. In all else they are as
//! [`queue`](crate::queue)s are: messages of any size, what is sent is in the queue when the call returns, deadlines,
//! [`Error::Disconnected`](crate::Error::Disconnected) when the other side is gone in whatever way, and a kill at any
//! instruction costs at most the messages that the process had in its hands.
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
//! 50 ms with [`Error::WouldBlock`](crate::Error::WouldBlock), others at their deadline. One that is *killed* there holds
//! up nobody: the next one puts in order what it left, which takes time in proportion to the capacity. A process that
//! waits for a message or for room has no turn, and may be stopped for as long as anyone likes.
//!
//! # Why there is no unbounded one
//!
//! Where a message lies follows from the order and not from the time at which it came, so the memory cannot be a chain of
//! ever larger rings as an unbounded [`queue`](crate::queue)'s is. Make it as large as need be: a place takes 16 bytes in a
//! LIFO queue and 36 in a priority queue, all paid for when the queue is made.
//!
//! | file | what it holds |
//! |---|---|
//! | `end.rs` | the shared words, and the store of messages |
//! | `options.rs` | how a LIFO or priority queue is to be made |
//! | `sending.rs`, `receiving.rs` | how messages get in and out, whatever the order |
//! | `sender.rs`, `receiver.rs`, `typed.rs` | the two sides, for bytes and for values |
//! | `common.rs` | what the sides for bytes have in the same words |
//! | `kind.rs` | what a death does to such a queue, and what observers are told of it |

mod common;
mod end;
mod kind;
mod options;
mod receiver;
mod receiving;
mod sender;
mod sending;
#[cfg(test)]
mod tests;
mod typed;

use std::marker::PhantomData;

use end::Order;
pub(crate) use kind::OrderedKind;
pub use options::OrderedOptions;
pub use receiver::{ByteLifoReceiver, BytePriorityReceiver};
pub use sender::{ByteLifoSender, BytePrioritySender};
pub use typed::{LifoReceiver, LifoSender, PriorityReceiver, PrioritySender};

use crate::codec::MessagePack;
use crate::member::Handle;
use crate::object::Role;
use crate::queue::family::queues;
use crate::{Result, Segment};

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

/// A queue of values, encoded by the codec `C`: of any serde type with [`MessagePack`], the default, last in first out. See the [module](self).
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
pub struct LifoQueue<T, C = MessagePack>(PhantomData<(T, C)>);

/// A queue of values, encoded by the codec `C`: of any serde type with [`MessagePack`], the default, the smallest key first. See the [module](self).
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
pub struct PriorityQueue<T, C = MessagePack>(PhantomData<(T, C)>);

impl ByteLifoQueue {
    /// Makes a queue and a handle of each of these sides.
    fn create<const N: usize>(
        segment: &Segment,
        options: OrderedOptions,
        roles: [Role; N],
    ) -> Result<[Handle; N]> {
        end::create(segment, Order::Lifo, options, roles)
    }
}

impl BytePriorityQueue {
    /// Makes a queue and a handle of each of these sides.
    fn create<const N: usize>(
        segment: &Segment,
        options: OrderedOptions,
        roles: [Role; N],
    ) -> Result<[Handle; N]> {
        end::create(segment, Order::Priority, options, roles)
    }
}

queues! {
    Ordered, OrderedOptions;
    ByteLifoQueue(ByteLifoSender, ByteLifoReceiver) {
        bounded: "A queue that holds exactly `capacity` messages, 1 to 2^23.";
    }
    LifoQueue(LifoSender, LifoReceiver) {
        bounded: "A queue that holds exactly `capacity` values, 1 to 2^23.";
    }

    Ordered, OrderedOptions;
    BytePriorityQueue(BytePrioritySender, BytePriorityReceiver) {
        bounded: "A queue that holds exactly `capacity` messages, 1 to 2^23.";
    }
    PriorityQueue(PrioritySender, PriorityReceiver) {
        bounded: "A queue that holds exactly `capacity` values, 1 to 2^23.";
    }
}
