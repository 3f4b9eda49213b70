//! Unit tests: each change of the state, states that a death leaves, and threads.

use super::*;
use crate::sync::testing::{Hasty, Late, Patient};

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 3)
}

/// `n` came to wait, one after the other.
fn waiting(n: u32) -> (State, Ticket) {
    let state = State { generation: 5, batch: 9, ..State::default() };
    ((0..n).fold(state, |state, _| state.join()), state.ticket())
}

fn take(state: State, ticket: Ticket) -> State {
    match state.verdict(ticket) {
        Verdict::Take(next) => next,
        other => panic!("{other:?} from {state:?}"),
    }
}

#[test]
fn fields_survive_packing() {
    let full = State {
        generation: (1 << GENERATION_BITS) - 1,
        era: (1 << ERA_BITS) - 1,
        batch: (1 << BATCH_BITS) - 1,
        joined: true,
        waiters: MANY,
        permits: MANY,
    };
    assert_eq!(full.pack(), u64::MAX);
    for state in
        [full, State::default(), waiting(3).0.notify(1), State { joined: true, ..waiting(2).0 }]
    {
        assert_eq!(State::unpack(state.pack()), state);
    }
}

#[test]
fn so_many_are_released_as_were_notified() {
    for (waiters, notified) in [(3, 1), (3, 2), (5, 1), (5, 4)] {
        let (state, ticket) = waiting(waiters);
        assert_eq!(state.verdict(ticket), Verdict::Wait);
        let mut state = state.notify(notified);
        for _ in 0..notified {
            state = take(state, ticket);
        }
        assert_eq!(state.verdict(ticket), Verdict::Wait);
        assert_eq!(state.waiters, waiters - notified);
        assert_eq!(state.notify(waiters - notified).verdict(ticket), Verdict::Released);
    }
}

#[test]
fn a_newcomer_takes_nothing_that_was_meant_for_others() {
    let (state, ticket) = waiting(2);
    let state = state.notify(1);
    let newcomer = state.ticket();
    let state = state.join();
    assert_eq!(state.verdict(newcomer), Verdict::OthersTurn);
    // Notified again before the first one ran: all go, so nobody is forgotten.
    let all = state.notify(1);
    assert_eq!(all.verdict(newcomer), Verdict::Released);
    assert_eq!(all.verdict(ticket), Verdict::Released);
    // The first one ran: the newcomer is a waiter like the other.
    let state = take(state, ticket);
    assert_eq!(state.verdict(newcomer), Verdict::Wait);
    assert!(matches!(state.notify(1).verdict(newcomer), Verdict::Take(_)));
}

#[test]
fn dead_waiters_are_forgotten_when_all_are_released() {
    let (state, _) = waiting(2); // both die
    let ticket = state.ticket();
    let state = state.join().notify(1);
    let state = take(state, ticket);
    assert_eq!(state.waiters, 2);
    assert_eq!(state.notify(2).waiters, 0);
    assert_eq!(state.notify_all().waiters, 0);
}

#[test]
fn with_too_many_to_count_everybody_is_released() {
    let (state, ticket) = waiting(MANY + 5);
    assert_eq!(state.waiters, MANY);
    assert_eq!(state.one_less().waiters, MANY);
    assert_eq!(state.notify(1).verdict(ticket), Verdict::Released);
}

#[test]
fn whatever_a_peer_wrote_is_taken_without_overflow() {
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..10_000 {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let state = State::unpack(word);
        for next in [
            state.join(),
            state.notify(1),
            state.notify(u32::MAX),
            state.one_less(),
            state.disturb(),
        ] {
            assert_eq!(State::unpack(next.pack()), next);
        }
        let _ = state.verdict(Ticket { batch: 0, ..state.ticket() });
        let _ = state.verdict(Ticket { era: 0, ..state.ticket() });
    }
}

#[test]
fn giving_up_takes_the_lock_again_and_leaves_no_trace() {
    let (condvar, lock) = (Condvar::new(), Mutex::new());
    assert_eq!(condvar.wait(&lock, id(1), &mut Hasty, &mut Patient), Err(NotOwner));
    assert!(lock.try_lock_fast(id(1)));
    let waited = condvar.wait(&lock, id(1), &mut Hasty, &mut Patient).unwrap();
    let expected = Waited { acquired: Acquired::Clean, notified: false, stop: Some(Late) };
    assert_eq!(waited, expected);
    assert_eq!((lock.owner(), condvar.waiters()), (Some(id(1)), 0));
}

#[test]
fn a_deep_lock_is_opened_fully_and_taken_again_as_deep() {
    let thread = NonZeroU32::MIN;
    let (condvar, lock) = (Condvar::new(), ReentrantMutex::new());
    for _ in 0..3 {
        assert!(lock.lock(id(1), thread, &mut Hasty).is_ok());
    }
    let waited = condvar.wait_reentrant(&lock, id(1), thread, &mut Hasty, &mut Patient);
    assert_eq!(waited.unwrap().stop, Some(Late));
    assert_eq!((lock.count(), lock.owner()), (3, Some(id(1))));
    let stranger = condvar.wait_reentrant(&lock, id(2), thread, &mut Hasty, &mut Patient);
    assert_eq!(stranger, Err(NotOwner));
}

#[test]
fn notifications_reach_exactly_as_many_sleepers() {
    let (condvar, lock, woken) = (Condvar::new(), Mutex::new(), AtomicU32::new(0));
    let with_lock = |me, f: &dyn Fn()| {
        let _ = lock.lock(id(me), &mut Patient);
        f();
        lock.unlock(id(me), Scope::Private);
    };
    std::thread::scope(|s| {
        for me in 1..=6 {
            let (condvar, lock, woken) = (&condvar, &lock, &woken);
            s.spawn(move || {
                let _ = lock.lock(id(me), &mut Patient);
                let waited = condvar.wait(lock, id(me), &mut Patient, &mut Patient).unwrap();
                assert!(waited.notified);
                woken.fetch_add(1, Ordering::Relaxed);
                lock.unlock(id(me), Scope::Private);
            });
        }
        let reaches = |n| {
            while woken.load(Ordering::Relaxed) != n {
                std::thread::yield_now();
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            assert_eq!(woken.load(Ordering::Relaxed), n);
        };
        while condvar.waiters() != 6 {
            std::thread::yield_now();
        }
        with_lock(7, &|| condvar.notify_one(Scope::Private));
        reaches(1);
        with_lock(7, &|| condvar.notify(2, Scope::Private));
        reaches(3);
        condvar.notify_all(Scope::Private);
        reaches(6);
    });
    assert_eq!(condvar.waiters(), 0);
}

#[test]
fn a_death_takes_nothing_from_those_who_were_notified_and_gives_the_others_nothing() {
    let (state, ticket) = waiting(3);
    let disturbed = state.notify(1).disturb();
    let taken = take(disturbed, ticket);
    assert_eq!(taken.verdict(ticket), Verdict::Disturbed);
    let told = Ticket { era: taken.era, ..ticket };
    assert_eq!((taken.waiters, taken.verdict(told)), (2, Verdict::Wait));
    let one = take(taken.notify(1), told);
    assert_eq!((one.waiters, one.verdict(told)), (1, Verdict::Wait));
    assert_eq!(state.disturb().notify_all().verdict(ticket), Verdict::Released);
}

#[test]
fn a_ticket_outlives_a_death_and_leaves_without_a_trace() {
    let condvar = Condvar::new();
    let mut tickets = [condvar.enter(), condvar.enter(), condvar.enter()];
    condvar.recover(Scope::Private);
    let [mut first, second, third] = tickets;
    assert_eq!(condvar.wait_with(&mut first, &mut Hasty), Ok(Release::Disturbed));
    assert_eq!(condvar.wait_with(&mut first, &mut Hasty), Err(Late));
    assert_eq!(condvar.waiters(), 3);
    assert!(!condvar.leave(second, Scope::Private), "it was not told yet");
    assert!(!condvar.leave(third, Scope::Private));
    assert_eq!(condvar.waiters(), 1);
    condvar.notify_one(Scope::Private);
    assert_eq!(condvar.wait_with(&mut first, &mut Hasty), Ok(Release::Notified));
    assert_eq!(condvar.waiters(), 0);
    tickets[0] = condvar.enter();
    condvar.notify_all(Scope::Private);
    assert!(condvar.leave(tickets[0], Scope::Private), "it was released");
}

#[test]
fn the_death_procedure_disturbs_the_living_and_the_dead_are_forgotten_later() {
    let (condvar, lock) = (Condvar::new(), Mutex::new());
    let _dead = condvar.enter();
    std::thread::scope(|s| {
        let living = s.spawn(|| {
            let _ = lock.lock(id(1), &mut Patient);
            condvar.wait(&lock, id(1), &mut Patient, &mut Patient).unwrap().notified
        });
        while condvar.waiters() != 2 {
            std::thread::yield_now();
        }
        condvar.recover(Scope::Private);
        condvar.recover(Scope::Private);
        assert!(living.join().unwrap());
    });
    assert!(condvar.waiters() <= 1);
    condvar.notify_one(Scope::Private);
    assert_eq!(condvar.waiters(), 0, "the dead one is forgotten");
}
