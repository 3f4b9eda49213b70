//! What the death procedure and observers ask of a LIFO or priority queue.

use slipring_core::block::{BlockRef, Descriptor, Returns};
use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::ring::{heap, stack};

use super::end::{self, Store, shape_at, store_of};
use crate::memory::Regions;
use crate::message::taken;
use crate::object::{About, Found, Held, ObjectKind, Role, never_leased, nothing};

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
        let (number, store) = store_of(regions, place)?;
        Some(Box::new(FoundStore { number, store }))
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        if let Some((_, Store::Priority(heap))) = store_of(regions, place) {
            heap.recover(dead, Scope::Shared);
        }
    }

    fn side_emptied(&self, regions: &Regions, place: Place, role: Role) {
        if let Some(shape) = shape_at(regions, place) {
            // A side that nobody has had is not gone: in a queue with a name the first may still come.
            if shape.words().sides().has_begun(role.side()) {
                shape.words().sides().side_gone(role.side());
            }
            crash_point!("ordered.side_emptied.marked");
        }
    }

    fn wake(&self, regions: &Regions, place: Place) {
        if let Some(shape) = shape_at(regions, place) {
            shape.words().wake_all();
        }
    }

    fn drain(&self, regions: &Regions, place: Place, me: OwnerId) {
        let Some(shape) = shape_at(regions, place) else { return };
        // Without a note a death in here would lose a block; without a free line we leave the queue to the next one.
        let Ok(note) = regions.claim_note(me) else { return };
        let mut returns = Returns::default();
        let position_of = |at, word| {
            let block = Descriptor::block_of(word).and_then(|block| regions.pool.check(block, 0));
            block.map_or(at, |block| shape.position(regions, at, block))
        };
        let take_note = |at, word| note.write(shape.store_id, position_of(at, word), word);
        let mut free = |at, word| {
            let position = position_of(at, word);
            taken::free(regions, me, shape.store_id, position, word, &mut returns);
            note.erase();
        };
        match shape.store {
            Store::Priority(heap) => heap.drain(take_note, free),
            // A stack that a peer gone mad goes on filling has no end.
            Store::Lifo(stack) => {
                for _ in 0..stack.capacity() {
                    let Ok(Some((at, word))) = stack.pop(take_note) else { break };
                    free(at, word);
                }
            }
        }
        regions.pool.flush(&mut Default::default(), &mut returns);
        note.free(me);
        crash_point!("ordered.drain.emptied");
    }

    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About {
        let Some(shape) = shape_at(regions, place) else { return About::damaged() };
        let (order, holder) = match shape.store {
            Store::Lifo(_) => ("last in first out", None),
            Store::Priority(heap) => ("by priority", heap.holder()),
        };
        let open = if shape.words().sides().is_closed() { "closed" } else { "open" };
        let turn = |owner| Held::by(owner, ids, "a turn");
        About {
            depth: Some(shape.store.len()),
            capacity: Some(shape.store.capacity()),
            held: holder.map(turn).into_iter().collect(),
            ..About::state(format!("{order}, {open}"))
        }
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

    never_leased! {}
}
