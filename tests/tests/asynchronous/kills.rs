//! Processes are killed: tasks that wait learn of it, and those of the dead take nothing along.

use std::time::{Duration, Instant};

use slipring::{ByteQueue, Error, Handoff, LockError, Mutex, Pipe, Semaphore};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::Stamp;
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, segment, wait_until};
use tokio::time::timeout;

use super::{SHORT, SOON, give, one_thread};

#[test]
fn the_lock_of_a_killed_process_goes_to_a_waiting_task_which_is_told() {
    let segment = segment();
    let mutex = Mutex::new(&segment, [0_u64; 2]).unwrap();
    let mut peer = Peer::start(give(&segment, |h| h.give("mutex", &mutex)), &["hold-mutex"]);
    peer.expect("held");
    one_thread().block_on(async {
        assert!(timeout(SHORT, mutex.lock_async()).await.is_err());
        let waiting = tokio::spawn({
            let mutex = mutex.clone();
            async move { matches!(mutex.lock_async().await, Err(LockError::OwnerDied(_))) }
        });
        tokio::time::sleep(SHORT).await;
        peer.kill();
        let start = Instant::now();
        assert!(timeout(PATIENCE, waiting).await.unwrap().unwrap());
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    });
}

#[test]
fn a_task_learns_that_the_last_one_on_the_other_side_was_killed() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    let both = |h: &mut Handoff| {
        h.give("tx", &tx)?;
        h.give("w", &writer)
    };
    let mut peer = Peer::start(give(&segment, both), &["act", "hold"]);
    drop((tx, writer));
    peer.expect("ready");
    peer.expect("held");
    one_thread().block_on(async {
        let rest = async {
            tokio::time::sleep(SHORT).await;
            peer.kill();
            Instant::now()
        };
        let queue = async { (rx.recv_async().await, Instant::now()) };
        let pipe = async { (reader.recv_async().await, Instant::now()) };
        let all = async { tokio::join!(queue, pipe, rest) };
        let ((queue, queue_end), (pipe, pipe_end), killed) = timeout(PATIENCE, all).await.unwrap();
        assert!(
            matches!(queue, Err(Error::Disconnected)) && matches!(pipe, Err(Error::Disconnected))
        );
        let took = (queue_end - killed, pipe_end - killed);
        assert!(took.0 < SOON && took.1 < SOON, "{took:?}");
    });
}

#[test]
fn who_is_killed_with_waiting_tasks_leaves_the_others_what_they_wait_for() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let semaphore = Semaphore::new(&segment, 0).unwrap();
    for round in 0..3 {
        let both = |h: &mut Handoff| {
            h.give("rx", &rx)?;
            h.give("semaphore", &semaphore)
        };
        let mut peer = Peer::start(give(&segment, both), &["async-wait-for-ever"]);
        peer.expect("waiting");
        one_thread().block_on(async {
            let (mut rx, semaphore_for_two) = (rx.try_clone().unwrap(), semaphore.clone());
            let semaphore = semaphore.clone();
            let one = tokio::spawn(async move { rx.recv_async().await });
            let two = tokio::spawn(async move { semaphore.acquire_async().await });
            tokio::time::sleep(SHORT).await;
            peer.kill();
            tx.send_async(format!("round {round}").as_bytes()).await.unwrap();
            let got = timeout(PATIENCE, one).await.unwrap().unwrap().unwrap();
            assert_eq!(got, format!("round {round}").as_bytes());
            let start = Instant::now();
            semaphore_for_two.release(1).unwrap();
            timeout(PATIENCE, two).await.unwrap().unwrap().unwrap();
            assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        });
    }
    wait_until("the dead to be cleaned up after", PATIENCE, || {
        segment.reap();
        segment.participants().len() == 1
    });
}

#[test]
fn tasks_of_processes_that_are_killed_lose_what_they_had_in_hand_and_no_more() {
    let seconds = std::env::var("SLIPRING_KILL_SECONDS").ok().and_then(|s| s.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(10) / 2);
    const PRODUCERS: u32 = 2;
    const COUNT: u64 = 3000;
    const TASKS: usize = 5;
    let segment = segment();
    let (tx, rx) = ByteQueue::bounded(&segment, 32).unwrap();
    let logs = Directory::new("async-kills");
    let path = |n: usize| logs.log(&n.to_string()).to_str().unwrap().to_owned();
    let (mut logged, mut random, mut kills) = (0, Random::new(3), 0);
    let consumer = |logged: &mut usize| {
        let args = ["async-consume", &TASKS.to_string(), &path(*logged)];
        *logged += 1;
        Peer::start(give(&segment, |h| h.give("rx", &rx)), &args)
    };
    let mut producers = 0;
    let mut running = Vec::new();
    let mut consumers: Vec<_> = (0..2).map(|_| consumer(&mut logged)).collect();
    while Instant::now() < end || producers < PRODUCERS {
        running.retain_mut(|peer: &mut Peer| !peer.has_ended());
        if running.len() < 2 && producers < 200 {
            let args = ["async-produce", &producers.to_string(), &COUNT.to_string()];
            running.push(Peer::start(give(&segment, |h| h.give("tx", &tx)), &args));
            producers += 1;
        }
        std::thread::sleep(Duration::from_millis(20 + random.below(60)));
        let which = random.below(2) as usize;
        consumers[which].kill();
        consumers[which] = consumer(&mut logged);
        kills += 1;
    }
    running.into_iter().for_each(Peer::join);
    drop(tx);
    consumers.into_iter().for_each(Peer::join);
    let received: Vec<_> = (0..logged).map(|n| log::read(path(n).as_ref())).collect();
    // Several tasks of one process log in no order.
    let mut all: Vec<Stamp> = received.into_iter().flatten().collect();
    let came = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), came, "something came twice");
    let (sent, in_hand) = (u64::from(producers) * COUNT, kills * TASKS);
    println!("{came} of {sent} came, {kills} kills");
    assert!(came as u64 <= sent && came + in_hand >= sent as usize, "{came} of {sent} came");
    drop(rx);
    wait_until("all blocks to be given back", PATIENCE, || {
        segment.reap();
        segment.blocks_in_use() == 0
    });
}
