//! Every interleaving of watchers: those who wait for a bell instead of sleeping on a word are never left waiting.
//!
//! The bell of the model is inotify as far as it matters: rings that nobody has read are one, and who waits for it is
//! woken by the next ring after it was read. A watcher that is left waiting is a deadlock, which loom reports.

use crate::waiter::Patient;
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::{self, Scope};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, FenceMode, Ordering, fence_full};
use slipring_core::sync::{Event, EventCount, Mutex, Semaphore};

struct Bell {
    watched: AtomicU32,
    rung: loom::sync::Mutex<bool>,
    ring: loom::sync::Condvar,
}

loom::lazy_static! {
    static ref BELL: Bell = Bell {
        watched: AtomicU32::new(0),
        rung: loom::sync::Mutex::new(false),
        ring: loom::sync::Condvar::new(),
    };
}

/// What whoever wakes sleepers does.
fn ring(_: usize) {
    fence_full();
    if BELL.watched.load(Ordering::Relaxed) != 0 {
        *BELL.rung.lock().unwrap() = true;
        BELL.ring.notify_all();
    }
}

/// Waits as a watcher does: announces itself with `announce`, looks with `ready`, hears the bell, compares the word.
fn watch(word: &AtomicU32, announce: impl Fn() -> Option<u32>, ready: impl Fn() -> bool) {
    BELL.watched.store(1, Ordering::Relaxed);
    fence_full();
    loop {
        let seen = announce();
        if ready() {
            return;
        }
        // It was ready when we came to announce ourselves, and somebody was faster.
        let Some(seen) = seen else {
            thread::yield_now();
            continue;
        };
        loop {
            let mut rung = BELL.rung.lock().unwrap();
            while !*rung {
                rung = BELL.ring.wait(rung).unwrap();
            }
            // Read before the word is looked at.
            *rung = false;
            drop(rung);
            if word.load(Ordering::Acquire) != seen {
                break;
            }
        }
    }
}

fn model(f: impl Fn() + Sync + Send + 'static) {
    futex::set_bell(ring);
    loom::model(f);
}

fn me(index: u32) -> OwnerId {
    OwnerId::new(index, 0)
}

#[test]
fn what_is_published_beside_an_event_count_is_found() {
    model(|| {
        let shared = Arc::new((EventCount::new(), AtomicU32::new(0)));
        let watcher = {
            let shared = shared.clone();
            thread::spawn(move || {
                let ready = || shared.1.load(Ordering::Relaxed) == 2;
                watch(shared.0.word(), || Some(shared.0.watch()), ready);
            })
        };
        for n in 1..=2 {
            shared.1.store(n, Ordering::Relaxed);
            shared.0.notify(1, Scope::Shared, FenceMode::Symmetric);
        }
        watcher.join().unwrap();
    });
}

#[test]
fn a_watcher_and_a_sleeper_of_one_semaphore_get_a_permit_each() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0).unwrap());
        let watcher = {
            let semaphore = semaphore.clone();
            thread::spawn(move || {
                watch(semaphore.word(), || semaphore.watch(), || semaphore.try_acquire());
            })
        };
        let sleeper = {
            let semaphore = semaphore.clone();
            thread::spawn(move || semaphore.acquire(&mut Patient::new()).unwrap())
        };
        semaphore.release(1, Scope::Shared).unwrap();
        semaphore.release(1, Scope::Shared).unwrap();
        watcher.join().unwrap();
        sleeper.join().unwrap();
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn a_watcher_gets_the_lock_that_its_holder_gives_back() {
    model(|| {
        let lock = Arc::new(Mutex::new());
        assert!(lock.try_lock_fast(me(1)));
        let watcher = {
            let lock = lock.clone();
            thread::spawn(move || {
                watch(lock.word(), || lock.watch(), || lock.try_lock(me(2), |_| false).is_some());
                assert!(lock.unlock(me(2), Scope::Shared));
            })
        };
        let sleeper = {
            let lock = lock.clone();
            thread::spawn(move || {
                let _ = lock.lock(me(3), &mut Patient::new()).unwrap();
                assert!(lock.unlock(me(3), Scope::Shared));
            })
        };
        assert!(lock.unlock(me(1), Scope::Shared));
        watcher.join().unwrap();
        sleeper.join().unwrap();
    });
}

#[test]
fn a_set_that_was_cleared_at_once_is_found() {
    model(|| {
        let event = Arc::new(Event::new(false));
        let began = event.moment();
        let watcher = {
            let event = event.clone();
            thread::spawn(move || {
                watch(event.word(), || event.watch(), || event.was_set_since(began));
            })
        };
        event.set(Scope::Shared);
        event.clear();
        watcher.join().unwrap();
    });
}
