//! Random sequences of operations on the stack and the priority queue, each step compared with one that is plainly right.
//! Some holders of the priority queue's lock die, and leave its order in any state.
#![cfg(not(loom))]

#[path = "support/memory.rs"]
mod memory;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ptr::NonNull;

use memory::Memory;
use proptest::prelude::*;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::AtomicU32;
use slipring_core::ring::heap::Heap;
use slipring_core::ring::spsc_slots::PushError;
use slipring_core::ring::stack::Stack;
use slipring_core::wait::Waiter;

/// Nobody is waited for: one thread, and each holder before is dead.
struct Alone;

impl Waiter for Alone {
    type Stop = ();

    fn scope(&self) -> Scope {
        Scope::Private
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, _: &AtomicU32, _: u32) -> Result<(), ()> {
        Err(())
    }

    fn fence_peers(&mut self) {}

    fn is_dead(&mut self, owner: OwnerId) -> bool {
        owner == OwnerId::new(9, 0)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push { key: u64 },
    Pop,
    Die { scribbles: Vec<(usize, u8)> },
}

fn step() -> impl Strategy<Value = Step> {
    let key = prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX)];
    let scribbles = prop::collection::vec((any::<usize>(), any::<u8>()), 1..8);
    prop_oneof![
        6 => key.prop_map(|key| Step::Push { key }),
        5 => Just(Step::Pop),
        1 => scribbles.prop_map(|scribbles| Step::Die { scribbles }),
    ]
}

proptest! {
    #[test]
    fn a_stack_is_a_bounded_vec(
        capacity in 1..6_u64,
        pushes in prop::collection::vec(any::<bool>(), 1..300),
    ) {
        let memory = Memory::new(Stack::bytes(capacity).unwrap(), 128);
        // SAFETY: aligned, large enough, and kept beside the view.
        let stack = unsafe { Stack::init(NonNull::new(memory.at()).unwrap(), capacity) }.unwrap();
        let mut model = Vec::new();
        for (n, push) in pushes.into_iter().enumerate() {
            if push {
                let pushed = stack.push(n as u64, |_| {});
                if model.len() as u64 == capacity {
                    prop_assert_eq!(pushed, Err(PushError::Full));
                } else {
                    let position = pushed.unwrap();
                    prop_assert!(stack.holds(position, |found| found == n as u64));
                    model.push((position, n as u64));
                }
            } else {
                let expected = model.pop();
                let popped = stack.pop(|_, _| {}).unwrap().map(|(_, n)| n);
                prop_assert_eq!(popped, expected.map(|(_, n)| n));
                prop_assert!(expected.is_none_or(|(at, n)| !stack.holds(at, |found| found == n)));
            }
            prop_assert_eq!(stack.len(), model.len() as u64);
            for (position, n) in &model {
                prop_assert!(stack.holds(*position, |found| found == *n));
            }
        }
    }

    #[test]
    fn a_heap_is_a_bounded_binary_heap_that_keeps_the_order_of_equals(
        capacity in 1..20_u64,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let memory = Memory::new(Heap::bytes(capacity).unwrap(), 128);
        // SAFETY: aligned, large enough, and kept beside the view.
        let heap = unsafe { Heap::init(NonNull::new(memory.at()).unwrap(), capacity) }.unwrap();
        let turn = || heap.lock(OwnerId::new(1, 0), &mut Alone).unwrap();
        let mut model = BinaryHeap::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push { key } => {
                    let pushed = turn().push(key, n as u64, |_| {});
                    if model.len() as u64 == capacity {
                        prop_assert_eq!(pushed, Err(PushError::Full));
                    } else {
                        prop_assert!(heap.holds(pushed.unwrap(), |found| found == n as u64));
                        model.push(Reverse((key, n as u64)));
                    }
                }
                Step::Pop => {
                    let popped = turn().pop(|_, _| {}).unwrap().map(|p| (p.key, p.descriptor));
                    prop_assert_eq!(popped, model.pop().map(|Reverse(first)| first));
                }
                Step::Die { scribbles } => {
                    std::mem::forget(heap.lock(OwnerId::new(9, 0), &mut Alone).unwrap());
                    scribble(&memory, capacity, &scribbles);
                    drop(turn());
                }
            }
            prop_assert_eq!(heap.len(), model.len() as u64);
        }
    }
}

/// Changes what is derived from the slots: length and sequence, in the third pair of lines, and the order at the end.
fn scribble(memory: &Memory, capacity: u64, scribbles: &[(usize, u8)]) {
    const WORDS: usize = 256;
    let order = 384 + 32 * capacity as usize;
    for (at, byte) in scribbles {
        let place = at % (16 + 4 * capacity as usize);
        let place = if place < 16 { WORDS + place } else { order + place - 16 };
        // SAFETY: within the memory, which this one thread uses.
        unsafe { memory.at().add(place).write(*byte) };
    }
}
