//! Every interleaving of the event: no set is lost on a waiter, and what was published is seen.

use crate::waiter::Patient;
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::Scope;
use slipring_core::primitive::{AtomicU32, DataCell, Ordering};
use slipring_core::sync::Event;

#[test]
fn a_waiter_is_woken_and_sees_what_was_published() {
    loom::model(|| {
        let shared = Arc::new((Event::new(false), DataCell::new(0)));
        let waiter = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.0.wait(&mut Patient::new()).unwrap();
                // SAFETY: the writer set the event after its last write; that is what the model checks.
                shared.1.with(|n| unsafe { *n })
            })
        };
        shared.1.with_mut(|n| {
            // SAFETY: nobody reads before the event is set.
            unsafe { *n = 7 }
        });
        assert!(shared.0.set(Scope::Private));
        assert_eq!(waiter.join().unwrap(), 7);
    });
}

#[test]
fn one_set_wakes_two_waiters() {
    loom::model(|| {
        let event = Arc::new(Event::new(false));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let event = event.clone();
                thread::spawn(move || event.wait(&mut Patient::new()).unwrap())
            })
            .collect();
        event.set(Scope::Private);
        waiters.into_iter().for_each(|t| t.join().unwrap());
    });
}

#[test]
fn wait_clear_look_never_misses_news() {
    // The classic loop: two producers' worth of news, one flag. A set that `clear` undid must have been seen.
    loom::model(|| {
        let shared = Arc::new((Event::new(false), AtomicU32::new(0)));
        let consumer = {
            let shared = shared.clone();
            thread::spawn(move || {
                while shared.1.load(Ordering::Relaxed) < 2 {
                    shared.0.wait(&mut Patient::new()).unwrap();
                    shared.0.clear();
                }
            })
        };
        for n in 1..=2 {
            shared.1.store(n, Ordering::Relaxed);
            shared.0.set(Scope::Private);
        }
        consumer.join().unwrap();
    });
}

#[test]
fn two_setters_and_a_waiter_that_clears() {
    loom::model(|| {
        let event = Arc::new(Event::new(false));
        let setter = {
            let event = event.clone();
            thread::spawn(move || event.set(Scope::Private))
        };
        let mine = event.set(Scope::Private);
        event.wait(&mut Patient::new()).unwrap();
        let theirs = setter.join().unwrap();
        assert!(mine != theirs, "one of them set it");
        assert!(event.clear());
        assert!(!event.is_set());
    });
}
