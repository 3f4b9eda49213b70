//! What the death procedure and observers ask of a LIFO or priority queue.

use slipring_core::block::{BlockRef, Descriptor};
use slipring_core::directory::Place;
use slipring_core::owner::OwnerId;
use slipring_core::ring::{heap, stack};

use super::end::{self, Store};
use crate::memory::Regions;
use crate::object::{About, Found, ObjectKind, Role, nothing};

/// A LIFO or priority queue.
pub(crate) struct OrderedKind;

impl ObjectKind for OrderedKind {
    nothing! { side_left unmake }

    fn layout(&self) -> &'static [u64] {
        const HEAP: u64 = (size_of::<heap::Header>() + size_of::<heap::Slot>()) as u64;
        &[end::BODY_BYTES, size_of::<stack::Header>() as u64, HEAP]
    }

    fn has_handles(&self) -> bool {
        true
    }

    fn survey(&self, regions: &Regions, place: Place) -> Option<Box<dyn Found>> {
        let (number, store) = end::store_of(regions, place)?;
        Some(Box::new(FoundStore { number, store }))
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        end::free_locks(regions, place, dead);
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

    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About {
        end::about(regions, place, ids)
    }
}

/// The store of one queue, and its number.
struct FoundStore {
    number: u32,
    store: Store,
}

impl Found for FoundStore {
    fn numbers(&self) -> Vec<u32> {
        vec![self.number]
    }

    fn holds(&self, _number: u32, position: u64, block: BlockRef) -> bool {
        self.store.holds(position, |word| Descriptor::block_of(word) == Some(block))
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
