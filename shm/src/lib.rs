//! Queues, pipes, locks and values in memory that several processes map. Any of these processes may be killed or stopped at any
//! instruction: the others carry on, with no daemon and no clean-up command.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use slipring::{Error, Queue, Receiver, Segment, Sender};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Photo {
//!     number: u32,
//!     path: String,
//! }
//!
//! fn work(mut photos: Receiver<Photo>, mut done: Sender<u32>) -> Result<(), Error> {
//!     while let Ok(photo) = photos.recv() {
//!         done.send(&photo.number)?;
//!     }
//!     Ok(()) // nobody sends photos any more
//! }
//!
//! let segment = Segment::create()?;
//! let (mut photos, inbox) = Queue::bounded(&segment, 100)?;
//! let (done, mut outbox) = Queue::bounded(&segment, 100)?;
//! // A thread here. A forked child does the same, and other programs get their handles by `Named` or `Handoff`.
//! let worker = std::thread::spawn(move || work(inbox, done));
//! for number in 1..=3 {
//!     photos.send(&Photo { number, path: format!("{number}.jpg") })?;
//! }
//! drop(photos);
//!
//! let mut sum = 0;
//! while let Ok(number) = outbox.recv() {
//!     sum += number;
//! }
//! worker.join().unwrap()?;
//! assert_eq!(sum, 6);
//! # Ok::<(), Error>(())
//! ```
//!
//! # Choosing a type
//!
//! | you have | take |
//! |---|---|
//! | work that several processes share | [`Queue`]: many senders, many receivers, each message to one of them |
//! | work that must be done even if a worker dies with it | [`JoinableQueue`]: a message is leased, and comes again if its worker dies |
//! | the most urgent, or the newest, first | [`PriorityQueue`], [`LifoQueue`] |
//! | two processes that talk to each other | [`Pipe`]: two ends, end of file, a descriptor for event loops |
//! | a server and clients that know its name | [`Acceptor`] and [`Pipe::connect`]: a pipe for each client |
//! | one process that feeds another with values of one size | [`Slots`]: the fastest |
//! | a value that several processes change | [`Value`], [`Array`], or a [`Mutex`] around it; [`RawValue`], [`RawArray`] without a lock |
//! | something of which there are only N | [`BoundedSemaphore`]: a dead holder's permit comes back |
//! | a count, or a signal that one gives and another takes | [`Semaphore`] |
//! | "go on", "ready", "stop" | [`Event`] |
//! | waiting for a condition under a lock | [`Condvar`] with [`Mutex`] or [`ReentrantMutex`] |
//! | all meet, then all go on | [`Barrier`] |
//! | several of these to wait for at once | [`wait_any`], [`Watch`] |
//! | the same between the threads of one process | [`local`] |
//!
//! [`Queue`] and its like carry values of any serde type, in a [`codec`] that you choose. [`ByteQueue`] and its like carry bytes, also
//! without a copy: [`ByteSender::loan`], [`ByteReceiver::recv_view`].
//!
//! Every call that can wait has three forms: `recv` waits, `recv_until` waits until a deadline, `try_recv` does not wait.
//!
//! # How another process gets a handle
//!
//! | process | way |
//! |---|---|
//! | a forked child | it has copies of all its parent's handles |
//! | a program that knows a name | [`Named::open_or_create`]; for pipes [`Pipe::connect`] |
//! | a program that you start | [`Handoff::spawn`], and there [`Inherited::from_env`] |
//! | a program that somebody else starts | [`Berth`], and there [`Boarding`] |
//! | a process at the other end of a socket | [`Handoff::send`], and there [`Inherited::receive`] |
//! | a process at the other end of a pipe | a handle as a field of a serde value: [`PipeOptions::handles`] |
//!
//! # When a process dies
//!
//! A kill costs at most what the process had in its hands. No message is torn and none arrives twice. The next holder of a lock is
//! told ([`LockError::OwnerDied`]); receivers get what was sent, and then [`Error::Disconnected`]. Blocked calls hear of a death by
//! themselves: a pipe's reader at once, others within 100 ms.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `tokio` | the module `asynchronous`: `send_async`, `recv_async`, `lock_async` and the like, in tokio tasks |
//! | `rkyv` | the codec `Rkyv`, for types that derive rkyv's traits |
//!
//! None is on by default.
//!
//! # Limits
//!
//! Linux on x86-64 with `cmpxchg16b`; `/proc` mounted, but for [`local`]. Names need a tmpfs: `/dev/shm`, or what the variable
//! `SLIPRING_DIR` says.
//!
//! | what | how much |
//! |---|---|
//! | processes in a segment at a time | 1023 |
//! | objects in a segment at a time | 65 534 |
//! | capacity of a bounded queue, exact | 1 to 2^26; of a LIFO or priority queue to 2^23 |
//! | longest message | 2 GiB; 512 MiB in a segment with a name; more or less with [`SegmentOptions::reserve`] |
//! | address space of a segment | 128 GiB, with a name 32 GiB, unless told otherwise; memory is taken as it is needed |
//!
//! Locks are not fair. The [guide](https://github.com/slipring/slipring/blob/main/docs/guide/src/SUMMARY.md) has
//! [all limits](https://github.com/slipring/slipring/blob/main/docs/guide/src/limits.md).
//!
//! # Modules
//!
//! | module | what it holds |
//! |---|---|
//! | [`segment`] | the shared file: how it is made, checked, mapped and paid for |
//! | [`queue`] | many to many, bounded or not, messages of any size |
//! | [`ordered`] | the same, bounded, last in first out or by priority |
//! | [`joinable`] | tasks: what a worker leaves undone goes to another |
//! | [`pipe`] | two ends, messages of any size, end of file by close or death |
//! | [`handoff`] | handles for a program that is started, here or by somebody else, or through a socket |
//! | [`name`] | objects that unrelated programs find by name |
//! | [`observe`] | looking at named objects without taking part |
//! | [`sync`] | locks, semaphores, events, conditions, barriers |
//! | [`value`], [`mod@array`] | typed values that several processes read and write, with and without a lock |
//! | [`slots`] | one to one, values of one size: the shortest way |
//! | [`local`] | the same between the threads of one process, without a segment |
//! | [`watch`] | waiting for several objects at once |
//! | `asynchronous` | queues, pipes and locks in tokio tasks: feature `tokio` |
//! | [`codec`] | how values become messages, and which of serde's attributes work |
//! | [`error`] | the one error type |
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
extern crate slipring_core;

#[cfg(feature = "tokio")]
pub mod asynchronous;
mod data;
pub mod error;
pub mod local;
mod member;
mod memory;
mod message;
mod object;
pub mod observe;
mod open;
pub mod pipe;
pub mod queue;
mod recovery;
pub mod slots;
pub mod sync;
mod sys;
mod travel;
mod wait;
pub mod watch;

pub use data::{array, value};
pub use member::segment;
pub use message::codec;
pub use open::name;
pub use queue::{joinable, ordered};
pub use travel::handoff;

pub use array::{Array, ArrayBytes, ArrayGuard, RawArray};
pub use codec::{MessagePack, Postcard};
pub use error::{Error, Result};
pub use handoff::{Berth, Boarding, Handoff, Inherited};
pub use joinable::{
    ByteJoinableQueue, ByteJoinableReceiver, ByteJoinableSender, ByteLease, DeadLetter,
    JoinableOptions, JoinableQueue, JoinableReceiver, JoinableSender, Lease,
};
pub use message::{Apart, Batch, Loan, Message, View};
pub use name::{Name, Named, unlink};
pub use open::Acceptor;
pub use ordered::{
    ByteLifoQueue, ByteLifoReceiver, ByteLifoSender, BytePriorityQueue, BytePriorityReceiver,
    BytePrioritySender, LifoQueue, LifoReceiver, LifoSender, OrderedOptions, PriorityQueue,
    PriorityReceiver, PrioritySender,
};
pub use pipe::{Connection, Pipe, PipeOptions, PipeReader, PipeWriter};
pub use queue::{ByteQueue, ByteReceiver, ByteSender, Queue, QueueOptions, Receiver, Sender};
pub use segment::{Segment, SegmentOptions};
pub use slots::{SlotReceiver, SlotSender, Slots};
pub use sync::{
    Arrival, Barrier, BarrierTurn, BoundedSemaphore, Condvar, Event, Guard, LockError, LockResult,
    Moment, Mutex, OrRecover, ReentrantGuard, ReentrantMutex, Release, Semaphore, Waiting,
};
pub use value::{RawValue, Value, ValueGuard};
pub use wait::{SpinPolicy, Until};
pub use watch::{Waitable, Watch, wait_any};
