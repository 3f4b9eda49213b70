//! The directory of a segment: which objects there are, of what kind, and where in the arena they lie.
//!
//! Changed under the caller's recovery lock only; read by anybody at any time. Extents are cut from the arena one after
//! the other and are never joined or split: a freed extent serves the next object that fits in.
//!
//! # Memory
//!
//! ```text
//! used (u64, a line of its own), then entries of 64 bytes:
//! | state (u32) | kind (u32) | generation (u32) | owner (u32) | offset (u64) | len (u64) | ...
//! ```
//!
//! | state | meaning |
//! |---|---|
//! | FREE (0) | the extent is nobody's |
//! | RESERVED (1) | `owner` is making an object there |
//! | LIVE (2) | there is an object of `kind` |
//!
//! # Invariants
//!
//! * I1. Entries below `used` have an extent; extents follow each other in order of their entries. None begins at 0.
//! * I2. The generation grows when an object ends: an id that named it names nothing from then on.
//! * I3. An object's memory is initialised before its state becomes LIVE.
//!
//! # Ordering
//!
//! * E1 "object made": `publish`'s Release of the state → `find`'s Acquire.
//!
//! # Crash points
//!
//! A new extent is in the entry before `used` covers it: killed in between, the next one overwrites it. A RESERVED
//! entry of a dead owner is freed by the death procedure.

use core::ptr::NonNull;

use crate::owner::OwnerId;
use crate::primitive::{AtomicU32, AtomicU64, CachePadded, Ordering};

/// Extents are multiples of this many bytes.
pub const EXTENT_UNIT: u64 = 128;

const FREE: u32 = 0;
const RESERVED: u32 = 1;
const LIVE: u32 = 2;

/// One entry. All-zero is unused.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Entry {
    state: AtomicU32,
    kind: AtomicU32,
    generation: AtomicU32,
    owner: AtomicU32,
    offset: AtomicU64,
    len: AtomicU64,
}

/// Which object: an index, and which life of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ObjectId {
    /// Entry of the directory.
    pub index: u32,
    /// Which object of those that had this entry.
    pub generation: u32,
}

impl ObjectId {
    /// As one number, for passing on.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// From such a number. Any number is safe.
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// Where an object lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its id.
    pub id: ObjectId,
    /// What it is; the caller's numbering.
    pub kind: u32,
    /// Byte offset in the arena.
    pub offset: u64,
    /// Bytes of its extent.
    pub len: u64,
}

/// No room for an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReserveError {
    /// All entries are in use.
    Entries,
    /// The arena's address space is used up.
    Arena,
}

/// The directory, as one process sees it.
#[derive(Debug)]
pub struct Directory {
    used: NonNull<CachePadded<AtomicU64>>,
    entries: NonNull<Entry>,
    capacity: u32,
    arena_len: u64,
}

// SAFETY: all shared state is atomic.
unsafe impl Send for Directory {}
// SAFETY: as above.
unsafe impl Sync for Directory {}

impl Directory {
    /// Bytes of memory for a directory of so many entries.
    pub const fn bytes(capacity: u32) -> u64 {
        (size_of::<CachePadded<AtomicU64>>() + capacity as usize * size_of::<Entry>()) as u64
    }

    /// The directory at `at`, of an arena of `arena_len` bytes.
    ///
    /// # Safety
    ///
    /// `at` is aligned to 128 and valid for [`Directory::bytes`] for as long as the directory is used, and was zero
    /// when the first of its users came.
    pub unsafe fn new(at: NonNull<u8>, capacity: u32, arena_len: u64) -> Self {
        // SAFETY: within the bytes promised.
        let entries = unsafe { at.add(size_of::<CachePadded<AtomicU64>>()).cast() };
        Self { used: at.cast(), entries, capacity, arena_len }
    }

    /// Reserves an extent of at least `len` bytes for `owner`. The caller holds the recovery lock.
    ///
    /// # Errors
    ///
    /// [`ReserveError`]; nothing was reserved.
    pub fn reserve(&self, len: u64, kind: u32, owner: OwnerId) -> Result<Place, ReserveError> {
        let len = len.max(1).checked_next_multiple_of(EXTENT_UNIT).ok_or(ReserveError::Arena)?;
        let place = match self.find_free(len) {
            Some(place) => place,
            None => self.cut(len)?,
        };
        let entry = self.entry(place.id.index);
        // ORDERING: Relaxed; under the recovery lock. The owner is there before the state says so.
        entry.kind.store(kind, Ordering::Relaxed);
        entry.owner.store(owner.bits(), Ordering::Relaxed);
        crash_point!("directory.reserve.before_state");
        // ORDERING: Release, with the owner.
        entry.state.store(RESERVED, Ordering::Release);
        crash_point!("directory.reserve.after_state");
        Ok(Place { kind, ..place })
    }

    /// The object in a reserved extent is made (I3).
    pub fn publish(&self, id: ObjectId) {
        // ORDERING: Release, E1.
        self.entry(id.index).state.store(LIVE, Ordering::Release);
        crash_point!("directory.publish.after_state");
    }

    /// Ends an object, or a reservation: the extent is free again. The caller holds the recovery lock, but for a reservation
    /// of its own.
    pub fn free(&self, id: ObjectId) {
        let entry = self.entry(id.index);
        // ORDERING: Relaxed, under the recovery lock; then Release with the new generation (I2).
        entry.generation.fetch_add(1, Ordering::Relaxed);
        crash_point!("directory.free.before_state");
        entry.state.store(FREE, Ordering::Release);
    }

    /// The object that `id` names, if it is there.
    pub fn find(&self, id: ObjectId) -> Option<Place> {
        (id.index < self.used()).then(|| self.live(id.index))?.filter(|p| p.id == id)
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = Place> + '_ {
        (0..self.used()).filter_map(|index| self.live(index))
    }

    /// Reservations of `owner`.
    pub fn reserved_by(&self, owner: OwnerId) -> impl Iterator<Item = Place> + '_ {
        (0..self.used()).filter_map(move |index| {
            let entry = self.entry(index);
            // ORDERING: Acquire, pairs with `reserve`.
            let reserved = entry.state.load(Ordering::Acquire) == RESERVED
                && entry.owner.load(Ordering::Relaxed) == owner.bits();
            reserved.then(|| self.place(index))
        })
    }

    /// The object or reservation whose extent begins at `offset`.
    pub fn at_offset(&self, offset: u64) -> Option<Place> {
        (0..self.used()).map(|i| self.place(i)).find(|p| p.offset == offset)
    }

    fn live(&self, index: u32) -> Option<Place> {
        // ORDERING: Acquire, E1.
        (self.entry(index).state.load(Ordering::Acquire) == LIVE)
            .then(|| self.place(index))
            .filter(|p| self.fits(p))
    }

    /// An extent that does not lie in the arena was written by a peer gone mad.
    fn fits(&self, place: &Place) -> bool {
        place.offset.is_multiple_of(EXTENT_UNIT)
            && place.offset.checked_add(place.len).is_some_and(|end| end <= self.arena_len)
    }

    fn place(&self, index: u32) -> Place {
        let entry = self.entry(index);
        // ORDERING: Relaxed; behind the state's Acquire, or under the recovery lock.
        Place {
            id: ObjectId { index, generation: entry.generation.load(Ordering::Relaxed) },
            kind: entry.kind.load(Ordering::Relaxed),
            offset: entry.offset.load(Ordering::Relaxed),
            len: entry.len.load(Ordering::Relaxed),
        }
    }

    /// A free extent that is large enough and not more than twice too large.
    fn find_free(&self, len: u64) -> Option<Place> {
        let is_free = |index: &u32| {
            // ORDERING: Acquire; pairs with `free`, where that was done without the recovery lock.
            self.entry(*index).state.load(Ordering::Acquire) == FREE
        };
        let mut free = (0..self.used()).filter(is_free).map(|index| self.place(index));
        free.find(|p| p.len >= len && p.len / 2 <= len && self.fits(p))
    }

    /// Cuts a new extent from the arena.
    fn cut(&self, len: u64) -> Result<Place, ReserveError> {
        let index = self.used();
        if index == self.capacity {
            return Err(ReserveError::Entries);
        }
        let offset = match index.checked_sub(1).map(|last| self.place(last)) {
            // Not 0: a word that names an extent by its offset says 0 for none.
            None => EXTENT_UNIT,
            Some(last) if self.fits(&last) => {
                (last.offset + last.len).next_multiple_of(EXTENT_UNIT)
            }
            Some(_) => return Err(ReserveError::Arena),
        };
        if offset.checked_add(len).is_none_or(|end| end > self.arena_len) {
            return Err(ReserveError::Arena);
        }
        let entry = self.entry(index);
        // ORDERING: Relaxed; under the recovery lock, covered by `used`.
        entry.state.store(FREE, Ordering::Relaxed);
        entry.offset.store(offset, Ordering::Relaxed);
        entry.len.store(len, Ordering::Relaxed);
        crash_point!("directory.cut.before_used");
        // ORDERING: Release; readers of `used` see the entry.
        self.used_word().store(u64::from(index) + 1, Ordering::Release);
        crash_point!("directory.cut.after_used");
        // ORDERING: Relaxed; under the recovery lock.
        let generation = entry.generation.load(Ordering::Relaxed);
        Ok(Place { id: ObjectId { index, generation }, kind: 0, offset, len })
    }

    /// How many entries have an extent.
    pub fn used(&self) -> u32 {
        // ORDERING: Acquire, pairs with `cut`. Whatever it says, no more than there is room for.
        self.used_word().load(Ordering::Acquire).min(u64::from(self.capacity)) as u32
    }

    fn used_word(&self) -> &AtomicU64 {
        // SAFETY: valid for as long as the directory (`new`).
        unsafe { self.used.as_ref() }
    }

    fn entry(&self, index: u32) -> &Entry {
        assert!(index < self.capacity);
        // SAFETY: the index is below the capacity, all bit patterns are valid, and the memory outlives us (`new`).
        unsafe { self.entries.add(index as usize).as_ref() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn with_directory(test: impl FnOnce(&Directory)) {
        let mut memory: Vec<CachePadded<[u64; 16]>> = vec![CachePadded::new([0; 16]); 8];
        // SAFETY: 1024 zeroed bytes, aligned to 128, hold a directory of 8 entries and outlive it.
        test(&unsafe { Directory::new(NonNull::from(memory.as_mut_slice()).cast(), 8, 4096) });
    }

    fn me() -> OwnerId {
        OwnerId::new(1, 0)
    }

    #[test]
    fn an_object_is_found_from_publication_to_its_end() {
        with_directory(|d| {
            let place = d.reserve(100, 7, me()).unwrap();
            assert_eq!((place.offset, place.len, d.find(place.id)), (128, 128, None));
            assert_eq!(d.reserved_by(me()).collect::<Vec<_>>(), [place]);
            d.publish(place.id);
            assert_eq!(d.find(place.id), Some(place));
            assert_eq!(d.objects().count(), 1);
            d.free(place.id);
            assert_eq!(d.find(place.id), None);
            let again = d.reserve(128, 8, me()).unwrap();
            d.publish(again.id);
            assert_eq!((again.offset, d.find(place.id)), (128, None), "same extent, another id");
        });
    }

    #[test]
    fn a_full_directory_and_a_full_arena_say_so() {
        with_directory(|d| {
            assert_eq!(d.reserve(5000, 1, me()), Err(ReserveError::Arena));
            for _ in 0..8 {
                d.reserve(64, 1, me()).unwrap();
            }
            assert_eq!(d.reserve(64, 1, me()), Err(ReserveError::Entries));
        });
    }

    #[test]
    fn scribbled_entries_are_never_given_out() {
        with_directory(|d| {
            let place = d.reserve(64, 1, me()).unwrap();
            d.publish(place.id);
            d.entry(0).offset.store(u64::MAX - 63, Ordering::Relaxed);
            assert_eq!(d.find(place.id), None);
            assert_eq!(d.reserve(64, 1, me()), Err(ReserveError::Arena), "behind it is nowhere");
            d.entry(0).offset.store(0, Ordering::Relaxed);
            d.entry(0).len.store(129, Ordering::Relaxed);
            assert_eq!(d.reserve(64, 1, me()).map(|place| place.offset), Ok(256), "aligned");
            assert_eq!(d.reserve(u64::MAX, 1, me()), Err(ReserveError::Arena));
            d.entry(0).offset.store(u64::MAX - 63, Ordering::Relaxed);
            d.free(ObjectId { index: 1, generation: 0 });
            d.used_word().store(u64::MAX, Ordering::Relaxed);
            assert_eq!(d.objects().count(), 0);
            assert_eq!(d.find(ObjectId::from_bits(u64::MAX)), None);
        });
    }
}
