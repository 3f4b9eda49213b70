//! What the death procedure and observers ask of a joinable queue: what they ask of a queue, and more.

use slipring_core::block::{BlockRef, Descriptor};
use slipring_core::directory::Place;
use slipring_core::owner::OwnerId;
use slipring_core::ring::leases;

use super::recover::{self, Desks};
use crate::memory::Regions;
use crate::object::{About, Found, ObjectKind, Role, nothing};
use crate::queue::QueueKind;

/// A joinable queue. Its body begins as a queue's does.
pub(crate) struct JoinableKind;

impl ObjectKind for JoinableKind {
    nothing! { free_locks unmake }

    fn layout(&self) -> &'static [u64] {
        &[leases::LAYOUT_BYTES]
    }

    fn has_handles(&self) -> bool {
        true
    }

    fn survey(&self, regions: &Regions, place: Place) -> Option<Box<dyn Found>> {
        let rings = QueueKind.survey(regions, place)?;
        Some(Box::new(RingsAndTable { rings, desks: Desks::new(regions, place) }))
    }

    fn side_left(&self, regions: &Regions, place: Place, role: Role, me: OwnerId) {
        if role == Role::Second {
            recover::give_up(regions, place, me);
        }
    }

    fn side_emptied(&self, regions: &Regions, place: Place, role: Role) {
        QueueKind.side_emptied(regions, place, role);
    }

    fn wake(&self, regions: &Regions, place: Place) {
        recover::wake(regions, place);
    }

    fn drain(&self, regions: &Regions, place: Place, me: OwnerId) {
        recover::drain(regions, place, me);
        QueueKind.drain(regions, place, me);
    }

    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About {
        recover::about(regions, place, ids)
    }
}

/// The rings of one queue and, if it can be read, its table of leases.
struct RingsAndTable {
    rings: Box<dyn Found>,
    desks: Option<Desks>,
}

impl Found for RingsAndTable {
    fn numbers(&self) -> Vec<u32> {
        let table = self.desks.as_ref().map(Desks::number);
        self.rings.numbers().into_iter().chain(table).collect()
    }

    fn holds(&self, number: u32, position: u64, block: BlockRef) -> bool {
        let names_it = |word| Descriptor::block_of(word) == Some(block);
        self.rings.holds(number, position, block)
            || self.desks.as_ref().is_some_and(|desks| desks.holds(number, position, names_it))
    }

    fn is_claimed(&self, number: u32, position: u64, block: BlockRef) -> bool {
        let names_it = |word| Descriptor::block_of(word) == Some(block);
        self.desks.as_ref().is_some_and(|desks| desks.is_claimed(number, position, names_it))
    }

    fn give_back_leases(
        &self,
        regions: &Regions,
        is_dead: &dyn Fn(OwnerId) -> bool,
        noted: &dyn Fn(u32, u64) -> bool,
    ) -> u64 {
        self.desks.as_ref().map_or(0, |desks| desks.recover(regions, is_dead, noted))
    }
}
