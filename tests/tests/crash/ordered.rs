//! LIFO and priority queues: killed at every step, and stopped at every step of a LIFO queue.

use slipring::{
    ByteLifoQueue, ByteLifoSender, ByteOrderedReceiver, BytePriorityQueue, BytePrioritySender,
};
use slipring_tests::message::key;

use super::*;

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

/// What is left in the order in which it comes, without waiting for more.
fn rest(rx: &mut ByteOrderedReceiver) -> Vec<Stamp> {
    let mut all = Vec::new();
    let mut bytes = Vec::new();
    while let Ok(key_found) = rx.recv_keyed_into(&mut bytes, Duration::from_millis(60)) {
        let stamp = message::read(&bytes);
        assert!(key_found == 0 || key_found == key(stamp), "{stamp:?} with key {key_found}");
        all.push(stamp);
    }
    all
}

/// The numbers `0..count` in the order in which a priority queue gives them.
fn by_priority(count: u64) -> Vec<Stamp> {
    let mut all: Vec<_> = (0..count).map(|number| Stamp { producer: 0, number }).collect();
    all.sort_by_key(|stamp| (key(*stamp), stamp.number));
    all
}

/// The same of a LIFO queue.
fn last_first(count: u64) -> Vec<Stamp> {
    (0..count).rev().map(|number| Stamp { producer: 0, number }).collect()
}

/// The victim was killed while it sent: what came is what it sent first, and comes in order.
fn check_sent(rx: &mut ByteOrderedReceiver, expected: fn(u64) -> Vec<Stamp>) {
    let here = rest(rx);
    assert_eq!(here, expected(here.len() as u64));
}

/// The victim was killed while it received: no more is lost than what it had in its hands, all comes in order.
fn check_received(run: &Run, rx: &mut ByteOrderedReceiver, all: Vec<Stamp>) {
    let there = log::read(Path::new(&run.log()));
    let here = rest(rx);
    let lost = all.len().checked_sub(there.len() + here.len()).expect("nothing came twice");
    assert!(lost <= 1, "{lost} were lost");
    assert_eq!(there, all[..there.len()], "what the victim got");
    assert_eq!(here, all[there.len() + lost..], "what was left");
}

/// Nobody is in the way of a survivor that sends and receives.
fn check_goes_on(mut exchange: impl FnMut(&[u8]) -> Vec<u8>) {
    let start = Instant::now();
    for size in [1, 100, 100_000] {
        assert_eq!(exchange(&vec![3; size]).len(), size);
    }
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

fn lifo_goes_on(tx: &mut ByteLifoSender, rx: &mut ByteOrderedReceiver) {
    check_goes_on(|message| {
        tx.send_until(message, PATIENCE).unwrap();
        rx.recv_until(PATIENCE).unwrap()
    });
}

fn priority_goes_on(tx: &mut BytePrioritySender, rx: &mut ByteOrderedReceiver) {
    check_goes_on(|message| {
        tx.send_until(0, message, PATIENCE).unwrap();
        rx.recv_until(PATIENCE).unwrap()
    });
}

fn lifo_send(run: &Run) {
    let segment = new_segment();
    let (mut tx, mut rx) = ByteLifoQueue::bounded(&segment, COUNT + 1).unwrap();
    let args = ["lifo-send", &COUNT.to_string()];
    run.victim(give(&segment, |h| h.give("tx", &tx)), &args).end();
    lifo_goes_on(&mut tx, &mut rx);
    check_sent(&mut rx, last_first);
    drop((tx, rx));
    check_segment(&segment);
}

fn priority_send(run: &Run) {
    let segment = new_segment();
    let (mut tx, mut rx) = BytePriorityQueue::bounded(&segment, COUNT).unwrap();
    let args = ["priority-send", &COUNT.to_string()];
    run.victim(give(&segment, |h| h.give("tx", &tx)), &args).end();
    check_sent(&mut rx, by_priority);
    priority_goes_on(&mut tx, &mut rx);
    drop((tx, rx));
    check_segment(&segment);
}

/// Fills a queue with messages for the victim.
fn fill(mut send: impl FnMut(u64, &[u8])) {
    let mut bytes = Vec::new();
    for number in 0..COUNT {
        let stamp = Stamp { producer: 0, number };
        message::write(stamp, MIXED, &mut bytes);
        send(key(stamp), &bytes);
    }
}

fn lifo_recv(run: &Run) {
    let segment = new_segment();
    let (mut tx, mut rx) = ByteLifoQueue::bounded(&segment, COUNT).unwrap();
    fill(|_, bytes| tx.send(bytes).unwrap());
    let args = ["ordered-recv", "20", &run.log()];
    run.victim(give(&segment, |h| h.give("rx", &rx)), &args).end();
    check_received(run, &mut rx, last_first(COUNT));
    lifo_goes_on(&mut tx, &mut rx);
    drop((tx, rx));
    check_segment(&segment);
}

fn priority_recv(run: &Run) {
    let segment = new_segment();
    let (mut tx, mut rx) = BytePriorityQueue::bounded(&segment, COUNT).unwrap();
    fill(|key, bytes| tx.send(key, bytes).unwrap());
    let args = ["ordered-recv", "20", &run.log()];
    run.victim(give(&segment, |h| h.give("rx", &rx)), &args).end();
    check_received(run, &mut rx, by_priority(COUNT));
    priority_goes_on(&mut tx, &mut rx);
    drop((tx, rx));
    check_segment(&segment);
}

/// The victim sends more than there is room for, and sleeps; what comes is what it sent, once each.
fn check_flow(mut rx: ByteOrderedReceiver, victim: &mut Peer) {
    let mut all = Vec::new();
    loop {
        match rx.recv_until(PATIENCE) {
            Ok(message) => all.push(message::read(&message).number),
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
}

fn lifo_flow(run: &Run) {
    let segment = new_segment();
    let (tx, rx) = ByteLifoQueue::bounded(&segment, 3).unwrap();
    let handoff = give(&segment, |h| h.give("tx", &tx));
    let mut victim = run.victim(handoff, &["lifo-send", &COUNT.to_string()]);
    drop(tx);
    check_flow(rx, &mut victim);
    check_segment(&segment);
}

fn priority_flow(run: &Run) {
    let segment = new_segment();
    let (tx, rx) = BytePriorityQueue::bounded(&segment, 3).unwrap();
    let handoff = give(&segment, |h| h.give("tx", &tx));
    let mut victim = run.victim(handoff, &["priority-send", &COUNT.to_string()]);
    drop(tx);
    check_flow(rx, &mut victim);
    check_segment(&segment);
}

/// One died in its turn, with the order half-changed; the victim puts it in order, and is killed at that.
fn priority_rebuild(run: &Run) {
    let segment = new_segment();
    let (mut tx, mut rx) = BytePriorityQueue::bounded(&segment, COUNT).unwrap();
    let env = [("SLIPRING_CRASH_AT", "heap.push.after_publish#29")];
    let args = ["victim", "priority-send", &COUNT.to_string()];
    Peer::start_with(give(&segment, |h| h.give("tx", &tx)), &args, &env).end();
    let args = ["ordered-recv", "3", &run.log()];
    run.victim(give(&segment, |h| h.give("rx", &rx)), &args).end();
    // The thirtieth was published, and its sender died of it.
    check_received(run, &mut rx, by_priority(30));
    priority_goes_on(&mut tx, &mut rx);
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
    let (mut tx, mut rx) = ByteLifoQueue::bounded(&segment, 2 * COUNT).unwrap();
    let logs = Directory::new("stopped");
    let log = logs.log("victim").to_str().unwrap().to_owned();
    if role == "ordered-recv" {
        fill(|_, bytes| tx.send(bytes).unwrap());
    }
    let handoff = give(&segment, |h| match role {
        "lifo-send" => h.give("tx", &tx),
        _ => h.give("rx", &rx),
    });
    let stop = format!("{point}#0");
    let args = ["victim", role, &COUNT.to_string(), &log];
    let mut victim = Peer::start_with(handoff, &args, &[("SLIPRING_STOP_AT", &stop)]);
    while !victim.is_stopped() && !victim.has_ended() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let stopped = victim.is_stopped();
    if stopped {
        lifo_goes_on(&mut tx, &mut rx);
        let (mut slowest, mut bytes) = (Duration::ZERO, Vec::new());
        for number in 0..100 {
            message::write(Stamp { producer: 9, number }, MIXED, &mut bytes);
            let start = Instant::now();
            tx.send_until(&bytes, PATIENCE).unwrap();
            // Last in, first out: whatever the stopped one is at.
            assert_eq!(rx.recv_until(PATIENCE).unwrap(), bytes);
            slowest = slowest.max(start.elapsed());
        }
        assert!(slowest < SOON, "{role} stopped at {point}: {slowest:?} for one message");
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
    for (name, role) in [("lifo-send", "lifo-send"), ("lifo-recv", "ordered-recv")] {
        let scenario = super::scenarios().find(|s| s.0 == name).unwrap();
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
        let (mut tx, mut rx) = BytePriorityQueue::bounded(&segment, COUNT).unwrap();
        let handoff = give(&segment, |h| h.give("tx", &tx));
        let stop = format!("{point}#9");
        let args = ["victim", "priority-send", &COUNT.to_string()];
        let mut victim = Peer::start_with(handoff, &args, &[("SLIPRING_STOP_AT", &stop)]);
        wait_until("the victim to be stopped", PATIENCE, || victim.is_stopped());
        let start = Instant::now();
        assert!(matches!(tx.try_send(0, b"x"), Err(Error::WouldBlock)), "{point}");
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)), "{point}");
        let short = Duration::from_millis(20);
        assert!(matches!(rx.recv_until(short), Err(Error::TimedOut)), "{point}");
        assert!(start.elapsed() < 2 * SOON, "{:?}", start.elapsed());
        victim.signal(rustix::process::Signal::CONT);
        victim.end();
        check_sent(&mut rx, by_priority);
        drop((tx, rx));
        check_segment(&segment);
    }
}
