//! Every interleaving of the reentrant mutex: exclusion between threads of one process, and one heir.

use core::num::NonZeroU32;

use crate::waiter::Patient;
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::DataCell;
use slipring_core::sync::{Acquired, NotOwner, ReentrantMutex};

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 0)
}

fn number(thread: u32) -> NonZeroU32 {
    NonZeroU32::new(thread).unwrap()
}

/// Locks twice, adds one inside, unlocks twice. `me` and `thread` name the caller.
fn enter_twice(shared: &(ReentrantMutex, DataCell<u32>), me: OwnerId, thread: NonZeroU32) -> u32 {
    let lock = &shared.0;
    assert_eq!(lock.lock(me, thread, &mut Patient::new()), Ok(Acquired::Clean));
    assert_eq!(lock.lock(me, thread, &mut Patient::new()), Ok(Acquired::Clean));
    let n = shared.1.with_mut(|n| {
        // SAFETY: the lock is held; that is what the model checks.
        unsafe {
            *n += 1;
            *n
        }
    });
    assert_eq!(lock.unlock(me, thread, Scope::Private), Ok(1));
    assert_eq!(lock.unlock(me, thread, Scope::Private), Ok(0));
    assert_eq!(lock.unlock(me, thread, Scope::Private), Err(NotOwner));
    n
}

/// Two threads under two names.
fn exclude(mine: (u32, u32), theirs: (u32, u32)) {
    loom::model(move || {
        let shared = Arc::new((ReentrantMutex::new(), DataCell::new(0)));
        let other = {
            let shared = shared.clone();
            thread::spawn(move || enter_twice(&shared, id(theirs.0), number(theirs.1)))
        };
        let first = enter_twice(&shared, id(mine.0), number(mine.1));
        assert_eq!(first + other.join().unwrap(), 3, "one was first, one second");
        assert_eq!((shared.0.count(), shared.0.owner()), (0, None));
    });
}

#[test]
fn two_threads_of_one_process_exclude_each_other() {
    exclude((1, 1), (1, 2));
}

#[test]
fn two_processes_with_the_same_thread_number_exclude_each_other() {
    exclude((1, 1), (2, 1));
}

#[test]
fn of_two_heirs_of_a_deep_lock_one_is_told_and_starts_at_depth_one() {
    loom::model(|| {
        let shared = Arc::new((ReentrantMutex::new(), ()));
        for _ in 0..3 {
            assert!(shared.0.lock(id(9), number(1), &mut Patient::new()).is_ok());
        }
        let dead = [id(9)];
        let inherit = move |lock: &ReentrantMutex, me| {
            let how = lock.lock(me, number(1), &mut Patient { dead: &dead }).unwrap();
            assert_eq!(lock.unlock(me, number(1), Scope::Private), Ok(0));
            usize::from(how == Acquired::AfterDeath)
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || inherit(&shared.0, id(2)))
        };
        let mine = inherit(&shared.0, id(1));
        assert_eq!(mine + other.join().unwrap(), 1);
    });
}
