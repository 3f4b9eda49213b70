//! Every interleaving of a look for blocks that lie free with their use: nobody's memory is given back under him, no block is
//! lost, and what was freed is looked for.

use crate::one_block::{LEN, Memory, NoMore, pool_with_block_of};
use loom::sync::Arc;
use loom::thread;
use slipring_core::block::{AllocError, BlockRef, Lookup, Magazines, Patience, Pool, State};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::DataCell;

/// What the clock says. A block may be given back as soon as it is free.
const NOW: u64 = 5;
const PATIENCE: Patience = Patience { between: 1, idle: 0, reserve: 0, at_once: u64::MAX };

fn user() -> OwnerId {
    OwnerId::new(1, 0)
}

fn looker() -> OwnerId {
    OwnerId::new(2, 0)
}

fn trimmer() -> OwnerId {
    OwnerId::new(3, 0)
}

/// A pool of one block. `payload` stands for the block's memory: loom reports two who have it at a time.
struct World {
    pool: Pool,
    payload: DataCell<u32>,
    _memory: [Memory; 2],
}

/// No ring has anything, and nobody notes anything.
struct Nothing;

impl Lookup for Nothing {
    fn holds(&self, _: u32, _: u64, _: BlockRef) -> bool {
        false
    }

    fn noted_by_living(&self, _: u32, _: u64) -> bool {
        false
    }
}

/// A world in which the user owns the block.
fn world() -> (Arc<World>, BlockRef) {
    let (pool, block, memory) = pool_with_block_of(user());
    let pool = pool.with_clock(|| NOW);
    (Arc::new(World { pool, payload: DataCell::new(0), _memory: memory }), block)
}

impl World {
    fn touch(&self) {
        self.payload.with_mut(|n| {
            // SAFETY: the block is the caller's; that is what the model checks.
            unsafe { *n += 1 }
        });
    }

    fn free(&self, block: BlockRef) {
        assert!(self.pool.free_now(block, user()), "taken from its owner");
    }

    /// Takes the block, if it is to be had.
    fn alloc(&self) -> Option<BlockRef> {
        match self.pool.alloc(&mut Magazines::default(), LEN, user(), &NoMore) {
            Ok(block) => {
                self.touch();
                Some(block)
            }
            Err(AllocError::Exhausted { .. }) => None,
            Err(e) => panic!("{e:?}"),
        }
    }

    fn tidy(&self) -> u64 {
        self.pool.tidy(&PATIENCE, looker(), &NoMore, |_, _| self.touch())
    }
}

/// A thread that looks for what lies free.
fn look_beside(world: &Arc<World>) -> thread::JoinHandle<u64> {
    let world = world.clone();
    thread::spawn(move || world.tidy())
}

#[test]
fn a_look_takes_no_block_from_its_user_and_loses_none() {
    loom::model(|| {
        let (world, block) = world();
        world.free(block);
        let looks = look_beside(&world);
        // Legal: had before the look or behind it; not had while it is in the look's hands.
        if let Some(block) = world.alloc() {
            world.touch();
            world.free(block);
        }
        looks.join().unwrap();
        assert_eq!(world.alloc(), Some(block), "not lost");
    });
}

#[test]
fn what_is_freed_beside_a_look_is_given_back_or_looked_for() {
    loom::model(|| {
        let (world, block) = world();
        // Something large was freed before: there is reason for a look.
        world.free(block);
        assert_eq!(world.alloc(), Some(block));
        let looks = look_beside(&world);
        world.touch();
        world.free(block);
        let given = looks.join().unwrap();
        assert!(given > 0 || world.pool.may_have_idle(), "forgotten");
    });
}

#[test]
fn a_look_and_a_trim_never_have_the_same_block() {
    loom::model(|| {
        let (world, block) = world();
        world.free(block);
        let looks = look_beside(&world);
        world.pool.trim(trimmer(), &NoMore, |_, _| world.touch());
        looks.join().unwrap();
        assert_eq!(world.alloc(), Some(block), "not lost");
    });
}

#[test]
fn a_block_in_the_hands_of_a_dead_looker_is_freed_once_and_looked_for() {
    loom::model(|| {
        let (world, block) = world();
        world.free(block);
        let control = world.pool.control(block);
        let (_, seen) = control.seen_free(NOW).unwrap();
        assert!(control.acquire_seen(seen, looker()));
        // Killed here.
        let recovers = {
            let world = world.clone();
            thread::spawn(move || world.pool.recover(looker(), &Nothing).freed)
        };
        // Legal: nothing yet, or the block.
        let had = world.alloc();
        assert_eq!(recovers.join().unwrap(), 1);
        assert_eq!(had.or_else(|| world.alloc()), Some(block), "not lost");
        assert!(world.pool.may_have_idle());
        assert_eq!(control.look().0, State::Owned(user()));
    });
}
