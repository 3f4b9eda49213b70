//! Locks, signals and slot rings between processes, some of which are killed.

use std::time::{Duration, Instant};

use slipring::{
    Barrier, BoundedSemaphore, Condvar, Error, Event, Handoff, LockError, Mutex, OrRecover,
    ReentrantMutex, Segment, Slots,
};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::segment;

/// A blocked waiter has a dead holder's lock within this time.
const SOON: Duration = Duration::from_millis(200);

fn give(segment: &Segment, give: impl FnOnce(&mut Handoff) -> slipring::Result<()>) -> Handoff {
    let mut handoff = Handoff::new(segment);
    give(&mut handoff).unwrap();
    handoff
}

#[test]
fn a_mutex_lets_one_in_at_a_time() {
    let segment = segment();
    let mutex = Mutex::new(&segment, [0_u64; 2]).unwrap();
    let peers: Vec<_> = (0..4)
        .map(|_| Peer::start(give(&segment, |h| h.give("mutex", &mutex)), &["count", "30000"]))
        .collect();
    peers.into_iter().for_each(Peer::join);
    assert_eq!(mutex.lock().or_recover().unwrap().get(), [120_000; 2]);
}

#[test]
fn a_killed_holders_mutex_is_had_soon_by_a_waiter_and_at_once_by_a_later_comer() {
    let segment = segment();
    let mutex = Mutex::new(&segment, [0_u64; 2]).unwrap();
    for waits in [true, false] {
        let handoff = give(&segment, |h| h.give("mutex", &mutex));
        let mut holder = Peer::start(handoff, &["hold-mutex"]);
        holder.expect("held");
        assert!(matches!(mutex.try_lock(), Err(LockError::Failed(Error::WouldBlock))));
        let short = mutex.lock_until(Duration::from_millis(120));
        assert!(matches!(short, Err(LockError::Failed(Error::TimedOut))), "never from the living");
        let taken = std::thread::scope(|scope| {
            let waiter = waits.then(|| {
                scope.spawn(|| {
                    let locked = mutex.lock_until(PATIENCE);
                    (Instant::now(), locked.is_err_and(|error| error.is_owner_died()))
                })
            });
            std::thread::sleep(Duration::from_millis(80));
            let killed = Instant::now();
            // Its body is not fetched: a zombie holds nothing.
            holder.kill_and_leave();
            if let Some(waiter) = waiter {
                let (had, told) = waiter.join().unwrap();
                assert!(told, "the next one is told");
                return had - killed;
            }
            // SIGKILL takes a moment to be delivered; from then on the lock is to be had at once.
            std::thread::sleep(Duration::from_millis(20));
            let start = Instant::now();
            match mutex.lock() {
                Err(LockError::OwnerDied(guard)) => {
                    assert_eq!(guard.get(), [1, 2], "as it was left")
                }
                other => panic!("{:?}", other.is_ok()),
            }
            start.elapsed()
        });
        let limit = if waits { SOON } else { Duration::from_millis(20) };
        assert!(taken < limit, "{taken:?}");
        assert!(mutex.lock().is_ok(), "told once");
    }
}

#[test]
fn a_killed_holders_reentrant_mutex_is_had_soon_and_its_depth_starts_anew() {
    let segment = segment();
    let lock = ReentrantMutex::new(&segment).unwrap();
    let mut holder = Peer::start(give(&segment, |h| h.give("lock", &lock)), &["hold-reentrant"]);
    holder.expect("held");
    assert_eq!(lock.count(), 2);
    holder.kill();
    let start = Instant::now();
    let guard = lock.lock_until(PATIENCE).err().and_then(LockError::into_guard).expect("told");
    assert!(start.elapsed() < SOON && lock.count() == 1);
    drop(guard);
    assert!(!lock.is_locked());
}

#[test]
fn a_bounded_semaphore_lets_no_more_in_than_its_limit() {
    let segment = segment();
    let semaphore = BoundedSemaphore::new(&segment, 2).unwrap();
    let inside = Mutex::new(&segment, 0_u64).unwrap();
    let peers: Vec<_> = (0..5)
        .map(|_| {
            let handoff = give(&segment, |h| {
                h.give("semaphore", &semaphore)?;
                h.give("inside", &inside)
            });
            Peer::start(handoff, &["limited", "4000", "2"])
        })
        .collect();
    peers.into_iter().for_each(Peer::join);
    assert_eq!(semaphore.value(), 2);
    assert!(matches!(semaphore.release(1), Err(Error::OverLimit { limit: 2 })));
}

#[test]
fn an_event_wakes_all_processes_that_wait_dead_ones_among_them_or_not() {
    let segment = segment();
    let event = Event::new(&segment).unwrap();
    let mut peers: Vec<_> = (0..4)
        .map(|_| Peer::start(give(&segment, |h| h.give("event", &event)), &["await-event"]))
        .collect();
    peers.iter().for_each(|peer| peer.expect("waiting"));
    std::thread::sleep(Duration::from_millis(80));
    peers[0].kill();
    peers.remove(0);
    let start = Instant::now();
    event.set().unwrap();
    peers.iter().for_each(|peer| peer.expect("set"));
    assert!(start.elapsed() < Duration::from_millis(40), "{:?}", start.elapsed());
}

#[test]
fn two_processes_take_turns_through_a_condition() {
    let segment = segment();
    let (mutex, condvar) = (Mutex::new(&segment, 0_u64).unwrap(), Condvar::new(&segment).unwrap());
    let peers = ["0", "1"].map(|which| {
        let handoff = give(&segment, |h| {
            h.give("mutex", &mutex)?;
            h.give("condvar", &condvar)
        });
        Peer::start(handoff, &["turns", which, "3000"])
    });
    peers.into_iter().for_each(Peer::join);
    assert_eq!(mutex.lock().or_recover().unwrap().get(), 6000);
}

#[test]
fn a_barrier_lets_all_go_together_and_a_killed_party_breaks_it() {
    let segment = segment();
    let barrier = Barrier::new(&segment, 4).unwrap();
    let start = |rounds: &str| {
        Peer::start(give(&segment, |h| h.give("barrier", &barrier)), &["meet", rounds])
    };
    let peers: Vec<_> = (0..4).map(|_| start("500")).collect();
    peers.iter().for_each(|peer| peer.expect("coming"));
    peers.iter().for_each(|peer| peer.expect("met"));
    peers.into_iter().for_each(Peer::join);
    assert!(!barrier.is_broken(), "those who ended well let go of it");
    let mut peers: Vec<_> = (0..3).map(|_| start("1")).collect();
    peers.iter().for_each(|peer| peer.expect("coming"));
    assert_eq!(peers[1].line_within(Duration::from_millis(120)), None, "one is missing");
    let killed = Instant::now();
    peers[0].kill();
    peers[1].expect("BrokenBarrier");
    peers[2].expect("BrokenBarrier");
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    assert!(matches!(barrier.wait(), Err(Error::BrokenBarrier)));
    barrier.reset().unwrap();
    assert!(!barrier.is_broken());
}

#[test]
fn slots_between_processes_keep_their_order_at_every_capacity() {
    for capacity in [1, 3, 1000] {
        let segment = segment();
        let (tx, rx) = Slots::<[u64; 8]>::new(&segment, capacity).unwrap();
        let consumer = give(&segment, |h| h.give("rx", &rx));
        let consumer = Peer::start(consumer, &["slots-consume", "20000"]);
        let producer = give(&segment, |h| h.give("tx", &tx));
        let producer = Peer::start(producer, &["slots-produce", "20000"]);
        drop((tx, rx));
        consumer.expect("all");
        producer.join();
        consumer.join();
    }
}

#[test]
fn a_slot_ring_of_another_type_is_refused() {
    let segment = segment();
    let (_tx, rx) = Slots::<u32>::new(&segment, 4).unwrap();
    let consumer = give(&segment, |h| h.give("rx", &rx));
    let mut consumer = Peer::start(consumer, &["slots-consume", "1"]);
    assert!(!consumer.end().success(), "it expects slots of 64 bytes");
}
