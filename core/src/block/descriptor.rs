//! The 64-bit word that travels through a ring.
//!
//! # Memory
//!
//! ```text
//!  63                                    8 7 6 5 4     2 1 0
//! +---------------------------------------+---+-+-------+---+
//! | up to 7 bytes, first byte lowest      | 0 |m|  len  | 1 |   inline
//! +---------------------------------------+---+-+-------+---+
//!  63                     31 30          7 6           2 1 0
//! +-------------------------+-------------+-------------+-+-+
//! | len (33)                | index (24)  | class (5)   |1|m|   block
//! +-------------------------+-------------+-------------+-+-+
//! ```
//!
//! `m` is the *mark*: one bit that whoever sends a message may say beside its payload. Nothing here asks what it means, and
//! what a descriptor names is the same with and without it.
//!
//! A descriptor read from shared memory is any 64 bits: [`Descriptor::decode`] refuses what is malformed, and the pool
//! refuses a block that its geometry does not have.

/// The longest payload that needs no block.
pub const INLINE_MAX: usize = 7;

const TAG_INLINE: u64 = 1;
const TAG_BLOCK: u64 = 2;
/// The mark of a word whose tag is [`TAG_INLINE`].
const INLINE_MARK: u64 = 1 << 5;
/// The mark of a word whose tag has [`TAG_BLOCK`]'s bit.
const BLOCK_MARK: u64 = 1;
const TAG_MARKED_BLOCK: u64 = TAG_BLOCK | BLOCK_MARK;
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
                let [head, bytes @ ..] = (word & !INLINE_MARK).to_le_bytes();
                let len = head >> TAG_BITS;
                (usize::from(len) <= INLINE_MAX).then_some(Self::Inline { len, bytes })
            }
            TAG_BLOCK | TAG_MARKED_BLOCK => {
                let class = (word >> TAG_BITS & ((1 << CLASS_BITS) - 1)) as u8;
                let index = (word >> INDEX_SHIFT & ((1 << INDEX_BITS) - 1)) as u32;
                Some(Self::Block { block: BlockRef { class, index }, len: word >> LEN_SHIFT })
            }
            _ => None,
        }
    }

    /// The same 64 bits with the mark.
    #[inline]
    pub fn mark(word: u64) -> u64 {
        word | mark_of(word)
    }

    /// Whether `word`, which is a descriptor, has the mark.
    #[inline]
    pub fn is_marked(word: u64) -> bool {
        word & mark_of(word) != 0
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

/// Which bit of `word` is its mark.
#[inline]
fn mark_of(word: u64) -> u64 {
    if word & TAG_BLOCK == 0 { INLINE_MARK } else { BLOCK_MARK }
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
        assert_eq!(Descriptor::decode(u64::MAX << 2), None, "no tag");
        for bit in [6, 7] {
            assert_eq!(Descriptor::decode(1 << bit | 1), None, "bit {bit} of an inline word");
        }
    }

    #[test]
    fn a_mark_changes_nothing_but_itself() {
        let smallest = Descriptor::Block { block: BlockRef { class: 0, index: 0 }, len: 0 };
        let block = BlockRef { class: 31, index: (1 << 24) - 1 };
        let largest = Descriptor::Block { block, len: (1 << 33) - 1 };
        let inline = (0..=INLINE_MAX).map(|len| Descriptor::inline(&[0xff; 7][..len]).unwrap());
        for descriptor in inline.chain([smallest, largest]) {
            let word = descriptor.encode();
            let marked = Descriptor::mark(word);
            assert!(!Descriptor::is_marked(word) && Descriptor::is_marked(marked), "{word:#x}");
            assert_eq!((word ^ marked).count_ones(), 1);
            assert_eq!(Descriptor::decode(marked), Some(descriptor));
            assert_eq!(Descriptor::block_of(marked), Descriptor::block_of(word));
            assert_eq!(Descriptor::mark(marked), marked);
        }
    }
}
