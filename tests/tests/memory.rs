//! The memory of long messages, between processes: it comes back by itself.

use std::time::{Duration, Instant};

use slipring::{ByteQueue, Handoff, Segment};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{segment, wait_until};

/// Longer than the reserve that is kept, with the block that it lies in.
const LONG: usize = 40 << 20;
const MIB: u64 = 1 << 20;

fn committed(segment: &Segment) -> u64 {
    segment.memory().committed
}

#[test]
fn after_a_burst_a_process_that_waits_gives_its_memory_back() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("rx", &rx).unwrap();
    let mut peer = Peer::start(handoff, &["recv-on-eof"]);
    peer.expect("waiting");
    let message = vec![7; LONG];
    for _ in 0..12 {
        tx.send(&message).unwrap();
    }
    let start = Instant::now();
    for _ in 0..12 {
        peer.expect(&format!("got {LONG}"));
    }
    assert!(committed(&segment) > LONG as u64);
    // This process does nothing in the segment any more.
    wait_until("the memory to come back", PATIENCE, || committed(&segment) < 2 * MIB);
    println!("{:?} after the last send", start.elapsed());
    tx.send(b"short").unwrap();
    peer.expect("got 5");
    tx.send(&message).unwrap();
    peer.expect(&format!("got {LONG}"));
    peer.kill();
}

#[test]
fn where_nobody_waits_the_next_call_gives_it_back() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("tx", &tx).unwrap();
    let peer = Peer::start(handoff, &["produce", "0", "5", &LONG.to_string()]);
    drop(tx);
    for _ in 0..5 {
        assert_eq!(rx.recv_until(PATIENCE).unwrap().len(), LONG);
    }
    peer.join();
    std::thread::sleep(Duration::from_secs(1));
    assert!(committed(&segment) > LONG as u64, "nobody called");
    assert!(rx.try_recv().is_err());
    // A look stops early, for the sake of its caller.
    while rx.try_recv().is_ok() || committed(&segment) > 2 * MIB {}
}

#[test]
fn what_a_killed_process_had_in_hand_comes_back_too() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("rx", &rx).unwrap();
    let mut peer = Peer::start(handoff, &["hold-view"]);
    tx.send(&vec![7; LONG]).unwrap();
    peer.expect("holding");
    assert!(rx.recv_until(Duration::from_secs(1)).is_err());
    assert!(committed(&segment) > LONG as u64, "it is in use");
    peer.kill();
    wait_until("the memory to come back", PATIENCE, || {
        rx.recv_until(Duration::from_millis(100)).is_err() && committed(&segment) < 2 * MIB
    });
}
