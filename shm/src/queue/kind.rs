//! What the death procedure and observers ask of a queue, and of the rings that it consists of.

use slipring_core::block::{BlockRef, Descriptor};
use slipring_core::directory::Place;
use slipring_core::member::Holders;
use slipring_core::owner::OwnerId;
use slipring_core::ring::mpmc::Ring;

use super::end;
use crate::memory::Regions;
use crate::object::{About, Found, ObjectKind, Role, nothing};

/// A queue.
pub(crate) struct QueueKind;

impl ObjectKind for QueueKind {
    nothing! { free_locks side_left unmake }

    fn layout(&self) -> &'static [u64] {
        &[size_of::<Holders>() as u64, end::BODY_BYTES]
    }

    fn has_handles(&self) -> bool {
        true
    }

    fn survey(&self, regions: &Regions, place: Place) -> Option<Box<dyn Found>> {
        Some(Box::new(Rings(end::rings_of(regions, place))))
    }

    fn side_emptied(&self, regions: &Regions, place: Place, role: Role) {
        end::side_emptied(regions, place, role);
    }

    fn wake(&self, regions: &Regions, place: Place) {
        end::wake(regions, place);
    }

    fn drain(&self, regions: &Regions, place: Place, me: OwnerId) {
        end::drain(regions, place, me);
    }

    fn about(&self, regions: &Regions, place: Place, _ids: &[OwnerId]) -> About {
        end::about(regions, place)
    }
}

/// The rings of one queue, by number.
struct Rings(Vec<(u32, Ring)>);

impl Found for Rings {
    fn numbers(&self) -> Vec<u32> {
        self.0.iter().map(|(number, _)| *number).collect()
    }

    fn holds(&self, number: u32, position: u64, block: BlockRef) -> bool {
        let names_it = |word| Descriptor::block_of(word) == Some(block);
        self.0.iter().any(|(id, ring)| *id == number && ring.holds(position, names_it))
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

/// A ring of a queue, which does everything for it.
pub(crate) struct RingKind;

impl ObjectKind for RingKind {
    nothing! { layout survey free_locks side_left side_emptied wake drain unmake about }

    fn has_handles(&self) -> bool {
        false
    }
}
