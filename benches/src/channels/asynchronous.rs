//! The queue of `ours`, received from by a tokio task.

use slipring::{ByteQueue, ByteReceiver, Segment};
use tokio::runtime::Runtime;

use super::ours::QueuePut;
use crate::message::read;
use crate::stream::Take;

/// Receives messages in a task, on a runtime of one thread.
pub struct AsyncTake {
    receiver: ByteReceiver,
    /// Made by whoever receives: a runtime does not survive a fork.
    runtime: Option<Runtime>,
}

/// A bounded queue of messages of `size` bytes.
///
/// # Panics
///
/// If the segment has no room.
pub fn queue(segment: &Segment, capacity: u64, size: usize) -> (QueuePut, AsyncTake) {
    let (sender, receiver) = ByteQueue::bounded(segment, capacity).expect("a queue");
    (QueuePut::new(sender, size), AsyncTake { receiver, runtime: None })
}

impl Take for AsyncTake {
    fn take(&mut self) -> u64 {
        let new = || tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = self.runtime.get_or_insert_with(|| new().expect("a runtime"));
        let message = runtime.block_on(self.receiver.recv_async()).expect("a sender lives");
        read(&message)
    }
}
