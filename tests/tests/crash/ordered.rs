//! LIFO and priority queues: killed at every step, and stopped at every step of a LIFO queue.

use std::path::Path;
use std::time::{Duration, Instant};

use slipring::{Error, Handoff, Until};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::{self, MIXED, Stamp, key};
use slipring_tests::ordered::{Kind, Receiver, Sender, queue, sorted};
use slipring_tests::peer::Peer;
use slipring_tests::wait_until;

use super::stopped::STOPPED_FOR_EVER;
use super::{PATIENCE, Run, SOON, Scenario, check_segment, new_segment};

pub const SCENARIOS: &[Scenario] = &[
    ("lifo-send", lifo_send),
    ("lifo-recv", lifo_recv),
    ("lifo-flow", lifo_flow),
    ("priority-send", priority_send),
    ("priority-recv", priority_recv),
    ("priority-flow", priority_flow),
    ("priority-rebuild", priority_rebuild),
    ("ordered-objects", objects),
];

/// Messages of a victim that is a sender, or for one that is a receiver.
const COUNT: u64 = 40;

/// The numbers `0..count` in the order in which a queue gives them.
fn in_order(kind: Kind, count: u64) -> Vec<Stamp> {
    sorted(kind, (0..count).map(|number| Stamp { producer: 0, number }).collect())
}

/// The victim was killed while it received: no more is lost than what it had in its hands, all comes in order.
fn check_received(run: &Run, rx: &mut Receiver, all: &[Stamp]) {
    let there = log::read(Path::new(&run.log()));
    let here = rx.rest();
    let lost = all.len().checked_sub(there.len() + here.len()).expect("nothing came twice");
    assert!(lost <= 1, "{lost} were lost");
    assert_eq!(there, all[..there.len()], "what the victim got");
    assert_eq!(here, all[there.len() + lost..], "what was left");
}

/// Nobody is in the way of a survivor that sends and receives what goes out first.
fn check_goes_on(tx: &mut Sender, rx: &mut Receiver) {
    let start = Instant::now();
    for size in [1, 100, 100_000] {
        tx.send(0, &vec![3; size], PATIENCE).unwrap();
        assert_eq!(rx.recv(PATIENCE).unwrap(), vec![3; size]);
    }
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

fn send(run: &Run, kind: Kind) {
    let segment = new_segment();
    let (mut tx, mut rx) = queue(kind, &segment, COUNT);
    run.victim(tx.handoff(&segment), &["ordered-send", &COUNT.to_string()]).end();
    let here = rx.rest();
    assert_eq!(here, in_order(kind, here.len() as u64), "what it sent, in order");
    check_goes_on(&mut tx, &mut rx);
    drop((tx, rx));
    check_segment(&segment);
}

fn lifo_send(run: &Run) {
    send(run, Kind::Lifo);
}

fn priority_send(run: &Run) {
    send(run, Kind::Priority);
}

/// Fills a queue with messages for the victim.
fn fill(tx: &mut Sender) {
    let mut bytes = Vec::new();
    for number in 0..COUNT {
        let stamp = Stamp { producer: 0, number };
        message::write(stamp, MIXED, &mut bytes);
        tx.send(key(stamp), &bytes, Until::NOW).unwrap();
    }
}

fn recv(run: &Run, kind: Kind) {
    let segment = new_segment();
    let (mut tx, mut rx) = queue(kind, &segment, COUNT);
    fill(&mut tx);
    run.victim(rx.handoff(&segment), &["ordered-recv", "20", &run.log()]).end();
    check_received(run, &mut rx, &in_order(kind, COUNT));
    check_goes_on(&mut tx, &mut rx);
    drop((tx, rx));
    check_segment(&segment);
}

fn lifo_recv(run: &Run) {
    recv(run, Kind::Lifo);
}

fn priority_recv(run: &Run) {
    recv(run, Kind::Priority);
}

/// The victim sends more than there is room for, and sleeps; what comes is what it sent, once each.
fn flow(run: &Run, kind: Kind) {
    let segment = new_segment();
    let (tx, mut rx) = queue(kind, &segment, 3);
    let handoff = tx.handoff(&segment);
    let mut victim = run.victim(handoff, &["ordered-send", &COUNT.to_string()]);
    drop(tx);
    let mut all = Vec::new();
    loop {
        match rx.stamp(PATIENCE) {
            Ok(stamp) => all.push(stamp.number),
            Err(Error::Disconnected) => break,
            Err(error) => panic!("no end: {error}"),
        }
        if all.len() % 8 == 0 {
            // Time for the sender to fill the queue and go to sleep.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    victim.end();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..all.len() as u64), "a gap or a double: {all:?}");
    drop(rx);
    check_segment(&segment);
}

fn lifo_flow(run: &Run) {
    flow(run, Kind::Lifo);
}

fn priority_flow(run: &Run) {
    flow(run, Kind::Priority);
}

/// One died in its turn, with the order half-changed; the victim puts it in order, and is killed at that.
fn priority_rebuild(run: &Run) {
    let segment = new_segment();
    let (mut tx, mut rx) = queue(Kind::Priority, &segment, COUNT);
    let env = [("SLIPRING_CRASH_AT", "heap.push.after_publish#29")];
    let args = ["victim", "ordered-send", &COUNT.to_string()];
    Peer::start_with(tx.handoff(&segment), &args, &env).end();
    run.victim(rx.handoff(&segment), &["ordered-recv", "3", &run.log()]).end();
    // The thirtieth was published, and its sender died of it.
    check_received(run, &mut rx, &in_order(Kind::Priority, 30));
    check_goes_on(&mut tx, &mut rx);
    drop((tx, rx));
    check_segment(&segment);
}

fn objects(run: &Run) {
    let segment = new_segment();
    run.victim(Handoff::new(&segment), &["ordered-objects"]).end();
    check_segment(&segment);
}

/// A sender and a receiver go on while another process is stopped at any step of its own. Returns whether it came by it.
fn exchange_beside_a_stopped_one(role: &str, point: &str) -> bool {
    let segment = new_segment();
    let (mut tx, mut rx) = queue(Kind::Lifo, &segment, 2 * COUNT);
    let logs = Directory::new("stopped");
    let log = logs.log("victim").to_str().unwrap().to_owned();
    let handoff = match role {
        "ordered-send" => tx.handoff(&segment),
        _ => {
            fill(&mut tx);
            rx.handoff(&segment)
        }
    };
    let stop = format!("{point}#0");
    let args = ["victim", role, &COUNT.to_string(), &log];
    let mut victim = Peer::start_with(handoff, &args, &[("SLIPRING_STOP_AT", &stop)]);
    wait_until("the victim", PATIENCE, || victim.is_stopped() || victim.has_ended());
    let stopped = victim.is_stopped();
    if stopped {
        let (mut slowest, mut bytes) = (Duration::ZERO, Vec::new());
        for number in 0..100 {
            message::write(Stamp { producer: 9, number }, MIXED, &mut bytes);
            let start = Instant::now();
            tx.send(0, &bytes, PATIENCE).unwrap();
            // Last in, first out: whatever the stopped one is at.
            assert_eq!(rx.recv(PATIENCE).unwrap(), bytes);
            slowest = slowest.max(start.elapsed());
        }
        assert!(
            slowest < STOPPED_FOR_EVER,
            "{role} stopped at {point}: {slowest:?} for one message"
        );
        victim.signal(rustix::process::Signal::CONT);
    }
    victim.end();
    drop((tx, rx));
    check_segment(&segment);
    stopped
}

#[test]
fn whoever_is_stopped_at_whatever_step_a_lifo_queue_goes_on() {
    let mut stops = 0;
    for (name, role) in [("lifo-send", "ordered-send"), ("lifo-recv", "ordered-recv")] {
        let scenario = SCENARIOS.iter().find(|s| s.0 == name).unwrap();
        let points = super::run(*scenario, None).unwrap();
        stops += points.keys().filter(|p| exchange_beside_a_stopped_one(role, p)).count();
    }
    println!("{stops} stops");
    assert!(stops > 30, "only {stops} stops");
}

/// What a stopped turn costs the others: their patience, and nothing else.
#[test]
fn who_is_stopped_in_its_turn_at_a_priority_queue_is_waited_for() {
    for point in ["heap.push.before_publish", "heap.push.after_publish", "heap.push.after_len"] {
        let segment = new_segment();
        let (mut tx, mut rx) = queue(Kind::Priority, &segment, COUNT);
        let stop = format!("{point}#9");
        let args = ["victim", "ordered-send", &COUNT.to_string()];
        let env = [("SLIPRING_STOP_AT", stop.as_str())];
        let mut victim = Peer::start_with(tx.handoff(&segment), &args, &env);
        wait_until("the victim to be stopped", PATIENCE, || victim.is_stopped());
        let start = Instant::now();
        assert!(matches!(tx.send(0, b"x", Until::NOW), Err(Error::WouldBlock)), "{point}");
        assert!(matches!(rx.recv(Until::NOW), Err(Error::WouldBlock)), "{point}");
        let short = Duration::from_millis(20);
        assert!(matches!(rx.recv(short), Err(Error::TimedOut)), "{point}");
        assert!(start.elapsed() < 2 * SOON, "{:?}", start.elapsed());
        victim.signal(rustix::process::Signal::CONT);
        victim.end();
        assert_eq!(rx.rest(), in_order(Kind::Priority, COUNT));
        drop((tx, rx));
        check_segment(&segment);
    }
}
