//! Arithmetic of positions in a ring of any exact capacity, 1 and 3 included. Pure: nothing here touches shared memory.
//!
//! A **position** counts messages from the first one and grows for ever; an **index** names a slot and is smaller than
//! the capacity; a **lap** counts how often the ring was gone round: `position = lap * capacity + index`. Head is the
//! consumer's position, tail the producer's.
//!
//! A handle keeps a [`Cursor`], which steps without a division. Dividing is left to attaching and recovery.
//! Everything wraps, so a position that a hostile peer made up costs a wrong answer and never a panic.
//!
//! # Invariants
//!
//! * I1. A cursor's index is smaller than the capacity, whatever its position.
//! * I2. Slots that lie fewer than `capacity` positions apart have different indices; `capacity` apart, the same.
//!
//! # Examples
//!
//! ```
//! use slipring_core::ring::position::{Cursor, lap};
//!
//! let mut tail = Cursor::at(2, 3);
//! tail.step(3);
//! assert_eq!((tail.position(), tail.index(), lap(tail.position(), 3)), (3, 0, 1));
//! ```

/// Where a handle stands: a position and its index, kept in step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    position: u64,
    index: u64,
}

impl Cursor {
    /// At `position` of a ring of `capacity` slots. Divides: for attaching, not for the fast path.
    pub const fn at(position: u64, capacity: u64) -> Self {
        debug_assert!(capacity > 0);
        Self { position, index: position % capacity }
    }

    /// The position.
    #[inline]
    pub const fn position(self) -> u64 {
        self.position
    }

    /// The slot that the position falls on.
    #[inline]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// On to the next position.
    #[inline]
    pub const fn step(&mut self, capacity: u64) {
        debug_assert!(self.index < capacity);
        self.position = self.position.wrapping_add(1);
        self.index = if self.index + 1 == capacity { 0 } else { self.index + 1 };
    }

    /// The cursor `count` positions on; `count` is at most `capacity`.
    #[inline]
    #[must_use]
    pub const fn ahead(self, count: u64, capacity: u64) -> Self {
        debug_assert!(self.index < capacity && count <= capacity);
        let to_end = capacity - self.index;
        let index = if count < to_end { self.index + count } else { count - to_end };
        Self { position: self.position.wrapping_add(count), index }
    }
}

/// How often the ring was gone round before `position`.
#[inline]
pub const fn lap(position: u64, capacity: u64) -> u64 {
    position / capacity
}

/// The position of slot `index` in `lap`.
#[inline]
pub const fn position(lap: u64, index: u64, capacity: u64) -> u64 {
    debug_assert!(index < capacity);
    lap.wrapping_mul(capacity).wrapping_add(index)
}

/// How many positions lie in `[head, tail)`; `None` where that is more than `capacity`, or head is past tail: words
/// that no sound peer leaves.
#[inline]
pub const fn used(head: u64, tail: u64, capacity: u64) -> Option<u64> {
    let used = tail.wrapping_sub(head);
    if used <= capacity { Some(used) } else { None }
}

/// The sequence word of a slot that holds the message of `position`.
#[inline]
pub const fn published(position: u64) -> u64 {
    position.wrapping_add(1)
}

/// The sequence word of a slot whose message of `position` is still to come: what the lap before published there.
#[inline]
pub const fn awaited(position: u64, capacity: u64) -> u64 {
    published(position).wrapping_sub(capacity)
}

/// The first of `0..count` for which `holds` is false, where it holds for a first part and not for the rest; `count`
/// if it holds for all. Asks about `log2(count)` times.
pub fn first_false(count: u64, mut holds: impl FnMut(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const CAPACITIES: [u64; 3] = [1, 2, 3];

    #[test]
    fn a_stepping_cursor_agrees_with_division_for_many_laps() {
        for capacity in CAPACITIES {
            let mut cursor = Cursor::at(0, capacity);
            for p in 0..8 * capacity {
                assert_eq!(cursor, Cursor::at(p, capacity));
                assert!(cursor.index() < capacity);
                assert_eq!(position(lap(p, capacity), cursor.index(), capacity), p);
                cursor.step(capacity);
            }
        }
    }

    #[test]
    fn looking_ahead_is_stepping_that_often() {
        for capacity in CAPACITIES {
            for start in 0..3 * capacity {
                let mut stepped = Cursor::at(start, capacity);
                for count in 0..=capacity {
                    assert_eq!(Cursor::at(start, capacity).ahead(count, capacity), stepped);
                    stepped.step(capacity);
                }
            }
        }
    }

    #[test]
    fn positions_fall_on_one_slot_exactly_when_they_are_whole_laps_apart() {
        for capacity in CAPACITIES {
            for a in 0..3 * capacity {
                for b in a..=a + capacity {
                    let same = Cursor::at(a, capacity).index() == Cursor::at(b, capacity).index();
                    assert_eq!(same, b == a || b == a + capacity, "I2: {a} {b} of {capacity}");
                }
            }
        }
    }

    #[test]
    fn used_is_known_for_every_sound_pair_and_refused_for_every_other() {
        for capacity in CAPACITIES {
            for head in 0..3 * capacity {
                for tail in 0..6 * capacity {
                    let sound = head <= tail && tail <= head + capacity;
                    let expected = sound.then(|| tail - head);
                    assert_eq!(used(head, tail, capacity), expected);
                }
            }
            assert_eq!(used(u64::MAX, 0, capacity), Some(1), "positions wrap");
            assert_eq!(used(0, u64::MAX, capacity), None);
        }
    }

    #[test]
    fn a_slot_awaits_exactly_what_its_last_lap_published() {
        for capacity in CAPACITIES {
            for p in 0..4 * capacity {
                assert_ne!(awaited(p, capacity), published(p));
                assert_eq!(awaited(p + capacity, capacity), published(p));
            }
        }
    }

    #[test]
    fn a_made_up_position_steps_without_panic_and_stays_inside() {
        for capacity in CAPACITIES {
            let mut cursor = Cursor::at(u64::MAX - 1, capacity);
            for _ in 0..4 {
                assert!(cursor.index() < capacity, "I1");
                assert!(cursor.ahead(capacity, capacity).index() < capacity, "I1");
                cursor.step(capacity);
            }
        }
    }

    #[test]
    fn the_first_false_is_found_wherever_it_is() {
        for count in 0..9 {
            for boundary in 0..=count {
                assert_eq!(first_false(count, |i| i < boundary), boundary);
            }
        }
    }
}
