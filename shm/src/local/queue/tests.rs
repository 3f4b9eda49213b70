//! What a queue between threads does where its words have to be looked at; the rest is tested from outside.

use std::time::Duration;

use super::*;
use crate::Error;
use crate::local::SendError;

/// Until somebody sleeps, or is about to, on `word`.
fn until_asleep(word: &slipring_core::sync::EventCount) {
    while !word.may_have_sleepers() {
        std::thread::yield_now();
    }
}

#[test]
fn a_sleeping_receiver_learns_of_a_value_of_closing_and_of_the_last_sender() {
    type Do = fn(Sender<u8>);
    let values: [(Do, Option<u8>); 3] =
        [(|mut tx| tx.send(7).unwrap(), Some(7)), (|tx| tx.close(), None), (drop, None)];
    for (what, value) in values {
        let (tx, mut rx) = Queue::bounded(1).unwrap();
        let chain = rx.end.chain.clone();
        let waiting = std::thread::spawn(move || rx.recv());
        until_asleep(&chain.not_empty);
        what(tx);
        assert_eq!(waiting.join().unwrap().ok(), value);
    }
}

#[test]
fn a_sleeping_sender_gets_room_or_its_value_back() {
    type Do = fn(Receiver<u8>) -> Option<Receiver<u8>>;
    let cases: [(Do, bool); 3] = [
        (
            |mut rx| {
                assert_eq!(rx.recv().unwrap(), 1);
                Some(rx)
            },
            true,
        ),
        (
            |rx| {
                rx.close();
                Some(rx)
            },
            false,
        ),
        (
            |rx| {
                drop(rx);
                None
            },
            false,
        ),
    ];
    for (what, sent) in cases {
        let (mut tx, rx) = Queue::bounded(1).unwrap();
        tx.send(1).unwrap();
        let chain = tx.end.chain.clone();
        let waiting = std::thread::spawn(move || tx.send(2));
        until_asleep(&chain.not_full);
        let _kept = what(rx);
        match waiting.join().unwrap() {
            Ok(()) => assert!(sent),
            Err(SendError { value, error }) => {
                assert!(!sent && value == 2);
                assert!(matches!(error, Error::Closed | Error::Disconnected));
            }
        }
    }
}

#[test]
fn who_polls_passes_the_wake_up_on() {
    let (mut tx, mut rx) = Queue::bounded(4).unwrap();
    let mut poller = rx.clone();
    let chain = rx.end.chain.clone();
    for _ in 0..500 {
        std::thread::scope(|s| {
            let polled = s.spawn(|| poller.poll(crate::Until::NEVER).unwrap());
            let taken = s.spawn(|| rx.recv().unwrap());
            until_asleep(&chain.not_empty);
            tx.send(5).unwrap();
            assert_eq!(taken.join().unwrap(), 5, "whoever was woken first");
            // The poller may have come too late for that one.
            tx.send(6).unwrap();
            assert!(polled.join().unwrap());
        });
        assert_eq!(rx.recv().unwrap(), 6);
    }
}

#[test]
fn an_unbounded_queue_grows_in_order_and_stays_in_its_last_ring() {
    let (mut tx, mut rx) = Queue::unbounded().unwrap();
    let mut late = tx.clone();
    for number in 0..20_000_u64 {
        tx.send(number).unwrap();
    }
    late.send(20_000).unwrap();
    assert_eq!((tx.len(), tx.capacity(), tx.is_full()), (20_001, None, false));
    let mut other = rx.clone();
    for number in 0..20_001 {
        let taker = if number % 3 == 0 { &mut other } else { &mut rx };
        assert_eq!(taker.try_recv().unwrap(), number);
    }
    assert!(rx.is_empty() && matches!(rx.try_recv(), Err(Error::WouldBlock)));
    let rings = || (0..).map_while(|level| rx.end.chain.level(level)).count();
    let before = rings();
    for number in 0..10_000 {
        tx.send(number).unwrap();
    }
    assert_eq!(rings(), before, "it is large enough for what has been");
}

#[test]
fn a_wait_without_a_deadline_and_one_with_it_are_woken_alike() {
    let (mut tx, mut rx) = Queue::bounded(1).unwrap();
    let chain = rx.end.chain.clone();
    for patience in [None, Some(Duration::from_secs(600))] {
        std::thread::scope(|s| {
            let waiting = s.spawn(|| rx.recv_until(patience).unwrap());
            until_asleep(&chain.not_empty);
            tx.send(3).unwrap();
            assert_eq!(waiting.join().unwrap(), 3);
        });
    }
}
