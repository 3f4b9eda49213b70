//! What the death procedure and observers ask of values and arrays.

use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::sync;

use super::{HEAD_BYTES, Head};
use crate::memory::Regions;
use crate::object::{About, HEADER_BYTES, ObjectKind, nothing, words_at};

/// A value.
pub(crate) struct ValueKind;

impl ObjectKind for ValueKind {
    nothing! { survey side_left side_emptied wake drain unmake }

    fn layout(&self) -> &'static [u64] {
        &[HEAD_BYTES]
    }

    fn has_handles(&self) -> bool {
        true
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        free_lock(regions, place, dead);
    }

    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About {
        about(regions, place, ids, |size, _| format!("of {size} bytes"))
    }
}

/// An array. Its memory is given back to the machine as it ends: it may be gigabytes.
pub(crate) struct ArrayKind;

impl ObjectKind for ArrayKind {
    nothing! { layout survey side_left side_emptied wake }

    fn has_handles(&self) -> bool {
        true
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        free_lock(regions, place, dead);
    }

    fn drain(&self, regions: &Regions, place: Place, _me: OwnerId) {
        give_back(regions, place);
    }

    fn unmake(&self, regions: &Regions, place: Place) {
        give_back(regions, place);
    }

    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About {
        about(regions, place, ids, |size, count| format!("{count} items of {size} bytes"))
    }
}

/// The lock is what a body begins with. Without a lock that word is never taken.
fn free_lock(regions: &Regions, place: Place, dead: OwnerId) {
    if let Some(lock) = words_at::<sync::Mutex>(regions, place) {
        lock.recover(dead, Scope::Shared);
    }
}

fn about(
    regions: &Regions,
    place: Place,
    ids: &[OwnerId],
    what: impl Fn(u64, u64) -> String,
) -> About {
    let Some(head) = words_at::<Head>(regions, place) else { return About::damaged() };
    let (size, count) = head.shape();
    let what = what(size, count);
    if !head.has_lock() {
        return About::state(what);
    }
    let lock = About::lock(head.owner(), 1, ids);
    About { state: format!("{what}, {}", lock.state), ..lock }
}

/// Gives the memory of an array back, but for what its header lies in.
fn give_back(regions: &Regions, place: Place) {
    let kept = HEADER_BYTES + HEAD_BYTES;
    // A reservation's extent can be anywhere, if a peer gone mad wrote it.
    if place.len > kept
        && let Some(offset) = place.offset.checked_add(kept)
    {
        // What cannot be given back stays committed, and is used again with the extent.
        let _ = regions.decommit_arena(offset, place.len - kept);
    }
}
