//! What the death procedure and observers ask of a slot ring. It holds no blocks, and whose a side is stands in its words.

use slipring_core::directory::Place;
use slipring_core::owner::OwnerId;

use super::end::Sleepers;
use crate::memory::Regions;
use crate::object::{About, ObjectKind, nothing, words_at};

/// A slot ring.
pub(crate) struct SlotsKind;

impl ObjectKind for SlotsKind {
    nothing! { layout survey free_locks side_left side_emptied drain unmake about }

    fn has_handles(&self) -> bool {
        true
    }

    fn wake(&self, regions: &Regions, place: Place) {
        if let Some(sleepers) = words_at::<Sleepers>(regions, place) {
            sleepers.wake_all();
        }
    }
}
