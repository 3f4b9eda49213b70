//! Programs that close descriptors behind the library's back: their own files are not touched, and they count as living.

use std::time::{Duration, Instant};

use slipring::{ByteQueue, Connection, Error, Handoff, LockError, Mutex, Pipe};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::segment;

/// A process with these handles that does `command`.
fn with_lock_and_queue(command: &str) -> (Mutex<u64>, slipring::ByteReceiver, Peer) {
    let segment = segment();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let (sender, receiver) = ByteQueue::bounded(&segment, 8).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("mutex", &mutex).unwrap();
    handoff.give("lines", &sender).unwrap();
    (mutex, receiver, Peer::start(handoff, &[command]))
}

#[test]
fn a_process_that_closed_all_descriptors_keeps_its_lock_and_leaves_its_own_files_alone() {
    let (mutex, mut lines, peer) = with_lock_and_queue("closed-descriptors");
    peer.expect("held");
    let early = mutex.lock_until(Duration::from_millis(150)).map(drop);
    assert!(matches!(early, Err(LockError::Failed(Error::TimedOut))), "{early:?}");
    assert_eq!(mutex.lock().unwrap().get(), 13, "it was not taken from the living");
    assert_eq!(lines.recv_until(PATIENCE).unwrap().len(), 3 << 20);
    assert_eq!(lines.recv_until(PATIENCE).unwrap(), b"from a child");
    peer.expect("done");
    peer.join();
    assert!(matches!(lines.recv_until(PATIENCE), Err(Error::Disconnected)));
    assert_eq!(mutex.lock().unwrap().get(), 14);
}

#[test]
fn a_process_that_cannot_open_its_segment_again_is_told_and_counts_as_living() {
    let (mutex, mut lines, mut peer) = with_lock_and_queue("closed-as-nobody");
    let line = peer.line();
    if line.starts_with("skipped") {
        return println!("{line}");
    }
    assert_eq!(line, "held");
    let early = mutex.lock_until(Duration::from_millis(150)).map(drop);
    assert!(matches!(early, Err(LockError::Failed(Error::TimedOut))), "{early:?}");
    assert_eq!(mutex.lock().unwrap().get(), 13);
    assert_eq!(lines.recv_until(PATIENCE).unwrap().len(), 1 << 20);
    peer.expect("done");
    peer.kill();
    assert!(matches!(lines.recv_until(PATIENCE), Err(Error::Disconnected)));
}

/// A duplex pipe to a process that closes its socket.
fn with_pipe(command: &str) -> (Connection, Peer) {
    let segment = segment();
    let (mut here, there) = Pipe::duplex(&segment).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("pipe", &there).unwrap();
    let peer = Peer::start(handoff, &[command]);
    drop(there);
    assert_eq!(here.recv().unwrap(), b"before");
    (here, peer)
}

#[test]
fn a_pipe_whose_socket_is_closed_on_one_side_goes_on_and_no_stranger_gets_its_bytes() {
    let (mut here, peer) = with_pipe("closed-pipe");
    std::thread::sleep(Duration::from_millis(50));
    here.send(b"after").unwrap();
    for _ in 0..2000 {
        assert_eq!(here.recv_until(PATIENCE).unwrap(), [1; 100]);
    }
    peer.expect("done");
    let end = here.recv_until(PATIENCE);
    assert!(matches!(end, Err(Error::Disconnected)), "its last handle is gone: {end:?}");
}

#[test]
fn a_process_whose_socket_is_closed_and_that_is_killed_is_the_end_of_the_pipe() {
    let (mut here, mut peer) = with_pipe("closed-pipe");
    std::thread::sleep(Duration::from_millis(50));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        peer.kill();
    });
    let end = here.recv_until(PATIENCE);
    assert!(matches!(end, Err(Error::Disconnected)), "{end:?}");
    killer.join().unwrap();
    let sent = (0..200).find_map(|_| here.send(b"x").err());
    assert!(matches!(sent, Some(Error::Disconnected)), "{sent:?}");
}

#[test]
fn an_acceptor_whose_socket_is_closed_says_so() {
    let name = format!("test-closed-acceptor-{}", std::process::id());
    let peer = Peer::alone(&["closed-acceptor", &name]);
    peer.expect("done");
    peer.join();
}

#[test]
fn a_child_without_a_place_of_its_own_does_not_keep_its_dead_parent_alive() {
    let segment = segment();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("mutex", &mutex).unwrap();
    let mut peer = Peer::start(handoff, &["fork-without-descriptors"]);
    let child: i32 = peer.line().parse().unwrap();
    let start = Instant::now();
    peer.kill();
    let taken = mutex.lock_until(Duration::from_secs(5)).map(drop);
    assert!(matches!(taken, Err(LockError::OwnerDied(_))), "{taken:?}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let child = rustix::process::Pid::from_raw(child).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_daemon_goes_on_with_what_a_library_made_before() {
    let peer = Peer::alone(&["daemon"]);
    peer.expect("done");
    peer.join();
}
