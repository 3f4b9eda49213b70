//! What the death procedure does with a dead owner's blocks.
//!
//! | found | shown to be nobody's when | then |
//! |---|---|---|
//! | OWNED(dead) | always | freed |
//! | INFLIGHT(dead, ring, pos), still at pos | never: it is published | left to its receiver |
//! | INFLIGHT(dead, ring, pos), not at pos | no living note names (ring, pos) | freed |
//! | INFLIGHT(anybody, ring, pos), noted by the dead, not at pos | no living note names (ring, pos) | freed |
//! | either of these two, and claimed for a lease | never | left to whoever recovers the leases |
//! | FREE without a bit | always | listed |
//!
//! A living note is waited out: the position's taker may be that process, between its CAS and its owner word. Such a
//! block is counted as `pending` and the procedure is run again later.
//!
//! # Why it is exact
//!
//! The recoverer reads the control, then sees the position gone, then looks at the notes, then replaces exactly what
//! it read. If a living consumer took the position, its note was written before the position went (note E1). If the
//! note is gone again, the block's control was changed before that (note E2) and the CAS fails. If no living process
//! took it, nobody will: the position never recurs.

use super::control::{Control, Seen, State};
use super::descriptor::{BlockRef, Descriptor};
use super::geometry::Geometry;
use super::note::Note;
use super::pool::Pool;
use crate::owner::OwnerId;

/// What the recoverer can see of rings and notes.
pub trait Lookup {
    /// Whether `position` of `ring` is published, unconsumed, and names `block`. An unknown ring holds nothing.
    fn holds(&self, ring: u32, position: u64, block: BlockRef) -> bool;

    /// Whether a living participant notes that it is about to take `position` of `ring`.
    fn noted_by_living(&self, ring: u32, position: u64) -> bool;

    /// Whether somebody, dead or alive, has an entry of a table of leases ready for `block` from there. Such a block is
    /// not freed: who recovers the table keeps it.
    fn is_claimed(&self, _ring: u32, _position: u64, _block: BlockRef) -> bool {
        false
    }
}

/// What became of a block that a dead one's claim names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Salvage {
    /// It is at the claim's place now.
    Kept,
    /// The dead one has not taken it.
    Nothing,
    /// A living process may have taken it: to be asked again later.
    Wait,
}

/// Whether the dead `owner`, who was about to take the block at `from` (ring, position) for its lease at `to`, has taken
/// it; if so the block is at `to` afterwards. `is_there` says whether `from` is published and unconsumed still, and
/// `noted_by_living` is as in [`Lookup`].
///
/// Exact for the reason above: who notes a position and loses it to another finds its block moved on.
pub fn salvage(
    control: &Control,
    owner: OwnerId,
    from: (u32, u64),
    to: (u32, u64),
    is_there: impl FnOnce() -> bool,
    noted_by_living: impl FnOnce() -> bool,
) -> Salvage {
    let (state, seen) = control.look();
    let State::InFlight(_, ring) = state else { return Salvage::Nothing };
    if (ring, seen.position) == to {
        return Salvage::Kept;
    }
    if (ring, seen.position) != from || is_there() {
        return Salvage::Nothing;
    }
    if noted_by_living() {
        return Salvage::Wait;
    }
    let moved = control.redirect(from, owner, to);
    crash_point!("recover.salvage.redirected");
    if moved { Salvage::Kept } else { Salvage::Nothing }
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Repaired {
    /// Blocks that were the dead one's and are free now.
    pub freed: u64,
    /// Free blocks that no bitmap knew of.
    pub listed: u64,
    /// Blocks that a living process's note covers: to be looked at again.
    pub pending: u64,
}

impl Repaired {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            freed: self.freed + other.freed,
            listed: self.listed + other.listed,
            pending: self.pending + other.pending,
        }
    }
}

impl Pool {
    /// Frees what the dead owner held or was passing on, and lists free blocks that nobody knows of. Idempotent; takes
    /// time in proportion to the blocks in use.
    pub fn recover(&self, dead: OwnerId, lookup: &impl Lookup) -> Repaired {
        let mut repaired = Repaired::default();
        for (c, class) in self.geometry().classes().iter().enumerate() {
            for word in 0..self.words_in_use(class) {
                let in_word = (class.count - word * 64).min(64);
                let mut free = 0;
                for bit in 0..in_word {
                    let block = BlockRef { class: c as u8, index: word * 64 + bit };
                    let is_free = self.recover_block(block, dead, lookup, &mut repaired);
                    free |= u64::from(is_free) << bit;
                }
                crash_point!("pool.recover.before_list");
                repaired.listed += u64::from(free.count_ones());
                self.list(c as u8, word, free);
            }
        }
        // Some of these may be large, and the dead one may have been looking for such.
        self.idle().note();
        repaired
    }

    /// Resolves what a dead consumer noted. Call it before [`Pool::recover`].
    pub fn recover_note(&self, note: Note, lookup: &impl Lookup) -> Repaired {
        let mut repaired = Repaired::default();
        let named = Descriptor::block_of(note.descriptor).and_then(|b| self.check(b, 0));
        let Some(block) = named else { return repaired };
        let (state, seen) = self.control(block).look();
        if let State::InFlight(_, ring) = state
            && (ring, seen.position) == (note.ring, note.position)
            && self.reclaim_unless_held(block, ring, seen, lookup, &mut repaired)
        {
            self.list(block.class, block.index / 64, 1 << (block.index % 64));
            self.idle().note();
        }
        repaired
    }

    /// Returns whether the block is free now.
    fn recover_block(
        &self,
        block: BlockRef,
        dead: OwnerId,
        lookup: &impl Lookup,
        repaired: &mut Repaired,
    ) -> bool {
        let (state, seen) = self.control(block).look();
        match state {
            State::Free => true,
            State::Owned(owner) if owner == dead => {
                let freed = self.control(block).reclaim(seen);
                crash_point!("pool.recover.freed");
                repaired.freed += u64::from(freed);
                freed
            }
            State::InFlight(owner, ring) if owner == dead => {
                self.reclaim_unless_held(block, ring, seen, lookup, repaired)
            }
            State::Owned(_) | State::InFlight(..) | State::Corrupt => false,
        }
    }

    fn reclaim_unless_held(
        &self,
        block: BlockRef,
        ring: u32,
        seen: Seen,
        lookup: &impl Lookup,
        repaired: &mut Repaired,
    ) -> bool {
        if lookup.holds(ring, seen.position, block) {
            return false;
        }
        if lookup.noted_by_living(ring, seen.position)
            || lookup.is_claimed(ring, seen.position, block)
        {
            repaired.pending += 1;
            return false;
        }
        let freed = self.control(block).reclaim(seen);
        crash_point!("pool.recover.reclaimed");
        repaired.freed += u64::from(freed);
        freed
    }

    /// How many blocks of each class are in use and how many of them are free: (blocks, free, payload bytes), smallest
    /// class first. For people who look; counts may be old when they arrive.
    pub fn census(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.geometry().classes().iter().enumerate().map(|(c, class)| {
            let blocks = (self.words_in_use(class) * 64).min(class.count);
            let is_free = |index: &u32| {
                let block = BlockRef { class: c as u8, index: *index };
                self.control(block).look().0 == State::Free
            };
            let free = (0..blocks).filter(is_free).count() as u64;
            (u64::from(blocks), free, class.payload)
        })
    }

    /// Whether blocks of this class carry their control word themselves.
    pub fn is_small(&self, block: BlockRef) -> bool {
        Geometry::is_small(block.class)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::pool::tests::{me, memory};
    use super::super::{Magazines, NoteLine};
    use super::*;

    const RING: u32 = 7;

    /// One ring position that may hold a block, and one that a living process may note.
    #[derive(Default)]
    struct World {
        published: Option<(u64, BlockRef)>,
        noted: Option<u64>,
        claimed: Option<u64>,
    }

    impl Lookup for World {
        fn holds(&self, ring: u32, position: u64, block: BlockRef) -> bool {
            ring == RING && self.published == Some((position, block))
        }

        fn noted_by_living(&self, ring: u32, position: u64) -> bool {
            ring == RING && self.noted == Some(position)
        }

        fn is_claimed(&self, ring: u32, position: u64, _: BlockRef) -> bool {
            ring == RING && self.claimed == Some(position)
        }
    }

    fn other() -> OwnerId {
        OwnerId::new(2, 0)
    }

    #[test]
    fn a_dead_owners_blocks_are_freed_and_a_living_owners_are_not() {
        let m = memory();
        let mut mags = Magazines::default();
        let dead = m.pool.alloc(&mut mags, 64, me(), &m).unwrap();
        let large = m.pool.alloc(&mut mags, 10_000, me(), &m).unwrap();
        let living = m.pool.alloc(&mut mags, 64, other(), &m).unwrap();
        let repaired = m.pool.recover(me(), &World::default());
        assert_eq!((repaired.freed, repaired.pending), (2, 0));
        assert_eq!(m.pool.control(dead).look().0, State::Free);
        assert_eq!(m.pool.control(large).look().0, State::Free);
        assert!(m.pool.control(living).is_owned_by(other()));
        assert_eq!(m.pool.recover(me(), &World::default()).freed, 0, "idempotent");
    }

    #[test]
    fn the_magazine_of_a_killed_process_is_listed_again() {
        let m = memory();
        let lost = m.pool.alloc(&mut Magazines::default(), 64, me(), &m).unwrap();
        m.pool.recover(me(), &World::default());
        let found = m.pool.alloc(&mut Magazines::default(), 64, other(), &m).unwrap();
        assert_eq!(found, lost, "the same word is taken from, not a new one");
    }

    #[test]
    fn a_published_block_survives_its_producer() {
        let m = memory();
        let block = m.pool.alloc(&mut Magazines::default(), 64, me(), &m).unwrap();
        m.pool.control(block).send_at(me(), RING, 5);
        let world = World { published: Some((5, block)), ..World::default() };
        assert_eq!(m.pool.recover(me(), &world).freed, 0);
        assert!(m.pool.control(block).taken(other(), RING, 5));
    }

    #[test]
    fn a_block_whose_producer_died_before_publication_is_freed() {
        let m = memory();
        let block = m.pool.alloc(&mut Magazines::default(), 64, me(), &m).unwrap();
        m.pool.control(block).send_at(me(), RING, 5);
        assert_eq!(m.pool.recover(me(), &World::default()).freed, 1);
    }

    #[test]
    fn a_living_takers_note_is_waited_out() {
        let m = memory();
        let block = m.pool.alloc(&mut Magazines::default(), 64, me(), &m).unwrap();
        m.pool.control(block).send_at(me(), RING, 5);
        let world = World { noted: Some(5), ..World::default() };
        let repaired = m.pool.recover(me(), &world);
        assert_eq!((repaired.freed, repaired.pending), (0, 1));
        assert!(m.pool.control(block).taken(other(), RING, 5), "the taker goes on");
    }

    #[test]
    fn a_block_that_is_claimed_for_a_lease_is_not_freed_but_salvaged() {
        let m = memory();
        let block = m.pool.alloc(&mut Magazines::default(), 64, me(), &m).unwrap();
        let control = m.pool.control(block);
        let (from, to) = ((RING, 5), (RING + 1, 9));
        let salvage = |is_there, noted| salvage(control, other(), from, to, || is_there, || noted);
        assert_eq!(salvage(false, false), Salvage::Nothing, "it was never on its way");
        control.send_at(me(), RING, 5);
        let world = World { claimed: Some(5), ..World::default() };
        let note = Note {
            ring: RING,
            position: 5,
            descriptor: Descriptor::Block { block, len: 1 }.encode(),
        };
        for repaired in [m.pool.recover(me(), &world), m.pool.recover_note(note, &world)] {
            assert_eq!((repaired.freed, repaired.pending), (0, 1));
        }
        assert_eq!(salvage(true, false), Salvage::Nothing, "nobody has taken it");
        assert_eq!(salvage(false, true), Salvage::Wait);
        assert_eq!(salvage(false, false), Salvage::Kept);
        assert_eq!(salvage(false, false), Salvage::Kept, "idempotent");
        assert_eq!(control.look().0, State::InFlight(other(), RING + 1));
        assert_eq!(
            m.pool.recover_note(note, &World::default()),
            Repaired::default(),
            "it moved on"
        );
    }

    #[test]
    fn a_dead_takers_note_frees_the_block_of_a_living_producer() {
        let m = memory();
        let block = m.pool.alloc(&mut Magazines::default(), 64, other(), &m).unwrap();
        m.pool.control(block).send_at(other(), RING, 5);
        let line = NoteLine::new();
        assert!(line.claim(me()));
        line.write(RING, 5, Descriptor::Block { block, len: 64 }.encode());
        let note = line.read().unwrap();
        let still_there = World { published: Some((5, block)), ..World::default() };
        assert_eq!(m.pool.recover_note(note, &still_there), Repaired::default());
        assert_eq!(m.pool.recover_note(note, &World::default()).freed, 1);
        assert_eq!(m.pool.recover_note(note, &World::default()), Repaired::default());
        line.recover(me());
        assert_eq!((line.owner(), line.read()), (None, None));
    }

    #[test]
    fn a_note_about_a_block_that_moved_on_touches_nothing() {
        let m = memory();
        let block = m.pool.alloc(&mut Magazines::default(), 64, other(), &m).unwrap();
        m.pool.control(block).send_at(other(), RING, 6);
        let descriptor = Descriptor::Block { block, len: 64 }.encode();
        let old = Note { ring: RING, position: 5, descriptor };
        assert_eq!(m.pool.recover_note(old, &World::default()), Repaired::default());
        let forged = Note { descriptor: u64::MAX, ..old };
        assert_eq!(m.pool.recover_note(forged, &World::default()), Repaired::default());
    }
}
