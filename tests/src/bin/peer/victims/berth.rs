//! Victims that start programs with berths, and that are started so.

use slipring::{Berth, Boarding, ByteSender, Mutex, OrRecover, PipeWriter};
use slipring_tests::berth::{Arrival, Launch};

use super::common::LONG;
use crate::berths::ORPHAN;
use crate::command::{Args, inherited};

/// Gives what it was given to two programs, to one that is not started, to one that does not board, and to itself.
pub fn give() {
    let mut inherited = inherited();
    let (tx, pipe): (ByteSender, PipeWriter) =
        (inherited.take("tx").unwrap(), inherited.take("pipe").unwrap());
    let lock: Mutex<u64> = inherited.take("lock").unwrap();
    let launch = || Launch::new(inherited.segment()).give(&tx).give(&pipe).give(&lock);
    for _ in 0..2 {
        let launch = launch();
        let mut command = launch.command(&["board", "through"]);
        // It goes on when this one is killed.
        command.env_remove("SLIPRING_CRASH_AT").env_remove("SLIPRING_CRASH_TRACE").env(ORPHAN, "1");
        let child = command.spawn();
        drop(launch);
        child.unwrap().wait().unwrap();
    }
    launch().into_berth().abandon();
    drop(launch());
    let mut berth = Berth::new(inherited.segment()).unwrap();
    let given = berth.give(&tx).unwrap();
    let proof = berth.as_fd().try_clone_to_owned().unwrap();
    let boarding = Boarding::new(proof, berth.id()).unwrap();
    let mut tx: ByteSender = boarding.take(&given.text, given.fds).unwrap();
    drop((boarding, berth));
    tx.send_until(b"to myself", LONG).unwrap();
}

/// `victim berth-board PROOF ID TX TX PIPE LOCK`: takes what it was given, and uses it.
pub fn board(args: &mut Args) {
    let mut arrival = Arrival::new(args.0.by_ref().collect()).unwrap();
    let (mut tx, again): (ByteSender, ByteSender) = (arrival.take(), arrival.take());
    let mut pipe: PipeWriter = arrival.take();
    tx.send_until(b"one", LONG).unwrap();
    drop(tx);
    let lock: Mutex<u64> = arrival.take();
    let mut guard = lock.lock_until(LONG).or_recover().unwrap();
    guard.set(1);
    drop(arrival);
    drop(guard);
    drop(again);
    pipe.send_until(b"two", LONG).unwrap();
}
