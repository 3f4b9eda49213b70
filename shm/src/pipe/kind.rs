//! What the death procedure and observers ask of a pipe, and of an acceptor of pipes.

use slipring_core::block::BlockRef;
use slipring_core::directory::Place;
use slipring_core::owner::OwnerId;
use slipring_core::ring::spsc_records::Records;

use super::{lane, listening};
use crate::memory::Regions;
use crate::object::{About, Found, ObjectKind, Role, nothing};

/// A pipe.
pub(crate) struct PipeKind;

impl ObjectKind for PipeKind {
    nothing! { side_left unmake }

    fn layout(&self) -> &'static [u64] {
        &[lane::BODY_BYTES]
    }

    fn has_handles(&self) -> bool {
        true
    }

    fn survey(&self, regions: &Regions, place: Place) -> Option<Box<dyn Found>> {
        Some(Box::new(Rings(lane::rings_of(regions, place))))
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        lane::free_locks(regions, place, dead);
    }

    fn side_emptied(&self, regions: &Regions, place: Place, role: Role) {
        lane::side_emptied(regions, place, role);
    }

    fn wake(&self, regions: &Regions, place: Place) {
        lane::wake(regions, place);
    }

    fn drain(&self, regions: &Regions, place: Place, me: OwnerId) {
        lane::drain(regions, place, me);
    }

    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About {
        lane::about(regions, place, ids)
    }
}

/// The rings of one pipe, by number.
struct Rings(Vec<(u32, Records)>);

impl Found for Rings {
    fn numbers(&self) -> Vec<u32> {
        self.0.iter().map(|(number, _)| *number).collect()
    }

    fn holds(&self, number: u32, position: u64, block: BlockRef) -> bool {
        let mut rings = self.0.iter();
        rings.any(|(id, ring)| *id == number && lane::names_block(ring, position, block))
    }

    fn is_claimed(&self, _number: u32, _position: u64, _block: BlockRef) -> bool {
        false
    }

    fn give_back_leases(
        &self,
        _: &Regions,
        _is_dead: &dyn Fn(OwnerId) -> bool,
        _noted: &dyn Fn(u32, u64) -> bool,
    ) -> u64 {
        0
    }
}

/// An acceptor. Its pipes are objects of their own.
pub(crate) struct AcceptorKind;

impl ObjectKind for AcceptorKind {
    nothing! { survey free_locks side_left side_emptied wake drain unmake }

    fn layout(&self) -> &'static [u64] {
        &[listening::BODY_BYTES]
    }

    fn has_handles(&self) -> bool {
        true
    }

    fn about(&self, regions: &Regions, place: Place, _ids: &[OwnerId]) -> About {
        let Some(glance) = listening::glance_at_acceptor(regions, place) else {
            return About::damaged();
        };
        let state = if glance.listens { "listens" } else { "does not listen yet" };
        About::state(format!("{state}; {} accepted", glance.accepted))
    }
}
