//! The control word: who answers for a block.
//!
//! # Memory
//!
//! ```text
//!   63           32 31                 2 1     0    63                      0
//! +----------------+--------------------+-------+ +--------------------------+
//! | ring (INFLIGHT)| owner (30)         | state | | position (INFLIGHT)      |
//! +----------------+--------------------+-------+ +--------------------------+
//! ```
//!
//! | state | meaning | left by |
//! |---|---|---|
//! | FREE (0) | nobody's; all-zero memory is FREE | anybody: CAS to OWNED(itself), or to FREE with a note |
//! | OWNED(o) | in the hands of participant o: being filled, or being read | o only; a recoverer once o is dead |
//! | INFLIGHT(o, ring, pos) | o is about to publish it, or has published it, at exactly that position | o before publication; after it the consumer that took the position; a recoverer |
//!
//! While a block is FREE its second word may be a note: the top bit, and a time since when it is known to lie free
//! ([`super::give_back`]). Whatever else is there is what was left by its last life.
//!
//! A table of leases ([`crate::ring::leases`]) counts as a ring: what is leased is in flight at its place there.
//!
//! # Invariants
//!
//! * I1. A living participant changes only controls that it owns, that it took from FREE by CAS, or whose position it
//!   took from a ring by CAS.
//! * I2. `position` is written before the state becomes or while it is INFLIGHT by its owner, never after publication.
//! * I3. (ring, position) never recurs in a living ring, so a recoverer's 16-byte CAS on what it read cannot hit a
//!   later life of the block.
//!
//! # Ordering
//!
//! * E1 "free to owned": `release`'s Release → `acquire`'s Acquire: the last reader's reads are over.
//! * E2 "in flight": `send_at`'s stores → the ring's publication (a full fence) → whoever sees the position.
//! * E3 "taken": `taken`'s Release → the recoverer's Acquire after it saw the taker's note gone.

use crate::owner::OwnerId;
use crate::primitive::{Ordering, Pair};

const FREE: u64 = 0;
const OWNED: u64 = 1;
const INFLIGHT: u64 = 2;
/// What no process writes.
const NO_STATE: u64 = 3;
const OWNER_SHIFT: u32 = 2;
const RING_SHIFT: u32 = 32;
/// Set in the second word of a free block that has a note.
const NOTED: u64 = 1 << if cfg!(loom) { 31 } else { 63 };

/// What a control word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nobody's.
    Free,
    /// In a participant's hands.
    Owned(OwnerId),
    /// About to be, or published by this participant in this ring.
    InFlight(OwnerId, u32),
    /// Not a state: some process wrote where it must not.
    Corrupt,
}

/// The control of one block: 16 bytes of shared memory.
#[repr(transparent)]
#[derive(Debug)]
pub struct Control(Pair);

impl Control {
    /// In no state that there is: nobody acquires it, and it is nobody's.
    pub(super) fn lost() -> Self {
        Self(Pair::new(NO_STATE, 0))
    }
}

/// What a recoverer saw, for its CAS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    word: u64,
    /// The position, meaningful where the state is in flight.
    pub position: u64,
}

impl Control {
    /// A free block.
    #[allow(clippy::new_without_default, reason = "in shared memory it is zeroed memory")]
    pub fn new() -> Self {
        Self(Pair::new(FREE, 0))
    }

    /// FREE to OWNED(me), if it is free.
    #[inline]
    pub fn acquire(&self, me: OwnerId) -> bool {
        // ORDERING: AcqRel, E1.
        self.0.replace_lo(FREE, owned(me), Ordering::AcqRel)
    }

    /// Notes in a block that its owner is about to free that it lies free since `now`.
    #[inline]
    pub fn note_time(&self, now: u64) {
        // ORDERING: Relaxed; the Release of the state goes after it.
        self.0.store_hi(now | NOTED, Ordering::Relaxed);
    }

    /// Since when the block is known to lie free, for [`Control::acquire_seen`]: since `now` where it has no note, as the
    /// death procedure frees blocks, or one from the future; that is noted. `None` where it is not free.
    pub fn seen_free(&self, now: u64) -> Option<(u64, Seen)> {
        // ORDERING: Relaxed; the CAS, here or in `acquire_seen`, confirms that both words belong together.
        let (word, position) = (self.0.lo(Ordering::Relaxed), self.0.hi(Ordering::Relaxed));
        if word != FREE {
            return None;
        }
        let since = position & !NOTED;
        if position & NOTED != 0 && since <= now {
            return Some((since, Seen { word, position }));
        }
        let noted = now | NOTED;
        let is_noted = self.0.replace((FREE, position), (FREE, noted));
        is_noted.then_some((now, Seen { word, position: noted }))
    }

    /// FREE to OWNED(me), if it is free with the note that was seen: it was not in use since.
    pub fn acquire_seen(&self, seen: Seen, me: OwnerId) -> bool {
        // ORDERING: a full fence, E1.
        self.0.replace((FREE, seen.position), (owned(me), seen.position))
    }

    /// OWNED(me) to FREE. Does nothing, and says `false`, where the block is not `me`'s.
    #[inline]
    pub fn release(&self, me: OwnerId) -> bool {
        // ORDERING: Relaxed; only we move it away from OWNED(me) (I1).
        if self.0.lo(Ordering::Relaxed) != owned(me) {
            return false;
        }
        // ORDERING: Release, E1.
        self.0.store_lo(FREE, Ordering::Release);
        true
    }

    /// Says where `me` is about to publish its block. Called again for each attempt.
    #[inline]
    pub fn send_at(&self, me: OwnerId, ring: u32, position: u64) {
        // ORDERING: Relaxed, then Release: who reads INFLIGHT reads the position that goes with it (I2).
        self.0.store_hi(position, Ordering::Relaxed);
        self.0.store_lo(in_flight(me, ring), Ordering::Release);
    }

    /// Takes back a block whose publication failed.
    #[inline]
    pub fn unsend(&self, me: OwnerId) {
        // ORDERING: Release, so that a recoverer never pairs the new state with an older position.
        self.0.store_lo(owned(me), Ordering::Release);
    }

    /// Makes a block `me`'s whose position `me` has just taken from `ring`. Says `false`, and does nothing, where the
    /// block was not in flight there: the descriptor was forged.
    #[inline]
    pub fn taken(&self, me: OwnerId, ring: u32, position: u64) -> bool {
        // ORDERING: Relaxed; E2 came with the position.
        let word = self.0.lo(Ordering::Relaxed);
        let here = word & 3 == INFLIGHT
            && word >> RING_SHIFT == u64::from(ring)
            && self.0.hi(Ordering::Relaxed) == position;
        if here {
            // ORDERING: Release, E3.
            self.0.store_lo(owned(me), Ordering::Release);
        }
        here
    }

    /// Moves a block that is in flight at `from` (ring, position) to `to`, in one step: it answers to `who` from then on.
    /// Says `false`, and does nothing, where it is not there. The caller has taken `from`, or has shown that nobody
    /// living has.
    pub fn redirect(&self, from: (u32, u64), who: OwnerId, to: (u32, u64)) -> bool {
        let (state, seen) = self.look();
        matches!(state, State::InFlight(_, ring) if (ring, seen.position) == from)
            // ORDERING: a full fence; who sees the new place sees what was done before.
            && self.0.replace((seen.word, seen.position), (in_flight(who, to.0), to.1))
    }

    /// Whether it is OWNED(me).
    #[inline]
    pub fn is_owned_by(&self, me: OwnerId) -> bool {
        // ORDERING: Relaxed; only we move it away from OWNED(me) (I1).
        self.0.lo(Ordering::Relaxed) == owned(me)
    }

    /// Reads state and position, for a recoverer.
    pub fn look(&self) -> (State, Seen) {
        // ORDERING: Acquire, E2 and E3; the CAS in `reclaim` confirms that both words belong together.
        let word = self.0.lo(Ordering::Acquire);
        let position = self.0.hi(Ordering::Acquire);
        let owner = OwnerId::from_bits((word >> OWNER_SHIFT) as u32);
        let state = match (word & 3, owner) {
            (FREE, _) if word == FREE => State::Free,
            (OWNED, Some(o)) => State::Owned(o),
            (INFLIGHT, Some(o)) => State::InFlight(o, (word >> RING_SHIFT) as u32),
            _ => State::Corrupt,
        };
        (state, Seen { word, position })
    }

    /// Frees a block that the caller has shown to be nobody's, if it still is what was seen.
    pub fn reclaim(&self, seen: Seen) -> bool {
        // ORDERING: a full fence.
        self.0.replace((seen.word, seen.position), (FREE, seen.position))
    }
}

#[inline]
fn owned(owner: OwnerId) -> u64 {
    u64::from(owner.bits()) << OWNER_SHIFT | OWNED
}

#[inline]
fn in_flight(owner: OwnerId, ring: u32) -> u64 {
    u64::from(ring) << RING_SHIFT | u64::from(owner.bits()) << OWNER_SHIFT | INFLIGHT
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_block_goes_from_hand_to_hand_and_nobody_elses_hand_moves_it() {
        let (p, c) = (OwnerId::new(1, 5), OwnerId::new(2, 6));
        let control = Control::new();
        assert!(control.acquire(p) && !control.acquire(c));
        assert!(!control.release(c));
        control.send_at(p, 77, 1 << 60);
        assert_eq!(control.look().0, State::InFlight(p, 77));
        assert!(!control.taken(c, 77, 1), "another position");
        assert!(!control.taken(c, 78, 1 << 60), "another ring");
        assert!(control.taken(c, 77, 1 << 60));
        assert!(control.is_owned_by(c) && control.release(c));
        assert_eq!(control.look().0, State::Free);
    }

    #[test]
    fn a_block_is_moved_from_the_place_where_it_is_and_from_no_other() {
        let (p, c) = (OwnerId::new(1, 5), OwnerId::new(2, 6));
        let control = Control::new();
        assert!(!control.redirect((7, 3), c, (8, 1)), "it is free");
        assert!(
            control.acquire(p) && !control.redirect((7, 3), c, (8, 1)),
            "it is in somebody's hands"
        );
        control.send_at(p, 7, 3);
        assert!(!control.redirect((7, 4), c, (8, 1)) && !control.redirect((6, 3), c, (8, 1)));
        assert!(control.redirect((7, 3), c, (8, 1)));
        assert_eq!(control.look().0, State::InFlight(c, 8));
        assert!(!control.taken(c, 7, 3) && control.taken(c, 8, 1));
    }

    #[test]
    fn reclaiming_fails_once_anything_moved() {
        let (p, c) = (OwnerId::new(1, 0), OwnerId::new(2, 0));
        let control = Control::new();
        assert!(control.acquire(p));
        control.send_at(p, 7, 9);
        let (_, seen) = control.look();
        control.send_at(p, 7, 10);
        assert!(!control.reclaim(seen));
        let (_, seen) = control.look();
        assert!(control.taken(c, 7, 10) && !control.reclaim(seen));
        let (_, seen) = control.look();
        assert!(control.reclaim(seen) && control.acquire(p));
    }
}
