//! Descriptors for event loops: readable while what they stand for is ready, whoever made it so, and whoever died.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use slipring::{
    ByteJoinableQueue, ByteQueue, Error, Event, Handoff, Mutex, Pipe, Segment, Semaphore, Until,
    Waitable, Watch, wait_any,
};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{median, segment};

/// A death is found out within this time.
const SOON: Duration = Duration::from_millis(300);
/// Shorter than the time after which everybody looks again in any case.
const AT_ONCE: Duration = Duration::from_millis(40);

fn give(segment: &Segment, give: impl FnOnce(&mut Handoff) -> slipring::Result<()>) -> Handoff {
    let mut handoff = Handoff::new(segment);
    give(&mut handoff).unwrap();
    handoff
}

/// Whether the descriptor is readable, after `wait` at most.
fn is_readable<T: Waitable>(watch: &mut Watch<T>, wait: Duration) -> bool {
    let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
    let fd = PollFd::from_borrowed_fd(watch.as_fd().unwrap(), PollFlags::IN);
    poll(&mut [fd], Some(&wait)).unwrap() > 0
}

/// What an event loop does, until the object is ready. Returns how long that took.
fn run_loop<T: Waitable>(watch: &mut Watch<T>) -> Duration {
    let start = Instant::now();
    loop {
        assert!(is_readable(watch, PATIENCE), "nothing came of it");
        if watch.ready().unwrap() {
            return start.elapsed();
        }
    }
}

/// What is true whenever nothing is ready: nothing is to be read, but for the look that is due now and then.
fn assert_quiet<T: Waitable>(watch: &mut Watch<T>) {
    assert!(!watch.ready().unwrap());
    let quiet = (0..100).any(|_| {
        let readable = is_readable(watch, Duration::ZERO);
        assert!(!watch.ready().unwrap());
        !readable
    });
    assert!(quiet, "it is readable all the time");
}

/// What is true while something is ready: it is readable, however often it is asked.
fn assert_ready<T: Waitable>(watch: &mut Watch<T>) {
    for _ in 0..3 {
        assert!(is_readable(watch, Duration::ZERO) && watch.ready().unwrap());
    }
}

#[test]
fn it_is_readable_as_soon_as_another_process_sends_and_until_the_message_is_taken() {
    let segment = segment();
    let (mut questions, their_rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let (their_tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let peer = Peer::start(
        give(&segment, |h| {
            h.give("rx", &their_rx)?;
            h.give("tx", &their_tx)
        }),
        &["answer"],
    );
    drop((their_rx, their_tx));
    peer.expect("ready");
    let mut watch = Watch::new(rx).unwrap();
    let mut times = Vec::new();
    for round in 0..40_u32 {
        assert_quiet(&mut watch);
        questions.send(&round.to_le_bytes()).unwrap();
        times.push(run_loop(&mut watch));
        assert_ready(&mut watch);
        assert_eq!(watch.get_mut().try_recv().unwrap(), round.to_le_bytes());
    }
    assert!(median(times.clone()) < AT_ONCE / 4, "{times:?}");
    // Two messages are taken one at a time.
    questions.send_batch(["a", "b"], Until::NEVER).unwrap();
    for expected in [b"a", b"b"] {
        run_loop(&mut watch);
        assert_eq!(watch.get_mut().try_recv().unwrap(), expected);
    }
    assert_quiet(&mut watch);
    // The end is ready, too, and stays so.
    drop(questions);
    peer.join();
    run_loop(&mut watch);
    assert_ready(&mut watch);
    // It may go to another thread.
    let end = std::thread::spawn(move || watch.into_inner().try_recv()).join().unwrap();
    assert!(matches!(end, Err(Error::Disconnected)));
}

#[test]
fn what_another_process_takes_is_not_ready_any_more() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let mut watch = Watch::new(rx.try_clone().unwrap()).unwrap();
    tx.send(b"one").unwrap();
    run_loop(&mut watch);
    let peer = Peer::start(give(&segment, |h| h.give("rx", &rx)), &["take-one"]);
    peer.expect("took 3");
    peer.join();
    assert_quiet(&mut watch);
    tx.send(b"two").unwrap();
    run_loop(&mut watch);
    assert_ready(&mut watch);
}

#[test]
fn a_full_queues_sender_is_told_of_room() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 1).unwrap();
    tx.send(b"full").unwrap();
    let mut watch = Watch::new(tx).unwrap();
    assert_quiet(&mut watch);
    let peer = Peer::start(give(&segment, |h| h.give("rx", &rx)), &["take-one"]);
    run_loop(&mut watch);
    assert_ready(&mut watch);
    watch.get_mut().try_send(b"again").unwrap();
    assert_quiet(&mut watch);
    peer.join();
}

#[test]
fn a_task_that_is_given_back_is_told_of_and_one_that_its_worker_died_of() {
    let segment = segment();
    let (tx, rx) = ByteJoinableQueue::bounded(&segment, 1).unwrap();
    let mut watch = Watch::new(rx.try_clone().unwrap()).unwrap();
    let mut putter = Watch::new(tx).unwrap();
    assert_quiet(&mut watch);
    assert_ready(&mut putter);
    putter.get_mut().send(b"task").unwrap();
    assert_quiet(&mut putter);
    run_loop(&mut watch);
    assert_ready(&mut watch);

    let peer = Peer::start(give(&segment, |h| h.give("tasks", &rx)), &["act", "give-back"]);
    peer.expect("ready");
    peer.expect("leased");
    assert_quiet(&mut watch);
    run_loop(&mut putter);
    run_loop(&mut watch);
    assert_ready(&mut watch);
    peer.join();

    let mut peer = Peer::start(give(&segment, |h| h.give("rx", &rx)), &["hold-tasks", "1"]);
    peer.line();
    assert_quiet(&mut watch);
    peer.kill();
    let took = run_loop(&mut watch);
    assert!(took < SOON, "{took:?}");

    // While somebody has a lease, the end of the senders is not the end: the task may come back.
    drop(putter);
    let lease = watch.get_mut().try_recv().unwrap();
    let mut other = Watch::new(rx).unwrap();
    assert_quiet(&mut other);
    lease.done().unwrap();
    run_loop(&mut other);
    assert!(matches!(other.get_mut().try_recv(), Err(Error::Disconnected)));
}

#[test]
fn a_death_is_found_out_by_looking_when_told() {
    let segment = segment();
    let (tx, rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let (reader, writer) = Pipe::one_way(&segment).unwrap();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let (mut rx, mut reader, mut lock) =
        (Watch::new(rx).unwrap(), Watch::new(reader).unwrap(), Watch::new(mutex.clone()).unwrap());
    let handoff = give(&segment, |h| {
        h.give("tx", &tx)?;
        h.give("w", &writer)?;
        h.give("mutex", &mutex)
    });
    let mut holder = Peer::start(handoff, &["act", "lock-for-ever"]);
    holder.expect("ready");
    holder.expect("held");
    drop((tx, writer));
    assert_quiet(&mut rx);
    assert_quiet(&mut reader);
    assert_quiet(&mut lock);
    holder.kill();
    let took = [run_loop(&mut reader), run_loop(&mut rx), run_loop(&mut lock)];
    assert!(took.iter().all(|took| *took < SOON), "{took:?}");
    assert_ready(&mut rx);
    assert_ready(&mut reader);
}

#[test]
fn all_watches_of_a_process_are_told_and_so_are_threads_that_wait() {
    let segment = segment();
    let (semaphore, event) = (Semaphore::new(&segment, 0).unwrap(), Event::new(&segment).unwrap());
    // Nobody ever looks at this one.
    let _idle = Watch::new(semaphore.clone()).unwrap();
    let mut watches = [(); 3].map(|()| Watch::new(semaphore.clone()).unwrap());
    let mut events = [(); 2].map(|()| Watch::new(event.clone()).unwrap());
    std::thread::scope(|scope| {
        let waiting = [(); 3].map(|()| {
            let semaphore = semaphore.clone();
            scope.spawn(move || {
                wait_any(&[&semaphore], PATIENCE).unwrap();
            })
        });
        let peer =
            Peer::start(give(&segment, |h| h.give("semaphore", &semaphore)), &["act", "release"]);
        watches.iter_mut().for_each(|watch| assert!(run_loop(watch) < PATIENCE));
        waiting.into_iter().for_each(|waiting| waiting.join().unwrap());
        peer.join();
    });
    watches.iter_mut().for_each(assert_ready);
    semaphore.try_acquire().unwrap();
    watches.iter_mut().for_each(assert_quiet);
    // None waits for another one's look, and what one has heard is for all.
    let mut times = Vec::new();
    for _ in 0..20 {
        semaphore.release(1).unwrap();
        assert!(!events[0].ready().unwrap());
        times.push(watches.iter_mut().map(run_loop).sum::<Duration>());
        semaphore.try_acquire().unwrap();
        watches.iter_mut().for_each(assert_quiet);
    }
    assert!(median(times.clone()) < AT_ONCE / 4, "{times:?}");
    event.set().unwrap();
    events.iter_mut().for_each(|watch| assert!(run_loop(watch) < PATIENCE));
    events.iter_mut().for_each(assert_ready);
    event.clear().unwrap();
    events.iter_mut().for_each(assert_quiet);
}

#[test]
fn while_nothing_is_ready_a_loop_wakes_twenty_times_a_second_and_no_more() {
    // In a process of its own, which nobody else rings for.
    let peer = Peer::alone(&["idle-watch", "500"]);
    let wakes: u32 = peer.line().parse().expect("a number");
    assert!((1..=12).contains(&wakes), "{wakes} wake-ups in half a second");
    peer.join();
}

#[test]
fn a_forked_watch_serves_both_processes() {
    let peer = Peer::alone(&["fork-watch"]);
    peer.expect("ok");
    peer.join();
}
