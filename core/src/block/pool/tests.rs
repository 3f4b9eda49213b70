//! Unit tests on private memory, which others in this folder use too: [`memory`].

use super::*;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::collections::HashSet;
use std::vec::Vec;

/// Zeroed private memory for a small pool; commits are counted against a limit.
pub struct Memory {
    pub pool: Pool,
    pub limit: Cell<u64>,
    meta: NonNull<u8>,
    data: NonNull<u8>,
}

const META: usize = 4 << 20;
const DATA: usize = 48 << 20;

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, 4096).unwrap()
}

pub fn memory() -> Memory {
    memory_with(|| 0)
}

pub fn memory_with(clock: fn() -> u64) -> Memory {
    // SAFETY: sizes are not zero.
    let zeroed = |len| NonNull::new(unsafe { alloc_zeroed(layout(len)) }).unwrap();
    let (meta, data) = (zeroed(META), zeroed(DATA));
    let geometry = Geometry::new(META as u64, DATA as u64).unwrap();
    // SAFETY: fresh zeroed memory of these sizes, freed with the pool.
    let pool = unsafe { Pool::new(meta, data, geometry) }.with_clock(clock);
    Memory { pool, limit: Cell::new(u64::MAX), meta, data }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layouts in `memory`.
        unsafe {
            dealloc(self.meta.as_ptr(), layout(META));
            dealloc(self.data.as_ptr(), layout(DATA));
        }
    }
}

impl Backing for Memory {
    type Error = ();

    fn commit(&self, _: Region, _: u64, len: u64) -> Result<(), ()> {
        if len <= self.limit.get() { Ok(()) } else { Err(()) }
    }

    fn is_committed(&self, _: Region, _: u64, _: u64) -> bool {
        true
    }
}

pub fn me() -> OwnerId {
    OwnerId::new(1, 0)
}

#[test]
fn blocks_are_distinct_large_enough_and_come_back() {
    let m = memory();
    let (mut mags, mut returns) = (Magazines::default(), Returns::default());
    for len in [0, 1, 48, 49, 1000, 4080, 4081, 8192, 100_000, 1 << 20] {
        let mut seen = HashSet::new();
        let blocks: Vec<_> = (0..3)
            .map(|_| m.pool.alloc(&mut mags, len, me(), &m).unwrap())
            .inspect(|b| assert!(seen.insert(*b) && m.pool.capacity(*b) >= len))
            .collect();
        for block in blocks {
            assert!(m.pool.control(block).is_owned_by(me()));
            assert!(m.pool.free(&mut returns, block, me()));
            assert!(!m.pool.free(&mut returns, block, me()), "twice");
        }
    }
}

#[test]
fn freed_blocks_are_used_again_before_new_ones() {
    let m = memory();
    let (mut mags, mut returns) = (Magazines::default(), Returns::default());
    for _ in 0..10_000 {
        let small = m.pool.alloc(&mut mags, 64, me(), &m).unwrap();
        let large = m.pool.alloc(&mut mags, 9000, me(), &m).unwrap();
        assert!(m.pool.free(&mut returns, small, me()));
        assert!(m.pool.free(&mut returns, large, me()));
        assert!(small.index < 64 * 10 && large.index < 2);
    }
}

#[test]
fn where_no_block_is_free_it_says_so_and_goes_on_after_a_free() {
    let m = memory();
    let mut mags = Magazines::default();
    let mut held = Vec::new();
    let err = loop {
        match m.pool.alloc(&mut mags, 1 << 20, me(), &m) {
            Ok(block) => held.push(block),
            Err(e) => break e,
        }
    };
    let class = m.pool.geometry().class_for(1 << 20).unwrap();
    let of_class = m.pool.geometry().class(class).unwrap();
    assert_eq!(err, AllocError::Exhausted { block: 1 << 20, count: of_class.count });
    assert!(m.pool.free_now(held[0], me()));
    assert_eq!(m.pool.alloc(&mut mags, 1 << 20, me(), &m), Ok(held[0]));
    let max = m.pool.geometry().max_len();
    let too_long = m.pool.alloc(&mut mags, max + 1, me(), &m);
    assert_eq!(too_long, Err(AllocError::TooLong(max)));
}

#[test]
fn a_larger_class_serves_where_one_is_used_up_and_keeps_what_was_asked_for() {
    let m = memory();
    let mut mags = Magazines::default();
    for len in [4080, 1 << 20] {
        let own = m.pool.geometry().class_for(len).unwrap();
        let classes = &m.pool.geometry().classes()[usize::from(own)..];
        let there_are: u32 = classes.iter().map(|class| class.count).sum();
        let mut held = Vec::new();
        while let Ok(block) = m.pool.alloc(&mut mags, len, me(), &m) {
            held.push(block);
        }
        assert_eq!(held.len(), there_are as usize, "every block that is large enough");
        assert!(held.is_sorted_by_key(|block| block.class), "the smallest that are left first");
        assert_eq!(held.iter().collect::<HashSet<_>>().len(), held.len());
        assert!(held.iter().all(|block| m.pool.check(*block, len).is_some()));
        m.limit.set(0);
        assert!(matches!(
            m.pool.alloc(&mut mags, len, me(), &m),
            Err(AllocError::Exhausted { .. })
        ));
        m.limit.set(u64::MAX);
        let mut returns = Returns::default();
        held.into_iter().for_each(|block| assert!(m.pool.free(&mut returns, block, me())));
        m.pool.flush(&mut mags, &mut returns);
    }
}

#[test]
fn no_memory_is_an_error_that_leaks_no_block() {
    let m = memory();
    let mut mags = Magazines::default();
    m.limit.set(64 * 64);
    let wanted = 1 << 20;
    for _ in 0..200 {
        assert_eq!(m.pool.alloc(&mut mags, wanted, me(), &m), Err(AllocError::Backing(())));
    }
    m.limit.set(u64::MAX);
    assert!(m.pool.alloc(&mut mags, wanted, me(), &m).is_ok());
}

#[test]
fn a_block_that_the_pool_does_not_have_is_refused() {
    let m = memory();
    let mut mags = Magazines::default();
    let block = m.pool.alloc(&mut mags, 64, me(), &m).unwrap();
    assert_eq!(m.pool.check(block, 112), Some(block));
    assert_eq!(m.pool.check(block, 113), None, "longer than the block");
    assert_eq!(m.pool.check(BlockRef { index: 64, ..block }, 1), None, "not in use yet");
    assert_eq!(m.pool.check(BlockRef { index: u32::MAX, ..block }, 1), None);
    assert_eq!(m.pool.check(BlockRef { class: 31, index: 0 }, 1), None);
}

#[test]
fn a_bit_of_a_block_that_there_is_not_is_never_taken() {
    let m = memory();
    let mut mags = Magazines::default();
    for (c, class) in m.pool.geometry().classes().iter().enumerate() {
        let last = class.words - 1;
        if class.count.is_multiple_of(64) {
            continue;
        }
        let first = m.pool.alloc(&mut mags, class.payload, me(), &m).unwrap();
        m.pool.fresh(class).store(u64::from(class.words), Ordering::Relaxed);
        m.pool.word(class, last).store(u64::MAX, Ordering::Relaxed);
        m.pool.summary(class, last / 64).store(1 << (last % 64), Ordering::Relaxed);
        let mut taken = HashSet::from([first]);
        while let Ok(block) = m.pool.alloc_in(c as u8, &mut mags, class.payload, me(), &m) {
            assert!(block.class == c as u8 && block.index < class.count, "{block:?}");
            assert!(taken.insert(block));
        }
    }
}

#[test]
fn threads_never_hold_the_same_block() {
    let m = memory();
    let pool = &m.pool;
    struct Free;
    impl Backing for Free {
        type Error = ();
        fn commit(&self, _: Region, _: u64, _: u64) -> Result<(), ()> {
            Ok(())
        }
        fn is_committed(&self, _: Region, _: u64, _: u64) -> bool {
            true
        }
    }
    std::thread::scope(|s| {
        for t in 0..4 {
            s.spawn(move || {
                let id = OwnerId::new(t + 1, 0);
                let (mut mags, mut returns) = (Magazines::default(), Returns::default());
                for n in 0..5_000_u64 {
                    let len = 8 + n % 200;
                    let block = pool.alloc(&mut mags, len, id, &Free).unwrap();
                    let at = pool.payload(block).cast::<u64>();
                    // SAFETY: the block is ours and at least 8 bytes long.
                    unsafe { at.write(u64::from(t) << 32 | n) };
                    std::hint::black_box(at);
                    // SAFETY: as above.
                    assert_eq!(unsafe { at.read() }, u64::from(t) << 32 | n);
                    assert!(pool.free(&mut returns, block, id));
                }
                pool.flush(&mut mags, &mut returns);
            });
        }
    });
}
