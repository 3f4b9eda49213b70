//! What the victims of the crash test do: every operation, again and again, until they are killed or done.

#[path = "victims/watch.rs"]
mod watch;

use std::io::Write as _;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use slipring::{
    Barrier, ByteQueue, ByteReceiver, ByteSender, Condvar, Error, Event, Handoff, Mutex, OrRecover,
    Pipe, PipeReader, PipeWriter, ReentrantMutex, Segment, SegmentOptions, Semaphore, SlotReceiver,
    SlotSender, Until,
};
use slipring_tests::log::Log;
use slipring_tests::message::{self, MIXED, Stamp};

#[path = "victims/acceptor.rs"]
mod acceptor;
#[path = "victims/berth.rs"]
mod berth;
#[path = "victims/common.rs"]
mod common;
#[path = "victims/ordered.rs"]
mod ordered;
#[path = "victims/parcel.rs"]
mod parcel;

use super::command::{Args, inherited, say, sleep_for_ever};
use super::forks::fork;
use super::tasks;
use common::{LONG, SHORT, next};

/// Runs `victim NAME …` if that is the command.
pub fn run(command: &str, args: &mut Args) -> bool {
    if command != "victim" {
        return false;
    }
    match args.text().as_str() {
        "queue-send" => queue_send(),
        "queue-recv" => queue_recv(args),
        "grow" => grow(),
        "pipe-send" => pipe_send(),
        "pipe-recv" => pipe_recv(args),
        "slots-send" => slots_send(),
        "slots-recv" => slots_recv(),
        "mutex" => mutex(),
        "reentrant" => reentrant(),
        "signals" => signals(),
        "condvar" => condvar(),
        "barrier" => barrier(),
        "segment" => segment(args),
        "give-back" => give_back(),
        "objects" => objects(),
        "fork" => fork_children(),
        "handoff" => handoff(),
        "reap" => reap(),
        "permits" => super::permits::victim(),
        "values" => super::values::victim(),
        "mess" => mess(args),
        "watch-wait" => watch::wait(args),
        "watch-ring" => watch::ring(args),
        "accept" => acceptor::accept(args),
        "connect" => acceptor::connect(args),
        "berth-give" => berth::give(),
        "berth-board" => berth::board(args),
        "parcel-send" => parcel::send(args),
        "parcel-receive" => parcel::receive(args),
        "enclose-send" => parcel::enclose_send(),
        "enclose-recv" => parcel::enclose_recv(),
        "task-put" => tasks::victim_put(),
        "task-work" => tasks::victim_work(args),
        "task-ahead" => tasks::victim_ahead(),
        "task-letters" => tasks::victim_letters(args),
        "task-objects" => tasks::victim_objects(),
        "task-mess" => tasks::victim_mess(args),
        other if ordered::run(other, args) => {}
        other => panic!("{other:?} is no victim"),
    }
    true
}

fn queue_send() {
    let mut tx: ByteSender = inherited().take("tx").unwrap();
    let (mut number, mut bytes) = (0, Vec::new());
    for round in 0..40 {
        next(&mut number, &mut bytes);
        tx.send_message(&bytes, round % 2 == 1, Until::NEVER).unwrap();
        match round % 5 {
            0 => {
                next(&mut number, &mut bytes);
                let mut loan = tx.loan(bytes.len()).unwrap();
                loan.write_all(&bytes).unwrap();
                tx.send_loan(loan).unwrap();
                drop(tx.loan(64).unwrap());
                drop(tx.loan(50_000).unwrap());
            }
            1 => {
                let batch = [(); 3].map(|()| {
                    next(&mut number, &mut bytes);
                    bytes.clone()
                });
                assert_eq!(tx.send_batch(&batch, None::<Duration>).unwrap(), 3);
            }
            2 => {
                // A message that may not get in: its number is used again.
                let mut again = number;
                next(&mut again, &mut bytes);
                if tx.try_send(&bytes).is_ok() {
                    number = again;
                }
            }
            3 => tx = tx.try_clone().unwrap(),
            _ => {}
        }
    }
}

fn queue_recv(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx: ByteReceiver = inherited().take("rx").unwrap();
    let mut bytes = Vec::new();
    for round in 0..20 {
        let message = rx.recv_message(&mut bytes, 1000, LONG).unwrap();
        log.write(message::read(&message.view.map_or(bytes.clone(), |view| view.to_vec())));
        match round % 4 {
            0 => log.write(message::read(&rx.recv_view_until(LONG).unwrap().to_vec())),
            1 => {
                for message in rx.recv_batch(3, LONG).unwrap() {
                    log.write(message::read(&message));
                }
            }
            2 => {
                if let Ok(message) = rx.try_recv() {
                    log.write(message::read(&message));
                }
                // Time for the sender to fill the queue and go to sleep.
                std::thread::sleep(Duration::from_millis(2));
            }
            _ => rx = rx.try_clone().unwrap(),
        }
    }
}

fn grow() {
    let mut tx: ByteSender = inherited().take("tx").unwrap();
    let mut bytes = Vec::new();
    for number in 0..6000 {
        message::write(Stamp { producer: 0, number }, message::SHORTEST, &mut bytes);
        tx.send(&bytes).unwrap();
    }
}

fn pipe_send() {
    let mut writer: PipeWriter = inherited().take("w").unwrap();
    let (mut number, mut bytes) = (0, Vec::new());
    for round in 0..60 {
        next(&mut number, &mut bytes);
        writer.send(&bytes).unwrap();
        if round % 10 == 0 {
            next(&mut number, &mut bytes);
            let mut loan = writer.loan(bytes.len()).unwrap();
            loan.write_at(0, &bytes);
            writer.send_loan(loan).unwrap();
            // Time for the reader to empty the pipe and go to sleep.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn pipe_recv(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut reader: PipeReader = inherited().take("r").unwrap();
    let mut bytes = Vec::new();
    for round in 0..30 {
        match round % 3 {
            0 => match reader.recv_into(&mut bytes, LONG) {
                Ok(_) => log.write(message::read(&bytes)),
                Err(_) => return,
            },
            1 => match reader.recv_view_until(LONG) {
                Ok(view) => log.write(message::read(&view.to_vec())),
                Err(_) => return,
            },
            _ => {
                reader.as_fd().unwrap();
                while reader.poll(SHORT).unwrap() {
                    let Ok(message) = reader.recv() else { return };
                    log.write(message::read(&message));
                }
            }
        }
    }
}

fn slots_send() {
    let mut tx: SlotSender<[u64; 8]> = inherited().take("tx").unwrap();
    for number in 0..40 {
        tx.send(&[number * 3; 8]).unwrap();
        let batch = [[number * 3 + 1; 8], [number * 3 + 2; 8]];
        assert_eq!(tx.send_batch(&batch, None::<Duration>).unwrap(), 2);
    }
}

fn slots_recv() {
    let mut rx: SlotReceiver<[u64; 8]> = inherited().take("rx").unwrap();
    for _ in 0..20 {
        rx.recv_until(LONG).unwrap();
        rx.recv_batch(&mut [[0; 8]; 2], LONG).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn mutex() {
    let mutex: Mutex<[u64; 2]> = inherited().take("mutex").unwrap();
    for round in 0..60 {
        let locked = match round % 3 {
            0 => mutex.lock(),
            1 => mutex.lock_until(LONG),
            _ => mutex.try_lock(),
        };
        let Ok(mut guard) = locked.or_recover() else { continue };
        let [count, _] = guard.get();
        guard.set([count + 1, count + 1]);
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn reentrant() {
    let lock: ReentrantMutex = inherited().take("lock").unwrap();
    for _ in 0..40 {
        let outer = lock.lock().or_recover().unwrap();
        let inner = lock.lock().or_recover().unwrap();
        std::thread::sleep(Duration::from_micros(100));
        drop(inner);
        drop(outer);
    }
}

fn signals() {
    let mut inherited = inherited();
    let semaphore: Semaphore = inherited.take("semaphore").unwrap();
    let event: Event = inherited.take("event").unwrap();
    let back: Event = inherited.take("back").unwrap();
    for _ in 0..15 {
        // Waits that end, and waits that do not.
        let _ = semaphore.acquire_until(SHORT);
        semaphore.release(1).unwrap();
        let _ = event.wait_until(SHORT);
        event.clear().unwrap();
        back.set().unwrap();
    }
}

fn condvar() {
    let mut inherited = inherited();
    let mutex: Mutex<u64> = inherited.take("mutex").unwrap();
    let lock: ReentrantMutex = inherited.take("lock").unwrap();
    let condvar: Condvar = inherited.take("condvar").unwrap();
    for round in 0..12 {
        if round % 2 == 0 {
            let mut guard = mutex.lock().or_recover().unwrap();
            let wait = if round % 4 == 0 { SHORT } else { Duration::from_millis(1) };
            let _ = condvar.wait_until(&mut guard, wait);
        } else {
            let mut guard = lock.lock().or_recover().unwrap();
            let _ = condvar.wait_until(&mut guard, SHORT);
        }
        condvar.notify_one().unwrap();
        condvar.notify_all().unwrap();
    }
}

fn barrier() {
    let mut inherited = inherited();
    let barrier: Barrier = inherited.take("barrier").unwrap();
    for _ in 0..5 {
        let _ = barrier.wait_until(LONG);
    }
    // Alone at one: gives up, which breaks it.
    let alone = Barrier::new(inherited.segment(), 2).unwrap();
    assert!(matches!(alone.wait_until(SHORT), Err(Error::TimedOut)));
    assert!(alone.is_broken());
    barrier.abort().unwrap();
    barrier.reset().unwrap();
    let _ = barrier.wait_until(LONG);
    // As the last to come, with something to do that fails.
    let _ = barrier.wait_with(LONG, || Err(Error::Closed));
    barrier.reset().unwrap();
}

/// `victim segment FD`: makes a segment in a file, attaches to it, and uses it.
fn segment(args: &mut Args) {
    // SAFETY: the test passes an open descriptor of its own by this number.
    let file = unsafe { OwnedFd::from_raw_fd(args.number()) };
    let options = SegmentOptions::new().reserve(1 << 30);
    let segment = Segment::create_in(&file, options).unwrap();
    let again = Segment::another_from_fd(&file).unwrap();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    for size in [100, 70_000, 3 << 20] {
        tx.send(&vec![7; size]).unwrap();
        assert_eq!(rx.recv().unwrap().len(), size);
    }
    again.trim().unwrap();
}

/// Frees large blocks, which give their memory back sooner in this build, and takes some again.
fn give_back() {
    let mut inherited = inherited();
    let mut tx: ByteSender = inherited.take("tx").unwrap();
    for _ in 0..2 {
        let loans: Vec<_> = (0..4).map(|_| tx.loan(300_000).unwrap()).collect();
        drop(loans);
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(25));
            drop(tx.loan(70_000).unwrap());
        }
    }
    inherited.segment().trim().unwrap();
}

/// Makes objects, and ends them with something in them.
fn objects() {
    let segment = inherited().segment().clone();
    for capacity in [3, 100] {
        let (mut tx, rx) = ByteQueue::bounded(&segment, capacity).unwrap();
        tx.send(b"something that is left in a block").unwrap();
        tx.send(b"x").unwrap();
        tx.close();
        drop((tx, rx));
        let (mut tx, rx) = ByteQueue::unbounded(&segment).unwrap();
        for _ in 0..1100 {
            tx.send(b"in the first ring or the second").unwrap();
        }
        drop((tx, rx));
        let (reader, mut writer) = Pipe::one_way(&segment).unwrap();
        writer.send(&[1; 10_000]).unwrap();
        drop((reader, writer));
        drop(Mutex::new(&segment, 1_u64).unwrap());
    }
}

fn fork_children() {
    let mut tx: ByteSender = inherited().take("tx").unwrap();
    for child in 0..3 {
        let pid = fork(|| {
            let mut bytes = Vec::new();
            message::write(Stamp { producer: child, number: 0 }, MIXED, &mut bytes);
            tx.send(&bytes).unwrap();
        });
        let mut status = 0;
        // SAFETY: `status` is a valid place. A child that was killed is what this is about.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
    }
}

fn handoff() {
    let mut inherited = inherited();
    let tx: ByteSender = inherited.take("tx").unwrap();
    for _ in 0..2 {
        let mut handoff = Handoff::new(inherited.segment());
        handoff.give("tx", &tx).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        // The grandchild takes over what it was handed, and may be the one that is killed.
        let mut child = handoff.spawn(command.args(["produce", "0", "1", "64"])).unwrap();
        child.wait().unwrap();
    }
}

/// Cleans up after whoever is dead.
fn reap() {
    let segment = inherited().segment().clone();
    for _ in 0..200 {
        segment.reap();
        if segment.participants().iter().all(|p| !p.is_dead) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = segment.trim();
}

/// `victim mess KIND`: leaves something behind, and waits to be killed.
fn mess(args: &mut Args) {
    let kind = args.text();
    let mut inherited = inherited();
    match kind.as_str() {
        "lock" => {
            let mutex: Mutex<[u64; 2]> = inherited.take("mutex").unwrap();
            let guard = mutex.lock().or_recover().unwrap();
            say("held");
            std::mem::forget(guard);
            sleep_for_ever();
        }
        "barrier" => {
            let barrier: Barrier = inherited.take("barrier").unwrap();
            let _ = barrier.wait_until(SHORT);
            barrier.reset().unwrap();
            say("held");
            sleep_for_ever();
        }
        "blocks" => {
            let mut tx: ByteSender = inherited.take("tx").unwrap();
            let _loans = [64, 1000, 1 << 20].map(|len| tx.loan(len).unwrap());
            let _own = ByteQueue::unbounded(inherited.segment()).unwrap();
            let (mut own, _rx) = ByteQueue::bounded(inherited.segment(), 8).unwrap();
            own.send(&[7; 500]).unwrap();
            let (_reader, mut writer) = Pipe::one_way(inherited.segment()).unwrap();
            writer.send(&[7; 50_000]).unwrap();
            say("held");
            sleep_for_ever();
        }
        "taker" => {
            let mut rx: ByteReceiver = inherited.take("rx").unwrap();
            let _ = rx.recv_view();
            sleep_for_ever();
        }
        "maker" => {
            let (mut tx, _rx) = ByteQueue::unbounded(inherited.segment()).unwrap();
            for _ in 0..1100 {
                tx.send(b"1").unwrap();
            }
            sleep_for_ever();
        }
        "sender" => {
            let mut tx: ByteSender = inherited.take("tx").unwrap();
            let _ = tx.send_until(&[1; 100], Until::NOW);
            sleep_for_ever();
        }
        "piper" => {
            let mut writer: PipeWriter = inherited.take("w").unwrap();
            for _ in 0..3 {
                writer.send(&[1; 50_000]).unwrap();
            }
            sleep_for_ever();
        }
        other => panic!("{other:?} is no mess"),
    }
}
