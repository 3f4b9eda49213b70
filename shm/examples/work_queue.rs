//! Some processes share the work that is in a queue, and send what they find to another one.
//!
//! `cargo run --example work_queue`

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

use serde::{Deserialize, Serialize};
use slipring::{Error, Handoff, Inherited, Queue, Receiver, Result, Segment, Sender};

const WORKERS: usize = 3;
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
    // This program starts itself as its workers: those are handed something.
    match Inherited::from_env() {
        Ok(inherited) => work(inherited),
        Err(Error::NotInherited(_)) => share_out(),
        Err(error) => Err(error),
    }
}

fn share_out() -> Result<()> {
    let segment = Segment::create()?;
    let (mut tasks, task_receiver) = Queue::<Task>::bounded(&segment, 8)?;
    let (answer_sender, mut answers) = Queue::<Answer>::unbounded(&segment)?;
    let mut children = Vec::new();
    for _ in 0..WORKERS {
        let mut handoff = Handoff::new(&segment);
        handoff.give("tasks", &task_receiver)?;
        handoff.give("answers", &answer_sender)?;
        let program = env::current_exe().expect("this program has a path");
        children.push(handoff.spawn(&mut Command::new(program))?);
    }
    // The workers have these. As long as we kept them too, a queue without workers would not be known as such.
    drop((task_receiver, answer_sender));

    for start in (0..END).step_by(STEP as usize) {
        tasks.send(&Task { start, end: start + STEP })?;
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
    let all: usize = by_worker.values().map(|(_, found)| found).sum();
    println!("there are {all} primes below {END}");
    assert_eq!(all, 17_984);
    for mut child in children {
        assert!(child.wait().is_ok_and(|status| status.success()));
    }
    Ok(())
}

fn work(mut inherited: Inherited) -> Result<()> {
    let mut tasks: Receiver<Task> = inherited.take("tasks")?;
    let mut answers: Sender<Answer> = inherited.take("answers")?;
    while let Some(Task { start, end }) = some_or_end(tasks.recv())? {
        let primes = (start..end).filter(|n| is_prime(*n)).count();
        answers.send(&Answer { worker: std::process::id(), primes })?;
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
