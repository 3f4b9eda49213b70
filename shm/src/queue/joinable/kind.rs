//! What the death procedure and observers ask of a joinable queue: what they ask of a queue, and more.

use slipring_core::block::{BlockRef, Descriptor};
use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::ring::leases::{self, State};

use super::recover::{Desks, table_of};
use crate::memory::Regions;
use crate::object::{About, Found, Held, ObjectKind, Role, nothing, tally};
use crate::queue::{QueueKind, rings_of};

/// A joinable queue. Its body begins as a queue's does.
pub(crate) struct JoinableKind;

impl ObjectKind for JoinableKind {
    nothing! { unmake }

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

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        QueueKind.free_locks(regions, place, dead);
    }

    fn side_left(&self, regions: &Regions, place: Place, role: Role, me: OwnerId) {
        if role != Role::Second {
            return;
        }
        // What it leased by id, and has no receiver any more to end with.
        let Some((_, table)) = table_of(regions, place) else { return };
        let mut any = false;
        for lease in table.of(me) {
            any |= table.give_back(lease, me).is_ok();
        }
        if any {
            self.wake(regions, place);
        }
    }

    fn side_emptied(&self, regions: &Regions, place: Place, role: Role) {
        QueueKind.side_emptied(regions, place, role);
    }

    fn wake(&self, regions: &Regions, place: Place) {
        QueueKind.wake(regions, place);
        if let Some((_, table)) = table_of(regions, place) {
            table.finished_event().wake_all(Scope::Shared);
        }
    }

    fn drain(&self, regions: &Regions, place: Place, me: OwnerId) {
        if let Some((table_id, table)) = table_of(regions, place) {
            table.drain(|at, descriptor| {
                let named = Descriptor::block_of(descriptor).and_then(|b| regions.pool.check(b, 0));
                if let Some(block) = named
                    && regions.pool.control(block).taken(me, table_id, at)
                {
                    crash_point!("joinable.drain.taken");
                    regions.pool.free_now(block, me);
                }
            });
        }
        QueueKind.drain(regions, place, me);
    }

    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About {
        let Some((_, table)) = table_of(regions, place) else { return About::damaged() };
        let rings = rings_of(regions, place);
        let published =
            || rings.iter().map(|(_, ring)| ring.published()).fold(0_u64, u64::wrapping_add);
        let mut leases = Vec::new();
        table.count_in(|state| {
            if let State::Leased(owner) = state {
                leases.push(owner);
            }
            false
        });
        let held = tally(leases.into_iter()).into_iter().map(|(owner, count)| {
            let what = if count == 1 { "a lease".into() } else { format!("{count} leases") };
            Held::by(owner, ids, what)
        });
        let about = QueueKind.about(regions, place, ids);
        let mut state = format!(
            "{}, {} unfinished",
            about.state,
            table.unfinished(published).saturating_sub(table.ahead().into())
        );
        let letters = table.count_in(State::is_letter);
        if letters > 0 {
            state.push_str(&format!(", {letters} set aside"));
        }
        let given_back = table.count_in(|state| state == State::GivenBack);
        let depth = about.depth.map(|depth| depth + given_back);
        About { depth, state, held: held.collect(), ..about }
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
