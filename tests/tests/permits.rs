//! Permits between processes that are killed: those of a bounded semaphore come back, a plain one's signals are nobody's.

use std::time::{Duration, Instant};

use slipring::{BoundedSemaphore, Error, Handoff, Segment, Semaphore};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, segment};

/// A blocked waiter has a dead holder's permit within this time.
const SOON: Duration = Duration::from_millis(200);

fn start(segment: &Segment, seats: &BoundedSemaphore, args: &[&str]) -> Peer {
    let mut handoff = Handoff::new(segment);
    handoff.give("seats", seats).unwrap();
    Peer::start(handoff, args)
}

/// Everybody else is dead: all permits are here soon, and not one more.
fn assert_all_back(seats: &BoundedSemaphore) {
    let start = Instant::now();
    (0..seats.limit()).for_each(|_| seats.acquire_until(PATIENCE).unwrap());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(matches!(seats.try_acquire(), Err(Error::WouldBlock)));
    seats.release(seats.limit()).unwrap();
}

#[test]
fn a_killed_holders_permit_is_had_soon_by_a_waiter_and_a_living_ones_never() {
    let segment = segment();
    let seats = BoundedSemaphore::new(&segment, 3).unwrap();
    let mut dies = start(&segment, &seats, &["hold-permits", "2"]);
    let lives = start(&segment, &seats, &["hold-permits", "1"]);
    [&dies, &lives].iter().for_each(|peer| peer.expect("held"));
    let pids = [&dies, &lives].map(|peer| peer.pid().as_raw_pid() as u32);
    let mut expected = vec![(pids[0], 2), (pids[1], 1)];
    expected.sort_unstable();
    assert_eq!(seats.holders(), expected);
    let short = seats.acquire_until(Duration::from_millis(120));
    assert!(matches!(short, Err(Error::TimedOut)), "never from the living");
    std::thread::scope(|scope| {
        let waiters = [(); 2].map(|()| {
            scope.spawn(|| {
                seats.acquire_until(PATIENCE).unwrap();
                Instant::now()
            })
        });
        std::thread::sleep(Duration::from_millis(80));
        let killed = Instant::now();
        // Its body is not fetched: a zombie holds nothing.
        dies.kill_and_leave();
        for waiter in waiters {
            let waited = waiter.join().unwrap() - killed;
            assert!(waited < SOON, "{waited:?}");
        }
    });
    assert!(matches!(seats.try_acquire(), Err(Error::WouldBlock)), "the third is a living one's");
    seats.release(2).unwrap();
    drop(lives);
    assert_all_back(&seats);
}

#[test]
fn processes_that_are_killed_at_random_leave_as_many_permits_as_there_were() {
    let (segment, mut random) = (segment(), Random::new(11));
    for limit in [1, 3, 40] {
        let seats = BoundedSemaphore::new(&segment, limit).unwrap();
        let one = || {
            let peer = start(&segment, &seats, &["pass-through"]);
            peer.expect("begun");
            peer
        };
        let mut peers: Vec<_> = (0..4).map(|_| one()).collect();
        for _ in 0..25 {
            let victim = random.below(4) as usize;
            peers[victim].kill();
            seats.acquire_until(PATIENCE).expect("the others go on");
            peers[victim] = one();
            seats.release(1).unwrap();
        }
        drop(peers);
        assert_all_back(&seats);
        segment.reap();
        assert_eq!((seats.value(), seats.holders()), (limit, vec![]));
    }
}

#[test]
fn a_semaphore_that_signals_is_not_confused_by_the_death_of_who_signalled_or_was_signalled() {
    let segment = segment();
    let signals = Semaphore::new(&segment, 0).unwrap();
    let start = |args: &[&str]| {
        let mut handoff = Handoff::new(&segment);
        handoff.give("signals", &signals).unwrap();
        Peer::start(handoff, args)
    };
    let mut signaller = start(&["give-signals", "5"]);
    signaller.expect("signalled");
    let mut consumer = start(&["take-signals", "2"]);
    consumer.expect("consumed");
    signaller.kill();
    consumer.kill();
    assert_eq!(segment.reap(), 2);
    assert_eq!(signals.value(), 3, "what was signalled stays, what was consumed is gone");
    (0..3).for_each(|_| signals.try_acquire().unwrap());
    let none = signals.acquire_until(Duration::from_millis(120));
    assert!(matches!(none, Err(Error::TimedOut)), "nothing comes back, not even to who waits");
    // And it goes on.
    start(&["give-signals", "1"]).expect("signalled");
    signals.acquire_until(PATIENCE).unwrap();
}
