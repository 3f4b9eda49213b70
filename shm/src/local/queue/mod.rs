//! A queue of values between threads, many to many, first in first out.
//!
//! [`crate::queue`] without a segment: values are moved and not encoded, so any type will do that may go to another
//! thread. What is sent is in the queue when the call returns. A bounded queue holds exactly as many values as was said;
//! a send to a full one waits. An unbounded one grows, and its sends never wait for receivers.
//!
//! When the last sender is dropped, receivers get what is left and then [`Error::Disconnected`](crate::Error); senders
//! get it when the last receiver is dropped. What nobody has taken then is dropped too, at once, by the thread that dropped
//! that receiver. A send at the same moment may still succeed; its value is dropped in the same way, by one of the two
//! threads. No lock is held meanwhile: a value's destructor may use the queue that it was in.
//!
//! So whoever waits for an answer, to a request that has the handle to answer to in it, hears that the server is gone. A
//! value that holds a *receiver* of its own queue, and is never taken, keeps the queue for ever.
//!
//! | file | what it holds |
//! |---|---|
//! | `rings.rs` | memory of the rings, and the values in them |
//! | `end.rs` | where a handle is; who is still there |
//! | `sender.rs`, `receiver.rs` | the two sides |

mod end;
mod receiver;
mod rings;
mod sender;
#[cfg(test)]
mod tests;

use std::fmt;
use std::marker::PhantomData;

use slipring_core::ring::chain::Bound;

pub(super) use end::Presence;
pub use receiver::Receiver;
pub use sender::Sender;

use crate::Result;

/// The first ring of an unbounded queue holds so many values.
const FIRST_RING: u64 = 64;

/// Makes queues of `T`. See the [module](self).
///
/// ```
/// use slipring::Error;
/// use slipring::local::Queue;
///
/// let (mut sender, mut receiver) = Queue::bounded(2)?;
/// sender.send(Box::new(1))?;
/// sender.send(Box::new(2))?;
/// assert!(sender.is_full());
/// let refused = sender.try_send(Box::new(3)).unwrap_err();
/// assert!(matches!(refused.error, Error::WouldBlock));
///
/// assert_eq!(*receiver.recv()?, 1);
/// drop(sender);
/// assert_eq!(*receiver.recv()?, 2);
/// assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
pub struct Queue<T>(PhantomData<T>);

impl<T: Send> Queue<T> {
    /// A queue that holds exactly `capacity` values, 1 to 2^26.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`](crate::Error::Capacity), no memory.
    pub fn bounded(capacity: u64) -> Result<(Sender<T>, Receiver<T>)> {
        Self::with(Bound::Bounded(capacity))
    }

    /// A queue that holds as many values as memory allows.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn unbounded() -> Result<(Sender<T>, Receiver<T>)> {
        Self::with(Bound::Unbounded(FIRST_RING))
    }

    fn with(bound: Bound) -> Result<(Sender<T>, Receiver<T>)> {
        let (tx, rx) = end::create(bound)?;
        Ok((Sender::new(tx), Receiver::new(rx)))
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}
