//! A ring of values of one size, from one sender to one receiver: the shortest way between two processes.
//!
//! A send is a copy into the slot and one store; nothing enters the kernel while the other side does not sleep. What
//! was sent is in the ring when the call returns, whatever becomes of the sender. A value that a dying receiver had
//! copied and not given back is received once more by the next.
//!
//! # Who is the sender, who the receiver
//!
//! A fork gives the child a copy of every handle, but only one may use each side. The first to use its handle has the
//! side; others get [`Error::SideInUse`](crate::Error::SideInUse) as long as that one lives and has its
//! handle. When it drops the handle, or its process dies, the next to use one takes over where the last one stopped.
//! Drop the handle of the side that a process does not use: as long as it has one, the other side does not learn that
//! it is alone.
//!
//! | file | what it holds |
//! |---|---|
//! | `end.rs` | the shared words, who has a side, waiting for the other |
//! | `sender.rs`, `receiver.rs` | the two sides |
//! | `kind.rs` | whom a death wakes, and the kind's other answers |

mod end;
mod kind;
mod receiver;
mod sender;

use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;

pub(crate) use kind::SlotsKind;
pub use receiver::SlotReceiver;
pub use sender::SlotSender;

use crate::travel::parcel::enclosed::transfer;
use crate::{Result, Segment};

/// A ring of `capacity` values of `T`, one to one. See the [module](self).
///
/// `T` is any type whose every bit pattern is a value ([`bytemuck::Pod`]). Up to 56 bytes of it travel in one cache
/// line with the news that they are there.
///
/// # Examples
///
/// ```
/// use slipring::{Error, Segment, Slots};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = Slots::<[u64; 7]>::new(&segment, 2)?;
/// sender.send(&[1; 7])?;
/// sender.send(&[2; 7])?;
/// assert!(matches!(sender.try_send(&[3; 7]), Err(Error::WouldBlock)));
///
/// assert_eq!(receiver.recv()?, [1; 7]);
/// drop(sender);
/// assert_eq!(receiver.recv()?, [2; 7]);
/// assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
pub struct Slots<T>(PhantomData<T>);

impl<T: Pod> Slots<T> {
    /// Makes a ring that holds exactly `capacity` values, and a handle of each side.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`](crate::Error::Capacity), also for a `T` that is aligned to more than 128 bytes; no memory.
    #[allow(clippy::new_ret_no_self, reason = "a ring is used through its two sides alone")]
    pub fn new(segment: &Segment, capacity: u64) -> Result<(SlotSender<T>, SlotReceiver<T>)> {
        let [tx, rx] = end::create::<T>(segment, capacity)?;
        Ok((SlotSender::from_handle(tx)?, SlotReceiver::from_handle(rx)?))
    }
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slots")
    }
}

transfer! {
    (T: Pod) SlotSender<T>, Slots, SlotSender::handle, SlotSender::from_handle;
    (T: Pod) SlotReceiver<T>, Slots, SlotReceiver::handle, SlotReceiver::from_handle;
}

#[cfg(test)]
mod tests;
