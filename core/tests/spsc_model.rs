//! Random sequences of operations on the spsc rings, each step compared with a queue that is plainly right.
#![cfg(not(loom))]

#[path = "support/memory.rs"]
mod memory;

use std::collections::VecDeque;

use memory::Memory;
use proptest::prelude::*;
use slipring_core::futex::Scope;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::spsc_records::{self, ClaimError, Records};
use slipring_core::ring::spsc_slots::{self, PushError, Slots};

const MODE: (Scope, FenceMode) = (Scope::Private, FenceMode::Symmetric);

#[derive(Clone, Debug)]
enum SlotsStep {
    Push,
    PushBatch(usize),
    Pop,
    PopBatch(usize),
    Peek,
    NewProducer,
    NewConsumer,
}

fn slots_step() -> impl Strategy<Value = SlotsStep> {
    prop_oneof![
        4 => Just(SlotsStep::Push),
        4 => Just(SlotsStep::Pop),
        2 => (0..8_usize).prop_map(SlotsStep::PushBatch),
        2 => (0..8_usize).prop_map(SlotsStep::PopBatch),
        1 => Just(SlotsStep::Peek),
        1 => Just(SlotsStep::NewProducer),
        1 => Just(SlotsStep::NewConsumer),
    ]
}

#[derive(Clone, Debug)]
enum RecordsStep {
    Send { len: usize, extra: usize },
    Abort { len: usize },
    Receive,
    ReceiveBatch { shown: usize },
    NewProducer,
    NewConsumer,
}

fn records_step() -> impl Strategy<Value = RecordsStep> {
    prop_oneof![
        6 => (0..140_usize, prop_oneof![3 => Just(0), 1 => 0..200_usize])
            .prop_map(|(len, extra)| RecordsStep::Send { len, extra }),
        1 => (0..130_usize).prop_map(|len| RecordsStep::Abort { len }),
        4 => Just(RecordsStep::Receive),
        2 => (1..5_usize).prop_map(|shown| RecordsStep::ReceiveBatch { shown }),
        1 => Just(RecordsStep::NewProducer),
        1 => Just(RecordsStep::NewConsumer),
    ]
}

/// The bytes of record `n`.
fn bytes(n: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| n ^ at as u8).collect()
}

proptest! {
    #[test]
    fn slots_are_a_bounded_queue(
        capacity in 1..6_u64,
        steps in prop::collection::vec(slots_step(), 1..200),
    ) {
        let layout = spsc_slots::Layout::<[u32; 3]>::new(capacity).unwrap();
        let memory = Memory::new(layout.bytes(), layout.align());
        // SAFETY: allocated with the layout's size and alignment, and kept to the end.
        let ring = unsafe {
            Slots::init(memory.at(), layout);
            Slots::<[u32; 3]>::attach(memory.at(), layout.bytes()).unwrap()
        };
        // SAFETY: each new handle takes the place of the one before it.
        let new_producer = || unsafe { ring.producer(MODE.0, MODE.1).unwrap() };
        // SAFETY: as above.
        let new_consumer = || unsafe { ring.consumer(MODE.0, MODE.1) };
        let (mut producer, mut consumer) = (new_producer(), new_consumer());
        let mut model = VecDeque::new();
        let mut next = 0;
        for step in steps {
            match step {
                SlotsStep::Push => {
                    let pushed = producer.try_push(&[next; 3]);
                    if model.len() as u64 == capacity {
                        prop_assert_eq!(pushed, Err(PushError::Full));
                    } else {
                        prop_assert_eq!(pushed, Ok(()));
                        model.push_back([next; 3]);
                        next += 1;
                    }
                }
                SlotsStep::PushBatch(count) => {
                    let values: Vec<_> = (0..count as u32).map(|n| [next + n; 3]).collect();
                    let pushed = producer.push_batch(&values).unwrap();
                    prop_assert_eq!(pushed, count.min(capacity as usize - model.len()));
                    model.extend(&values[..pushed]);
                    next += pushed as u32;
                }
                SlotsStep::Pop => prop_assert_eq!(consumer.try_pop(), Ok(model.pop_front())),
                SlotsStep::PopBatch(count) => {
                    let mut into = vec![[0; 3]; count];
                    let popped = consumer.pop_batch(&mut into).unwrap();
                    prop_assert_eq!(popped, count.min(model.len()));
                    prop_assert!(into[..popped].iter().copied().eq(model.drain(..popped)));
                }
                SlotsStep::Peek => prop_assert_eq!(consumer.peek(), Ok(model.front().copied())),
                SlotsStep::NewProducer => producer = new_producer(),
                SlotsStep::NewConsumer => consumer = new_consumer(),
            }
            let len = model.len() as u64;
            prop_assert_eq!((producer.len(), consumer.len()), (len, len));
            prop_assert_eq!((producer.is_full(), producer.is_empty()), (len == capacity, len == 0));
            prop_assert_eq!(consumer.is_empty(), len == 0);
        }
    }

    #[test]
    fn records_are_a_queue_of_byte_strings(
        steps in prop::collection::vec(records_step(), 1..300),
    ) {
        let layout = spsc_records::Layout::new(256).unwrap();
        let memory = Memory::new(layout.bytes(), layout.align());
        // SAFETY: allocated with the layout's size and alignment, and kept to the end.
        let ring = unsafe {
            Records::init(memory.at(), layout);
            Records::attach(memory.at(), layout.bytes()).unwrap()
        };
        // SAFETY: each new handle takes the place of the one before it.
        let new_producer = || unsafe { ring.producer(MODE.0, MODE.1).unwrap() };
        // SAFETY: as above.
        let new_consumer = || unsafe { ring.consumer(MODE.0, MODE.1).unwrap() };
        let (mut producer, mut consumer) = (new_producer(), new_consumer());
        let mut model = VecDeque::new();
        let mut next = 0_u8;
        for step in steps {
            match step {
                RecordsStep::Send { len, extra } => {
                    let fits = len <= producer.max_len() && extra <= producer.max_extra(len);
                    match producer.claim(len, extra) {
                        Ok(mut claim) => {
                            prop_assert!(fits);
                            let (head, tail) = (len / 3, len - len / 3);
                            claim.write(head, &bytes(next, len)[head..]);
                            claim.write(0, &bytes(next, len)[..len - tail]);
                            claim.commit(next);
                            model.push_back((next, bytes(next, len)));
                            next = next.wrapping_add(1);
                        }
                        Err(ClaimError::TooLong) => prop_assert!(!fits),
                        // An empty ring holds whatever is not too long.
                        Err(ClaimError::Full) => prop_assert!(fits && !model.is_empty()),
                        Err(ClaimError::Corrupt) => prop_assert!(false, "corrupt"),
                    }
                }
                RecordsStep::Abort { len } => {
                    if let Ok(mut claim) = producer.claim(len, 0) {
                        claim.write(0, &vec![0xa5; len]);
                    }
                }
                RecordsStep::Receive => {
                    let received = consumer.peek().unwrap().map(|record| {
                        let mut into = vec![0; record.len() + 3];
                        let count = record.copy_to(&mut into);
                        into.truncate(count);
                        (record.kind(), into)
                    });
                    prop_assert_eq!(received, model.pop_front());
                    consumer.release();
                }
                RecordsStep::ReceiveBatch { shown } => {
                    for n in 0..shown {
                        let record = if n == 0 { consumer.peek() } else { consumer.peek_next() };
                        let found = record.unwrap().map(|r| (r.kind(), r.len()));
                        let expected = model.pop_front().map(|(kind, bytes)| (kind, bytes.len()));
                        prop_assert_eq!(found, expected);
                    }
                    consumer.release_all();
                }
                RecordsStep::NewProducer => producer = new_producer(),
                RecordsStep::NewConsumer => consumer = new_consumer(),
            }
            prop_assert_eq!(consumer.is_empty(), model.is_empty());
            prop_assert_eq!(ring.is_empty(), model.is_empty());
            prop_assert_eq!(producer.is_empty(), model.is_empty());
            prop_assert_eq!(producer.used(), ring.used());
        }
    }
}
