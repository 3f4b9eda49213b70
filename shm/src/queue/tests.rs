//! What queues promise within one process; what they promise between processes is in the package `tests`.

use std::os::fd::AsFd;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::codec::MessagePack;
use crate::memory::LOCK_BASE;
use crate::message::encode;
use crate::sys::lock;
use crate::{Batch, Error, SegmentOptions, Until};

const SHORT: Duration = Duration::from_millis(20);

fn segment() -> Segment {
    Segment::with(SegmentOptions::new().reserve(4 << 30)).unwrap()
}

#[test]
fn capacities_that_no_ring_can_have_are_refused() {
    let segment = segment();
    for capacity in [0, (1 << 26) + 1, u64::MAX] {
        let error = ByteQueue::bounded(&segment, capacity).unwrap_err();
        assert!(
            matches!(error, Error::Capacity { wanted, min: 1, .. } if wanted == capacity),
            "{error}"
        );
    }
    assert!(ByteQueue::bounded(&segment, 1).is_ok(), "and nothing is the worse for it");
}

#[test]
fn a_message_that_is_no_value_is_an_error_and_the_next_one_comes() {
    let segment = segment();
    let (mut tx, mut rx) = Queue::<(u32, String)>::bounded(&segment, 8).unwrap();
    let mut whole = Vec::new();
    encode::<MessagePack, _>(&(7_u32, "seven"), &mut whole).unwrap();
    for wrong in [&whole[..3], &[][..], &[0xff; 40], &[&whole[..], &[1]].concat()] {
        tx.bytes().send(wrong).unwrap();
    }
    tx.send(&(7, "seven".into())).unwrap();
    for _ in 0..4 {
        assert!(matches!(rx.recv(), Err(Error::Decode(_))));
    }
    assert_eq!(rx.recv().unwrap(), (7, "seven".to_owned()));
}

#[test]
fn a_closed_queue_takes_nothing_and_gives_what_it_has() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    tx.send(b"one").unwrap();
    rx.close();
    assert!(matches!(tx.send(b"two"), Err(Error::Closed)));
    assert!(matches!(tx.send_batch(["two", "three"], Until::NOW), Err(Error::Closed)));
    assert_eq!(rx.recv().unwrap(), b"one");
    assert!(matches!(rx.recv(), Err(Error::Closed)));
}

#[test]
fn batches_take_what_there_is_and_no_more_than_was_asked_for() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 5).unwrap();
    let words = ["a", "b", "some words that need a block", "d", "e", "f", "g"];
    assert_eq!(tx.send_batch(words, Until::NOW).unwrap(), 5, "as many as there is room for");
    assert!(matches!(tx.send_batch(words, Duration::from_millis(1)), Err(Error::TimedOut)));
    assert_eq!(rx.recv_batch(2, Until::NOW).unwrap(), [b"a", b"b"]);
    assert_eq!(rx.recv_batch(0, Until::NOW).unwrap().len(), 0);
    let rest = rx.recv_batch(99, Until::NEVER).unwrap();
    assert_eq!(rest.len(), 3);
    assert_eq!(rest[0], words[2].as_bytes());
    assert!(matches!(rx.recv_batch(1, Until::NOW), Err(Error::WouldBlock)));
}

#[test]
fn loans_and_views_give_their_blocks_back() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let other = self::segment();
    let (mut other_tx, _other_rx) = ByteQueue::bounded(&other, 4).unwrap();
    for len in [0, 1, 100, 5000, 3 << 20] {
        drop(tx.loan(len).unwrap());
        let mut loan = tx.loan(len).unwrap();
        loan.write_at(0, &vec![5; len]);
        loan.truncate(len / 2);
        tx.send_loan(loan).unwrap();
        let view = rx.recv_view().unwrap();
        assert_eq!(view.to_vec(), vec![5; len / 2]);
        let foreign = tx.loan(10).unwrap();
        assert!(
            matches!(other_tx.send_loan(foreign), Err(Error::ForeignLoan)),
            "another segment's"
        );
    }
    drop((tx, rx));
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_queue_ends_with_its_last_handle_and_its_messages_with_it() {
    let segment = segment();
    for _ in 0..3 {
        let (mut tx, rx) = ByteQueue::unbounded(&segment).unwrap();
        for number in 0..6000_u64 {
            tx.send(&number.to_le_bytes()).unwrap();
        }
        assert_eq!((tx.len(), tx.capacity(), tx.is_full()), (6000, None, false));
        drop(rx);
        assert!(matches!(tx.send(b"x"), Err(Error::Disconnected)));
    }
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_message_over_what_the_segment_holds_is_refused() {
    let small = Segment::with(SegmentOptions::new().reserve(64 << 20)).unwrap();
    let (mut tx, _rx) = ByteQueue::bounded(&small, 4).unwrap();
    assert!(matches!(tx.loan(40 << 20), Err(Error::TooLong { .. })));
    let held: Vec<_> = std::iter::from_fn(|| tx.loan(1 << 20).ok()).collect();
    assert!(!held.is_empty());
    let error = tx.loan(1 << 20).unwrap_err();
    assert!(matches!(error, Error::NoBlock { block: 0x10_0000, .. }), "{error}");
    tx.send(&[7; 100]).unwrap();
}

#[test]
fn where_all_blocks_of_a_size_are_in_use_larger_ones_serve_and_the_error_names_the_size() {
    let segment = Segment::with(SegmentOptions::new().reserve(1 << 30)).unwrap();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 200).unwrap();
    let before = segment.memory().committed;
    let mut sent = 0_u64;
    let error = loop {
        match tx.send(&vec![sent as u8; 1 << 20]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    let text = error.to_string();
    assert!(
        text.contains("all 38 blocks of 1048576 bytes are in use, and all larger ones"),
        "{text}"
    );
    assert!(text.contains("receive") && text.contains("reserve"), "{text}");
    assert!(sent >= 38 + 19 + 9 + 4 + 2, "{sent} messages");
    let paid = segment.memory().committed - before;
    assert!(
        paid < (sent + 1) << 20,
        "{paid} bytes for {sent} messages: what they need, not their blocks"
    );
    for expected in 0..sent {
        assert!(rx.recv().unwrap().iter().all(|byte| *byte == expected as u8));
    }
    tx.send(&vec![1; 1 << 20]).unwrap();
}

#[test]
fn a_ring_may_lie_where_the_first_object_of_all_was() {
    for capacity in 1..20 {
        let segment = segment();
        // Too small for a queue, and large enough for its ring.
        drop(crate::Slots::<u64>::new(&segment, capacity).unwrap());
        let (mut tx, mut rx) = ByteQueue::bounded(&segment, 2).unwrap();
        tx.send(b"one").unwrap();
        assert_eq!(rx.recv().unwrap(), b"one", "after slots of {capacity}");
    }
}

#[test]
fn what_was_sent_is_taken_when_its_last_message_is_in_whatever_ring() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::unbounded(&segment).unwrap();
    assert!(tx.is_taken(), "nothing was sent");
    for number in 0..1025_u64 {
        tx.send(&number.to_le_bytes()).unwrap();
    }
    let mut other = tx.try_clone().unwrap();
    assert!(other.is_taken(), "nothing was sent with this one");
    other.send(b"behind the first ring").unwrap();
    for _ in 0..1024 {
        assert!(!tx.is_taken());
        rx.recv().unwrap();
    }
    rx.recv().unwrap();
    assert!(tx.is_taken() && !other.is_taken());
    rx.recv().unwrap();
    assert!(other.is_taken());
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 1).unwrap();
    for _ in 0..5 {
        tx.send(b"x").unwrap();
        assert!(!tx.is_taken());
        rx.recv().unwrap();
        assert!(tx.is_taken());
    }
}

#[test]
fn the_patient_go_on_without_the_other_side_unless_it_is_closed() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 2).unwrap();
    assert_eq!((tx.receivers(), rx.senders()), (1, 1));
    drop(rx);
    assert_eq!(tx.receivers(), 0);
    tx.set_patient(true);
    let mut other = tx.try_clone().unwrap();
    tx.send(b"one").unwrap();
    other.send(b"two").unwrap();
    assert!(matches!(tx.try_send(b"three"), Err(Error::WouldBlock)));
    let until = Duration::from_millis(1);
    assert!(matches!(tx.send_until(b"three", until), Err(Error::TimedOut)));
    tx.set_patient(false);
    assert!(matches!(tx.try_send(b"three"), Err(Error::Disconnected)));
    other.close();
    assert!(matches!(other.try_send(b"three"), Err(Error::Closed)));

    let (tx, mut rx) = ByteQueue::bounded(&segment, 2).unwrap();
    drop(tx);
    assert!(matches!(rx.try_recv(), Err(Error::Disconnected)));
    rx.set_patient(true);
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    assert!(matches!(rx.recv_until(until), Err(Error::TimedOut)));
}

#[test]
fn a_mark_comes_with_its_message_whatever_the_length_and_whoever_copies() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let mut buffer = b"old".to_vec();
    for len in [0, 1, 7, 8, 100, 101, 70_000] {
        let bytes: Vec<_> = (0..len).map(|byte| byte as u8).collect();
        for marked in [true, false] {
            tx.send_message(&bytes, marked, Until::NOW).unwrap();
            let message = rx.recv_message(&mut buffer, 100, Until::NOW).unwrap();
            assert_eq!((message.marked, message.view.is_some()), (marked, len > 100), "{len}");
            assert_eq!(message.view.map_or(buffer.clone(), |view| view.to_vec()), bytes);
            assert!(message.lease.is_none());

            let mut loan = tx.loan(len).unwrap();
            loan.write_at(0, &bytes);
            loan.set_marked(marked);
            tx.send_loan(loan).unwrap();
            let message = rx.recv_message(&mut buffer, usize::MAX, Until::NOW).unwrap();
            assert_eq!((message.marked, &buffer), (marked, &bytes));
        }
    }
    let empty = rx.recv_message(&mut buffer, 100, Until::NOW);
    assert!(matches!(empty, Err(Error::WouldBlock)) && buffer.is_empty());
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn who_does_not_ask_for_marks_gets_marked_messages_as_others() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let long = [5; 3000];
    let send = |tx: &mut ByteSender| {
        let messages: [(&[u8], bool); 2] = [(b"short", true), (&long, true)];
        assert_eq!(tx.send_messages(messages, Until::NOW).unwrap(), 2);
    };
    send(&mut tx);
    assert_eq!((rx.recv().unwrap(), rx.recv().unwrap()), (b"short".to_vec(), long.to_vec()));
    send(&mut tx);
    assert_eq!(rx.recv_view().unwrap().to_vec(), b"short");
    assert_eq!(rx.recv_view().unwrap().to_vec(), long);
    send(&mut tx);
    assert_eq!(rx.recv_batch(3, Until::NOW).unwrap(), [&b"short"[..], &long]);
    send(&mut tx);
    drop((tx, rx));
    assert_eq!(segment.blocks_in_use(), 0, "also what nobody took");
}

#[test]
fn marked_batches_stop_where_there_is_no_room_and_go_on_from_there() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 3).unwrap();
    let long = vec![7; 500];
    let all: Vec<(&[u8], bool)> =
        vec![(b"a", true), (&long, false), (b"c", false), (&long, true), (b"e", true)];
    assert_eq!(tx.send_messages(all.clone(), Until::NOW).unwrap(), 3);
    assert!(matches!(tx.send_messages(all.clone(), Until::NOW), Err(Error::WouldBlock)));
    let soon = Duration::from_millis(1);
    assert!(matches!(tx.send_messages(all.clone(), soon), Err(Error::TimedOut)));

    let mut batch = Batch::new(100);
    assert_eq!(rx.recv_messages(&mut batch, 2, Until::NOW).unwrap(), 2);
    assert_eq!(tx.send_messages(all[3..].iter().copied(), soon).unwrap(), 2, "as many as went");
    let mut received = Vec::new();
    let mut keep = |batch: &mut Batch| {
        for (message, bytes) in batch.drain() {
            let view = message.view.map(|view| view.to_vec());
            assert!(view.is_none() || bytes.is_empty());
            received.push((view.unwrap_or_else(|| bytes.to_vec()), message.marked));
        }
    };
    keep(&mut batch);
    assert!(batch.is_empty());
    assert_eq!(rx.recv_messages(&mut batch, 9, Until::NOW).unwrap(), 3);
    keep(&mut batch);
    assert!(matches!(rx.recv_messages(&mut batch, 9, Until::NOW), Err(Error::WouldBlock)));
    assert_eq!(rx.recv_messages(&mut batch, 0, Until::NOW).unwrap(), 0);
    let all: Vec<_> = all.into_iter().map(|(bytes, marked)| (bytes.to_vec(), marked)).collect();
    assert_eq!(received, all);

    // A batch that is full waits for room, message by message.
    let sending = std::thread::spawn(move || {
        let messages = (0..50_u8).map(|number| ([number; 20], number % 2 == 1));
        tx.send_messages(messages, Until::NEVER)
    });
    let mut number = 0;
    while let Ok(count) = rx.recv_messages(&mut batch, 4, Duration::from_secs(20)) {
        assert!((1..=4).contains(&count) && count == batch.len());
        for (message, bytes) in batch.drain() {
            assert_eq!((bytes, message.marked), (&[number; 20][..], number % 2 == 1));
            number += 1;
        }
    }
    assert_eq!((number, sending.join().unwrap().unwrap()), (50, 50));
}

#[test]
fn a_view_is_its_receivers_to_write() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    for (text, is_block) in [(&b"in line"[..], false), (b"in a block of its own", true)] {
        tx.send(text).unwrap();
        let mut view = rx.recv_view().unwrap();
        // SAFETY: the message has a first byte, and no slice of the view is in use.
        unsafe { view.as_mut_ptr().write(b'I') };
        assert_eq!((view.is_block(), view.to_vec()[0], view.len()), (is_block, b'I', text.len()));
    }
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn to_grow_keeps_the_deadline_while_somebody_is_stopped_with_the_recovery_lock() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::unbounded(&segment).unwrap();
    let attachment = segment.attachment();
    let other = attachment.reopen().unwrap();
    assert!(lock::try_lock_byte(other.as_fd(), LOCK_BASE).unwrap());
    let (start, mut sent) = (Instant::now(), 0);
    let ended = loop {
        match tx.try_send(b"one") {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(ended, Error::WouldBlock), "{ended}");
    assert!(matches!(tx.send_until(b"one", SHORT), Err(Error::TimedOut)));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    drop(other);
    tx.try_send(b"one").unwrap();
    assert_eq!(attachment.directory.reserved_by(attachment.me().unwrap()).count(), 0);
    for _ in 0..=sent {
        rx.try_recv().unwrap();
    }
}

#[test]
fn a_ring_that_is_not_hung_in_is_given_back() {
    let segment = segment();
    let attachment = segment.attachment();
    let me = attachment.me().unwrap();
    let other = attachment.reopen().unwrap();
    let ring = end::NewRing::make(attachment, me, 64, Duration::ZERO).unwrap();
    assert_eq!(attachment.directory.reserved_by(me).count(), 1);
    assert!(lock::try_lock_byte(other.as_fd(), LOCK_BASE).unwrap(), "not held while it is filled");
    drop(ring);
    assert_eq!(attachment.directory.reserved_by(me).count(), 0);
}

#[test]
fn receivers_hear_of_what_a_slow_iterator_has_given_before_it_goes_on() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 64).unwrap();
    let (came, times) = mpsc::channel();
    let receiver = std::thread::spawn(move || {
        while rx.recv().is_ok() {
            came.send(Instant::now()).unwrap();
        }
    });
    let wait = |last: &mut Option<Instant>| {
        std::thread::sleep(Duration::from_millis(70));
        *last = Some(Instant::now());
    };
    for is_known in [true, false] {
        let (mut given, mut last) = (Vec::new(), None);
        let from_anywhere = (0..8).map(|_| {
            given.extend(last);
            wait(&mut last);
            b"one"
        });
        let sent = if is_known {
            tx.send_batch(from_anywhere, Until::NEVER)
        } else {
            tx.send_batch(from_anywhere.filter(|_| true), Until::NEVER)
        };
        assert_eq!(sent.unwrap(), 8);
        given.extend(last);
        let mut took: Vec<_> = given.iter().map(|at| times.recv().unwrap() - *at).collect();
        took.sort();
        // A sleep that nobody ends lasts 50 ms, so half of them would be half of that.
        assert!(took[4] < Duration::from_millis(10), "{took:?}");
    }
    drop(tx);
    receiver.join().unwrap();
}

#[test]
fn a_clone_sends_as_its_handle_does() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let blocks = ByteSender::of_blocks(End::new(tx.handle().clone()).unwrap());
    blocks.try_clone().unwrap().send(b"short").unwrap();
    assert_eq!(segment.blocks_in_use(), 1);
    assert_eq!(rx.recv().unwrap(), b"short");
    tx.try_clone().unwrap().send(b"short").unwrap();
    assert_eq!(segment.blocks_in_use(), 0);
}
