//! Waiting for several objects at once: [`wait_any`].
//!
//! A blocked `recv`, `acquire` or `lock` sleeps on one word of one object. A program that serves several of them at once
//! calls [`wait_any`] with a list of what it waits for, of any kinds and in any segments, and is told which one is ready:
//!
//! ```
//! use std::time::Duration;
//! use slipring::{ByteQueue, Error, Event, Segment, wait_any};
//!
//! let segment = Segment::create()?;
//! let (mut jobs_in, mut jobs) = ByteQueue::bounded(&segment, 8)?;
//! let stop = Event::new(&segment)?;
//! let (stop_here, worker) = (stop.clone(), std::thread::spawn(move || -> Result<usize, Error> {
//!     let mut done = 0;
//!     loop {
//!         match wait_any(&[&stop, &jobs], Duration::from_secs(10))? {
//!             0 => return Ok(done),
//!             // Another worker may have been faster: so this does not wait.
//!             _ => match jobs.try_recv() {
//!                 Ok(_job) => done += 1,
//!                 Err(Error::WouldBlock) => {}
//!                 Err(error) => return Err(error),
//!             },
//!         }
//!     }
//! }));
//! for _ in 0..3 {
//!     jobs_in.send(b"a job")?;
//! }
//! while !jobs_in.is_empty() {
//!     std::thread::yield_now();
//! }
//! stop_here.set()?;
//! assert_eq!(worker.join().unwrap()?, 3);
//! # Ok::<(), Error>(())
//! ```
//!
//! **Ready is a hint**, as with `poll(2)`: the call that comes next would most probably not wait. Somebody else may be
//! faster; so follow with a `try_` call, and go back to waiting on [`Error::WouldBlock`](crate::Error::WouldBlock).
//! What ends a wait for good is ready, too: the end of a queue or pipe, by close or by the death of the last one on the
//! other side. The call that follows says so.
//!
//! | what | ready when |
//! |---|---|
//! | [`ByteReceiver`](crate::ByteReceiver), [`Receiver`](crate::Receiver) | there is a message, or no more will come |
//! | [`ByteSender`](crate::ByteSender), [`Sender`](crate::Sender) | there is room, or nobody will receive |
//! | [`ByteJoinableReceiver`](crate::ByteJoinableReceiver), [`JoinableReceiver`](crate::JoinableReceiver) | an item waits, new or given back, or none will come |
//! | [`ByteJoinableSender`](crate::ByteJoinableSender), [`JoinableSender`](crate::JoinableSender) | there is room, or nobody will receive |
//! | [`PipeReader`](crate::PipeReader), [`Connection`](crate::Connection) | there is a message, or the end of file |
//! | [`PipeWriter`](crate::PipeWriter) | there is room for a message of any length, or nobody has the other end |
//! | [`Semaphore`](crate::Semaphore), [`BoundedSemaphore`](crate::BoundedSemaphore) | there is a permit |
//! | [`Event`](crate::Event) | it is set |
//! | [`Mutex`](crate::Mutex) | nobody holds it, or its holder is dead |
//!
//! # How it works, and what it costs
//!
//! Who waits leaves the mark of a sleeper on each object, exactly as if it slept there, and a bit in the segment's
//! header that says "I watch". Whoever then wakes the sleepers of any word of the segment finds the bit and rings: it
//! reads one byte of the segment's file, and inotify tells those who watch that file. So nothing has to be handed to
//! anybody: it works in every process that has the segment, and across namespaces. While nobody watches a segment,
//! nothing costs more than it did.
//!
//! One process needs one inotify instance for all its segments and threads, and all who watch a segment hear every ring
//! of it: then they compare one word per object that they wait for. A process that waits for few objects of its own
//! while others are busy in the same segment wakes often in vain; give such objects a segment of their own.
//!
//! As in every wait, a kill is survived: each 50 ms at the latest a waiter looks again, and looks who is dead.
//!
//! # Limits
//!
//! The kernel gives each user 128 inotify instances unless told otherwise (`fs.inotify.max_user_instances`): so many
//! processes of one user can watch at a time. Where none is to be had, or where a sandbox forbids inotify, waits fail
//! with [`Error::CannotWatch`](crate::Error::CannotWatch) rather than be slow. A program that has to go on there calls
//! `try_` functions every few milliseconds.
//!
//! # Event loops
//!
//! For tokio there is the module `asynchronous` (feature `tokio`), on the same mechanism. For others see [`Watch`]: one
//! object with one descriptor that `poll`, `select` and `epoll` can wait for; and [`WaitSet`], for several objects.
//!
//! # Fork
//!
//! A child waits on its own; a wait of another thread of its parent does not exist in it. A [`Watch`] is made anew there.
//!
//! | file | what it holds |
//! |---|---|
//! | `set.rs` | a thread's wait for several objects: [`wait_any`], [`WaitSet`] |
//! | `watching.rs` | one object with one descriptor: [`Watch`] |
//! | `spot.rs` | what can be watched, and how a watcher announces itself |
//! | `line.rs` | those of this process who wait for the same word |
//! | `hub.rs` | everything that this process watches, and what a fork does to it |
//! | `drivers.rs`, `enlist.rs` | which event loops have a driver of ours: the list, and how it changes |

#[cfg(feature = "tokio")]
mod drivers;
#[cfg(feature = "tokio")]
mod enlist;
mod hub;
mod line;
mod set;
pub(crate) mod spot;
mod watching;

#[cfg(feature = "tokio")]
pub(crate) use drivers::DriverName;
#[cfg(feature = "tokio")]
pub(crate) use enlist::{delist, delist_if_idle, enlist};
pub(crate) use hub::HubHooks;
#[cfg(feature = "tokio")]
pub(crate) use hub::{Place, copy_of_ears, listen, tick};
pub use set::{WaitSet, wait_any};
pub(crate) use spot::{Calm, Source, Spot};
pub use watching::Watch;

use std::os::fd::BorrowedFd;

/// Something that [`wait_any`] can wait for. See the [module](self) for what there is, and when it is ready.
///
/// ```
/// use std::time::Duration;
/// use slipring::{ByteQueue, Error, Event, Result, Segment, Waitable, wait_any};
///
/// /// Whether one of them is ready within a millisecond.
/// fn is_any_ready(objects: &[&dyn Waitable]) -> Result<bool> {
///     match wait_any(objects, Duration::from_millis(1)) {
///         Ok(_) => Ok(true),
///         Err(Error::TimedOut) => Ok(false),
///         Err(error) => Err(error),
///     }
/// }
///
/// let segment = Segment::create()?;
/// let (mut sender, receiver) = ByteQueue::bounded(&segment, 1)?;
/// let stop = Event::new(&segment)?;
/// assert!(!is_any_ready(&[&receiver, &stop])?);
/// assert!(is_any_ready(&[&sender])?, "there is room");
/// sender.send(b"a job")?;
/// assert!(is_any_ready(&[&receiver, &stop])?);
/// # Ok::<(), Error>(())
/// ```
pub trait Waitable: sealed::Waitable {}

impl<W: sealed::Waitable + ?Sized> Waitable for W {}

pub(crate) mod sealed {
    /// What only this crate's types can do.
    pub trait Waitable: super::Source {
        /// Whether a call would not wait now. Takes nothing and waits for nothing.
        fn is_ready(&self) -> bool;

        /// A socket whose hang-up makes it ready.
        fn socket(&self) -> Option<super::BorrowedFd<'_>> {
            None
        }
    }
}
