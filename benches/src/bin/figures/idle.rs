//! What it costs to wait: CPU time and sleeps of a process that is blocked all the time.

use std::time::{Duration, Instant};

use slipring::{ByteQueue, Error, LockError, Mutex, Pipe, Segment, SpinPolicy};
use slipring_benches::channels::ours::segment;
use slipring_benches::load::usage_of_self;
use slipring_benches::processes::{Facts, run};

/// The costs of the three ways to be blocked.
pub fn table(quick: bool) {
    let wait = Duration::from_millis(if quick { 500 } else { 2000 });
    println!("| blocked for {wait:?} in | µs of CPU per second | sleeps per second |");
    println!("|---|--:|--:|");
    for (what, facts) in [
        ("Queue recv", in_queue(wait)),
        ("Pipe recv", in_pipe(wait)),
        ("Mutex lock", in_mutex(wait)),
    ] {
        let per_second = |fact: u64| fact as f64 / wait.as_secs_f64();
        println!("| {what} | {:.0} | {:.0} |", per_second(facts[0]), per_second(facts[1]));
    }
    println!();
}

/// What this process uses during `wait`, which has to last.
fn used(lasts: Duration, wait: impl FnOnce(Duration)) -> Facts {
    let (before, began) = (usage_of_self(), Instant::now());
    wait(lasts);
    let after = usage_of_self();
    assert!(began.elapsed() >= lasts, "it was blocked for {:?} only", began.elapsed());
    let cpu = (after.cpu - before.cpu).as_micros() as u64;
    [cpu, after.sleeps - before.sleeps, 0, 0]
}

/// A process that is blocked by one that has the other side of everything, and waits for it to end.
fn blocked(lasts: Duration, mut wait: impl FnMut(Duration)) -> Facts {
    let reports = run(&[None], |_, gate| {
        gate.pass();
        used(lasts, &mut wait)
    });
    reports[0].facts
}

fn in_queue(lasts: Duration) -> Facts {
    let segment = segment(SpinPolicy::Adaptive);
    let (_sender, mut receiver) = ByteQueue::bounded(&segment, 8).expect("a queue");
    blocked(lasts, |wait| {
        assert!(matches!(receiver.recv_until(wait), Err(Error::TimedOut)));
    })
}

fn in_pipe(lasts: Duration) -> Facts {
    let segment = segment(SpinPolicy::Adaptive);
    let (mut reader, _writer) = Pipe::one_way(&segment).expect("a pipe");
    blocked(lasts, |wait| {
        assert!(matches!(reader.recv_until(wait), Err(Error::TimedOut)));
    })
}

fn in_mutex(lasts: Duration) -> Facts {
    let segment: Segment = segment(SpinPolicy::Adaptive);
    let mutex = Mutex::new(&segment, 0_u64).expect("a mutex");
    // The parent holds it, alive and asleep.
    let _held = mutex.lock().expect("nobody died");
    let child = &mutex;
    blocked(lasts, |wait| {
        let late = child.lock_until(wait);
        assert!(matches!(late, Err(LockError::Failed(Error::TimedOut))));
    })
}
