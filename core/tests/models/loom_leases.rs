//! Every interleaving of few workers with few items: an item is finished once, goes out again once, is never forgotten,
//! and nobody who joins is told that all is done before it is.

use core::ptr::NonNull;

use crate::memory::Memory;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;
use slipring_core::block::recover::{Salvage, salvage};
use slipring_core::block::{Control, NoteLine, State as Block};
use slipring_core::owner::OwnerId;
use slipring_core::ring::leases::{Hold, Leases, NotHeld, State};
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

/// Of the ring and of the table alike: loom packs a pair into one word, which leaves no bits for a ring's number.
const RING: u32 = 0;
/// What stands for the block's descriptor.
const BLOCK: u64 = 77;

/// How far the worker came that dies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Noted,
    Popped,
    Redirected,
    Erased,
    Leased,
}

/// A world with one block, and a note line for the living worker and for the dead one.
struct Blocks {
    world: Arc<World>,
    control: Control,
    notes: [NoteLine; 2],
}

fn putter() -> OwnerId {
    id(1)
}

fn living() -> OwnerId {
    id(2)
}

fn dead_worker() -> OwnerId {
    id(3)
}

impl Blocks {
    /// One item, at a position of the ring that is no place of the table.
    fn new() -> Arc<Self> {
        let world = world(0);
        for _ in 0..4 {
            world.put(0);
            world.ring.pop(|_, _| {}).unwrap();
        }
        let control = Control::new();
        assert!(control.acquire(putter()));
        world.ring.push(BLOCK, |position| control.send_at(putter(), RING, position)).unwrap();
        let notes = [living(), dead_worker()].map(|who| {
            let line = NoteLine::new();
            assert!(line.claim(who));
            line
        });
        Arc::new(Self { world, control, notes })
    }

    /// Takes the item as far as `step`. `None` where another was faster, or the step comes before the taking.
    fn take(&self, me: OwnerId, step: Step) -> Option<Hold> {
        let World { table, ring, .. } = &*self.world;
        let note = &self.notes[usize::from(me == dead_worker())];
        let claim = table.claim(me, 0).unwrap();
        let about_to = |position, word| {
            table.remember(claim, word, position);
            note.write(RING, position, word);
        };
        if step == Step::Noted {
            about_to(4, BLOCK);
            return None;
        }
        let Ok((position, _)) = ring.pop(about_to) else {
            note.erase();
            table.unclaim(claim, me);
            return None;
        };
        if step >= Step::Redirected {
            let to = (RING, claim.place());
            assert!(self.control.redirect((RING, position), me, to), "freed under its taker");
        }
        if step >= Step::Erased {
            note.erase();
        }
        if step >= Step::Leased {
            return Some(table.lease(claim, me).unwrap());
        }
        Some(claim)
    }

    /// Finishes a lease and frees its block.
    fn finish(&self, hold: Hold, me: OwnerId) {
        self.world.table.finish(hold, me).unwrap();
        assert!(self.control.taken(me, RING, hold.place()), "freed under its owner");
        assert!(self.control.release(me));
    }

    fn noted_by_living(&self, position: u64) -> bool {
        let note = self.notes[0].read();
        note.is_some_and(|note| (note.ring, note.position) == (RING, position))
    }

    /// The death procedure. Returns how many of its steps wait for a living one.
    fn recover(&self, dead: &[OwnerId]) -> u64 {
        let World { table, ring, .. } = &*self.world;
        let named = |word| word == BLOCK;
        let mut pending = table.recover(
            |owner| dead.contains(&owner),
            |claim, owner, descriptor, order| {
                if descriptor != BLOCK {
                    return Salvage::Nothing;
                }
                let (from, to) = ((RING, order), (RING, claim.place()));
                let is_there = || ring.holds(order, named);
                salvage(&self.control, owner, from, to, is_there, || self.noted_by_living(order))
            },
        );
        // What the pool's recovery does with the block.
        let (state, seen) = self.control.look();
        let Block::InFlight(owner, _) = state else { return pending };
        let at = seen.position;
        let noted = self.notes[1].read().is_some_and(|note| note.position == at);
        let doubtful = dead.contains(&owner) || noted && dead.contains(&dead_worker());
        if doubtful && !ring.holds(at, named) && !table.holds(at, named) {
            if self.noted_by_living(at) || table.is_claimed(at, named) {
                pending += 1;
            } else if self.control.reclaim(seen) {
                // Only what is finished may be freed.
                assert_eq!(self.world.table.finished(), 1, "a task was lost");
            }
        }
        pending
    }
}

/// A dead and a living worker went for the same item, the dead one died after `step`, and so perhaps did the putter.
fn worker_dies(step: Step, putter_too: bool) {
    let mut builder = Builder::new();
    // With three preemptions these models take minutes.
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let both = [putter(), dead_worker()];
        let dead = if putter_too { &both[..] } else { &both[1..] };
        let blocks = Blocks::new();
        let lives = {
            let blocks = blocks.clone();
            thread::spawn(move || match blocks.take(living(), Step::Leased) {
                Some(hold) => {
                    blocks.finish(hold, living());
                    true
                }
                None => false,
            })
        };
        let was_the_deads = blocks.take(dead_worker(), step).is_some();
        blocks.recover(dead);
        let was_the_livings = lives.join().unwrap();
        assert!(was_the_deads != was_the_livings || step == Step::Noted, "one of them took it");
        assert_eq!(blocks.recover(dead), 0, "no living note is left");
        let published = || blocks.world.ring.published() - 4;
        assert_eq!(blocks.world.table.unfinished(published), u64::from(!was_the_livings));
        if !was_the_livings {
            let hold = blocks.world.take_again(living()).expect("it goes to the next");
            let here = (RING, hold.place());
            assert!(blocks.control.redirect(here, living(), here), "its block is there");
            blocks.finish(hold, living());
        }
        assert_eq!(blocks.world.table.unfinished(published), 0);
        assert_eq!(blocks.control.look().0, Block::Free);
    });
}

#[test]
fn a_worker_that_dies_after_noting_takes_no_task() {
    worker_dies(Step::Noted, false);
    worker_dies(Step::Noted, true);
}

#[test]
fn a_worker_that_dies_after_popping_loses_no_task() {
    worker_dies(Step::Popped, false);
    worker_dies(Step::Popped, true);
}

#[test]
fn a_worker_that_dies_after_redirecting_loses_no_task() {
    worker_dies(Step::Redirected, false);
    worker_dies(Step::Redirected, true);
}

#[test]
fn a_worker_that_dies_after_erasing_loses_no_task() {
    worker_dies(Step::Erased, false);
    worker_dies(Step::Erased, true);
}

#[test]
fn a_worker_that_dies_with_its_lease_loses_no_task() {
    worker_dies(Step::Leased, false);
    worker_dies(Step::Leased, true);
}
