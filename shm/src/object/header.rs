//! What each object begins with: which participants hold which side.

use slipring_core::directory::{ObjectId, Place};
use slipring_core::member::Holders;
use slipring_core::ring::sides::Side;

use crate::memory::Regions;
use crate::{Error, Result};

/// Which side of an object a handle is of. Objects without sides use the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Role {
    /// Senders, producers, the first end of a pipe; all handles of locks.
    First = 0,
    /// Receivers, consumers, the second end of a pipe; of a barrier, those who have been at it.
    Second = 1,
}

impl Role {
    pub(crate) const ALL: [Self; 2] = [Self::First, Self::Second];

    /// What core calls it.
    pub(crate) fn side(self) -> Side {
        match self {
            Self::First => Side::Senders,
            Self::Second => Side::Receivers,
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// What each object begins with.
#[repr(C)]
pub(crate) struct ObjectHeader {
    roles: [Holders; 2],
}

/// The object that a named segment is made for: the first one in it.
pub(crate) const ROOT: ObjectId = ObjectId { index: 0, generation: 0 };

/// Bytes before an object's body.
pub(crate) const HEADER_BYTES: u64 = size_of::<ObjectHeader>() as u64;

/// A ring, a store or a table of leases has a number: its offset in the arena in these units. It is unique in the segment,
/// for it says where the ring lies.
pub(crate) const RING_UNIT: u64 = 64;

impl ObjectHeader {
    pub(crate) fn holders(&self, role: Role) -> &Holders {
        &self.roles[role as usize]
    }

    /// Whether nobody has a handle any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.roles.iter().all(Holders::is_empty)
    }
}

/// The header of an object that the directory gave out.
///
/// # Errors
///
/// [`Error::Corrupt`] where it lies in memory that nobody paid for.
pub(crate) fn header(regions: &Regions, place: Place) -> Result<&ObjectHeader> {
    if !regions.arena_is_committed(place.offset, HEADER_BYTES) || place.len < HEADER_BYTES {
        return Err(Error::Corrupt { what: "an object lies in memory that nobody paid for" });
    }
    let at = regions.arena(place.offset, HEADER_BYTES)?;
    // SAFETY: in bounds of the arena, aligned to 64, committed, all bit patterns are valid.
    Ok(unsafe { at.cast::<ObjectHeader>().as_ref() })
}
