//! What peers do that fork. The peer has one thread when it begins, so its children are free to run anything.

use std::path::Path;
use std::time::Duration;

use slipring::{ByteQueue, ByteReceiver, ByteSender, Error, Segment, SegmentOptions};
use slipring_tests::log::{self, Directory, Log};
use slipring_tests::message::{self, Stamp};

use super::command::{Args, say};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "fork-queue" => fork_queue(args),
        "fork-while-sending" => fork_while_sending(args),
        "fork-eof" => fork_eof(),
        "fork-on-and-on" => fork_on_and_on(args),
        "fork-and-run-short" => fork_and_run_short(),
        _ => return false,
    }
    true
}

/// Runs `child` in a child of this process, which ends with it.
pub fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: slipring's own state is made ready for it by its fork handlers; other threads of this program hold no
    // lock that the child needs, but for the allocator's, which glibc takes care of.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: ends this process without running what belongs to its parent.
            unsafe { libc::_exit(i32::from(ended.is_err())) }
        }
        pid => pid,
    }
}

/// Waits for a child, which must end well.
pub fn join(pid: libc::pid_t) {
    let mut status = 0;
    // SAFETY: `status` is a valid place.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        "a child ended with {status}"
    );
}

fn small_segment() -> Segment {
    Segment::with(SegmentOptions::new().reserve(4 << 30)).unwrap()
}

fn send_all(tx: &mut ByteSender, producer: u32, count: u64) {
    let mut bytes = Vec::new();
    for number in 0..count {
        message::write(Stamp { producer, number }, message::MIXED, &mut bytes);
        tx.send(&bytes).unwrap();
    }
}

fn log_all(rx: &mut ByteReceiver, path: &Path) {
    let mut log = Log::append(path);
    let mut bytes = Vec::new();
    loop {
        match rx.recv_into(&mut bytes, None::<Duration>) {
            Ok(_) => log.write(message::read(&bytes)),
            Err(Error::Disconnected) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `fork-queue PRODUCERS CONSUMERS COUNT`: all of them children of this process.
fn fork_queue(args: &mut Args) {
    let (producers, consumers, count): (u32, usize, u64) =
        (args.number(), args.number(), args.number());
    let segment = small_segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 16).unwrap();
    let logs = Directory::new("fork-queue");
    let mut children = Vec::new();
    for producer in 0..producers {
        children.push(fork(|| send_all(&mut tx, producer, count)));
    }
    for consumer in 0..consumers {
        let path = logs.log(&consumer.to_string());
        // What a forked child has and does not need it closes, as with any pipe.
        let (tx, rx) = (&tx, &mut rx);
        children.push(fork(|| {
            // SAFETY: the child's copy is never used again: this process ends without running its parent's stack.
            drop(unsafe { std::ptr::read(tx) });
            log_all(rx, &path);
        }));
    }
    drop(tx);
    children.into_iter().for_each(join);
    let received: Vec<_> = (0..consumers).map(|c| log::read(&logs.log(&c.to_string()))).collect();
    let all = log::check_received(&received);
    assert_eq!(all.len() as u64, u64::from(producers) * count, "all came");
    drop(rx);
    assert_eq!(segment.blocks_in_use(), 0, "every block was given back");
    say("ok");
}

/// `fork-while-sending FORKS`: four threads send all the time while the first one forks, and the children send too.
fn fork_while_sending(args: &mut Args) {
    const FROM_CHILD: u64 = 10;
    let forks: u32 = args.number();
    let segment = small_segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 64).unwrap();
    let stop = slipring_core::primitive::AtomicU32::new(0);
    let relaxed = slipring_core::primitive::Ordering::Relaxed;
    let (mut sent, mut received) = (0_u64, 0_u64);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4_u32)
            .map(|producer| {
                let (mut tx, stop) = (tx.try_clone().unwrap(), &stop);
                scope.spawn(move || {
                    let (mut bytes, mut number) = (Vec::new(), 0);
                    while stop.load(relaxed) == 0 {
                        message::write(Stamp { producer, number }, message::MIXED, &mut bytes);
                        tx.send(&bytes).unwrap();
                        number += 1;
                    }
                    number
                })
            })
            .collect();
        let receiver = scope.spawn(|| {
            let (mut count, mut bytes) = (0_u64, Vec::new());
            while rx.recv_into(&mut bytes, None::<Duration>).is_ok() {
                if bytes == b"that is all, no more" {
                    break;
                }
                message::read(&bytes);
                count += 1;
            }
            count
        });
        let mut tx = tx.try_clone().unwrap();
        for child in 0..forks {
            join(fork(|| send_all(&mut tx, 100 + child % 100, FROM_CHILD)));
        }
        stop.store(1, relaxed);
        sent = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
        sent += u64::from(forks) * FROM_CHILD;
        tx.send(b"that is all, no more").unwrap();
        received = receiver.join().unwrap();
    });
    assert_eq!(received, sent, "every message of threads and children came");
    say("ok");
}

/// A child's copy keeps a queue open, and its death ends it.
fn fork_eof() {
    let segment = small_segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let child = fork(|| {
        tx.send(b"from the child").unwrap();
        std::thread::sleep(Duration::from_millis(300));
    });
    drop(tx);
    assert_eq!(rx.recv().unwrap(), b"from the child");
    let start = std::time::Instant::now();
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(250), "the child had a sender: {waited:?}");
    assert!(waited < Duration::from_millis(500), "its exit is an end: {waited:?}");
    join(child);
    say("ok");
}

/// `fork-on-and-on CHILDREN`: one child after the other keeps a loan and ends, and nobody ever waits in the segment.
fn fork_on_and_on(args: &mut Args) {
    let children: u32 = args.number();
    let segment = small_segment();
    let (mut tx, rx) = ByteQueue::unbounded(&segment).unwrap();
    for _ in 0..children {
        join(fork(|| {
            tx.send(b"from a child").unwrap();
            std::mem::forget(tx.loan(100_000).unwrap());
        }));
    }
    assert_eq!(rx.len(), u64::from(children), "every child took part");
    let committed = segment.memory().committed;
    assert!(
        committed < 512 << 20,
        "{committed} bytes: what the children had was given back in time"
    );
    say("ok");
}

/// `fork-and-run-short`: a child ends with all of the memory, and nobody has noticed when some is wanted.
fn fork_and_run_short() {
    let segment = Segment::with(SegmentOptions::new().reserve(4 << 30).budget(64 << 20)).unwrap();
    let (mut tx, _rx) = ByteQueue::unbounded(&segment).unwrap();
    join(fork(|| {
        while let Ok(loan) = tx.loan(1 << 20) {
            std::mem::forget(loan);
        }
    }));
    drop(tx.loan(1 << 20).expect("the dead child's memory"));
    say("ok");
}
