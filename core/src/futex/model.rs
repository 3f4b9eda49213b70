//! The futex as loom sees it: a queue of sleepers behind one lock, the comparison made under that lock.

use std::collections::VecDeque;

use super::terms::{Deadline, Scope, Wake};
use crate::primitive::{AtomicU32, Ordering};

struct Kernel {
    sleepers: loom::sync::Mutex<VecDeque<(usize, u64)>>,
    woken: loom::sync::Condvar,
    tickets: loom::sync::atomic::AtomicU64,
}

loom::lazy_static! {
    static ref KERNEL: Kernel = Kernel {
        sleepers: loom::sync::Mutex::new(VecDeque::new()),
        woken: loom::sync::Condvar::new(),
        tickets: loom::sync::atomic::AtomicU64::new(0),
    };
}

/// Sleeps while `*word == expected`. Deadlines never pass in the model: a lost wake-up shows as a deadlock.
pub fn wait(word: &AtomicU32, expected: u32, _scope: Scope, _deadline: Option<Deadline>) -> Wake {
    let mut sleepers = KERNEL.sleepers.lock().unwrap();
    if word.load(Ordering::SeqCst) != expected {
        return Wake::Changed;
    }
    let ticket = KERNEL.tickets.fetch_add(1, Ordering::Relaxed);
    sleepers.push_back((core::ptr::from_ref(word).addr(), ticket));
    while sleepers.iter().any(|&(_, t)| t == ticket) {
        sleepers = KERNEL.woken.wait(sleepers).unwrap();
    }
    Wake::Woken
}

/// Wakes up to `count` sleepers on `word`, the longest asleep first.
pub fn wake(word: &AtomicU32, count: u32, _scope: Scope) -> u32 {
    let mut sleepers = KERNEL.sleepers.lock().unwrap();
    let (address, before) = (core::ptr::from_ref(word).addr(), sleepers.len());
    let mut left = count;
    sleepers.retain(|&(at, _)| {
        let wake = at == address && left > 0;
        left -= u32::from(wake);
        !wake
    });
    let woken = (before - sleepers.len()) as u32;
    if woken > 0 {
        KERNEL.woken.notify_all();
    }
    woken
}
