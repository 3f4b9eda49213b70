//! A queue of tasks: what a worker receives is leased to it, and comes back unless the worker says that it is done.
//!
//! As a [queue], many to many, first in first out, bounded exactly or not at all. On top of that it counts
//! what is *unfinished*: every item from the moment it was put until it is finished. [`join`](ByteJoinableSender::join)
//! waits until nothing is.
//!
//! | what happens to a leased item | what becomes of it |
//! |---|---|
//! | [`done`](ByteLease::done), or `task_done` with its id | finished |
//! | the lease is dropped, or given back | the next one who receives gets it, before newer items, as another delivery |
//! | the worker dies, in whatever way | the same, as soon as the death is noticed (about 50 ms after it) |
//! | it comes back after the last delivery that it may have | it is a *dead letter*: it counts as finished, a hook is called, and anybody can take it out |
//!
//! Counts are exact through all of this: a death costs no item that was put, and none is counted twice. An item may be
//! *worked at* twice, where a worker did all of the work and died before it said so.
//!
//! No process holds another up, whether it is stopped or killed: `send`, `recv` and `done` take effect in one
//! compare-and-swap each. A living worker's lease is never taken from it, so its item waits for it.
//!
//! | file | what it holds |
//! |---|---|
//! | `desk.rs` | the words that all handles and leases share; joining |
//! | `sender.rs`, `receiver.rs`, `typed.rs` | the two sides, for bytes and for values |
//! | `lease.rs`, `by_id.rs` | an item in a worker's hands; one that is only known by its number |
//! | `letter.rs` | items that came back too often |
//! | `options.rs` | how a joinable queue is to be made |
//! | `order.rs` | which item came first |
//! | `recover.rs` | what the death procedure does with leases and claims |
//! | `watched.rs` | when a joinable queue is ready, for those who watch it |
//! | `kind.rs` | what a death does to a joinable queue, and what observers are told of it |

mod desk;
mod kind;
mod lease;
mod letter;
mod options;
mod order;
mod receiver;
mod recover;
mod sender;
#[cfg(test)]
mod tests;
mod typed;
mod watched;

// Last: the receiver's page in the reference tells of `recv` first.
mod by_id;

use std::marker::PhantomData;

use slipring_core::ring::leases::Leases;

pub(crate) use kind::JoinableKind;
pub use lease::{ByteLease, Lease};
pub use letter::DeadLetter;
pub use options::JoinableOptions;
pub use receiver::ByteJoinableReceiver;
pub use sender::ByteJoinableSender;
pub use typed::{JoinableReceiver, JoinableSender};

use crate::codec::MessagePack;
use crate::member::Handle;
use crate::object::{Kind, Role};
use crate::queue::family::queues;
use crate::{Result, Segment, queue};

/// A queue of tasks of bytes. See the [module](self).
///
/// ```
/// use slipring::{ByteJoinableQueue, Error, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteJoinableQueue::unbounded(&segment)?;
/// let worker = std::thread::spawn(move || {
///     let mut bytes = 0;
///     while let Ok(lease) = receiver.recv() {
///         bytes += lease.len();
///         lease.done()?;
///     }
///     Ok::<usize, Error>(bytes)
/// });
/// sender.send(b"one task")?;
/// sender.send(b"another task")?;
/// sender.join()?;
/// assert_eq!(sender.unfinished(), 0);
/// drop(sender);
/// assert_eq!(worker.join().unwrap()?, 20);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct ByteJoinableQueue(());

impl ByteJoinableQueue {
    /// Makes a queue and a handle of each of these sides.
    fn create<const N: usize>(
        segment: &Segment,
        options: JoinableOptions,
        roles: [Role; N],
    ) -> Result<[Handle; N]> {
        let (bytes, limit) = options.check()?;
        queue::create_as(segment, Kind::JoinableQueue, options.queue(), roles, bytes, |at| {
            // SAFETY: so many bytes behind a queue's words, which are a multiple of 128, of an object that nobody knows yet;
            // every view's owner has a handle of it.
            unsafe { Leases::init(at, options.leases(), limit) };
        })
    }
}

/// A queue of tasks, encoded by the codec `C`: of any serde type with [`MessagePack`], the default. See the [module](self).
///
/// Both sides must mean the same `T`: a message that is none is an error to its receiver, and goes back.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use slipring::{JoinableQueue, Segment};
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Task {
///     id: u32,
///     path: String,
/// }
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = JoinableQueue::<Task>::bounded(&segment, 8)?;
/// sender.send(&Task { id: 1, path: "/etc/passwd".into() })?;
/// let task = receiver.recv()?;
/// assert_eq!((task.id, task.path.as_str()), (1, "/etc/passwd"));
/// task.done()?;
/// sender.join()?;
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct JoinableQueue<T, C = MessagePack>(PhantomData<(T, C)>);

queues! {
    JoinableQueue, JoinableOptions;
    ByteJoinableQueue(ByteJoinableSender, ByteJoinableReceiver) {
        bounded: "A queue in which exactly `capacity` items wait at most, 1 to 2^26.";
        unbounded: "A queue in which as many items wait as memory allows.";
    }
    JoinableQueue(JoinableSender, JoinableReceiver) {
        bounded: "A queue in which exactly `capacity` values wait at most, 1 to 2^26.";
        unbounded: "A queue in which as many values wait as memory allows.";
    }
}
