//! What the death procedure and observers ask of a pipe, and of an acceptor of pipes.

use slipring_core::block::{BlockRef, Descriptor};
use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::spsc_records::Records;
use slipring_core::sync::Mutex;

use super::lane::{self, for_each_lane, most_records, names_block, names_one, rings_of, shape_at};
use super::listening;
use crate::memory::Regions;
use crate::object::{About, Found, Held, ObjectKind, Role, never_leased, nothing};

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
        Some(Box::new(Rings(rings_of(regions, place))))
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        for_each_lane(regions, place, |lane| {
            lane.words().send.recover(dead, Scope::Shared);
            lane.words().recv.recover(dead, Scope::Shared);
        });
    }

    fn side_emptied(&self, regions: &Regions, place: Place, role: Role) {
        if let Some((shape, _)) = shape_at(regions, place) {
            shape.sides().side_gone(role.side());
            crash_point!("pipe.side_emptied.marked");
        }
    }

    fn wake(&self, regions: &Regions, place: Place) {
        // Senders that wait for room, and those who watch. Readers sleep on their socket, which tells them by itself.
        for_each_lane(regions, place, |lane| {
            lane.ring.wake_all(Scope::Shared);
            lane.words().bell.wake_watchers();
        });
    }

    fn drain(&self, regions: &Regions, place: Place, me: OwnerId) {
        for_each_lane(regions, place, |lane| {
            // SAFETY: nobody has a handle of the pipe, and the recovery lock keeps others from doing the same.
            let consumer = unsafe { lane.ring.consumer(Scope::Shared, FenceMode::Symmetric) };
            let Ok(mut consumer) = consumer else { return };
            // A ring that a peer gone mad has bent into a circle has no end.
            for _ in 0..most_records(&lane.ring) {
                let Ok(Some(record)) = consumer.peek() else { break };
                if names_one(record.kind()) {
                    let position = record.position();
                    let mut word = [0; 8];
                    record.copy_to(&mut word);
                    let block = Descriptor::block_of(u64::from_le_bytes(word));
                    if let Some(block) = block.and_then(|block| regions.pool.check(block, 0))
                        && regions.pool.control(block).taken(me, lane.ring_id, position)
                    {
                        crash_point!("pipe.drain.taken");
                        regions.pool.free_now(block, me);
                    }
                }
                consumer.release();
            }
        });
    }

    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About {
        let Some((shape, offset)) = shape_at(regions, place) else { return About::damaged() };
        let (mut used, mut held) = (Vec::new(), Vec::new());
        for lane in shape.lanes(offset) {
            used.push(format!("{} of {} bytes", lane.ring.used(), lane.ring.size()));
            let turn = |lock: &Mutex, what| lock.owner().map(|owner| Held::by(owner, ids, what));
            held.extend(turn(&lane.words().send, "a turn to send"));
            held.extend(turn(&lane.words().recv, "a turn to receive"));
        }
        About { held, ..About::state(used.join(", and back ")) }
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
        rings.any(|(id, ring)| *id == number && names_block(ring, position, block))
    }

    never_leased! {}
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
