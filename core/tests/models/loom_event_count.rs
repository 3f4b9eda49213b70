//! Every interleaving of a notifier and sleepers on one event count.

use crate::waiter::Patient;
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::{ALL, Scope};
use slipring_core::primitive::{AtomicU32, FenceMode, Ordering};
use slipring_core::sync::EventCount;

/// A flag that is stored plainly, notified, and waited for by `sleepers` threads. A lost wake-up is a deadlock.
fn published_by_store(sleepers: usize, mode: FenceMode, count: u32) {
    loom::model(move || {
        let shared = Arc::new((AtomicU32::new(0), EventCount::new()));
        let threads: Vec<_> = (0..sleepers)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let ready =
                        |_: &mut Patient| (shared.0.load(Ordering::Acquire) == 1).then_some(());
                    shared.1.wait_until(&mut Patient::new(), mode, ready).unwrap();
                })
            })
            .collect();
        shared.0.store(1, Ordering::Release);
        shared.1.notify(count, Scope::Private, mode);
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

#[test]
fn one_sleeper_is_woken_whoever_fences() {
    published_by_store(1, FenceMode::Symmetric, 1);
    published_by_store(1, FenceMode::Asymmetric, 1);
}

#[test]
fn two_sleepers_are_both_woken_by_a_wake_of_all() {
    published_by_store(2, FenceMode::Symmetric, ALL);
}

#[test]
fn each_of_two_notifications_reaches_somebody() {
    loom::model(|| {
        let shared = Arc::new((AtomicU32::new(0), EventCount::new()));
        let taker = {
            let shared = shared.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    let take = |_: &mut Patient| {
                        let n = shared.0.load(Ordering::Acquire);
                        (n > 0
                            && shared
                                .0
                                .compare_exchange(n, n - 1, Ordering::AcqRel, Ordering::Relaxed)
                                .is_ok())
                        .then_some(())
                    };
                    shared.1.wait_until(&mut Patient::new(), FenceMode::Symmetric, take).unwrap();
                }
            })
        };
        for _ in 0..2 {
            shared.0.fetch_add(1, Ordering::AcqRel);
            shared.1.notify_after_rmw(1, Scope::Private);
        }
        taker.join().unwrap();
    });
}
