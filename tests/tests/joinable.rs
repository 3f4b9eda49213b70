//! Joinable queues between processes: tasks of the dead go to others, counts stay exact, joins end.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use slipring::{
    ByteJoinableQueue, ByteJoinableReceiver, ByteJoinableSender, ByteReceiver, Error, Handoff,
    Inherited, JoinableOptions, JoinableQueue, Named, Segment, Until,
};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::{MIXED, Stamp};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, median, segment, wait_until};

fn with_tx(segment: &Segment, tx: &ByteJoinableSender) -> Handoff {
    let mut handoff = Handoff::new(segment);
    handoff.give("tx", tx).unwrap();
    handoff
}

fn with_rx(segment: &Segment, rx: &ByteJoinableReceiver) -> Handoff {
    let mut handoff = Handoff::new(segment);
    handoff.give("rx", rx).unwrap();
    handoff
}

/// Puts a task every 100 µs, through three lives of the only worker. Returns how many puts were refused.
fn put_through_restarts(is_patient: bool) -> u32 {
    let name = format!("restart-{is_patient}-{}", std::process::id());
    let options = JoinableOptions::bounded(1 << 16);
    let mut tx = ByteJoinableSender::create(name.as_str(), options).unwrap();
    tx.set_patient(is_patient);
    let (mut put, mut refused) = (0_u32, 0);
    for _ in 0..3 {
        let mut worker = Peer::alone(&["side-works", &name, "100"]);
        let mut has_worked = false;
        while !has_worked {
            match tx.try_send(b"task") {
                Ok(()) => put += 1,
                Err(Error::Disconnected) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            has_worked = worker.line_within(Duration::from_micros(100)).is_some();
        }
        worker.kill();
        // Until the next one is started.
        for _ in 0..500 {
            std::thread::sleep(Duration::from_micros(100));
            match tx.try_send(b"task") {
                Ok(()) => put += 1,
                Err(Error::Disconnected) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    let (done, unfinished) = (300, tx.unfinished());
    assert_eq!(u64::from(put) - done, unfinished, "what was put is there");
    if is_patient {
        assert!(matches!(tx.join_until(Duration::from_millis(200)), Err(Error::TimedOut)));
        let _last = Peer::alone(&["side-works", &name, &unfinished.to_string()]);
        tx.join_until(PATIENCE).unwrap();
    }
    refused
}

#[test]
fn a_patient_putter_goes_on_while_the_only_worker_is_started_again() {
    assert_eq!(put_through_restarts(true), 0);
    let refused = put_through_restarts(false);
    assert!(refused > 0, "the other one is told that nobody works");
    println!("{refused} refused without patience");
}

fn assert_nothing_is_left(segment: &Segment) {
    wait_until("all blocks to be given back", PATIENCE, || {
        segment.reap();
        segment.blocks_in_use() == 0 && segment.participants().len() == 1
    });
}

#[test]
fn many_putters_and_workers_finish_everything_once() {
    let segment = segment();
    let (mut tx, rx) = ByteJoinableQueue::bounded(&segment, 7).unwrap();
    let logs = Directory::new("tasks");
    let path = |c: usize| logs.log(&c.to_string());
    let workers =
        (0..4).map(|c| Peer::start(with_rx(&segment, &rx), &["work", path(c).to_str().unwrap()]));
    let workers: Vec<_> = workers.collect();
    let size = MIXED.to_string();
    let putters = (0..4)
        .map(|p: u32| Peer::start(with_tx(&segment, &tx), &["put", &p.to_string(), "2000", &size]));
    putters.collect::<Vec<_>>().into_iter().for_each(Peer::join);
    tx.join_until(PATIENCE).unwrap();
    assert_eq!((tx.unfinished(), tx.len()), (0, 0));
    drop((tx, rx));
    workers.into_iter().for_each(Peer::join);
    let logs: Vec<_> = (0..4).map(|c| log::read(&path(c))).collect();
    assert_eq!(log::check_received(&logs).len(), 8000, "each once");
    assert_nothing_is_left(&segment);
}

#[test]
fn a_dead_workers_tasks_go_to_another_and_the_join_ends() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::bounded(&segment, 8).unwrap();
    tx.send_batch(["a", "b", "c"], Until::NEVER).unwrap();
    let mut worker = Peer::start(with_rx(&segment, &rx), &["hold-tasks", "2"]);
    (0..2).for_each(|_| drop(worker.line_within(PATIENCE).expect("a lease")));
    assert_eq!((tx.unfinished(), tx.len(), rx.leases()), (3, 1, 0));
    let c = rx.recv().unwrap();
    assert_eq!((c.to_vec(), c.deliveries()), (b"c".to_vec(), 1));
    assert!(matches!(rx.recv_until(Duration::from_millis(120)), Err(Error::TimedOut)));
    let joining = std::thread::spawn(move || tx.join_until(PATIENCE).map(|()| tx));
    worker.kill();
    let start = Instant::now();
    for expected in [b"a", b"b"] {
        let lease = rx.recv_until(PATIENCE).unwrap();
        assert_eq!((lease.to_vec(), lease.deliveries()), (expected.to_vec(), 2));
        assert!(lease.is_redelivered());
        lease.done().unwrap();
    }
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    c.done().unwrap();
    let tx = joining.join().unwrap().unwrap();
    assert_eq!(tx.unfinished(), 0);
    drop((tx, rx));
    assert_nothing_is_left(&segment);
}

#[test]
fn a_dead_workers_task_comes_back_with_its_mark() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::bounded(&segment, 8).unwrap();
    for (len, marked) in [(3, true), (3, false), (9000, true)] {
        tx.send_message(&vec![1; len], marked, Until::NEVER).unwrap();
        let mut worker = Peer::start(with_rx(&segment, &rx), &["hold-tasks", "1"]);
        drop(worker.line_within(PATIENCE).expect("a lease"));
        worker.kill();
        let mut buffer = Vec::new();
        let message = rx.recv_message(&mut buffer, PATIENCE).unwrap();
        assert_eq!((buffer.len(), message.marked), (len, marked));
        rx.task_done(message.lease.unwrap()).unwrap();
        worker.end();
    }
    drop((tx, rx));
    assert_nothing_is_left(&segment);
}

#[test]
fn nobody_ends_another_processs_lease() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::bounded(&segment, 8).unwrap();
    tx.send(b"task").unwrap();
    let id = rx.recv().unwrap().into_id();
    let peer = Peer::start(with_rx(&segment, &rx), &["end-task", &id.to_string()]);
    peer.expect("Err(NotYourLease) Err(NotYourLease)");
    peer.join();
    rx.task_done(id).unwrap();
    tx.join_until(Until::NOW).unwrap();
}

#[test]
fn a_task_that_kills_its_workers_is_set_aside_and_the_join_ends() {
    const LIMIT: u32 = 3;
    let segment = segment();
    let options = JoinableOptions::bounded(8).max_deliveries(Some(LIMIT));
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    let (say, said) = mpsc::channel();
    rx.on_dead_letter(move |letter| say.send(letter.clone()).unwrap());
    tx.send_batch(["bread", "poison", "water"], Until::NEVER).unwrap();
    for delivery in 1..=LIMIT {
        let mut worker = Peer::start(with_rx(&segment, &rx), &["suicide-by-poison"]);
        if delivery == 1 {
            worker.expect("done");
        }
        worker.expect(&format!("dying of delivery {delivery}"));
        worker.end();
        assert_eq!(tx.unfinished(), 2);
        // So that the next one finds the task given back, and does not begin with the one behind it.
        wait_until("the death to be noticed", PATIENCE, || segment.reap() > 0);
    }
    let water = rx.recv_until(PATIENCE).unwrap();
    assert_eq!(water.to_vec(), b"water");
    let letter = said.recv_timeout(PATIENCE).expect("the hook was called here");
    assert_eq!((&letter.message[..], letter.deliveries), (&b"poison"[..], LIMIT));
    water.done().unwrap();
    tx.join_until(PATIENCE).unwrap();
    assert_eq!(rx.take_dead_letter().unwrap(), Some(letter));
    drop((tx, rx));
    assert_nothing_is_left(&segment);
}

#[test]
fn a_join_ends_where_the_last_worker_died_of_its_task() {
    let segment = segment();
    let options = JoinableOptions::bounded(8).max_deliveries(Some(1));
    let (mut tx, rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    tx.send(b"poison").unwrap();
    let joiner = Peer::start(with_tx(&segment, &tx), &["join-tasks"]);
    joiner.expect("joining");
    let mut worker = Peer::start(with_rx(&segment, &rx), &["suicide-by-poison"]);
    drop(rx);
    worker.expect("dying of delivery 1");
    worker.end();
    joiner.expect("set aside after 1");
    joiner.expect("Ok(())");
    joiner.join();
    assert_eq!(tx.take_dead_letter().unwrap().map(|l| l.message), Some(b"poison".to_vec()));
    assert_nothing_is_left(&segment);
}

#[test]
fn a_join_says_that_nobody_is_left_to_work() {
    let segment = segment();
    let (mut tx, rx) = ByteJoinableQueue::bounded(&segment, 8).unwrap();
    tx.send(b"task").unwrap();
    let joiner = Peer::start(with_tx(&segment, &tx), &["join-tasks"]);
    joiner.expect("joining");
    let mut worker = Peer::start(with_rx(&segment, &rx), &["hold-tasks", "1"]);
    drop(worker.line_within(PATIENCE).expect("a lease"));
    drop(rx);
    assert_eq!(joiner.line_within(Duration::from_millis(150)), None, "it may be finished yet");
    worker.kill();
    joiner.expect("Err(Disconnected)");
}

#[test]
fn a_stopped_worker_holds_up_its_own_tasks_and_nothing_else() {
    let segment = segment();
    let (mut tx, mut rx) = ByteJoinableQueue::bounded(&segment, 4).unwrap();
    tx.send(b"the stopped one's").unwrap();
    let worker = Peer::start(with_rx(&segment, &rx), &["hold-tasks", "1"]);
    drop(worker.line_within(PATIENCE).expect("a lease"));
    worker.signal(Signal::STOP);
    for number in 0..500_u64 {
        let start = Instant::now();
        tx.send_until(&number.to_le_bytes(), PATIENCE).unwrap();
        let lease = rx.recv_until(PATIENCE).unwrap();
        assert_eq!(lease.to_vec(), number.to_le_bytes());
        lease.done().unwrap();
        assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    }
    assert_eq!(tx.unfinished(), 1);
    assert!(matches!(tx.join_until(Duration::from_millis(120)), Err(Error::TimedOut)));
    worker.signal(Signal::CONT);
    drop(worker);
    rx.recv_until(PATIENCE).unwrap().done().unwrap();
    tx.join_until(Until::NOW).unwrap();
}

#[test]
fn deadlines_of_a_join_hold_within_20_ms() {
    let segment = segment();
    let (mut tx, _rx) = ByteJoinableQueue::bounded(&segment, 1).unwrap();
    tx.send(b"task").unwrap();
    let wait = Duration::from_millis(120);
    let taken = (0..5).map(|_| {
        let start = Instant::now();
        assert!(matches!(tx.join_until(wait), Err(Error::TimedOut)));
        start.elapsed()
    });
    let taken: Vec<_> = taken.collect();
    assert!(taken.iter().all(|t| *t >= wait), "not before: {taken:?}");
    assert!(median(taken.clone()) < wait + Duration::from_millis(20), "{taken:?}");
}

#[test]
fn typed_handles_travel_and_mean_the_same() {
    let segment = segment();
    let (mut tx, rx) = JoinableQueue::<u64>::bounded(&segment, 8).unwrap();
    let (their_tx, mut doubles) = JoinableQueue::<(u64, String)>::bounded(&segment, 8).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("rx", &rx).unwrap();
    handoff.give("tx", &their_tx).unwrap();
    let peer = Peer::start(handoff, &["double"]);
    drop((rx, their_tx));
    for number in 0..20 {
        tx.send(&number).unwrap();
        let lease = doubles.recv().unwrap();
        assert_eq!(*lease, (number * 2, format!("twice {number}")));
        lease.done().unwrap();
    }
    tx.join_until(PATIENCE).unwrap();
    drop(tx);
    peer.join();
    assert!(matches!(doubles.recv_until(PATIENCE), Err(Error::Disconnected)));
}

#[test]
fn a_ticket_of_one_side_or_kind_makes_no_other() {
    use slipring::handoff::Transfer;
    let segment = segment();
    let (tx, rx) = ByteJoinableQueue::bounded(&segment, 8).unwrap();
    let wrong = ByteJoinableReceiver::from_ticket(tx.ticket().unwrap(), &segment).unwrap_err();
    assert!(matches!(wrong, Error::WrongKind { found: "sender of a joinable queue", .. }));
    let wrong = ByteReceiver::from_ticket(rx.ticket().unwrap(), &segment).unwrap_err();
    assert!(matches!(wrong, Error::WrongKind { found: "joinable queue", .. }));
    assert!(Inherited::from_env().is_err());
}

#[test]
fn forked_workers_have_handles_of_their_own_and_no_lease() {
    let peer = Peer::alone(&["fork-tasks"]);
    peer.expect("ok");
    peer.join();
}

#[test]
fn random_kills_lose_no_task_and_the_counts_stay_exact() {
    let seconds = std::env::var("SLIPRING_KILL_SECONDS").map_or(10, |s| s.parse().unwrap());
    let segment = segment();
    let options = JoinableOptions::bounded(32).max_deliveries(None);
    let (mut tx, mut rx) = ByteJoinableQueue::with(&segment, options).unwrap();
    let logs = Directory::new("task-kills");
    let size = MIXED.to_string();
    let mut random = Random::new(std::process::id().into());
    let (mut putter_kills, mut worker_kills) = (0_u64, 0_u64);
    let mut worker_logs = Vec::new();
    let mut start_worker = || {
        let path = logs.log(&format!("w{}", worker_logs.len()));
        let how = if worker_logs.len() % 2 == 0 { "work" } else { "work-and-give-back" };
        let peer = Peer::start(with_rx(&segment, &rx), &[how, path.to_str().unwrap()]);
        worker_logs.push(path);
        peer
    };
    let mut lives = [0_u64; 3];
    let mut start_putter = |id: usize| {
        let path = logs.log(&format!("p{id}"));
        // Each life has its own numbers: the one before may have put one that it had no time to log.
        let first = (lives[id] << 32).to_string();
        lives[id] += 1;
        let id = id.to_string();
        let args = ["put-logged", &id, &first, &size, path.to_str().unwrap()];
        Peer::start(with_tx(&segment, &tx), &args)
    };
    let mut putters: Vec<_> = (0..3).map(&mut start_putter).collect();
    let mut workers: Vec<_> = (0..4).map(|_| start_worker()).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_micros(200 + random.below(30_000)));
        let which = random.below(3) as usize;
        if random.below(3) == 0 {
            putters[which].kill();
            putters[which] = start_putter(which);
            putter_kills += 1;
        } else {
            workers[which].kill();
            workers[which] = start_worker();
            worker_kills += 1;
        }
    }
    putters.iter_mut().for_each(Peer::kill);
    putter_kills += 3;
    tx.join_until(PATIENCE).expect("everything that was put is finished");
    assert_eq!((tx.unfinished(), tx.len(), tx.dead_letters()), (0, 0, 0));
    tx.close();
    workers.into_iter().for_each(Peer::join);
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Closed)));
    // What was logged and not finished went out again: at least once each.
    let done: HashSet<Stamp> = worker_logs.iter().flat_map(|path| log::read(path)).collect();
    let put: HashSet<Stamp> = (0..3).flat_map(|p| log::read(&logs.log(&format!("p{p}")))).collect();
    println!("{} put, {putter_kills} + {worker_kills} kills", put.len());
    assert!(put.len() > 500, "{} were put", put.len());
    assert_eq!(put.difference(&done).count(), 0, "nothing that was put is lost");
    let unlogged = done.difference(&put).count() as u64;
    assert!(unlogged <= putter_kills, "{unlogged} not logged, {putter_kills} kills of putters");
    drop((tx, rx));
    assert_nothing_is_left(&segment);
}
