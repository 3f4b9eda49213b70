//! Names that only the dead have, taken away by whoever makes or drops a name.
//!
//! A forked child has its parent's handles, and mostly ends without dropping them, by `_exit`. If it was the last one that
//! had a named object, nobody would hear of it, and nobody may ever ask for that name again. So each process that makes a
//! name, or leaves what has one, looks for such names of its user.
//!
//! # Invariants
//!
//! * L1. What is taken away is a finished segment of this version that belongs to this user, has a name, and is not to
//!   persist.
//! * L2. It is taken away under its recovery lock, after a look that nobody has proof of life in it. Whoever takes part
//!   begins under that lock, so nobody does meanwhile. A process that has the file open already finds its object among the
//!   leavings of the dead, ends it, and looks at the name again.
//!
//! What is in such a segment needs no burying: it goes with its file.
//!
//! # What it costs
//!
//! A name that is in use costs three system calls, 3 µs. One look has at most [`MOST`] names; the next one goes on behind
//! them, and comes [`REST`] later at the earliest. It waits for nothing.
//!
//! # Crash points
//!
//! Killed in between, the next one that looks does the rest. The socket goes before the name (`memory/name_file.rs`).

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use slipring_core::member::MAX_PARTICIPANTS;
use slipring_core::primitive::{AtomicU64, Ordering};

use crate::member::recovery_lock;
use crate::memory::{LOCK_BASE, Mapping, PREFIX, directory, unlink_if_its};
use crate::sys::{clock, file, lock, name as sys};

/// So many names are looked at in one look.
const MOST: usize = 128;
/// So long a process does not look again, in nanoseconds.
const REST: u64 = 20_000_000;

/// When this process may look again. Private memory.
static NEXT: AtomicU64 = AtomicU64::new(0);
/// How many names the last looks had, since they last began with the first one. Private memory.
static PASSED: AtomicU64 = AtomicU64::new(0);

/// Takes away what only the dead have, unless this process has looked a moment ago. `layout` is our layout fingerprint.
pub(crate) fn take_away(layout: u64) {
    let now = clock::now();
    // ORDERING: Relaxed for all; private memory, and numbers that nothing is read through.
    let next = NEXT.load(Ordering::Relaxed);
    let is_time = now >= next
        && NEXT.compare_exchange(next, now + REST, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if is_time && is_enabled() {
        look(layout);
    }
}

/// Always; but in the crash build only where the environment says so. Its scenarios make dead ones of their own, many at a
/// time, and count on finding what they left.
fn is_enabled() -> bool {
    !cfg!(feature = "_crash") || std::env::var_os("SLIPRING_TAKE_LEFT").is_some()
}

fn look(layout: u64) {
    let directory = directory();
    let Ok(entries) = sys::entries(&directory) else { return };
    // ORDERING: Relaxed for all; as above.
    let passed = PASSED.load(Ordering::Relaxed);
    let ours = entries.filter(|file| file.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    let mut seen = 0;
    for file in ours.skip(passed as usize).take(MOST) {
        take_if_left(&directory.join(file), layout);
        seen += 1;
    }
    let next = if seen == MOST { passed + MOST as u64 } else { 0 };
    PASSED.store(next, Ordering::Relaxed);
}

/// Takes one name away, if it is to go. What cannot be looked at stays.
fn take_if_left(path: &Path, layout: u64) {
    let Ok(file) = sys::open(path) else { return };
    if is_used(file.as_fd()) || !sys::status(file.as_fd()).is_ok_and(|s| s.uid == sys::user()) {
        return;
    }
    let Ok(own) = file::duplicate(file.as_fd()) else { return };
    let Ok(mapping) = Mapping::observe(own, layout) else { return };
    let header = mapping.header();
    if !header.is_named() || header.persists() {
        return;
    }
    let _ = recovery_lock::with(
        file.as_fd(),
        Duration::ZERO,
        || (),
        |()| {
            if !is_used(file.as_fd()) {
                crash_point!("name.left.found");
                let _ = unlink_if_its(path, file.as_fd());
            }
        },
    );
}

/// Whether anybody has proof of life in the segment. Where that cannot be asked: somebody has.
fn is_used(file: BorrowedFd<'_>) -> bool {
    let proofs = u64::from(MAX_PARTICIPANTS - 1);
    lock::is_any_locked_by_other(file, LOCK_BASE + 1, proofs).unwrap_or(true)
}
