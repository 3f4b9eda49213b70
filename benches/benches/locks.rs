//! The locks and signals of `slipring::sync`: alone, and contended by two processes.
//!
//! `cargo bench -p slipring-benches --bench locks` measures; with `-- --test` behind it each runs once.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use slipring::{
    Barrier, BoundedSemaphore, Condvar, Event, Mutex, ReentrantMutex, Semaphore, SpinPolicy,
};
use slipring_benches::alone::{PthreadMutex, lock_and_unlock};
use slipring_benches::channels::ours::segment;
use slipring_benches::cpu;
use slipring_benches::processes::{run, span};

fn alone(c: &mut Criterion) {
    let segment = segment(SpinPolicy::Adaptive);
    let mut group = c.benchmark_group("one thread, uncontended");

    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    group.bench_function("mutex, lock and unlock", |b| b.iter(|| lock_and_unlock(&mutex)));
    assert!(!mutex.is_locked());

    let pthread = PthreadMutex::new();
    let name = "pthread mutex, robust, between processes, lock and unlock";
    group.bench_function(name, |b| b.iter(|| pthread.lock_and_unlock()));

    let reentrant = ReentrantMutex::new(&segment).unwrap();
    let name = "reentrant mutex, lock and unlock";
    group.bench_function(name, |b| b.iter(|| drop(reentrant.lock().unwrap())));
    let held = reentrant.lock().unwrap();
    let name = "reentrant mutex, lock and unlock once more";
    group.bench_function(name, |b| b.iter(|| drop(reentrant.lock().unwrap())));
    assert_eq!(reentrant.count(), 1);
    drop(held);

    let semaphore = Semaphore::new(&segment, 1).unwrap();
    group.bench_function("semaphore, acquire and release", |b| {
        b.iter(|| {
            semaphore.acquire().unwrap();
            semaphore.release(1).unwrap();
        });
    });
    assert_eq!(semaphore.value(), 1);

    let bounded = BoundedSemaphore::new(&segment, 1).unwrap();
    group.bench_function("bounded semaphore, acquire and release", |b| {
        b.iter(|| {
            bounded.acquire().unwrap();
            bounded.release(1).unwrap();
        });
    });
    assert_eq!(bounded.value(), 1);

    let event = Event::new(&segment).unwrap();
    group.bench_function("event, set and clear", |b| {
        b.iter(|| assert!(event.set().unwrap() && event.clear().unwrap()));
    });
    event.set().unwrap();
    group.bench_function("event, wait for a set one", |b| b.iter(|| event.wait().unwrap()));

    let condvar = Condvar::new(&segment).unwrap();
    let name = "condition, notify without a waiter";
    group.bench_function(name, |b| b.iter(|| condvar.notify_one().unwrap()));

    let barrier = Barrier::new(&segment, 1).unwrap();
    let name = "barrier of one, wait";
    group.bench_function(name, |b| b.iter(|| assert!(barrier.wait().unwrap().is_leader())));
    group.finish();
}

/// Runs `operation` so many times in each of two processes, and says how long both took.
fn by_two(count: u64, mut operation: impl FnMut(usize, u64)) -> Duration {
    let cpus = cpu::allowed();
    let place = |role: usize| (cpus.len() >= 2).then(|| cpus[role]);
    let reports = run(&[place(0), place(1)], |role, gate| {
        gate.pass();
        (0..count).for_each(|n| operation(role, n));
        [0; 4]
    });
    span(&reports)
}

/// Each of two processes does as many operations: the time is that of one of each.
fn contended(c: &mut Criterion) {
    let mut group = c.benchmark_group("two processes, contended");
    group.sample_size(20);

    group.bench_function("mutex, lock, count and unlock", |b| {
        b.iter_custom(|count| {
            let mutex = Mutex::new(&segment(SpinPolicy::Adaptive), 0_u64).unwrap();
            let taken = by_two(count, |_, _| {
                let mut guard = mutex.lock().unwrap();
                guard.set(guard.get() + 1);
            });
            assert_eq!(mutex.lock().unwrap().get(), 2 * count);
            taken
        });
    });
    group.bench_function("reentrant mutex, lock and unlock", |b| {
        b.iter_custom(|count| {
            let mutex = ReentrantMutex::new(&segment(SpinPolicy::Adaptive)).unwrap();
            let taken = by_two(count, |_, _| drop(mutex.lock().unwrap()));
            assert!(!mutex.is_locked());
            taken
        });
    });
    group.bench_function("semaphore, acquire and release", |b| {
        b.iter_custom(|count| {
            let semaphore = Semaphore::new(&segment(SpinPolicy::Adaptive), 1).unwrap();
            let taken = by_two(count, |_, _| {
                semaphore.acquire().unwrap();
                semaphore.release(1).unwrap();
            });
            assert_eq!(semaphore.value(), 1);
            taken
        });
    });
    group.bench_function("bounded semaphore, acquire and release", |b| {
        b.iter_custom(|count| {
            let semaphore = BoundedSemaphore::new(&segment(SpinPolicy::Adaptive), 1).unwrap();
            let taken = by_two(count, |_, _| {
                semaphore.acquire().unwrap();
                semaphore.release(1).unwrap();
            });
            assert_eq!(semaphore.value(), 1);
            taken
        });
    });
    group.finish();
}

/// The two processes take turns: the time is that of a round trip.
fn in_turns(c: &mut Criterion) {
    let mut group = c.benchmark_group("two processes, in turns, round trip");
    group.sample_size(20);

    group.bench_function("event, set and wait", |b| {
        b.iter_custom(|count| {
            let segment = segment(SpinPolicy::Adaptive);
            let events = [Event::new(&segment).unwrap(), Event::new(&segment).unwrap()];
            let taken = by_two(count, |role, _| {
                if role == 0 {
                    assert!(events[1].set().unwrap(), "it was cleared");
                }
                events[role].wait().unwrap();
                assert!(events[role].clear().unwrap(), "it was set");
                if role == 1 {
                    assert!(events[0].set().unwrap(), "it was cleared");
                }
            });
            assert!(events.iter().all(|event| !event.is_set()));
            taken
        });
    });
    group.bench_function("condition, notify and wait", |b| {
        b.iter_custom(|count| {
            let segment = segment(SpinPolicy::Adaptive);
            let turn = Mutex::new(&segment, 0_u64).unwrap();
            let moved = Condvar::new(&segment).unwrap();
            let taken = by_two(count, |role, n| {
                let mut guard = turn.lock().unwrap();
                while guard.get() != 2 * n + role as u64 {
                    moved.wait(&mut guard).unwrap();
                }
                guard.set(guard.get() + 1);
                drop(guard);
                moved.notify_one().unwrap();
            });
            assert_eq!(turn.lock().unwrap().get(), 2 * count);
            taken
        });
    });
    group.bench_function("barrier of two, wait", |b| {
        b.iter_custom(|count| {
            let barrier = Barrier::new(&segment(SpinPolicy::Adaptive), 2).unwrap();
            let taken = by_two(count, |_, _| assert!(barrier.wait().unwrap().index() < 2));
            assert!(!barrier.is_broken());
            taken
        });
    });
    group.finish();
}

criterion_group!(benches, alone, contended, in_turns);
criterion_main!(benches);
