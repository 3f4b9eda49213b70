//! What joinable queues promise within one process; what they promise between processes is in the package `tests`.

use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::observe::Observer;
use crate::{Batch, Error, Named, SegmentOptions, Until};

const SHORT: Duration = Duration::from_millis(2);

fn segment() -> Segment {
    Segment::with(SegmentOptions::new().reserve(4 << 30)).unwrap()
}

fn receive(rx: &mut ByteJoinableReceiver) -> (Vec<u8>, u32, ByteLease) {
    let lease = rx.try_recv().unwrap();
    (lease.to_vec(), lease.deliveries(), lease)
}

#[test]
fn items_are_unfinished_until_they_are_done_and_join_waits_for_that() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::bounded(&segment, 3).unwrap();
    tx.join().unwrap();
    for (number, size) in [0, 5, 9000].into_iter().enumerate() {
        tx.send(&vec![number as u8; size]).unwrap();
    }
    assert!(tx.is_full() && matches!(tx.try_send(b"x"), Err(Error::WouldBlock)));
    assert_eq!((tx.len(), tx.unfinished(), rx.unfinished()), (3, 3, 3));
    for (number, size) in [0, 5, 9000].into_iter().enumerate() {
        let (message, deliveries, lease) = receive(&mut rx);
        assert_eq!((message, deliveries), (vec![number as u8; size], 1));
        assert!(!lease.is_redelivered() && lease.len() == size);
        assert!(matches!(tx.join_until(SHORT), Err(Error::TimedOut)));
        assert!(matches!(rx.join_until(Until::NOW), Err(Error::WouldBlock)));
        lease.done().unwrap();
        assert_eq!(tx.unfinished(), 2 - number as u64);
    }
    tx.join().unwrap();
    rx.join_until(Until::NOW).unwrap();
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_sleeping_join_is_woken_by_the_last_done() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::unbounded(&segment).unwrap();
    for _ in 0..50 {
        tx.send(b"task").unwrap();
    }
    let joining = std::thread::spawn(move || tx.join_until(Duration::from_secs(20)));
    for _ in 0..50 {
        let lease = rx.recv().unwrap();
        std::thread::sleep(Duration::from_micros(100));
        lease.done().unwrap();
    }
    joining.join().unwrap().unwrap();
}

#[test]
fn what_is_given_back_comes_first_and_in_order() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::unbounded(&segment).unwrap();
    tx.send_batch(["a", "b", "c", "d"], Until::NEVER).unwrap();
    let [a, b] = [receive(&mut rx).2, receive(&mut rx).2];
    drop(b);
    a.give_back().unwrap();
    assert_eq!((rx.len(), rx.unfinished(), rx.leases()), (4, 4, 0));
    let got: Vec<_> = (0..4).map(|_| receive(&mut rx)).collect();
    let messages: Vec<_> = got.iter().map(|(message, n, _)| (&message[..], *n)).collect();
    assert_eq!(messages, [(&b"a"[..], 2), (b"b", 2), (b"c", 1), (b"d", 1)]);
    got.into_iter().for_each(|(.., lease)| lease.done().unwrap());
    assert_eq!((tx.unfinished(), segment.blocks_in_use()), (0, 0));
}

#[test]
fn a_lease_is_ended_once_by_itself_by_its_id_or_as_the_oldest() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::unbounded(&segment).unwrap();
    let mut other = rx.try_clone().unwrap();
    tx.send_batch(["a", "b", "c", "d"], Until::NEVER).unwrap();
    let id = rx.recv().unwrap().into_id();
    assert_eq!((rx.leases(), tx.unfinished()), (1, 4));
    other.task_done(id).unwrap();
    assert!(matches!(rx.task_done(id), Err(Error::LeaseEnded)));
    assert!(matches!(rx.give_back(id), Err(Error::LeaseEnded)));
    let (b, c) = (other.recv().unwrap(), rx.recv().unwrap());
    rx.task_done_oldest().unwrap();
    assert!(matches!(b.done(), Err(Error::LeaseEnded)), "b was the oldest");
    c.done().unwrap();
    assert!(matches!(rx.task_done_oldest(), Err(Error::NotYourLease)));
    assert!(matches!(rx.task_done(id ^ 0x55), Err(Error::NotYourLease)));
    assert!(matches!(rx.task_done(u64::MAX), Err(Error::NotYourLease)));
    let id = rx.recv().unwrap().into_id();
    rx.give_back(id).unwrap();
    assert!(matches!(rx.task_done(id), Err(Error::LeaseEnded)), "it went back");
    let again = rx.recv().unwrap();
    assert!(matches!(rx.task_done(id), Err(Error::LeaseEnded)), "also when it is here again");
    again.done().unwrap();
    assert_eq!((tx.unfinished(), segment.blocks_in_use()), (0, 0));
}

#[test]
fn what_comes_back_too_often_is_a_dead_letter_and_finished() {
    let segment = segment();
    let options = JoinableOptions::unbounded().max_deliveries(Some(3));
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    let (say, said) = mpsc::channel();
    rx.on_dead_letter(move |letter| say.send(letter.clone()).unwrap());
    tx.send_batch(["poison", "bread"], Until::NEVER).unwrap();
    for expected in 1..=3 {
        let (message, deliveries, lease) = receive(&mut rx);
        assert_eq!((&message[..], deliveries), (&b"poison"[..], expected));
        drop(lease);
    }
    let (message, _, lease) = receive(&mut rx);
    assert_eq!(message, b"bread");
    let letter = DeadLetter { message: b"poison".to_vec(), deliveries: 3, marked: false };
    assert_eq!(said.try_recv().as_ref(), Ok(&letter));
    assert!(said.try_recv().is_err(), "called once");
    assert_eq!((rx.unfinished(), rx.dead_letters()), (1, 1));
    lease.done().unwrap();
    tx.join().unwrap();
    assert_eq!(tx.take_dead_letter().unwrap(), Some(letter));
    assert_eq!((rx.take_dead_letter().unwrap(), rx.dead_letters()), (None, 0));
    assert_eq!((tx.unfinished(), segment.blocks_in_use()), (0, 0));
}

#[test]
fn a_join_sets_aside_where_no_worker_looks() {
    let segment = segment();
    let options = JoinableOptions::bounded(2).max_deliveries(Some(1));
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    tx.send(b"poison").unwrap();
    let lease = rx.recv().unwrap();
    let (say, said) = mpsc::channel();
    tx.on_dead_letter(move |letter| say.send(letter.deliveries).unwrap());
    let joining = std::thread::spawn(move || tx.join_until(Duration::from_secs(20)));
    drop(lease);
    joining.join().unwrap().unwrap();
    assert_eq!(said.recv(), Ok(1));
}

#[test]
fn a_hook_that_panics_loses_no_letter() {
    let segment = segment();
    let options = JoinableOptions::bounded(2).max_deliveries(Some(1));
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    tx.send(b"poison").unwrap();
    drop(rx.recv().unwrap());
    rx.on_dead_letter(|_| panic!("on purpose"));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rx.try_recv().is_ok()));
    assert!(panicked.is_err());
    tx.join().unwrap();
    assert_eq!(
        tx.take_dead_letter().unwrap().map(|letter| letter.message),
        Some(b"poison".to_vec())
    );
}

#[test]
fn the_end_comes_when_nothing_can_come_back() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::unbounded(&segment).unwrap();
    let mut other = rx.try_clone().unwrap();
    tx.send(b"task").unwrap();
    drop(tx);
    let lease = other.recv().unwrap();
    assert!(matches!(rx.recv_until(SHORT), Err(Error::TimedOut)), "it may come back");
    assert!(matches!(other.recv(), Err(Error::Disconnected)), "who has it itself does not wait");
    let waiting = std::thread::spawn(move || {
        let again = rx.recv()?;
        assert!(again.is_redelivered());
        again.done()?;
        rx.recv().map(|_| ())
    });
    std::thread::sleep(SHORT);
    drop(lease);
    assert!(matches!(waiting.join().unwrap(), Err(Error::Disconnected)));
    assert!(matches!(other.try_recv(), Err(Error::Disconnected)));
}

#[test]
fn a_receiver_that_waits_for_another_lease_is_woken_by_its_end() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::unbounded(&segment).unwrap();
    let mut other = rx.try_clone().unwrap();
    tx.send(b"task").unwrap();
    tx.close();
    let lease = other.recv().unwrap();
    let waiting = std::thread::spawn(move || rx.recv_until(Duration::from_secs(20)).map(|_| ()));
    std::thread::sleep(SHORT);
    lease.done().unwrap();
    assert!(matches!(waiting.join().unwrap(), Err(Error::Closed)));
}

#[test]
fn a_join_that_nobody_can_end_says_so() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::unbounded(&segment).unwrap();
    tx.send_batch(["a", "b"], Until::NEVER).unwrap();
    rx.recv().unwrap().done().unwrap();
    drop(rx);
    assert!(matches!(tx.join(), Err(Error::Disconnected)));
    assert!(matches!(tx.send(b"c"), Err(Error::Disconnected)));
    assert_eq!(tx.unfinished(), 1);
    drop(tx);
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn leases_by_id_go_back_with_the_last_receiver_and_leases_keep_one() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::unbounded(&segment).unwrap();
    tx.send_batch(["a", "b"], Until::NEVER).unwrap();
    let (_id, b) = (rx.recv().unwrap().into_id(), rx.recv().unwrap());
    drop(rx);
    assert_eq!((tx.len(), b.to_vec()), (0, b"b".to_vec()));
    b.done().unwrap();
    assert_eq!((tx.len(), tx.unfinished()), (1, 1), "a waits for somebody who may come");
    drop(tx);
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_table_that_is_full_says_so_and_dead_letters_count() {
    let segment = segment();
    let options = JoinableOptions::unbounded().max_leases(2).max_deliveries(Some(1));
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    tx.send_batch(["a", "b", "c"], Until::NEVER).unwrap();
    drop(rx.recv().unwrap());
    let b = rx.recv().unwrap();
    assert!(matches!(rx.recv(), Err(Error::TooManyLeases { max: 2 })));
    assert!(tx.take_dead_letter().unwrap().is_some());
    let c = rx.recv().unwrap();
    b.done().unwrap();
    c.done().unwrap();
    tx.join().unwrap();
    for (leases, deliveries) in [(0, Some(1)), (65_537, Some(1)), (1, Some(0)), (1, Some(65_536))] {
        let options = JoinableOptions::bounded(1).max_leases(leases).max_deliveries(deliveries);
        let error = ByteJoinableQueue::with(&segment, options).unwrap_err();
        assert!(matches!(error, Error::Capacity { min: 1, .. }), "{error}");
    }
}

#[test]
fn an_unbounded_queue_counts_over_all_of_its_rings() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::unbounded(&segment).unwrap();
    for number in 0..6000_u64 {
        tx.send(&number.to_le_bytes()).unwrap();
    }
    assert_eq!((tx.unfinished(), tx.len()), (6000, 6000));
    for number in 0..6000_u64 {
        let (message, _, lease) = receive(&mut rx);
        assert_eq!(message, number.to_le_bytes());
        if number % 7 == 0 {
            lease.give_back().unwrap();
            let (again, deliveries, lease) = receive(&mut rx);
            assert_eq!((again, deliveries), (message, 2));
            lease.done().unwrap();
        } else {
            lease.done().unwrap();
        }
    }
    tx.join_until(Until::NOW).unwrap();
    assert_eq!((tx.unfinished(), segment.blocks_in_use()), (0, 0));
}

#[test]
fn a_queue_ends_with_its_last_handle_and_everything_in_it() {
    let segment = segment();
    for _ in 0..3 {
        let options = JoinableOptions::bounded(16).max_deliveries(Some(1));
        let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
        for _ in 0..8 {
            tx.send(&[7; 500]).unwrap();
        }
        let _ = rx.recv().unwrap().into_id();
        drop(rx.recv().unwrap());
        let held = rx.recv().unwrap();
        assert_eq!(rx.dead_letters(), 1);
        drop((tx, rx));
        drop(held);
    }
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn who_looks_at_a_named_queue_sees_what_is_unfinished_and_who_has_it() {
    let name = format!("joinable-test-{}", std::process::id());
    let options = JoinableOptions::bounded(8).max_deliveries(Some(2));
    let mut tx = ByteJoinableSender::create(&name, options).unwrap();
    let mut rx = ByteJoinableReceiver::open(&name).unwrap();
    tx.send_batch(["a", "b", "c", "d"], Until::NEVER).unwrap();
    let (_a, b) = (rx.recv().unwrap(), rx.recv().unwrap());
    drop(b);
    let look = || Observer::open(&name).unwrap().look().objects.remove(0);
    let seen = look();
    assert_eq!((seen.kind, seen.depth, seen.capacity), ("joinable queue", Some(3), Some(8)));
    assert_eq!((seen.sent, seen.state.as_str()), (Some(4), "open, 4 unfinished"));
    assert_eq!((seen.held.len(), seen.held[0].what.as_str()), (1, "a lease"));
    assert!(seen.held[0].participant.is_some());
    rx.recv().unwrap().give_back().unwrap();
    rx.recv().unwrap().done().unwrap();
    assert_eq!(look().state, "open, 2 unfinished, 1 set aside");
}

#[test]
fn a_message_that_is_no_value_goes_back_and_is_set_aside_in_the_end() {
    let segment = segment();
    let options = JoinableOptions::bounded(4).max_deliveries(Some(2));
    let (mut tx, mut rx) = JoinableQueue::<(u32, String)>::with(&segment, options).unwrap();
    tx.bytes().send(&[0xff; 40]).unwrap();
    tx.send(&(7, "seven".into())).unwrap();
    for _ in 0..2 {
        assert!(matches!(rx.recv(), Err(Error::Decode(_))));
    }
    assert_eq!(rx.recv().unwrap().into_done().unwrap(), (7, "seven".to_owned()));
    tx.join().unwrap();
    assert!(matches!(tx.take_dead_letter(), Err(Error::Decode(_))));
    tx.send(&(8, "eight".into())).unwrap();
    rx.recv().unwrap().give_back().unwrap();
    rx.recv().unwrap().give_back().unwrap();
    tx.join().unwrap();
    let letter = rx.take_dead_letter().unwrap().unwrap();
    assert_eq!((letter.message, letter.deliveries), ((8, "eight".to_owned()), 2));
}

#[test]
fn many_threads_finish_everything_and_counts_agree() {
    const ITEMS: u64 = 4000;
    let segment = segment();
    let options = JoinableOptions::bounded(16).max_deliveries(None);
    let (mut tx, rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let mut rx = rx.try_clone().unwrap();
            std::thread::spawn(move || {
                let (mut done, mut turn) = (0, worker);
                loop {
                    turn += 1;
                    match rx.recv() {
                        Ok(lease) if turn % 5 == 0 => drop(lease),
                        Ok(lease) if turn % 5 == 1 => {
                            let id = lease.into_id();
                            rx.task_done(id).unwrap();
                            done += 1;
                        }
                        Ok(lease) => {
                            lease.done().unwrap();
                            done += 1;
                        }
                        Err(Error::Disconnected) => return done,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for number in 0..ITEMS {
        tx.send(&number.to_le_bytes()).unwrap();
    }
    tx.join_until(Duration::from_secs(60)).unwrap();
    assert_eq!((tx.unfinished(), tx.len()), (0, 0));
    drop((tx, rx));
    let done: u64 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    assert_eq!(done, ITEMS);
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_mark_stays_with_its_item_through_leases_and_letters() {
    let segment = segment();
    let options = JoinableOptions::bounded(4).max_deliveries(Some(2));
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    for (len, marked) in [(3, true), (3, false), (9000, true), (9000, false)] {
        tx.send_message(&vec![9; len], marked, Until::NOW).unwrap();
        for _ in 0..2 {
            let lease = rx.recv().unwrap();
            assert_eq!((lease.len(), lease.is_marked()), (len, marked));
        }
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)), "set aside");
        let letter = rx.take_dead_letter().unwrap().unwrap();
        assert_eq!((letter.message.len(), letter.marked), (len, marked));
    }
    assert_eq!((tx.unfinished(), segment.blocks_in_use()), (0, 0));
}

#[test]
fn messages_come_with_the_numbers_of_their_leases_and_never_more_than_were_asked_for() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::bounded(&segment, 4).unwrap();
    let long = vec![7; 9000];
    let messages: [(&[u8], bool); 3] = [(b"one", true), (&long, false), (b"three", false)];
    assert_eq!(tx.send_messages(messages, Until::NOW).unwrap(), 3);
    let mut buffer = b"old".to_vec();
    let first = rx.recv_message(&mut buffer, Until::NOW).unwrap();
    assert!(first.marked && first.view.is_none() && buffer == b"one");

    let mut loan = tx.loan(4).unwrap();
    loan.write_at(0, b"four");
    loan.set_marked(true);
    tx.send_loan_until(loan, Until::NOW).unwrap();
    let mut batch = Batch::new(100);
    assert_eq!(rx.recv_messages(&mut batch, 2, Until::NOW).unwrap(), 2);
    assert_eq!((rx.leases(), rx.len()), (3, 1));
    let mut leases = vec![first.lease.unwrap()];
    for ((message, bytes), (expected, marked)) in batch.drain().zip(&messages[1..]) {
        assert!(bytes == *expected && message.marked == *marked && message.view.is_none());
        leases.push(message.lease.unwrap());
    }
    assert_eq!(rx.recv_messages(&mut batch, 9, Until::NOW).unwrap(), 1, "what there is");
    for (message, bytes) in batch.drain() {
        assert!(bytes == b"four" && message.marked);
        leases.push(message.lease.unwrap());
    }
    assert!(matches!(rx.recv_messages(&mut batch, 9, SHORT), Err(Error::TimedOut)));
    rx.give_back(leases[1]).unwrap();
    assert!(matches!(rx.task_done(leases[1]), Err(Error::LeaseEnded)));
    assert_eq!(rx.recv_messages(&mut batch, 9, Until::NOW).unwrap(), 1, "it is there again");
    leases[1] = batch.drain().next().unwrap().0.lease.unwrap();
    for lease in leases {
        rx.task_done(lease).unwrap();
    }
    tx.join_until(Until::NOW).unwrap();
    assert_eq!((rx.leases(), segment.blocks_in_use()), (0, 0));
}

#[test]
fn a_patient_receiver_waits_for_the_next_putter() {
    let name = format!("patient-tasks-{}", std::process::id());
    let mut rx = ByteJoinableReceiver::create(name.as_str(), JoinableOptions::bounded(4)).unwrap();
    drop(ByteJoinableSender::open(name.as_str()).unwrap());
    assert!(matches!(rx.try_recv(), Err(Error::Disconnected)));
    rx.set_patient(true);
    assert!(matches!(rx.try_clone().unwrap().try_recv(), Err(Error::WouldBlock)));
    assert!(matches!(rx.recv_until(SHORT), Err(Error::TimedOut)));
    ByteJoinableSender::open(name.as_str()).unwrap().send(b"task").unwrap();
    rx.recv().unwrap().done().unwrap();

    let (mut tx, rx) = JoinableQueue::<u8>::bounded(&segment(), 4).unwrap();
    drop(rx);
    tx.set_patient(true);
    tx.try_clone().unwrap().send(&7).unwrap();
    assert!(matches!(tx.join_until(SHORT), Err(Error::TimedOut)), "somebody may come");
    tx.set_patient(false);
    assert!(matches!(tx.join_until(SHORT), Err(Error::Disconnected)));
}
