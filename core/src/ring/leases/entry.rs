//! One entry of a table of leases: its words, and what they say. Pure but for the words themselves.

use crate::owner::OwnerId;
use crate::primitive::{AtomicU64, Pair};

/// The most entries of a table.
pub const MAX_ENTRIES: u32 = 1 << PLACE_BITS;
/// Deliveries are counted up to here.
pub const MAX_DELIVERIES: u32 = (1 << DELIVERY_BITS) - 1;

pub(super) const FREE: u64 = 0;
pub(super) const CLAIMED: u64 = 1;
pub(super) const LEASED: u64 = 2;
pub(super) const GIVEN_BACK: u64 = 3;
pub(super) const OPENED: u64 = 4;
pub(super) const ASIDE: u64 = 5;
pub(super) const STATE_BITS: u32 = 3;
pub(super) const DELIVERY_BITS: u32 = 16;
pub(super) const OWNER_SHIFT: u32 = STATE_BITS + DELIVERY_BITS;
pub(super) const PLACE_BITS: u32 = 16;

/// One entry of shared memory.
#[cfg_attr(not(loom), repr(C, align(64)))]
#[derive(Debug)]
pub(super) struct Entry {
    /// Word and number.
    pub(super) word: Pair,
    /// The item's block.
    pub(super) descriptor: AtomicU64,
    /// Where in the queue the item was: what comes first goes out first, again.
    pub(super) order: AtomicU64,
    /// When it was leased, counted by its owner's process.
    pub(super) since: AtomicU64,
    /// Through which handle, in the same way.
    pub(super) tag: AtomicU64,
}

/// What an entry's word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nobody's.
    Free,
    /// This participant is about to take an item.
    Claimed(OwnerId),
    /// This participant works at an item.
    Leased(OwnerId),
    /// An item that waits for somebody.
    GivenBack,
    /// A dead letter in this participant's hands.
    Opened(OwnerId),
    /// A dead letter.
    Aside,
    /// Not a state: some process wrote where it must not.
    Corrupt,
}

/// What was found in an entry, for the CAS that changes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Which entry.
    pub index: u32,
    pub(super) word: u64,
    pub(super) number: u64,
}

/// An entry in the hands of a participant: a claim, a lease, or an opened dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    pub(super) index: u32,
    pub(super) number: u64,
    pub(super) deliveries: u32,
}

/// Why a lease could not be ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotHeld {
    /// It was ended, given back or set aside before.
    Ended,
    /// The caller never had it.
    NotYours,
}

impl State {
    /// Whether it is a dead letter, in somebody's hands or not.
    pub fn is_letter(self) -> bool {
        matches!(self, Self::Opened(_) | Self::Aside)
    }
}

impl Seen {
    /// What the word says.
    pub fn state(&self) -> State {
        let owner = OwnerId::from_bits((self.word >> OWNER_SHIFT) as u32);
        match (self.word & ((1 << STATE_BITS) - 1), owner) {
            (FREE, _) => State::Free,
            (CLAIMED, Some(owner)) => State::Claimed(owner),
            (LEASED, Some(owner)) => State::Leased(owner),
            (OPENED, Some(owner)) => State::Opened(owner),
            (GIVEN_BACK, _) => State::GivenBack,
            (ASIDE, _) => State::Aside,
            _ => State::Corrupt,
        }
    }

    /// How many times the item was delivered.
    pub fn deliveries(&self) -> u32 {
        (self.word >> STATE_BITS) as u32 & MAX_DELIVERIES
    }

    pub(super) fn hold(&self, deliveries: u32) -> Hold {
        Hold { index: self.index, number: self.number, deliveries }
    }
}

impl Hold {
    /// Which entry.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many times the item was delivered, this time included.
    pub fn deliveries(self) -> u32 {
        self.deliveries
    }

    /// Where the item's block is in flight: entry and number in one.
    pub fn place(self) -> u64 {
        place(self.index, self.number)
    }

    /// The hold as one number, for [`Leases::by_id`](super::Leases::by_id). Numbers count modulo 2^32.
    pub fn id(self) -> u64 {
        self.number << 32 | u64::from(self.deliveries) << PLACE_BITS | u64::from(self.index)
    }
}

#[inline]
pub(super) fn place(index: u32, number: u64) -> u64 {
    number << PLACE_BITS | u64::from(index)
}

#[inline]
pub(super) fn word(state: u64, owner: Option<OwnerId>, deliveries: u32) -> u64 {
    let owner = owner.map_or(0, |owner| u64::from(owner.bits()));
    owner << OWNER_SHIFT | u64::from(deliveries.min(MAX_DELIVERIES)) << STATE_BITS | state
}
