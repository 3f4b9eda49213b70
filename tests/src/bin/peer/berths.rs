//! A program that was started with a berth, and one that starts such programs.

use slipring::{ByteSender, Mutex, OrRecover, PipeWriter};
use slipring_tests::berth::{Arrival, Launch};
use slipring_tests::peer::PATIENCE;
use slipring_tests::wait_until;

use super::command::{Args, inherited, say, sleep_for_ever};

/// Set for those who live on when their parent is killed.
pub const ORPHAN: &str = "SLIPRING_PEER_ORPHAN";

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "board" => board(args),
        "launch" => launch(),
        "launch-victim" => launch_victim(args),
        _ => return false,
    }
    true
}

/// `board WHAT PROOF ID TX PIPE LOCK`: takes a sender, a pipe's writer and a lock, uses them, and sleeps; or stops earlier.
fn board(args: &mut Args) {
    let what = args.text();
    let stop = |word: &str| {
        if what == word {
            say(word);
            sleep_for_ever();
        }
    };
    stop("outside");
    if what == "orphan" {
        let parent = rustix::process::getppid();
        say("started");
        wait_until("the parent's death", PATIENCE, || rustix::process::getppid() != parent);
    }
    let mut arrival = Arrival::new(args.0.by_ref().collect()).unwrap();
    stop("boarded");
    let mut tx: ByteSender = arrival.take();
    stop("halfway");
    let (mut pipe, lock): (PipeWriter, Mutex<u64>) = (arrival.take(), arrival.take());
    stop("aboard");
    drop(arrival);
    tx.send(b"by the queue").unwrap();
    pipe.send(b"by the pipe").unwrap();
    let mut guard = lock.lock().or_recover().unwrap();
    let count = guard.get();
    guard.set(count + 1);
    stop("locked");
    drop(guard);
    stop("done");
}

/// Prepares a program with what this one was given, of which it keeps nothing.
fn prepare(twice: bool) -> Launch {
    let mut inherited = inherited();
    let (tx, pipe, lock): (ByteSender, PipeWriter, Mutex<u64>) = (
        inherited.take("tx").unwrap(),
        inherited.take("pipe").unwrap(),
        inherited.take("lock").unwrap(),
    );
    let launch = Launch::new(inherited.segment()).give(&tx);
    if twice { launch.give(&tx) } else { launch }.give(&pipe).give(&lock)
}

/// Gives what it was given to a program that lives on when this one is killed, and waits for that.
fn launch() {
    let launch = prepare(false);
    let mut command = launch.command(&["board", "orphan"]);
    command.stdout(std::process::Stdio::inherit()).env(ORPHAN, "1");
    command.spawn().unwrap().wait().unwrap();
}

/// `launch-victim KEY=VALUE…`: gives what it was given to a victim with this environment, and waits for its end.
fn launch_victim(args: &mut Args) {
    let launch = prepare(true);
    let mut command = launch.command(&["victim", "berth-board"]);
    command.stdout(std::process::Stdio::inherit());
    command.envs(args.0.by_ref().filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    }));
    let child = command.spawn();
    drop(launch);
    child.unwrap().wait().unwrap();
}
