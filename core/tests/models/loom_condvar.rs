//! Every interleaving of the condition: no notification is lost, the lock is held again.

use core::num::NonZeroU32;

use crate::waiter::{Impatient, Patient};
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, DataCell, Ordering, spin_hint};
use slipring_core::sync::{Acquired, Condvar, Event, Mutex, ReentrantMutex, Release};

#[derive(Clone)]
struct Shared(Arc<(Mutex, Condvar, DataCell<u32>)>);

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 0)
}

impl Shared {
    fn new() -> Self {
        Shared(Arc::new((Mutex::new(), Condvar::new(), DataCell::new(0))))
    }

    fn lock(&self, me: u32) {
        let _ = self.0.0.lock(id(me), &mut Patient::new()).unwrap();
    }

    fn unlock(&self, me: u32) {
        assert!(self.0.0.unlock(id(me), Scope::Private));
    }

    /// Call with the lock held; loom checks that it is.
    fn items(&self, change: i32) -> u32 {
        self.0.2.with_mut(|n| {
            // SAFETY: the lock is held; that is what the model checks.
            unsafe {
                *n = n.read().wrapping_add_signed(change);
                *n
            }
        })
    }

    fn put(&self, me: u32, notify: impl FnOnce(&Condvar)) {
        self.lock(me);
        self.items(1);
        self.unlock(me);
        notify(&self.0.1);
    }

    fn take(&self, me: u32) {
        self.lock(me);
        while self.items(0) == 0 {
            let (mut wait, mut relock) = (Patient::new(), Patient::new());
            let waited = self.0.1.wait(&self.0.0, id(me), &mut wait, &mut relock).unwrap();
            assert_eq!(waited.acquired, Acquired::Clean);
            assert!(waited.notified);
        }
        self.items(-1);
        self.unlock(me);
    }
}

#[test]
fn a_notification_reaches_the_waiter_and_the_lock_is_held_again() {
    loom::model(|| {
        let shared = Shared::new();
        let taker = {
            let shared = shared.clone();
            thread::spawn(move || shared.take(1))
        };
        shared.put(2, |c| c.notify_one(Scope::Private));
        taker.join().unwrap();
        assert_eq!(shared.0.1.waiters(), 0);
    });
}

#[test]
fn two_notifications_of_one_serve_two_takes_of_one_waiter() {
    loom::model(|| {
        let shared = Shared::new();
        let taker = {
            let shared = shared.clone();
            thread::spawn(move || (0..2).for_each(|_| shared.take(1)))
        };
        (0..2).for_each(|_| shared.put(2, |c| c.notify_one(Scope::Private)));
        taker.join().unwrap();
    });
}

#[test]
fn two_waiters_are_both_served_by_two_notifications_of_one() {
    loom::model(|| {
        let shared = Shared::new();
        let takers: Vec<_> = (1..=2)
            .map(|me| {
                let shared = shared.clone();
                thread::spawn(move || shared.take(me))
            })
            .collect();
        (0..2).for_each(|_| shared.put(3, |c| c.notify_one(Scope::Private)));
        takers.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(shared.0.1.waiters(), 0);
    });
}

#[test]
fn one_who_gives_up_takes_no_notification_from_the_other() {
    loom::model(|| {
        let shared = Shared::new();
        let [gave_up, served] = [(), ()].map(|()| Arc::new(Event::new(false)));
        let impatient = {
            let (shared, gave_up) = (shared.clone(), gave_up.clone());
            thread::spawn(move || {
                shared.lock(1);
                let Shared(all) = &shared;
                let (mut wait, mut relock) = (Impatient, Patient::new());
                let waited = all.1.wait(&all.0, id(1), &mut wait, &mut relock).unwrap();
                assert!(waited.notified || waited.stop.is_some());
                shared.unlock(1);
                gave_up.set(Scope::Private);
                waited.notified
            })
        };
        let taker = {
            let (shared, served) = (shared.clone(), served.clone());
            thread::spawn(move || {
                shared.take(2);
                served.set(Scope::Private);
            })
        };
        shared.put(3, |c| c.notify_one(Scope::Private));
        while !gave_up.is_set() && !served.is_set() {
            spin_hint();
        }
        // Legal: the other was released, and the impatient one sleeps on or comes to; or the impatient one was, and
        // then the other needs one more; or the impatient one gave up, and then the other needs nothing.
        if !gave_up.is_set() {
            while !gave_up.is_set() {
                shared.0.1.notify_all(Scope::Private);
                spin_hint();
            }
            impatient.join().unwrap();
        } else if impatient.join().unwrap() {
            shared.0.1.notify_one(Scope::Private);
        }
        taker.join().unwrap();
    });
}

#[test]
fn the_death_procedure_releases_a_waiter() {
    loom::model(|| {
        let shared = Shared::new();
        let taker = {
            let shared = shared.clone();
            thread::spawn(move || shared.take(1))
        };
        // The notifier dies between its change and its notification.
        shared.put(2, |_| {});
        shared.0.1.recover(Scope::Private);
        taker.join().unwrap();
        assert_eq!(shared.0.1.waiters(), 0);
    });
}

#[test]
fn a_reentrant_lock_is_opened_for_the_notifier() {
    let thread_number = NonZeroU32::MIN;
    loom::model(move || {
        let shared = Arc::new((ReentrantMutex::new(), Condvar::new(), AtomicU32::new(0)));
        let waiter = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (lock, condvar, flag) = &*shared;
                for _ in 0..2 {
                    let _ = lock.lock(id(1), thread_number, &mut Patient::new()).unwrap();
                }
                // ORDERING: Relaxed; the lock orders the flag.
                while flag.load(Ordering::Relaxed) == 0 {
                    let (mut wait, mut relock) = (Patient::new(), Patient::new());
                    let waited =
                        condvar.wait_reentrant(lock, id(1), thread_number, &mut wait, &mut relock);
                    assert!(waited.unwrap().notified);
                }
                assert_eq!(lock.count(), 2);
                lock.unlock_all(id(1), thread_number, Scope::Private).unwrap();
            })
        };
        let (lock, condvar, flag) = &*shared;
        let _ = lock.lock(id(2), thread_number, &mut Patient::new()).unwrap();
        flag.store(1, Ordering::Relaxed);
        condvar.notify_all(Scope::Private);
        assert_eq!(lock.unlock(id(2), thread_number, Scope::Private), Ok(0));
        waiter.join().unwrap();
    });
}

#[test]
fn who_waits_with_a_ticket_misses_no_notification_when_a_death_disturbs_it() {
    loom::model(|| {
        let shared = Shared::new();
        let waiter = {
            let shared = shared.clone();
            thread::spawn(move || {
                let condvar = &shared.0.1;
                shared.lock(1);
                let is_there = shared.items(0) > 0;
                let ticket = (!is_there).then(|| condvar.enter());
                shared.unlock(1);
                // It does not look at the condition again: the notification itself has to come.
                if let Some(mut ticket) = ticket {
                    while condvar.wait_with(&mut ticket, &mut Patient::new()).unwrap()
                        == Release::Disturbed
                    {}
                }
            })
        };
        let undertaker = {
            let shared = shared.clone();
            thread::spawn(move || shared.0.1.recover(Scope::Private))
        };
        shared.put(2, |c| c.notify_one(Scope::Private));
        undertaker.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(shared.0.1.waiters(), 0);
    });
}

#[test]
fn one_of_two_tickets_is_released_whatever_the_other_does() {
    loom::model(|| {
        let condvar = Arc::new(Condvar::new());
        let [mut first, second] = [condvar.enter(), condvar.enter()];
        let leaver = {
            let condvar = condvar.clone();
            thread::spawn(move || condvar.leave(second, Scope::Private))
        };
        condvar.recover(Scope::Private);
        condvar.notify_one(Scope::Private);
        while condvar.wait_with(&mut first, &mut Patient::new()).unwrap() == Release::Disturbed {}
        leaver.join().unwrap();
        assert_eq!(condvar.waiters(), 0);
    });
}
