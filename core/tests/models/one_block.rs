//! A pool of one block under loom, and what its memory does there.

use core::convert::Infallible;
use core::ptr::NonNull;

use slipring_core::block::{
    Backing, BlockRef, Control, FRESH_BYTES, Geometry, Magazines, Pool, Region,
};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::AtomicU64;

pub use crate::memory::Memory;

/// Eleven classes of 64 KiB each: of the largest there is one block, which is a whole chunk.
const DATA: usize = 11 << 16;
const META: usize = 1 << 18;
/// Only the largest class holds so much.
pub const LEN: u64 = 1 << 16;

/// An atomic word of the model is an object of its own, so each is made where it is first committed.
struct Fresh(NonNull<u8>);

impl Backing for Fresh {
    type Error = Infallible;

    fn commit(&self, region: Region, offset: u64, len: u64) -> Result<(), Infallible> {
        if region == Region::Data {
            return Ok(());
        }
        // SAFETY: within the meta region, of which nobody has been told yet; a side control takes 64 bytes.
        unsafe {
            let at = self.0.add(offset as usize);
            match len {
                8 => at.cast().write(AtomicU64::new(0)),
                64 => at.cast().write(Control::new()),
                other => panic!("{other} bytes at {offset}"),
            }
        }
        Ok(())
    }

    fn is_committed(&self, _: Region, _: u64, _: u64) -> bool {
        true
    }
}

/// Everything is committed by then.
pub struct NoMore;

impl Backing for NoMore {
    type Error = ();

    fn commit(&self, region: Region, _: u64, len: u64) -> Result<(), ()> {
        // The control of the one block is asked for with each allocation; a word would be a new one.
        if region == Region::Data || len == 64 { Ok(()) } else { Err(()) }
    }

    fn is_committed(&self, _: Region, _: u64, _: u64) -> bool {
        true
    }
}

/// A pool whose only block of [`LEN`] bytes `owner` has; and its memory, which is to be kept as long.
pub fn pool_with_block_of(owner: OwnerId) -> (Pool, BlockRef, [Memory; 2]) {
    let memory = [Memory::new(META, 4096), Memory::new(DATA, 4096)];
    let [meta, data] = [0, 1].map(|n: usize| NonNull::new(memory[n].at()).unwrap());
    let geometry = Geometry::new(META as u64, DATA as u64).unwrap();
    for offset in (0..FRESH_BYTES).step_by(64) {
        // SAFETY: inside the first part of the meta region, which holds words at multiples of 64 bytes.
        unsafe { meta.add(offset as usize).cast().write(AtomicU64::new(0)) };
    }
    // SAFETY: regions of these sizes, aligned, kept beside the pool; their atomic words are made before their use.
    let pool = unsafe { Pool::new(meta, data, geometry) };
    let block = pool.alloc(&mut Magazines::default(), LEN, owner, &Fresh(meta)).unwrap();
    (pool, block, memory)
}
