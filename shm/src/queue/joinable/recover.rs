//! What the death procedure does with a joinable queue: the dead's items go to others, and nothing that was put is lost.
//!
//! An item is in exactly one place at any time, and its block's control word says which:
//!
//! | killed | the item is | and is found by |
//! |---|---|---|
//! | before the pop | in the ring | the next receiver |
//! | between the pop and the redirection of its block | in flight in a ring that no longer holds it; the dead one's claim names it | [`Desks::recover`], which does the redirection |
//! | between the redirection and the lease | in flight at the claim's place | [`Desks::recover`] |
//! | with a lease | in flight at the lease's place | [`Desks::recover`], and the next receiver |
//! | between the end of a lease and the freeing of its block | finished; its block is in flight at a place whose number is over | the pool's recovery, which frees it |

use slipring_core::block::Descriptor;
use slipring_core::block::recover::{self, Salvage};
use slipring_core::directory::Place;
use slipring_core::owner::OwnerId;
use slipring_core::ring::leases::{Hold, Leases};

use super::desk;
use super::order::{order_of, position_of};
use crate::memory::Regions;
use crate::object::{self};
use crate::queue;

/// The table of the queue at `place`, and its number.
pub(super) fn table_of(regions: &Regions, place: Place) -> Option<(u32, Leases)> {
    queue::chain_at(regions, place)?;
    let body = object::body_at(regions, place)?;
    let table = desk::table_at(body.at, body.len).ok()?;
    Some((desk::table_id(body.offset).ok()?, table))
}

/// What of a queue the death procedure looks at.
pub(super) struct Desks {
    table_id: u32,
    table: Leases,
    rings: Vec<(u32, slipring_core::ring::mpmc::Ring)>,
}

impl Desks {
    pub(super) fn new(regions: &Regions, place: Place) -> Option<Self> {
        let (table_id, table) = table_of(regions, place)?;
        Some(Self { table_id, table, rings: queue::rings_of(regions, place) })
    }

    /// The table's number.
    pub(super) fn number(&self) -> u32 {
        self.table_id
    }

    /// Whether the item whose block is in flight at this place of the table is wanted there.
    pub(super) fn holds(&self, ring: u32, position: u64, names_it: impl Fn(u64) -> bool) -> bool {
        ring == self.table_id && self.table.holds(position, names_it)
    }

    /// Whether a claim names what was at this position of one of the queue's rings.
    pub(super) fn is_claimed(
        &self,
        ring: u32,
        position: u64,
        names_it: impl Fn(u64) -> bool,
    ) -> bool {
        let level = self.rings.iter().position(|(id, _)| *id == ring);
        level.is_some_and(|level| self.table.is_claimed(order_of(level, position), names_it))
    }

    /// Gives the dead's items back. Returns how many claims a living process's note keeps from being decided.
    pub(super) fn recover(
        &self,
        regions: &Regions,
        is_dead: impl Fn(OwnerId) -> bool,
        noted_by_living: impl Fn(u32, u64) -> bool,
    ) -> u64 {
        self.table.recover(is_dead, |claim, owner, descriptor, order| {
            self.salvage(regions, claim, owner, descriptor, order, &noted_by_living)
        })
    }

    /// Whether a dead one has taken what its claim names. By then the item's block is, or goes to, the claim's place.
    fn salvage(
        &self,
        regions: &Regions,
        claim: Hold,
        owner: OwnerId,
        descriptor: u64,
        order: u64,
        noted_by_living: impl Fn(u32, u64) -> bool,
    ) -> Salvage {
        let named = Descriptor::block_of(descriptor).and_then(|b| regions.pool.check(b, 0));
        let Some(block) = named else { return Salvage::Nothing };
        let (level, position) = position_of(order);
        let Some((id, ring)) = self.rings.get(level) else { return Salvage::Nothing };
        let names_it = |word| Descriptor::block_of(word) == Some(block);
        recover::salvage(
            regions.pool.control(block),
            owner,
            (*id, position),
            (self.table_id, claim.place()),
            || ring.holds(position, names_it),
            || noted_by_living(*id, position),
        )
    }
}
