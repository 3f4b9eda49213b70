//! Giving the memory of free blocks back. Lock-free; nothing is waited for, and no process has this for its task: any caller
//! looks once in a while, which costs one load where nothing large was freed.
//!
//! Blocks of a chunk (64 KiB) or more are given back, because memory is committed in chunks. [`Pool::tidy`] finds those
//! that lay free for long, so that a steady stream of long messages keeps its blocks: who frees a block notes the time in
//! its control word, and a look gives it back if that note is old and still there. [`Pool::trim`] gives back whatever is
//! free.
//!
//! # Invariants
//!
//! * I1. A block is handed to `give_back` only while it is OWNED by the caller, taken from FREE by CAS.
//! * I2. Where a committed large block is free, not kept in reserve, and nobody is looking, `Idle` says freed.
//!
//! # Crash points
//!
//! | killed | leaves | mended by |
//! |---|---|---|
//! | after `Idle::begin` | `freed` clear, blocks free | the death procedure sets `freed` (I2) |
//! | with a block in hand | a block OWNED by the dead, its memory perhaps given back | the death procedure frees and lists it; who takes it commits it again |
//! | before listing it | a free block without a bit | the death procedure lists it |

use super::descriptor::BlockRef;
use super::geometry::Geometry;
use super::pool::{Backing, Pool, Region};
use crate::owner::OwnerId;

/// When free blocks are given back. Times are in the unit of the pool's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// From one look to the next, at least.
    pub between: u64,
    /// How long a block has to lie free.
    pub idle: u64,
    /// Bytes of free blocks that are kept all the same, small ones first.
    pub reserve: u64,
    /// Bytes after which one look stops, for the sake of its caller.
    pub at_once: u64,
}

/// What one look found.
#[derive(Default)]
struct Look {
    kept: u64,
    given: u64,
    /// There are blocks that have not lain free for long enough yet.
    waits: bool,
    /// It stopped early.
    cut: bool,
}

impl Pool {
    /// Hands each large block that lay free for long, as `patience` says, to `give_back` as a range of data, and frees it
    /// again. Does nothing where it is too early for a look, or another process is at it. Returns how many bytes were
    /// handed over.
    pub fn tidy<B: Backing>(
        &self,
        patience: &Patience,
        me: OwnerId,
        backing: &B,
        mut give_back: impl FnMut(u64, u64),
    ) -> u64 {
        let now = self.now();
        if !self.idle().begin(now, patience.between) {
            return 0;
        }
        crash_point!("pool.tidy.begun");
        let mut look = Look::default();
        self.each_whole_block(backing, |block, bytes| {
            if look.kept + bytes <= patience.reserve {
                look.kept += bytes;
                return true;
            }
            if look.given >= patience.at_once {
                look.cut = true;
                return false;
            }
            let control = self.control(block);
            let Some((since, seen)) = control.seen_free(now) else { return true };
            if now - since < patience.idle {
                look.waits = true;
            } else if control.acquire_seen(seen, me) {
                look.given += bytes;
                self.give_back(block, bytes, me, &mut give_back);
            }
            true
        });
        self.idle().end(look.waits || look.cut, look.cut.then_some(now));
        look.given
    }

    /// Takes free large blocks out of use, one after the other, hands each one's range of data to `give_back`, and frees it
    /// again. Returns how many bytes were handed over.
    pub fn trim<B: Backing>(
        &self,
        me: OwnerId,
        backing: &B,
        mut give_back: impl FnMut(u64, u64),
    ) -> u64 {
        self.idle().set_giving(true);
        let mut given = 0;
        self.each_whole_block(backing, |block, bytes| {
            if self.control(block).acquire(me) {
                given += bytes;
                self.give_back(block, bytes, me, &mut give_back);
            }
            true
        });
        self.idle().set_giving(false);
        given
    }

    /// Calls `visit` for each listed block of a chunk or more that has memory, with its bytes, smaller ones first, until it
    /// says `false`.
    fn each_whole_block<B: Backing>(
        &self,
        backing: &B,
        mut visit: impl FnMut(BlockRef, u64) -> bool,
    ) {
        for (c, class) in self.geometry().classes().iter().enumerate() {
            if !Geometry::has_whole_chunks(c as u8) {
                continue;
            }
            for word in 0..self.words_in_use(class) {
                let mut bits = self.listed(class, word);
                while bits != 0 {
                    let index = word * 64 + bits.trailing_zeros();
                    bits &= bits - 1;
                    let block = BlockRef { class: c as u8, index };
                    // A block has its memory from the front.
                    let has_memory = backing.is_committed(Region::Data, self.data_offset(block), 1);
                    if has_memory && !visit(block, class.stride) {
                        return;
                    }
                }
            }
        }
    }

    /// Hands over a block that is `me`'s (I1), and frees it.
    fn give_back(
        &self,
        block: BlockRef,
        bytes: u64,
        me: OwnerId,
        give_back: &mut impl FnMut(u64, u64),
    ) {
        crash_point!("pool.give_back.owned");
        give_back(self.data_offset(block), bytes);
        crash_point!("pool.give_back.given");
        self.control(block).release(me);
        crash_point!("pool.give_back.before_list");
        // Who looked for a block meanwhile may have taken its bit and not got it.
        self.list(block.class, block.index / 64, 1 << (block.index % 64));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::pool::tests::{Memory, me, memory_with};
    use super::super::{Lookup, Magazines};
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;
    use std::vec::Vec;

    const PATIENCE: Patience = Patience { between: 10, idle: 50, reserve: 0, at_once: u64::MAX };
    const MIB: u64 = 1 << 20;

    std::thread_local! {
        /// What the pools' clock says.
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    /// Memory of which it is known where it is committed: the offsets of the blocks' first bytes.
    struct Paid {
        memory: Memory,
        at: RefCell<BTreeSet<u64>>,
    }

    impl Backing for Paid {
        type Error = ();

        fn commit(&self, region: Region, offset: u64, _: u64) -> Result<(), ()> {
            if region == Region::Data {
                self.at.borrow_mut().insert(offset);
            }
            Ok(())
        }

        fn is_committed(&self, _: Region, offset: u64, _: u64) -> bool {
            self.at.borrow().contains(&offset)
        }
    }

    impl Paid {
        fn new() -> Self {
            NOW.set(1000);
            Self { memory: memory_with(|| NOW.get()), at: RefCell::default() }
        }

        fn pool(&self) -> &Pool {
            &self.memory.pool
        }

        fn alloc(&self, len: u64) -> BlockRef {
            self.pool().alloc(&mut Magazines::default(), len, me(), self).unwrap()
        }

        /// Blocks of this length, allocated together and freed.
        fn burst(&self, count: usize, len: u64) -> Vec<BlockRef> {
            let blocks: Vec<_> = (0..count).map(|_| self.alloc(len)).collect();
            blocks.iter().for_each(|block| assert!(self.pool().free_now(*block, me())));
            blocks
        }

        fn tidy(&self, now: u64, patience: Patience) -> u64 {
            NOW.set(now);
            self.pool().tidy(&patience, me(), self, |offset, _| {
                assert!(self.at.borrow_mut().remove(&offset), "given back twice");
            })
        }

        fn paid(&self) -> usize {
            self.at.borrow().len()
        }
    }

    struct Nothing;

    impl Lookup for Nothing {
        fn holds(&self, _: u32, _: u64, _: BlockRef) -> bool {
            false
        }

        fn noted_by_living(&self, _: u32, _: u64) -> bool {
            false
        }
    }

    #[test]
    fn what_lay_free_for_long_is_given_back_once_and_serves_again() {
        let m = Paid::new();
        assert!(!m.pool().may_have_idle());
        let blocks = m.burst(3, MIB);
        let held = m.alloc(MIB);
        assert!(m.pool().may_have_idle());
        assert_eq!((m.tidy(1000, PATIENCE), m.paid()), (0, 3));
        assert_eq!((m.tidy(1049, PATIENCE), m.paid()), (0, 3), "not long enough");
        assert!(m.pool().may_have_idle() && !m.pool().is_giving_back());
        assert_eq!((m.tidy(1060, PATIENCE), m.paid()), (2 * MIB, 1), "but for what is in use");
        assert!(!m.pool().may_have_idle(), "nothing is left to look for");
        assert!(m.pool().control(held).is_owned_by(me()) && blocks.contains(&held));
        assert!(m.pool().free_now(held, me()));
        assert_eq!(m.burst(3, MIB).len(), 3);
        assert_eq!(m.paid(), 3);
    }

    #[test]
    fn small_blocks_and_those_that_share_a_chunk_are_no_reason_to_look() {
        let m = Paid::new();
        m.burst(9, 100);
        m.burst(9, 30_000);
        assert!(!m.pool().may_have_idle());
        assert_eq!(m.tidy(1000, PATIENCE), 0);
    }

    #[test]
    fn a_steady_stream_keeps_its_blocks() {
        let m = Paid::new();
        for now in 0..5000 {
            let block = m.alloc(MIB);
            let control = m.pool().control(block);
            control.send_at(me(), 7, now);
            assert!(control.taken(me(), 7, now) && m.pool().free_now(block, me()));
            assert_eq!(m.tidy(now, PATIENCE), 0, "at {now}");
        }
        assert_eq!(m.paid(), 1);
    }

    #[test]
    fn the_reserve_is_kept_smaller_blocks_first() {
        let m = Paid::new();
        m.burst(3, MIB);
        m.burst(4, 1 << 16);
        let patience = Patience { reserve: MIB + (4 << 16), ..PATIENCE };
        m.tidy(1000, patience);
        assert_eq!((m.tidy(1100, patience), m.paid()), (2 * MIB, 5));
        assert!(!m.pool().may_have_idle());
    }

    #[test]
    fn a_look_that_stops_early_is_gone_on_with_at_once() {
        let m = Paid::new();
        m.burst(3, MIB);
        let patience = Patience { at_once: MIB, ..PATIENCE };
        m.tidy(1000, PATIENCE);
        for left in [2, 1, 0] {
            assert_eq!((m.tidy(1100, patience), m.paid()), (MIB, left));
        }
    }

    #[test]
    fn looks_are_apart() {
        let m = Paid::new();
        m.burst(1, MIB);
        m.tidy(1000, PATIENCE);
        m.tidy(1055, PATIENCE);
        m.burst(1, MIB);
        assert_eq!(m.tidy(1064, PATIENCE), 0);
        assert!(m.pool().may_have_idle(), "too early: the hint stays");
        assert_eq!((m.tidy(1105, PATIENCE), m.paid()), (MIB, 0));
    }

    #[test]
    fn a_note_from_the_future_is_written_anew() {
        let m = Paid::new();
        NOW.set(9000);
        m.burst(1, MIB);
        for (now, given) in [(1000, 0), (1020, 0), (1051, MIB)] {
            assert_eq!(m.tidy(now, PATIENCE), given);
        }
    }

    #[test]
    fn what_was_in_use_since_it_was_seen_is_not_taken() {
        let m = Paid::new();
        let block = m.burst(1, MIB)[0];
        let control = m.pool().control(block);
        let (_, seen) = control.seen_free(1000).unwrap();
        assert_eq!(m.alloc(MIB), block);
        assert!(!control.acquire_seen(seen, me()), "it is in use");
        control.send_at(me(), 7, 3);
        NOW.set(1500);
        assert!(control.taken(me(), 7, 3) && m.pool().free_now(block, me()));
        assert!(!control.acquire_seen(seen, me()), "it was");
        let (since, seen) = control.seen_free(2000).unwrap();
        assert!(since == 1500 && control.acquire_seen(seen, me()));
        assert_eq!(control.seen_free(3000), None);
    }

    #[test]
    fn one_who_is_killed_looking_leaves_the_rest_to_the_next() {
        let m = Paid::new();
        let block = m.burst(2, MIB)[0];
        let dead = OwnerId::new(9, 0);
        assert!(m.pool().idle().begin(1000, PATIENCE.between));
        let (_, seen) = m.pool().control(block).seen_free(1000).unwrap();
        assert!(m.pool().control(block).acquire_seen(seen, dead));
        assert!(!m.pool().may_have_idle() && m.pool().is_giving_back());
        assert_eq!(m.pool().recover(dead, &Nothing).freed, 1);
        assert_eq!((m.tidy(1100, PATIENCE), m.paid()), (2 * MIB, 0));
        assert!(!m.pool().is_giving_back());
    }

    #[test]
    fn trimming_hands_over_what_is_free_and_has_memory_at_once() {
        let m = Paid::new();
        let held = m.alloc(100_000);
        let free = m.burst(2, 100_000);
        let mut ranges = Vec::new();
        let given = m.pool().trim(me(), &m, |offset, len| ranges.push((offset, len)));
        let expected: Vec<_> =
            free.iter().map(|block| (m.pool().data_offset(*block), 128 << 10)).collect();
        assert_eq!((given, ranges), (256 << 10, expected));
        assert!(m.pool().control(held).is_owned_by(me()) && !m.pool().is_giving_back());
        assert!(free.contains(&m.alloc(100_000)));
    }
}
