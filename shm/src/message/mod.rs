//! Messages with all that came beside their bytes: what language bindings receive.
//!
//! A message of a queue has a *mark*: one bit that its sender says beside the bytes
//! ([`ByteSender::send_message`](crate::ByteSender::send_message), [`Loan::set_marked`](crate::Loan::set_marked)) and that
//! its receiver is told ([`Message::marked`]). It takes no byte of the message. A binding marks what it has encoded in a way
//! of its own, and so knows it from plain bytes, which are not marked, whoever puts them there.
//!
//! | file | what it holds |
//! |---|---|
//! | `payload.rs` | [`Loan`], [`View`]: messages in place; blocks allocated and copied |
//! | `taken.rs` | a message that was taken from a ring: its descriptor checked, its block made ours |
//! | `note.rs` | the note line of a receiving handle |
//! | `apart.rs` | received messages that a fork leaves to both processes |
//! | `codec/` | how values become bytes and values again |
//! | `encoding.rs` | values as messages: bytes of a codec, and its id |

mod apart;
pub mod codec;
mod encoding;
mod note;
pub(crate) mod payload;
pub(crate) mod taken;

pub use apart::Apart;
pub(crate) use encoding::{decode, encode, refuse};
pub(crate) use note::Note;
pub use payload::{Loan, View};
pub(crate) use taken::Taken;

use crate::{Result, Until};

/// What came with a message. Its bytes were copied to the buffer beside it, unless there is a view.
///
/// ```
/// use slipring::{ByteQueue, Segment, Until};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 4)?;
/// sender.send_message(b"mine", true, Until::NEVER)?;
/// sender.send(&[7; 100_000])?;
///
/// let (mut buffer, max_copy) = (Vec::new(), 4096);
/// let first = receiver.recv_message(&mut buffer, max_copy, Until::NEVER)?;
/// assert!(first.marked && first.view.is_none() && buffer == b"mine");
/// let second = receiver.recv_message(&mut buffer, max_copy, Until::NEVER)?;
/// assert!(!second.marked && buffer.is_empty());
/// assert_eq!(second.view.unwrap().len(), 100_000);
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct Message {
    /// Whether its sender marked it. Messages of pipes have no mark.
    pub marked: bool,
    /// The message where it lies, if it was not copied.
    pub view: Option<View>,
    /// The number of its lease, where it came from a joinable queue: end it with
    /// [`task_done`](crate::ByteJoinableReceiver::task_done).
    pub lease: Option<u64>,
}

/// Several messages that were received at once, with one buffer for those that are copied. It can be filled again and
/// again, and keeps its capacity.
///
/// ```
/// use slipring::{Batch, ByteQueue, Segment, Until};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 8)?;
/// let long = vec![7; 100_000];
/// let messages: [(&[u8], bool); 3] = [(b"raw", false), (b"mine", true), (&long, true)];
/// assert_eq!(sender.send_messages(messages, Until::NEVER)?, 3);
///
/// let mut batch = Batch::new(4096);
/// assert_eq!(receiver.recv_messages(&mut batch, 100, Until::NEVER)?, 3);
/// for (message, bytes) in batch.drain() {
///     match message.view {
///         Some(view) => assert_eq!((view.len(), message.marked), (100_000, true)),
///         None => assert!(bytes == b"raw" && !message.marked || bytes == b"mine" && message.marked),
///     }
/// }
/// assert!(batch.is_empty());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct Batch {
    max_copy: usize,
    bytes: Vec<u8>,
    /// Each with the end of its bytes.
    messages: Vec<(Message, usize)>,
}

impl Batch {
    /// An empty one, for messages of which those of at most `max_copy` bytes are copied.
    pub fn new(max_copy: usize) -> Self {
        Self { max_copy, bytes: Vec::new(), messages: Vec::new() }
    }

    /// How many messages are in it.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Takes all messages out, in order, each with its bytes: none where it has a view. Those that are not taken are
    /// dropped when the iterator is.
    pub fn drain(&mut self) -> impl Iterator<Item = (Message, &[u8])> {
        let (bytes, mut start) = (&self.bytes, 0);
        self.messages.drain(..).map(move |(message, end)| {
            let range = start..end;
            start = end;
            (message, &bytes[range])
        })
    }

    /// Drops the messages that are in it. Leases among them live on: see [`ByteLease::into_id`](crate::ByteLease::into_id).
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.messages.clear();
    }

    /// Replaces what is in it by up to `max` messages, of which only the first is waited for. `take` has a deadline, the
    /// longest message that it copies, and where it appends the bytes of that. Returns how many there were.
    pub(crate) fn fill(
        &mut self,
        max: usize,
        mut until: Until,
        mut take: impl FnMut(Until, usize, &mut Vec<u8>) -> Result<Message>,
    ) -> Result<usize> {
        self.clear();
        while self.len() < max {
            match take(until, self.max_copy, &mut self.bytes) {
                Ok(message) => self.messages.push((message, self.bytes.len())),
                Err(error) if self.is_empty() => return Err(error),
                Err(_) => break,
            }
            until = Until::NOW;
        }
        Ok(self.len())
    }
}
