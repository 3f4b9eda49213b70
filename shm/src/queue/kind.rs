//! What the death procedure and observers ask of a queue, and of the rings that it consists of.

use slipring_core::block::{BlockRef, Descriptor, Returns};
use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::member::Holders;
use slipring_core::owner::OwnerId;
use slipring_core::ring::chain::{Bound, MAX_LEVELS};
use slipring_core::ring::mpmc::Ring;

use super::end::{self, chain_at, rings_of};
use crate::memory::Regions;
use crate::message::taken;
use crate::object::{About, Found, Kind, ObjectKind, RING_UNIT, Role, never_leased, nothing};

/// A queue.
pub(crate) struct QueueKind;

impl ObjectKind for QueueKind {
    nothing! { side_left unmake }

    fn layout(&self) -> &'static [u64] {
        &[size_of::<Holders>() as u64, end::BODY_BYTES]
    }

    fn has_handles(&self) -> bool {
        true
    }

    fn survey(&self, regions: &Regions, place: Place) -> Option<Box<dyn Found>> {
        Some(Box::new(Rings(rings_of(regions, place))))
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        if let Some(chain) = chain_at(regions, place) {
            chain.grower().recover(dead, Scope::Shared);
        }
    }

    fn side_emptied(&self, regions: &Regions, place: Place, role: Role) {
        if let Some(chain) = chain_at(regions, place) {
            // A side that nobody has had is not gone: in a queue with a name the first may still come.
            if chain.sides().has_begun(role.side()) {
                chain.sides().side_gone(role.side());
            }
            crash_point!("queue.side_emptied.marked");
        }
    }

    fn wake(&self, regions: &Regions, place: Place) {
        if let Some(chain) = chain_at(regions, place) {
            chain.wake_all(Scope::Shared);
        }
    }

    fn drain(&self, regions: &Regions, place: Place, me: OwnerId) {
        let Some(chain) = chain_at(regions, place) else { return };
        // Without a note a death in here would lose a block; without a free line we leave the queue to the next one.
        let Ok(note) = regions.claim_note(me) else { return };
        for (ring_id, ring) in rings_of(regions, place) {
            let mut returns = Returns::default();
            let pop = || ring.pop(|position, word| note.write(ring_id, position, word));
            // A ring that a peer gone mad goes on filling has no end.
            for _ in 0..ring.capacity() {
                let Ok((position, word)) = pop() else { break };
                taken::free(regions, me, ring_id, position, word, &mut returns);
                note.erase();
            }
            regions.pool.flush(&mut Default::default(), &mut returns);
        }
        note.free(me);
        crash_point!("queue.drain.emptied");
        for level in (0..MAX_LEVELS).rev() {
            let Some(ring_id) = chain.level(level) else { continue };
            chain.unhang(level);
            crash_point!("queue.drain.unhung");
            let entry = regions.directory.at_offset(u64::from(ring_id) * RING_UNIT);
            if let Some(entry) = entry.filter(|e| Kind::from_word(e.kind) == Some(Kind::Ring)) {
                regions.directory.free(entry.id);
            }
        }
    }

    fn about(&self, regions: &Regions, place: Place, _ids: &[OwnerId]) -> About {
        let Some(chain) = chain_at(regions, place) else { return About::damaged() };
        let rings = rings_of(regions, place);
        let capacity = match chain.bound() {
            Bound::Bounded(capacity) => Some(capacity),
            Bound::Unbounded(_) => None,
        };
        About {
            depth: Some(rings.iter().map(|(_, ring)| ring.len()).sum()),
            capacity,
            sent: Some(rings.iter().map(|(_, ring)| ring.published()).fold(0, u64::wrapping_add)),
            ..About::state(if chain.sides().is_closed() { "closed" } else { "open" })
        }
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

    never_leased! {}
}

/// A ring of a queue, which does everything for it.
pub(crate) struct RingKind;

impl ObjectKind for RingKind {
    nothing! { layout survey free_locks side_left side_emptied wake drain unmake about }

    fn has_handles(&self) -> bool {
        false
    }
}
