//! Locks and signals: what the dead held is had soon, and who waits is woken.

use std::time::{Duration, Instant};

use slipring::{
    Barrier, Condvar, Error, Event, LockError, Mutex, OrRecover, ReentrantMutex, Semaphore,
};
use slipring_tests::wait_until;

use super::{PATIENCE, Run, SOON, Scenario, check_segment, give, new_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[
    ("mutex", mutex),
    ("reentrant", reentrant),
    ("signals", signals),
    ("condvar", condvar),
    ("barrier", barrier),
];

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
