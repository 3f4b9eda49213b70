//! Unit tests: states that a death leaves, scribbled words, and threads. Order is in `tests/ordered_model.rs`.

use super::*;
use crate::primitive::{AtomicU32, spin_hint};
use crate::ring::memory::Memory;
use std::vec::Vec;

/// Waits for ever by spinning; index 9 is dead.
struct Spins;

impl Waiter for Spins {
    type Stop = core::convert::Infallible;

    fn scope(&self) -> Scope {
        Scope::Private
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, _: &AtomicU32, _: u32) -> Result<(), Self::Stop> {
        spin_hint();
        Ok(())
    }

    fn fence_peers(&mut self) {}

    fn is_dead(&mut self, owner: OwnerId) -> bool {
        owner == id(9)
    }
}

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 0)
}

fn heap(capacity: u64) -> (Memory, Heap) {
    let memory = Memory::new(Heap::bytes(capacity).unwrap(), 128);
    // SAFETY: aligned, large enough, and kept beside the view.
    let heap = unsafe { Heap::init(NonNull::new(memory.at()).unwrap(), capacity) }.unwrap();
    (memory, heap)
}

fn turn(heap: &Heap) -> Turn<'_> {
    heap.lock(id(1), &mut Spins).unwrap()
}

/// A turn that never ends, of one who is dead then.
fn die_in_turn(heap: &Heap, step: impl FnOnce(&Turn<'_>)) {
    let turn = heap.lock(id(9), &mut Spins).unwrap();
    step(&turn);
    core::mem::forget(turn);
}

fn drain(heap: &Heap) -> Vec<(u64, u64)> {
    let turn = turn(heap);
    let pop = || turn.pop(|_, _| {}).unwrap().map(|p| (p.key, p.descriptor));
    core::iter::from_fn(pop).collect()
}

#[test]
fn whatever_a_dead_holder_left_of_the_order_the_slots_are_the_truth() {
    let garbage = [0, 1, 2, 7, u32::MAX];
    for at in 0..4_u64 {
        for index in garbage {
            for (len, next) in [(0, 0), (2, 1), (4, 9), (u64::MAX, u64::MAX)] {
                let (_memory, heap) = heap(4);
                for (key, n) in [(5, 1), (3, 2), (5, 3)] {
                    turn(&heap).push(key, n, |_| {}).unwrap();
                }
                die_in_turn(&heap, |turn| {
                    heap.entry(at).store(index, Ordering::Relaxed);
                    turn.set_len(len);
                    turn.words().next.store(next, Ordering::Relaxed);
                });
                assert_eq!(turn(&heap).push(3, 4, |_| {}).map(drop), Ok(()));
                assert_eq!(turn(&heap).push(0, 5, |_| {}), Err(PushError::Full));
                assert_eq!(drain(&heap), [(3, 2), (3, 4), (5, 1), (5, 3)]);
            }
        }
    }
}

#[test]
fn what_was_published_counts_and_what_was_taken_does_not() {
    let (_memory, heap) = heap(3);
    die_in_turn(&heap, |turn| {
        turn.push(7, 70, |_| {}).unwrap();
        turn.push(6, 60, |_| {}).unwrap();
        // As if killed just after the store of the control.
        turn.set_len(0);
    });
    assert!(!heap.is_in_doubt(), "nobody has looked who is dead");
    assert!(heap.recover(id(9), Scope::Private) && !heap.recover(id(9), Scope::Private));
    assert!(heap.is_in_doubt() && heap.is_empty());
    drop(turn(&heap));
    assert!(!heap.is_in_doubt() && heap.len() == 2);
    die_in_turn(&heap, |turn| {
        turn.pop(|_, _| {}).unwrap();
        turn.set_len(2);
    });
    assert_eq!(drain(&heap), [(7, 70)]);
}

#[test]
fn a_repair_that_was_cut_short_is_done_again() {
    let (_memory, heap) = heap(5);
    for key in [4, 2, 3, 1] {
        turn(&heap).push(key, key * 10, |_| {}).unwrap();
    }
    die_in_turn(&heap, |turn| {
        turn.put(0, 3);
        turn.set_len(0);
    });
    die_in_turn(&heap, |turn| {
        turn.put(1, 3);
        turn.put(2, 3);
        turn.set_len(9);
    });
    assert_eq!(drain(&heap), [(1, 10), (2, 20), (3, 30), (4, 40)]);
}

#[test]
fn what_is_held_is_known_by_its_position_alone() {
    let (_memory, heap) = heap(2);
    let first = turn(&heap).push(1, 10, |_| {}).unwrap();
    let second = turn(&heap).push(0, 20, |_| {}).unwrap();
    assert!(heap.holds(first, |n| n == 10) && heap.holds(second, |n| n == 20));
    assert!(!heap.holds(first, |n| n == 20));
    let popped = turn(&heap).pop(|_, _| {}).unwrap().unwrap();
    assert_eq!(popped, Popped { position: second, descriptor: 20, key: 0 });
    assert!(!heap.holds(second, |_| true));
    let third = turn(&heap).push(0, 20, |_| {}).unwrap();
    assert!(third != second && heap.holds(third, |n| n == 20) && !heap.holds(second, |_| true));
    assert!(!heap.holds(u64::MAX, |_| true));
}

#[test]
fn scribbled_words_are_an_error_before_anything_is_done() {
    let scribbles: [&dyn Fn(&Heap); 6] = [
        &|heap| heap.entry(0).store(u32::MAX, Ordering::Relaxed),
        &|heap| heap.entry(0).store(3, Ordering::Relaxed),
        &|heap| heap.entry(2).store(4, Ordering::Relaxed),
        &|heap| heap.header().words.len.store(5, Ordering::Relaxed),
        &|heap| heap.header().words.len.store(u64::MAX, Ordering::Relaxed),
        &|heap| heap.slot(0).control.store(0, Ordering::Relaxed),
    ];
    for (which, scribble) in scribbles.iter().enumerate() {
        let (_memory, heap) = heap(4);
        for n in 0..3 {
            turn(&heap).push(n, n, |_| {}).unwrap();
        }
        scribble(&heap);
        assert_eq!(turn(&heap).pop(|_, _| unreachable!()), Err(Corrupt), "{which}");
        assert!(heap.len() <= 4);
    }
    let (_memory, heap) = heap(2);
    heap.header().words.next.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(turn(&heap).push(0, 0, |_| unreachable!()), Err(PushError::Corrupt));
    heap.header().words.next.store(1, Ordering::Relaxed);
    heap.entry(0).store(2, Ordering::Relaxed);
    assert_eq!(turn(&heap).push(0, 0, |_| unreachable!()), Err(PushError::Corrupt));
}

#[test]
fn memory_that_holds_no_queue_is_refused() {
    for capacity in [0, MAX_CAPACITY + 1, u64::MAX] {
        assert_eq!(Heap::bytes(capacity), Err(AttachError::Capacity(capacity)));
    }
    let (memory, heap) = heap(3);
    let at = NonNull::new(memory.at()).unwrap();
    // SAFETY: no more is read than was allocated.
    let attach = |len| unsafe { Heap::attach(at, len) }.map(|heap| heap.capacity());
    let bytes = Heap::bytes(3).unwrap();
    assert_eq!(attach(bytes), Ok(3));
    assert_eq!(attach(bytes - 1), Err(AttachError::Truncated));
    assert_eq!(attach(8), Err(AttachError::Truncated));
    heap.header().capacity.store(0, Ordering::Relaxed);
    assert_eq!(attach(bytes), Err(AttachError::Capacity(0)));
}

#[test]
fn the_end_takes_everything_whatever_the_order_says() {
    let (_memory, heap) = heap(4);
    for n in 0..3 {
        turn(&heap).push(n, n, |_| {}).unwrap();
    }
    (0..4).for_each(|place| heap.entry(place).store(77, Ordering::Relaxed));
    let mut all = Vec::new();
    heap.drain(|_, _| {}, |_, n| all.push(n));
    assert_eq!(all, [0, 1, 2]);
    heap.drain(|_, _| {}, |_, _| unreachable!());
}

#[test]
fn threads_lose_and_double_nothing() {
    const EACH: u64 = 3000;
    let (_memory, heap) = heap(7);
    let taken = std::thread::scope(|s| {
        for me in [1, 2] {
            s.spawn(move || {
                for n in 0..EACH {
                    let push = || heap.lock(id(me), &mut Spins).unwrap().push(n % 5, n, |_| {});
                    while push().is_err() {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let takers = [3, 4].map(|me| {
            s.spawn(move || {
                let mut taken = Vec::new();
                while taken.len() as u64 != EACH {
                    match heap.lock(id(me), &mut Spins).unwrap().pop(|_, _| {}).unwrap() {
                        Some(popped) => taken.push(popped.descriptor),
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
    assert!(all.into_iter().eq((0..EACH).flat_map(|n| [n, n])));
}
