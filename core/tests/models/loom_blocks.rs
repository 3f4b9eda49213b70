//! Every interleaving of a block on its way through a ring or a stack while the death procedure looks for the blocks of the dead:
//! a block is never freed under a living owner, and never lost.

use core::ptr::NonNull;

use crate::one_block::{LEN, Memory, NoMore, pool_with_block_of};
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;
use slipring_core::block::recover::{Lookup, Repaired};
use slipring_core::block::{AllocError, BlockRef, Descriptor, Magazines, NoteLine, Pool, State};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::DataCell;
use slipring_core::ring::mpmc::Ring;
use slipring_core::ring::stack::{self, Stack};

/// loom packs a pair into one word, which leaves no bits for a ring's number but these.
const RING: u32 = 0;

fn producer() -> OwnerId {
    OwnerId::new(1, 0)
}

fn living() -> OwnerId {
    OwnerId::new(2, 0)
}

fn dead_taker() -> OwnerId {
    OwnerId::new(3, 0)
}

/// Who allocates what was freed.
fn heir() -> OwnerId {
    OwnerId::new(4, 0)
}

/// What the block goes through.
#[derive(Clone, Copy)]
enum Channel {
    Ring(Ring),
    Stack(Stack),
}

#[derive(Clone, Copy)]
enum Through {
    Ring,
    Stack,
}

/// A pool of one block, a channel, a line for each taker. `payload` stands for the block's memory: loom reports two who
/// hold it at a time.
struct World {
    pool: Pool,
    channel: Channel,
    /// The living taker's, then the dead one's.
    notes: [NoteLine; 2],
    payload: DataCell<u32>,
    _memory: ([Memory; 2], Memory),
}

/// A world in which the producer owns the block.
fn world(through: Through) -> (Arc<World>, BlockRef) {
    let (pool, block, memory) = pool_with_block_of(producer());
    let ring_memory = Memory::new(1024, 128);
    let slots = NonNull::new(ring_memory.at()).unwrap();
    // SAFETY: aligned, large enough for two slots, and kept beside the view.
    let channel = unsafe {
        match through {
            Through::Ring => Channel::Ring(Ring::init(slots, 2).unwrap()),
            Through::Stack => Channel::Stack(Stack::init(slots, 2).unwrap()),
        }
    };
    let notes = [living(), dead_taker()].map(|taker| {
        let line = NoteLine::new();
        assert!(line.claim(taker));
        line
    });
    let world =
        World { pool, channel, notes, payload: DataCell::new(0), _memory: (memory, ring_memory) };
    (Arc::new(world), block)
}

/// How far the dead taker came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Noted,
    Popped,
    Owned,
    Erased,
}

impl World {
    fn publish(&self, block: BlockRef) {
        self.write();
        let descriptor = Descriptor::Block { block, len: 1 }.encode();
        let claim = |position| self.pool.control(block).send_at(producer(), RING, position);
        match self.channel {
            Channel::Ring(ring) => ring.push(descriptor, claim).map(drop).unwrap(),
            Channel::Stack(stack) => stack.push(descriptor, claim).map(drop).unwrap(),
        }
    }

    /// Takes what is there, noting it in `line`: its position and descriptor.
    fn pop(&self, line: &NoteLine) -> Option<(u64, u64)> {
        match self.channel {
            Channel::Ring(ring) => ring.pop(|position, word| line.write(RING, position, word)).ok(),
            Channel::Stack(stack) => {
                let mut noted = 0;
                let (_, word) = stack
                    .pop(|depth, word| {
                        // A top whose words do not belong together may name no block.
                        let Some(block) = Descriptor::block_of(word) else { return };
                        noted = self.position(depth, block);
                        line.write(RING, noted, word);
                    })
                    .unwrap()?;
                Some((noted, word))
            }
        }
    }

    /// Where a message was published that the stack has at this depth: its block knows.
    fn position(&self, depth: u64, block: BlockRef) -> u64 {
        match self.pool.control(block).look() {
            (State::InFlight(_, RING), seen) if stack::depth(seen.position) == depth => {
                seen.position
            }
            _ => depth,
        }
    }

    fn write(&self) {
        self.payload.with_mut(|n| {
            // SAFETY: the block is the caller's; that is what the model checks.
            unsafe { *n += 1 }
        });
    }

    /// Takes a block as `me`, up to `step`. `None` where the ring was empty, or `step` comes before the taking.
    fn take(&self, me: OwnerId, step: Step) -> Option<BlockRef> {
        let line = &self.notes[usize::from(me == dead_taker())];
        if step == Step::Noted {
            let descriptor = Descriptor::Block { block: BlockRef { class: 10, index: 0 }, len: 1 };
            // Where the first message of each is published.
            let position = match self.channel {
                Channel::Ring(_) => 0,
                Channel::Stack(_) => 1 << 24 | 1,
            };
            line.write(RING, position, descriptor.encode());
            return None;
        }
        let Some((position, descriptor)) = self.pop(line) else {
            line.erase();
            return None;
        };
        let block = Descriptor::block_of(descriptor).unwrap();
        if step >= Step::Owned {
            assert!(self.pool.control(block).taken(me, RING, position), "freed under its taker");
        }
        if step >= Step::Erased {
            line.erase();
        }
        Some(block)
    }

    /// Takes a block and uses it, as the living taker.
    fn take_and_free(&self) -> bool {
        let Some(block) = self.take(living(), Step::Erased) else { return false };
        self.write();
        assert!(self.pool.control(block).is_owned_by(living()), "freed under its owner");
        assert!(self.pool.free_now(block, living()));
        true
    }

    /// The death procedure, as far as blocks go. The lines of the dead stay while a living note is waited out.
    fn recover(&self, dead: &[OwnerId]) -> Repaired {
        let sight = Sight { world: self, dead };
        let mut repaired = Repaired::default();
        let is_dead = |line: &&NoteLine| line.owner().is_some_and(|owner| dead.contains(&owner));
        for note in self.notes.iter().filter(is_dead).filter_map(NoteLine::read) {
            repaired = repaired.and(self.pool.recover_note(note, &sight));
        }
        for &owner in dead {
            repaired = repaired.and(self.pool.recover(owner, &sight));
        }
        if repaired.pending == 0 {
            for &owner in dead {
                self.notes.iter().for_each(|line| line.recover(owner));
            }
        }
        repaired
    }

    /// Takes the block and uses it, if it is free and listed.
    fn alloc(&self) -> Option<BlockRef> {
        match self.pool.alloc(&mut Magazines::default(), LEN, heir(), &NoMore) {
            Ok(block) => {
                self.write();
                Some(block)
            }
            Err(AllocError::Exhausted { .. }) => None,
            Err(e) => panic!("{e:?}"),
        }
    }
}

/// What a recoverer sees.
struct Sight<'a> {
    world: &'a World,
    dead: &'a [OwnerId],
}

impl Lookup for Sight<'_> {
    fn holds(&self, ring: u32, position: u64, block: BlockRef) -> bool {
        let names = |descriptor| Descriptor::block_of(descriptor) == Some(block);
        let holds = match self.world.channel {
            Channel::Ring(ring) => ring.holds(position, names),
            Channel::Stack(stack) => stack.holds(position, names),
        };
        ring == RING && holds
    }

    fn noted_by_living(&self, ring: u32, position: u64) -> bool {
        self.world.notes.iter().any(|line| {
            line.owner().is_some_and(|owner| !self.dead.contains(&owner))
                && line.read().is_some_and(|note| (note.ring, note.position) == (ring, position))
        })
    }
}

#[test]
fn what_a_dead_producer_published_goes_to_its_living_taker() {
    loom::model(|| {
        let (world, block) = world(Through::Ring);
        world.publish(block);
        let taker = {
            let world = world.clone();
            thread::spawn(move || world.take_and_free())
        };
        // Legal: it is in the ring, or on its way to the taker and noted, or the taker's, or free.
        let during = world.recover(&[producer()]);
        assert_eq!(during.freed, 0, "it was never nobody's");
        assert!(taker.join().unwrap());
        let after = world.recover(&[producer()]);
        assert_eq!((after.freed, after.pending), (0, 0));
        assert_eq!(world.alloc(), Some(block), "not lost");
    });
}

#[test]
fn a_block_whose_claimed_position_went_to_another_message_is_freed_once() {
    loom::model(|| {
        let (world, block) = world(Through::Ring);
        // Killed before its CAS on position 0.
        world.pool.control(block).send_at(producer(), RING, 0);
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                let inline = Descriptor::inline(&[7]).unwrap().encode();
                let Channel::Ring(ring) = world.channel else { unreachable!() };
                assert_eq!(ring.push(inline, |_| {}), Ok(0));
                let note = |position, descriptor| world.notes[0].write(RING, position, descriptor);
                assert_eq!(ring.pop(note), Ok((0, inline)));
                world.notes[0].erase();
            })
        };
        let during = world.recover(&[producer()]);
        assert_eq!(during.freed + during.pending, 1, "freed, or a living note is waited out");
        other.join().unwrap();
        let after = world.recover(&[producer()]);
        assert_eq!((during.freed + after.freed, after.pending), (1, 0));
        assert_eq!(world.alloc(), Some(block), "not lost");
    });
}

/// A dead and a living taker went for the same block, and the dead one died after `step`.
fn taker_dies(step: Step, producer_too: bool) {
    taker_dies_at(Through::Ring, step, producer_too);
}

fn taker_dies_at(through: Through, step: Step, producer_too: bool) {
    let mut builder = Builder::new();
    if producer_too || matches!(through, Through::Stack) {
        // The second death doubles the procedure's steps, and a stack has more of them than a ring; with three
        // preemptions a model takes half a minute.
        builder.preemption_bound = Some(2);
    }
    builder.check(move || {
        let both = [dead_taker(), producer()];
        let dead = if producer_too { &both[..] } else { &both[..1] };
        let (world, block) = world(through);
        world.publish(block);
        let dies = {
            let world = world.clone();
            thread::spawn(move || world.take(dead_taker(), step).is_some())
        };
        let lives = {
            let world = world.clone();
            thread::spawn(move || world.take_and_free())
        };
        let was_the_deads = dies.join().unwrap();
        let during = world.recover(dead);
        let reused = world.alloc();
        let was_the_livings = lives.join().unwrap();
        let after = world.recover(dead);
        assert_eq!(after.pending, 0, "no living note is left");
        assert!(was_the_deads != was_the_livings, "one of them took it");
        assert_eq!(during.freed + after.freed, u64::from(was_the_deads), "freed once, if at all");
        assert!(world.notes[1].owner().is_none(), "the dead one's line is free");
        assert_eq!(reused.or_else(|| world.alloc()), Some(block), "not lost");
        assert!(world.pool.control(block).is_owned_by(heir()), "not freed under its new owner");
    });
}

#[test]
fn a_taker_that_dies_after_noting_costs_no_block() {
    taker_dies(Step::Noted, false);
}

#[test]
fn a_taker_that_dies_after_noting_costs_no_block_of_a_dead_producer() {
    taker_dies(Step::Noted, true);
}

#[test]
fn a_taker_that_dies_after_popping_costs_no_block() {
    taker_dies(Step::Popped, false);
}

#[test]
fn a_taker_that_dies_after_popping_costs_no_block_of_a_dead_producer() {
    taker_dies(Step::Popped, true);
}

#[test]
fn a_taker_that_dies_after_owning_costs_no_block() {
    taker_dies(Step::Owned, false);
}

#[test]
fn a_taker_that_dies_after_owning_costs_no_block_of_a_dead_producer() {
    taker_dies(Step::Owned, true);
}

#[test]
fn a_taker_that_dies_after_erasing_costs_no_block() {
    taker_dies(Step::Erased, false);
}

#[test]
fn a_taker_that_dies_after_erasing_costs_no_block_of_a_dead_producer() {
    taker_dies(Step::Erased, true);
}

/// The same where a message does not know its position, but its block does.
#[test]
fn whenever_a_taker_from_a_stack_dies_it_costs_no_block() {
    for step in [Step::Noted, Step::Popped, Step::Owned, Step::Erased] {
        taker_dies_at(Through::Stack, step, false);
    }
}

#[test]
fn whenever_a_taker_from_a_stack_dies_it_costs_no_block_of_a_dead_producer() {
    for step in [Step::Popped, Step::Owned] {
        taker_dies_at(Through::Stack, step, true);
    }
}
