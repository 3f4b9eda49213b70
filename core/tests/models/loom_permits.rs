//! Every interleaving of permits with owners: none too many, none lost, none overslept, the dead's back exactly once.

use std::ptr::NonNull;

use crate::memory::Memory;
use crate::waiter::Patient;
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::DataCell;
use slipring_core::sync::Permits;

/// Permits, and the memory that they are in.
struct Shared {
    memory: Memory,
    limit: u32,
    inside: DataCell<u32>,
}

impl Shared {
    fn new(limit: u32) -> Arc<Self> {
        let memory = Memory::new(Permits::bytes(limit), 8);
        // SAFETY: allocated with this size and alignment; nobody else knows it yet.
        unsafe { Permits::init(NonNull::new(memory.at()).unwrap(), limit) };
        Arc::new(Self { memory, limit, inside: DataCell::new(0) })
    }

    fn permits(&self) -> &Permits {
        // SAFETY: made in `new`, and the memory lives as long as `self`.
        unsafe { Permits::at(NonNull::new(self.memory.at()).unwrap(), self.limit) }
    }

    fn try_acquire(&self, me: OwnerId, near: u32) -> Option<u32> {
        self.permits().try_acquire(me, near, |_| false)
    }

    fn acquire(&self, me: OwnerId, near: u32) -> u32 {
        self.permits().acquire(me, near, &mut Patient::new()).unwrap()
    }

    fn release(&self, me: OwnerId, near: u32) {
        self.permits().release(me, near, Scope::Private).unwrap();
    }
}

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 1)
}

#[test]
fn one_permit_excludes_and_publishes() {
    loom::model(|| {
        let shared = Shared::new(1);
        let enter = |shared: &Shared, me| {
            let near = shared.acquire(me, 0);
            shared.inside.with_mut(|n| {
                // SAFETY: the only permit is held; that is what the model checks.
                unsafe { *n += 1 }
            });
            shared.release(me, near);
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || enter(&shared, id(1)))
        };
        enter(&shared, id(2));
        other.join().unwrap();
        assert_eq!(shared.permits().value(), 1);
    });
}

#[test]
fn two_sleepers_are_both_served_by_two_releases() {
    loom::model(|| {
        let shared = Shared::new(2);
        shared.try_acquire(id(3), 0).unwrap();
        shared.try_acquire(id(3), 1).unwrap();
        let sleepers = [1, 2].map(|who| {
            let shared = shared.clone();
            thread::spawn(move || shared.acquire(id(who), 0))
        });
        shared.release(id(3), 0);
        shared.release(id(3), 1);
        let taken: Vec<u32> = sleepers.into_iter().map(|t| t.join().unwrap()).collect();
        assert_ne!(taken[0], taken[1]);
        assert_eq!(shared.permits().value(), 0);
    });
}

#[test]
fn a_permit_that_passes_from_one_word_to_the_other_is_not_overlooked() {
    // One of two is always free for us: the other thread gives its one back before it takes the other one.
    loom::model(|| {
        let shared = Shared::new(2);
        shared.try_acquire(id(1), 0).unwrap();
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.release(id(1), 0);
                shared.permits().try_acquire_fast(id(1), 1)
            })
        };
        assert!(shared.try_acquire(id(2), 0).is_some(), "there always was one");
        let moved = other.join().unwrap();
        assert_eq!(shared.permits().value(), u32::from(!moved));
    });
}

#[test]
fn of_a_recoverer_and_one_who_wants_a_permit_one_has_the_dead_ones() {
    let dead = [id(9)];
    loom::model(move || {
        let shared = Shared::new(1);
        shared.try_acquire(dead[0], 0).unwrap();
        let recoverer = {
            let shared = shared.clone();
            thread::spawn(move || shared.permits().recover(dead[0], Scope::Private))
        };
        // Legal: it takes the dead one's word itself, or finds it free, having slept or not.
        let near = shared.permits().acquire(id(1), 0, &mut Patient { dead: &dead }).unwrap();
        assert!(recoverer.join().unwrap() <= 1);
        assert_eq!(shared.permits().owners().collect::<Vec<_>>(), [id(1)]);
        shared.release(id(1), near);
        assert_eq!(shared.permits().value(), 1);
    });
}

#[test]
fn what_two_recoverers_give_back_wakes_a_sleeper_once_each_permit() {
    loom::model(|| {
        let shared = Shared::new(2);
        shared.try_acquire(id(9), 0).unwrap();
        shared.try_acquire(id(9), 1).unwrap();
        let sleeper = {
            let shared = shared.clone();
            thread::spawn(move || shared.acquire(id(1), 0))
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || shared.permits().recover(id(9), Scope::Private))
        };
        let here = shared.permits().recover(id(9), Scope::Private);
        assert_eq!(here + other.join().unwrap(), 2);
        sleeper.join().unwrap();
        assert_eq!(shared.permits().value(), 1);
    });
}

#[test]
fn two_threads_of_one_process_give_back_what_the_process_has_and_nobody_elses() {
    // While one thread gives its permit back, what the process has passes from word 0 to word 1.
    loom::model(|| {
        let shared = Shared::new(3);
        shared.try_acquire(id(1), 0).unwrap();
        shared.try_acquire(id(2), 2).unwrap();
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.try_acquire(id(1), 1).unwrap();
                shared.release(id(1), 0);
            })
        };
        shared.release(id(1), 2);
        other.join().unwrap();
        assert_eq!(shared.permits().owners().collect::<Vec<_>>(), [id(2)]);
    });
}
