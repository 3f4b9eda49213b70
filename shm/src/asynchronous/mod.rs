//! Queues, pipes and locks in tokio tasks: `send_async`, `recv_async`, `lock_async`, `acquire_async`, `wait_async`.
//! Feature `tokio`.
//!
//! Each does what the blocking call of the same name does, and lets other tasks run meanwhile. No thread waits for
//! anything: ten thousand waiting tasks are ten thousand entries in lists of this process.
//!
//! ```
//! use std::time::Duration;
//! use slipring::{Error, Queue, Segment, Semaphore};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let segment = Segment::create()?;
//!     let (mut requests, mut inbox) = Queue::<String>::bounded(&segment, 16)?;
//!     let permits = Semaphore::new(&segment, 2)?;
//!
//!     let server = tokio::spawn(async move {
//!         let mut served = 0;
//!         loop {
//!             tokio::select! {
//!                 request = inbox.recv_async() => match request {
//!                     Ok(_request) => {
//!                         permits.acquire_async().await?;
//!                         served += 1;
//!                         permits.release(1)?;
//!                     }
//!                     Err(Error::Disconnected) => return Ok::<u32, Error>(served),
//!                     Err(error) => return Err(error),
//!                 },
//!                 () = tokio::time::sleep(Duration::from_secs(10)) => return Err(Error::TimedOut),
//!             }
//!         }
//!     });
//!     for n in 0..5 {
//!         requests.send_async(&format!("request {n}")).await?;
//!     }
//!     drop(requests);
//!     assert_eq!(server.await.unwrap()?, 5);
//!     Ok(())
//! }
//! ```
//!
//! | blocking | in a task | of |
//! |---|---|---|
//! | `send` | `send_async` | [`ByteSender`](crate::ByteSender), [`Sender`](crate::Sender), [`PipeWriter`](crate::PipeWriter), [`Connection`](crate::Connection) |
//! | `send_loan` | `send_loan_async` | [`ByteSender`](crate::ByteSender), [`PipeWriter`](crate::PipeWriter), [`Connection`](crate::Connection) |
//! | `recv` | `recv_async` | [`ByteReceiver`](crate::ByteReceiver), [`Receiver`](crate::Receiver), [`PipeReader`](crate::PipeReader), [`Connection`](crate::Connection) |
//! | `recv_view` | `recv_view_async` | [`ByteReceiver`](crate::ByteReceiver), [`PipeReader`](crate::PipeReader), [`Connection`](crate::Connection) |
//! | `lock` | `lock_async` | [`Mutex`](crate::Mutex) |
//! | `acquire` | `acquire_async` | [`Semaphore`](crate::Semaphore), [`BoundedSemaphore`](crate::BoundedSemaphore) |
//! | `wait` | `wait_async` | [`Event`](crate::Event) |
//!
//! There is no deadline: wrap the future in `tokio::time::timeout`.
//!
//! # Cancelling
//!
//! A future that is dropped before it is ready has done nothing: no message was taken or sent, no permit taken, no lock
//! held. A wake-up that was meant for it goes to the next task that waits for the same. So all of them may stand in
//! `tokio::select!`, in loops too.
//!
//! # Order
//!
//! The tasks of one process that wait for the same object are woken in the order in which they came; one that looks and
//! finds nothing keeps its place. Between processes there is no order, and a task that does not wait may be faster than
//! one that does, as with the blocking calls.
//!
//! A future that was woken and is not polled (it stands behind an `await` of something else, in a loop around
//! `select!`) holds up those of its own process that wait behind it, until the next look after 50 ms; then another one
//! is woken.
//!
//! # How it works
//!
//! The mechanism is that of [`watch`](crate::watch): marks in shared memory, and a bell that inotify hears. Its costs
//! and limits are told there. On each runtime in which somebody waits there is one task of ours, the *driver*: it has
//! the bell's descriptor and a timer in the runtime's event loop, and lives as long as anybody in this process waits.
//! Every 50 ms it looks who is dead and has the first task of each line look again, so a kill anywhere is found out in
//! about that time; the death of a pipe's other end, too.
//!
//! # Runtimes
//!
//! Any runtime of tokio's whose I/O is enabled, several of them, `block_on` in several threads. The timer is not
//! tokio's: it ticks where time is not enabled, or paused.
//!
//! A child of `fork` must not go on in its parent's runtime. It can make one of its own and wait there.
//!
//! # Errors and panics
//!
//! Besides those of the blocking call: [`Error::CannotWatch`] where the kernel gives no inotify
//! instance, [`Error::NoRuntime`] outside of a runtime. Tokio panics in a runtime whose I/O is not
//! enabled. A call that need not wait needs none of these.
//!
//! | file | what it holds |
//! |---|---|
//! | `queue.rs`, `pipe.rs`, `sync.rs` | the calls of queues, of pipes, and of locks and signals |
//! | `driver.rs` | the task that wakes the others |

mod driver;
mod pipe;
mod queue;
mod sync;

use std::future::poll_fn;
use std::task::{Poll, ready};

use tokio::task::coop;

use crate::watch::{Place, Source};
use crate::{Error, Result};

/// Calls `attempt` until it gives something, waiting in the lines of `subject` in between.
async fn until_done<S: Source, T>(
    mut subject: S,
    mut attempt: impl FnMut(&mut S) -> Option<T>,
) -> Result<T> {
    // Dropped with the future: it leaves the lines, and a wake-up that was meant for it goes on.
    let mut place = Place::new();
    poll_fn(move |cx| {
        // A task that never has to wait must let others run all the same.
        let budget = ready!(coop::poll_proceed(cx));
        if let Some(done) = attempt(&mut subject) {
            budget.made_progress();
            place.leave();
            return Poll::Ready(Ok(done));
        }
        let sure = place.stand([&subject as &dyn Source], cx.waker())?.is_empty();
        driver::ensure()?;
        // The second look, after the announcement.
        match attempt(&mut subject) {
            Some(done) => {
                budget.made_progress();
                place.leave();
                Poll::Ready(Ok(done))
            }
            None => {
                if !sure && subject.may_have_missed() {
                    // Somebody took it between the two looks: we come again.
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    })
    .await
}

/// Leaves out what only says that the call would have to wait.
fn unless_blocked<T>(tried: Result<T>) -> Option<Result<T>> {
    match tried {
        Err(Error::WouldBlock) => None,
        done => Some(done),
    }
}
