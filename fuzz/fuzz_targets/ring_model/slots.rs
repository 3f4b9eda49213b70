//! `ring::spsc_slots` against a `VecDeque`; a new producer or consumer takes over where the last one was.

use std::collections::VecDeque;
use std::fmt::Debug;

use arbitrary::Arbitrary;
use bytemuck::Pod;
use slipring_core::futex::Scope;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::spsc_slots::{Consumer, Layout, Producer, PushError, Slots};

use crate::memory::Memory;
use crate::ops::Ops;

const SCOPE: Scope = Scope::Private;
const MODE: FenceMode = FenceMode::Symmetric;

#[derive(Arbitrary, Debug)]
pub struct Input {
    capacity: u8,
    width: Width,
    ops: Ops<Op>,
}

/// The type of the values: within the cache line of the sequence word, filling it, beyond it.
#[derive(Arbitrary, Debug)]
enum Width {
    Byte,
    Line,
    Wide,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Push,
    PushBatch(u8),
    Pop,
    PopBatch(u8),
    Peek,
    NewProducer,
    NewConsumer,
    Attach,
}

struct Rig<T> {
    ring: Slots<T>,
    producer: Producer<T>,
    consumer: Consumer<T>,
    model: VecDeque<T>,
    /// How many values were made.
    made: u64,
    value: fn(u64) -> T,
}

pub fn run(input: Input) {
    let capacity = u64::from(input.capacity % 9) + 1;
    match input.width {
        Width::Byte => with_values::<u8>(capacity, input.ops, |n| n as u8),
        Width::Line => with_values::<[u64; 7]>(capacity, input.ops, |n| [n; 7]),
        Width::Wide => with_values::<[u32; 15]>(capacity, input.ops, |n| [n as u32; 15]),
    }
}

fn with_values<T: Pod + PartialEq + Debug>(capacity: u64, ops: Ops<Op>, value: fn(u64) -> T) {
    let layout = Layout::<T>::new(capacity).unwrap();
    let memory = Memory::new(layout.bytes(), layout.align());
    // SAFETY: fresh memory of the layout's size and alignment, which outlives ring and handles; there is one producer
    // and one consumer at a time, in one thread.
    let (ring, producer, consumer) = unsafe {
        Slots::init(memory.at(), layout);
        let ring = Slots::<T>::attach(memory.at(), layout.bytes()).unwrap();
        (ring, ring.producer(SCOPE, MODE).unwrap(), ring.consumer(SCOPE, MODE))
    };
    let mut rig = Rig { ring, producer, consumer, model: VecDeque::new(), made: 0, value };
    for op in ops.0 {
        match op {
            Op::Push => rig.push(),
            Op::PushBatch(count) => rig.push_batch(usize::from(count % 12)),
            Op::Pop => assert_eq!(rig.consumer.try_pop(), Ok(rig.model.pop_front())),
            Op::PopBatch(count) => rig.pop_batch(usize::from(count % 12)),
            Op::Peek => assert_eq!(rig.consumer.peek(), Ok(rig.model.front().copied())),
            Op::NewProducer => {
                // SAFETY: the last producer is not used again.
                rig.producer = unsafe { rig.ring.producer(SCOPE, MODE) }.unwrap();
            }
            // SAFETY: the last consumer is not used again.
            Op::NewConsumer => rig.consumer = unsafe { rig.ring.consumer(SCOPE, MODE) },
            // SAFETY: the ring was made there, in so many bytes, and outlives the view.
            Op::Attach => rig.ring = unsafe { Slots::attach(memory.at(), layout.bytes()) }.unwrap(),
        }
        rig.check();
    }
}

impl<T: Pod + PartialEq + Debug> Rig<T> {
    fn next(&mut self) -> T {
        self.made += 1;
        (self.value)(self.made)
    }

    fn room(&self) -> usize {
        self.ring.capacity() as usize - self.model.len()
    }

    fn push(&mut self) {
        let value = self.next();
        if self.room() == 0 {
            assert_eq!(self.producer.try_push(&value), Err(PushError::Full));
        } else {
            assert_eq!(self.producer.try_push(&value), Ok(()));
            self.model.push_back(value);
        }
    }

    fn push_batch(&mut self, count: usize) {
        let values: Vec<T> = (0..count).map(|_| self.next()).collect();
        let fits = self.room().min(count);
        assert_eq!(self.producer.push_batch(&values), Ok(fits));
        self.model.extend(&values[..fits]);
    }

    fn pop_batch(&mut self, count: usize) {
        let mut values = vec![T::zeroed(); count];
        let there = self.model.len().min(count);
        assert_eq!(self.consumer.pop_batch(&mut values), Ok(there));
        assert!(self.model.drain(..there).eq(values.into_iter().take(there)));
    }

    fn check(&self) {
        let (len, capacity) = (self.model.len() as u64, self.ring.capacity());
        assert_eq!((self.producer.len(), self.consumer.len()), (len, len));
        assert_eq!((self.producer.capacity(), self.consumer.capacity()), (capacity, capacity));
        assert_eq!((self.producer.is_empty(), self.consumer.is_empty()), (len == 0, len == 0));
        assert_eq!(self.producer.is_full(), len == capacity);
    }
}
