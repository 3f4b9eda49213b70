//! Every interleaving of those who push and pop on a stack of one or two slots, and of one who asks what it holds.

use core::ptr::NonNull;

use crate::memory::Memory;
use loom::sync::Arc;
use loom::thread;
use slipring_core::primitive::DataCell;
use slipring_core::ring::spsc_slots::PushError;
use slipring_core::ring::stack::Stack;

/// A stack, and the payload of each message outside it: loom reports one that is read before it is written for good.
struct World {
    stack: Stack,
    payloads: [DataCell<u64>; 4],
    _memory: Memory,
}

fn world(capacity: u64) -> Arc<World> {
    let memory = Memory::new(Stack::bytes(capacity).unwrap(), 128);
    // SAFETY: aligned, large enough, and kept beside the view.
    let stack = unsafe { Stack::init(NonNull::new(memory.at()).unwrap(), capacity) }.unwrap();
    let payloads = core::array::from_fn(|_| DataCell::new(0));
    Arc::new(World { stack, payloads, _memory: memory })
}

impl World {
    /// Message `n`, written before it is published.
    fn try_push(&self, n: u64) -> Result<u64, PushError> {
        self.payloads[n as usize].with_mut(|payload| {
            // SAFETY: nobody reads it before it is published; that is what the model checks.
            unsafe { *payload = n + 100 }
        });
        self.stack.push(n, |_| {})
    }

    fn try_pop(&self) -> Option<u64> {
        let (_, n) = self.stack.pop(|_, _| {}).expect("sound")?;
        // SAFETY: it was published by whoever wrote it; that is what the model checks.
        assert_eq!(self.payloads[n as usize].with(|payload| unsafe { *payload }), n + 100);
        Some(n)
    }
}

/// Two push a message each, one takes what it finds; the rest is taken at the end. Nothing is lost, nothing doubled, and
/// nobody is told "full" who cannot have found it full.
fn two_push_one_pops(capacity: u64) {
    loom::model(move || {
        let world = world(capacity);
        let pushers = [0, 1].map(|n| {
            let world = world.clone();
            thread::spawn(move || world.try_push(n))
        });
        let mut taken: Vec<_> = world.try_pop().into_iter().collect();
        let pushed: Vec<_> = pushers.into_iter().map(|t| t.join().unwrap()).collect();
        if capacity == 2 {
            assert!(pushed.iter().all(Result::is_ok), "there was room for both");
        }
        assert!(pushed.iter().all(|p| !matches!(p, Err(PushError::Corrupt))));
        taken.extend(core::iter::from_fn(|| world.try_pop()));
        taken.sort_unstable();
        let published: Vec<_> = (0..2).filter(|n| pushed[*n as usize].is_ok()).collect();
        assert_eq!(taken, published, "each once");
    });
}

#[test]
fn two_push_and_one_pops_with_one_place() {
    two_push_one_pops(1);
}

#[test]
fn two_push_and_one_pops_with_two_places() {
    two_push_one_pops(2);
}

#[test]
fn two_who_pop_share_what_there_is_and_both_find_it_above_what_was_below() {
    loom::model(|| {
        let world = world(3);
        for n in 0..2 {
            world.try_push(n).unwrap();
        }
        let popper = {
            let world = world.clone();
            thread::spawn(move || world.try_pop())
        };
        let mine = world.try_pop().expect("two for two");
        let theirs = popper.join().unwrap().expect("two for two");
        assert_eq!(mine + theirs, 1, "one each");
        assert_eq!(world.try_pop(), None);
    });
}

/// One pops and pushes again at the same place while another does the same.
#[test]
fn a_place_that_is_used_again_misleads_nobody() {
    loom::model(|| {
        let world = world(2);
        world.try_push(0).unwrap();
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                let first = world.try_pop();
                (first, world.try_push(1).is_ok())
            })
        };
        let mine = world.try_pop();
        let pushed = world.try_push(2).is_ok();
        let (theirs, also) = other.join().unwrap();
        assert!(pushed && also, "there was room for both");
        let mut all: Vec<_> = mine.into_iter().chain(theirs).collect();
        all.extend(core::iter::from_fn(|| world.try_pop()));
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

/// What a recoverer is told: never "gone" of what is there all the time, never "there" of what went before.
#[test]
fn who_asks_what_it_holds_is_told_the_truth() {
    loom::model(|| {
        let world = world(3);
        let stays = world.try_push(0).unwrap();
        let goes = world.try_push(1).unwrap();
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                assert_eq!(world.try_pop(), Some(1));
                world.try_push(2).unwrap()
            })
        };
        assert!(world.stack.holds(stays, |n| n == 0), "it is there all the time");
        let was_there = world.stack.holds(goes, |n| n == 1);
        let is_there = world.stack.holds(goes, |n| n == 1);
        assert!(was_there || !is_there, "what went does not come back");
        let new = other.join().unwrap();
        assert!(world.stack.holds(new, |n| n == 2) && !world.stack.holds(goes, |n| n == 1));
    });
}
