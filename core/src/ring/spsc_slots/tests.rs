//! Unit tests: half-done states are built by hand.

use super::layout::{Header, Slot};
use super::*;
use crate::ring::memory::Memory;
use std::vec::Vec;

const MODE: (Scope, FenceMode) = (Scope::Private, FenceMode::Symmetric);

fn ring<T: Pod>(capacity: u64) -> (Memory, Slots<T>) {
    let layout = Layout::<T>::new(capacity).unwrap();
    let memory = Memory::new(layout.bytes(), layout.align());
    // SAFETY: allocated with the layout's size and alignment; the test keeps it while it uses the ring.
    let ring = unsafe {
        Slots::init(memory.at(), layout);
        Slots::attach(memory.at(), layout.bytes()).unwrap()
    };
    (memory, ring)
}

fn producer<T: Pod>(ring: &Slots<T>) -> Result<Producer<T>, Corrupt> {
    // SAFETY: each test lets go of the last producer before it asks for the next.
    unsafe { ring.producer(MODE.0, MODE.1) }
}

fn consumer<T: Pod>(ring: &Slots<T>) -> Consumer<T> {
    // SAFETY: each test lets go of the last consumer before it asks for the next.
    unsafe { ring.consumer(MODE.0, MODE.1) }
}

fn drain(consumer: &mut Consumer<u64>) -> Vec<u64> {
    core::iter::from_fn(|| consumer.try_pop().unwrap()).collect()
}

#[test]
fn a_message_of_up_to_56_bytes_takes_one_cache_line() {
    assert_eq!(size_of::<Slot<u8>>(), 64);
    assert_eq!(size_of::<Slot<[u64; 7]>>(), 64);
    assert_eq!(size_of::<Slot<[u64; 8]>>(), 128);
    assert_eq!(size_of::<Header>(), 512);
}

#[test]
fn every_capacity_is_exact_for_many_laps() {
    for capacity in 1..=5 {
        let (_memory, ring) = ring::<u64>(capacity);
        let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring));
        let mut next = 0;
        for lap in 0..4 {
            for fill in 0..capacity {
                assert_eq!((producer.len(), consumer.len()), (fill, fill));
                producer.try_push(&next).unwrap();
                next += 1;
            }
            assert!(producer.is_full() && !consumer.is_empty());
            assert_eq!(producer.try_push(&99), Err(PushError::Full));
            assert_eq!(consumer.peek(), Ok(Some(lap * capacity)));
            let expected: Vec<_> = (lap * capacity..next).collect();
            assert_eq!(drain(&mut consumer), expected);
            assert!(consumer.is_empty() && producer.is_empty());
        }
    }
}

#[test]
fn batches_stop_at_full_and_at_empty() {
    let (_memory, ring) = ring::<u64>(3);
    let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring));
    let mut out = [0; 5];
    assert_eq!(producer.push_batch(&[1, 2]), Ok(2));
    assert_eq!(producer.push_batch(&[3, 4]), Ok(1));
    assert_eq!(producer.push_batch(&[4]), Ok(0));
    assert_eq!(consumer.pop_batch(&mut out[..2]), Ok(2));
    assert_eq!(producer.push_batch(&[4, 5, 6]), Ok(2));
    assert_eq!(consumer.pop_batch(&mut out), Ok(3));
    assert_eq!(out[..3], [3, 4, 5]);
    assert_eq!(consumer.pop_batch(&mut out), Ok(0));
}

#[test]
fn a_value_that_was_written_and_not_published_is_not_there_and_is_written_again() {
    for before in 0..3 {
        let (_memory, ring) = ring::<u64>(3);
        let mut dead = producer(&ring).unwrap();
        (0..before).for_each(|n| dead.try_push(&n).unwrap());
        dead.write(dead.tail, &77); // killed at spsc_slots.push.value_written
        let mut heir = producer(&ring).unwrap();
        let mut consumer = consumer(&ring);
        assert_eq!(consumer.len(), before);
        heir.try_push(&before).unwrap();
        assert_eq!(drain(&mut consumer), (0..=before).collect::<Vec<_>>());
    }
}

#[test]
fn a_new_producer_finds_the_tail_wherever_the_last_one_died() {
    for capacity in 1..=3 {
        for consumed in 0..3 * capacity {
            for pending in 0..=capacity {
                let (_memory, ring) = ring::<u64>(capacity);
                let (mut dead, mut consumer) = (producer(&ring).unwrap(), consumer(&ring));
                for n in 0..consumed {
                    dead.try_push(&n).unwrap();
                    assert_eq!(consumer.try_pop(), Ok(Some(n)));
                }
                (0..pending).for_each(|n| dead.try_push(&(consumed + n)).unwrap());
                let mut heir = producer(&ring).unwrap();
                assert_eq!(heir.tail, dead.tail);
                assert_eq!(heir.len(), pending);
                let room = heir.push_batch(&[consumed + pending; 3]).unwrap() as u64;
                assert_eq!(room, 3.min(capacity - pending));
            }
        }
    }
}

#[test]
fn a_batch_that_was_cut_short_leaves_its_first_part() {
    let (_memory, ring) = ring::<u64>(3);
    let dead = producer(&ring).unwrap();
    for ahead in 0..3 {
        dead.write(dead.tail.ahead(ahead, 3), &ahead);
    }
    dead.publish(dead.tail);
    dead.publish(dead.tail.ahead(1, 3)); // killed at spsc_slots.push_batch.one_published
    let mut heir = producer(&ring).unwrap();
    heir.try_push(&20).unwrap();
    assert_eq!(drain(&mut consumer(&ring)), [0, 1, 20]);
}

#[test]
fn a_message_that_a_dead_consumer_had_only_copied_is_delivered_again() {
    let (_memory, ring) = ring::<u64>(2);
    let mut producer = producer(&ring).unwrap();
    assert_eq!(producer.push_batch(&[1, 2]), Ok(2));
    let dead = consumer(&ring);
    assert_eq!(dead.read(dead.head), 1); // killed at spsc_slots.pop.copied
    assert_eq!(producer.try_push(&3), Err(PushError::Full));
    assert_eq!(drain(&mut consumer(&ring)), [1, 2]);
}

#[test]
fn a_scribbled_sequence_word_is_an_error_and_no_loop() {
    for word in [2, 3, u64::MAX, 1 << 63] {
        let (_memory, ring) = ring::<u64>(3);
        ring.slot(0).sequence.store(word, Ordering::Relaxed);
        let mut consumer = consumer(&ring);
        assert_eq!(consumer.try_pop(), Err(Corrupt));
        assert_eq!(consumer.peek(), Err(Corrupt));
        assert_eq!(consumer.pop_batch(&mut [0; 3]), Err(Corrupt));
        assert!(!consumer.is_empty());
        assert_eq!(producer(&ring).err(), Some(Corrupt));
    }
}

#[test]
fn an_impossible_head_is_an_error_and_no_overwrite() {
    let (_memory, ring) = ring::<u64>(2);
    let mut producer_1 = producer(&ring).unwrap();
    assert_eq!(producer_1.push_batch(&[1, 2]), Ok(2));
    for head in [3, 4, u64::MAX, u64::MAX - 1] {
        ring.header().head.store(head, Ordering::Relaxed);
        assert_eq!(producer_1.try_push(&3), Err(PushError::Corrupt), "{head}");
        assert_eq!(producer_1.push_batch(&[3]), Err(Corrupt));
        assert_eq!(producer_1.len(), 2);
    }
    ring.header().head.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(producer(&ring).err(), Some(Corrupt));
    assert_eq!(consumer(&ring).try_pop(), Err(Corrupt));
}

#[test]
fn attaching_says_what_does_not_fit() {
    let (memory, ring) = ring::<u64>(3);
    let bytes = Layout::<u64>::new(3).unwrap().bytes();
    // SAFETY: the memory outlives the calls and nothing is pushed or popped.
    unsafe {
        let size = AttachError::TypeSize { ours: 4, theirs: 8 };
        assert_eq!(Slots::<u32>::attach(memory.at(), bytes).err(), Some(size));
        let align = AttachError::TypeAlign { ours: 1, theirs: 8 };
        assert_eq!(Slots::<[u8; 8]>::attach(memory.at(), bytes).err(), Some(align));
        for available in [0, 100, 511, 512, bytes - 1] {
            let error = Slots::<u64>::attach(memory.at(), available).err();
            assert!(matches!(error, Some(AttachError::Truncated { .. })), "{available}");
        }
        let odd = memory.at().add(8);
        assert_eq!(Slots::<u64>::attach(odd, bytes - 8).err(), Some(AttachError::Misaligned));
        for capacity in [0, u64::MAX, u64::MAX / 64] {
            ring.header().geometry.capacity.store(capacity, Ordering::Relaxed);
            let error = Slots::<u64>::attach(memory.at(), bytes).err();
            assert_eq!(error, Some(AttachError::Capacity(capacity)));
        }
        ring.header().geometry.capacity.store(4, Ordering::Relaxed);
        let error = Slots::<u64>::attach(memory.at(), bytes).err();
        assert!(matches!(error, Some(AttachError::Truncated { .. })));
    }
    assert_eq!(Layout::<u64>::new(0).err(), Some(CapacityError::Zero));
    assert_eq!(Layout::<u64>::new(1 << 60).err(), Some(CapacityError::TooLarge));
}

#[test]
fn handles_move_between_threads_and_the_ring_passes_everything_once() {
    let (_memory, ring) = ring::<[u64; 7]>(3);
    let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring));
    std::thread::scope(|s| {
        s.spawn(move || {
            for n in 0..20_000 {
                while producer.try_push(&[n; 7]).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        for n in 0..20_000 {
            let value = loop {
                match consumer.try_pop().unwrap() {
                    Some(value) => break value,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(value, [n; 7]);
        }
    });
}
