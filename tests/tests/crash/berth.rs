//! Whoever prepares a berth, or boards it, is killed: what was given is taken, or given back.

use slipring::{
    ByteQueue, ByteReceiver, ByteSender, Error, Handoff, Mutex, OrRecover, Pipe, PipeReader,
    PipeWriter, Segment,
};

use super::{PATIENCE, Run, Scenario, check_segment, give, new_segment};
use slipring_tests::peer::Peer;

/// See the module.
pub const SCENARIOS: &[Scenario] = &[("berth-give", give_away), ("berth-board", board)];

/// What is given, and what is left here.
type Given = (ByteSender, PipeWriter, Mutex<u64>);
type Rest = (ByteReceiver, PipeReader, Mutex<u64>);

fn ends(segment: &Segment) -> (Given, Rest) {
    let (tx, rx) = ByteQueue::bounded(segment, 8).unwrap();
    let (reader, writer) = Pipe::one_way(segment).unwrap();
    let lock = Mutex::new(segment, 0).unwrap();
    ((tx, writer, lock.clone()), (rx, reader, lock))
}

/// Nobody has what was given any more. Returns how many messages came.
fn assert_given_back(segment: &Segment, (mut rx, mut reader, lock): Rest) -> [usize; 2] {
    let mut count = [0; 2];
    loop {
        match rx.recv_until(PATIENCE) {
            Ok(_) => count[0] += 1,
            Err(Error::Disconnected) => break,
            Err(error) => panic!("no end of the queue: {error}"),
        }
    }
    loop {
        match reader.recv_until(PATIENCE) {
            Ok(_) => count[1] += 1,
            Err(Error::Disconnected) => break,
            Err(error) => panic!("no end of the pipe: {error}"),
        }
    }
    drop(lock.lock_until(PATIENCE).or_recover().expect("the lock is free"));
    drop((rx, reader, lock));
    check_segment(segment);
    count
}

fn give_to(segment: &Segment, (tx, writer, lock): Given) -> Handoff {
    give(segment, |h| {
        h.give("tx", &tx)?;
        h.give("pipe", &writer)?;
        h.give("lock", &lock)
    })
}

/// The programs that the victim starts go on without it.
fn give_away(run: &Run) {
    let segment = new_segment();
    let (given, rest) = ends(&segment);
    let mut victim = run.victim(give_to(&segment, given), &["berth-give"]);
    victim.end();
    let [by_queue, by_pipe] = assert_given_back(&segment, rest);
    assert!(by_queue <= 3 && by_pipe <= 2, "{by_queue} {by_pipe}");
}

/// The victim is started by another peer: here, a fork would take part in other scenarios.
fn board(run: &Run) {
    let segment = new_segment();
    let (given, rest) = ends(&segment);
    let env = run.env.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let args = ["launch-victim"].into_iter().chain(env.iter().map(String::as_str));
    Peer::start(give_to(&segment, given), &args.collect::<Vec<_>>()).join();
    let [by_queue, by_pipe] = assert_given_back(&segment, rest);
    assert!(by_queue <= 1 && by_pipe <= 1, "{by_queue} {by_pipe}");
}
