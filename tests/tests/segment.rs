//! Segments between processes: who takes part, what runs out, what wakes whom.

use std::os::fd::AsRawFd;
use std::time::Duration;

use slipring::{ByteQueue, Error, Handoff, Inherited, Segment};
use slipring_core::futex::{self, Scope};
use slipring_core::primitive::{AtomicU32, Ordering};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{segment, wait_until};

/// A peer that sleeps on the first word of a file, and what it says when 400 ms have passed since a Shared wake.
fn sleeper(scope: &str) -> String {
    let file = rustix::fs::memfd_create("word", rustix::fs::MemfdFlags::empty()).unwrap();
    rustix::fs::ftruncate(&file, 4096).unwrap();
    let map = memmap2::MmapOptions::new().len(4096).map_raw(&file).unwrap();
    // SAFETY: the page is mapped for as long as the test runs; an atomic may be written by anybody.
    let word = unsafe { &*map.as_mut_ptr().cast::<AtomicU32>() };
    let peer = Peer::alone(&["futex-wait", &file.as_raw_fd().to_string(), scope]);
    peer.expect("waiting");
    std::thread::sleep(Duration::from_millis(100));
    word.store(1, Ordering::Release);
    wait_until("the peer to be woken", Duration::from_secs(5), || {
        futex::wake(word, futex::ALL, Scope::Shared) > 0 || scope == "private"
    });
    let line = peer.line();
    peer.join();
    line
}

#[test]
fn a_shared_wait_is_woken_from_another_process() {
    let line = sleeper("shared");
    let (woken, millis) = line.split_once(' ').unwrap();
    assert_eq!(woken, "Woken");
    assert!(millis.parse::<u64>().unwrap() < 2000, "{line}");
}

#[test]
fn a_private_wait_is_not_and_that_is_why_there_are_two() {
    let line = sleeper("private");
    assert!(line.starts_with("TimedOut"), "{line}");
}

#[test]
fn a_killed_participant_is_cleaned_up_after_and_its_place_given_again() {
    let segment = segment();
    let (tx, _rx) = ByteQueue::bounded(&segment, 4).unwrap();
    for _ in 0..3 {
        let mut handoff = Handoff::new(&segment);
        handoff.give("tx", &tx).unwrap();
        let mut peer = Peer::start(handoff, &["hold-sender"]);
        peer.expect("holding");
        let pid = peer.pid().as_raw_nonzero().get() as u32;
        assert!(segment.participants().iter().any(|p| p.pid == pid && !p.is_dead && !p.is_me));
        peer.kill_and_leave();
        wait_until("the kernel to tell", PATIENCE, || {
            segment.participants().iter().any(|p| p.pid == pid && p.is_dead) || segment.reap() > 0
        });
        wait_until("the place to be free", PATIENCE, || {
            segment.reap();
            segment.participants().len() == 1
        });
    }
}

#[test]
fn a_full_file_system_is_an_error_and_nobody_loses_anything() {
    let peer = Peer::alone(&["full-tmpfs"]);
    let line = peer.line();
    assert!(line == "ok" || line.starts_with("skipped"), "{line}");
    println!("{line}");
    peer.join();
}

#[test]
fn too_many_participants_are_refused_and_the_others_go_on() {
    let peer = Peer::alone(&["too-many"]);
    peer.expect("ok");
    peer.join();
}

#[test]
fn a_process_that_was_given_nothing_is_told_so() {
    assert!(matches!(Inherited::from_env(), Err(Error::NotInherited(_))));
}

#[test]
fn what_a_child_does_not_take_is_closed() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("tx", &tx).unwrap();
    handoff.give("unused", &tx).unwrap();
    let peer = Peer::start(handoff, &["produce", "0", "2", "64"]);
    drop(tx);
    assert_eq!(rx.recv().unwrap().len() + rx.recv().unwrap().len(), 128);
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    peer.join();
}

#[test]
fn a_program_that_cannot_be_started_leaves_no_handles_behind() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("tx", &tx).unwrap();
    let error = handoff.spawn(&mut std::process::Command::new("/no/such/program")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    drop(tx);
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    wait_until("its place to be free", PATIENCE, || {
        segment.reap();
        segment.participants().len() == 1
    });
}

#[test]
fn a_segment_ends_with_its_last_participant_and_leaves_no_file() {
    let segment = Segment::create().unwrap();
    let fd = segment.share_fd().unwrap();
    drop(segment);
    let again = Segment::from_fd(&fd).unwrap();
    assert_eq!(again.participants().len(), 1, "the first one has left in good order");
}
