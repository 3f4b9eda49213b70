//! Every interleaving of one producer and one consumer on a ring of one to three slots.

use crate::memory::Memory;
use crate::waiter::Patient;
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::Scope;
use slipring_core::primitive::{FenceMode, spin_hint};
use slipring_core::ring::spsc_slots::{Consumer, Layout, Producer, PushError, Slots};

const MODE: (Scope, FenceMode) = (Scope::Private, FenceMode::Asymmetric);

fn ring(capacity: u64) -> (Arc<Memory>, Slots<u64>) {
    let layout = Layout::<u64>::new(capacity).unwrap();
    let memory = Arc::new(Memory::new(layout.bytes(), layout.align()));
    // SAFETY: allocated with the layout's size and alignment; each thread keeps it while it uses the ring.
    let ring = unsafe {
        Slots::init(memory.at(), layout);
        Slots::attach(memory.at(), layout.bytes()).unwrap()
    };
    (memory, ring)
}

fn producer(ring: &Slots<u64>) -> Producer<u64> {
    // SAFETY: one at a time in each model.
    unsafe { ring.producer(MODE.0, MODE.1).unwrap() }
}

fn consumer(ring: &Slots<u64>) -> Consumer<u64> {
    // SAFETY: one at a time in each model.
    unsafe { ring.consumer(MODE.0, MODE.1) }
}

/// All that the sender has sent is there, from the message `next` on.
fn take_rest(consumer: &mut Consumer<u64>, mut next: u64, sent: u64) {
    while let Some(n) = consumer.try_pop().unwrap() {
        assert_eq!(n, next);
        next += 1;
    }
    assert_eq!(next, sent);
}

/// `count` messages through `capacity` slots, both sides sleeping when they must. loom's cells report a value that is
/// written while it is read; a lost wake-up is a deadlock.
fn blocking(capacity: u64, count: u64) {
    loom::model(move || {
        let (memory, ring) = ring(capacity);
        let sender = {
            let (memory, mut producer) = (memory.clone(), producer(&ring));
            thread::spawn(move || {
                (0..count).for_each(|n| producer.push(&n, &mut Patient::new()).unwrap());
                drop(memory);
            })
        };
        let mut consumer = consumer(&ring);
        (0..count).for_each(|n| assert_eq!(consumer.pop(&mut Patient::new()), Ok(n)));
        sender.join().unwrap();
        assert_eq!(consumer.try_pop(), Ok(None));
    });
}

#[test]
fn both_sides_sleep_and_nothing_is_lost_in_one_slot() {
    blocking(1, 2);
}

#[test]
fn both_sides_sleep_and_nothing_is_lost_in_two_slots() {
    blocking(2, 3);
}

#[test]
fn a_consumer_sees_a_prefix_in_order_and_a_full_ring_is_full() {
    loom::model(|| {
        let (memory, ring) = ring(3);
        let sender = {
            let (memory, mut producer) = (memory.clone(), producer(&ring));
            thread::spawn(move || {
                (0..3).for_each(|n| producer.try_push(&n).unwrap());
                // Legal: pushed, if the consumer gave a slot back in time; full, if not.
                let fourth = producer.try_push(&3);
                assert!(matches!(fourth, Ok(()) | Err(PushError::Full)));
                drop(memory);
                3 + u64::from(fourth.is_ok())
            })
        };
        let mut consumer = consumer(&ring);
        let mut next = 0;
        for _ in 0..2 {
            if let Some(n) = consumer.try_pop().unwrap() {
                assert_eq!(n, next);
                next += 1;
            }
        }
        take_rest(&mut consumer, next, sender.join().unwrap());
    });
}

#[test]
fn batches_pass_whole_and_in_order() {
    loom::model(|| {
        let (memory, ring) = ring(2);
        let sender = {
            let (memory, mut producer) = (memory.clone(), producer(&ring));
            thread::spawn(move || {
                assert_eq!(producer.push_batch(&[0, 1]), Ok(2));
                let sent = producer.push_batch(&[2, 3]).unwrap();
                drop(memory);
                2 + sent as u64
            })
        };
        let (mut consumer, mut next, mut into) = (consumer(&ring), 0, [0; 2]);
        while next < 2 {
            let count = consumer.pop_batch(&mut into).unwrap();
            for n in &into[..count] {
                assert_eq!(*n, next);
                next += 1;
            }
            if count == 0 {
                spin_hint();
            }
        }
        take_rest(&mut consumer, next, sender.join().unwrap());
    });
}

#[test]
fn a_new_producer_takes_over_while_the_consumer_goes_on() {
    loom::model(|| {
        let (memory, ring) = ring(2);
        let receiver = {
            let (memory, mut consumer) = (memory.clone(), consumer(&ring));
            thread::spawn(move || {
                (0..3).for_each(|n| assert_eq!(consumer.pop(&mut Patient::new()), Ok(n)));
                drop(memory);
            })
        };
        assert_eq!(producer(&ring).push_batch(&[0, 1]), Ok(2));
        let mut heir = producer(&ring);
        heir.push(&2, &mut Patient::new()).unwrap();
        receiver.join().unwrap();
    });
}
