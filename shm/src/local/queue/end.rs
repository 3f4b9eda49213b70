//! What senders and receivers have in common: the chain of rings, and where in it one handle is.

use std::sync::Arc;

use slipring_core::futex::Scope;
use slipring_core::primitive::check_cpu;
use slipring_core::ring::chain::{Bound, Chain, MAX_LEVELS};
use slipring_core::ring::mpmc::Ring;
use slipring_core::ring::sides::Side;

use super::rings::Rings;
use crate::local::threads::new_spin;
use crate::wait::Spin;
use crate::{Error, Result};

/// The first ring is number 1: 0 is none.
const FIRST_ID: u32 = 1;

/// Being at one side of a queue. When the last handle of the side drops its share, the side is gone, and for good: new
/// handles come from old ones only.
pub(in crate::local) struct Presence {
    chain: Arc<Chain>,
    side: Side,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.chain.sides().side_gone(self.side);
        self.chain.wake_all(Scope::Private);
    }
}

/// Reading a queue. When the last receiver drops its share, what nobody has read goes, for nobody can: new receivers come
/// from old ones only.
pub(super) struct Reading<T> {
    chain: Arc<Chain>,
    rings: Arc<Rings<T>>,
}

impl<T> Reading<T> {
    pub(super) fn new(end: &End<T>) -> Self {
        Self { chain: end.chain.clone(), rings: end.rings.clone() }
    }
}

impl<T> Drop for Reading<T> {
    fn drop(&mut self) {
        self.rings.forsake();
        sweep(&self.chain, &self.rings);
    }
}

/// Drops what is in the queue, and tells senders that there is room. No lock is held meanwhile: destructors may come back
/// here.
#[cold]
pub(super) fn sweep<T>(chain: &Chain, rings: &Rings<T>) {
    /// Tells them also where a destructor panics.
    struct Room<'a>(&'a Chain);

    impl Drop for Room<'_> {
        fn drop(&mut self) {
            self.0.not_full.wake_all(Scope::Private);
        }
    }

    let _room = Room(chain);
    rings.sweep();
}

/// Which ring of the chain a handle is at.
pub(super) struct Cursor {
    level: usize,
    pub(super) ring: Ring,
}

/// One side's handle.
pub(super) struct End<T> {
    pub(super) chain: Arc<Chain>,
    pub(super) rings: Arc<Rings<T>>,
    pub(super) presence: Arc<Presence>,
    pub(super) cursor: Cursor,
    pub(super) spin: Spin,
    pub(super) bound: Bound,
}

/// Makes a queue and a handle of each side.
pub(super) fn create<T>(bound: Bound) -> Result<(End<T>, End<T>)> {
    check_cpu()?;
    let (Bound::Bounded(capacity) | Bound::Unbounded(capacity)) = bound;
    let rings = Arc::new(Rings::new(capacity)?);
    let chain = Arc::new(Chain::new(bound, FIRST_ID));
    let end = |side| End::new(&chain, &rings, Arc::new(Presence { chain: chain.clone(), side }));
    Ok((end(Side::Senders)?, end(Side::Receivers)?))
}

impl<T> End<T> {
    fn new(chain: &Arc<Chain>, rings: &Arc<Rings<T>>, presence: Arc<Presence>) -> Result<Self> {
        let level = match presence.side {
            Side::Senders => chain.tail_level(),
            Side::Receivers => chain.head_level(),
        };
        let cursor = Cursor { level, ring: ring_at(chain, rings, level)? };
        let (chain, rings, bound) = (chain.clone(), rings.clone(), chain.bound());
        Ok(Self { chain, rings, presence, cursor, spin: new_spin(), bound })
    }

    /// What keeps this side from going on: the queue was closed, or the other side is gone.
    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        check_open(&self.chain, &self.presence)
    }

    /// How many values are in it: exact if nobody is at work meanwhile.
    pub(super) fn len(&self) -> u64 {
        match self.bound {
            Bound::Bounded(_) => self.cursor.ring.len(),
            Bound::Unbounded(_) => self.rings.len(),
        }
    }

    /// The most values that it holds.
    pub(super) fn capacity(&self) -> Option<u64> {
        match self.bound {
            Bound::Bounded(capacity) => Some(capacity),
            Bound::Unbounded(_) => None,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.capacity().is_some_and(|capacity| self.len() >= capacity)
    }

    pub(super) fn close(&self) {
        self.chain.sides().close();
        self.chain.wake_all(Scope::Private);
    }

    /// Hangs a larger ring in behind the one that the cursor is at, unless somebody did, and closes that one.
    #[cold]
    pub(super) fn grow(&self, first: u64) -> Result<()> {
        let next = self.cursor.level + 1;
        let capacity = Chain::capacity_of_level(first, next);
        if next >= MAX_LEVELS {
            return Err(Error::NoSpace { wanted: Ring::bytes(capacity).unwrap_or(0) as u64 });
        }
        self.rings.grow(&self.chain, next, capacity)?;
        self.cursor.ring.close_if_full();
        Ok(())
    }

    /// On to the next ring, as a sender.
    #[cold]
    pub(super) fn advance_tail(&mut self) -> Result<()> {
        self.cursor.advance(&self.chain, &self.rings)?;
        self.chain.advance_tail(self.cursor.level);
        Ok(())
    }
}

impl<T> Clone for End<T> {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            rings: self.rings.clone(),
            presence: self.presence.clone(),
            cursor: Cursor { ..self.cursor },
            spin: new_spin(),
            bound: self.bound,
        }
    }
}

impl Cursor {
    fn advance<T>(&mut self, chain: &Chain, rings: &Rings<T>) -> Result<()> {
        let level = self.level + 1;
        *self = Self { level, ring: ring_at(chain, rings, level)? };
        Ok(())
    }

    /// On to the next ring, as a receiver.
    #[cold]
    pub(super) fn advance_head<T>(&mut self, chain: &Chain, rings: &Rings<T>) -> Result<()> {
        self.advance(chain, rings)?;
        chain.advance_head(self.level);
        Ok(())
    }
}

/// As [`End::check_open`], while the rest of the handle is at work.
#[inline]
pub(super) fn check_open(chain: &Chain, presence: &Presence) -> Result<()> {
    if chain.sides().is_open() { Ok(()) } else { check_sides(chain, presence) }
}

#[cold]
fn check_sides(chain: &Chain, presence: &Presence) -> Result<()> {
    let other = match presence.side {
        Side::Senders => Side::Receivers,
        Side::Receivers => Side::Senders,
    };
    if chain.sides().is_closed() {
        Err(Error::Closed)
    } else if chain.sides().is_side_gone(other) {
        Err(Error::Disconnected)
    } else {
        Ok(())
    }
}

/// The ring of a level.
fn ring_at<T>(chain: &Chain, rings: &Rings<T>, level: usize) -> Result<Ring> {
    chain.level(level).and_then(|id| rings.get(id)).ok_or_else(damaged)
}

/// Nobody but us writes to this memory, so something in this process writes where it must not.
#[cold]
pub(super) fn damaged() -> Error {
    Error::Corrupt { what: "a queue's ring is damaged" }
}
