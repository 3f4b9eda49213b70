//! rtrb, crossbeam's `ArrayQueue` and crossbeam-channel, between threads: their rings lie on the heap of one process.
//!
//! Up to 1 KiB a message is a value that is copied into the ring and out of it. A longer one is a vector that is
//! allocated, filled, handed over, read in place and freed: what a program does that owns no pool.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};
use crossbeam_queue::ArrayQueue;
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use slipring_benches::cpu::Patience;
use slipring_benches::message::{Value, stamp};
use slipring_benches::stream::{Put, Take};

use super::{Wait, read_all};
use crate::exchange::{Site, Timing, answerer, asker, one_way, round_trips};
use crate::scenario::Scenario;

/// A channel for messages of any type.
pub trait Rival {
    /// The end that messages go into.
    type In<M: Send>: Send;
    /// The end that they come out of.
    type Out<M: Send>: Send;

    /// A channel for `capacity` messages.
    fn channel<M: Send>(capacity: usize) -> (Self::In<M>, Self::Out<M>);

    /// Puts one in; gives it back where there is no room and the channel cannot wait as it should.
    fn push<M: Send>(end: &mut Self::In<M>, message: M, wait: Wait) -> Result<(), M>;

    /// Takes one out; none where there is none and the channel cannot wait as it should.
    fn pop<M: Send>(end: &mut Self::Out<M>, wait: Wait) -> Option<M>;
}

/// One sample of a rival.
pub fn sample<R: Rival>(scenario: Scenario, count: u64) -> Timing {
    match scenario.bytes() {
        8 => sample_of::<R, [u64; 1]>(scenario, count),
        64 => sample_of::<R, [u64; 8]>(scenario, count),
        1024 => sample_of::<R, [u64; 128]>(scenario, count),
        _ => sample_of::<R, Vec<u8>>(scenario, count),
    }
}

fn sample_of<R: Rival, M: Message>(scenario: Scenario, count: u64) -> Timing {
    let wait = match scenario {
        Scenario::OneWay(_) => Wait::Patient,
        Scenario::Spinning => Wait::Spin,
        Scenario::Blocking => Wait::Block,
    };
    let channel = || {
        let (entry, exit) = R::channel::<M>(scenario.capacity());
        let original = vec![0; scenario.bytes()];
        (Feed::<R, M> { entry, original, wait }, Drain::<R, M> { exit, wait })
    };
    let (put, take) = channel();
    if !scenario.is_round_trip() {
        return one_way(Site::Threads, scenario.amount(count), || put, || take);
    }
    let (put_back, take_back) = channel();
    let ask = || asker(put, take_back);
    round_trips(Site::Threads, count, ask, || answerer(take, put_back))
}

/// What these channels carry.
trait Message: Send {
    /// The message with this number; `original` is memory that its bytes may come from.
    fn make(original: &mut [u8], number: u64) -> Self;

    /// Its number. All of the message was read.
    fn number(&self) -> u64;
}

impl<const W: usize> Message for [u64; W] {
    #[inline]
    fn make(_original: &mut [u8], number: u64) -> Self {
        Self::of(number)
    }

    #[inline]
    fn number(&self) -> u64 {
        Value::number(self)
    }
}

impl Message for Vec<u8> {
    #[inline]
    fn make(original: &mut [u8], number: u64) -> Self {
        stamp(original, number);
        original.to_vec()
    }

    #[inline]
    fn number(&self) -> u64 {
        read_all(self)
    }
}

struct Feed<R: Rival, M: Send> {
    entry: R::In<M>,
    original: Vec<u8>,
    wait: Wait,
}

struct Drain<R: Rival, M: Send> {
    exit: R::Out<M>,
    wait: Wait,
}

impl<R: Rival, M: Message> Put for Feed<R, M> {
    #[inline]
    fn put(&mut self, number: u64) {
        let mut message = M::make(&mut self.original, number);
        let mut patience = Patience::default();
        while let Err(back) = R::push(&mut self.entry, message, self.wait) {
            message = back;
            pause(self.wait, &mut patience);
        }
    }
}

impl<R: Rival, M: Message> Take for Drain<R, M> {
    #[inline]
    fn take(&mut self) -> u64 {
        let mut patience = Patience::default();
        loop {
            match R::pop(&mut self.exit, self.wait) {
                Some(message) => return message.number(),
                None => pause(self.wait, &mut patience),
            }
        }
    }
}

#[inline]
fn pause(wait: Wait, patience: &mut Patience) {
    if wait == Wait::Patient {
        patience.wait();
    }
}

/// rtrb: one to one.
pub struct Rtrb;

impl Rival for Rtrb {
    type In<M: Send> = Producer<M>;
    type Out<M: Send> = Consumer<M>;

    fn channel<M: Send>(capacity: usize) -> (Producer<M>, Consumer<M>) {
        RingBuffer::new(capacity)
    }

    #[inline]
    fn push<M: Send>(end: &mut Producer<M>, message: M, _wait: Wait) -> Result<(), M> {
        end.push(message).map_err(|PushError::Full(message)| message)
    }

    #[inline]
    fn pop<M: Send>(end: &mut Consumer<M>, _wait: Wait) -> Option<M> {
        end.pop().ok()
    }
}

/// crossbeam's `ArrayQueue`: many to many.
pub struct Array;

impl Rival for Array {
    type In<M: Send> = Arc<ArrayQueue<M>>;
    type Out<M: Send> = Arc<ArrayQueue<M>>;

    fn channel<M: Send>(capacity: usize) -> (Self::In<M>, Self::Out<M>) {
        let queue = Arc::new(ArrayQueue::new(capacity));
        (queue.clone(), queue)
    }

    #[inline]
    fn push<M: Send>(end: &mut Self::In<M>, message: M, _wait: Wait) -> Result<(), M> {
        ArrayQueue::push(end, message)
    }

    #[inline]
    fn pop<M: Send>(end: &mut Self::Out<M>, _wait: Wait) -> Option<M> {
        ArrayQueue::pop(end)
    }
}

/// crossbeam-channel, bounded: many to many. It waits by its own rules in streams too.
pub struct Channel;

impl Rival for Channel {
    type In<M: Send> = Sender<M>;
    type Out<M: Send> = Receiver<M>;

    fn channel<M: Send>(capacity: usize) -> (Sender<M>, Receiver<M>) {
        crossbeam_channel::bounded(capacity)
    }

    #[inline]
    fn push<M: Send>(end: &mut Sender<M>, message: M, wait: Wait) -> Result<(), M> {
        if wait != Wait::Spin {
            end.send(message).expect("the receiver lives");
            return Ok(());
        }
        end.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) => message,
            TrySendError::Disconnected(_) => panic!("the receiver lives"),
        })
    }

    #[inline]
    fn pop<M: Send>(end: &mut Receiver<M>, wait: Wait) -> Option<M> {
        if wait != Wait::Spin {
            return Some(end.recv().expect("the sender lives"));
        }
        match end.try_recv() {
            Ok(message) => Some(message),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the sender lives"),
        }
    }
}
