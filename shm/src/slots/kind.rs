//! What the death procedure and observers ask of a slot ring. It holds no blocks, and whose a side is stands in its words.

use slipring_core::directory::Place;
use slipring_core::owner::OwnerId;

use super::end::Words;
use crate::memory::Regions;
use crate::object::{About, ObjectKind, Role, nothing, words_at};

/// A slot ring.
pub(crate) struct SlotsKind;

impl ObjectKind for SlotsKind {
    nothing! { layout survey free_locks side_left drain unmake about }

    fn has_handles(&self) -> bool {
        true
    }

    fn wake(&self, regions: &Regions, place: Place) {
        if let Some(words) = words_at::<Words>(regions, place) {
            words.wake_all();
        }
    }

    fn side_emptied(&self, regions: &Regions, place: Place, role: Role) {
        if let Some(words) = words_at::<Words>(regions, place) {
            words.sides().side_gone(role.side());
            crash_point!("slots.side_emptied.marked");
        }
    }
}
