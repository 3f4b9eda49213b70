//! What the death procedure asks of a table of leases, and does to it.

use super::entry::{
    ASIDE, FREE, GIVEN_BACK, Hold, MAX_ENTRIES, PLACE_BITS, Seen, State, place, word,
};
use super::{Leases, PREPAID};
use crate::block::recover::Salvage;
use crate::owner::OwnerId;
use crate::primitive::Ordering;

impl Leases {
    /// Whether what is in flight at `place` is still wanted there and is what `named` says of the descriptor.
    pub fn holds(&self, place: u64, named: impl FnOnce(u64) -> bool) -> bool {
        let index = (place & u64::from(MAX_ENTRIES - 1)) as u32;
        if index >= self.used() {
            return false;
        }
        let seen = self.look(index);
        let since = seen.number.wrapping_sub(place >> PLACE_BITS) & (u64::MAX >> PLACE_BITS);
        let kept = match seen.state() {
            State::Claimed(_) | State::Leased(_) | State::GivenBack => since == 0,
            // It counts as finished, and its block does not know.
            State::Opened(_) | State::Aside => since == 1,
            State::Free | State::Corrupt => false,
        };
        kept && named(self.descriptor(index))
    }

    /// Whether anybody's claim names what is at this place in the queue (see [`Leases::remember`]).
    pub fn is_claimed(&self, order: u64, named: impl Fn(u64) -> bool) -> bool {
        let claimed = |seen: &Seen| matches!(seen.state(), State::Claimed(_));
        self.all()
            .filter(claimed)
            .any(|seen| self.order(seen.index) == order && named(self.descriptor(seen.index)))
    }

    /// Death procedure: gives back what the dead had leased, puts back the dead letters that they had in their hands, and
    /// asks `salvage` about each claim of theirs (claim, owner, descriptor, order). Returns how many claims have to wait.
    /// Idempotent. Always counts a return, so that a killed one's return is not forgotten.
    pub fn recover(
        &self,
        is_dead: impl Fn(OwnerId) -> bool,
        mut salvage: impl FnMut(Hold, OwnerId, u64, u64) -> Salvage,
    ) -> u64 {
        let mut pending = 0;
        for seen in self.all() {
            match seen.state() {
                State::Leased(owner) if is_dead(owner) => {
                    self.mend_ahead(seen.index);
                    self.replace(seen, word(GIVEN_BACK, None, seen.deliveries()), seen.number);
                }
                State::Opened(owner) if is_dead(owner) => {
                    self.replace(seen, word(ASIDE, None, seen.deliveries()), seen.number);
                }
                State::Claimed(owner) if is_dead(owner) => {
                    let (descriptor, order) = (self.descriptor(seen.index), self.order(seen.index));
                    match salvage(seen.hold(0), owner, descriptor, order) {
                        // It was never handed to anybody: no delivery counts.
                        Salvage::Kept => self.replace(seen, word(GIVEN_BACK, None, 0), seen.number),
                        Salvage::Nothing => self.replace(seen, FREE, seen.number),
                        Salvage::Wait => {
                            pending += 1;
                            continue;
                        }
                    };
                }
                _ => continue,
            }
            crash_point!("leases.recover.mended");
        }
        self.count_return();
        pending
    }

    /// The dead owner of this entry may have taken one off what is done ahead, and not have finished its item (I6).
    fn mend_ahead(&self, index: u32) {
        let entry = self.entry(index);
        // ORDERING: Relaxed; the death of its writer was seen behind a lock.
        if entry.since.load(Ordering::Relaxed) != PREPAID {
            return;
        }
        self.change_ahead(|ahead| ahead.checked_add(1));
        crash_point!("leases.recover.ahead");
        // ORDERING: Relaxed; under the recovery lock.
        entry.since.store(0, Ordering::Relaxed);
    }

    /// Calls `each` with everything that is in the table, as it ends, and empties it.
    pub fn drain(&self, mut each: impl FnMut(u64, u64)) {
        for seen in self.all() {
            let place = match seen.state() {
                State::Free => continue,
                State::Opened(_) | State::Aside => place(seen.index, seen.number.wrapping_sub(1)),
                _ => place(seen.index, seen.number),
            };
            each(place, self.descriptor(seen.index));
            crash_point!("leases.drain.given");
            self.replace(seen, FREE, seen.number);
        }
    }
}
