//! Tasks that wait for objects of a segment: by the thousand, across processes, cancelled; with kills in
//! `asynchronous/kills.rs`.

#[path = "asynchronous/kills.rs"]
mod kills;
#[path = "asynchronous/runtimes.rs"]
mod runtimes;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use slipring::{ByteQueue, Error, Event, Handoff, Mutex, Pipe, PipeOptions, Segment, Semaphore};
use slipring_core::primitive::{AtomicU64, Ordering};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::{self, Stamp};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, segment};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// A death is found out, and what it means is known to a task, within this time.
const SOON: Duration = Duration::from_millis(300);
const SHORT: Duration = Duration::from_millis(5);
/// Shorter than the time after which everybody looks again in any case.
const AT_ONCE: Duration = Duration::from_millis(40);

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn give(segment: &Segment, give: impl FnOnce(&mut Handoff) -> slipring::Result<()>) -> Handoff {
    let mut handoff = Handoff::new(segment);
    give(&mut handoff).unwrap();
    handoff
}

/// Waits until so many tasks have said that they are about to wait, and then some.
async fn all_wait(waiting: &AtomicU64, tasks: u64) {
    while waiting.load(Ordering::Relaxed) < tasks {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(SHORT).await;
}

fn threads_of_this_process() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Lets `tasks` tasks wait, each for one of `semaphores`, and another process release them all.
fn all_get_a_permit_each(
    runtime: &Runtime,
    semaphores: &[Semaphore],
    segment: &Segment,
    tasks: u32,
) {
    runtime.block_on(async {
        let (waiting, before) = (Arc::new(AtomicU64::new(0)), threads_of_this_process());
        let tasks: Vec<_> = (0..tasks)
            .map(|n| {
                let semaphore = semaphores[n as usize % semaphores.len()].clone();
                let waiting = waiting.clone();
                tokio::spawn(async move {
                    waiting.fetch_add(1, Ordering::Relaxed);
                    semaphore.acquire_async().await
                })
            })
            .collect();
        all_wait(&waiting, tasks.len() as u64).await;
        // Tests of this program run beside this one.
        let threads = threads_of_this_process() - before.min(threads_of_this_process());
        assert!(threads < 100, "{threads} threads more");
        let handoff = give(segment, |h| {
            let names = 0..semaphores.len();
            names.clone().zip(semaphores).try_for_each(|(n, s)| h.give(&n.to_string(), s))
        });
        let each = tasks.len() / semaphores.len();
        let args = ["release-each", &semaphores.len().to_string(), &each.to_string()];
        let peer = Peer::start(handoff, &args);
        let start = Instant::now();
        for task in tasks {
            timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
        }
        println!("{:?} for all, on {} objects", start.elapsed(), semaphores.len());
        peer.join();
    });
    assert!(semaphores.iter().all(|semaphore| semaphore.value() == 0));
}

#[test]
fn ten_thousand_tasks_on_one_object_are_woken() {
    let segment = segment();
    let semaphores = [Semaphore::new(&segment, 0).unwrap()];
    for runtime in [one_thread(), two_threads()] {
        all_get_a_permit_each(&runtime, &semaphores, &segment, 10_000);
    }
}

#[test]
fn ten_thousand_tasks_on_a_thousand_objects_are_woken() {
    let segment = segment();
    let semaphores: Vec<_> = (0..1000).map(|_| Semaphore::new(&segment, 0).unwrap()).collect();
    for runtime in [one_thread(), two_threads()] {
        all_get_a_permit_each(&runtime, &semaphores, &segment, 10_000);
    }
}

#[test]
fn a_future_that_is_cancelled_again_and_again_loses_no_message() {
    const COUNT: u64 = 20_000;
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 16).unwrap();
    let args = ["async-produce", "1", &COUNT.to_string()];
    let peer = Peer::start(give(&segment, |h| h.give("tx", &tx)), &args);
    drop(tx);
    let mut cancelled = 0;
    let stamps = one_thread().block_on(async {
        let (mut stamps, mut random) = (Vec::new(), Random::new(1));
        loop {
            let pause = Duration::from_micros(random.below(60));
            tokio::select! {
                biased;
                () = spin_for(pause) => cancelled += 1,
                message = rx.recv_async() => match message {
                    Ok(message) => stamps.push(message::read(&message)),
                    Err(Error::Disconnected) => return stamps,
                    Err(error) => panic!("{error}"),
                },
            }
        }
    });
    peer.join();
    assert!(stamps.iter().map(|stamp| stamp.number).eq(0..COUNT), "in order, each once");
    assert!(cancelled > 100, "{cancelled} were cancelled");
    drop(rx);
    assert_eq!(segment.blocks_in_use(), 0);
}

/// Time that passes in steps as short as the scheduler's: tokio's own clock has steps of a millisecond.
async fn spin_for(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_cancelled_send_sends_nothing_and_gives_its_memory_back() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let (mut reader, mut writer) =
        Pipe::one_way_with(&segment, PipeOptions::new().ring(256)).unwrap();
    one_thread().block_on(async {
        tx.send_async(&[1; 5000]).await.unwrap();
        while writer.try_send(&[1; 40]).is_ok() {}
        for len in [3, 100, 100_000] {
            assert!(timeout(SHORT, tx.send_async(&vec![2; len])).await.is_err());
            assert!(timeout(SHORT, writer.send_async(&vec![2; len])).await.is_err());
        }
        assert_eq!(rx.recv_async().await.unwrap(), [1; 5000]);
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
        while let Ok(message) = reader.try_recv() {
            assert_eq!(message, [1; 40]);
        }
        tx.send_async(&[3; 300]).await.unwrap();
        writer.send_async(&[4; 300]).await.unwrap();
        assert_eq!(rx.recv_view_async().await.unwrap().to_vec(), [3; 300]);
        assert_eq!(reader.recv_view_async().await.unwrap().to_vec(), [4; 300]);
    });
    drop((tx, rx, reader, writer));
    assert_eq!(segment.blocks_in_use(), 0);
}

/// Counts how often it was woken.
struct Count(AtomicU64);

impl Count {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(0)))
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_future_that_is_dropped_after_it_was_woken_wakes_the_next_at_once() {
    let segment = segment();
    let semaphore = Semaphore::new(&segment, 0).unwrap();
    one_thread().block_on(async {
        let (one, two) = (Count::new(), Count::new());
        let mut first = Box::pin(semaphore.acquire_async());
        let mut second = pin!(semaphore.acquire_async());
        let poll = |future: std::pin::Pin<&mut dyn Future<Output = _>>, of: &Arc<Count>| {
            let waker = Waker::from(of.clone());
            future.poll(&mut Context::from_waker(&waker)).is_ready()
        };
        assert!(!poll(first.as_mut(), &one) && !poll(second.as_mut(), &two));
        let woken = |of: &Arc<Count>| of.0.load(Ordering::Relaxed);
        let start = Instant::now();
        semaphore.release(1).unwrap();
        while woken(&one) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        assert_eq!(woken(&two), 0, "one permit wakes one task");
        drop(first);
        assert_eq!(woken(&two), 1);
        assert!(poll(second.as_mut(), &two));
    });
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn messages_go_to_and_fro_between_tasks_of_two_processes_without_delay() {
    let segment = segment();
    let (mut here, there) = Pipe::duplex(&segment).unwrap();
    let peer = Peer::start(give(&segment, |h| h.give("pipe", &there)), &["async-echo"]);
    drop(there);
    peer.expect("ready");
    two_threads().block_on(async {
        let start = Instant::now();
        for round in 0..200_u32 {
            here.send_async(&round.to_le_bytes()).await.unwrap();
            assert_eq!(here.recv_async().await.unwrap(), round.to_le_bytes());
        }
        let each = start.elapsed() / 200;
        assert!(each < Duration::from_millis(10), "{each:?} for a round trip");
        for size in (0..70).chain([4095, 4096, 4097, 65_536, 5 << 20]) {
            let message: Vec<u8> = (0..size).map(|at: u32| (at ^ at >> 8) as u8).collect();
            here.send_async(&message).await.unwrap();
            assert!(timeout(PATIENCE, here.recv_async()).await.unwrap().unwrap() == message);
        }
    });
    drop(here);
    peer.join();
}

#[test]
fn tasks_and_threads_of_several_processes_at_both_ends_of_a_pipe_lose_and_delay_nothing() {
    const EACH: u64 = 2000;
    let segment = segment();
    let (reader, writer) = Pipe::one_way_with(&segment, PipeOptions::new().ring(4096)).unwrap();
    let logs = Directory::new("async-pipe");
    let path = |n: u32| logs.log(&n.to_string()).to_str().unwrap().to_owned();
    let peer = Peer::start(give(&segment, |h| h.give("r", &reader)), &["pipe-recv", &path(0)]);
    let start = Instant::now();
    let here = two_threads().block_on(async {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let mut reader = reader.try_clone().unwrap();
                tokio::spawn(async move {
                    let mut stamps = Vec::new();
                    while let Ok(message) = reader.recv_async().await {
                        stamps.push(message::read(&message));
                    }
                    stamps
                })
            })
            .collect();
        let writers: Vec<_> = (0..3)
            .map(|producer| {
                let mut writer = writer.try_clone().unwrap();
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    for number in 0..EACH {
                        message::write(Stamp { producer, number }, message::MIXED, &mut bytes);
                        writer.send_async(&bytes).await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            timeout(PATIENCE, writer).await.unwrap().unwrap();
        }
        drop(writer);
        let mut here = Vec::new();
        for reader in readers {
            here.push(timeout(PATIENCE, reader).await.unwrap().unwrap());
        }
        here
    });
    peer.join();
    let took = start.elapsed();
    let there = log::read(path(0).as_ref());
    let came = log::check_received(&[&here[..], &[there]].concat()).len() as u64;
    assert_eq!(came, 3 * EACH);
    assert!(took < Duration::from_millis(4) * came as u32, "{took:?}");
}

#[test]
fn tasks_of_several_processes_take_turns_with_a_lock() {
    let segment = segment();
    let mutex = Mutex::new(&segment, [0_u64; 2]).unwrap();
    let handoff = || give(&segment, |h| h.give("mutex", &mutex));
    let peers = [
        Peer::start(handoff(), &["async-limited", "10", "200"]),
        Peer::start(handoff(), &["async-limited", "3", "700"]),
        Peer::start(handoff(), &["count", "2000"]),
    ];
    peers.into_iter().for_each(Peer::join);
    assert_eq!(mutex.lock().unwrap().get(), [6100; 2]);
}

#[test]
fn an_event_wakes_all_tasks_though_it_is_cleared_at_once() {
    const TASKS: u64 = 500;
    let segment = segment();
    let event = Event::new(&segment).unwrap();
    two_threads().block_on(async {
        let waiting = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (event, waiting) = (event.clone(), waiting.clone());
                tokio::spawn(async move {
                    waiting.fetch_add(1, Ordering::Relaxed);
                    event.wait_async().await
                })
            })
            .collect();
        all_wait(&waiting, TASKS).await;
        event.set().unwrap();
        event.clear().unwrap();
        for task in tasks {
            timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
        }
        assert!(timeout(SHORT, event.wait_async()).await.is_err(), "it is clear");
    });
}
