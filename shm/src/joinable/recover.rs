//! What the death procedure does with a joinable queue: the dead's items go to others, and nothing that was put is lost.
//!
//! An item is in exactly one place at any time, and its block's control word says which:
//!
//! | killed | the item is | and is found by |
//! |---|---|---|
//! | before the pop | in the ring | the next receiver |
//! | between the pop and the redirection of its block | in flight in a ring that no longer holds it; the dead one's claim names it | [`recover`], which does the redirection |
//! | between the redirection and the lease | in flight at the claim's place | [`recover`] |
//! | with a lease | in flight at the lease's place | [`recover`], and the next receiver |
//! | between the end of a lease and the freeing of its block | finished; its block is in flight at a place whose number is over | the pool's recovery, which frees it |

use slipring_core::block::Descriptor;
use slipring_core::block::recover::{self, Salvage};
use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::ring::leases::{Hold, Leases, State};

use super::desk;
use super::receiver::{order_of, position_of};
use crate::attachment::Attachment;
use crate::object::HEADER_BYTES;
use crate::queue;

/// The table of the queue at `place`, and its number.
pub(crate) fn table_of(attachment: &Attachment, place: Place) -> Option<(u32, Leases)> {
    queue::chain_at(attachment, place)?;
    let (offset, len) = (place.offset + HEADER_BYTES, place.len - HEADER_BYTES);
    if !attachment.arena_is_committed(offset, len) {
        return None;
    }
    let table = desk::table_at(attachment.arena(offset, len).ok()?, len).ok()?;
    Some((desk::table_id(offset).ok()?, table))
}

/// What of a queue the death procedure looks at.
pub(crate) struct Desks {
    table_id: u32,
    table: Leases,
    rings: Vec<(u32, slipring_core::ring::mpmc::Ring)>,
}

impl Desks {
    pub(crate) fn new(attachment: &Attachment, place: Place) -> Option<Self> {
        let (table_id, table) = table_of(attachment, place)?;
        Some(Self { table_id, table, rings: queue::rings_of(attachment, place) })
    }

    /// Whether the item whose block is in flight at this place of the table is wanted there.
    pub(crate) fn holds(&self, ring: u32, position: u64, names_it: impl Fn(u64) -> bool) -> bool {
        ring == self.table_id && self.table.holds(position, names_it)
    }

    /// Whether a claim names what was at this position of one of the queue's rings.
    pub(crate) fn is_claimed(
        &self,
        ring: u32,
        position: u64,
        names_it: impl Fn(u64) -> bool,
    ) -> bool {
        let level = self.rings.iter().position(|(id, _)| *id == ring);
        level.is_some_and(|level| self.table.is_claimed(order_of(level, position), names_it))
    }

    /// Gives the dead's items back. Returns how many claims a living process's note keeps from being decided.
    pub(crate) fn recover(
        &self,
        attachment: &Attachment,
        is_dead: impl Fn(OwnerId) -> bool,
        noted_by_living: impl Fn(u32, u64) -> bool,
    ) -> u64 {
        self.table.recover(is_dead, |claim, owner, descriptor, order| {
            self.salvage(attachment, claim, owner, descriptor, order, &noted_by_living)
        })
    }

    /// Whether a dead one has taken what its claim names. By then the item's block is, or goes to, the claim's place.
    fn salvage(
        &self,
        attachment: &Attachment,
        claim: Hold,
        owner: OwnerId,
        descriptor: u64,
        order: u64,
        noted_by_living: impl Fn(u32, u64) -> bool,
    ) -> Salvage {
        let named = Descriptor::block_of(descriptor).and_then(|b| attachment.pool.check(b, 0));
        let Some(block) = named else { return Salvage::Nothing };
        let (level, position) = position_of(order);
        let Some((id, ring)) = self.rings.get(level) else { return Salvage::Nothing };
        let names_it = |word| Descriptor::block_of(word) == Some(block);
        recover::salvage(
            attachment.pool.control(block),
            owner,
            (*id, position),
            (self.table_id, claim.place()),
            || ring.holds(position, names_it),
            || noted_by_living(*id, position),
        )
    }
}

/// What there is to say of a queue, for people who look.
pub(crate) struct Glance {
    pub(crate) unfinished: u64,
    pub(crate) given_back: u64,
    pub(crate) letters: u64,
    /// Whose the leases are: as many times as that one has some.
    pub(crate) leases: Vec<OwnerId>,
}

/// Looks at the queue at `place`.
pub(crate) fn glance(attachment: &Attachment, place: Place) -> Option<Glance> {
    let (_, table) = table_of(attachment, place)?;
    let rings = queue::rings_of(attachment, place);
    let published =
        || rings.iter().map(|(_, ring)| ring.published()).fold(0_u64, u64::wrapping_add);
    let mut leases = Vec::new();
    table.count_in(|state| {
        if let State::Leased(owner) = state {
            leases.push(owner);
        }
        false
    });
    Some(Glance {
        unfinished: table.unfinished(published),
        given_back: table.count_in(|state| state == State::GivenBack),
        letters: table.count_in(State::is_letter),
        leases,
    })
}

/// Gives back what `me`, who has no receiver any more, leased by id.
pub(crate) fn give_up(attachment: &Attachment, place: Place, me: OwnerId) {
    let Some((_, table)) = table_of(attachment, place) else { return };
    let mut any = false;
    for lease in table.of(me) {
        any |= table.give_back(lease, me).is_ok();
    }
    if any {
        wake(attachment, place);
    }
}

/// Wakes whoever sleeps on the queue at `place`.
pub(crate) fn wake(attachment: &Attachment, place: Place) {
    queue::wake(attachment, place);
    if let Some((_, table)) = table_of(attachment, place) {
        table.finished_event().wake_all(Scope::Shared);
    }
}

/// Frees what is in a queue that nobody has a handle of, as `me`, under the recovery lock.
pub(crate) fn drain(attachment: &Attachment, place: Place, me: OwnerId) {
    if let Some((table_id, table)) = table_of(attachment, place) {
        table.drain(|at, descriptor| {
            let named = Descriptor::block_of(descriptor).and_then(|b| attachment.pool.check(b, 0));
            if let Some(block) = named
                && attachment.pool.control(block).taken(me, table_id, at)
            {
                crash_point!("joinable.drain.taken");
                attachment.pool.free_now(block, me);
            }
        });
    }
    queue::drain(attachment, place, me);
}
