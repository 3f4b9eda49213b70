//! Permits that have owners: whoever dies or is stopped, there are as many as before.

use std::time::{Duration, Instant};

use slipring::{BoundedSemaphore, Error, Handoff, Segment};
use slipring_tests::peer::Peer;

use super::stopped::STOPPED_FOR_EVER;
use super::{PATIENCE, Run, SOON, Scenario, check_segment, give, new_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[("permits", beside_another), ("permits-reap", in_recovery)];

const SEATS: u32 = 3;

fn seats() -> (Segment, BoundedSemaphore) {
    let segment = new_segment();
    let seats = BoundedSemaphore::new(&segment, SEATS).unwrap();
    (segment, seats)
}

/// A blocked waiter has them all soon, and there is not one more.
fn check_seats(seats: &BoundedSemaphore, held: u32) {
    for _ in held..SEATS {
        let start = Instant::now();
        seats.acquire_until(PATIENCE).expect("a permit that nobody living holds");
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    }
    assert!(matches!(seats.try_acquire(), Err(Error::WouldBlock)), "a permit too many");
    seats.release(SEATS).expect("all of them are taken");
    assert_eq!(seats.value(), SEATS);
    assert!(matches!(seats.release(1), Err(Error::OverLimit { .. })));
}

/// Killed while it takes, holds and gives back, beside somebody who takes all, so that both sleep and wake each other.
fn beside_another(run: &Run) {
    let (segment, seats) = seats();
    let mut victim = run.victim(give(&segment, |h| h.give("seats", &seats)), &["permits"]);
    while !victim.has_ended() {
        let short = Duration::from_millis(5);
        let held = (0..SEATS).filter(|_| seats.acquire_until(short).is_ok()).count();
        std::thread::sleep(Duration::from_millis(2));
        seats.release(held as u32).unwrap();
    }
    check_seats(&seats, 0);
    drop(seats);
    check_segment(&segment);
}

/// Two have died with permits; the victim cleans up after them and dies at it; then we do.
fn in_recovery(run: &Run) {
    let (segment, seats) = seats();
    let start = |count| {
        let handoff = give(&segment, |h| h.give("seats", &seats));
        let peer = Peer::start(handoff, &["hold-permits", count]);
        peer.expect("held");
        peer
    };
    let mut holders = [start("2"), start("1")];
    holders.iter_mut().for_each(Peer::kill);
    run.victim(Handoff::new(&segment), &["reap"]).end();
    check_seats(&seats, 0);
    drop(seats);
    check_segment(&segment);
}

/// Others take and give back permits while a process is stopped at any step of its own. Returns whether it came by that
/// step.
fn pass_a_stopped_one(point: &str) -> bool {
    let (segment, seats) = seats();
    let handoff = give(&segment, |h| h.give("seats", &seats));
    let stop = [("SLIPRING_STOP_AT", format!("{point}#0"))];
    let stop = stop.each_ref().map(|(name, at)| (*name, at.as_str()));
    let mut victim = Peer::start_with(handoff, &["victim", "permits"], &stop);
    let pass = || {
        let start = Instant::now();
        seats.acquire_until(PATIENCE).unwrap();
        seats.release(1).unwrap();
        start.elapsed()
    };
    // It sleeps on its permits where it finds none: all of them are ours now and then.
    while !victim.is_stopped() && !victim.has_ended() {
        let short = Duration::from_millis(2);
        let held = (0..SEATS).filter(|_| seats.acquire_until(short).is_ok()).count();
        std::thread::sleep(Duration::from_millis(1));
        seats.release(held as u32).unwrap();
    }
    let stopped = victim.is_stopped();
    if stopped {
        let slowest = (0..100).map(|_| pass()).max().unwrap();
        assert!(slowest < STOPPED_FOR_EVER, "stopped at {point}: {slowest:?} for a permit");
    }
    victim.kill();
    check_seats(&seats, 0);
    stopped
}

#[test]
fn whoever_is_stopped_at_whatever_step_the_other_permits_pass_on() {
    let scenario: Scenario = ("permits", beside_another);
    let points = super::run(scenario, None).unwrap();
    let own = |point: &&String| point.contains("permits.") || point.contains("event_count.");
    let stops = points.keys().filter(own).filter(|p| pass_a_stopped_one(p)).count();
    assert!(stops >= 4, "only {stops} stops");
}
