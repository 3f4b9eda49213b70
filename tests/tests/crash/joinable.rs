//! Joinable queues: whoever is killed at whatever step, nothing that was put is lost, and every join ends.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use slipring::{
    ByteJoinableQueue, ByteJoinableReceiver, ByteJoinableSender, Error, Handoff, JoinableOptions,
    Segment,
};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::{self, MIXED, Stamp};
use slipring_tests::peer::Peer;
use slipring_tests::wait_until;

use super::stopped::{go_on_beside, start_stopping};
use super::{PATIENCE, Run, Scenario, assert_prefix, check_segment, give, new_segment};

pub const SCENARIOS: &[Scenario] = &[
    ("task-put", put),
    ("task-work", work_and_die),
    ("task-letters", letters),
    ("task-objects", objects),
    ("task-ahead", ahead),
    ("task-reap-ahead", reap_ahead),
    ("task-reap", reap),
    ("task-reap-putter-too", reap_putter_too),
];

/// Works until the end comes. Returns what was done.
fn work(rx: &mut ByteJoinableReceiver) -> Vec<Stamp> {
    let mut all = Vec::new();
    loop {
        match rx.recv_until(PATIENCE) {
            Ok(lease) => {
                all.push(message::read(&lease.to_vec()));
                lease.done().expect("it is ours");
            }
            Err(Error::Disconnected | Error::Closed) => return all,
            Err(error) => panic!("no end: {error}"),
        }
    }
}

fn put_numbers(tx: &mut ByteJoinableSender, count: u64) {
    let mut bytes = Vec::new();
    for number in 0..count {
        message::write(Stamp { producer: 1, number }, MIXED, &mut bytes);
        let put = tx.send_message(&bytes, number % 2 == 1, PATIENCE);
        put.expect("a putter was not let go on");
    }
}

/// A putter dies: what it has put is worked at, in its order, and nothing else counts.
fn put(run: &Run) {
    let segment = new_segment();
    let (mut tx, mut rx) = ByteJoinableQueue::bounded(&segment, 3).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["task-put"]);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| work(&mut rx));
        victim.end();
        tx.join_until(PATIENCE).expect("the join ends");
        assert_eq!((tx.unfinished(), tx.len()), (0, 0));
        tx.close();
        assert_prefix(&worker.join().unwrap());
    });
    drop((tx, rx));
    check_segment(&segment);
}

/// A worker dies: all of its tasks are worked at by another, and the count comes to nothing.
fn work_and_die(run: &Run) {
    const TASKS: u64 = 100;
    let segment = new_segment();
    let options = JoinableOptions::bounded(3).max_leases(8).max_deliveries(None);
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    let args = ["task-work", &run.log()];
    let mut victim = run.victim(give(&segment, |h| h.give("rx", &rx)), &args);
    std::thread::scope(|scope| {
        // Behind the victim, so that it comes to all of its steps.
        scope.spawn(|| {
            put_numbers(&mut tx, TASKS);
            tx.join_until(PATIENCE).expect("the join ends");
            assert_eq!((tx.unfinished(), tx.len()), (0, 0));
            drop(tx);
        });
        victim.end();
        let here = work(&mut rx);
        let there = log::read(Path::new(&run.log()));
        let done: HashSet<_> = here.iter().chain(&there).collect();
        assert_eq!(done.len() as u64, TASKS, "a task was lost");
        // What the victim logged and did not live to finish was done again: the one or two that it had.
        assert!(here.len() + there.len() <= TASKS as usize + 2, "a finished task went out again");
    });
    drop(rx);
    check_segment(&segment);
}

/// Who sets tasks aside dies, or who takes them out.
fn letters(run: &Run) {
    const TASKS: u64 = 30;
    let segment = new_segment();
    let options = JoinableOptions::unbounded().max_deliveries(Some(1));
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    put_numbers(&mut tx, TASKS);
    let args = ["task-letters", &run.log()];
    let handoff = give(&segment, |h| {
        h.give("rx", &rx)?;
        h.give("tx", &tx)
    });
    run.victim(handoff, &args).end();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| work(&mut rx));
        tx.join_until(PATIENCE).expect("the join ends");
        assert_eq!((tx.unfinished(), tx.len()), (0, 0));
        tx.close();
        let mut all = worker.join().unwrap();
        wait_until("the letters in dead hands to be put back", PATIENCE, || {
            segment.reap();
            segment.participants().len() == 1
        });
        while let Some(letter) = tx.take_dead_letter().unwrap() {
            assert_eq!(letter.deliveries, 1);
            all.push(message::read(&letter.message));
        }
        let there = log::read(Path::new(&run.log()));
        let known = log::check_received(&[there]).len();
        let all: HashSet<_> = all.into_iter().collect();
        // The victim may have died with one that it had taken out.
        assert!(all.len() + known + 1 >= TASKS as usize, "{} and {known}", all.len());
        assert!(all.len() + known <= TASKS as usize, "a letter was taken twice");
        assert_eq!(tx.dead_letters(), 0);
    });
    drop((tx, rx));
    check_segment(&segment);
}

/// Whoever says that tasks are done before they are taken dies, or takes one of them.
fn ahead(run: &Run) {
    let segment = new_segment();
    let options = JoinableOptions::unbounded().max_deliveries(None);
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    put_numbers(&mut tx, 40);
    run.victim(give(&segment, |h| h.give("rx", &rx)), &["task-ahead"]).end();
    end_all_of(&segment, &mut tx, &mut rx);
}

/// Somebody died with a task that was done before; the victim gives it back and dies at it.
fn reap_ahead(run: &Run) {
    let segment = new_segment();
    let options = JoinableOptions::unbounded().max_deliveries(None);
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    put_numbers(&mut tx, 3);
    for at in ["leases.take_ahead.noted", "leases.take_ahead.taken", "joinable.recv.ahead"] {
        mess(&segment, &rx, "ahead", Some(at));
    }
    run.victim(Handoff::new(&segment), &["reap"]).end();
    end_all_of(&segment, &mut tx, &mut rx);
}

/// What is left is said to be done, whoever has it, and joined, and taken; and afterwards each task counts again.
fn end_all_of(segment: &Segment, tx: &mut ByteJoinableSender, rx: &mut ByteJoinableReceiver) {
    wait_until("the dead to be cleaned up after", PATIENCE, || {
        segment.reap();
        segment.participants().len() == 1
    });
    while rx.task_done_of_any().is_ok() {}
    tx.join_until(PATIENCE).expect("the join ends");
    let mut buffer = Vec::new();
    while let Ok(message) = rx.recv_message(&mut buffer, Duration::from_millis(1)) {
        message::read(&buffer);
        // A death may have cost what was said ahead: then it is a task like any other.
        if let Some(id) = message.lease {
            rx.task_done(id).unwrap();
        }
    }
    assert_eq!((tx.unfinished(), tx.len()), (0, 0));
    assert!(matches!(rx.task_done_of_any(), Err(Error::NotYourLease)));
    tx.send(b"another").unwrap();
    assert_eq!(tx.unfinished(), 1, "nothing is left of what was said ahead");
    let message = rx.recv_message(&mut buffer, PATIENCE).unwrap();
    rx.task_done(message.lease.unwrap()).unwrap();
    tx.join_until(PATIENCE).expect("the join ends");
    assert_eq!(tx.unfinished(), 0);
}

fn objects(run: &Run) {
    let segment = new_segment();
    run.victim(Handoff::new(&segment), &["task-objects"]).end();
    check_segment(&segment);
}

/// Somebody who is killed at a fixed point, before the scenario's own victim comes.
fn mess(segment: &Segment, rx: &ByteJoinableReceiver, kind: &str, at: Option<&str>) {
    let handoff = give(segment, |h| h.give("rx", rx));
    let point = at.map(|point| format!("{point}#0")).unwrap_or_default();
    let env = [("SLIPRING_CRASH_AT", point.as_str())];
    let env = if at.is_some() { &env[..] } else { &[] };
    let mut peer = Peer::start_with(handoff, &["victim", "task-mess", kind], env);
    if at.is_none() {
        peer.expect("held");
        peer.kill();
    }
    peer.end();
}

/// Workers have died in many places; the victim cleans up after them and dies at it; then we do.
fn reap(run: &Run) {
    reap_after(run, |tx, _, count| put_numbers(tx, count));
}

/// The same, and whoever put the tasks is dead too: nobody living ever answered for them.
fn reap_putter_too(run: &Run) {
    reap_after(run, |tx, segment, count| {
        let handoff = give(segment, |h| h.give("tx", tx));
        let count = count.to_string();
        let mut putter = Peer::start(handoff, &["victim", "task-mess", "put", "1", &count, "0"]);
        putter.expect("held");
        putter.kill();
    });
}

fn reap_after(run: &Run, put: impl FnOnce(&mut ByteJoinableSender, &Segment, u64)) {
    const MESSES: [(&str, Option<&str>); 9] = [
        ("lease", Some("joinable.recv.noted")),
        ("lease", Some("mpmc.pop.after_take")),
        ("lease", Some("joinable.recv.redirected")),
        ("lease", Some("joinable.recv.erased")),
        ("lease", Some("joinable.recv.leased")),
        ("lease", None),
        ("done", Some("joinable.finish.finished")),
        ("done", Some("joinable.free.taken")),
        ("letter", Some("joinable.set_aside.opened")),
    ];
    let segment = new_segment();
    let options = JoinableOptions::unbounded().max_deliveries(Some(1));
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    // One for each, and one more.
    put(&mut tx, &segment, MESSES.len() as u64 + 1);
    MESSES.iter().for_each(|(kind, at)| mess(&segment, &rx, kind, *at));
    // Two are finished, one is set aside; whoever died on its way to an item left it to the next.
    let unfinished = tx.unfinished();
    assert_eq!(unfinished, MESSES.len() as u64 + 1 - 3);
    let mut victim = run.victim(Handoff::new(&segment), &["reap"]);
    victim.end();
    wait_until("the dead to be cleaned up after", PATIENCE, || {
        segment.reap();
        segment.participants().len() == 1
    });
    assert_eq!(tx.unfinished(), unfinished, "a death changes no count");
    tx.close();
    let here = work(&mut rx);
    tx.join_until(PATIENCE).expect("the join ends");
    let mut all: HashSet<_> = here.into_iter().collect();
    while let Some(letter) = tx.take_dead_letter().unwrap() {
        assert!(all.insert(message::read(&letter.message)), "done and set aside");
    }
    assert_eq!(all.len(), MESSES.len() + 1 - 2, "all but the two that were finished");
    drop((tx, rx));
    check_segment(&segment);
}

/// One worker is stopped as it goes for a task, and another takes that task and dies before it is its own: as long as the
/// first may have taken it nobody decides, and the task is neither lost nor finished.
#[test]
fn a_task_between_a_stopped_and_a_dead_worker_waits_for_the_stopped_one() {
    let segment = new_segment();
    let (mut tx, mut rx) = ByteJoinableQueue::bounded(&segment, 4).unwrap();
    put_numbers(&mut tx, 1);
    let logs = Directory::new("task-between");
    let log = logs.log("stopped").to_str().unwrap().to_owned();
    let stop = [("SLIPRING_STOP_AT", "joinable.recv.noted#0")];
    let handoff = give(&segment, |h| h.give("rx", &rx));
    let mut stopped = Peer::start_with(handoff, &["work", &log], &stop);
    wait_until("the first worker to stop", PATIENCE, || stopped.is_stopped());
    mess(&segment, &rx, "lease", Some("mpmc.pop.after_take"));
    for _ in 0..3 {
        segment.reap();
        assert_eq!((tx.unfinished(), tx.len()), (1, 0), "in nobody's hands, and not forgotten");
        assert_eq!(segment.participants().len(), 3, "the dead one's place is kept");
    }
    stopped.signal(rustix::process::Signal::CONT);
    tx.join_until(PATIENCE).expect("somebody finishes it");
    tx.close();
    stopped.end();
    let done = log::read(&logs.log("stopped")).len() + work(&mut rx).len();
    assert_eq!((tx.unfinished(), done), (0, 1));
    drop((tx, rx));
    check_segment(&segment);
}

/// A putter and a worker go on while another process of the same queue is stopped at any step of its own. Returns whether
/// it came by that step.
fn exchange_beside_a_stopped_one(role: &str, point: &str) -> bool {
    let segment = new_segment();
    let options = JoinableOptions::bounded(4).max_deliveries(None);
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    let logs = Directory::new("task-stopped");
    let handoff = give(&segment, |h| match role {
        "task-put" => h.give("tx", &tx),
        _ => h.give("rx", &rx),
    });
    let victim = start_stopping(handoff, role, point, &logs.log("victim"));
    let mut receive = || {
        let Ok(lease) = rx.recv_until(Duration::from_millis(20)) else { return false };
        message::read(&lease.to_vec());
        lease.done().is_ok()
    };
    let send = |bytes: &[u8]| tx.send_until(bytes, PATIENCE).unwrap();
    let stopped = go_on_beside(victim, &format!("{role} stopped at {point}"), &mut receive, send);
    let patience = Instant::now() + PATIENCE;
    while tx.unfinished() > 0 && Instant::now() < patience {
        receive();
    }
    tx.join_until(PATIENCE).expect("the join ends");
    assert_eq!(tx.unfinished(), 0);
    drop((tx, rx));
    check_segment(&segment);
    stopped
}

#[test]
fn whoever_is_stopped_at_whatever_step_tasks_are_put_and_done() {
    let mut stops = 0;
    for (role, scenario) in [("task-put", put as fn(&Run)), ("task-work", work_and_die)] {
        let points = super::run((role, scenario), None).unwrap();
        stops += points.keys().filter(|p| exchange_beside_a_stopped_one(role, p)).count();
    }
    println!("{stops} stops");
    assert!(stops > 40, "only {stops} stops");
}
