//! Items that came back too often: dead letters.

use crate::Result;
use crate::codec::Decode;
use crate::message::decode;

/// What is called with a dead letter.
pub(super) type Hook = Box<dyn FnMut(&DeadLetter<Vec<u8>>) + Send>;

/// An item that came back too often.
///
/// ```
/// use slipring::{DeadLetter, JoinableOptions, JoinableQueue, Segment};
///
/// let segment = Segment::create()?;
/// let options = JoinableOptions::bounded(8).max_deliveries(Some(1));
/// let (mut tasks, mut worker) = JoinableQueue::<String>::with(&segment, options)?;
/// tasks.send(&"photo without pixels".to_owned())?;
/// drop(worker.recv()?); // It comes back after its only delivery.
/// tasks.join()?; // A task that was set aside counts as finished.
///
/// let letter: DeadLetter<String> = worker.take_dead_letter()?.unwrap();
/// assert_eq!((letter.message.as_str(), letter.deliveries), ("photo without pixels", 1));
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter<T> {
    /// The item.
    pub message: T,
    /// How many times it was delivered.
    pub deliveries: u32,
    /// Whether its sender marked it ([`ByteJoinableSender::send_message`](super::ByteJoinableSender::send_message)).
    pub marked: bool,
}

/// The letter with its item decoded.
///
/// # Errors
///
/// [`Error::Decode`](crate::Error::Decode).
pub(super) fn decode_letter<C: Decode<T>, T>(letter: DeadLetter<Vec<u8>>) -> Result<DeadLetter<T>> {
    let DeadLetter { message, deliveries, marked } = letter;
    Ok(DeadLetter { message: decode::<C, T>(&message)?, deliveries, marked })
}
