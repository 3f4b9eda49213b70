//! Killed while watching, and killed while ringing for those who watch.

use std::time::{Duration, Instant};

use slipring::{
    ByteQueue, Error, Event, Mutex, OrRecover, Pipe, PipeOptions, Semaphore, Waitable, wait_any,
};
use slipring_tests::message::{self, Stamp};
use slipring_tests::wait_until;

use super::{PATIENCE, Run, SOON, Scenario, assert_prefix, check_segment, give, new_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[("watch-wait", wait), ("watch-ring", ring)];

/// Somebody dies waiting for several objects, in lines and with marks everywhere: who else waits, in the kernel or by
/// watching, gets what comes.
fn wait(run: &Run) {
    let segment = new_segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    let (full_reader, full_writer) =
        Pipe::one_way_with(&segment, PipeOptions::new().ring(256)).unwrap();
    let semaphore = Semaphore::new(&segment, 0).unwrap();
    let event = Event::new(&segment).unwrap();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let handoff = give(&segment, |h| {
        h.give("rx", &rx)?;
        h.give("r", &reader)?;
        h.give("w", &full_writer)?;
        h.give("semaphore", &semaphore)?;
        h.give("event", &event)?;
        h.give("mutex", &mutex)
    });
    let mut victim = run.victim(handoff, &["watch-wait"]);
    let mut round = 0_u64;
    while !victim.has_ended() {
        let _ = tx.try_send(&round.to_le_bytes());
        let _ = writer.try_send(&round.to_le_bytes());
        semaphore.release(1).unwrap();
        event.set().unwrap();
        drop(mutex.lock_until(PATIENCE).or_recover().unwrap());
        std::thread::sleep(Duration::from_millis(3));
        round += 1;
    }
    while rx.try_recv().is_ok() || reader.try_recv().is_ok() || semaphore.try_acquire().is_ok() {}
    event.clear().unwrap();
    // Those who come now are told at once.
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| semaphore.acquire_until(PATIENCE));
        let event = &event;
        let watching = scope.spawn(move || {
            wait_any(&[event, &rx], PATIENCE).unwrap();
            wait_any(&[&rx, &reader], PATIENCE).unwrap()
        });
        std::thread::sleep(Duration::from_millis(5));
        let start = Instant::now();
        semaphore.release(1).unwrap();
        event.set().unwrap();
        writer.send(b"last").unwrap();
        blocked.join().unwrap().unwrap();
        assert_eq!(watching.join().unwrap(), 1);
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    });
    drop((tx, writer, full_reader, full_writer, semaphore, event, mutex));
    check_segment(&segment);
}

/// Somebody dies on its way to the bell: those who watch find what it left, as a thread and in tasks.
fn ring(run: &Run) {
    let segment = new_segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    let semaphore = Semaphore::new(&segment, 0).unwrap();
    let event = Event::new(&segment).unwrap();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let handoff = give(&segment, |h| {
        h.give("tx", &tx)?;
        h.give("w", &writer)?;
        h.give("semaphore", &semaphore)?;
        h.give("event", &event)?;
        h.give("mutex", &mutex)
    });
    let stop = Event::new(&segment).unwrap();
    let mut victim = run.victim(handoff, &["watch-ring"]);
    drop((tx, writer));
    std::thread::scope(|scope| {
        let tasks = scope.spawn(|| in_tasks(&semaphore, &mutex, &stop));
        let (mut in_queue, mut in_pipe) = (Vec::new(), Vec::new());
        let mut open = (true, true);
        while open.0 || open.1 {
            let all: &[&dyn Waitable] = match open {
                (true, true) => &[&rx, &reader],
                (true, false) => &[&rx],
                _ => &[&reader],
            };
            let ready = wait_any(all, PATIENCE).expect("told of the end");
            if open.0 && ready == 0 {
                open.0 = took(rx.try_recv(), &mut in_queue);
            } else {
                open.1 = took(reader.try_recv(), &mut in_pipe);
            }
        }
        assert_prefix(&in_queue);
        assert_prefix(&in_pipe);
        victim.end();
        // What was released is acquired, and the lock is had, by tasks that wait.
        wait_until("permits to be taken", PATIENCE, || semaphore.value() == 0);
        let start = Instant::now();
        wait_until("the lock of the dead to be taken", PATIENCE, || mutex.try_lock().is_ok());
        assert!(start.elapsed() < SOON * 2, "{:?}", start.elapsed());
        stop.set().unwrap();
        tasks.join().unwrap();
    });
    assert!(wait_any(&[&mutex], PATIENCE).is_ok());
    drop((rx, reader, semaphore, event, mutex, stop));
    check_segment(&segment);
}

/// Takes permits and the lock, in tasks, until `stop` is set.
fn in_tasks(semaphore: &Semaphore, mutex: &Mutex<u64>, stop: &Event) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        loop {
            tokio::select! {
                stopped = stop.wait_async() => return stopped.unwrap(),
                permit = semaphore.acquire_async() => permit.unwrap(),
                guard = mutex.lock_async() => {
                    drop(guard.or_recover().unwrap());
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    });
}

/// Notes a message; `false` at the end.
fn took(message: slipring::Result<Vec<u8>>, stamps: &mut Vec<Stamp>) -> bool {
    match message {
        Ok(message) => stamps.push(message::read(&message)),
        Err(Error::WouldBlock) => {}
        Err(Error::Disconnected) => return false,
        Err(error) => panic!("{error}"),
    }
    true
}
