//! Wait and wake on a 32-bit word, between processes or between threads of one.
//!
//! * [`Scope::Shared`]: `FUTEX_WAIT_BITSET` without the private flag; works on any word in memory that several
//!   processes map.
//! * [`Scope::Private`]: threads of one process only. A wait without a deadline goes through `atomic-wait`, one with a
//!   deadline through the same system call as above plus the private flag. `atomic-wait` always passes the private
//!   flag, so it never serves `Shared`: such a wait could not be woken from another process.
//!
//! Every return is a reason to look at the word again; none of them proves anything about it.
//!
//! # Those who watch
//!
//! A process that waits for several words at once, or in an event loop, sleeps on none of them: it leaves the mark of a
//! sleeper on each and waits for a bell. So whoever wakes the sleepers of a shared word has to ring, too: [`wake`] calls
//! the hook that [`set_bell`] installed, with the word's address, after the kernel's wake-up. What the bell is, and who
//! hears it, is the hook's business.
//!
//! | file | what it holds |
//! |---|---|
//! | `terms.rs` | what a wait is told, and what it answers |
//! | `model.rs` | the futex as loom sees it |

use crate::primitive::{AtomicU32, HookCell};

#[cfg(loom)]
mod model;
mod terms;

pub use terms::{Deadline, Scope, Wake};

/// Wakes all sleepers: the count for [`wake`].
pub const ALL: u32 = i32::MAX as u32;

/// Sleeps while `*word == expected`, until woken, until `deadline` (none: for ever).
#[cfg(not(loom))]
pub fn wait(word: &AtomicU32, expected: u32, scope: Scope, deadline: Option<Deadline>) -> Wake {
    use rustix::io::Errno;
    use rustix::thread::futex;

    if scope == Scope::Private && deadline.is_none() {
        atomic_wait::wait(word.machine(), expected);
        return Wake::Woken;
    }
    let until = deadline.map(|d| rustix::time::Timespec {
        tv_sec: (d.nanos / 1_000_000_000) as i64,
        tv_nsec: (d.nanos % 1_000_000_000) as _,
    });
    let any = core::num::NonZeroU32::MAX;
    match futex::wait_bitset(word.machine(), flags(scope), expected, until.as_ref(), any) {
        Ok(_) => Wake::Woken,
        Err(Errno::AGAIN) => Wake::Changed,
        Err(Errno::TIMEDOUT) => Wake::TimedOut,
        Err(Errno::INTR) => Wake::Interrupted,
        // EFAULT and EINVAL cannot come from a live, aligned word; treat them as a wake-up and let the caller look.
        Err(_) => Wake::Woken,
    }
}

/// What rings for those who watch.
static BELL: HookCell<usize> = HookCell::new();

/// Installs the function that is called with the address of each shared word whose sleepers are woken. It must not wait
/// for anything. One per process; later calls win.
pub fn set_bell(ring: fn(usize)) {
    BELL.set(ring);
}

/// Rings for those who watch `word`, as [`wake`] does, and wakes no sleepers: for words on which nobody sleeps.
pub fn ring(word: &AtomicU32) {
    if let Some(ring) = BELL.get() {
        ring(core::ptr::from_ref(word).addr());
    }
}

/// Wakes up to `count` sleepers on `word`, and rings for those who watch it; returns how many sleepers there were.
pub fn wake(word: &AtomicU32, count: u32, scope: Scope) -> u32 {
    let woken = wake_sleepers(word, count, scope);
    ring_in(word, scope);
    woken
}

/// Rings for those who watch `word`, if it is one that processes share.
pub(crate) fn ring_in(word: &AtomicU32, scope: Scope) {
    if scope == Scope::Shared {
        crash_point!("futex.wake.before_bell");
        ring(word);
    }
}

/// Wakes up to `count` sleepers on `word`, and rings for nobody: for whoever does that afterwards, or has woken as many as
/// there is something for.
#[cfg(not(loom))]
pub(crate) fn wake_sleepers(word: &AtomicU32, count: u32, scope: Scope) -> u32 {
    rustix::thread::futex::wake(word.machine(), flags(scope), count).map_or(0, |n| n as u32)
}

#[cfg(not(loom))]
fn flags(scope: Scope) -> rustix::thread::futex::Flags {
    match scope {
        Scope::Shared => rustix::thread::futex::Flags::empty(),
        Scope::Private => rustix::thread::futex::Flags::PRIVATE,
    }
}

#[cfg(loom)]
pub use model::wait;
#[cfg(loom)]
pub(crate) use model::wake as wake_sleepers;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::primitive::Ordering;

    #[test]
    fn a_changed_word_and_a_passed_deadline_return_at_once() {
        let word = AtomicU32::new(7);
        let past = Some(Deadline { nanos: 1 });
        for scope in [Scope::Shared, Scope::Private] {
            assert_eq!(wait(&word, 7, scope, past), Wake::TimedOut);
            assert_eq!(wait(&word, 8, scope, past), Wake::Changed);
        }
        assert_eq!(wait(&word, 8, Scope::Shared, None), Wake::Changed);
        assert_eq!(wait(&word, 8, Scope::Private, None), Wake::Woken);
    }

    #[test]
    fn wake_counts_the_sleepers_it_woke() {
        for scope in [Scope::Shared, Scope::Private] {
            let word = AtomicU32::new(0);
            assert_eq!(wake(&word, ALL, scope), 0);
            std::thread::scope(|s| {
                s.spawn(|| {
                    while word.load(Ordering::Relaxed) == 0 {
                        wait(&word, 0, scope, None);
                    }
                });
                // Until the sleeper is there, wakes find nobody; then exactly one.
                let mut woken = 0;
                while woken == 0 {
                    std::thread::yield_now();
                    woken = wake(&word, ALL, scope);
                }
                assert_eq!(woken, 1);
                word.store(1, Ordering::Relaxed);
                wake(&word, ALL, scope);
            });
        }
    }
}
