//! Queues: killed at every step, and stopped at every step.

use std::path::Path;
use std::time::Duration;

use slipring::{ByteQueue, ByteSender, Error, QueueOptions};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::{self, MIXED, Stamp};

use super::stopped::{go_on_beside, start_stopping};
use super::{PATIENCE, Run, Scenario, assert_prefix, check_segment, drain, give, new_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[("queue-send", send), ("queue-recv", recv), ("grow", grow)];

fn send_numbers(tx: &mut ByteSender, count: u64) -> u64 {
    let mut bytes = Vec::new();
    for number in 0..count {
        message::write(Stamp { producer: 1, number }, MIXED, &mut bytes);
        if tx.send_message(&bytes, number % 2 == 1, PATIENCE).is_err() {
            return number;
        }
    }
    count
}

fn send(run: &Run) {
    let segment = new_segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 3).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["queue-send"]);
    drop(tx);
    std::thread::sleep(Duration::from_millis(5));
    assert_prefix(&drain(&mut rx));
    victim.end();
    drop(rx);
    check_segment(&segment);
}

fn recv(run: &Run) {
    const SENT: u64 = 120;
    const IN_HAND: usize = 3;
    let segment = new_segment();
    let (mut tx, mut rx) = ByteQueue::with(&segment, QueueOptions::bounded(3)).unwrap();
    let args = ["queue-recv", &run.log()];
    let mut victim = run.victim(give(&segment, |h| h.give("rx", &rx)), &args);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let sent = send_numbers(&mut tx, SENT);
            drop(tx);
            sent
        });
        victim.end();
        let here = drain(&mut rx);
        assert_eq!(sender.join().unwrap(), SENT, "a sender was not let go on");
        let there = log::read(Path::new(&run.log()));
        let got = log::check_received(&[there, here]).len();
        assert!(got + IN_HAND >= SENT as usize, "{got} of {SENT} came");
    });
    drop(rx);
    check_segment(&segment);
}

fn grow(run: &Run) {
    let segment = new_segment();
    let (mut tx, mut rx) = ByteQueue::unbounded(&segment).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["grow"]);
    victim.end();
    let sent = tx.len();
    for _ in 0..3000 {
        tx.send(b"after").unwrap();
    }
    for number in 0..sent {
        assert_eq!(message::read(&rx.recv_until(PATIENCE).unwrap()).number, number);
    }
    for _ in 0..3000 {
        assert_eq!(rx.recv_until(PATIENCE).unwrap(), b"after");
    }
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    drop((tx, rx));
    check_segment(&segment);
}

/// A sender and a receiver go on while another process of the same queue is stopped at any step of its own. Returns
/// whether it came by that step.
fn exchange_beside_a_stopped_one(role: &str, point: &str) -> bool {
    let segment = new_segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let logs = Directory::new("stopped");
    let handoff = give(&segment, |h| match role {
        "queue-send" => h.give("tx", &tx),
        _ => h.give("rx", &rx),
    });
    let victim = start_stopping(handoff, role, point, &logs.log("victim"));
    let receive = || {
        let came = rx.recv_until(Duration::from_millis(20)).map(|message| message::read(&message));
        came.is_ok()
    };
    let send = |bytes: &[u8]| tx.send_until(bytes, PATIENCE).unwrap();
    let stopped = go_on_beside(victim, &format!("{role} stopped at {point}"), receive, send);
    drop((tx, rx));
    check_segment(&segment);
    stopped
}

#[test]
fn whoever_is_stopped_at_whatever_step_a_queue_goes_on() {
    let mut stops = 0;
    for role in ["queue-send", "queue-recv"] {
        let scenario = SCENARIOS.iter().find(|s| s.0 == role).unwrap();
        let points = super::run(*scenario, None).unwrap();
        stops += points.keys().filter(|p| exchange_beside_a_stopped_one(role, p)).count();
    }
    println!("{stops} stops");
    assert!(stops > 40, "only {stops} stops");
}
