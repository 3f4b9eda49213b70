//! Threads that wait for several objects at once: of every kind, across processes, with kills.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use slipring::watch::WaitSet;
use slipring::{
    BoundedSemaphore, ByteQueue, Error, Event, Handoff, LockError, Mutex, Pipe, PipeOptions,
    Segment, Semaphore, Until, Waitable, wait_any,
};
use slipring_core::primitive::{AtomicU64, Ordering};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::MIXED;
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, median, segment, wait_until};

/// A death is found out within this time.
const SOON: Duration = Duration::from_millis(300);
const SHORT: Duration = Duration::from_millis(5);
/// Shorter than the time after which everybody looks again in any case.
const AT_ONCE: Duration = Duration::from_millis(40);

fn give(segment: &Segment, give: impl FnOnce(&mut Handoff) -> slipring::Result<()>) -> Handoff {
    let mut handoff = Handoff::new(segment);
    give(&mut handoff).unwrap();
    handoff
}

#[test]
fn of_objects_of_every_kind_the_one_that_another_process_made_ready_is_named() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let (mut full_tx, full_rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    let (full_reader, mut full_writer) =
        Pipe::one_way_with(&segment, PipeOptions::new().ring(256)).unwrap();
    let semaphore = Semaphore::new(&segment, 0).unwrap();
    let bounded = BoundedSemaphore::new(&segment, 1).unwrap();
    let event = Event::new(&segment).unwrap();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    bounded.acquire().unwrap();
    full_tx.send(b"full").unwrap();
    while full_writer.try_send(&[0; 50]).is_ok() {}
    let peer = Peer::start(
        give(&segment, |h| {
            h.give("tx", &tx)?;
            h.give("rx", &full_rx)?;
            h.give("w", &writer)?;
            h.give("r", &full_reader)?;
            h.give("semaphore", &semaphore)?;
            h.give("event", &event)?;
            h.give("mutex", &mutex)
        }),
        &["act", "lock", "send", "receive", "write", "read", "release", "set"],
    );
    drop(full_reader);
    peer.expect("ready");
    peer.expect("held");
    macro_rules! wait {
        () => {{
            let all: [&dyn Waitable; 8] =
                [&bounded, &mutex, &rx, &full_tx, &reader, &full_writer, &semaphore, &event];
            wait_any(&all, PATIENCE).unwrap()
        }};
    }
    assert_eq!(wait!(), 1);
    let _guard = mutex.lock().unwrap();
    assert_eq!(wait!(), 2);
    assert_eq!(rx.try_recv().unwrap(), b"from a peer");
    assert_eq!(wait!(), 3);
    full_tx.try_send(b"again").unwrap();
    assert_eq!(wait!(), 4);
    assert_eq!(reader.try_recv().unwrap(), b"from a peer");
    assert_eq!(wait!(), 5);
    // The peer reads until there will be no more.
    drop(full_writer);
    let rest: [&dyn Waitable; 3] = [&bounded, &semaphore, &event];
    assert_eq!(wait_any(&rest, PATIENCE).unwrap(), 1);
    semaphore.try_acquire().unwrap();
    assert_eq!(wait_any(&rest, PATIENCE).unwrap(), 2);
    peer.join();
    drop((tx, writer, full_rx));
}

#[test]
fn what_is_ready_already_is_named_without_waiting_and_the_first_of_several() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::unbounded(&segment).unwrap();
    let (semaphore, event) = (Semaphore::new(&segment, 0).unwrap(), Event::new(&segment).unwrap());
    let now = |all: &[&dyn Waitable]| wait_any(all, Until::NOW);
    assert!(matches!(now(&[&semaphore, &event, &rx]), Err(Error::WouldBlock)));
    assert_eq!(now(&[&semaphore, &event, &tx]).unwrap(), 2, "an unbounded queue has room");
    tx.send(b"x").unwrap();
    semaphore.release(1).unwrap();
    assert_eq!(now(&[&event, &rx, &semaphore]).unwrap(), 1);
    assert_eq!(now(&[&semaphore, &rx]).unwrap(), 0);
    drop(rx);
    assert_eq!(now(&[&event, &tx]).unwrap(), 1, "the end is ready, too");
}

#[test]
fn a_deadline_holds_over_all_of_them() {
    let segment = segment();
    let (one, two) = (Event::new(&segment).unwrap(), Semaphore::new(&segment, 0).unwrap());
    for wait in [1, 30, 120].map(Duration::from_millis) {
        let start = Instant::now();
        assert!(matches!(wait_any(&[&one, &two], wait), Err(Error::TimedOut)));
        let took = start.elapsed();
        assert!(took >= wait && took < wait + SOON, "{took:?} for {wait:?}");
    }
}

/// How long this thread has been on a processor.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn who_waits_leaves_the_processor_to_others() {
    let segment = segment();
    let (tx, rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let (reader, writer) = Pipe::one_way(&segment).unwrap();
    let (full_reader, mut full_writer) =
        Pipe::one_way_with(&segment, PipeOptions::new().ring(256)).unwrap();
    while full_writer.try_send(&[0; 50]).is_ok() {}
    let semaphore = Semaphore::new(&segment, 0).unwrap();
    let event = Event::new(&segment).unwrap();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let _guard = mutex.lock().unwrap();
    let all: [&dyn Waitable; 6] = [&rx, &reader, &full_writer, &semaphore, &event, &mutex];
    let lists = all.iter().map(std::slice::from_ref).chain([&all[..]]);
    for list in lists {
        let before = cpu_time();
        assert!(matches!(wait_any(list, Duration::from_millis(200)), Err(Error::TimedOut)));
        let burnt = cpu_time() - before;
        assert!(burnt < Duration::from_millis(40), "{burnt:?} of 200 ms");
    }
    drop((tx, writer, full_reader));
}

#[test]
#[should_panic(expected = "there is nothing to wait for")]
fn nothing_cannot_be_waited_for() {
    let _ = wait_any(&[], Until::NEVER);
}

#[test]
fn another_process_serves_what_comes_from_anywhere_at_once() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let (reader, mut writer) = Pipe::one_way(&segment).unwrap();
    let (semaphore, event) = (Semaphore::new(&segment, 0).unwrap(), Event::new(&segment).unwrap());
    let handoff = give(&segment, |h| {
        h.give("event", &event)?;
        h.give("semaphore", &semaphore)?;
        h.give("rx", &rx)?;
        h.give("r", &reader)
    });
    let peer = Peer::start(handoff, &["serve-any"]);
    peer.expect("ready");
    let mut times = Vec::new();
    for round in 0..60 {
        let start = Instant::now();
        let expected = match round % 3 {
            0 => tx.send(b"a message").map(|()| "queue"),
            1 => writer.send(b"a message").map(|()| "pipe"),
            _ => semaphore.release(1).map(|()| "semaphore"),
        };
        peer.expect(expected.unwrap());
        times.push(start.elapsed());
        // Time to go to sleep.
        std::thread::sleep(Duration::from_micros(300));
    }
    assert!(median(times.clone()) < AT_ONCE / 4, "{times:?}");
    event.set().unwrap();
    peer.expect("event");
    peer.join();
}

#[test]
fn of_many_threads_that_wait_for_one_queue_none_sleeps_on_while_there_is_a_message() {
    const COUNT: u64 = 2000;
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 8).unwrap();
    let stop = Event::new(&segment).unwrap();
    let received = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let mut rx = rx.try_clone().unwrap();
            let (stop, received) = (&stop, &received);
            scope.spawn(move || {
                while wait_any(&[stop, &rx], PATIENCE).unwrap() == 1 {
                    if rx.try_recv().is_ok() {
                        received.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let start = Instant::now();
        for number in 0..COUNT {
            wait_any(&[&tx], PATIENCE).unwrap();
            tx.send(&number.to_le_bytes()).unwrap();
            if number % 10 == 0 {
                wait_until("all to be received", AT_ONCE * 10, || tx.is_empty());
            }
        }
        wait_until("all to be received", PATIENCE, || received.load(Ordering::Relaxed) == COUNT);
        let each = start.elapsed() / (COUNT / 10) as u32;
        assert!(each < AT_ONCE, "{each:?} for ten");
        stop.set().unwrap();
    });
}

#[test]
fn a_death_makes_ready_what_it_ends() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let handoff = give(&segment, |h| {
        h.give("tx", &tx)?;
        h.give("w", &writer)?;
        h.give("mutex", &mutex)
    });
    let mut peer = Peer::start(handoff, &["act", "lock-for-ever"]);
    peer.expect("ready");
    peer.expect("held");
    let mut other = Peer::start(
        give(&segment, |h| {
            h.give("tx", &tx)?;
            h.give("w", &writer)
        }),
        &["act", "hold"],
    );
    other.expect("ready");
    other.expect("held");
    drop((tx, writer));
    let after = |kill: &mut Peer, all: &[&dyn Waitable]| {
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                std::thread::sleep(SHORT);
                kill.kill();
                Instant::now()
            });
            let index = wait_any(all, PATIENCE).unwrap();
            let now = Instant::now();
            (index, now.saturating_duration_since(killer.join().unwrap()))
        })
    };
    let (index, took) = after(&mut peer, &[&rx, &reader, &mutex]);
    assert!(index == 2 && took < SOON, "{index} after {took:?}");
    assert!(matches!(mutex.try_lock(), Err(LockError::OwnerDied(_))));
    let (index, took) = after(&mut other, &[&reader]);
    assert!(
        index == 0 && took < AT_ONCE,
        "{index} after {took:?}: the kernel tells of a pipe's end"
    );
    assert!(matches!(reader.try_recv(), Err(Error::Disconnected)));
    let start = Instant::now();
    assert_eq!(wait_any(&[&rx], PATIENCE).unwrap(), 0);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(matches!(rx.try_recv(), Err(Error::Disconnected)));
}

#[test]
fn processes_that_wait_for_two_queues_and_are_killed_lose_no_more_than_they_had_in_hand() {
    let seconds = std::env::var("SLIPRING_KILL_SECONDS").ok().and_then(|s| s.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(10) / 2);
    const COUNT: u64 = 3000;
    let segment = segment();
    let queues = [8, 64].map(|capacity| ByteQueue::bounded(&segment, capacity).unwrap());
    let logs = Directory::new("watch-kills");
    let path = |n: usize| logs.log(&n.to_string()).to_str().unwrap().to_owned();
    let mut logged = 0;
    let mut consumer = || {
        let both = |h: &mut Handoff| {
            h.give("rx1", &queues[0].1)?;
            h.give("rx2", &queues[1].1)
        };
        logged += 1;
        Peer::start(give(&segment, both), &["consume-any", &path(logged - 1)])
    };
    let mut consumers = [consumer(), consumer()];
    let (mut random, mut kills, mut producers) = (Random::new(5), 0, 0);
    let mut running: Vec<Peer> = Vec::new();
    while Instant::now() < end || producers < 2 {
        running.retain_mut(|peer| !peer.has_ended());
        if running.len() < 2 && producers < 200 {
            let tx = &queues[producers % 2].0;
            let (id, count, size) = (producers.to_string(), COUNT.to_string(), MIXED.to_string());
            let handoff = give(&segment, |h| h.give("tx", tx));
            running.push(Peer::start(handoff, &["produce", &id, &count, &size]));
            producers += 1;
        }
        std::thread::sleep(Duration::from_millis(20 + random.below(60)));
        let which = random.below(2) as usize;
        consumers[which].kill();
        consumers[which] = consumer();
        kills += 1;
    }
    running.into_iter().for_each(Peer::join);
    let [(tx1, rx1), (tx2, rx2)] = queues;
    drop((tx1, tx2));
    consumers.into_iter().for_each(Peer::join);
    let received: Vec<_> = (0..logged).map(|n| log::read(path(n).as_ref())).collect();
    let (came, sent) = (log::check_received(&received).len(), producers * COUNT as usize);
    println!("{came} of {sent} came, {kills} kills");
    assert!(came <= sent && came + kills >= sent, "{came} of {sent} came");
    drop((rx1, rx2));
    wait_until("all blocks to be given back", PATIENCE, || {
        segment.reap();
        segment.blocks_in_use() == 0
    });
}

fn is_readable(fds: [BorrowedFd<'_>; 2], wait: Duration) -> bool {
    let mut watched = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
    poll(&mut watched, Some(&wait)).unwrap() > 0
}

#[test]
fn an_event_loop_is_told_by_a_sets_descriptors() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let semaphore = Semaphore::new(&segment, 0).unwrap();
    // What another thread hears is passed on.
    let other = semaphore.clone();
    let stop = Event::new(&segment).unwrap();
    let (stopped, beside) = (stop.clone(), stop.clone());
    let listener = std::thread::spawn(move || wait_any(&[&stopped], PATIENCE));
    let mut set = WaitSet::new(&[&semaphore]).unwrap();
    assert_eq!(set.ready().unwrap(), None);
    for _ in 0..20 {
        while is_readable(set.as_fds(), Duration::ZERO) {
            assert_eq!(set.ready().unwrap(), None);
        }
        let peer =
            Peer::start(give(&segment, |h| h.give("semaphore", &other)), &["act", "release"]);
        let start = Instant::now();
        while set.ready().unwrap().is_none() {
            is_readable(set.as_fds(), PATIENCE);
            assert!(start.elapsed() < PATIENCE);
        }
        semaphore.try_acquire().unwrap();
        assert_eq!(set.ready().unwrap(), None);
        peer.join();
    }
    drop(set);
    beside.set().unwrap();
    assert_eq!(listener.join().unwrap().unwrap(), 0);
    drop(tx);
    assert_eq!(wait_any(&[&rx], PATIENCE).unwrap(), 0);
    assert!(matches!(rx.try_recv(), Err(Error::Disconnected)));
}

#[test]
fn where_no_inotify_is_to_be_had_the_error_names_the_sysctl() {
    Peer::alone(&["no-inotify"]).expect("ok");
}
