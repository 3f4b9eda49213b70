//! LIFO and priority queues between processes: order and completeness, exact bounds, ends, kills and stops.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use slipring::{Error, Segment, Until};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::{Stamp, key};
use slipring_tests::ordered::{KINDS, Kind, Receiver, Sender, queue};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, median, segment, wait_until};

fn sending(segment: &Segment, tx: &Sender, args: &[&str]) -> Peer {
    Peer::start(tx.handoff(segment), args)
}

fn receiving(segment: &Segment, rx: &Receiver, args: &[&str]) -> Peer {
    Peer::start(rx.handoff(segment), args)
}

/// Everything that is left, until the last sender is gone.
fn drain(rx: &mut Receiver) -> Vec<Stamp> {
    let mut all = Vec::new();
    loop {
        match rx.stamp(PATIENCE) {
            Ok(stamp) => all.push(stamp),
            Err(Error::Disconnected) => return all,
            Err(error) => panic!("no end: {error}"),
        }
    }
}

/// Nobody sends any more, and one alone took all of this: the order is exact as far as the stamps tell it.
fn check_order(kind: Kind, taken: &[Stamp]) {
    match kind {
        Kind::Lifo => {
            let mut last = HashMap::new();
            for stamp in taken {
                let before = last.insert(stamp.producer, stamp.number);
                assert!(before.is_none_or(|b| b > stamp.number), "{stamp:?} after {before:?}");
            }
        }
        Kind::Priority => {
            assert!(taken.is_sorted_by_key(|stamp| key(*stamp)), "by key: {taken:?}");
            check_equals(taken);
        }
    }
}

/// What one receiver of a priority queue got of one producer with one key came in the order in which it was sent.
fn check_equals(taken: &[Stamp]) {
    let mut last = HashMap::new();
    for stamp in taken {
        let before = last.insert((stamp.producer, key(*stamp)), stamp.number);
        assert!(before.is_none_or(|b| b < stamp.number), "{stamp:?} after {before:?}");
    }
}

/// All that was received, nothing of it twice.
fn all_once(kind: Kind, logs: &[Vec<Stamp>]) -> HashSet<Stamp> {
    let mut all = HashSet::new();
    for log in logs {
        for stamp in log {
            assert!(all.insert(*stamp), "{stamp:?} came twice");
        }
        if kind == Kind::Priority {
            check_equals(log);
        }
    }
    all
}

fn check_empty(segment: &Segment) {
    wait_until("all blocks to be given back", PATIENCE, || {
        segment.reap();
        segment.blocks_in_use() == 0 && segment.participants().len() == 1
    });
}

#[test]
fn many_producers_and_many_consumers_lose_nothing() {
    for kind in KINDS {
        for (producers, consumers, count, capacity) in
            [(1, 1, 5000_u64, 64), (4, 4, 1500, 7), (3, 3, 500, 1)]
        {
            let segment = segment();
            let (tx, rx) = queue(kind, &segment, capacity);
            let logs = Directory::new("ordered-exchange");
            let path = |c: usize| logs.log(&format!("c{c}"));
            let consume = |c| ["ordered-consume".into(), path(c).to_str().unwrap().to_owned()];
            let mut peers: Vec<_> = (0..consumers)
                .map(|c| receiving(&segment, &rx, &consume(c).each_ref().map(String::as_str)))
                .collect();
            let sent = logs.log("sent");
            peers.extend((0..producers).map(|p: u32| {
                let (id, count) = (p.to_string(), count.to_string());
                let args = ["ordered-produce", &id, "0", &count, sent.to_str().unwrap()];
                sending(&segment, &tx, &args)
            }));
            drop(tx);
            peers.into_iter().for_each(Peer::join);
            let received: Vec<_> = (0..consumers).map(|c| log::read(&path(c))).collect();
            let all = all_once(kind, &received);
            assert_eq!(all.len() as u64, u64::from(producers) * count, "{kind:?}: all came");
            drop(rx);
            check_empty(&segment);
        }
    }
}

#[test]
fn what_many_put_in_comes_out_in_order() {
    for kind in KINDS {
        let segment = segment();
        let (tx, mut rx) = queue(kind, &segment, 2000);
        let logs = Directory::new("ordered-order");
        let peers: Vec<_> = (0..4)
            .map(|p| {
                let (id, log) = (p.to_string(), logs.log(&p.to_string()));
                let args = ["ordered-produce", &id, "0", "500", log.to_str().unwrap()];
                sending(&segment, &tx, &args)
            })
            .collect();
        peers.into_iter().for_each(Peer::join);
        drop(tx);
        assert!(rx.len() == 2000, "what was sent is there when its sender is not");
        let all = drain(&mut rx);
        check_order(kind, &all);
        assert_eq!(all_once(kind, &[all]).len(), 2000);
    }
}

#[test]
fn a_full_queue_makes_a_sender_wait_for_a_receiver_in_another_process() {
    for kind in KINDS {
        for capacity in [1, 3] {
            let segment = segment();
            let (mut tx, rx) = queue(kind, &segment, capacity);
            for _ in 0..capacity {
                tx.send(1, &[7; 100], Until::NOW).unwrap();
            }
            assert!(matches!(tx.send(1, &[7; 100], Until::NOW), Err(Error::WouldBlock)));
            let blocked = sending(&segment, &tx, &["ordered-blocked-send"]);
            blocked.expect("sending");
            assert_eq!(blocked.line_within(Duration::from_millis(150)), None, "it waits");
            let taker = receiving(&segment, &rx, &["ordered-news", "1"]);
            taker.expect("waiting");
            taker.expect("news");
            blocked.expect("Ok(())");
            assert!(
                matches!(tx.send(1, &[7; 100], Until::NOW), Err(Error::WouldBlock)),
                "one for one"
            );
            assert_eq!(rx.len(), capacity);
        }
    }
}

#[test]
fn a_sleeping_receiver_is_woken_by_another_process_and_not_by_its_slice() {
    for kind in KINDS {
        let segment = segment();
        let (mut tx, rx) = queue(kind, &segment, 4);
        let peer = receiving(&segment, &rx, &["ordered-news", "9"]);
        peer.expect("waiting");
        let taken = (0..9).map(|_| {
            // Long enough for it to be asleep again, at another point of its 50 ms slice each time.
            std::thread::sleep(Duration::from_millis(67));
            let start = Instant::now();
            tx.send(0, b"news of some length", Until::NOW).unwrap();
            peer.expect("news");
            start.elapsed()
        });
        let middle = median(taken.collect());
        assert!(middle < Duration::from_millis(10), "{kind:?}: {middle:?}");
        peer.join();
    }
}

#[test]
fn the_end_comes_when_the_last_sender_or_receiver_is_killed() {
    for kind in KINDS {
        let segment = segment();
        let (tx, rx) = queue(kind, &segment, 4);
        let reader = receiving(&segment, &rx, &["ordered-news", "9"]);
        reader.expect("waiting");
        let mut writer = sending(&segment, &tx, &["ordered-hold"]);
        writer.expect("holding");
        drop(tx);
        assert_eq!(reader.line_within(Duration::from_millis(150)), None, "one has a sender");
        let start = Instant::now();
        writer.kill();
        reader.expect("Disconnected");
        assert!(start.elapsed() < Duration::from_millis(200), "{kind:?} {:?}", start.elapsed());
        let (mut tx, rx) = queue(kind, &segment, 1);
        tx.send(0, b"full, and with a block", Until::NOW).unwrap();
        let sender = sending(&segment, &tx, &["ordered-blocked-send"]);
        sender.expect("sending");
        drop(rx);
        sender.expect("Err(Disconnected)");
    }
}

/// Producers and consumers that are killed at random moments and started again.
struct Churn<'a> {
    kind: Kind,
    segment: &'a Segment,
    logs: Directory,
    consumers: usize,
    lives: [u64; 3],
}

impl Churn<'_> {
    fn consumer_log(&self, number: usize) -> std::path::PathBuf {
        self.logs.log(&format!("c{number}"))
    }

    fn start_consumer(&mut self, rx: &Receiver) -> Peer {
        let path = self.consumer_log(self.consumers);
        self.consumers += 1;
        receiving(self.segment, rx, &["ordered-consume", path.to_str().unwrap()])
    }

    fn start_producer(&mut self, tx: &Sender, id: usize) -> Peer {
        let path = self.logs.log(&format!("p{id}"));
        // Each life has its own numbers: the one before may have sent one that it had no time to log.
        let first = (self.lives[id] << 32).to_string();
        self.lives[id] += 1;
        let (id, count) = (id.to_string(), u64::MAX.to_string());
        let args = ["ordered-produce", &id, &first, &count, path.to_str().unwrap()];
        sending(self.segment, tx, &args)
    }

    fn sent(&self) -> HashSet<Stamp> {
        (0..3).flat_map(|p| log::read(&self.logs.log(&format!("p{p}")))).collect()
    }

    fn received(&self) -> Vec<Vec<Stamp>> {
        (0..self.consumers).map(|c| log::read(&self.consumer_log(c))).collect()
    }

    /// Kills for so long. Returns how many producers and consumers were killed: at the end, all.
    fn run(&mut self, tx: &Sender, rx: &Receiver, time: Duration) -> (u64, u64) {
        let mut random = Random::new(std::process::id().into());
        let (mut producer_kills, mut consumer_kills) = (3, 3);
        let mut producers: Vec<_> = (0..3).map(|id| self.start_producer(tx, id)).collect();
        let mut consumers: Vec<_> = (0..3).map(|_| self.start_consumer(rx)).collect();
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::thread::sleep(Duration::from_micros(200 + random.below(40_000)));
            let which = random.below(3) as usize;
            if random.below(2) == 0 {
                producers[which].kill();
                producers[which] = self.start_producer(tx, which);
                producer_kills += 1;
            } else {
                consumers[which].kill();
                consumers[which] = self.start_consumer(rx);
                consumer_kills += 1;
            }
        }
        // The consumers first, so that something is left.
        consumers.iter_mut().for_each(Peer::kill);
        std::thread::sleep(Duration::from_millis(50));
        producers.iter_mut().for_each(Peer::kill);
        (producer_kills, consumer_kills)
    }
}

#[test]
fn random_kills_tear_and_double_nothing_and_what_is_left_is_in_order() {
    let seconds = std::env::var("SLIPRING_KILL_SECONDS").map_or(10, |s| s.parse().unwrap());
    for kind in KINDS {
        let segment = segment();
        let (tx, mut rx) = queue(kind, &segment, 32);
        let logs = Directory::new("ordered-kills");
        let mut churn = Churn { kind, segment: &segment, logs, consumers: 0, lives: [0; 3] };
        let time = Duration::from_secs(seconds) / 2;
        let (producer_kills, consumer_kills) = churn.run(&tx, &rx, time);
        drop(tx);
        let left = drain(&mut rx);
        check_order(churn.kind, &left);
        assert!(left.len() as u64 <= 32, "{} were in a queue of 32", left.len());
        let mut received = churn.received();
        received.push(left);
        let (received, sent) = (all_once(kind, &received), churn.sent());
        let lost = sent.difference(&received).count() as u64;
        let unlogged = received.difference(&sent).count() as u64;
        let kills = format!("{producer_kills} + {consumer_kills} kills");
        println!("{kind:?}: {} sent, {kills}, {lost} lost", sent.len());
        assert!(sent.len() > 500, "{} were sent", sent.len());
        assert!(lost <= consumer_kills, "{lost} lost, {kills}");
        assert!(unlogged <= producer_kills, "{unlogged} not logged, {kills}");
        drop(rx);
        check_empty(&segment);
    }
}

#[test]
fn whoever_is_stopped_a_lifo_queue_goes_on() {
    let segment = segment();
    let (tx, rx) = queue(Kind::Lifo, &segment, 32);
    let logs = Directory::new("ordered-stops");
    let mut churn =
        Churn { kind: Kind::Lifo, segment: &segment, logs, consumers: 0, lives: [0; 3] };
    let producers: Vec<_> = (0..3).map(|id| churn.start_producer(&tx, id)).collect();
    let consumers: Vec<_> = (0..3).map(|_| churn.start_consumer(&rx)).collect();
    let received = || (0..3).map(|c| log::len(&churn.consumer_log(c))).sum::<u64>();
    wait_until("the first messages", PATIENCE, || received() > 100);
    let mut random = Random::new(std::process::id().into());
    for round in 0..12 {
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        let which = random.below(3) as usize;
        let peer = if round % 2 == 0 { &producers[which] } else { &consumers[which] };
        peer.signal(Signal::STOP);
        // Longer than a slice of sleep, which a wake-up that went to the stopped one may cost the others.
        let before = received();
        std::thread::sleep(Duration::from_millis(150));
        assert!(received() > before, "nothing came in round {round}");
        peer.signal(Signal::CONT);
    }
    rx.close();
    producers.into_iter().for_each(Peer::join);
    consumers.into_iter().for_each(Peer::join);
    all_once(Kind::Lifo, &churn.received());
}
