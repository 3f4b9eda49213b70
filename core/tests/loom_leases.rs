//! Every interleaving of few workers with few items: an item is finished once, goes out again once, is never forgotten,
//! and nobody who joins is told that all is done before it is.
#![cfg(loom)]

#[path = "support/memory.rs"]
mod memory;

use core::ptr::NonNull;

use loom::sync::Arc;
use loom::thread;
use memory::Memory;
use slipring_core::owner::OwnerId;
use slipring_core::ring::leases::{Hold, Leases, NotHeld, Salvage, State};
use slipring_core::ring::mpmc::Ring;

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 0)
}

/// Two entries, a ring of two slots.
struct World {
    table: Leases,
    ring: Ring,
    _memory: [Memory; 2],
}

fn world(limit: u32) -> Arc<World> {
    let memory = [Memory::new(4096, 128), Memory::new(1024, 128)];
    let [table, ring] = [0, 1].map(|n: usize| NonNull::new(memory[n].at()).unwrap());
    // SAFETY: aligned, large enough for two entries of loom's words, kept beside the view.
    let table = unsafe { Leases::init(table, 2, limit) }.unwrap();
    // SAFETY: aligned, large enough for two slots, kept beside the view.
    let ring = unsafe { Ring::init(ring, 2) }.unwrap();
    Arc::new(World { table, ring, _memory: memory })
}

impl World {
    fn put(&self, item: u64) {
        self.ring.push(item, |_| {}).unwrap();
    }

    /// Takes the next item of the ring, as a receiver does.
    fn take(&self, me: OwnerId) -> Option<Hold> {
        let claim = self.table.claim(me, 0).unwrap();
        if self.ring.pop(|position, item| self.table.remember(claim, item, position)).is_err() {
            self.table.unclaim(claim, me);
            return None;
        }
        Some(self.table.lease(claim, me).unwrap())
    }

    /// Takes what was given back.
    fn take_again(&self, me: OwnerId) -> Option<Hold> {
        loop {
            let seen = self.table.next_given_back()?;
            if let Some(hold) = self.table.lease_again(seen, me) {
                return Some(hold);
            }
        }
    }

    fn unfinished(&self) -> u64 {
        self.table.unfinished(|| self.ring.published())
    }
}

#[test]
fn a_task_that_puts_another_before_it_is_done_keeps_a_joiner_waiting() {
    loom::model(|| {
        let world = world(0);
        world.put(1);
        let worker = {
            let world = world.clone();
            thread::spawn(move || {
                let first = world.take(id(1)).unwrap();
                world.put(2);
                world.table.finish(first, id(1)).unwrap();
                let second = world.take(id(1)).unwrap();
                world.table.finish(second, id(1)).unwrap();
            })
        };
        // Legal: 1 or 2 while the worker is at it, 0 only after its last step.
        if world.unfinished() == 0 {
            assert_eq!((world.ring.published(), world.table.finished()), (2, 2));
        }
        worker.join().unwrap();
        assert_eq!(world.unfinished(), 0);
    });
}

#[test]
fn two_workers_never_have_one_entry() {
    loom::model(|| {
        let world = world(0);
        world.put(1);
        world.put(2);
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                let hold = world.take(id(1)).unwrap();
                let item = world.table.descriptor(hold.index());
                world.table.finish(hold, id(1)).unwrap();
                item
            })
        };
        let hold = world.take(id(2)).unwrap();
        let ours = world.table.descriptor(hold.index());
        world.table.finish(hold, id(2)).unwrap();
        // Legal: one has 1 and the other 2.
        assert_eq!(ours + other.join().unwrap(), 3);
        assert_eq!((world.unfinished(), world.table.finished()), (0, 2));
    });
}

#[test]
fn what_is_given_back_goes_to_one_of_two_and_is_never_forgotten() {
    loom::model(|| {
        let world = world(0);
        world.put(1);
        let hold = world.take(id(1)).unwrap();
        let other = {
            let world = world.clone();
            thread::spawn(move || world.take_again(id(2)))
        };
        world.table.give_back(hold, id(1)).unwrap();
        let ours = world.take_again(id(3));
        let theirs = other.join().unwrap();
        // Legal: either has it, not both. Neither only if the other looked before it was there, and then we found it.
        assert!(ours.is_some() != theirs.is_some(), "{ours:?} {theirs:?}");
        assert_eq!(world.table.give_back(hold, id(1)), Err(NotHeld::Ended));
        assert_eq!((world.unfinished(), world.table.next_given_back()), (1, None));
    });
}

#[test]
fn a_dead_letter_counts_once_whoever_sets_it_aside() {
    loom::model(|| {
        let world = world(1);
        world.put(1);
        let hold = world.take(id(1)).unwrap();
        world.table.give_back(hold, id(1)).unwrap();
        let set_aside = |world: &World, me| {
            let letter = world.table.overdue().and_then(|seen| world.table.set_aside(seen, me));
            letter.is_some_and(|letter| world.table.close_letter(letter, me, true))
        };
        let other = {
            let world = world.clone();
            thread::spawn(move || set_aside(&world, id(2)))
        };
        let ours = set_aside(&world, id(3));
        assert!(ours != other.join().unwrap(), "one of them did it");
        assert_eq!(world.unfinished(), 0);
        assert_eq!(world.table.count_in(|state| state == State::Aside), 1);
        assert!(world.table.open_letter(id(4)).is_some());
    });
}

#[test]
fn a_dead_workers_item_goes_to_a_living_one_while_it_is_recovered() {
    loom::model(|| {
        let world = world(0);
        world.put(1);
        let _lost = world.take(id(1)).unwrap();
        let recoverer = {
            let world = world.clone();
            thread::spawn(move || {
                world.table.recover(|owner| owner == id(1), |_, _, _, _| Salvage::Nothing)
            })
        };
        let mut hold = world.take_again(id(2));
        assert_eq!(recoverer.join().unwrap(), 0);
        if hold.is_none() {
            hold = world.take_again(id(2));
        }
        let hold = hold.expect("not forgotten");
        assert_eq!(hold.deliveries(), 2);
        // A second death procedure of the same one takes nothing from the living.
        world.table.recover(|owner| owner == id(1), |_, _, _, _| Salvage::Nothing);
        assert_eq!(world.table.finish(hold, id(2)), Ok(()));
        assert_eq!(world.unfinished(), 0);
    });
}
