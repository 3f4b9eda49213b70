//! Killed at every step: a victim does what its scenario says, is killed by SIGKILL at a crash point, and the survivors
//! are asked whether they can go on.
//!
//! First every scenario runs to its end and tells which points it passes; a point in the sources that no scenario passes
//! is a failure. Then every scenario is run for each of its points, twice: killed at the first passing, and at a later
//! one. At last some are run with recovery switched off in the survivors: they must fail, or the checks are worth
//! nothing.
//!
//! `SLIPRING_CRASH_ONLY=TEXT` restricts the kills to scenarios and points whose names contain it.

#![cfg(feature = "crash")]

#[path = "crash/acceptor.rs"]
mod acceptor;
#[path = "crash/berth.rs"]
mod berth;
#[path = "crash/joinable.rs"]
mod joinable;
#[path = "crash/ordered.rs"]
mod ordered;
#[path = "crash/parcel.rs"]
mod parcel;
#[path = "crash/permits.rs"]
mod permits;
#[path = "crash/values.rs"]
mod values;
#[path = "crash/watch.rs"]
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use slipring::{
    Barrier, ByteQueue, ByteReceiver, ByteSender, Condvar, Error, Event, Handoff, LockError, Mutex,
    Named, OrRecover, Pipe, PipeOptions, PipeReader, QueueOptions, ReentrantMutex, Segment,
    SegmentOptions, Semaphore, Slots,
};
use slipring_core::primitive::{AtomicU64, Ordering};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::{self, MIXED, Stamp};
use slipring_tests::peer::Peer;
use slipring_tests::wait_until;

/// A waiter has what a dead one held within this time.
const SOON: Duration = Duration::from_millis(200);
/// Everything else takes less than this, or hangs.
const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 5 });

/// One run of a scenario: what its victim's environment says, and where its logs are.
struct Run {
    env: Vec<(String, String)>,
    logs: Directory,
}

impl Run {
    fn victim(&self, handoff: Handoff, args: &[&str]) -> Peer {
        let args: Vec<_> = ["victim"].into_iter().chain(args.iter().copied()).collect();
        let env: Vec<_> = self.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        Peer::start_with(handoff, &args, &env)
    }

    fn log(&self) -> String {
        self.logs.log("victim").to_str().expect("a path of ASCII").to_owned()
    }
}

/// Somebody who is killed at a fixed point, before the scenario's own victim comes.
fn mess(handoff: Handoff, kind: &str, at: Option<&str>) {
    let point = at.map(|point| format!("{point}#0")).unwrap_or_default();
    let env = [("SLIPRING_CRASH_AT", point.as_str())];
    let env = if at.is_some() { &env[..] } else { &[] };
    let mut peer = Peer::start_with(handoff, &["victim", "mess", kind], env);
    if at.is_none() {
        peer.expect("held");
        peer.kill();
    }
    peer.end();
}

fn give(segment: &Segment, give: impl FnOnce(&mut Handoff) -> slipring::Result<()>) -> Handoff {
    let mut handoff = Handoff::new(segment);
    give(&mut handoff).expect("a ticket");
    handoff
}

fn new_segment() -> Segment {
    Segment::with(SegmentOptions::new().reserve(4 << 30)).expect("a segment")
}

/// What is true at the end of each scenario, when its objects are dropped: nobody dead, no block lost, and new objects
/// work.
fn check_segment(segment: &Segment) {
    wait_until("the dead to be cleaned up after", PATIENCE, || {
        segment.reap();
        segment.participants().len() == 1
    });
    let (mut tx, mut rx) = ByteQueue::bounded(segment, 2).expect("a new queue");
    for size in [1, 100, 100_000] {
        tx.send(&vec![9; size]).expect("sent");
        assert_eq!(rx.recv_until(PATIENCE).expect("received").len(), size);
    }
    drop((tx, rx));
    let mutex = Mutex::new(segment, 5_u64).expect("a new mutex");
    assert_eq!(mutex.lock().or_recover().expect("locked").get(), 5);
    assert_eq!(segment.blocks_in_use(), 0, "blocks were lost");
}

/// Receives until the last sender is gone.
fn drain(rx: &mut ByteReceiver) -> Vec<Stamp> {
    let mut all = Vec::new();
    loop {
        match rx.recv_until(PATIENCE) {
            Ok(message) => all.push(message::read(&message)),
            Err(Error::Disconnected) => return all,
            Err(error) => panic!("no end: {error}"),
        }
    }
}

/// One producer's messages without a gap: what it sent before it died.
fn assert_prefix(stamps: &[Stamp]) {
    for (at, stamp) in stamps.iter().enumerate() {
        assert_eq!(stamp.number, at as u64, "a gap or a double");
    }
}

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

fn queue_send(run: &Run) {
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

fn queue_recv(run: &Run) {
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

/// Whether an event loop sees something to receive.
fn is_readable(reader: &mut PipeReader, wait: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let fd = reader.as_fd().unwrap();
    let wait = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos() as i64 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&wait)).unwrap() > 0
}

/// Reads through a descriptor that is watched, as an event loop does.
fn watch_pipe(reader: &mut PipeReader) -> Vec<Stamp> {
    let (mut all, start) = (Vec::new(), Instant::now());
    loop {
        assert!(start.elapsed() < PATIENCE, "no end of the pipe");
        let ready = is_readable(reader, Duration::from_millis(100));
        match reader.try_recv() {
            Ok(message) => {
                let late = !ready && start.elapsed() > SOON;
                assert!(!late || all.is_empty(), "a message that the descriptor did not show");
                all.push(message::read(&message));
            }
            Err(Error::WouldBlock) => {}
            Err(Error::Disconnected) => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

fn pipe_send(run: &Run) {
    let segment = new_segment();
    let options = PipeOptions::new().ring(4096);
    let (mut reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("w", &writer)), &["pipe-send"]);
    let stamps = std::thread::scope(|scope| {
        let readings = scope.spawn(|| {
            let all = watch_pipe(&mut reader);
            drop(reader);
            all
        });
        victim.end();
        // The turn of a dead sender is had soon.
        let start = Instant::now();
        let mut bytes = Vec::new();
        message::write(Stamp { producer: 1, number: 0 }, 64, &mut bytes);
        writer.send_until(&bytes, PATIENCE).unwrap();
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        drop(writer);
        readings.join().unwrap()
    });
    let last = stamps.last().copied();
    assert_eq!(last, Some(Stamp { producer: 1, number: 0 }), "the survivor's message came");
    assert_prefix(&stamps[..stamps.len() - 1]);
    check_segment(&segment);
}

/// The one before died in its turn, or on its way to the bell.
fn pipe_send_after_death(run: &Run, at: &str) {
    let segment = new_segment();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    reader.as_fd().unwrap();
    mess(give(&segment, |h| h.give("w", &writer)), "piper", Some(at));
    run.victim(give(&segment, |h| h.give("w", &writer)), &["pipe-send"]).end();
    writer.send_until(&[1; 50_000], PATIENCE).unwrap();
    assert!(is_readable(&mut reader, SOON), "messages, and an event loop sees none");
    drop(writer);
    let mut stamps = Vec::new();
    loop {
        match reader.recv_until(PATIENCE) {
            // Ours and the first one's are not stamped.
            Ok(message) if message.len() == 50_000 => {}
            Ok(message) => stamps.push(message::read(&message)),
            Err(Error::Disconnected) => break,
            Err(error) => panic!("no end: {error}"),
        }
    }
    assert_prefix(&stamps);
    drop(reader);
    check_segment(&segment);
}

fn pipe_send_after_lock(run: &Run) {
    pipe_send_after_death(run, "pipe.send.locked");
}

fn pipe_send_after_commit(run: &Run) {
    pipe_send_after_death(run, "spsc_records.commit.published");
}

fn pipe_send_after_ring(run: &Run) {
    pipe_send_after_death(run, "bell.ring.rung");
}

fn pipe_recv_from(run: &Run, before: impl FnOnce(&Segment, &PipeReader, &slipring::PipeWriter)) {
    const SENT: u64 = 100;
    let segment = new_segment();
    let options = PipeOptions::new().ring(4096);
    let (mut reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
    before(&segment, &reader, &writer);
    let args = ["pipe-recv", &run.log()];
    let mut victim = run.victim(give(&segment, |h| h.give("r", &reader)), &args);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut bytes = Vec::new();
            for number in 0..SENT {
                message::write(Stamp { producer: 1, number }, MIXED, &mut bytes);
                writer.send_until(&bytes, PATIENCE).unwrap();
                if number % 9 == 0 {
                    // Time for the reader to go to sleep.
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            drop(writer);
        });
        victim.end();
        let here = watch_pipe(&mut reader);
        sender.join().unwrap();
        let there = log::read(Path::new(&run.log()));
        let got = log::check_received(&[there, here]).len();
        assert!(got + 1 >= SENT as usize, "{got} of {SENT} came");
    });
    drop(reader);
    check_segment(&segment);
}

fn pipe_recv(run: &Run) {
    pipe_recv_from(run, |_, _, _| {});
}

/// A reader died between the bell and its byte.
fn pipe_recv_after_death(run: &Run) {
    pipe_recv_from(run, |segment, reader, _| {
        let env = [("SLIPRING_CRASH_AT", "bell.hush.cleared#0")];
        let handoff = give(segment, |h| h.give("r", reader));
        let log = run.logs.log("first");
        let args = ["victim", "pipe-recv", log.to_str().unwrap()];
        Peer::start_with(handoff, &args, &env).end();
    });
}

/// A sender is held up between the bell and its byte; the reader finds the bell rung and no byte.
fn pipe_recv_before_byte(run: &Run) {
    let segment = new_segment();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    reader.as_fd().unwrap();
    let handoff = give(&segment, |h| h.give("w", &writer));
    let env = [("SLIPRING_DELAY_AT", "bell.ring.before_byte#0")];
    let mut sender = Peer::start_with(handoff, &["pipe-send", "1", "20", "64"], &env);
    let args = ["pipe-recv", &run.log()];
    let mut victim = run.victim(give(&segment, |h| h.give("r", &reader)), &args);
    drop(writer);
    sender.end();
    victim.end();
    let here = watch_pipe(&mut reader);
    let there = log::read(Path::new(&run.log()));
    assert!(log::check_received(&[there, here]).len() >= 19);
    drop(reader);
    check_segment(&segment);
}

/// The reader is held up after it cleared the bell, and a message comes.
fn pipe_recv_in_the_gap(run: &Run) {
    let mut env = run.env.clone();
    env.push(("SLIPRING_DELAY_AT".into(), "bell.hush.cleared#1".into()));
    let run = Run { env, logs: Directory::new(&format!("gap-{:?}", std::thread::current().id())) };
    let segment = new_segment();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    let args = ["pipe-recv", &run.log()];
    let mut victim = run.victim(give(&segment, |h| h.give("r", &reader)), &args);
    let mut bytes = Vec::new();
    for number in 0..60 {
        message::write(Stamp { producer: 1, number }, 64, &mut bytes);
        writer.send(&bytes).unwrap();
        std::thread::sleep(Duration::from_millis(10));
        if victim.has_ended() {
            break;
        }
    }
    drop(writer);
    victim.end();
    let here = watch_pipe(&mut reader);
    let there = log::read(Path::new(&run.log()));
    log::check_received(&[there, here]);
    drop(reader);
    check_segment(&segment);
}

fn slots_send(run: &Run) {
    let segment = new_segment();
    let (tx, mut rx) = Slots::<[u64; 8]>::new(&segment, 3).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["slots-send"]);
    drop(tx);
    let mut expected = 0;
    loop {
        match rx.recv_until(PATIENCE) {
            Ok(value) => assert_eq!(value, [expected; 8], "torn, lost or doubled"),
            Err(Error::Disconnected) => break,
            Err(error) => panic!("no end: {error}"),
        }
        expected += 1;
    }
    victim.end();
    drop(rx);
    check_segment(&segment);
}

fn slots_recv(run: &Run) {
    let segment = new_segment();
    let (mut tx, rx) = Slots::<[u64; 8]>::new(&segment, 3).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("rx", &rx)), &["slots-recv"]);
    drop(rx);
    let gone = (0..100_000_u64).find(|number| match tx.send_until(&[*number; 8], PATIENCE) {
        Ok(()) => false,
        Err(Error::Disconnected) => true,
        Err(error) => panic!("no end: {error}"),
    });
    assert!(gone.is_some(), "the sender is told that the receiver is gone");
    victim.end();
    drop(tx);
    check_segment(&segment);
}

fn mutex(run: &Run) {
    let segment = new_segment();
    let mutex = Mutex::new(&segment, [0_u64; 2]).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("mutex", &mutex)), &["mutex"]);
    // Somebody else at it, so that both sleep and wake each other.
    while !victim.has_ended() {
        match mutex.lock_until(PATIENCE) {
            Ok(guard) => {
                assert_eq!(guard.get()[0], guard.get()[1], "half-changed, and nobody told")
            }
            Err(LockError::OwnerDied(mut guard)) => guard.set([0, 0]),
            Err(LockError::Failed(error)) => panic!("{error}"),
        }
    }
    let start = Instant::now();
    drop(mutex.lock_until(PATIENCE).or_recover().unwrap());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    drop(mutex);
    check_segment(&segment);
}

fn reentrant(run: &Run) {
    let segment = new_segment();
    let lock = ReentrantMutex::new(&segment).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("lock", &lock)), &["reentrant"]);
    while !victim.has_ended() {
        drop(lock.lock_until(PATIENCE).or_recover().unwrap());
    }
    let start = Instant::now();
    let outer = lock.lock_until(PATIENCE).or_recover().unwrap();
    let inner = lock.lock_until(PATIENCE).or_recover().unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(lock.count(), 2);
    drop((inner, outer));
    assert!(!lock.is_locked());
    drop(lock);
    check_segment(&segment);
}

fn signals(run: &Run) {
    let segment = new_segment();
    let semaphore = Semaphore::new(&segment, 0).unwrap();
    let (event, back) = (Event::new(&segment).unwrap(), Event::new(&segment).unwrap());
    let handoff = give(&segment, |h| {
        h.give("semaphore", &semaphore)?;
        h.give("event", &event)?;
        h.give("back", &back)
    });
    let mut victim = run.victim(handoff, &["signals"]);
    while !victim.has_ended() {
        let _ = back.wait_until(Duration::from_millis(30));
        back.clear().unwrap();
        event.set().unwrap();
        semaphore.release(1).unwrap();
        let _ = semaphore.acquire_until(Duration::from_millis(5));
    }
    // Dead waiters are in nobody's way.
    while semaphore.try_acquire().is_ok() {}
    event.clear().unwrap();
    std::thread::scope(|scope| {
        let acquirer = scope.spawn(|| semaphore.acquire_until(PATIENCE));
        let waiter = scope.spawn(|| event.wait_until(PATIENCE));
        std::thread::sleep(Duration::from_millis(5));
        let start = Instant::now();
        semaphore.release(1).unwrap();
        event.set().unwrap();
        acquirer.join().unwrap().unwrap();
        waiter.join().unwrap().unwrap();
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    });
    drop((semaphore, event, back));
    check_segment(&segment);
}

fn condvar(run: &Run) {
    let segment = new_segment();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let lock = ReentrantMutex::new(&segment).unwrap();
    let condvar = Condvar::new(&segment).unwrap();
    let handoff = give(&segment, |h| {
        h.give("mutex", &mutex)?;
        h.give("lock", &lock)?;
        h.give("condvar", &condvar)
    });
    let mut victim = run.victim(handoff, &["condvar"]);
    let done = Event::new(&segment).unwrap();
    std::thread::scope(|scope| {
        // Somebody to notify, nearly all the time.
        scope.spawn(|| {
            while !done.is_set() {
                let mut guard = mutex.lock_until(PATIENCE).or_recover().unwrap();
                let _ = condvar.wait_until(&mut guard, Duration::from_millis(50));
            }
        });
        while !victim.has_ended() {
            condvar.notify_one().unwrap();
            std::thread::sleep(Duration::from_millis(3));
        }
        done.set().unwrap();
        condvar.notify_all().unwrap();
    });
    // Nobody waits for the dead, and a living waiter is woken.
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut guard = mutex.lock_until(PATIENCE).or_recover().unwrap();
            while guard.get() != u64::MAX {
                condvar.wait_until(&mut guard, PATIENCE).or_recover().unwrap();
            }
        });
        std::thread::sleep(Duration::from_millis(5));
        let start = Instant::now();
        mutex.lock_until(PATIENCE).or_recover().unwrap().set(u64::MAX);
        condvar.notify_all().unwrap();
        waiter.join().unwrap();
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        drop(lock.lock_until(PATIENCE).or_recover().unwrap());
    });
    drop((mutex, lock, condvar, done));
    check_segment(&segment);
}

fn barrier(run: &Run) {
    let segment = new_segment();
    let barrier = Barrier::new(&segment, 2).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("barrier", &barrier)), &["barrier"]);
    while !victim.has_ended() {
        match barrier.wait_until(Duration::from_millis(400)) {
            Ok(_) | Err(Error::BrokenBarrier) => std::thread::sleep(Duration::from_millis(1)),
            Err(Error::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
    }
    wait_until("the dead party to be noticed", PATIENCE, || {
        segment.reap();
        segment.participants().len() == 1
    });
    barrier.reset().unwrap();
    std::thread::scope(|scope| {
        let one = scope.spawn(|| barrier.wait_until(PATIENCE).map(drop));
        let two = scope.spawn(|| barrier.wait_until(PATIENCE).map(drop));
        one.join().unwrap().unwrap();
        two.join().unwrap().unwrap();
    });
    drop(barrier);
    check_segment(&segment);
}

fn segment(run: &Run) {
    let file = rustix::fs::memfd_create("made", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    let number = file.as_raw_fd().to_string();
    let other = new_segment();
    let mut victim = run.victim(Handoff::new(&other), &["segment", &number]);
    victim.end();
    match Segment::from_fd(&file) {
        Ok(segment) => check_segment(&segment),
        Err(
            Error::HalfMade { .. }
            | Error::NotASegment { .. }
            | Error::Truncated { .. }
            | Error::Failed,
        ) => {}
        Err(error) => panic!("{error}"),
    }
    check_segment(&other);
}

/// The victim has many large blocks, and gives the memory of some back. What it leaves serves the others, and its memory
/// comes back as well.
fn give_back(run: &Run) {
    let segment = new_segment();
    let (tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["give-back"]);
    victim.end();
    let (mut tx, mut rx) = (tx, rx);
    for _ in 0..4 {
        tx.send_until(&vec![3; 300_000], PATIENCE).expect("sent");
        assert_eq!(rx.recv_until(PATIENCE).expect("received").len(), 300_000);
    }
    wait_until("free memory to come back", PATIENCE, || {
        segment.reap();
        rx.recv_until(Duration::from_millis(20)).is_err() && segment.memory().committed < 2 << 20
    });
    drop((tx, rx));
    check_segment(&segment);
}

fn objects(run: &Run) {
    let segment = new_segment();
    let mut victim = run.victim(Handoff::new(&segment), &["objects"]);
    victim.end();
    check_segment(&segment);
}

fn fork(run: &Run) {
    let segment = new_segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["fork"]);
    drop(tx);
    let all = drain(&mut rx);
    assert!(all.len() <= 3);
    log::check_received(&[all]);
    victim.end();
    drop(rx);
    check_segment(&segment);
}

fn handoff(run: &Run) {
    let segment = new_segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["handoff"]);
    drop(tx);
    let all = drain(&mut rx);
    assert!(all.len() <= 2);
    victim.end();
    drop(rx);
    check_segment(&segment);
}

/// Many have died in many places; the victim cleans up after them and dies at it; then we do.
fn reap(run: &Run) {
    let segment = new_segment();
    let mutex = Mutex::new(&segment, [0_u64; 2]).unwrap();
    let barrier = Barrier::new(&segment, 2).unwrap();
    let lock = ReentrantMutex::new(&segment).unwrap();
    let event = Event::new(&segment).unwrap();
    let (condvar, semaphore) =
        (Condvar::new(&segment).unwrap(), Semaphore::new(&segment, 1).unwrap());
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    tx.send(&[3; 100]).unwrap();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    let with = |name: &str| {
        give(&segment, |h| match name {
            "mutex" => h.give("mutex", &mutex),
            "barrier" => h.give("barrier", &barrier),
            "rx" => h.give("rx", &rx),
            "tx" => h.give("tx", &tx),
            "w" => h.give("w", &writer),
            _ => Ok(()),
        })
    };
    // The first to notice a death cleans up after it; so that the victim does, these die one right after the other.
    mess(with("rx"), "taker", Some("mpmc.pop.after_take"));
    mess(with("mutex"), "lock", None);
    mess(with("barrier"), "barrier", None);
    mess(with("tx"), "blocks", None);
    mess(with("tx"), "sender", Some("queue.send.in_flight"));
    mess(with(""), "maker", Some("queue.make_ring.hung"));
    mess(with(""), "maker", Some("directory.reserve.after_state"));
    mess(with("w"), "piper", Some("pipe.send.in_flight"));
    let mut victim = run.victim(Handoff::new(&segment), &["reap"]);
    victim.end();
    let start = Instant::now();
    let taken = mutex.lock_until(PATIENCE).or_recover();
    assert!(taken.is_ok() && start.elapsed() < SOON, "{:?}", start.elapsed());
    drop(taken);
    wait_until("the barrier to be broken", PATIENCE, || {
        segment.reap();
        barrier.is_broken()
    });
    drop(tx);
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)), "it died with its taker");
    drop(writer);
    assert!(matches!(reader.recv_until(PATIENCE), Err(Error::Disconnected)), "never published");
    drop((rx, reader, mutex, barrier, lock, event, condvar, semaphore));
    check_segment(&segment);
}

/// Whoever comes next finds the name free, or can make it so.
fn names(run: &Run) {
    let name = format!("crash-{}-{:?}", std::process::id(), std::thread::current().id());
    let env: Vec<_> = run.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut victim = Peer::alone_with(&["victim-names", &name], &env);
    victim.end();
    match ByteReceiver::open(&name) {
        // It died while the name was to stay.
        Ok(rx) => drop((rx, slipring::unlink(&name).unwrap())),
        Err(error) => assert!(matches!(error, Error::NoSuchName { .. }), "{error}"),
    }
    let event = Event::create(&name, ()).unwrap();
    check_segment(&event.segment());
    drop(event);
    assert!(!slipring::name::names().unwrap().contains(&name));
}

type Scenario = (&'static str, fn(&Run));

const SCENARIOS: &[Scenario] = &[
    ("queue-send", queue_send),
    ("queue-recv", queue_recv),
    ("grow", grow),
    ("pipe-send", pipe_send),
    ("pipe-send-after-lock", pipe_send_after_lock),
    ("pipe-send-after-commit", pipe_send_after_commit),
    ("pipe-send-after-ring", pipe_send_after_ring),
    ("pipe-recv", pipe_recv),
    ("pipe-recv-after-death", pipe_recv_after_death),
    ("pipe-recv-before-byte", pipe_recv_before_byte),
    ("pipe-recv-in-the-gap", pipe_recv_in_the_gap),
    ("slots-send", slots_send),
    ("slots-recv", slots_recv),
    ("mutex", mutex),
    ("reentrant", reentrant),
    ("signals", signals),
    ("condvar", condvar),
    ("barrier", barrier),
    ("segment", segment),
    ("give-back", give_back),
    ("objects", objects),
    ("fork", fork),
    ("handoff", handoff),
    ("reap", reap),
    ("permits", permits::beside_another),
    ("permits-reap", permits::in_recovery),
    ("values", values::beside_another),
    ("names", names),
    ("watch-wait", watch::wait),
    ("watch-ring", watch::ring),
];

/// All of them.
fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    let of_channels = ordered::SCENARIOS.iter().chain(joinable::SCENARIOS).chain(berth::SCENARIOS);
    SCENARIOS.iter().chain(parcel::SCENARIOS).chain(of_channels).chain(acceptor::SCENARIOS)
}

/// The names of all crash points in the sources.
fn points_in_sources() -> BTreeSet<String> {
    fn visit(path: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(path).expect("the sources are there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                visit(&path, names);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                for line in code {
                    let found = line.split("crash_point!(\"").skip(1);
                    names.extend(found.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
                }
            }
        }
    }
    let mut names = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    ["core/src", "shm/src"].iter().for_each(|sources| visit(&root.join(sources), &mut names));
    assert!(names.len() > 100, "only {} crash points: the search is broken", names.len());
    names
}

/// Runs a scenario once. Returns how often its processes passed each point before they died, or what went wrong.
fn run(scenario: Scenario, kill_at: Option<&str>) -> Result<BTreeMap<String, u32>, String> {
    let (name, body) = scenario;
    let logs = Directory::new(&format!("crash-{name}"));
    let trace = logs.log("trace");
    let mut env = vec![("SLIPRING_CRASH_TRACE".to_owned(), trace.to_str().unwrap().to_owned())];
    env.extend(kill_at.map(|point| ("SLIPRING_CRASH_AT".to_owned(), point.to_owned())));
    let run = Run { env, logs };
    catch_unwind(AssertUnwindSafe(|| body(&run))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
    })?;
    let mut passed = BTreeMap::new();
    for line in std::fs::read_to_string(&trace).unwrap_or_default().lines() {
        *passed.entry(line.to_owned()).or_insert(0) += 1;
    }
    Ok(passed)
}

/// The points that each scenario passes when nobody is killed.
fn survey() -> Vec<(Scenario, BTreeMap<String, u32>)> {
    let all = scenarios().map(|scenario| {
        let passed = run(*scenario, None);
        (*scenario, passed.unwrap_or_else(|error| panic!("{} without a kill: {error}", scenario.0)))
    });
    all.collect()
}

/// Surveys, a few times if need be: who comes last to a barrier, say, is another one each time.
fn survey_until_all_are_reached(
    points: &BTreeSet<String>,
) -> Vec<(Scenario, BTreeMap<String, u32>)> {
    let mut surveyed = survey();
    for _ in 0..4 {
        let reached: BTreeSet<_> = surveyed.iter().flat_map(|(_, passed)| passed.keys()).collect();
        if points.iter().all(|point| reached.contains(point)) {
            break;
        }
        for ((_, known), (_, passed)) in surveyed.iter_mut().zip(survey()) {
            passed.into_iter().for_each(|(point, count)| {
                known.entry(point).or_insert(count);
            });
        }
    }
    surveyed
}

/// What came of the kills of a scenario.
#[derive(Default)]
struct Tally {
    kills: usize,
    misses: usize,
    failures: Vec<String>,
}

/// Runs a scenario once or twice for each of its points.
fn kill_at_each(scenario: Scenario, passed: &BTreeMap<String, u32>, only: &str) -> Tally {
    let (start, mut tally) = (Instant::now(), Tally::default());
    for (point, count) in passed {
        if !scenario.0.contains(only) && !point.contains(only) {
            continue;
        }
        let later = (count / 2).min(7);
        let passings = if later > 0 { vec![0, later] } else { vec![0] };
        for passing in passings {
            match run(scenario, Some(&format!("{point}#{passing}"))) {
                Ok(hit) if hit.contains_key(point) => tally.kills += 1,
                // Another interleaving, which did not come by.
                Ok(_) => tally.misses += 1,
                Err(error) => {
                    let failure = format!("{} at {point}#{passing}: {error}", scenario.0);
                    println!("{failure}");
                    tally.failures.push(failure);
                }
            }
        }
    }
    println!("{}: {} points, {:?}", scenario.0, passed.len(), start.elapsed());
    tally
}

/// Does something with each item, with some of them at a time: most of a run is waiting.
fn in_parallel<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            done.push(f(item));
        }
        done
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn whoever_is_killed_at_whatever_step_the_others_go_on() {
    let only = std::env::var("SLIPRING_CRASH_ONLY").unwrap_or_default();
    let all = points_in_sources();
    let survey = survey_until_all_are_reached(&all);
    let reached: BTreeSet<_> = survey.iter().flat_map(|(_, passed)| passed.keys()).collect();
    let missed: Vec<_> = all.iter().filter(|point| !reached.contains(point)).collect();
    println!("{} points, {} reached", all.len(), all.len() - missed.len());
    assert!(missed.is_empty(), "no scenario reaches {missed:#?}");
    let tallies = in_parallel(&survey, |(scenario, passed)| kill_at_each(*scenario, passed, &only));
    let all_of = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let (kills, misses) = (all_of(|tally| tally.kills), all_of(|tally| tally.misses));
    let failures: Vec<_> = tallies.iter().flat_map(|tally| &tally.failures).collect();
    println!("{kills} kills, {misses} missed, {} failures", failures.len());
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(!only.is_empty() || kills >= all.len(), "only {kills} kills");
    assert!(misses * 10 <= kills, "{misses} of {kills} kills did not happen");
}

/// What waits for a stopped process waits longer than this; what is merely slow on a busy machine does not.
const STOPPED_FOR_EVER: Duration = Duration::from_secs(2);

/// Says that it is over, also where a check fails.
struct OnDrop<'a>(&'a AtomicU64);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(1, Ordering::Relaxed);
    }
}

/// Starts a victim that stops itself at `point`. `log` is where it writes what it did.
fn start_stopping(handoff: Handoff, role: &str, point: &str, log: &Path) -> Peer {
    let stop = format!("{point}#0");
    Peer::start_with(
        handoff,
        &["victim", role, log.to_str().unwrap()],
        &[("SLIPRING_STOP_AT", &stop)],
    )
}

/// We send and receive while `victim` is stopped at the step that it was started for, as if it were not. `receive` takes
/// a message if one comes within a moment. Returns whether the victim came by that step.
fn go_on_beside(
    mut victim: Peer,
    what: &str,
    mut receive: impl FnMut() -> bool + Send,
    mut send: impl FnMut(&[u8]),
) -> bool {
    const OURS: u32 = 9;
    let (done, received) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut stopped = false;
    std::thread::scope(|scope| {
        let _done = OnDrop(&done);
        scope.spawn(|| {
            while done.load(Ordering::Relaxed) == 0 {
                received.fetch_add(receive().into(), Ordering::Relaxed);
            }
        });
        let (mut bytes, mut number) = (Vec::new(), 0);
        let mut send = || {
            message::write(Stamp { producer: OURS, number }, MIXED, &mut bytes);
            number += 1;
            let start = Instant::now();
            send(&bytes);
            start.elapsed()
        };
        while !victim.is_stopped() && !victim.has_ended() {
            send();
        }
        stopped = victim.is_stopped();
        if stopped {
            let before = received.load(Ordering::Relaxed);
            let slowest = (0..100).map(|_| send()).max().unwrap();
            assert!(slowest < STOPPED_FOR_EVER, "{what}: {slowest:?} for one message");
            let came = received.load(Ordering::Relaxed) - before;
            assert!(came > 50, "{what}: {came} received");
            victim.signal(rustix::process::Signal::CONT);
        }
        while !victim.has_ended() {
            send();
        }
    });
    stopped
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
        let scenario = scenarios().find(|s| s.0 == role).unwrap();
        let points = run(*scenario, None).unwrap();
        stops += points.keys().filter(|p| exchange_beside_a_stopped_one(role, p)).count();
    }
    println!("{stops} stops");
    assert!(stops > 40, "only {stops} stops");
}

/// Recovery switched off in this process and in those that it starts: the checks above must notice. In a process of its
/// own, for the switch is read from the environment.
#[test]
fn without_recovery_the_checks_fail() {
    if std::env::var_os("SLIPRING_NO_RECOVERY").is_none() {
        let this = std::env::current_exe().unwrap();
        let status = std::process::Command::new(this)
            .args(["--exact", "without_recovery_the_checks_fail", "--nocapture"])
            .env("SLIPRING_NO_RECOVERY", "1")
            .status()
            .unwrap();
        assert!(status.success(), "see above");
        return;
    }
    let cases: &[(&str, &str)] = &[
        ("queue-send", "queue.send.in_flight#0"),
        ("queue-recv", "mpmc.pop.after_take#0"),
        ("pipe-send", "pool.alloc.owned#0"),
        ("slots-send", "spsc_slots.push.published#0"),
        ("objects", "object.create.before_publish#0"),
        ("fork", "fork.child.born#0"),
        ("parcel-receive-again", "object.take_over.held#0"),
        ("berth-give", "berth.give.held#0"),
        ("berth-board", "object.take_over.held#0"),
        ("lifo-recv", "stack.pop.after_take#0"),
        ("priority-send", "ordered.send.in_flight#0"),
        ("task-work", "mpmc.pop.after_take#0"),
        ("task-work", "joinable.recv.leased#0"),
    ];
    let passes = in_parallel(cases, |(name, point)| {
        let scenario = scenarios().find(|s| s.0 == *name).unwrap();
        run(*scenario, Some(point)).is_ok().then(|| format!("{name} at {point}"))
    });
    let passes: Vec<_> = passes.into_iter().flatten().collect();
    assert!(passes.is_empty(), "{passes:#?} pass without recovery: nothing is checked");
}
