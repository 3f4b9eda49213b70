//! A queue of messages, many to many, first in first out.
//!
//! What is sent is in the queue when the call returns: any receiver finds it, and the sender may end. There are no helper
//! threads and nothing is buffered in the process. A bounded queue holds exactly as many messages as was said; a send to
//! a full one waits. An unbounded one grows, and its sends never wait for receivers.
//!
//! Any process that has handles may be killed or stopped at any instruction, and the others go on. A kill costs at most
//! the messages that the process had in its hands. When the last sender is gone, in whatever way, receivers get what is
//! left and then [`Error::Disconnected`](crate::Error::Disconnected); senders get it when the last receiver is gone. What
//! nobody has received stays in the queue then, for a receiver that may come by its name, and goes with the last handle. It
//! is bytes: no handle can be in it, so nobody waits for what it would bring.
//!
//! | file | what it holds |
//! |---|---|
//! | `end.rs` | the shared words, and growth |
//! | `options.rs` | how a queue is to be made |
//! | `family.rs` | what all kinds of queues have in the same words: constructors, handles on their way and by name |
//! | `sender.rs`, `receiver.rs` | the two sides |
//! | `sending.rs` | how messages get into a queue |
//! | `typed.rs` | the two sides for values, and the macros by which all kinds of queues have theirs |
//! | `watched.rs` | when a queue is ready, for those who watch it |
//! | `kind.rs` | what a death does to a queue, and what observers are told of it |
//! | `ordered/` | LIFO and priority queues |
//! | `joinable/` | queues of tasks |

mod end;
pub(crate) mod family;
pub mod joinable;
mod kind;
mod options;
pub mod ordered;
mod receiver;
mod sender;
mod sending;
#[cfg(test)]
mod tests;
pub(crate) mod typed;
pub(crate) mod watched;

use std::marker::PhantomData;

pub(crate) use end::{BODY_BYTES, End, chain_at, create_as, rings_of};
use family::queues;
pub(crate) use kind::{QueueKind, RingKind};
pub use options::QueueOptions;
pub use receiver::ByteReceiver;
pub(crate) use receiver::advance;
pub use sender::ByteSender;
pub use typed::{Receiver, Sender};

use crate::codec::MessagePack;
use crate::member::Handle;
use crate::object::{Kind, Role};
use crate::{Result, Segment};

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
    /// Makes a queue and a handle of each of these sides.
    fn create<const N: usize>(
        segment: &Segment,
        options: QueueOptions,
        roles: [Role; N],
    ) -> Result<[Handle; N]> {
        end::create_as(segment, Kind::Queue, options, roles, 0, |_| ())
    }
}

/// A queue of values, encoded by the codec `C`: of any serde type with [`MessagePack`], the default. See the [module](self).
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
pub struct Queue<T, C = MessagePack>(PhantomData<(T, C)>);

queues! {
    Queue, QueueOptions;
    ByteQueue(ByteSender, ByteReceiver) {
        bounded: "A queue that holds exactly `capacity` messages, 1 to 2^26.";
        unbounded: "A queue that holds as many messages as memory allows.";
    }
    Queue(Sender, Receiver) {
        bounded: "A queue that holds exactly `capacity` values, 1 to 2^26.";
        unbounded: "A queue that holds as many values as memory allows.";
    }
}
