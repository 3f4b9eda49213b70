//! The threads of this process: who they are, and how they wait for each other.
//!
//! A thread does not die alone, so nobody is ever dead here, and a sleep needs no slices: it ends when it is woken or at
//! its deadline. Words are waited for with the private futex, which another process cannot wake, and which costs the
//! kernel less than the shared one.

use std::sync::OnceLock;
use std::time::Duration;

use slipring_core::futex::Scope;
use slipring_core::owner::{MAX_INDEX, OwnerId};
use slipring_core::primitive::{AtomicU64, Ordering, fence_full};

use crate::sync::reentrant::thread_number;
use crate::sys::process;
use crate::wait::{Place, Spin, SpinPolicy};

/// Between the threads of this process.
pub(crate) struct Threads;

impl Place for Threads {
    const SCOPE: Scope = Scope::Private;
    const SLICE: Option<Duration> = None;

    fn interruptible(&self) -> bool {
        false
    }

    fn tidy(&self) {}

    fn reap(&self) {}

    fn is_dead(&self, _: OwnerId) -> bool {
        false
    }

    fn fence_peers(&self) {
        // Whoever notifies here has fenced.
        fence_full();
    }
}

/// What [`set_spin`] said last, as [`encode`] has it. No lock: a forked child would find one held by a thread that is not
/// there.
static POLICY: AtomicU64 = AtomicU64::new(0);

/// How long a blocked call may spin: holds for what is made from now on between the threads of this process, as
/// [`Segment::set_spin`](crate::Segment::set_spin) does for what is in a segment.
///
/// ```
/// use slipring::SpinPolicy;
/// use slipring::local::{Event, set_spin};
///
/// // This program's threads wait for long, and it runs on a battery.
/// set_spin(SpinPolicy::Never);
/// let done = Event::new();
/// assert!(!done.is_set());
/// ```
pub fn set_spin(policy: SpinPolicy) {
    // ORDERING: Relaxed; a number that stands for itself.
    POLICY.store(encode(policy), Ordering::Relaxed);
}

/// What a new handle knows of spinning.
pub(super) fn new_spin() -> Spin {
    static CPUS: OnceLock<u32> = OnceLock::new();
    // ORDERING: Relaxed, as in `set_spin`.
    let policy = decode(POLICY.load(Ordering::Relaxed));
    Spin::new(policy, *CPUS.get_or_init(process::cpu_count))
}

/// A policy as a number; a time is rounded to nanoseconds and at most 584 years.
fn encode(policy: SpinPolicy) -> u64 {
    match policy {
        SpinPolicy::Adaptive => 0,
        SpinPolicy::Never => 1,
        SpinPolicy::Forever => 2,
        SpinPolicy::For(time) => u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(3),
    }
}

fn decode(number: u64) -> SpinPolicy {
    match number {
        0 => SpinPolicy::Adaptive,
        1 => SpinPolicy::Never,
        2 => SpinPolicy::Forever,
        nanos => SpinPolicy::For(Duration::from_nanos(nanos)),
    }
}

/// This thread, as the word of a lock names it. Of two threads between whose starts more than 2^30 others began, both
/// may have the same; that harms nobody, because who gives a lock back is known by its guard.
#[inline]
pub(super) fn me() -> OwnerId {
    let number = thread_number().get();
    OwnerId::new(1 + number % MAX_INDEX, number / MAX_INDEX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::{Mutex, Queue};
    use crate::sync::testing::{alone, in_child};
    use crate::sys::clock;
    use crate::wait::{Stop, Wait};
    use slipring_core::futex::{self, Deadline};
    use slipring_core::primitive::AtomicU32;
    use slipring_core::wait::Waiter;

    #[test]
    fn each_thread_has_a_name_of_its_own_and_keeps_it() {
        let here = me();
        let there = std::thread::spawn(|| (me(), me())).join().unwrap();
        assert_eq!((there.0, here), (there.1, me()));
        assert_ne!(there.0, here);
    }

    /// Sleeps on a word until it changes, while this thread wakes it in either way.
    fn only_private_wakes_count(deadline: Option<Deadline>) {
        let word = AtomicU32::new(0);
        std::thread::scope(|s| {
            let sleeper = s.spawn(|| {
                let mut wait = Wait::new(&Threads, None, deadline);
                // ORDERING: Relaxed; nothing is read through it.
                while word.load(Ordering::Relaxed) == 0 {
                    wait.sleep(&word, 0).unwrap();
                }
            });
            let mut woken = 0;
            while woken == 0 {
                assert_eq!(futex::wake(&word, futex::ALL, Scope::Shared), 0, "another key");
                woken = futex::wake(&word, futex::ALL, Scope::Private);
                std::thread::yield_now();
            }
            assert_eq!(woken, 1);
            // ORDERING: Relaxed, as above.
            word.store(1, Ordering::Relaxed);
            futex::wake(&word, futex::ALL, Scope::Private);
            sleeper.join().unwrap();
        });
    }

    #[test]
    fn a_sleep_without_a_deadline_is_found_by_private_wakes_alone() {
        only_private_wakes_count(None);
    }

    #[test]
    fn a_sleep_with_a_deadline_is_found_by_private_wakes_alone() {
        only_private_wakes_count(Some(clock::deadline_in(Duration::from_secs(600))));
    }

    #[test]
    fn a_sleep_ends_at_its_deadline() {
        let word = AtomicU32::new(0);
        let mut wait =
            Wait::new(&Threads, None, Some(clock::deadline_in(Duration::from_millis(2))));
        // The kernel may wake it for no reason first.
        while wait.sleep(&word, 0).is_ok() {}
        assert_eq!(wait.sleep(&word, 0), Err(Stop::TimedOut));
    }

    #[test]
    fn every_policy_is_a_number() {
        let times = [Duration::from_nanos(3), Duration::from_secs(1)].map(SpinPolicy::For);
        let plain = [SpinPolicy::Adaptive, SpinPolicy::Never, SpinPolicy::Forever];
        for policy in times.into_iter().chain(plain) {
            assert_eq!(decode(encode(policy)), policy);
        }
    }

    #[test]
    fn what_is_made_after_it_was_said_spins_as_was_said() {
        alone(|| {
            set_spin(SpinPolicy::Never);
            let mut spin = new_spin();
            assert!(!Wait::new(&Threads, Some(&mut spin), None).spin());
            set_spin(SpinPolicy::Forever);
            let mut spin = new_spin();
            assert!(Wait::new(&Threads, Some(&mut spin), None).spin());
        });
    }

    #[test]
    fn a_forked_child_has_copies_that_are_not_connected_with_ours() {
        alone(|| {
            let (mut tx, mut rx) = Queue::bounded(4).unwrap();
            let mutex = Mutex::new(1);
            let mut guard = mutex.lock().unwrap();
            tx.send("ours").unwrap();
            assert!(in_child(|| {
                *guard += 1;
                let here = mutex.try_lock().is_err() && *guard == 2;
                here && matches!(rx.try_recv(), Ok("ours")) && tx.send("theirs").is_ok()
            }));
            assert_eq!((*guard, rx.recv().unwrap(), rx.len()), (1, "ours", 0));
        });
    }
}
