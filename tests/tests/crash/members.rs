//! Members of a segment: killed while they make it, make objects in it, fork, hand over, and clean up after others.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use slipring::{
    Barrier, ByteQueue, Condvar, Error, Event, Handoff, Mutex, OrRecover, Pipe, ReentrantMutex,
    Segment, Semaphore,
};
use slipring_tests::{log, wait_until};

use super::{PATIENCE, Run, SOON, Scenario, check_segment, drain, give, mess, new_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[
    ("segment", segment),
    ("give-back", give_back),
    ("objects", objects),
    ("fork", fork),
    ("handoff", handoff),
    ("reap", reap),
];

fn segment(run: &Run) {
    let file = rustix::fs::memfd_create("made", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    let number = file.as_raw_fd().to_string();
    let other = new_segment();
    let mut victim = run.victim(Handoff::new(&other), &["segment", &number]);
    victim.end();
    match Segment::from_fd(&file) {
        Ok(segment) => check_segment(&segment),
        Err(
            Error::HalfMade { .. }
            | Error::NotASegment { .. }
            | Error::Truncated { .. }
            | Error::Failed,
        ) => {}
        Err(error) => panic!("{error}"),
    }
    check_segment(&other);
}

/// The victim has many large blocks, and gives the memory of some back. What it leaves serves the others, and its memory
/// comes back as well.
fn give_back(run: &Run) {
    let segment = new_segment();
    let (tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["give-back"]);
    victim.end();
    let (mut tx, mut rx) = (tx, rx);
    for _ in 0..4 {
        tx.send_until(&vec![3; 300_000], PATIENCE).expect("sent");
        assert_eq!(rx.recv_until(PATIENCE).expect("received").len(), 300_000);
    }
    wait_until("free memory to come back", PATIENCE, || {
        segment.reap();
        rx.recv_until(Duration::from_millis(20)).is_err() && segment.memory().committed < 2 << 20
    });
    drop((tx, rx));
    check_segment(&segment);
}

fn objects(run: &Run) {
    let segment = new_segment();
    let mut victim = run.victim(Handoff::new(&segment), &["objects"]);
    victim.end();
    check_segment(&segment);
}

fn fork(run: &Run) {
    let segment = new_segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["fork"]);
    drop(tx);
    let all = drain(&mut rx);
    assert!(all.len() <= 3);
    log::check_received(&[all]);
    victim.end();
    drop(rx);
    check_segment(&segment);
}

fn handoff(run: &Run) {
    let segment = new_segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["handoff"]);
    drop(tx);
    let all = drain(&mut rx);
    assert!(all.len() <= 2);
    victim.end();
    drop(rx);
    check_segment(&segment);
}

/// Many have died in many places; the victim cleans up after them and dies at it; then we do.
fn reap(run: &Run) {
    let segment = new_segment();
    let mutex = Mutex::new(&segment, [0_u64; 2]).unwrap();
    let barrier = Barrier::new(&segment, 2).unwrap();
    let lock = ReentrantMutex::new(&segment).unwrap();
    let event = Event::new(&segment).unwrap();
    let (condvar, semaphore) =
        (Condvar::new(&segment).unwrap(), Semaphore::new(&segment, 1).unwrap());
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    tx.send(&[3; 100]).unwrap();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    let with = |name: &str| {
        give(&segment, |h| match name {
            "mutex" => h.give("mutex", &mutex),
            "barrier" => h.give("barrier", &barrier),
            "rx" => h.give("rx", &rx),
            "tx" => h.give("tx", &tx),
            "w" => h.give("w", &writer),
            _ => Ok(()),
        })
    };
    // The first to notice a death cleans up after it; so that the victim does, these die one right after the other.
    mess(with("rx"), "taker", Some("mpmc.pop.after_take"));
    mess(with("mutex"), "lock", None);
    mess(with("barrier"), "barrier", None);
    mess(with("tx"), "blocks", None);
    mess(with("tx"), "sender", Some("queue.send.in_flight"));
    mess(with(""), "maker", Some("queue.make_ring.hung"));
    mess(with(""), "maker", Some("directory.reserve.after_state"));
    mess(with("w"), "piper", Some("pipe.send.in_flight"));
    let mut victim = run.victim(Handoff::new(&segment), &["reap"]);
    victim.end();
    let start = Instant::now();
    let taken = mutex.lock_until(PATIENCE).or_recover();
    assert!(taken.is_ok() && start.elapsed() < SOON, "{:?}", start.elapsed());
    drop(taken);
    wait_until("the barrier to be broken", PATIENCE, || {
        segment.reap();
        barrier.is_broken()
    });
    drop(tx);
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)), "it died with its taker");
    drop(writer);
    assert!(matches!(reader.recv_until(PATIENCE), Err(Error::Disconnected)), "never published");
    drop((rx, reader, mutex, barrier, lock, event, condvar, semaphore));
    check_segment(&segment);
}
