//! Every interleaving of one producer and one consumer on a ring of the smallest size.

use crate::memory::Memory;
use crate::waiter::Patient;
use loom::sync::{Arc, Mutex};
use loom::thread;
use slipring_core::futex::Scope;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::spsc_records::{ClaimError, Consumer, Layout, Producer, Records};

const MODE: (Scope, FenceMode) = (Scope::Private, FenceMode::Asymmetric);
const SIZE: usize = 256;

fn ring() -> (Arc<Memory>, Records) {
    let layout = Layout::new(SIZE).unwrap();
    let memory = Arc::new(Memory::new(layout.bytes(), layout.align()));
    // SAFETY: allocated with the layout's size and alignment; each thread keeps it while it uses the ring.
    let ring = unsafe {
        Records::init(memory.at(), layout);
        Records::attach(memory.at(), layout.bytes()).unwrap()
    };
    (memory, ring)
}

fn producer(ring: &Records) -> Producer {
    // SAFETY: one works at a time in each model.
    unsafe { ring.producer(MODE.0, MODE.1).unwrap() }
}

fn consumer(ring: &Records) -> Consumer {
    // SAFETY: one works at a time in each model.
    unsafe { ring.consumer(MODE.0, MODE.1).unwrap() }
}

/// A record of kind `n` and 8 bytes that say so; `extra` lets few records fill the ring.
fn send(producer: &mut Producer, n: u8, extra: usize) -> Result<(), ClaimError> {
    let mut claim = producer.claim(8, extra)?;
    claim.write(0, &[n; 8]);
    claim.commit(n);
    Ok(())
}

/// The next record, if there is one, and its first 8 bytes; loom's cells report bytes that are written while they are read.
fn receive(consumer: &mut Consumer) -> Option<u8> {
    let kind = consumer.peek().unwrap().map(|record| {
        let mut bytes = [0xff; 8];
        assert_eq!(record.copy_to(&mut bytes), 8);
        assert_eq!(bytes, [record.kind(); 8]);
        record.kind()
    });
    consumer.release();
    kind
}

fn send_blocking(producer: &mut Producer, n: u8, extra: usize) {
    producer.wait_for_room(8, extra, &mut Patient::new()).unwrap();
    send(producer, n, extra).unwrap();
}

fn receive_blocking(consumer: &mut Consumer) -> u8 {
    consumer.wait_for_record(&mut Patient::new()).unwrap();
    receive(consumer).unwrap()
}

#[test]
fn both_sides_sleep_and_nothing_is_lost() {
    loom::model(|| {
        // Each record takes 216 of 256 bytes: the ring holds one. The second starts at 216, its extra wraps.
        let (memory, ring) = ring();
        let sender = {
            let (memory, mut producer) = (memory.clone(), producer(&ring));
            thread::spawn(move || {
                (0..2).for_each(|n| send_blocking(&mut producer, n, 200));
                drop(memory);
            })
        };
        let mut consumer = consumer(&ring);
        (0..2).for_each(|n| assert_eq!(receive_blocking(&mut consumer), n));
        sender.join().unwrap();
        assert_eq!(receive(&mut consumer), None);
    });
}

#[test]
fn a_record_behind_padding_is_seen_whole_or_not_at_all() {
    loom::model(|| {
        let (memory, ring) = ring();
        let (mut producer, mut consumer) = (producer(&ring), consumer(&ring));
        // 16 + 232 bytes: the next record, at 248, has to go round the end.
        send(&mut producer, 0, 232).unwrap_err();
        send(&mut producer, 0, 224).unwrap();
        assert_eq!(receive(&mut consumer), Some(0));
        producer.claim(0, 0).unwrap().commit(1);
        assert_eq!(consumer.peek().unwrap().map(|r| (r.kind(), r.len())), Some((1, 0)));
        consumer.release();
        let sender = {
            let memory = memory.clone();
            thread::spawn(move || {
                send(&mut producer, 2, 0).unwrap();
                send(&mut producer, 3, 0).unwrap();
                drop(memory);
            })
        };
        // Legal in the meantime: nothing, the first, both; each whole.
        let mut next = 2;
        for _ in 0..2 {
            if let Some(kind) = receive(&mut consumer) {
                assert_eq!(kind, next);
                next += 1;
            }
        }
        sender.join().unwrap();
        while let Some(kind) = receive(&mut consumer) {
            assert_eq!(kind, next);
            next += 1;
        }
        assert_eq!(next, 4);
    });
}

#[test]
fn released_bytes_are_written_again_only_when_the_reader_is_done() {
    loom::model(|| {
        let (memory, ring) = ring();
        let sender = {
            let (memory, mut producer) = (memory.clone(), producer(&ring));
            thread::spawn(move || {
                send(&mut producer, 0, 104).unwrap();
                send(&mut producer, 1, 104).unwrap();
                // Padding at index 240, then over the first record's bytes. Legal: sent if those were released, full if
                // not.
                let third = producer.claim(16, 0).map(|mut claim| {
                    claim.write(0, &[2; 16]);
                    claim.commit(2);
                });
                assert!(matches!(third, Ok(()) | Err(ClaimError::Full)));
                drop(memory);
                2 + u8::from(third.is_ok())
            })
        };
        let (mut consumer, mut next) = (consumer(&ring), 0);
        if let Some(kind) = receive(&mut consumer) {
            assert_eq!(kind, 0);
            next += 1;
            let two = [consumer.peek().unwrap(), consumer.peek_next().unwrap()];
            for record in two.into_iter().flatten() {
                assert_eq!(record.kind(), next);
                next += 1;
            }
            consumer.release_all();
        }
        let sent = sender.join().unwrap();
        while let Some(kind) = receive(&mut consumer) {
            assert_eq!(kind, next);
            next += 1;
        }
        assert_eq!(next, sent);
    });
}

#[test]
fn two_producers_take_turns_under_a_lock() {
    loom::model(|| {
        let (memory, ring) = ring();
        let turn = Arc::new(Mutex::new(()));
        let commit = |producer: &mut Producer, turn: &Mutex<()>, n| {
            let _turn = turn.lock().unwrap();
            producer.resume().unwrap();
            send(producer, n, 0).unwrap();
        };
        let (mut mine, mut theirs) = (producer(&ring), producer(&ring));
        let other = {
            let (memory, turn) = (memory.clone(), turn.clone());
            thread::spawn(move || {
                commit(&mut theirs, &turn, 1);
                drop(memory);
            })
        };
        commit(&mut mine, &turn, 2);
        let mut consumer = consumer(&ring);
        let first = receive(&mut consumer).unwrap();
        other.join().unwrap();
        let second = receive(&mut consumer);
        assert_eq!((first + second.unwrap(), receive(&mut consumer)), (3, None));
    });
}
