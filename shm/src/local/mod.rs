//! The same between the threads of one process, without a segment.
//!
//! A program that has both kinds of neighbours writes both in the same way: the types here have the names, methods,
//! deadlines and errors of those between processes. They are made without a segment, and need no descriptor, no mapping
//! and no `/proc`. Underneath are the same algorithms of `slipring-core`; only the futex is the private one.
//!
//! | here | between processes | what is different |
//! |---|---|---|
//! | [`Queue`] | [`crate::Queue`] | values are moved: any type that is `Send`. A send that fails gives its value back |
//! | [`Pipe`] | [`crate::Pipe`] | values instead of bytes; no descriptor to be watched |
//! | [`Mutex`] | [`crate::Mutex`] | any type, and a guard that is the value's reference |
//! | [`ReentrantMutex`] | [`crate::ReentrantMutex`] | nothing |
//! | [`Semaphore`], [`BoundedSemaphore`] | [`crate::Semaphore`], [`crate::BoundedSemaphore`] | permits have no owners; a bounded one can have 2^31 - 1 |
//! | [`Event`], [`Condvar`], [`Barrier`] | [`crate::Event`], [`crate::Condvar`], [`crate::Barrier`] | nothing |
//!
//! # Who dies
//!
//! A thread does not die alone, so no lock is ever inherited: [`LockError::OwnerDied`](crate::LockError::OwnerDied)
//! does not occur, and the locks return [`LockResult`](crate::LockResult) only so that code reads the same for both
//! kinds. No call returns [`Error::Interrupted`](crate::Error::Interrupted) or
//! [`Error::Forked`](crate::Error::Forked).
//!
//! A **panic** drops the guards of its thread as it unwinds. That gives their locks back in good order, here as between
//! processes; there is no poisoning, and a value that was half-changed is found so. Who cannot bear that puts the value
//! right in a destructor. A guard that is forgotten keeps its lock for ever.
//!
//! # Fork
//!
//! All this is private memory of a process: a forked child has copies, which are not connected with the parent's. Of the
//! parent's threads only the one that forked goes on in the child. What the others held stays held there, and what they
//! would have sent never comes; they had handles, so an end of file never comes either. So a child may use an object
//! that no other thread was using at the moment of the fork, and with threads that it starts itself; and it may
//! start another program. What has to work on both sides of a fork lies in a [`Segment`](crate::Segment).
//!
//! | file | what it holds |
//! |---|---|
//! | `queue/` | queues of values |
//! | `pipe.rs` | pipes of values: a queue in each direction |
//! | `send_error.rs` | a send that failed gives its value back |
//! | `mutex.rs`, `reentrant.rs`, `semaphore.rs`, `event.rs`, `condvar.rs`, `barrier.rs` | a lock or signal each; `semaphore.rs` has both semaphores |
//! | `words.rs` | what handles of locks and signals have in common |
//! | `threads.rs` | who a thread is, and how it waits |

mod barrier;
mod condvar;
mod event;
mod mutex;
pub mod pipe;
pub mod queue;
mod reentrant;
mod semaphore;
mod send_error;
mod threads;
mod words;

pub use barrier::Barrier;
pub use condvar::{Condvar, Reopen};
pub use event::Event;
pub use mutex::{Guard, Mutex};
pub use pipe::{Connection, Pipe, PipeReader, PipeWriter};
pub use queue::{Queue, Receiver, Sender};
pub use reentrant::{ReentrantGuard, ReentrantMutex};
pub use semaphore::{BoundedSemaphore, Semaphore};
pub use send_error::{SendError, SendResult};
pub use threads::set_spin;
