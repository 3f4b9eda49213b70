//! The 64-bit word that travels through a ring.
//!
//! # Memory
//!
//! ```text
//!  63                                    8 7     5 4     2 1 0
//! +---------------------------------------+-------+-------+---+
//! | up to 7 bytes, first byte lowest      |   0   |  len  | 1 |   inline
//! +---------------------------------------+-------+-------+---+
//!  63                     31 30          7 6              2 1 0
//! +-------------------------+-------------+----------------+---+
//! | len (33)                | index (24)  | class (5)      | 2 |   block
//! +-------------------------+-------------+----------------+---+
//! ```
//!
//! A descriptor read from shared memory is any 64 bits: [`Descriptor::decode`] refuses what is malformed, and the pool
//! refuses a block that its geometry does not have.

/// The longest payload that needs no block.
pub const INLINE_MAX: usize = 7;

const TAG_INLINE: u64 = 1;
const TAG_BLOCK: u64 = 2;
const TAG_BITS: u32 = 2;
const CLASS_BITS: u32 = 5;
const INDEX_BITS: u32 = 24;
const LEN_BITS: u32 = 33;
const INDEX_SHIFT: u32 = TAG_BITS + CLASS_BITS;
const LEN_SHIFT: u32 = INDEX_SHIFT + INDEX_BITS;

/// A block by class and index. In range for the pool that made or checked it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BlockRef {
    /// Size class.
    pub class: u8,
    /// Index within the class, below 2^24.
    pub index: u32,
}

/// What a descriptor says, not yet checked against a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Descriptor {
    /// The payload itself: `bytes[..len]`.
    Inline {
        /// At most [`INLINE_MAX`].
        len: u8,
        /// The payload, zero beyond `len`.
        bytes: [u8; INLINE_MAX],
    },
    /// The payload is the first `len` bytes of a block.
    Block {
        /// Which block.
        block: BlockRef,
        /// Payload bytes.
        len: u64,
    },
}

impl Descriptor {
    /// A payload of at most [`INLINE_MAX`] bytes, as a descriptor.
    #[inline]
    pub fn inline(payload: &[u8]) -> Option<Self> {
        if payload.len() > INLINE_MAX {
            return None;
        }
        let mut bytes = [0; INLINE_MAX];
        bytes[..payload.len()].copy_from_slice(payload);
        Some(Self::Inline { len: payload.len() as u8, bytes })
    }

    /// The 64 bits.
    #[inline]
    pub fn encode(self) -> u64 {
        match self {
            Self::Inline { len, bytes } => {
                let mut word = [0; 8];
                word[1..].copy_from_slice(&bytes);
                u64::from_le_bytes(word) | u64::from(len) << TAG_BITS | TAG_INLINE
            }
            Self::Block { block, len } => {
                debug_assert!(len < 1 << LEN_BITS && block.index < 1 << INDEX_BITS);
                len << LEN_SHIFT
                    | u64::from(block.index) << INDEX_SHIFT
                    | u64::from(block.class) << TAG_BITS
                    | TAG_BLOCK
            }
        }
    }

    /// What `word` says, or `None` where it is no descriptor.
    #[inline]
    pub fn decode(word: u64) -> Option<Self> {
        match word & ((1 << TAG_BITS) - 1) {
            TAG_INLINE => {
                let [head, bytes @ ..] = word.to_le_bytes();
                let len = head >> TAG_BITS;
                (usize::from(len) <= INLINE_MAX).then_some(Self::Inline { len, bytes })
            }
            TAG_BLOCK => {
                let class = (word >> TAG_BITS & ((1 << CLASS_BITS) - 1)) as u8;
                let index = (word >> INDEX_SHIFT & ((1 << INDEX_BITS) - 1)) as u32;
                Some(Self::Block { block: BlockRef { class, index }, len: word >> LEN_SHIFT })
            }
            _ => None,
        }
    }

    /// The block that `word` names, if it names one.
    #[inline]
    pub fn block_of(word: u64) -> Option<BlockRef> {
        match Self::decode(word)? {
            Self::Block { block, .. } => Some(block),
            Self::Inline { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_inline_length_comes_back() {
        for len in 0..=INLINE_MAX {
            let payload = &[0xff, 1, 2, 3, 0x80, 5, 6][..len];
            let word = Descriptor::inline(payload).unwrap().encode();
            let Some(Descriptor::Inline { len: got, bytes }) = Descriptor::decode(word) else {
                panic!("{word:#x} is not inline");
            };
            assert_eq!(&bytes[..usize::from(got)], payload);
        }
        assert_eq!(Descriptor::inline(&[0; 8]), None);
    }

    #[test]
    fn the_largest_block_comes_back_and_garbage_is_refused() {
        let largest = Descriptor::Block {
            block: BlockRef { class: 31, index: (1 << 24) - 1 },
            len: (1 << 33) - 1,
        };
        assert_eq!(Descriptor::decode(largest.encode()), Some(largest));
        assert_eq!(Descriptor::decode(0), None);
        assert_eq!(Descriptor::decode(3), None);
        assert_eq!(Descriptor::decode(8 << 2 | 1), None, "eight bytes inline");
    }
}
