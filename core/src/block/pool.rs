//! Allocate and free. Lock-free; nothing is ever waited for.
//!
//! Free blocks are listed in bitmaps, a bit a block, with a summary bit for each bitmap word. Both are hints: a listed
//! block is taken by the CAS on its control word and by nothing else, so a bit too many costs a failed CAS and a bit
//! too few (its taker was killed) is set again by the death procedure. A handle takes a whole bitmap word of small
//! blocks in one swap, its *magazine*, and gives back freed ones a word at a time. Large blocks go one by one.
//!
//! Each class has its own blocks. Where all of a class are in use, the next larger class that has one serves: of a large
//! block only what the message needs is committed, so that this costs address space and no memory.
//!
//! # Invariants
//!
//! * I1. A word index below `fresh` has its bitmap word, controls and (small classes) blocks in committed memory.
//! * I2. Whoever frees a block makes its control FREE first and lists it second.
//! * I3. A set bitmap bit has its summary bit set, or somebody is between the two steps, or died there. A summary bit
//!   may be set for a word that is empty.
//!
//! # Ordering
//!
//! * E1 "word in use": `extend`'s CAS of `fresh` (Release) → `words_in_use`'s Acquire: the commit came before.
//! * E2 "listed": `list`'s fetch_or (AcqRel) → `take_word`'s swap (AcqRel). The control word has its own edge.
//!
//! # Crash points
//!
//! A killed process's magazines are FREE or OWNED(dead) blocks without a bit: [`super::recover`] frees and lists them.
//! Killed between commit and `fresh`: committed memory that the next `extend` finds committed.

#[cfg(all(test, not(loom)))]
pub(super) mod tests;

use core::ptr::NonNull;

use super::control::Control;
use super::descriptor::BlockRef;
use super::geometry::{self, ClassGeometry, Geometry};
use super::idle::Idle;
use crate::owner::OwnerId;
use crate::primitive::{AtomicU64, Ordering, fence_after_rmw};

/// How many words a handle collects freed blocks of before it lists them.
const RETURN_WORDS: usize = 8;
/// Attempts at listed blocks before new ones are taken into use: only bits that lie can use them up.
const MAX_MISSES: u32 = 256;

/// Which part of the pool's memory an offset counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Region {
    /// Counters, bitmaps, side controls.
    Meta,
    /// Blocks.
    Data,
}

/// Where the pool's memory comes from, piece by piece.
pub trait Backing {
    /// Why memory is not to be had.
    type Error;

    /// Makes `len` bytes at `offset` of `region` safe to touch. Cheap when they are.
    ///
    /// # Errors
    ///
    /// No memory: nothing was changed.
    fn commit(&self, region: Region, offset: u64, len: u64) -> Result<(), Self::Error>;

    /// Whether the bytes are safe to touch.
    fn is_committed(&self, region: Region, offset: u64, len: u64) -> bool;

    /// Called by `me` where allocating took the long way: a moment to look for blocks that lie free
    /// ([`Pool::may_have_idle`]).
    fn has_a_moment(&self, _me: OwnerId) {}
}

/// Has controls of blocks be touchable in this process, where not all of the pool's memory is there from the first moment on.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// What `ask` is called with.
    pub context: NonNull<()>,
    /// Whether `len` bytes at `offset` of the region can be touched from now on.
    pub ask: fn(NonNull<()>, Region, offset: u64, len: u64) -> bool,
}

/// Why there is no block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocError<E> {
    /// No class is that large; the largest payload is given.
    TooLong(u64),
    /// Every block that could hold it is in use.
    Exhausted {
        /// Payload bytes of the smallest blocks that could.
        block: u64,
        /// How many of these there are.
        count: u32,
    },
    /// There is address space, but no memory behind it.
    Backing(E),
}

/// The pool, as one process sees it: geometry is private, all else is shared.
#[derive(Debug)]
pub struct Pool {
    meta: NonNull<u8>,
    data: NonNull<u8>,
    geometry: Geometry,
    /// What large blocks note when they are freed.
    clock: fn() -> u64,
    reach: Option<Reach>,
    /// In the place of a control that cannot be reached: private memory, and in no state that there is.
    lost: Control,
}

// SAFETY: all shared state is atomic or owned by way of a control word.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

/// Free small blocks that one handle took to allocate from: a word and its bits for each class. Private memory; a copy
/// made by fork is harmless, because each block is still taken by CAS.
#[derive(Clone, Debug, Default)]
pub struct Magazines {
    classes: [(u32, u64); Geometry::small_classes()],
}

/// Freed small blocks that one handle has not listed yet. Private memory.
#[derive(Clone, Debug, Default)]
pub struct Returns {
    words: [(u8, u32, u64); RETURN_WORDS],
}

impl Pool {
    /// The pool whose regions begin at `meta` and `data`.
    ///
    /// # Safety
    ///
    /// Both regions are as large as `geometry` was made for, aligned to 4096, shared by nothing but pools of the same
    /// geometry, zero when the first of them was made, and valid for as long as the pool is used. The first
    /// [`super::FRESH_BYTES`] of `meta` are safe to touch.
    pub unsafe fn new(meta: NonNull<u8>, data: NonNull<u8>, geometry: Geometry) -> Self {
        Self { meta, data, geometry, clock: || 0, reach: None, lost: Control::lost() }
    }

    /// The same with a clock that is the same one in all processes, below 2^62: it tells how long a block lies free.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> u64) -> Self {
        Self { clock, ..self }
    }

    /// The same, which asks before it touches the control of a block. Counters and bitmaps are not asked for.
    ///
    /// # Safety
    ///
    /// `reach.ask` may be called with `reach.context` for as long as the pool is used.
    #[must_use]
    pub unsafe fn with_reach(self, reach: Reach) -> Self {
        Self { reach: Some(reach), ..self }
    }

    #[inline]
    fn reaches(&self, region: Region, offset: u64, len: u64) -> bool {
        self.reach.is_none_or(|reach| (reach.ask)(reach.context, region, offset, len))
    }

    pub(super) fn now(&self) -> u64 {
        (self.clock)()
    }

    /// Size classes.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// A block for `len` bytes of payload, owned by `me`. Its content is whatever was there.
    ///
    /// # Errors
    ///
    /// [`AllocError`]; nothing was allocated.
    #[inline]
    pub fn alloc<B: Backing>(
        &self,
        magazines: &mut Magazines,
        len: u64,
        me: OwnerId,
        backing: &B,
    ) -> Result<BlockRef, AllocError<B::Error>> {
        let Some(class) = self.geometry.class_for(len) else {
            return Err(AllocError::TooLong(self.geometry.max_len()));
        };
        match self.alloc_in(class, magazines, len, me, backing) {
            Err(used_up @ AllocError::Exhausted { .. }) => {
                self.alloc_above(class, magazines, len, me, backing).unwrap_or(Err(used_up))
            }
            other => other,
        }
    }

    /// A block of a larger class than `class`. `None` where all of these are used up, too.
    #[cold]
    fn alloc_above<B: Backing>(
        &self,
        class: u8,
        magazines: &mut Magazines,
        len: u64,
        me: OwnerId,
        backing: &B,
    ) -> Option<Result<BlockRef, AllocError<B::Error>>> {
        let above = class + 1..self.geometry.classes().len() as u8;
        above
            .map(|larger| self.alloc_in(larger, magazines, len, me, backing))
            .find(|served| !matches!(served, Err(AllocError::Exhausted { .. })))
    }

    /// A block of this class.
    #[inline]
    fn alloc_in<B: Backing>(
        &self,
        class: u8,
        magazines: &mut Magazines,
        len: u64,
        me: OwnerId,
        backing: &B,
    ) -> Result<BlockRef, AllocError<B::Error>> {
        let Some((word, bits)) = magazines.classes.get_mut(usize::from(class)) else {
            return self.alloc_large(class, len, me, backing);
        };
        loop {
            if *bits == 0 {
                let (new, found) = self.take_word(class, me, backing)?;
                // Where another process took these blocks into use they may be new to this one.
                if let Err(error) = self.commit_blocks(class, new, backing) {
                    self.list(class, new, found);
                    return Err(AllocError::Backing(error));
                }
                (*word, *bits) = (new, found);
            }
            let block = BlockRef { class, index: *word * 64 + bits.trailing_zeros() };
            *bits &= *bits - 1;
            if self.control(block).acquire(me) {
                crash_point!("pool.alloc.owned");
                return Ok(block);
            }
        }
    }

    /// Frees `me`'s block. Does nothing, and says `false`, where it is not `me`'s.
    #[inline]
    pub fn free(&self, returns: &mut Returns, block: BlockRef, me: OwnerId) -> bool {
        if !Geometry::is_small(block.class) {
            return self.free_now(block, me);
        }
        if !self.control(block).release(me) {
            return false;
        }
        crash_point!("pool.free.before_list");
        let (word, bit) = (block.index / 64, 1 << (block.index % 64));
        let slot = &mut returns.words[(word as usize ^ usize::from(block.class)) % RETURN_WORDS];
        if (slot.0, slot.1) != (block.class, word) {
            let (class, word, bits) = core::mem::replace(slot, (block.class, word, 0));
            self.list(class, word, bits);
        }
        slot.2 |= bit;
        if slot.2 == u64::MAX {
            self.list(slot.0, slot.1, core::mem::take(&mut slot.2));
        }
        true
    }

    /// Frees `me`'s block and lists it at once: for whoever has no [`Returns`] at hand.
    #[inline]
    pub fn free_now(&self, block: BlockRef, me: OwnerId) -> bool {
        let can_be_given_back = Geometry::has_whole_chunks(block.class);
        let control = self.control(block);
        if !control.is_owned_by(me) {
            return false;
        }
        if can_be_given_back {
            control.note_time(self.now());
        }
        control.release(me);
        crash_point!("pool.free_now.before_list");
        self.list(block.class, block.index / 64, 1 << (block.index % 64));
        if can_be_given_back {
            self.idle().note();
        }
        true
    }

    /// Lists what a handle collected, as it goes away.
    pub fn flush(&self, magazines: &mut Magazines, returns: &mut Returns) {
        for (class, (word, bits)) in magazines.classes.iter_mut().enumerate() {
            self.list(class as u8, *word, core::mem::take(bits));
        }
        for (class, word, bits) in &mut returns.words {
            self.list(*class, *word, core::mem::take(bits));
        }
    }

    /// The block that a descriptor from shared memory names, if this pool has it, it is in use and `len` fits.
    #[inline]
    pub fn check(&self, block: BlockRef, len: u64) -> Option<BlockRef> {
        let class = self.geometry.class(block.class)?;
        let known = block.index < class.count
            && block.index / 64 < self.words_in_use(class)
            && len <= class.payload;
        known.then_some(block)
    }

    /// The control word of a block of this pool.
    #[inline]
    pub fn control(&self, block: BlockRef) -> &Control {
        let class = self.class(block);
        let index = u64::from(block.index);
        let at = if Geometry::is_small(block.class) {
            let offset = class.data + index * class.stride;
            // With its payload, of which nobody asks.
            if !self.reaches(Region::Data, offset, class.stride) {
                return &self.lost;
            }
            // SAFETY: the index is below the class's count, so the block lies in the data region.
            unsafe { self.data.add(offset as usize) }
        } else {
            let offset = class.controls + index * 64;
            if !self.reaches(Region::Meta, offset, 64) {
                return &self.lost;
            }
            // SAFETY: as above; the side array has a control for each block of the class.
            unsafe { self.meta.add(offset as usize) }
        };
        // SAFETY: aligned to 16, all bit patterns are valid, and it lives as long as the pool (`new`).
        unsafe { at.cast::<Control>().as_ref() }
    }

    /// Where the payload of a block begins.
    #[inline]
    pub fn payload(&self, block: BlockRef) -> NonNull<u8> {
        let class = self.class(block);
        let front = class.stride - class.payload;
        let offset = class.data + u64::from(block.index) * class.stride + front;
        // SAFETY: the index is below the class's count, so the block lies in the data region.
        unsafe { self.data.add(offset as usize) }
    }

    /// Payload bytes that a block holds.
    #[inline]
    pub fn capacity(&self, block: BlockRef) -> u64 {
        self.class(block).payload
    }

    /// Whether the first `len` payload bytes are safe to touch.
    #[inline]
    pub fn is_committed<B: Backing>(&self, block: BlockRef, len: u64, backing: &B) -> bool {
        Geometry::is_small(block.class)
            || backing.is_committed(Region::Data, self.data_offset(block), len)
    }

    /// Whether blocks may lie free that [`Pool::tidy`] would give back.
    #[inline]
    pub fn may_have_idle(&self) -> bool {
        self.idle().may_have()
    }

    /// Whether somebody has free blocks in hand, to give their memory back. A hint: it may be one who was killed a moment ago.
    pub fn is_giving_back(&self) -> bool {
        self.idle().is_giving()
    }

    pub(super) fn idle(&self) -> &Idle {
        // SAFETY: inside the first part of the meta region, which is safe to touch, aligned to 8, any bits are valid, and the
        // region lives as long as the pool (`new`).
        unsafe { self.meta.add(geometry::IDLE as usize).cast().as_ref() }
    }

    #[inline]
    fn class(&self, block: BlockRef) -> &ClassGeometry {
        debug_assert!(self.geometry.class(block.class).is_some_and(|c| block.index < c.count));
        &self.geometry.classes()[usize::from(block.class)]
    }

    #[inline]
    pub(super) fn data_offset(&self, block: BlockRef) -> u64 {
        let class = self.class(block);
        class.data + u64::from(block.index) * class.stride
    }

    #[cold]
    fn alloc_large<B: Backing>(
        &self,
        class: u8,
        len: u64,
        me: OwnerId,
        backing: &B,
    ) -> Result<BlockRef, AllocError<B::Error>> {
        loop {
            let (word, bits) = self.take_bits(class, backing, |all| all & all.wrapping_neg())?;
            let block = BlockRef { class, index: word * 64 + bits.trailing_zeros() };
            let control = self.class(block).controls + u64::from(block.index) * 64;
            if let Err(error) = backing.commit(Region::Meta, control, 64) {
                self.list(class, word, bits);
                return Err(AllocError::Backing(error));
            }
            if !self.control(block).acquire(me) {
                continue;
            }
            crash_point!("pool.alloc_large.owned");
            let committed = backing.commit(Region::Data, self.data_offset(block), len);
            crash_point!("pool.alloc_large.committed");
            return match committed {
                Ok(()) => {
                    backing.has_a_moment(me);
                    Ok(block)
                }
                Err(e) => {
                    self.free_now(block, me);
                    Err(AllocError::Backing(e))
                }
            };
        }
    }

    #[cold]
    fn take_word<B: Backing>(
        &self,
        class: u8,
        me: OwnerId,
        backing: &B,
    ) -> Result<(u32, u64), AllocError<B::Error>> {
        backing.has_a_moment(me);
        self.take_bits(class, backing, |all| all)
    }

    /// Takes the bits that `pick` chooses of some word with free blocks, listed ones first.
    fn take_bits<B: Backing>(
        &self,
        class: u8,
        backing: &B,
        pick: impl Fn(u64) -> u64,
    ) -> Result<(u32, u64), AllocError<B::Error>> {
        let geometry = self.geometry.classes()[usize::from(class)];
        for _ in 0..MAX_MISSES {
            let Some(word) = self.find_listed(&geometry) else { break };
            let (listed, known) = (self.word(&geometry, word), bits_of(&geometry, word));
            // ORDERING: Relaxed; a hint.
            let wanted = pick(listed.load(Ordering::Relaxed) & known);
            // ORDERING: AcqRel, E2. Bits of blocks that there are not, which a peer gone mad has set, go with it.
            let taken = listed.fetch_and(!wanted & known, Ordering::AcqRel) & wanted;
            crash_point!("pool.take_bits.taken");
            if taken != 0 {
                // A word that is empty now keeps its summary bit: who looks for a block next finds out, unless one has
                // come back by then, as it does where one block goes round and round.
                return Ok((word, taken));
            }
            self.unlist_if_empty(&geometry, word);
        }
        let (word, all) = self.extend(class, backing)?;
        let wanted = pick(all);
        self.list(class, word, all & !wanted);
        Ok((word, wanted))
    }

    /// A word in use whose summary bit is set.
    fn find_listed(&self, class: &ClassGeometry) -> Option<u32> {
        let words = self.words_in_use(class);
        for s in 0..words.div_ceil(64) {
            // ORDERING: Relaxed; a hint.
            let summary = self.summary(class, s).load(Ordering::Relaxed);
            if summary != 0 {
                let word = s * 64 + summary.trailing_zeros();
                return (word < words).then_some(word);
            }
        }
        None
    }

    /// Clears the summary bit of a word that has run empty; sets it again if somebody listed meanwhile.
    fn unlist_if_empty(&self, class: &ClassGeometry, word: u32) {
        // ORDERING: Relaxed; a hint.
        if self.word(class, word).load(Ordering::Relaxed) != 0 {
            return;
        }
        let (summary, bit) = (self.summary(class, word / 64), 1 << (word % 64));
        // ORDERING: AcqRel, and a full fence: whoever lists after it sees the bit clear, or we see its block.
        summary.fetch_and(!bit, Ordering::AcqRel);
        fence_after_rmw();
        crash_point!("pool.unlist.cleared");
        if self.word(class, word).load(Ordering::Acquire) != 0 {
            // ORDERING: AcqRel, as above.
            summary.fetch_or(bit, Ordering::AcqRel);
        }
    }

    /// Takes 64 more blocks of a class into use; returns their word and bits, not listed.
    fn extend<B: Backing>(
        &self,
        class: u8,
        backing: &B,
    ) -> Result<(u32, u64), AllocError<B::Error>> {
        let g = self.geometry.classes()[usize::from(class)];
        loop {
            let word = self.words_in_use(&g);
            if word >= g.words {
                return Err(AllocError::Exhausted { block: g.payload, count: g.count });
            }
            let all = bits_of(&g, word);
            let in_word = all.count_ones();
            self.commit_word(class, &g, word, in_word, backing).map_err(AllocError::Backing)?;
            crash_point!("pool.extend.committed");
            // ORDERING: Release, E1.
            let fresh = self.fresh(&g);
            let (now, next) = (u64::from(word), u64::from(word) + 1);
            if fresh.compare_exchange(now, next, Ordering::Release, Ordering::Relaxed).is_ok() {
                crash_point!("pool.extend.in_use");
                return Ok((word, all));
            }
        }
    }

    /// Has the small blocks of a word in use be safe to touch.
    fn commit_blocks<B: Backing>(&self, class: u8, word: u32, backing: &B) -> Result<(), B::Error> {
        let g = self.geometry.classes()[usize::from(class)];
        let count = u64::from(bits_of(&g, word).count_ones());
        let first = g.data + u64::from(word) * 64 * g.stride;
        backing.commit(Region::Data, first, count * g.stride)
    }

    fn commit_word<B: Backing>(
        &self,
        class: u8,
        g: &ClassGeometry,
        word: u32,
        in_word: u32,
        backing: &B,
    ) -> Result<(), B::Error> {
        let first = u64::from(word) * 64;
        backing.commit(Region::Meta, g.summary + u64::from(word / 64) * 8, 8)?;
        backing.commit(Region::Meta, g.bitmap + u64::from(word) * 8, 8)?;
        if Geometry::is_small(class) {
            let len = u64::from(in_word) * g.stride;
            backing.commit(Region::Data, g.data + first * g.stride, len)
        } else {
            backing.commit(Region::Meta, g.controls + first * 64, u64::from(in_word) * 64)
        }
    }

    /// Lists free blocks: I2's second step.
    pub(super) fn list(&self, class: u8, word: u32, bits: u64) {
        if bits == 0 {
            return;
        }
        let g = &self.geometry.classes()[usize::from(class)];
        // ORDERING: AcqRel, E2.
        self.word(g, word).fetch_or(bits, Ordering::AcqRel);
        fence_after_rmw();
        crash_point!("pool.list.before_summary");
        let (summary, bit) = (self.summary(g, word / 64), 1 << (word % 64));
        // ORDERING: Relaxed; behind the full fence above, see `unlist_if_empty`.
        if summary.load(Ordering::Relaxed) & bit == 0 {
            // ORDERING: AcqRel, as in `unlist_if_empty`.
            summary.fetch_or(bit, Ordering::AcqRel);
        }
    }

    /// The blocks of a bitmap word that are listed. A hint.
    pub(super) fn listed(&self, class: &ClassGeometry, word: u32) -> u64 {
        // ORDERING: Relaxed; a hint.
        self.word(class, word).load(Ordering::Relaxed) & bits_of(class, word)
    }

    /// How many bitmap words of a class are in use. At most the class's words, whatever the counter says.
    #[inline]
    pub(super) fn words_in_use(&self, class: &ClassGeometry) -> u32 {
        // ORDERING: Acquire, E1.
        self.fresh(class).load(Ordering::Acquire).min(u64::from(class.words)) as u32
    }

    #[inline]
    fn fresh(&self, class: &ClassGeometry) -> &AtomicU64 {
        self.meta_word(class.fresh)
    }

    fn word(&self, class: &ClassGeometry, word: u32) -> &AtomicU64 {
        debug_assert!(word < class.words);
        self.meta_word(class.bitmap + u64::from(word) * 8)
    }

    fn summary(&self, class: &ClassGeometry, index: u32) -> &AtomicU64 {
        debug_assert!(index < class.words.div_ceil(64));
        self.meta_word(class.summary + u64::from(index) * 8)
    }

    #[inline]
    fn meta_word(&self, offset: u64) -> &AtomicU64 {
        // SAFETY: the geometry's offsets lie inside the meta region and are aligned to 8.
        // SAFETY: all bit patterns are valid, and the region lives as long as the pool (`new`).
        unsafe { self.meta.add(offset as usize).cast::<AtomicU64>().as_ref() }
    }
}

/// The bits of a bitmap word that stand for blocks: all, but for the last word of a class. `word` is below its words.
#[inline]
fn bits_of(class: &ClassGeometry, word: u32) -> u64 {
    u64::MAX >> (64 - (class.count - word * 64).min(64))
}
