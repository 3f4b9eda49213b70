//! Queues between processes: order and completeness, exact bounds, deadlines, ends, kills and stops.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use slipring::{ByteQueue, ByteReceiver, ByteSender, Error, Handoff, Segment};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::{MIXED, Stamp};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, median, segment, wait_until};

fn with_tx(segment: &Segment, tx: &ByteSender) -> Handoff {
    let mut handoff = Handoff::new(segment);
    handoff.give("tx", tx).unwrap();
    handoff
}

fn with_rx(segment: &Segment, rx: &ByteReceiver) -> Handoff {
    let mut handoff = Handoff::new(segment);
    handoff.give("rx", rx).unwrap();
    handoff
}

/// So many producers and consumers, each a program of its own.
fn exchange(producers: u32, consumers: usize, count: u64, capacity: u64) {
    exchange_by(["produce", "consume"], producers, consumers, count, capacity);
}

/// The same, by what they do.
fn exchange_by(
    [produce, consume]: [&str; 2],
    producers: u32,
    consumers: usize,
    count: u64,
    capacity: u64,
) {
    let segment = segment();
    let (tx, rx) = ByteQueue::bounded(&segment, capacity).unwrap();
    let logs = Directory::new(&format!("{produce}-{producers}-{consumers}-{capacity}"));
    let path = |c: usize| logs.log(&c.to_string());
    let size = MIXED.to_string();
    let mut peers: Vec<_> = (0..consumers)
        .map(|c| Peer::start(with_rx(&segment, &rx), &[consume, path(c).to_str().unwrap()]))
        .collect();
    peers.extend((0..producers).map(|p| {
        let args = [produce, &p.to_string(), &count.to_string(), &size];
        Peer::start(with_tx(&segment, &tx), &args)
    }));
    drop(tx);
    peers.into_iter().for_each(Peer::join);
    let received: Vec<_> = (0..consumers).map(|c| log::read(&path(c))).collect();
    let all = log::check_received(&received);
    assert_eq!(all.len() as u64, u64::from(producers) * count, "all came");
    drop(rx);
    wait_until("all blocks to be given back", PATIENCE, || {
        segment.reap();
        segment.blocks_in_use() == 0
    });
}

#[test]
fn one_producer_and_one_consumer_lose_nothing() {
    exchange(1, 1, 20_000, 64);
}

#[test]
fn marks_come_to_other_processes_with_their_messages() {
    exchange_by(["produce-marked", "consume-marked"], 3, 3, 2_000, 7);
}

#[test]
fn four_producers_and_four_consumers_lose_nothing() {
    exchange(4, 4, 5_000, 7);
}

#[test]
fn eight_producers_and_eight_consumers_lose_nothing() {
    exchange(8, 8, 2_000, 1);
}

#[test]
fn forked_producers_and_consumers_lose_nothing() {
    for (producers, consumers, count) in [(1, 1, 10_000), (4, 4, 3_000), (8, 8, 1_000)] {
        let args = [producers, consumers, count].map(|n: i32| n.to_string());
        let peer = Peer::alone(&["fork-queue", &args[0], &args[1], &args[2]]);
        peer.expect("ok");
        peer.join();
    }
}

#[test]
fn forks_while_other_threads_send_lose_nothing_and_hang_nobody() {
    let peer = Peer::alone(&["fork-while-sending", "100"]);
    peer.expect("ok");
    peer.join();
}

#[test]
fn a_forked_copy_keeps_a_queue_open_until_the_child_ends() {
    let peer = Peer::alone(&["fork-eof"]);
    peer.expect("ok");
    peer.join();
}

#[test]
fn children_that_come_and_go_leave_room_for_others() {
    let peer = Peer::alone(&["fork-on-and-on", "1100"]);
    peer.expect("ok");
    peer.join();
}

#[test]
fn memory_of_the_dead_is_had_by_whoever_runs_short() {
    let peer = Peer::alone(&["fork-and-run-short"]);
    peer.expect("ok");
    peer.join();
}

#[test]
fn a_bounded_queue_holds_exactly_its_capacity() {
    for capacity in [1, 3, 64] {
        let segment = segment();
        let (mut tx, rx) = ByteQueue::bounded(&segment, capacity).unwrap();
        for _ in 0..capacity {
            assert!(!tx.is_full());
            tx.try_send(&[7; 100]).unwrap();
        }
        assert!(tx.is_full() && tx.len() == capacity);
        assert!(matches!(tx.try_send(&[7; 100]), Err(Error::WouldBlock)));
        let blocked = Peer::start(with_tx(&segment, &tx), &["blocked-send"]);
        blocked.expect("sending");
        assert_eq!(blocked.line_within(Duration::from_millis(200)), None, "it waits");
        let taker = Peer::start(with_rx(&segment, &rx), &["take-one"]);
        taker.expect("took 100");
        blocked.expect("Ok(())");
        assert!(matches!(tx.try_send(&[7; 100]), Err(Error::WouldBlock)), "one came, one went");
        assert_eq!(tx.len(), capacity);
    }
}

#[test]
fn an_unbounded_queue_takes_everything_before_anybody_reads() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::unbounded(&segment).unwrap();
    let size = MIXED.to_string();
    Peer::start(with_tx(&segment, &tx), &["produce", "0", "10000", &size]).join();
    Peer::start(with_tx(&segment, &tx), &["produce", "1", "10000", &size]).join();
    assert_eq!(rx.len(), 20_000, "what was sent is there when the sender has ended");
    drop(tx);
    let mut received = Vec::new();
    while let Ok(message) = rx.recv() {
        received.push(slipring_tests::message::read(&message));
    }
    assert_eq!(log::check_received(&[received]).len(), 20_000);
}

#[test]
fn deadlines_hold_within_20_ms() {
    let segment = segment();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let wait = Duration::from_millis(120);
    let timed = |call: &mut dyn FnMut() -> slipring::Result<()>| {
        let taken = (0..5).map(|_| {
            let start = Instant::now();
            assert!(matches!(call(), Err(Error::TimedOut)));
            start.elapsed()
        });
        let taken: Vec<_> = taken.collect();
        assert!(taken.iter().all(|t| *t >= wait), "not before: {taken:?}");
        let middle = median(taken);
        assert!(middle < wait + Duration::from_millis(20), "{middle:?}");
    };
    timed(&mut || rx.recv_until(wait).map(drop));
    tx.send(b"full").unwrap();
    timed(&mut || tx.send_until(b"more", wait));
}

#[test]
fn a_sleeping_receiver_is_woken_by_another_process_and_not_by_its_slice() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let peer = Peer::start(with_rx(&segment, &rx), &["wait-for-news", "9"]);
    peer.expect("waiting");
    let taken = (0..9).map(|_| {
        // Long enough for it to be asleep again, at another point of its 50 ms slice each time.
        std::thread::sleep(Duration::from_millis(67));
        let start = Instant::now();
        tx.send(b"news of some length").unwrap();
        peer.expect("news");
        start.elapsed()
    });
    let middle = median(taken.collect());
    assert!(middle < Duration::from_millis(10), "{middle:?}");
    peer.join();
}

#[test]
fn the_end_comes_by_close_by_exit_and_by_sigkill() {
    for how in ["close", "exit", "kill", "zombie"] {
        let segment = segment();
        let (tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
        let reader = Peer::start(with_rx(&segment, &rx), &["recv-on-eof"]);
        reader.expect("waiting");
        let mut start = Instant::now();
        match how {
            "close" => drop(tx),
            "exit" => {
                let writer = Peer::start(with_tx(&segment, &tx), &["produce", "0", "1", "64"]);
                drop(tx);
                reader.expect("got 64");
                start = Instant::now();
                writer.join();
            }
            _ => {
                let mut writer = Peer::start(with_tx(&segment, &tx), &["hold-sender"]);
                writer.expect("holding");
                drop(tx);
                assert_eq!(reader.line_within(Duration::from_millis(150)), None, "{how}");
                start = Instant::now();
                if how == "kill" {
                    writer.kill()
                } else {
                    writer.kill_and_leave()
                }
                reader.expect("Disconnected");
                assert!(
                    start.elapsed() < Duration::from_millis(200),
                    "{how} {:?}",
                    start.elapsed()
                );
                continue;
            }
        }
        reader.expect("Disconnected");
        assert!(start.elapsed() < Duration::from_millis(200), "{how} {:?}", start.elapsed());
        reader.join();
    }
}

#[test]
fn a_blocked_sender_learns_that_the_last_receiver_was_killed() {
    let segment = segment();
    let (mut tx, rx) = ByteQueue::bounded(&segment, 1).unwrap();
    let mut reader = Peer::start(with_rx(&segment, &rx), &["wait-for-news", "1"]);
    reader.expect("waiting");
    tx.send(b"a first one, taken").unwrap();
    reader.expect("news");
    drop(rx);
    reader.kill();
    wait_until("the sender to be told", PATIENCE, || match tx.send_until(b"x", PATIENCE) {
        Ok(()) => false,
        Err(Error::Disconnected) => true,
        Err(error) => panic!("{error}"),
    });
}

#[test]
fn random_kills_tear_double_and_reorder_nothing_and_lose_no_more_than_was_in_hand() {
    let seconds = std::env::var("SLIPRING_KILL_SECONDS").map_or(10, |s| s.parse().unwrap());
    let segment = segment();
    let (tx, rx) = ByteQueue::bounded(&segment, 32).unwrap();
    let logs = Directory::new("kills");
    let size = MIXED.to_string();
    let mut random = Random::new(std::process::id().into());
    let (mut producer_kills, mut consumer_kills) = (0_u64, 0_u64);
    let mut consumer_logs = Vec::new();
    let mut start_consumer = || {
        let path = logs.log(&format!("c{}", consumer_logs.len()));
        let peer = Peer::start(with_rx(&segment, &rx), &["consume", path.to_str().unwrap()]);
        consumer_logs.push(path);
        peer
    };
    let mut lives = [0_u64; 3];
    let mut start_producer = |id: usize| {
        let path = logs.log(&format!("p{id}"));
        // Each life has its own numbers: the one before may have sent one that it had no time to log.
        let first = (lives[id] << 32).to_string();
        lives[id] += 1;
        let id = id.to_string();
        let args = ["produce-logged", &id, &first, &size, path.to_str().unwrap()];
        Peer::start(with_tx(&segment, &tx), &args)
    };
    let mut producers: Vec<_> = (0..3).map(&mut start_producer).collect();
    let mut consumers: Vec<_> = (0..3).map(|_| start_consumer()).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_micros(200 + random.below(40_000)));
        let which = random.below(3) as usize;
        if random.below(2) == 0 {
            producers[which].kill();
            producers[which] = start_producer(which);
            producer_kills += 1;
        } else {
            consumers[which].kill();
            consumers[which] = start_consumer();
            consumer_kills += 1;
        }
    }
    producers.iter_mut().for_each(Peer::kill);
    producer_kills += 3;
    drop(tx);
    // Everything that is left comes, and then the end.
    consumers.into_iter().for_each(Peer::join);
    let received: Vec<_> = consumer_logs.iter().map(|path| log::read(path)).collect();
    let received = log::check_received(&received);
    let sent: HashSet<Stamp> =
        (0..3).flat_map(|p| log::read(&logs.log(&format!("p{p}")))).collect();
    let lost = sent.difference(&received).count() as u64;
    let unlogged = received.difference(&sent).count() as u64;
    println!("{} sent, {producer_kills} + {consumer_kills} kills, {lost} lost", sent.len());
    assert!(sent.len() > 1000, "{} were sent", sent.len());
    assert!(lost <= consumer_kills, "{lost} lost by {consumer_kills} kills of consumers");
    assert!(
        unlogged <= producer_kills,
        "{unlogged} not logged, {producer_kills} kills of producers"
    );
    drop(rx);
    wait_until("all blocks to be given back", PATIENCE, || {
        segment.reap();
        segment.blocks_in_use() == 0 && segment.participants().len() == 1
    });
}

#[test]
fn whoever_is_stopped_the_others_go_on() {
    let segment = segment();
    let (tx, rx) = ByteQueue::bounded(&segment, 32).unwrap();
    let logs = Directory::new("stops");
    let size = MIXED.to_string();
    let mut random = Random::new(std::process::id().into());
    let consumer_log = |c: usize| logs.log(&format!("c{c}"));
    let consumers = (0..3).map(|c| {
        let path = consumer_log(c);
        Peer::start(with_rx(&segment, &rx), &["consume", path.to_str().unwrap()])
    });
    let consumers: Vec<_> = consumers.collect();
    let producers = (0..3).map(|p| {
        let (id, path) = (p.to_string(), logs.log(&format!("p{p}")));
        let args = ["produce-logged", &id, "0", &size, path.to_str().unwrap()];
        Peer::start(with_tx(&segment, &tx), &args)
    });
    let producers: Vec<_> = producers.collect();
    let received = || (0..3).map(|c| log::len(&consumer_log(c))).sum::<u64>();
    wait_until("the first messages", PATIENCE, || received() > 100);
    for round in 0..12 {
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        let which = random.below(3) as usize;
        let peer = if round % 2 == 0 { &producers[which] } else { &consumers[which] };
        peer.signal(Signal::STOP);
        for window in 0..3 {
            // Longer than a slice of sleep, which a wake-up that went to the stopped one may cost the others.
            let before = received();
            std::thread::sleep(Duration::from_millis(150));
            assert!(received() > before, "nothing came in window {window} of round {round}");
        }
        peer.signal(Signal::CONT);
    }
    tx.close();
    producers.into_iter().for_each(Peer::join);
    consumers.into_iter().for_each(Peer::join);
    let logs: Vec<_> = (0..3).map(|c| log::read(&consumer_log(c))).collect();
    log::check_received(&logs);
}
