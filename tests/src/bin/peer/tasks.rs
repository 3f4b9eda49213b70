//! What peers do with joinable queues, and what their victims of the crash test do.

use std::path::Path;
use std::time::Duration;

use slipring::{
    ByteJoinableQueue, ByteJoinableReceiver, ByteJoinableSender, Error, JoinableOptions,
    JoinableReceiver, JoinableSender, Until,
};
use slipring_tests::log::Log;
use slipring_tests::message::{self, MIXED, Stamp};

use super::command::{Args, inherited, say, sleep_for_ever};
use super::forks::{fork, join};

/// What no worker survives.
const POISON: &[u8] = b"poison";
const LONG: Duration = Duration::from_secs(20);

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "put" => drop(put(args)),
        "put-logged" => put_logged(args),
        "work" => work(args),
        "work-and-give-back" => work_and_give_back(args),
        "hold-tasks" => hold_tasks(args),
        "suicide-by-poison" => suicide_by_poison(),
        "end-task" => end_task(args),
        "join-tasks" => join_tasks(),
        "double" => double(),
        "fork-tasks" => fork_tasks(),
        _ => return false,
    }
    true
}

fn sender() -> ByteJoinableSender {
    inherited().take("tx").unwrap()
}

fn receiver() -> ByteJoinableReceiver {
    inherited().take("rx").unwrap()
}

/// `put ID COUNT SIZE`: puts so many tasks into `tx`. Returns the sender.
fn put(args: &mut Args) -> ByteJoinableSender {
    let (producer, count, size) = (args.number(), args.number(), args.number());
    let (mut tx, mut bytes) = (sender(), Vec::new());
    for number in 0..count {
        message::write(Stamp { producer, number }, size, &mut bytes);
        tx.send(&bytes).unwrap();
    }
    tx
}

/// `put-logged ID FIRST SIZE LOG`: puts until killed, and logs what was put.
fn put_logged(args: &mut Args) {
    let (producer, first, size): (_, u64, _) = (args.number(), args.number(), args.number());
    let mut log = Log::append(Path::new(&args.text()));
    let (mut tx, mut bytes) = (sender(), Vec::new());
    for number in first.. {
        let stamp = Stamp { producer, number };
        message::write(stamp, size, &mut bytes);
        if tx.send(&bytes).is_err() {
            return;
        }
        log.write(stamp);
    }
}

/// `work LOG`: logs each task and finishes it, until the end.
fn work(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx = receiver();
    loop {
        match rx.recv() {
            Ok(lease) => {
                log.write(message::read(&lease.to_vec()));
                lease.done().unwrap();
            }
            Err(Error::Disconnected | Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `work-and-give-back LOG`: the same, but for every third task, which it gives back; and it has several at a time.
fn work_and_give_back(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx = receiver();
    let mut turn = 0;
    loop {
        let first = match rx.recv() {
            Ok(lease) => lease,
            Err(Error::Disconnected | Error::Closed) => return,
            Err(error) => panic!("{error}"),
        };
        let second = rx.recv_until(Duration::from_millis(1)).ok();
        for lease in [Some(first), second].into_iter().flatten() {
            turn += 1;
            if turn % 3 == 0 {
                drop(lease);
                continue;
            }
            log.write(message::read(&lease.to_vec()));
            let id = lease.into_id();
            rx.task_done(id).unwrap();
        }
    }
}

/// `hold-tasks COUNT`: leases so many, says their ids, and waits to be killed.
fn hold_tasks(args: &mut Args) {
    let mut rx = receiver();
    for _ in 0..args.number::<u32>() {
        let id = rx.recv().unwrap().into_id();
        say(&format!("leased {id}"));
    }
    sleep_for_ever();
}

/// Works until a task kills it; says what else it finished.
fn suicide_by_poison() {
    let mut rx = receiver();
    loop {
        let Ok(lease) = rx.recv() else { return };
        if lease.to_vec() == POISON {
            say(&format!("dying of delivery {}", lease.deliveries()));
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
        lease.done().unwrap();
        say("done");
    }
}

/// `end-task ID`: tries to finish a lease of another process, and its own oldest.
fn end_task(args: &mut Args) {
    let mut rx = receiver();
    let id = args.number();
    say(&format!("{:?} {:?}", rx.task_done(id), rx.task_done_oldest()));
}

/// Joins, and says how that ended; calls it out when something is set aside.
fn join_tasks() {
    let mut tx = sender();
    tx.on_dead_letter(|letter| say(&format!("set aside after {}", letter.deliveries)));
    say("joining");
    say(&format!("{:?}", tx.join()));
}

/// Receives numbers from `rx` and puts their doubles into `tx`, typed.
fn double() {
    let mut inherited = inherited();
    let mut rx: JoinableReceiver<u64> = inherited.take("rx").unwrap();
    let mut tx: JoinableSender<(u64, String)> = inherited.take("tx").unwrap();
    while let Ok(lease) = rx.recv() {
        tx.send(&(*lease * 2, format!("twice {}", *lease))).unwrap();
        lease.done().unwrap();
    }
}

/// Workers that are forked, while the parent has a lease.
fn fork_tasks() {
    const TASKS: u64 = 300;
    let segment = slipring_tests::segment();
    let (mut tx, mut rx) = ByteJoinableQueue::bounded(&segment, 16).unwrap();
    tx.send(b"the parent's").unwrap();
    let lease = rx.recv().unwrap();
    let mut children = Vec::new();
    for _ in 0..3 {
        let (rx, lease) = (&mut rx, &lease);
        children.push(fork(move || {
            // SAFETY: the child's copy is never used again: this process ends without running its parent's stack.
            let copy = unsafe { std::ptr::read(lease) };
            assert!(matches!(copy.done(), Err(Error::NotYourLease)));
            assert_eq!(rx.leases(), 0, "nothing that is the parent's is ours");
            loop {
                let task = rx.recv().unwrap();
                let last = task.to_vec() == b"end";
                task.done().unwrap();
                if last {
                    return;
                }
            }
        }));
    }
    for number in 0..TASKS {
        tx.send(&number.to_le_bytes()).unwrap();
    }
    for _ in 0..3 {
        tx.send(b"end").unwrap();
    }
    children.into_iter().for_each(join);
    assert_eq!((tx.unfinished(), lease.deliveries()), (1, 1));
    lease.done().unwrap();
    tx.join().unwrap();
    drop((tx, rx));
    segment.reap();
    assert_eq!(segment.blocks_in_use(), 0);
    say("ok");
}

/// The victim that puts.
pub fn victim_put() {
    let mut tx = sender();
    let (mut number, mut bytes) = (0, Vec::new());
    let mut next = |bytes: &mut Vec<u8>| {
        message::write(Stamp { producer: 0, number }, MIXED, bytes);
        number += 1;
    };
    for round in 0..40 {
        next(&mut bytes);
        tx.send_message(&bytes, round % 2 == 1, Until::NEVER).unwrap();
        match round % 4 {
            0 => {
                next(&mut bytes);
                let mut loan = tx.loan(bytes.len()).unwrap();
                loan.write_at(0, &bytes);
                tx.send_loan_until(loan, LONG).unwrap();
            }
            1 => {
                let batch = [(); 3].map(|()| {
                    next(&mut bytes);
                    bytes.clone()
                });
                assert_eq!(tx.send_batch(&batch, LONG).unwrap(), 3);
            }
            2 => {
                let _ = tx.join_until(Duration::from_millis(1));
            }
            _ => tx = tx.try_clone().unwrap(),
        }
    }
}

/// The victim that works: `victim task-work LOG`. What it finishes it has logged before.
pub fn victim_work(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx = receiver();
    for round in 0..24 {
        let Ok(lease) = rx.recv_until(LONG) else { return };
        match round % 6 {
            0 => drop(lease),
            1 => {
                log.write(message::read(&lease.to_vec()));
                let id = lease.into_id();
                rx.task_done(id).unwrap();
            }
            2 => {
                // Two at a time, ended as the oldest.
                let other = rx.recv_until(LONG).unwrap();
                for lease in [lease, other] {
                    log.write(message::read(&lease.to_vec()));
                    let _ = lease.into_id();
                }
                rx.task_done_oldest().unwrap();
                rx.task_done_oldest().unwrap();
            }
            3 => {
                let id = lease.into_id();
                rx.give_back(id).unwrap();
                // Time for the sender to fill the queue and go to sleep.
                std::thread::sleep(Duration::from_millis(2));
            }
            4 => {
                log.write(message::read(&lease.to_vec()));
                lease.done().unwrap();
                rx = rx.try_clone().unwrap();
            }
            _ => {
                log.write(message::read(&lease.to_vec()));
                lease.done().unwrap();
            }
        }
    }
    // Leases by id that go back with their receiver.
    if let Ok(lease) = rx.try_recv() {
        let _ = lease.into_id();
    }
}

/// The victim that says that tasks are done before it has them, and when others have.
pub fn victim_ahead() {
    let (mut rx, mut buffer) = (receiver(), Vec::new());
    for round in 0..10 {
        rx.task_done_of_any().unwrap();
        let message = rx.recv_message(&mut buffer, LONG).unwrap();
        assert_eq!(message.lease, None, "it is done already");
        let message = rx.recv_message(&mut buffer, LONG).unwrap();
        let id = message.lease.unwrap();
        match round % 2 {
            // The one that we have is the oldest.
            0 => rx.task_done_of_any().unwrap(),
            _ => rx.task_done(id).unwrap(),
        }
    }
}

/// The victim that sets aside, and takes what was set aside: `victim task-letters LOG`.
pub fn victim_letters(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut inherited = inherited();
    let mut rx: ByteJoinableReceiver = inherited.take("rx").unwrap();
    let mut tx: ByteJoinableSender = inherited.take("tx").unwrap();
    rx.on_dead_letter(|letter| assert_eq!(message::read(&letter.message).producer, 1));
    for round in 0..12 {
        let Ok(lease) = rx.recv_until(LONG) else { return };
        // A single delivery is allowed: it is a dead letter when it is looked for.
        drop(lease);
        if round % 3 == 0 {
            let _ = tx.join_until(Until::NOW);
        }
        if round % 2 == 0
            && let Some(letter) = rx.take_dead_letter().unwrap()
        {
            log.write(message::read(&letter.message));
        }
    }
}

/// The victim that makes queues, and ends them with something in them.
pub fn victim_objects() {
    let segment = inherited().segment().clone();
    for _ in 0..2 {
        let options = JoinableOptions::unbounded().max_deliveries(Some(1)).max_leases(16);
        let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
        for _ in 0..5 {
            tx.send(b"something that is left").unwrap();
        }
        drop(rx.recv().unwrap());
        let _ = rx.recv().unwrap().into_id();
        rx.recv().unwrap().done().unwrap();
        tx.close();
        drop((tx, rx));
    }
}

/// `victim task-mess KIND`: gets into a state, and waits to be killed where it was not before.
pub fn victim_mess(args: &mut Args) {
    let kind = args.text();
    if kind == "put" {
        let _tx = put(args);
        say("held");
        sleep_for_ever();
    }
    let mut rx = receiver();
    match kind.as_str() {
        "lease" => drop(rx.recv().unwrap().into_id()),
        "done" => rx.recv().unwrap().done().unwrap(),
        "ahead" => {
            // One that died before may have left more than there are.
            let _ = rx.task_done_of_any();
            drop(rx.recv_message(&mut Vec::new(), LONG).unwrap());
        }
        // With a single delivery allowed, the second look sets it aside.
        "letter" => {
            drop(rx.recv().unwrap());
            let _ = rx.try_recv();
        }
        other => panic!("{other:?} is no mess"),
    }
    say("held");
    sleep_for_ever();
}
