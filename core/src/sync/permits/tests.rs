use super::*;
use crate::sync::testing::{Hasty, Late, Patient};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

const HERE: Scope = Scope::Private;

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 3)
}

/// Permits in memory of their own.
fn permits(limit: u32) -> &'static Permits {
    let memory = vec![0_u64; Permits::bytes(limit) / 8].into_boxed_slice();
    let at = NonNull::from(Box::leak(memory)).cast();
    // SAFETY: leaked memory of the right size and alignment, that nobody else uses.
    unsafe {
        Permits::init(at, limit);
        assert_eq!(Permits::attach(at, Permits::bytes(limit)), Ok(limit));
        Permits::at(at, limit)
    }
}

fn try_acquire(permits: &Permits, me: OwnerId) -> Option<u32> {
    permits.try_acquire(me, 0, |_| false)
}

#[test]
fn there_are_as_many_permits_as_the_limit_says() {
    for limit in [0, 1, 2, 3, 70] {
        let permits = permits(limit);
        for taken in 0..limit {
            assert_eq!((permits.value(), permits.limit()), (limit - taken, limit));
            assert!(try_acquire(permits, id(1 + taken % 2)).is_some());
        }
        assert_eq!((try_acquire(permits, id(1)), permits.value()), (None, 0));
        for back in 0..limit {
            assert!(permits.release(id(1 + back % 2), 0, HERE).is_ok());
        }
        assert_eq!(permits.release(id(1), 0, HERE), Err(OverLimit { max: limit }));
        assert_eq!(permits.value(), limit);
    }
}

#[test]
fn every_word_is_looked_at_once_from_wherever_the_search_begins() {
    for limit in 0..4 {
        let permits = permits(limit);
        for near in [0, 1, 2, 3, u32::MAX] {
            let all: Vec<usize> = (0..limit as usize).collect();
            let (mut up, mut down): (Vec<_>, Vec<_>) =
                (permits.upwards(near).collect(), permits.downwards(near).collect());
            assert!(near >= limit || (up[0], down[0]) == (near as usize, near as usize));
            up.sort_unstable();
            down.sort_unstable();
            assert_eq!((up, down), (all.clone(), all));
        }
    }
}

#[test]
fn one_gives_back_its_own_first_and_anothers_if_it_has_none() {
    let permits = permits(3);
    for who in [1, 1, 2] {
        try_acquire(permits, id(who)).unwrap();
    }
    assert_eq!(permits.release(id(2), 0, HERE), Ok(2), "its own, wherever it looks first");
    assert_eq!(permits.owners().collect::<Vec<_>>(), [id(1); 2]);
    assert_eq!(permits.release(id(2), 0, HERE), Ok(0), "it has none");
    assert_eq!(permits.owners().collect::<Vec<_>>(), [id(1)]);
}

#[test]
fn the_permits_of_the_dead_come_back_once_and_nobody_elses_do() {
    let permits = permits(5);
    for who in [1, 2, 1, 3] {
        try_acquire(permits, id(who)).unwrap();
    }
    assert_eq!(permits.recover(id(1), HERE), 2);
    assert_eq!(permits.recover(id(1), HERE), 0);
    assert_eq!(permits.value(), 3);
    assert_eq!(permits.owners().collect::<Vec<_>>(), [id(2), id(3)]);
    // The same record in another life holds nothing of the last one's.
    assert_eq!(permits.recover(OwnerId::new(2, 4), HERE), 0);
}

#[test]
fn whoever_wants_a_permit_takes_a_proven_dead_ones_and_asks_once_for_those_in_a_row() {
    let permits = permits(4);
    for who in [1, 1, 1, 2] {
        try_acquire(permits, id(who)).unwrap();
    }
    let mut asked = 0;
    let taken = permits.try_acquire(id(5), 0, |who| {
        asked += 1;
        who == id(2)
    });
    assert_eq!((taken, asked), (Some(3), 2));
    assert_eq!(permits.acquire(id(5), 0, &mut Hasty), Err(Late), "the others live");
    assert_eq!(permits.recover(id(2), HERE), 0, "it is another's by now");
}

#[test]
fn a_scribbled_owner_that_nobody_can_be_keeps_no_permit() {
    let permits = permits(2);
    permits.words[0].store(5 << 12, Ordering::Relaxed);
    permits.words[1].store(u64::MAX << 30, Ordering::Relaxed);
    assert_eq!((permits.value(), permits.owners().count()), (0, 0));
    assert_eq!(permits.try_acquire(id(1), 0, |_| unreachable!()), Some(0));
    assert_eq!(permits.release(id(2), 1, HERE), Ok(1));
    assert_eq!(permits.value(), 1);
}

#[test]
fn memory_that_cannot_be_permits_is_refused() {
    let mut memory = [u64::from(MAX_OWNED_PERMITS), 0, 0];
    let at = NonNull::from(&mut memory).cast::<u8>();
    // SAFETY: three words, aligned, of which this thread alone has the address.
    let attach = |len| unsafe { Permits::attach(at, len) };
    assert_eq!((attach(4), attach(24)), (Err(Impossible), Err(Impossible)));
    // SAFETY: as above.
    unsafe { at.cast::<u32>().write(2) };
    assert_eq!((attach(24), attach(23)), (Ok(2), Err(Impossible)));
    // SAFETY: as above.
    unsafe { at.cast::<u32>().write(u32::MAX) };
    assert_eq!(attach(usize::MAX), Err(Impossible));
}

#[test]
fn nobody_is_told_that_there_is_none_while_there_always_is_one() {
    // Two threads hold one permit each for a while; of three, there is always one left.
    let permits = permits(3);
    std::thread::scope(|s| {
        let pass_on = |who| {
            for round in 0..20_000_u32 {
                let index = permits.try_acquire(id(who), round % 3, |_| false).unwrap();
                permits.release(id(who), index, HERE).unwrap();
            }
        };
        s.spawn(move || pass_on(1));
        s.spawn(move || pass_on(2));
        for round in 0..20_000_u32 {
            let index = permits.try_acquire(id(3), round % 3, |_| false).expect("there is one");
            permits.release(id(3), index, HERE).unwrap();
        }
    });
    assert_eq!(permits.value(), 3);
}

#[test]
fn every_sleeper_gets_its_permit() {
    let permits = permits(2);
    std::thread::scope(|s| {
        for who in 1..5 {
            s.spawn(move || {
                for _ in 0..500 {
                    let index = permits.acquire(id(who), who, &mut Patient).unwrap();
                    std::thread::yield_now();
                    permits.release(id(who), index, HERE).unwrap();
                }
            });
        }
    });
    assert_eq!(permits.value(), 2);
}

#[test]
fn permits_that_were_left_stay_held_until_somebody_releases_them() {
    let permits = permits(3);
    for who in [id(1), id(1), id(2)] {
        permits.try_acquire(who, 0, |_| false).unwrap();
    }
    assert_eq!((permits.leave(id(1)), permits.leave(id(1)), permits.value()), (2, 0, 0));
    // Nobody's death frees them, and nobody takes them for a dead one's.
    assert_eq!(permits.recover(id(1), Scope::Shared), 0);
    assert_eq!(permits.try_acquire(id(3), 0, |owner| owner != id(2)), None);
    // Who has none of its own releases those before it releases a living one's.
    permits.release(id(3), 0, Scope::Shared).unwrap();
    permits.release(id(3), 0, Scope::Shared).unwrap();
    assert_eq!((permits.value(), permits.owners().collect::<Vec<_>>()), (2, vec![id(2)]));
    permits.release(id(3), 0, Scope::Shared).unwrap();
    assert!(permits.release(id(3), 0, Scope::Shared).is_err());
}
