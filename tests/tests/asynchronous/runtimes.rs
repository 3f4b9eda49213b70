//! Runtimes: several in one process, one in a forked child, none; and tasks that leave the thread to others.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slipring::{ByteQueue, Error, Event, Handoff, Mutex, Pipe, PipeOptions, Queue, Semaphore};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::segment;
use tokio::time::timeout;

use super::{Count, SHORT, SOON, give, one_thread, two_threads};

#[test]
fn each_runtime_wakes_its_tasks_whatever_the_others_do() {
    let segment = segment();
    let (mut tx, mut rx) = Queue::<u32>::unbounded(&segment).unwrap();
    // One that was left with a task in it that waits, and is driven no more.
    let left = one_thread();
    let mut other = rx.try_clone().unwrap();
    let waiting = left.spawn(async move { other.recv_async().await });
    left.block_on(async { tokio::time::sleep(SHORT).await });
    let event = Event::new(&segment).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                one_thread().block_on(async {
                    timeout(PATIENCE, event.wait_async()).await.unwrap().unwrap();
                });
            });
        }
        scope.spawn(|| {
            two_threads().block_on(async {
                timeout(PATIENCE, event.wait_async()).await.unwrap().unwrap();
            });
        });
        std::thread::sleep(SHORT);
        let start = Instant::now();
        event.set().unwrap();
        assert!(start.elapsed() < SOON);
    });
    // The task that stands still was first in line: who is behind it is woken all the same.
    one_thread().block_on(async {
        let behind = async {
            let start = Instant::now();
            let got = rx.recv_async().await;
            (got, start.elapsed())
        };
        let send = async {
            tokio::time::sleep(SHORT).await;
            tx.send_async(&7).await
        };
        let both = async { tokio::join!(behind, send) };
        let ((got, took), sent) = timeout(PATIENCE, both).await.unwrap();
        assert!(sent.is_ok() && got.unwrap() == 7 && took < SOON, "{took:?}");
        tx.send_async(&8).await.unwrap();
    });
    // And it goes on when it is driven again.
    assert_eq!(left.block_on(waiting).unwrap().unwrap(), 8);
}

#[test]
fn without_a_runtime_only_what_need_not_wait_can_be_done() {
    let segment = segment();
    let semaphore = Semaphore::new(&segment, 1).unwrap();
    let waker = Waker::from(Count::new());
    let mut context = Context::from_waker(&waker);
    assert!(matches!(pin!(semaphore.acquire_async()).poll(&mut context), Poll::Ready(Ok(()))));
    let refused = pin!(semaphore.acquire_async()).poll(&mut context);
    assert!(matches!(refused, Poll::Ready(Err(Error::NoRuntime))));
}

#[test]
fn a_task_that_never_has_to_wait_lets_others_run() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::unbounded(&segment).unwrap();
    one_thread().block_on(async {
        let busy = tokio::spawn(async move {
            loop {
                tx.send_async(b"x").await.unwrap();
                rx.recv_async().await.unwrap();
            }
        });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        busy.abort();
        assert!(busy.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn waiting_tasks_leave_the_processor_to_others() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    let (full_reader, mut full_writer) =
        Pipe::one_way_with(&segment, PipeOptions::new().ring(256)).unwrap();
    while full_writer.try_send(&[0; 50]).is_ok() {}
    let (semaphore, event) = (Semaphore::new(&segment, 0).unwrap(), Event::new(&segment).unwrap());
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let _guard = mutex.try_lock().unwrap();
    let cpu_time = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let before = cpu_time();
    one_thread().block_on(async {
        tokio::select! {
            _ = rx.recv_async() => unreachable!("nothing was sent"),
            _ = reader.recv_async() => unreachable!("nothing was sent"),
            _ = full_writer.send_async(&[0; 50]) => unreachable!("nobody receives"),
            _ = semaphore.acquire_async() => unreachable!("there is no permit"),
            _ = event.wait_async() => unreachable!("nobody sets it"),
            _ = mutex.lock_async() => unreachable!("it is held"),
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
    });
    let burnt = cpu_time() - before;
    assert!(burnt < Duration::from_millis(60), "{burnt:?} of 300 ms");
    drop((tx, writer, full_reader));
}

#[test]
fn a_forked_child_waits_in_a_runtime_of_its_own() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let semaphore = Semaphore::new(&segment, 0).unwrap();
    let both = |h: &mut Handoff| {
        h.give("rx", &rx)?;
        h.give("semaphore", &semaphore)
    };
    let peer = Peer::start(give(&segment, both), &["async-fork"]);
    drop(rx);
    peer.expect("child waits");
    // What the child hears the parent hears, too.
    tx.send(b"for the parent").unwrap();
    peer.expect("parent received");
    semaphore.release(1).unwrap();
    peer.expect("child acquired");
    peer.join();
}
