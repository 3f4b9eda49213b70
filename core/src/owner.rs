//! `OwnerId`: which participant, in which life of its record.
//!
//! A participant is a process attached to a segment. Its record has an index; each time the record is freed its
//! epoch grows, so an id that a dead process left in a lock or block never names the process that came after it.
//!
//! # Memory
//!
//! ```text
//!  31 30 29           12 11          0
//! +-----+---------------+-------------+
//! | 0 0 |  epoch (18)   | index (12)  |     0 = nobody: index 0 is never given out
//! +-----+---------------+-------------+
//! ```
//!
//! The two top bits stay clear for the words that carry an id (a lock keeps `WAITERS` and `DIED` there).

/// Bits of an id that hold the index.
const INDEX_BITS: u32 = 12;
/// Bits of an id that hold the epoch.
const EPOCH_BITS: u32 = 18;

/// The largest index that an id can carry. Index 0 means nobody.
pub const MAX_INDEX: u32 = (1 << INDEX_BITS) - 1;
/// Epochs count modulo this.
pub const EPOCHS: u32 = 1 << EPOCH_BITS;
/// The bits of a word that an id may use.
pub const OWNER_MASK: u32 = (1 << (INDEX_BITS + EPOCH_BITS)) - 1;

/// Index and epoch of a participant, in 30 bits. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnerId(u32);

impl OwnerId {
    /// The id of record `index` in its life number `epoch` (taken modulo [`EPOCHS`]).
    ///
    /// # Panics
    ///
    /// If `index` is 0 or above [`MAX_INDEX`].
    pub fn new(index: u32, epoch: u32) -> Self {
        assert!(index != 0 && index <= MAX_INDEX, "participant index {index} out of range");
        Self((epoch % EPOCHS) << INDEX_BITS | index)
    }

    /// The id in the low 30 bits of a shared word, or `None` where they name nobody. Any value is safe to pass.
    #[inline]
    pub fn from_bits(word: u32) -> Option<Self> {
        let id = word & OWNER_MASK;
        (id & MAX_INDEX != 0).then_some(Self(id))
    }

    /// The id as the low 30 bits of a word.
    #[inline]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Which record, 1 to [`MAX_INDEX`].
    #[inline]
    pub fn index(self) -> u32 {
        self.0 & MAX_INDEX
    }

    /// Which life of the record.
    #[inline]
    pub fn epoch(self) -> u32 {
        self.0 >> INDEX_BITS
    }
}

impl core::fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OwnerId({}.{})", self.index(), self.epoch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_bits_and_ignores_flag_bits() {
        let id = OwnerId::new(MAX_INDEX, EPOCHS - 1);
        assert_eq!(OwnerId::from_bits(id.bits() | !OWNER_MASK), Some(id));
        assert_eq!((id.index(), id.epoch()), (MAX_INDEX, EPOCHS - 1));
        assert_eq!(OwnerId::from_bits(!MAX_INDEX), None);
        assert_eq!(OwnerId::new(1, EPOCHS), OwnerId::new(1, 0));
    }
}
