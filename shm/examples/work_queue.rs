//! A parent shares work out to workers that it forks: tasks go through one queue, answers come back through another. One
//! worker is killed on the way, and the others finish.
//!
//! `cargo run --example work_queue`

use std::collections::BTreeMap;
use std::process;

use serde::{Deserialize, Serialize};
use slipring::{Error, Queue, Receiver, Result, Segment, Sender};

const WORKERS: usize = 4;
const END: u32 = 200_000;
const STEP: u32 = 5_000;

/// Find the prime numbers from `start` to just below `end`.
#[derive(Serialize, Deserialize)]
struct Task {
    start: u32,
    end: u32,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    worker: u32,
    primes: usize,
}

fn main() -> Result<()> {
    let segment = Segment::create()?;
    let (mut tasks, task_receiver) = Queue::<Task>::bounded(&segment, 8)?;
    let (answer_sender, mut answers) = Queue::<Answer>::unbounded(&segment)?;

    let mut children = Vec::new();
    for _ in 0..WORKERS {
        // SAFETY: this process has one thread.
        match unsafe { libc::fork() } {
            -1 => panic!("no more processes: {}", std::io::Error::last_os_error()),
            0 => {
                // A child has all handles that its parent had. Those it does not need keep others waiting for ever: a
                // queue has ended when nobody can send to it any more.
                drop((tasks, answers));
                let worked = work(task_receiver, answer_sender);
                process::exit(if worked.is_ok() { 0 } else { 1 });
            }
            child => children.push(child),
        }
    }
    // The workers have these. As long as we kept them too, a queue without workers would not be known as such.
    drop((task_receiver, answer_sender));

    for start in (0..END).step_by(STEP as usize) {
        tasks.send(&Task { start, end: start + STEP })?;
        if start == END / 4 {
            // One of the workers is no more. What it had in hand is lost with it, and nothing else is.
            // SAFETY: a child of ours that we have not waited for.
            assert_eq!(unsafe { libc::kill(children[0], libc::SIGKILL) }, 0);
        }
    }
    // No more senders: workers get what is left, and then the end.
    drop(tasks);

    let mut by_worker = BTreeMap::<u32, (usize, usize)>::new();
    while let Some(Answer { worker, primes }) = some_or_end(answers.recv())? {
        let (done, found) = by_worker.entry(worker).or_default();
        (*done, *found) = (*done + 1, *found + primes);
    }
    for (worker, (done, found)) in &by_worker {
        println!("process {worker} did {done} tasks and found {found} primes");
    }
    let tasks_done: usize = by_worker.values().map(|(done, _)| done).sum();
    let all: usize = by_worker.values().map(|(_, found)| found).sum();
    println!("{tasks_done} of {} tasks were done; {all} primes were found", END / STEP);
    assert!(tasks_done >= (END / STEP) as usize - 1, "at most the killed worker's task is missing");
    assert!(all <= 17_984);

    for child in children {
        // SAFETY: a child of ours that we have not waited for; nothing is written through the null pointer.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
    Ok(())
}

fn work(mut tasks: Receiver<Task>, mut answers: Sender<Answer>) -> Result<()> {
    while let Some(Task { start, end }) = some_or_end(tasks.recv())? {
        let primes = (start..end).filter(|n| is_prime(*n)).count();
        answers.send(&Answer { worker: process::id(), primes })?;
    }
    Ok(())
}

/// `None` when all senders are gone and everything was received.
fn some_or_end<T>(received: Result<T>) -> Result<Option<T>> {
    match received {
        Err(Error::Disconnected) => Ok(None),
        other => other.map(Some),
    }
}

fn is_prime(n: u32) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}
