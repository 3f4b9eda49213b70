//! Unit tests: each way out of a barrier, and threads.

use super::*;
use crate::sync::testing::{Hasty, Late, Patient};

const STOPPED: BarrierError<Late> = BarrierError::Stopped { stop: Late, met: None };

fn early(barrier: &Barrier) -> Turn {
    match barrier.arrive(&mut Hasty) {
        Ok(Arrived::Early(turn)) => turn,
        other => panic!("{other:?}"),
    }
}

fn last(barrier: &Barrier) -> Turn {
    match barrier.arrive(&mut Hasty) {
        Ok(Arrived::Last(turn)) => turn,
        other => panic!("{other:?}"),
    }
}

#[test]
fn absurd_numbers_of_parties_are_refused() {
    assert_eq!(Barrier::new(0).unwrap_err(), BadParties);
    assert_eq!(Barrier::new(MAX_PARTIES + 1).unwrap_err(), BadParties);
    let alone = Barrier::new(1).unwrap();
    assert_eq!(alone.wait(&mut Hasty), Ok(0));
    assert_eq!(alone.wait(&mut Hasty), Ok(0));
    for scribbled in [0, u32::MAX] {
        alone.parties.store(scribbled, Ordering::Relaxed);
        assert_eq!(alone.wait(&mut Hasty), Err(BarrierError::Broken));
    }
}

#[test]
fn the_last_one_is_told_and_the_early_ones_learn_of_the_release_late() {
    let barrier = Barrier::new(2).unwrap();
    let mut waiting = std::vec::Vec::new();
    for _ in 0..HISTORY {
        waiting.push(early(&barrier));
        assert_eq!(barrier.n_waiting(), 1);
        let turn = last(&barrier);
        assert_eq!((turn.index(), barrier.n_waiting()), (1, 0));
        assert_eq!(barrier.arrive(&mut Hasty), Err(STOPPED), "closed while the action runs");
        assert_eq!(barrier.release(turn, Scope::Private), Ok(1));
    }
    barrier.abort(Scope::Private);
    for turn in waiting {
        assert_eq!(barrier.wait_for_release(turn, &mut Hasty), Ok(0));
    }
}

#[test]
fn giving_up_breaks_the_barrier_for_the_others_until_it_is_reset() {
    let barrier = Barrier::new(3).unwrap();
    let first = early(&barrier);
    assert_eq!(barrier.wait(&mut Hasty), Err(STOPPED));
    assert!(barrier.is_broken());
    assert_eq!(barrier.n_waiting(), 0);
    assert_eq!(barrier.wait(&mut Hasty), Err(BarrierError::Broken));
    barrier.reset(Scope::Private);
    assert!(!barrier.is_broken());
    let _second = early(&barrier);
    assert_eq!(barrier.wait_for_release(first, &mut Hasty), Err(BarrierError::Broken));
}

#[test]
fn a_reset_is_told_to_those_inside_and_leaves_an_empty_one_alone() {
    let barrier = Barrier::new(2).unwrap();
    barrier.reset(Scope::Private);
    assert_eq!(generation(barrier.state.load(Ordering::Relaxed)), 0);
    let turn = early(&barrier);
    barrier.reset(Scope::Private);
    assert_eq!(barrier.n_waiting(), 0);
    let (_met, closing) = (early(&barrier), last(&barrier));
    assert_eq!(barrier.release(closing, Scope::Private), Ok(1));
    assert_eq!(barrier.wait_for_release(turn, &mut Hasty), Err(BarrierError::Broken));
}

#[test]
fn an_action_that_fails_or_is_overtaken_by_a_reset_releases_nobody() {
    let barrier = Barrier::new(2).unwrap();
    let (first, closing) = (early(&barrier), last(&barrier));
    assert!(!barrier.refuse(closing, Scope::Private));
    assert_eq!(barrier.wait_for_release(first, &mut Hasty), Err(BarrierError::Broken));
    barrier.reset(Scope::Private);
    let (_first, closing) = (early(&barrier), last(&barrier));
    barrier.reset(Scope::Private);
    assert_eq!(barrier.release(closing, Scope::Private), Err(Broken));
    assert!(!barrier.is_broken());
}

#[test]
fn a_death_breaks_the_barrier_once_and_can_be_told_again() {
    let barrier = Barrier::new(2).unwrap();
    let turn = early(&barrier);
    assert!(barrier.break_by_death(Scope::Private));
    assert!(!barrier.break_by_death(Scope::Private));
    assert_eq!(barrier.wait_for_release(turn, &mut Hasty), Err(BarrierError::Broken));
}

#[test]
fn outcomes_are_kept_for_sixteen_generations_across_the_wrap_of_the_count() {
    let first = (1_u32 << GENERATION_BITS) - 3;
    let mut state = u64::from(first) << GENERATION_SHIFT;
    let broken = |n: u32| n % 3 == 1;
    for n in 0..HISTORY {
        assert_eq!(outcome(state, generation(state)), None);
        state = next_generation(state | u64::from(n), broken(n));
        for m in 0..=n {
            let mine = first.wrapping_add(m) & ((1 << GENERATION_BITS) - 1);
            let ended = if broken(m) { Err(Broken) } else { Ok(()) };
            assert_eq!(outcome(state, mine), Some(ended));
        }
    }
    assert_eq!(outcome(next_generation(state, false), first), Some(Err(Broken)), "too late");
    assert_eq!(outcome(state | BROKEN, generation(state)), Some(Err(Broken)));
    assert_eq!(arrivals(state), 0);
}

#[test]
fn parties_meet_again_and_again_and_each_index_is_given_once() {
    let barrier = Barrier::new(3).unwrap();
    let sums: [AtomicU32; 100] = core::array::from_fn(|_| AtomicU32::new(0));
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for (round, sum) in sums.iter().enumerate() {
                    let index = barrier.wait(&mut Patient).unwrap();
                    sum.fetch_add(1 << (8 * index), Ordering::Relaxed);
                    if round > 0 {
                        assert_eq!(sums[round - 1].load(Ordering::Relaxed), 0x01_01_01);
                    }
                }
            });
        }
    });
}
