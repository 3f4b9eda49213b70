//! Every interleaving of those who push and pop on a priority queue, of one who asks what it holds, and of two heirs of
//! a dead holder.

use core::ptr::NonNull;

use crate::memory::Memory;
use crate::waiter::Patient;
use loom::sync::Arc;
use loom::thread;
use slipring_core::owner::OwnerId;
use slipring_core::ring::heap::Heap;

struct World {
    heap: Heap,
    _memory: Memory,
}

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 0)
}

fn world(capacity: u64) -> Arc<World> {
    let memory = Memory::new(Heap::bytes(capacity).unwrap(), 128);
    // SAFETY: aligned, large enough, and kept beside the view.
    let heap = unsafe { Heap::init(NonNull::new(memory.at()).unwrap(), capacity) }.unwrap();
    Arc::new(World { heap, _memory: memory })
}

impl World {
    fn push(&self, me: u32, key: u64) -> Option<u64> {
        let turn = self.heap.lock(id(me), &mut Patient { dead: &[id(9)] }).ok().unwrap();
        turn.push(key, key + 10, |_| {}).ok()
    }

    fn pop(&self, me: u32) -> Option<u64> {
        let turn = self.heap.lock(id(me), &mut Patient { dead: &[id(9)] }).ok().unwrap();
        turn.pop(|_, _| {}).unwrap().map(|popped| {
            assert_eq!(popped.descriptor, popped.key + 10, "torn");
            popped.key
        })
    }
}

#[test]
fn two_push_and_one_pops_and_the_order_holds() {
    loom::model(|| {
        let world = world(2);
        let pushers = [0, 1].map(|key| {
            let world = world.clone();
            thread::spawn(move || world.push(key as u32 + 1, key).is_some())
        });
        let first = world.pop(3);
        assert!(pushers.into_iter().all(|t| t.join().unwrap()), "there was room for both");
        let rest: Vec<_> = core::iter::from_fn(|| world.pop(3)).collect();
        match first {
            None => assert_eq!(rest, [0, 1]),
            Some(key) => assert_eq!(rest, [1 - key]),
        }
    });
}

#[test]
fn of_two_heirs_of_a_dead_holder_both_find_what_it_left() {
    loom::model(|| {
        let world = world(3);
        world.push(1, 1).unwrap();
        world.push(1, 0).unwrap();
        // Died in its turn.
        core::mem::forget(world.heap.lock(id(9), &mut Patient::new()).ok().unwrap());
        let other = {
            let world = world.clone();
            thread::spawn(move || world.pop(2).unwrap())
        };
        let mine = world.pop(1).unwrap();
        assert_eq!(mine + other.join().unwrap(), 1, "one each");
        assert_eq!(world.heap.len(), 0);
    });
}

/// What a recoverer is told without the lock: never "gone" of what is there all the time, never a descriptor of another
/// message.
#[test]
fn who_asks_what_it_holds_is_told_the_truth() {
    loom::model(|| {
        let world = world(2);
        let stays = world.push(1, 5).unwrap();
        let goes = world.push(1, 0).unwrap();
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                assert_eq!(world.pop(2), Some(0));
                world.push(2, 1).unwrap()
            })
        };
        assert!(world.heap.holds(stays, |n| n == 15), "it is there all the time");
        assert!(!world.heap.holds(goes, |n| n == 11), "another message's");
        let was_there = world.heap.holds(goes, |n| n == 10);
        assert!(was_there || !world.heap.holds(goes, |n| n == 10), "it does not come back");
        let new = other.join().unwrap();
        assert!(world.heap.holds(new, |n| n == 11) && !world.heap.holds(goes, |n| n == 10));
    });
}
