//! Slot rings, queues and pipes of `slipring`: they block.

use slipring::{
    ByteQueue, ByteReceiver, ByteSender, Pipe, PipeReader, PipeWriter, Segment, SegmentOptions,
    SlotReceiver, SlotSender, Slots, SpinPolicy, Until,
};

use crate::message::{Value, read, stamp};
use crate::stream::{Put, Take};

/// A segment whose handles spin like this.
pub fn segment(spin: SpinPolicy) -> Segment {
    let segment = Segment::with(SegmentOptions::new().reserve(8 << 30)).expect("a segment");
    segment.set_spin(spin);
    segment
}

/// Sends values of `W` words.
pub struct SlotPut<const W: usize>(SlotSender<[u64; W]>);
/// Receives them.
pub struct SlotTake<const W: usize>(SlotReceiver<[u64; W]>);

/// A slot ring, one to one.
pub fn slots<const W: usize>(segment: &Segment, capacity: u64) -> (SlotPut<W>, SlotTake<W>) {
    let (sender, receiver) = Slots::new(segment, capacity).expect("a slot ring");
    (SlotPut(sender), SlotTake(receiver))
}

impl<const W: usize> Put for SlotPut<W> {
    #[inline]
    fn put(&mut self, number: u64) {
        self.0.send(&<[u64; W]>::of(number)).expect("the receiver lives");
    }
}

impl<const W: usize> Take for SlotTake<W> {
    #[inline]
    fn take(&mut self) -> u64 {
        self.0.recv().expect("the sender lives").number()
    }
}

/// Sends messages of one size to a queue.
pub struct QueuePut {
    sender: ByteSender,
    message: Vec<u8>,
}

/// Receives them, each into the same buffer.
pub struct QueueTake {
    receiver: ByteReceiver,
    message: Vec<u8>,
}

impl QueuePut {
    /// Sends messages of `size` bytes.
    pub fn new(sender: ByteSender, size: usize) -> Self {
        Self { sender, message: vec![0; size] }
    }
}

/// A bounded queue of messages of `size` bytes.
pub fn queue(segment: &Segment, capacity: u64, size: usize) -> (QueuePut, QueueTake) {
    let (sender, receiver) = ByteQueue::bounded(segment, capacity).expect("a queue");
    (QueuePut::new(sender, size), QueueTake { receiver, message: vec![0; size] })
}

impl Put for QueuePut {
    #[inline]
    fn put(&mut self, number: u64) {
        stamp(&mut self.message, number);
        self.sender.send(&self.message).expect("a receiver lives");
    }
}

impl Take for QueueTake {
    #[inline]
    fn take(&mut self) -> u64 {
        self.receiver.recv_into(&mut self.message, Until::NEVER).expect("a sender lives");
        read(&self.message)
    }
}

/// Sends messages of one size through a pipe.
pub struct PipePut {
    writer: PipeWriter,
    message: Vec<u8>,
}

/// Receives them, each into the same buffer.
pub struct PipeTake {
    reader: PipeReader,
    message: Vec<u8>,
}

/// A one-way pipe for messages of `size` bytes.
pub fn pipe(segment: &Segment, size: usize) -> (PipePut, PipeTake) {
    let (reader, writer) = Pipe::one_way(segment).expect("a pipe");
    let message = vec![0; size];
    (PipePut { writer, message: message.clone() }, PipeTake { reader, message })
}

impl Put for PipePut {
    #[inline]
    fn put(&mut self, number: u64) {
        stamp(&mut self.message, number);
        self.writer.send(&self.message).expect("the reader lives");
    }
}

impl Take for PipeTake {
    #[inline]
    fn take(&mut self) -> u64 {
        self.reader.recv_into(&mut self.message, Until::NEVER).expect("the writer lives");
        read(&self.message)
    }
}
