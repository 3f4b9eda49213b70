//! Pipes, queues and locks in memory that several processes map. Any of them may be killed at any instruction: the
//! others carry on.
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
//!
//! # Platform
//!
//! Linux on x86-64 with `cmpxchg16b`; `/proc` mounted, but for [`local`].

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
