//! Every interleaving of the barrier: one leader, all or none, and everybody learns of a break.

use crate::waiter::Patient;
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, DataCell};
use slipring_core::sync::{Arrived, Barrier, BarrierError};
use slipring_core::wait::Waiter;

/// Gives up where it would sleep.
struct Hasty;

impl Waiter for Hasty {
    type Stop = ();

    fn scope(&self) -> Scope {
        Scope::Private
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, _word: &AtomicU32, _expected: u32) -> Result<(), ()> {
        Err(())
    }

    fn fence_peers(&mut self) {}

    fn is_dead(&mut self, _owner: OwnerId) -> bool {
        false
    }
}

fn add_one(cell: &DataCell<u32>) {
    cell.with_mut(|n| {
        // SAFETY: one party writes before the meeting, another after it; that is what the model checks.
        unsafe { *n += 1 }
    });
}

#[test]
fn two_meet_twice_each_time_with_one_leader_who_sees_what_was_written_before() {
    loom::model(|| {
        let shared = Arc::new((Barrier::new(2).unwrap(), [DataCell::new(0), DataCell::new(0)]));
        let meet = |shared: &(Barrier, [DataCell<u32>; 2]), me: usize| {
            add_one(&shared.1[me]);
            let first = shared.0.wait(&mut Patient::new()).unwrap();
            add_one(&shared.1[1 - me]);
            let second = shared.0.wait(&mut Patient::new()).unwrap();
            add_one(&shared.1[me]);
            (first, second)
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || meet(&shared, 1))
        };
        let mine = meet(&shared, 0);
        let theirs = other.join().unwrap();
        assert_eq!((mine.0 + theirs.0, mine.1 + theirs.1), (1, 1));
    });
}

#[test]
fn three_meet() {
    loom::model(|| {
        let barrier = Arc::new(Barrier::new(3).unwrap());
        let others: Vec<_> = (0..2)
            .map(|_| {
                let barrier = barrier.clone();
                thread::spawn(move || barrier.wait(&mut Patient::new()).unwrap())
            })
            .collect();
        let mut seen = vec![barrier.wait(&mut Patient::new()).unwrap()];
        seen.extend(others.into_iter().map(|t| t.join().unwrap()));
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
    });
}

#[test]
fn the_action_runs_before_anybody_goes_on() {
    loom::model(|| {
        let shared = Arc::new((Barrier::new(2).unwrap(), DataCell::new(0)));
        let meet = |shared: &(Barrier, DataCell<u32>)| {
            match shared.0.arrive(&mut Patient::new()).unwrap() {
                Arrived::Early(turn) => {
                    shared.0.wait_for_release(turn, &mut Patient::new()).unwrap();
                }
                Arrived::Last(turn) => {
                    add_one(&shared.1);
                    shared.0.release(turn, Scope::Private).unwrap();
                }
            }
            // SAFETY: written before the release; that is what the model checks.
            assert_eq!(shared.1.with(|n| unsafe { *n }), 1);
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || meet(&shared))
        };
        meet(&shared);
        other.join().unwrap();
    });
}

#[test]
fn an_abort_reaches_everybody() {
    loom::model(|| {
        let barrier = Arc::new(Barrier::new(2).unwrap());
        let waiter = {
            let barrier = barrier.clone();
            thread::spawn(move || barrier.wait(&mut Patient::new()))
        };
        assert!(barrier.abort(Scope::Private));
        assert_eq!(barrier.wait(&mut Patient::new()), Err(BarrierError::Broken));
        assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
    });
}

#[test]
fn one_gives_up_and_the_other_meets_it_or_learns_of_it() {
    loom::model(|| {
        let barrier = Arc::new(Barrier::new(2).unwrap());
        let patient = {
            let barrier = barrier.clone();
            thread::spawn(move || barrier.wait(&mut Patient::new()))
        };
        let mine = barrier.wait(&mut Hasty);
        let theirs = patient.join().unwrap();
        match mine {
            // All had come: the hasty one last, or while it was about to sleep.
            Ok(index) => assert_eq!(theirs, Ok(1 - index)),
            Err(BarrierError::Stopped { met: Some(index), .. }) => {
                assert_eq!(theirs, Ok(1 - index))
            }
            // It gave up first: the patient one found the barrier broken, waiting or coming.
            Err(BarrierError::Stopped { met: None, .. }) => {
                assert_eq!(theirs, Err(BarrierError::Broken));
                assert!(barrier.is_broken());
            }
            Err(BarrierError::Broken) => panic!("nobody else breaks it"),
        }
    });
}

#[test]
fn one_who_gives_up_wakes_who_waits_for_a_third() {
    loom::model(|| {
        let barrier = Arc::new(Barrier::new(3).unwrap());
        let patient = {
            let barrier = barrier.clone();
            thread::spawn(move || barrier.wait(&mut Patient::new()))
        };
        let mine = barrier.wait(&mut Hasty);
        assert_eq!(mine, Err(BarrierError::Stopped { stop: (), met: None }));
        assert_eq!(patient.join().unwrap(), Err(BarrierError::Broken));
    });
}

#[test]
fn a_reset_breaks_who_waits_and_nobody_who_comes_later() {
    loom::model(|| {
        let barrier = Arc::new(Barrier::new(2).unwrap());
        let first = match barrier.arrive(&mut Patient::new()).unwrap() {
            Arrived::Early(turn) => turn,
            Arrived::Last(_) => panic!("one is missing"),
        };
        let waiter = {
            let barrier = barrier.clone();
            thread::spawn(move || barrier.wait_for_release(first, &mut Patient::new()))
        };
        barrier.reset(Scope::Private);
        // Two meet while the first is still slow to learn that its own meeting was broken.
        let Ok(Arrived::Early(turn)) = barrier.arrive(&mut Patient::new()) else { panic!("early") };
        assert_eq!(barrier.wait(&mut Patient::new()), Ok(1));
        assert_eq!(barrier.wait_for_release(turn, &mut Patient::new()), Ok(0));
        assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
    });
}

#[test]
fn a_dead_party_breaks_the_barrier_for_who_waits() {
    loom::model(|| {
        let barrier = Arc::new(Barrier::new(2).unwrap());
        let waiter = {
            let barrier = barrier.clone();
            thread::spawn(move || barrier.wait(&mut Patient::new()))
        };
        assert!(barrier.break_by_death(Scope::Private));
        assert!(!barrier.break_by_death(Scope::Private));
        assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
    });
}
