//! Permits with owners: a bounded semaphore that knows who holds what, so that the permits of the dead come back.
//!
//! Acquire and release are one compare-and-swap each where the word that the caller looks at first will do; otherwise
//! they look at one word after the other, so they cost up to as many loads as there are permits. Both are lock-free:
//! a process that is stopped anywhere in here holds up nobody. Not fair: a newcomer may pass a sleeper. A permit is
//! its process's, not its thread's.
//!
//! # Memory
//!
//! ```text
//! byte 0   +----------------------+----------------------+
//!          |      limit u32       | sleepers u32         |    limit: written once. sleepers: event count
//! byte 8   +----------------------+----------------------+
//!          | permit 0: u64                               |    one word a permit
//!          | permit 1 ...                                |
//!          +---------------------------------------------+
//!
//!  63                              32 31               0
//! +----------------------------------+------------------+
//! |   how often the word changed     |  owner (OwnerId) |
//! +----------------------------------+------------------+
//! ```
//!
//! | owner | meaning | who may leave it |
//! |---|---|---|
//! | 0 | free | anybody, by CAS to its own id |
//! | an id | held | its process, by CAS to 0; another that releases and has none of its own, by CAS to 0; whoever proved the process dead, by CAS to 0 or to its own id |
//! | LEFT (bit 31) | held, and nobody's: its process ended in good order and left it to those who will release it | whoever releases and has none of its own, by CAS to 0 |
//! | an id that nobody can have | scribbled: taken as a dead one's | the same |
//!
//! # Invariants
//!
//! * I1. There are as many permits as words: nobody's death, release or recovery makes one more or one fewer.
//! * I2. Each change of a word adds one to its upper half. So a CAS acts on exactly what was seen, and two looks at
//!   all words whose upper halves add up to the same saw the same words: at the moment between the two all of them
//!   were as seen. A look alone proves nothing, for a permit can pass from a word not yet looked at to one looked at.
//! * I3. Ids carry an epoch and a record is reused only after its permits were given back, so an owner cannot come to
//!   mean somebody else.
//! * I4. A sleeper has looked at all words since it announced itself, and a release changes the event count where
//!   somebody may sleep: no permit is overslept.
//!
//! # Ordering
//!
//! * E1 "permit": the CAS that frees a word → the CAS that takes it, both AcqRel. Whoever could not have got in before
//!   somebody's release sees what that one published, if not from that one's word then from those who came between.
//! * E2 "inheritance": what a dead holder wrote is visible to whoever proved the death, through the kernel.
//! * E3 "free, then look for sleepers": the event count's edge.
//!
//! # Crash points
//!
//! | killed | leaves | mended by |
//! |---|---|---|
//! | with permits, or taking one | words with its id | [`Permits::recover`], or whoever wants a permit and proves the death |
//! | between freeing and waking | sleepers asleep | sliced sleeps, [`PermitsHead::wake_all`] |
//! | in `recover` | words with the dead one's id | `recover` again: freeing a word twice is not possible (I2) |

use core::ptr::NonNull;

use super::EventCount;
use super::semaphore::OverLimit;
use crate::futex::Scope;
use crate::owner::OwnerId;
use crate::primitive::{AtomicU32, AtomicU64, Ordering};
use crate::wait::Waiter;

/// The most permits: a search looks at half a mebibyte then.
pub const MAX_OWNED_PERMITS: u32 = 1 << 16;

/// Where the permits' words begin.
const WORDS_AT: usize = size_of::<PermitsHead>().next_multiple_of(align_of::<AtomicU64>());

/// In the place of an owner: held, and nobody's.
const LEFT: u32 = 1 << 31;

/// What stands before the permits.
#[repr(C)]
#[derive(Debug)]
pub struct PermitsHead {
    /// How many permits there are. Written by `init`; read once, by `attach`.
    limit: AtomicU32,
    /// Who waits for a permit sleeps here.
    sleepers: EventCount,
}

/// Permits with owners, in shared memory. How many there are is private: it stands in the reference.
#[repr(C)]
#[derive(Debug)]
pub struct Permits {
    head: PermitsHead,
    words: [AtomicU64],
}

/// No permits that could be where they should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Impossible;

impl PermitsHead {
    /// Wakes everybody to look again: part of the death procedure.
    pub fn wake_all(&self, scope: Scope) {
        self.sleepers.wake_all(scope);
    }
}

impl Permits {
    /// Bytes of memory for so many permits.
    pub const fn bytes(limit: u32) -> usize {
        WORDS_AT + limit as usize * size_of::<AtomicU64>()
    }

    /// Makes `limit` permits, all of them free.
    ///
    /// # Safety
    ///
    /// `at` is aligned to 8 and valid for [`Permits::bytes`], which nobody else uses yet.
    ///
    /// # Panics
    ///
    /// If `limit` is above [`MAX_OWNED_PERMITS`].
    pub unsafe fn init(at: NonNull<u8>, limit: u32) {
        assert!(limit <= MAX_OWNED_PERMITS);
        let head = PermitsHead { limit: AtomicU32::new(limit), sleepers: EventCount::new() };
        // SAFETY: aligned, and within the bytes promised.
        unsafe { at.cast::<PermitsHead>().write(head) };
        for index in 0..limit {
            // SAFETY: within the bytes promised, and aligned as the first word is.
            unsafe { at.byte_add(Self::bytes(index)).cast::<AtomicU64>().write(AtomicU64::new(0)) };
        }
    }

    /// How many permits stand at `at`, if `len` bytes can hold them.
    ///
    /// # Errors
    ///
    /// [`Impossible`].
    ///
    /// # Safety
    ///
    /// `at` is aligned to 8 and valid for `len` bytes, in which others touch nothing but atomic words.
    pub unsafe fn attach(at: NonNull<u8>, len: usize) -> Result<u32, Impossible> {
        if len < Self::bytes(0) {
            return Err(Impossible);
        }
        // SAFETY: aligned and long enough; atomic words, so peers may write behind the reference.
        let head = unsafe { at.cast::<PermitsHead>().as_ref() };
        // ORDERING: Relaxed; written before the address was passed on.
        let limit = head.limit.load(Ordering::Relaxed);
        let fits = limit <= MAX_OWNED_PERMITS && Self::bytes(limit) <= len;
        if fits { Ok(limit) } else { Err(Impossible) }
    }

    /// The `limit` permits at `at`.
    ///
    /// # Safety
    ///
    /// `limit` is what [`Permits::attach`] found there or [`Permits::init`] left there, and the memory stays valid for
    /// `'a`.
    #[inline]
    pub unsafe fn at<'a>(at: NonNull<u8>, limit: u32) -> &'a Self {
        let words = core::ptr::slice_from_raw_parts(at.as_ptr().cast_const(), limit as usize);
        // SAFETY: room for the head and so many words, aligned to 8, valid for `'a`, by the caller's word.
        // SAFETY: atomic words, so peers may write behind the reference.
        unsafe { &*(words as *const Self) }
    }

    /// Where those sleep who want a permit; who gives one back notifies after a locked instruction.
    pub fn sleepers(&self) -> &EventCount {
        &self.head.sleepers
    }

    /// How many permits there are in all.
    #[inline]
    pub fn limit(&self) -> u32 {
        self.words.len() as u32
    }

    /// How many are free. A glance: it may be old when it returns, and others who act meanwhile can make it a number
    /// that never was.
    pub fn value(&self) -> u32 {
        // ORDERING: Relaxed; a glance.
        self.words.iter().filter(|w| owner_bits(w.load(Ordering::Relaxed)) == 0).count() as u32
    }

    /// Who holds permits: once for each that it holds. A glance, as [`Permits::value`].
    pub fn owners(&self) -> impl Iterator<Item = OwnerId> + '_ {
        // ORDERING: Relaxed; a glance.
        self.words.iter().filter_map(|w| OwnerId::from_bits(owner_bits(w.load(Ordering::Relaxed))))
    }

    /// Takes the permit `near` if it is free: which that is does not matter to the permits, only to how soon one is
    /// found.
    #[inline]
    pub fn try_acquire_fast(&self, me: OwnerId, near: u32) -> bool {
        self.move_near(near, 0, me.bits())
    }

    /// Takes a permit if there is one: free, or a dead one's. Looks at `near` first, and upwards from there. Returns
    /// which one it took.
    #[inline]
    pub fn try_acquire(
        &self,
        me: OwnerId,
        near: u32,
        is_dead: impl FnMut(OwnerId) -> bool,
    ) -> Option<u32> {
        if self.try_acquire_fast(me, near) {
            return Some(near);
        }
        self.try_acquire_slow(me, near, is_dead)
    }

    #[cold]
    fn try_acquire_slow(
        &self,
        me: OwnerId,
        near: u32,
        is_dead: impl FnMut(OwnerId) -> bool,
    ) -> Option<u32> {
        let free = |owner| (owner == 0).then_some(me.bits());
        self.change(|| self.upwards(near), free)
            .or_else(|| self.look(self.upwards(near), free_or_dead(me, is_dead)).ok())
    }

    /// Takes a permit, waiting for one. Looks at `near` first, and upwards from there. Returns which one it took.
    ///
    /// # Errors
    ///
    /// The waiter's reason to give up; no permit is taken then.
    pub fn acquire<W: Waiter>(
        &self,
        me: OwnerId,
        near: u32,
        waiter: &mut W,
    ) -> Result<u32, W::Stop> {
        loop {
            let free = |owner| (owner == 0).then_some(me.bits());
            if let Ok(index) = self.look(self.upwards(near), free) {
                return Ok(index);
            }
            if waiter.spin() {
                continue;
            }
            let key = self.head.sleepers.key();
            crash_point!("permits.acquire.announced");
            let dead = |owner| waiter.is_dead(owner);
            if let Ok(index) = self.look(self.upwards(near), free_or_dead(me, dead)) {
                return Ok(index);
            }
            self.head.sleepers.sleep(key, waiter)?;
        }
    }

    /// Gives a permit back: one of `me`'s, or, if it has none, one that was left, or any that is held. Looks at `near` first, and downwards
    /// from there. Returns which one it was.
    ///
    /// # Errors
    ///
    /// [`OverLimit`] if all are free.
    #[inline]
    pub fn release(&self, me: OwnerId, near: u32, scope: Scope) -> Result<u32, OverLimit> {
        let index = if self.move_near(near, me.bits(), 0) {
            near
        } else {
            self.release_slow(me, near).ok_or(OverLimit { max: self.limit() })?
        };
        self.head.sleepers.notify_after_rmw(1, scope);
        Ok(index)
    }

    #[cold]
    fn release_slow(&self, me: OwnerId, near: u32) -> Option<u32> {
        let mine = |owner| (OwnerId::from_bits(owner) == Some(me)).then_some(0);
        let held = |owner| (owner != 0).then_some(0);
        let downwards = || self.downwards(near);
        let left = |owner| (owner == LEFT).then_some(0);
        let of_others = || self.change(downwards, left).or_else(|| self.change(downwards, held));
        self.change(downwards, mine).or_else(of_others)
    }

    /// Has `me`'s permits be nobody's: they stay held, also when `me` ends, until somebody releases them. Returns how many
    /// that were.
    pub fn leave(&self, me: OwnerId) -> u32 {
        let mine = |bits| (OwnerId::from_bits(bits) == Some(me)).then_some(LEFT);
        let all = 0..self.words.len();
        all.map(|index| u32::from(self.look([index].into_iter(), mine).is_ok())).sum()
    }

    /// Death procedure: frees what the dead `owner` holds; returns how many that were. Idempotent.
    pub fn recover(&self, owner: OwnerId, scope: Scope) -> u32 {
        let of_dead = |bits| (OwnerId::from_bits(bits) == Some(owner)).then_some(0);
        let mut freed = 0;
        for index in 0..self.words.len() {
            freed += u32::from(self.look([index].into_iter(), of_dead).is_ok());
        }
        if freed > 0 {
            self.head.sleepers.notify_after_rmw(freed, scope);
        }
        freed
    }

    /// One attempt at the word `near`.
    #[inline]
    fn move_near(&self, near: u32, from: u32, to: u32) -> bool {
        let Some(word) = self.words.get(near as usize) else { return false };
        // ORDERING: Relaxed; confirmed by the CAS.
        let seen = word.load(Ordering::Relaxed);
        // ORDERING: AcqRel on success, E1.
        let moved = owner_bits(seen) == from
            && word
                .compare_exchange(seen, changed(seen, to), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if moved {
            crash_point!("permits.near.moved");
        }
        moved
    }

    /// Gives a word the owner that `to` wants for it, if for any. `None` if at one moment it wanted none for any (I2).
    fn change<I: Iterator<Item = usize>>(
        &self,
        order: impl Fn() -> I,
        to: impl Fn(u32) -> Option<u32>,
    ) -> Option<u32> {
        let mut before = None;
        loop {
            match self.look(order(), &to) {
                Ok(index) => return Some(index),
                Err(sum) if before == Some(sum) => return None,
                Err(sum) => before = Some(sum),
            }
        }
    }

    /// One look at all words: gives the first for which `to` wants an owner that owner, and returns which it was;
    /// otherwise the sum of the words' upper halves.
    fn look(
        &self,
        order: impl Iterator<Item = usize>,
        mut to: impl FnMut(u32) -> Option<u32>,
    ) -> Result<u32, u32> {
        let mut sum = 0_u32;
        for index in order {
            let word = &self.words[index];
            // ORDERING: Acquire, so that looks are made in their order (I2).
            let mut seen = word.load(Ordering::Acquire);
            while let Some(owner) = to(owner_bits(seen)) {
                let new = changed(seen, owner);
                // ORDERING: AcqRel on success, E1 and E2; Acquire on failure, as above.
                match word.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => {
                        crash_point!("permits.look.moved");
                        return Ok(index as u32);
                    }
                    Err(now) => seen = now,
                }
            }
            sum = sum.wrapping_add((seen >> 32) as u32);
        }
        Err(sum)
    }

    /// All indices, from `near` on upwards and round.
    fn upwards(&self, near: u32) -> impl Iterator<Item = usize> + use<> {
        let (len, near) = (self.words.len(), near as usize);
        let start = if near < len { near } else { 0 };
        (start..len).chain(0..start)
    }

    /// All indices, from `near` on downwards and round.
    fn downwards(&self, near: u32) -> impl Iterator<Item = usize> + use<> {
        let (len, near) = (self.words.len(), near as usize);
        let end = if near < len { near + 1 } else { len };
        (0..end).rev().chain((end..len).rev())
    }
}

/// The owner's half of a word.
#[inline]
fn owner_bits(word: u64) -> u32 {
    word as u32
}

/// The word that follows `seen` when it gets another owner (I2).
#[inline]
fn changed(seen: u64, owner: u32) -> u64 {
    let count = ((seen >> 32) as u32).wrapping_add(1);
    u64::from(count) << 32 | u64::from(owner)
}

/// Wants a word for `me` that is free or whose owner is proven dead. It asks once for owners in a row.
fn free_or_dead(
    me: OwnerId,
    mut is_dead: impl FnMut(OwnerId) -> bool,
) -> impl FnMut(u32) -> Option<u32> {
    let mut living = None;
    move |owner| {
        if owner == LEFT {
            return None;
        }
        let owner = OwnerId::from_bits(owner);
        let free = owner.is_none_or(|owner| living != Some(owner) && is_dead(owner));
        if !free {
            living = owner;
        }
        free.then_some(me.bits())
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
