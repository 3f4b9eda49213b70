//! Who rings: whoever wakes the sleepers of a word, in any process, if anybody watches the segment that it lies in.
//!
//! Core knows addresses; which segment an address belongs to stands in a short list here. The hook runs in every wake-up
//! of sleepers, under no lock of ours but the list's, which is held for a few instructions: it waits for nothing.

use std::ptr::NonNull;
use std::sync::Arc;

use slipring_core::futex;
use slipring_core::member::Holders;
use slipring_core::primitive::fence_full;

use crate::memory::Mapping;
use crate::sys::held::HeldFd;
use crate::sys::inotify;
use crate::wait::PrivateLock;

/// Where one mapping lies, and what a ring needs of it.
struct Known {
    start: usize,
    end: usize,
    watchers: NonNull<Holders>,
    file: Arc<HeldFd>,
}

// SAFETY: shared memory of atomics, mapped as long as the entry is in the list.
unsafe impl Send for Known {}

/// Under the lock: the list, in the order of the addresses. It is taken last of all locks.
static KNOWN: PrivateLock<Vec<Known>> = PrivateLock::new(Vec::new());

/// From now on wake-ups in this memory ring.
pub(crate) fn register(mapping: &Mapping) {
    futex::set_bell(ring_for);
    let Ok(start) = mapping.ptr(0, mapping.geometry().reserve()) else { return };
    let start = start.addr().get();
    let end = start + mapping.geometry().reserve() as usize;
    let watchers = NonNull::from(&mapping.header().watchers);
    let mut known = KNOWN.lock();
    let at = known.partition_point(|known| known.start < start);
    known.insert(at, Known { start, end, watchers, file: mapping.file().clone() });
}

/// How many segments this process has.
pub(crate) fn count() -> u64 {
    KNOWN.lock().len() as u64
}

/// The mapping is about to go, and nobody works in it any more.
pub(crate) fn forget(mapping: &Mapping) {
    let watchers = NonNull::from(&mapping.header().watchers);
    KNOWN.lock().retain(|known| known.watchers != watchers);
}

/// Core's hook: the sleepers of the word at `address` were woken.
fn ring_for(address: usize) {
    let found = {
        let known = KNOWN.lock();
        let behind = known.partition_point(|known| known.start <= address);
        let before = behind.checked_sub(1).map(|at| &known[at]);
        let found = before.filter(|known| address < known.end);
        found.map(|known| (known.watchers, known.file.clone()))
    };
    // A word of no segment: a model's or a test's.
    let Some((watchers, file)) = found else { return };
    // SAFETY: whoever works on a word of the mapping has a handle that keeps it.
    let watchers = unsafe { watchers.as_ref() };
    // Behind the change of the word: the watcher's half is the fence between its bit and its mark in the word. So whoever
    // saw the mark sees the bit.
    fence_full();
    if watchers.is_empty() {
        return;
    }
    crash_point!("watch.ring.before_read");
    // Where it fails, or the program has closed the descriptor, who watches looks again after a slice.
    let _ = file.open().and_then(inotify::ring);
    crash_point!("watch.ring.rung");
}

/// Takes the list's lock across a fork.
pub(crate) fn lock_for_fork() {
    KNOWN.lock_for_fork();
}

/// Gives it back, in the parent and in the child: descriptors keep their numbers, mappings their places.
pub(crate) fn unlock_after_fork() {
    KNOWN.unlock_after_fork();
}
