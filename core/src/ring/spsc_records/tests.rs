//! Unit tests: half-done states are built by hand.

use super::*;
use crate::ring::memory::Memory;
use std::vec::Vec;

const MODE: (Scope, FenceMode) = (Scope::Private, FenceMode::Symmetric);

fn ring(size: usize) -> (Memory, Records) {
    let layout = Layout::new(size).unwrap();
    let memory = Memory::new(layout.bytes(), layout.align());
    // SAFETY: allocated with the layout's size and alignment; the test keeps it while it uses the ring.
    let ring = unsafe {
        Records::init(memory.at(), layout);
        Records::attach(memory.at(), layout.bytes()).unwrap()
    };
    (memory, ring)
}

fn producer(ring: &Records) -> Result<Producer, Corrupt> {
    // SAFETY: each test lets only one producer work at a time.
    unsafe { ring.producer(MODE.0, MODE.1) }
}

fn consumer(ring: &Records) -> Result<Consumer, Corrupt> {
    // SAFETY: each test lets only one consumer work at a time.
    unsafe { ring.consumer(MODE.0, MODE.1) }
}

fn send(producer: &mut Producer, kind: u8, bytes: &[u8]) -> Result<(), ClaimError> {
    let mut claim = producer.claim(bytes.len(), 0)?;
    claim.write(0, bytes);
    claim.commit(kind);
    Ok(())
}

fn receive(consumer: &mut Consumer) -> Result<Option<(u8, Vec<u8>)>, Corrupt> {
    let received = consumer.peek()?.map(|record| {
        let mut bytes = std::vec![0; record.len()];
        assert_eq!(record.copy_to(&mut bytes), record.len());
        (record.kind(), bytes)
    });
    consumer.release();
    Ok(received)
}

fn drain(consumer: &mut Consumer) -> Vec<u8> {
    core::iter::from_fn(|| receive(consumer).unwrap()).map(|(kind, _)| kind).collect()
}

/// A ring whose tail and head are at `position`, everything released.
fn advanced(position: u64) -> (Memory, Records) {
    let (memory, ring) = ring(256);
    let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring).unwrap());
    for _ in 0..position / WORD {
        send(&mut producer, 0, &[]).unwrap();
        assert_eq!(drain(&mut consumer), [0]);
    }
    assert_eq!((producer.tail, consumer.head), (position, position));
    // Every word but the terminator is garbage that looks like a header.
    for word in 1..256 / WORD {
        let garbage = Entry { padding: false, len: 0, span: 8, kind: 0xee }.encode();
        ring.words.header(position + word * WORD).store(garbage, Ordering::Relaxed);
    }
    (memory, ring)
}

#[test]
fn a_header_word_says_what_was_put_into_it() {
    for len in [0, 1, 7, 8, 100, 120] {
        for extra in [0, 8, 16] {
            for kind in [0, 1, 255] {
                let entry = Entry { padding: false, len, span: contiguous(len) + extra, kind };
                assert_eq!(Entry::decode(entry.encode(), 256, 256, 256), Ok(Some(entry)));
            }
        }
    }
    let max = MAX_SIZE as u64;
    let (len, span) = (max / 2 - WORD, max - WORD);
    let entry = Entry { padding: false, len, span, kind: 255 };
    assert_eq!(Entry::decode(entry.encode(), 0, 0, max), Ok(Some(entry)));
    assert_eq!(Entry::decode(0, 8, 0, 256), Ok(None));
}

#[test]
fn a_header_that_leads_out_of_the_ring_is_refused_wherever_it_stands() {
    let size = 256;
    for head in [0, 8, 248, 256, 1 << 40, u64::MAX - 7] {
        for ahead in (0..size - WORD).step_by(8) {
            let at = u64::wrapping_add(head, ahead);
            for span in (8..512).step_by(8) {
                for len in [0, 1, span - 8, span] {
                    let entry = Entry { padding: false, len, span, kind: 3 };
                    let sound = ahead + span + WORD <= size
                        && contiguous(len) <= span
                        && (at % size) + contiguous(len) <= size;
                    let decoded = Entry::decode(entry.encode(), at, head, size);
                    assert_eq!(decoded, if sound { Ok(Some(entry)) } else { Err(Corrupt) });
                }
                let padding = Entry::padding(span);
                let sound = ahead + span + WORD <= size && at % size + span == size;
                let decoded = Entry::decode(padding.encode(), at, head, size);
                assert_eq!(decoded, if sound { Ok(Some(padding)) } else { Err(Corrupt) });
            }
        }
    }
    for word in [1, 0xff, 1 << 62, Entry::PUBLISHED, u64::MAX] {
        assert_eq!(Entry::decode(word, 0, 0, size), Err(Corrupt), "{word:#x}");
    }
}

#[test]
fn an_empty_ring_holds_the_longest_record_at_every_position() {
    for position in (0..512).step_by(8) {
        let (_memory, ring) = advanced(position);
        let mut producer = producer(&ring).unwrap();
        let mut consumer = consumer(&ring).unwrap();
        let long = std::vec![7; producer.max_len()];
        send(&mut producer, 1, &long).unwrap();
        assert_eq!(receive(&mut consumer), Ok(Some((1, long))));
        assert!(consumer.is_empty() && producer.is_empty() && ring.is_empty());
        let (len, extra) = (9, producer.max_extra(9));
        assert_eq!(producer.claim(len, extra + 1).err(), Some(ClaimError::TooLong));
        producer.claim(len, extra).unwrap().commit(2);
        assert_eq!(drain(&mut consumer), [2]);
        let too_long = producer.max_len() + 1;
        assert_eq!(producer.claim(too_long, 0).err(), Some(ClaimError::TooLong));
        assert_eq!(producer.claim(usize::MAX, 0).err(), Some(ClaimError::TooLong));
        assert_eq!(producer.claim(0, usize::MAX).err(), Some(ClaimError::TooLong));
    }
}

#[test]
fn a_full_ring_refuses_until_something_is_released_and_keeps_room_for_the_terminator() {
    for position in (0..256).step_by(8) {
        let (_memory, ring) = advanced(position);
        let mut producer = producer(&ring).unwrap();
        let mut consumer = consumer(&ring).unwrap();
        let mut sent = 0;
        while send(&mut producer, sent, &[]).is_ok() {
            sent += 1;
        }
        assert_eq!(u64::from(sent), 256 / WORD - 1);
        assert_eq!(producer.used(), 248);
        assert_eq!(receive(&mut consumer), Ok(Some((0, Vec::new()))));
        send(&mut producer, sent, &[]).unwrap();
        assert_eq!(drain(&mut consumer), (1..=sent).collect::<Vec<_>>());
    }
}

#[test]
fn extra_holds_the_producer_back_as_if_it_were_bytes() {
    let (_memory, ring) = ring(256);
    let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring).unwrap());
    producer.claim(8, 100).unwrap().commit(1);
    producer.claim(8, 100).unwrap().commit(2);
    assert_eq!(ring.used(), 240);
    assert_eq!(producer.claim(8, 0).err(), Some(ClaimError::Full));
    assert_eq!(consumer.peek().unwrap().map(|r| (r.kind(), r.len())), Some((1, 8)));
    consumer.release();
    producer.claim(8, 96).unwrap().commit(3);
    assert_eq!(drain(&mut consumer), [2, 3]);
}

#[test]
fn several_records_are_shown_before_any_is_released() {
    let (_memory, ring) = ring(256);
    let (mut producer, mut consumer) = (producer(&ring).unwrap(), consumer(&ring).unwrap());
    (1..=3).for_each(|kind| send(&mut producer, kind, &[kind; 20]).unwrap());
    let (one, two) = (consumer.peek().unwrap(), consumer.peek_next().unwrap());
    assert_eq!((one.unwrap().kind(), two.unwrap().kind()), (1, 2));
    let mut part = [0; 2];
    assert_eq!(two.unwrap().copy_from(19, &mut part), 1);
    assert_eq!(two.unwrap().copy_from(21, &mut part), 0);
    assert_eq!(part, [2, 0]);
    consumer.release(); // the first only
    assert_eq!(consumer.peek().unwrap().unwrap().kind(), 2);
    assert_eq!(consumer.peek_next().unwrap().unwrap().kind(), 3);
    assert!(consumer.peek_next().unwrap().is_none());
    consumer.release_all();
    assert!(consumer.is_empty() && ring.used() == 0);
    consumer.release_all();
    assert!(consumer.peek().unwrap().is_none());
    consumer.release();
    assert_eq!(ring.used(), 0);
}

#[test]
fn a_dropped_claim_publishes_nothing() {
    for position in (0..256).step_by(8) {
        let (_memory, ring) = advanced(position);
        let mut producer = producer(&ring).unwrap();
        let mut consumer = consumer(&ring).unwrap();
        producer.claim(100, 0).unwrap().write(0, &[0xff; 100]);
        assert!(consumer.is_empty());
        send(&mut producer, 5, &[5; 30]).unwrap();
        assert_eq!(receive(&mut consumer), Ok(Some((5, std::vec![5; 30]))));
    }
}

#[test]
#[should_panic(expected = "4 bytes at 5 of a record of 8")]
fn writing_past_a_claim_panics() {
    let (_memory, ring) = ring(256);
    producer(&ring).unwrap().claim(8, 0).unwrap().write(5, &[0; 4]);
}

/// The stores of a commit, in order, up to the step at which it is killed.
fn commit_until(step: usize, producer: &mut Producer, kind: u8, bytes: &[u8]) {
    let (ring, tail) = (producer.ring, producer.tail);
    let mut claim = producer.claim(bytes.len(), 0).unwrap();
    claim.write(0, bytes);
    let Plan { pad, len, span } = claim.plan;
    let (at, end) = (tail + pad, tail + pad + span);
    let record = Entry { padding: false, len, span, kind }.encode();
    let store = |position, word| ring.words.header(position).store(word, Ordering::Relaxed);
    if step >= 1 {
        store(end, 0); // spsc_records.commit.terminated
    }
    if step >= 2 && pad > 0 {
        store(at, record); // spsc_records.commit.behind_padding
    }
    if step >= 3 {
        store(tail, if pad > 0 { Entry::padding(pad).encode() } else { record });
        // spsc_records.commit.published
    }
    if step >= 4 {
        ring.header().tail.store(end, Ordering::Relaxed); // spsc_records.commit.tail_stored
    }
}

#[test]
fn whatever_step_a_commit_was_killed_at_the_next_producer_goes_on() {
    for position in (0..256).step_by(8) {
        for step in 0..=4 {
            for pending in 0..2 {
                let (_memory, ring) = advanced(position);
                let mut dead = producer(&ring).unwrap();
                let mut other = producer(&ring).unwrap(); // waits for its turn
                let mut consumer = consumer(&ring).unwrap();
                (0..pending).for_each(|_| send(&mut dead, 1, &[1; 40]).unwrap());
                commit_until(step, &mut dead, 2, &[2; 60]);
                other.resume().unwrap();
                let mut heir = producer(&ring).unwrap();
                assert_eq!((heir.tail, heir.head), (other.tail, other.head));
                send(&mut heir, 3, &[3; 33]).unwrap();
                let mut expected = Vec::new();
                (0..pending).for_each(|_| expected.push((1, std::vec![1; 40])));
                if step >= 3 {
                    expected.push((2, std::vec![2; 60]));
                }
                expected.push((3, std::vec![3; 33]));
                for record in expected {
                    assert_eq!(receive(&mut consumer), Ok(Some(record)), "{position} {step}");
                }
                assert_eq!(receive(&mut consumer), Ok(None));
                assert_eq!(ring.used(), 0);
            }
        }
    }
}

#[test]
fn a_tail_that_lags_behind_head_is_repaired_from_head() {
    for position in (0..256).step_by(8) {
        let (_memory, ring) = advanced(position);
        let mut dead = producer(&ring).unwrap();
        let mut other = producer(&ring).unwrap();
        let mut consumer = consumer(&ring).unwrap();
        commit_until(3, &mut dead, 1, &[1; 60]);
        assert_eq!(drain(&mut consumer), [1]);
        assert_eq!((ring.used(), ring.is_empty()), (0, true), "hints bear it");
        other.resume().unwrap();
        assert_eq!(other.tail, consumer.head);
        send(&mut other, 2, &[2; 60]).unwrap();
        assert_eq!(drain(&mut consumer), [2]);
    }
}

#[test]
fn producers_and_consumers_take_turns() {
    let (_memory, ring) = ring(256);
    let mut producers = [producer(&ring).unwrap(), producer(&ring).unwrap()];
    let mut consumers = [consumer(&ring).unwrap(), consumer(&ring).unwrap()];
    for n in 0..200_u8 {
        let turn = &mut producers[usize::from(n / 3 % 2)];
        turn.resume().unwrap();
        send(turn, n, &std::vec![n; usize::from(n) % 70]).unwrap();
        let turn = &mut consumers[usize::from(n / 7 % 2)];
        turn.resume().unwrap();
        let expected = (n, std::vec![n; usize::from(n) % 70]);
        assert_eq!(receive(turn), Ok(Some(expected)));
    }
}

#[test]
fn a_record_that_was_peeked_and_not_released_comes_again() {
    let (_memory, ring) = ring(256);
    let mut producer = producer(&ring).unwrap();
    send(&mut producer, 1, &[]).unwrap();
    send(&mut producer, 2, &[]).unwrap();
    let dead = consumer(&ring).unwrap();
    assert!(dead.peek().unwrap().is_some() && dead.peek_next().unwrap().is_some());
    assert_eq!(drain(&mut consumer(&ring).unwrap()), [1, 2]);
}

#[test]
fn scribbled_words_are_errors_and_nothing_is_read_through_them() {
    for word in [1, u64::MAX, Entry::PUBLISHED, Entry::padding(8).encode()] {
        let (_memory, ring) = ring(256);
        let mut producer_1 = producer(&ring).unwrap();
        let mut consumer = consumer(&ring).unwrap();
        send(&mut producer_1, 1, &[]).unwrap();
        ring.words.header(0).store(word, Ordering::Relaxed);
        assert_eq!(consumer.peek().err(), Some(Corrupt));
        consumer.release_all();
        assert_eq!(consumer.head, 0);
        ring.header().tail.store(3, Ordering::Relaxed);
        assert_eq!(producer(&ring).err(), Some(Corrupt));
    }
    // Padding that leads to no record, and to padding.
    for behind in [0, Entry::padding(256).encode()] {
        let (_memory, ring) = advanced(128);
        ring.words.header(0).store(behind, Ordering::Relaxed);
        ring.words.header(128).store(Entry::padding(128).encode(), Ordering::Relaxed);
        assert_eq!(consumer(&ring).unwrap().peek().err(), Some(Corrupt));
    }
}

#[test]
fn an_impossible_head_is_an_error_and_no_overwrite() {
    let (_memory, ring) = ring(256);
    let mut first = producer(&ring).unwrap();
    send(&mut first, 1, &[1; 113]).unwrap();
    // Odd ones, one behind tail, and ones that are no lap of this ring.
    for head in [1, 116, 136, u64::MAX, 1 << 40] {
        ring.header().head.store(head, Ordering::Relaxed);
        assert_eq!(first.claim(120, 0).err(), Some(ClaimError::Corrupt), "{head}");
        assert!(first.used() == 256 && ring.used() <= 256);
        assert!(!ring.is_empty() || head > 128);
    }
    ring.header().head.store(4, Ordering::Relaxed);
    assert_eq!(consumer(&ring).err(), Some(Corrupt));
    assert_eq!(producer(&ring).err(), Some(Corrupt));
}

#[test]
fn attaching_says_what_does_not_fit() {
    let (memory, ring) = ring(256);
    let bytes = Layout::new(256).unwrap().bytes();
    // SAFETY: the memory outlives the calls and nothing is sent.
    unsafe {
        for available in [0, 639, 640, bytes - 1] {
            let error = Records::attach(memory.at(), available).err();
            assert!(matches!(error, Some(AttachError::Truncated { .. })), "{available}");
        }
        let odd = Records::attach(memory.at().add(8), bytes - 8);
        assert_eq!(odd.err(), Some(AttachError::Misaligned));
        for size in [0, 128, 257, 1 << 29, u64::MAX] {
            ring.header().size.store(size, Ordering::Relaxed);
            let error = Records::attach(memory.at(), bytes).err();
            assert_eq!(error, Some(AttachError::Size(size)));
        }
    }
    assert_eq!(Layout::new(300).err(), Some(SizeError));
}

#[test]
fn a_record_is_held_from_its_publication_to_its_release() {
    let (_memory, ring) = ring(256);
    let mut first = producer(&ring).unwrap();
    let mut consumer = consumer(&ring).unwrap();
    // Several laps, so that records stand behind padding too.
    for lap in 0..50_u64 {
        let len = 8 + (lap as usize * 24) % 96;
        let mut claim = first.claim(len, 0).unwrap();
        let position = claim.position();
        claim.write(0, &lap.to_le_bytes());
        let is_it = |kind: u8, word: u64| kind == 9 && word == lap;
        assert!(!ring.holds(position, is_it), "{lap}: claimed");
        claim.commit(9);
        assert!(ring.holds(position, is_it), "{lap}: published");
        assert!(!ring.holds(position, |_, word| word == lap + 1), "{lap}: another");
        assert_eq!(consumer.peek().unwrap().unwrap().position(), position);
        consumer.release();
        assert!(!ring.holds(position, is_it), "{lap}: released");
    }
    assert!(!ring.holds(u64::MAX, |_, _| true) && !ring.holds(3, |_, _| true));
}
