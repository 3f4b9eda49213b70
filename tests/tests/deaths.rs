//! Whoever goes on without waiting hears that the other side is gone, in every kind of channel.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use slipring::handoff::Transfer;
use slipring::{ByteQueue, Error, Handoff, Result, Segment, Slots, Until};
use slipring_tests::halves::{Half, KINDS, channel};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{segment, wait_until};

/// So many messages that nobody takes may be sent before the sender hears of it.
const MESSAGES: u32 = 64;
/// In this time a sender that keeps sending hears of it, and a receiver that keeps trying.
const SOON: Duration = Duration::from_millis(100);

/// A wait that ends before a sleeper would look who is dead.
const SHORT: Duration = Duration::from_millis(10);

/// One test at a time: between fork and exec a peer that another thread starts has all descriptors of this process, and with
/// them the proof of life that the next peer is given. Where that one is killed meanwhile it lives a little longer.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many calls said Ok, or that they would have to wait, until one said that the other side is gone; and how long that
/// took. None waits.
fn until_it_is_heard(side: &mut Half, pause: Duration) -> (u32, Duration) {
    until_it_is_heard_in(side, || Until::NOW, pause)
}

/// The same with calls that wait.
fn until_it_is_heard_in(
    side: &mut Half,
    until: impl Fn() -> Until,
    pause: Duration,
) -> (u32, Duration) {
    let (start, mut calls) = (Instant::now(), 0);
    loop {
        match side.go(until()) {
            Ok(()) | Err(Error::WouldBlock | Error::TimedOut) => calls += 1,
            Err(Error::Disconnected) => return (calls, start.elapsed()),
            Err(error) => panic!("{error}"),
        }
        assert!(start.elapsed() < PATIENCE, "it is never heard");
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

/// What a peer is given: one handle.
fn handoff(segment: &Segment, name: &str, handle: &impl Transfer) -> Handoff {
    let mut handoff = Handoff::new(segment);
    handoff.give(name, handle).unwrap();
    handoff
}

/// A channel whose receiver is a peer that has taken `count` messages.
fn with_taker(kind: &str, segment: &Segment, count: u32) -> (Half, Peer) {
    let (mut tx, rx) = channel(kind, segment, 4096);
    let peer = Peer::start(rx.handoff(segment), &["side-takes", kind, &count.to_string()]);
    drop(rx);
    (0..count).for_each(|_| tx.go(Until::NEVER).unwrap());
    peer.expect("took all");
    (tx, peer)
}

#[test]
fn a_fast_sender_hears_of_a_kill_after_a_few_messages() {
    let _turn = alone();
    for kind in KINDS {
        // Of those that were taken some count for the next look.
        for count in [100, 64, 33] {
            let segment = segment();
            let (mut tx, mut peer) = with_taker(kind, &segment, count);
            peer.kill();
            let (sent, _) = until_it_is_heard(&mut tx, Duration::ZERO);
            assert!(sent <= MESSAGES, "{kind}: {sent} messages were sent to nobody");
        }
    }
}

/// The sender of a full channel whose receiver is a peer.
fn with_full(kind: &str, segment: &Segment) -> (Half, Peer) {
    let (mut tx, rx) = channel(kind, segment, 8);
    let peer = Peer::start(rx.handoff(segment), &["side-held"]);
    drop(rx);
    peer.expect("holding");
    while tx.go(Until::NOW).is_ok() {}
    (tx, peer)
}

/// The receiver of an empty channel whose sender is a peer.
fn with_empty(kind: &str, segment: &Segment) -> (Half, Peer) {
    let (tx, rx) = channel(kind, segment, 64);
    let peer = Peer::start(tx.handoff(segment), &["side-held"]);
    drop(tx);
    peer.expect("holding");
    (rx, peer)
}

/// How many messages of a batch were sent. Where time has passed since the last send, the very first may be refused.
fn sent_of(batch: Result<usize>) -> usize {
    match batch {
        Ok(sent) => sent,
        Err(Error::Disconnected) => 0,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_batch_goes_no_further_than_so_many_messages() {
    let _turn = alone();
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 4096).unwrap();
    let mut peer = Peer::start(handoff(&segment, "rx", &rx), &["side-held"]);
    drop(rx);
    peer.expect("holding");
    tx.send(b"message").unwrap();
    peer.kill();
    let sent = sent_of(tx.send_batch(std::iter::repeat_n(b"message", 4000), Until::NOW));
    assert!(sent <= MESSAGES as usize, "{sent} messages were sent to nobody");
    assert!(matches!(tx.send_batch([b"message"], Until::NOW), Err(Error::Disconnected)));

    let (mut tx, rx) = Slots::<u64>::new(&segment, 4096).unwrap();
    let mut peer = Peer::start(handoff(&segment, "rx", &rx), &["side-held"]);
    drop(rx);
    peer.expect("holding");
    tx.send(&7).unwrap();
    peer.kill();
    let sent = sent_of(tx.send_batch(&[7; 4000], Until::NOW));
    assert!(sent <= MESSAGES as usize, "{sent} values were sent to nobody");
    assert!(matches!(tx.send_batch(&[7], Until::NOW), Err(Error::Disconnected)));
}

#[test]
fn a_slow_sender_hears_of_a_kill_soon() {
    let _turn = alone();
    for kind in KINDS {
        for pause in [1, 5, 20, 60] {
            let pause = Duration::from_millis(pause);
            let segment = segment();
            let (mut tx, mut peer) = with_taker(kind, &segment, 10);
            peer.kill();
            let (sent, took) = until_it_is_heard(&mut tx, pause);
            // What comes on top is this machine's: the pauses are longer than they should be.
            let most = SOON.max(pause * 2) + took / (sent + 1) + Duration::from_millis(20);
            assert!(took <= most, "{kind}, one in {pause:?}: heard after {took:?} and {sent}");
        }
    }
}

#[test]
fn a_sender_into_a_full_channel_hears_of_a_kill() {
    let _turn = alone();
    for kind in KINDS.into_iter().filter(|kind| *kind != "unbounded") {
        let segment = segment();
        let (mut tx, mut peer) = with_full(kind, &segment);
        peer.kill();
        let (tries, took) = until_it_is_heard(&mut tx, Duration::from_millis(1));
        assert!(tries <= MESSAGES && took < 2 * SOON, "{kind}: {tries} tries in {took:?}");
    }
}

#[test]
fn a_receiver_that_only_tries_hears_of_a_kill_soon() {
    let _turn = alone();
    for kind in KINDS {
        for pause in [0, 1, 5, 20, 60] {
            let pause = Duration::from_millis(pause);
            let segment = segment();
            let (mut rx, mut peer) = with_empty(kind, &segment);
            // It has tried in vain before, at this pace and at a faster one.
            for _ in 0..70 {
                assert!(matches!(rx.go(Until::NOW), Err(Error::WouldBlock)), "{kind}");
            }
            peer.kill();
            let (tries, took) = until_it_is_heard(&mut rx, pause);
            let most = SOON.max(pause * 2) + took / (tries + 1) + Duration::from_millis(20);
            assert!(took <= most, "{kind}, one in {pause:?}: heard after {took:?} and {tries}");
        }
    }
}

#[test]
fn short_waits_hear_of_a_kill_soon() {
    let _turn = alone();
    for kind in KINDS {
        let segment = segment();
        let (mut rx, mut peer) = with_empty(kind, &segment);
        assert!(matches!(rx.go(SHORT), Err(Error::TimedOut | Error::WouldBlock)), "{kind}");
        peer.kill();
        let (waits, took) = until_it_is_heard_in(&mut rx, || SHORT.into(), Duration::ZERO);
        assert!(took <= SOON, "{kind}: a receiver heard after {took:?} and {waits} waits");
    }
    for kind in KINDS.into_iter().filter(|kind| *kind != "unbounded") {
        let segment = segment();
        let (mut tx, mut peer) = with_full(kind, &segment);
        peer.kill();
        let (waits, took) = until_it_is_heard_in(&mut tx, || SHORT.into(), Duration::ZERO);
        assert!(took <= SOON, "{kind}: a sender heard after {took:?} and {waits} waits");
    }
}

#[test]
fn a_receiver_that_is_stopped_is_not_called_dead() {
    let _turn = alone();
    for kind in KINDS {
        let segment = segment();
        let (mut tx, peer) = with_taker(kind, &segment, 10);
        peer.signal(Signal::STOP);
        wait_until("the peer to stop", PATIENCE, || peer.is_stopped());
        let start = Instant::now();
        while start.elapsed() < 3 * SOON {
            let sent = tx.go(Until::NOW);
            assert!(matches!(sent, Ok(()) | Err(Error::WouldBlock)), "{kind}: {sent:?}");
        }
        peer.signal(Signal::CONT);
    }
}

#[test]
fn after_an_orderly_end_the_next_call_says_so() {
    let _turn = alone();
    for kind in KINDS {
        for before in [0, 1, 70] {
            let segment = segment();
            let (mut tx, mut rx) = channel(kind, &segment, 4096);
            (0..before).for_each(|_| tx.go(Until::NEVER).unwrap());
            (0..before.min(1)).for_each(|_| rx.go(Until::NEVER).unwrap());
            drop(rx);
            for until in [Until::NOW, Until::NEVER, SOON.into()] {
                assert!(is_gone(&tx.go(until)), "{kind}, {before} before: {:?}", tx.go(until));
            }
            let (tx, mut rx) = channel(kind, &segment, 4096);
            drop(tx);
            for until in [Until::NOW, Until::NEVER, SOON.into()] {
                assert!(is_gone(&rx.go(until)), "{kind}: the receiver");
            }
        }
    }
}

#[test]
fn after_an_orderly_end_in_another_process_the_next_send_says_so() {
    let _turn = alone();
    for kind in KINDS {
        let segment = segment();
        let (mut tx, rx) = channel(kind, &segment, 4096);
        let peer = Peer::start(rx.handoff(&segment), &["side-dropped", kind]);
        drop(rx);
        peer.expect("dropped");
        assert!(is_gone(&tx.go(Until::NOW)), "{kind}");
    }
}

fn is_gone(said: &Result<()>) -> bool {
    matches!(said, Err(Error::Disconnected))
}
