//! Unit tests: the smallest capacities, states that a death leaves, scribbled words, and threads.

use super::*;
use crate::ring::memory::Memory;
use std::vec::Vec;

fn stack(capacity: u64) -> (Memory, Stack) {
    let memory = Memory::new(Stack::bytes(capacity).unwrap(), 128);
    // SAFETY: aligned, large enough, and kept beside the view.
    let stack = unsafe { Stack::init(NonNull::new(memory.at()).unwrap(), capacity) }.unwrap();
    (memory, stack)
}

fn push(stack: &Stack, n: u64) -> Result<u64, PushError> {
    stack.push(n, |_| {})
}

fn pop(stack: &Stack) -> Option<u64> {
    stack.pop(|_, _| {}).unwrap().map(|(_, n)| n)
}

#[test]
fn capacity_is_exact_and_the_last_in_comes_out_first() {
    for capacity in [1, 2, 3, 4, 7, 100] {
        let (_memory, stack) = stack(capacity);
        let mut model = Vec::new();
        for n in 0..40 * capacity {
            if n % 7 < 4 {
                let pushed = push(&stack, n);
                if model.len() as u64 == capacity {
                    assert_eq!(pushed, Err(PushError::Full));
                } else {
                    assert_eq!(depth(pushed.unwrap()), model.len() as u64 + 1);
                    model.push(n);
                }
            } else {
                assert_eq!(pop(&stack), model.pop());
            }
            assert_eq!((stack.len(), stack.is_empty()), (model.len() as u64, model.is_empty()));
        }
    }
}

#[test]
fn no_position_comes_twice_and_claims_and_notes_name_it() {
    let (_memory, stack) = stack(2);
    let mut seen = Vec::new();
    for n in 0..50 {
        let mut claimed = 0;
        let position = stack.push(n, |position| claimed = position).unwrap();
        assert!(claimed == position && !seen.contains(&position));
        seen.push(position);
        let mut noted = (0, 0);
        let popped = stack.pop(|depth, descriptor| noted = (depth, descriptor)).unwrap();
        assert!(popped == Some(noted) && noted == (depth(position), n));
    }
}

#[test]
fn what_is_held_is_known_at_the_top_and_below_it_and_not_above() {
    let (_memory, stack) = stack(3);
    let positions = [10, 20].map(|n| push(&stack, n).unwrap());
    let holds = |at: usize, n| stack.holds(positions[at], |found| found == n);
    assert!(holds(0, 10) && holds(1, 20) && !holds(0, 20) && !holds(1, 10));
    assert_eq!(pop(&stack), Some(20));
    assert!(holds(0, 10) && !holds(1, 20), "what a slot above the top says is old");
    assert!(!stack.holds(0, |_| true) && !stack.holds(4, |_| true) && !stack.holds(!0, |_| true));
}

#[test]
fn a_copy_that_a_dead_process_owes_is_made_by_the_next() {
    let (_memory, stack) = stack(3);
    push(&stack, 1).unwrap();
    // Nothing was copied yet: the slot of the top is of the last visit.
    assert_eq!(stack.slot(1).hi(Ordering::Relaxed), 0);
    let late = stack.top();
    push(&stack, 2).unwrap();
    assert_eq!(stack.slot(1).hi(Ordering::Relaxed), 1);
    // One who was stopped with the old top goes on, and changes nothing.
    assert_eq!(stack.copy(late, 1), Ok(true));
    assert_eq!((pop(&stack), pop(&stack), pop(&stack)), (Some(2), Some(1), None));
    assert_eq!(stack.copy(late, 1), Ok(false));
}

#[test]
fn scribbled_words_are_an_error_and_never_an_endless_loop() {
    let scribbles = [u64::MAX, 4, 9 * VISIT + 1, 9 * VISIT + 2, 1 << 63];
    for word in scribbles {
        let (_memory, stack) = stack(3);
        push(&stack, 1).unwrap();
        push(&stack, 2).unwrap();
        stack.slot(2).store_lo(word, Ordering::Relaxed);
        assert_eq!(push(&stack, 3), Err(PushError::Corrupt), "{word:#x}");
        assert_eq!(stack.pop(|_, _| {}), Err(Corrupt), "{word:#x}");
        let (_other_memory, other) = self::stack(3);
        other.header().top.store_lo(word, Ordering::Relaxed);
        let _ = (push(&other, 1), other.pop(|_, _| {}), other.holds(word, |_| true));
        assert!(other.len() <= 3);
    }
}

#[test]
fn memory_that_holds_no_stack_is_refused() {
    for capacity in [0, MAX_CAPACITY + 1, u64::MAX] {
        assert_eq!(Stack::bytes(capacity), Err(AttachError::Capacity(capacity)));
    }
    let (memory, stack) = stack(3);
    let at = NonNull::new(memory.at()).unwrap();
    // SAFETY: no more is read than was allocated.
    let attach = |len| unsafe { Stack::attach(at, len) }.map(|stack| stack.capacity());
    let bytes = Stack::bytes(3).unwrap();
    assert_eq!(attach(bytes), Ok(3));
    assert_eq!(attach(bytes - 1), Err(AttachError::Truncated));
    assert_eq!(attach(8), Err(AttachError::Truncated));
    stack.header().capacity.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(attach(bytes), Err(AttachError::Capacity(u64::MAX)));
}

#[test]
fn threads_lose_and_double_nothing() {
    const EACH: u64 = 20_000;
    for capacity in [1, 3, 64] {
        let (_memory, stack) = stack(capacity);
        let taken = std::thread::scope(|s| {
            for first in [0, EACH] {
                s.spawn(move || {
                    for n in first..first + EACH {
                        while push(&stack, n).is_err() {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let takers = [(); 2].map(|()| {
                s.spawn(|| {
                    let mut taken = Vec::new();
                    while taken.len() as u64 != EACH {
                        match pop(&stack) {
                            Some(n) => taken.push(n),
                            None => std::thread::yield_now(),
                        }
                    }
                    taken
                })
            });
            takers.map(|taker| taker.join().unwrap())
        });
        let mut all: Vec<_> = taken.into_iter().flatten().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..2 * EACH), "capacity {capacity}");
    }
}
