//! A message that was taken from a ring: its descriptor checked, its block made ours.

use slipring_core::block::{BlockRef, Descriptor, INLINE_MAX, Returns};
use slipring_core::owner::OwnerId;

use crate::memory::Regions;
use crate::message::payload;
use crate::{Error, Result};

/// A message in our hands.
pub(crate) enum Taken {
    Inline(u8, [u8; INLINE_MAX]),
    Block(BlockRef, u64),
}

impl Taken {
    /// Makes the block behind a descriptor `me`'s that `me` took from `position` of `ring_id`.
    #[inline]
    pub(crate) fn settle(
        regions: &Regions,
        me: OwnerId,
        ring_id: u32,
        position: u64,
        word: u64,
    ) -> Result<Self> {
        match Descriptor::decode(word) {
            Some(Descriptor::Inline { len, bytes }) => Ok(Self::Inline(len, bytes)),
            Some(Descriptor::Block { block, len }) => {
                let pool = &regions.pool;
                let block = pool.check(block, len).ok_or_else(not_ours)?;
                let ours = pool.control(block).taken(me, ring_id, position)
                    && pool.is_committed(block, len, regions);
                if ours { Ok(Self::Block(block, len)) } else { Err(not_ours()) }
            }
            None => Err(not_ours()),
        }
    }

    /// Appends the message to `into`, and frees its block.
    #[inline]
    pub(crate) fn free_into(
        self,
        regions: &Regions,
        me: OwnerId,
        returns: &mut Returns,
        into: &mut Vec<u8>,
    ) {
        match self {
            Self::Inline(len, bytes) => into.extend_from_slice(&bytes[..usize::from(len)]),
            Self::Block(block, len) => {
                payload::append_block(regions, block, len, into);
                regions.pool.free(returns, block, me);
            }
        }
    }
}

#[cold]
fn not_ours() -> Error {
    Error::Corrupt { what: "a queue's message names a block that was not sent in it" }
}

/// Frees the block behind a descriptor that was just taken as its channel ends, if there is one.
pub(crate) fn free(
    regions: &Regions,
    me: OwnerId,
    ring_id: u32,
    position: u64,
    word: u64,
    returns: &mut Returns,
) {
    let named = Descriptor::block_of(word).and_then(|block| regions.pool.check(block, 0));
    if let Some(block) = named
        && regions.pool.control(block).taken(me, ring_id, position)
    {
        crash_point!("taken.free.owned");
        regions.pool.free(returns, block, me);
    }
}
