//! Every interleaving of the mutex: exclusion, no lost wake-up, one heir of a dead holder.

use crate::waiter::Patient;
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::DataCell;
use slipring_core::sync::{Acquired, Mutex};

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 0)
}

/// loom's cell reports two accesses that are not ordered.
fn add_one(cell: &DataCell<u32>) -> u32 {
    cell.with_mut(|n| {
        // SAFETY: the lock is held; that is what the model checks.
        unsafe {
            *n += 1;
            *n
        }
    })
}

#[test]
fn two_threads_exclude_each_other_and_both_get_in() {
    loom::model(|| {
        let shared = Arc::new((Mutex::new(), DataCell::new(0)));
        let enter = |shared: &(Mutex, DataCell<u32>), me| {
            let how = shared.0.lock(me, &mut Patient::new()).unwrap();
            assert_eq!(how, Acquired::Clean);
            let n = add_one(&shared.1);
            assert!(shared.0.unlock(me, Scope::Private));
            n
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || enter(&shared, id(2)))
        };
        let mine = enter(&shared, id(1));
        let theirs = other.join().unwrap();
        assert_eq!(mine + theirs, 3, "one was first, one second");
    });
}

#[test]
fn of_two_waiters_for_a_dead_holder_exactly_one_is_told() {
    loom::model(|| {
        let shared = Arc::new((Mutex::new(), DataCell::new(0)));
        assert!(shared.0.try_lock_fast(id(9)));
        let dead = [id(9)];
        let enter = move |shared: &(Mutex, DataCell<u32>), me| {
            let how = shared.0.lock(me, &mut Patient { dead: &dead }).unwrap();
            add_one(&shared.1);
            assert!(shared.0.unlock(me, Scope::Private));
            usize::from(how == Acquired::AfterDeath)
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || enter(&shared, id(2)))
        };
        let mine = enter(&shared, id(1));
        assert_eq!(mine + other.join().unwrap(), 1);
    });
}

#[test]
fn recovery_wakes_a_waiter_that_cannot_see_the_death_itself() {
    loom::model(|| {
        let lock = Arc::new(Mutex::new());
        assert!(lock.try_lock_fast(id(9)));
        let waiter = {
            let lock = lock.clone();
            thread::spawn(move || lock.lock(id(1), &mut Patient::new()).unwrap())
        };
        assert!(lock.recover(id(9), Scope::Private));
        assert_eq!(waiter.join().unwrap(), Acquired::AfterDeath);
    });
}
