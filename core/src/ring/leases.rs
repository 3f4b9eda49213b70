//! A table of leases: who works at which item of a queue, and how many items are finished.
//!
//! An item that was taken from a ring lies in an entry until it is finished, so that a worker's death costs nothing: the
//! item is given back and goes to the next. Claiming, finishing and giving back are lock-free, and each takes effect in
//! ONE compare-and-swap. Nothing here sleeps, and no block is touched: the crate `slipring` does both.
//!
//! How many items are unfinished stands nowhere. It is what was published in the queue's rings, which they know
//! themselves ([`super::mpmc::Ring::published`]), less the sum of what was finished in the entries: both only grow, and
//! a death between two steps leaves neither of them wrong. Less, too, what was said to be done before anybody had it:
//! `ahead`. Whoever takes an item while that is not 0 takes one off and finishes the item at once.
//!
//! # Memory
//!
//! ```text
//! header   line 0  | count (u32) | limit (u32) |     written once
//!          line 2  | used (u32) | ahead (u32) |   entries that were ever claimed; items done before they were taken
//!          line 4  | returns (u64) |   counts what was given back
//!          line 6  | looked (u64)  |   returns, as of a look that found nothing
//!          line 8  | finished (event count) |        joiners sleep here
//! entries  64 bytes each:
//!          | word (u64) | number (u64) | descriptor (u64) | order (u64) | since (u64) | tag (u64) | 0 ... |
//!          word:  63  49 48          19 18             3 2     0
//!                | 0    | owner (30)   | deliveries (16) | state |
//! ```
//!
//! Word and number are replaced together (16 bytes). The number counts the items that were finished in this entry, so an
//! item's *place* (entry, number) never recurs.
//!
//! | state | meaning | left by |
//! |---|---|---|
//! | FREE | nobody's | anybody: to CLAIMED(itself) |
//! | CLAIMED(o) | o is about to take the item that `descriptor` and `order` say, or has taken it | o: to LEASED(o), to FREE; a recoverer: to GIVEN_BACK, to FREE |
//! | LEASED(o) | o works at the item, which was delivered so many times | o: to FREE with number + 1, to GIVEN_BACK; a recoverer: to GIVEN_BACK |
//! | GIVEN_BACK | the item waits for somebody | anybody: to LEASED(itself) with one delivery more, to OPENED(itself) with number + 1 |
//! | OPENED(o) | a dead letter in o's hands: finished, as far as counts go | o: to ASIDE, to FREE; a recoverer: to ASIDE |
//! | ASIDE | a dead letter | anybody: to OPENED(itself) |
//!
//! # Invariants
//!
//! * I1. The number grows by one in exactly the CAS by which an item is finished or set aside, and never else.
//! * I2. Only the owner of a CLAIMED entry writes `descriptor` and `order`, and only while it is CLAIMED.
//! * I3. Entries from `used` on were never claimed.
//! * I4. An item at place (e, n) is unfinished exactly as long as the number of entry e is n.
//! * I5. `returns` grows after each change to GIVEN_BACK; `looked` is a value of it from before a look that found none.
//! * I6. An entry whose owner takes one off `ahead` says so in `since` before. If the owner dies before it has finished the
//!   item, the death procedure adds one again. It may add one that was never taken off: then `ahead` is one too high, which
//!   lets a joiner go early and nobody hang, until nothing is unfinished.
//!
//! # Ordering
//!
//! * E1 "what it is": the owner's stores of `descriptor` and `order` → each CAS of the word (a full fence) → `look`'s
//!   Acquire.
//! * E2 "given back": the CAS to GIVEN_BACK → `returns`'s increment (AcqRel) → the Acquire in `next_given_back`: who sees
//!   the count sees the entry.
//! * E3 "finished": what the worker did → the CAS to FREE → `finished`'s Acquire of the number → the joiner.
//!
//! # Crash points
//!
//! Between the change to GIVEN_BACK and `returns`: nobody looks for the item until the death procedure, which always
//! counts one return. A dead one's entries: [`Leases::recover`].
//!
//! | file | what it holds |
//! |---|---|
//! | `leases/entry.rs` | one entry: its words, and what they say |
//! | `leases/recover.rs` | what the death procedure asks of a table, and does to it |

mod entry;
mod recover;
#[cfg(all(test, not(loom)))]
mod tests;

use core::ptr::NonNull;

use entry::{ASIDE, CLAIMED, Entry, FREE, GIVEN_BACK, LEASED, OPENED, PLACE_BITS, word};
pub use entry::{Hold, MAX_DELIVERIES, MAX_ENTRIES, NotHeld, Seen, State};

use crate::owner::OwnerId;
use crate::primitive::{AtomicU32, AtomicU64, CachePadded, Ordering, Pair};
use crate::ring::Corrupt;
use crate::sync::EventCount;

/// Sizes of the header and of an entry, in one number, for a layout's fingerprint.
pub const LAYOUT_BYTES: u64 = (size_of::<Header>() as u64) << 32 | size_of::<Entry>() as u64;

/// A word and its number are read again so many times where they change meanwhile.
const MAX_LOOKS: u32 = 64;

/// The shared words of a table; the entries follow.
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    sizes: CachePadded<Sizes>,
    used: CachePadded<Used>,
    returns: CachePadded<AtomicU64>,
    looked: CachePadded<AtomicU64>,
    /// Whoever waits until all items are finished sleeps here.
    finished: CachePadded<EventCount>,
}

#[repr(C)]
#[derive(Debug)]
struct Sizes {
    /// Number of entries.
    count: AtomicU32,
    /// An item that was delivered so many times and came back is set aside; 0: never.
    limit: AtomicU32,
}

#[repr(C)]
#[derive(Debug)]
struct Used {
    /// Entries from here on were never claimed.
    entries: AtomicU32,
    /// How many items were said to be done, and not taken yet.
    ahead: AtomicU32,
}

/// Set in an entry's `tag` when others may end the lease. No handle has so large a number.
const OPEN: u64 = 1 << 63;

/// What `since` of an entry says whose owner takes one off `ahead` (I6).
const PREPAID: u64 = u64::MAX;

/// A table in memory that outlives this view. Cheap to copy; geometry is private to the view.
#[derive(Clone, Copy, Debug)]
pub struct Leases {
    header: NonNull<Header>,
    entries: NonNull<Entry>,
    count: u32,
    limit: u32,
}

// SAFETY: all shared state is atomic, and the view itself is never changed.
unsafe impl Send for Leases {}
// SAFETY: as above.
unsafe impl Sync for Leases {}

impl Leases {
    /// Bytes that a table of so many entries occupies, aligned to 128. `None` for 0 or more than [`MAX_ENTRIES`].
    pub fn bytes(count: u32) -> Option<usize> {
        let entries =
            (1..=MAX_ENTRIES).contains(&count).then(|| count as usize * size_of::<Entry>())?;
        Some(size_of::<Header>() + entries.next_multiple_of(128))
    }

    /// Writes an empty table and returns its view. An item that was delivered `limit` times and comes back is set aside;
    /// 0: never. `None` as for [`Leases::bytes`].
    ///
    /// # Safety
    ///
    /// `at` is aligned to 128 and valid for [`Leases::bytes`] bytes for as long as any view is used, and nobody else
    /// uses the memory yet.
    pub unsafe fn init(at: NonNull<u8>, count: u32, limit: u32) -> Option<Self> {
        Self::bytes(count)?;
        // SAFETY: room for the header, by the caller's promise.
        unsafe {
            at.cast().write(Header {
                sizes: CachePadded::new(Sizes {
                    count: AtomicU32::new(count),
                    limit: AtomicU32::new(limit),
                }),
                used: CachePadded::new(Used {
                    entries: AtomicU32::new(0),
                    ahead: AtomicU32::new(0),
                }),
                returns: CachePadded::new(AtomicU64::new(0)),
                looked: CachePadded::new(AtomicU64::new(0)),
                finished: CachePadded::new(EventCount::new()),
            });
        }
        // SAFETY: within the table's bytes, which begin with the header.
        let entries: NonNull<Entry> = unsafe { at.add(size_of::<Header>()).cast() };
        for index in 0..count {
            let entry = Entry {
                word: Pair::new(FREE, 0),
                descriptor: AtomicU64::new(0),
                order: AtomicU64::new(0),
                since: AtomicU64::new(0),
                tag: AtomicU64::new(0),
            };
            // SAFETY: entry `index` lies within the table's bytes.
            unsafe { entries.add(index as usize).write(entry) };
        }
        Some(Self { header: at.cast(), entries, count, limit })
    }

    /// Views a table that another process made in `len` bytes at `at`.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] where the memory cannot hold what the table says of itself.
    ///
    /// # Safety
    ///
    /// `at` is aligned to 128 and valid for `len` bytes for as long as any view is used.
    pub unsafe fn attach(at: NonNull<u8>, len: usize) -> Result<Self, Corrupt> {
        if len < size_of::<Header>() {
            return Err(Corrupt);
        }
        // SAFETY: room for a header, just checked; all bit patterns are valid for atomics.
        let header = unsafe { at.cast::<Header>().as_ref() };
        // ORDERING: Relaxed; written before the address was published to us. Read once, then checked.
        let count = header.sizes.count.load(Ordering::Relaxed);
        let limit = header.sizes.limit.load(Ordering::Relaxed);
        if Self::bytes(count).is_none_or(|bytes| bytes > len) {
            return Err(Corrupt);
        }
        // SAFETY: within the table's bytes, which begin with the header.
        let entries = unsafe { at.add(size_of::<Header>()).cast() };
        Ok(Self { header: at.cast(), entries, count, limit })
    }

    /// Number of entries.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// After so many deliveries an item that comes back is set aside.
    pub fn limit(&self) -> Option<u32> {
        (self.limit != 0).then_some(self.limit)
    }

    /// Where whoever waits for the end of all items sleeps.
    #[inline]
    pub fn finished_event(&self) -> &EventCount {
        &self.header().finished
    }

    /// Makes an entry `me`'s, `first` if that is free. `None` where all are in use.
    #[inline]
    pub fn claim(&self, me: OwnerId, first: u32) -> Option<Hold> {
        if first < self.used()
            && let Some(hold) = self.try_claim(me, first)
        {
            return Some(hold);
        }
        self.claim_any(me)
    }

    #[cold]
    fn claim_any(&self, me: OwnerId) -> Option<Hold> {
        loop {
            let used = self.used();
            if let Some(hold) = (0..used).find_map(|index| self.try_claim(me, index)) {
                return Some(hold);
            }
            if used >= self.count {
                return None;
            }
            // ORDERING: AcqRel; of two who find all taken at once, one finds the other's new entry.
            let _ = self.header().used.entries.compare_exchange(
                used,
                used + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            crash_point!("leases.claim.extended");
        }
    }

    #[inline]
    fn try_claim(&self, me: OwnerId, index: u32) -> Option<Hold> {
        let seen = self.look(index);
        let claimed = seen.state() == State::Free
            && self.replace(seen, word(CLAIMED, Some(me), 0), seen.number);
        crash_point!("leases.claim.claimed");
        claimed.then(|| seen.hold(0))
    }

    /// Writes down what the owner of a claim is about to take (I2).
    #[inline]
    pub fn remember(&self, claim: Hold, descriptor: u64, order: u64) {
        let entry = self.entry(claim.index);
        // ORDERING: Relaxed; E1.
        entry.descriptor.store(descriptor, Ordering::Relaxed);
        crash_point!("leases.remember.descriptor");
        entry.order.store(order, Ordering::Relaxed);
    }

    /// Says when and by whom in `me`'s process an item is leased: `since` orders that process's leases, `tag` tells them
    /// apart.
    #[inline]
    pub fn label(&self, hold: Hold, since: u64, tag: u64) {
        let entry = self.entry(hold.index);
        // ORDERING: Relaxed; for this process's own looks.
        entry.since.store(since, Ordering::Relaxed);
        entry.tag.store(tag, Ordering::Relaxed);
    }

    /// The claimed item was taken, and its block is at the claim's place: `me` leases it.
    #[inline]
    pub fn lease(&self, claim: Hold, me: OwnerId) -> Option<Hold> {
        let lease = Hold { deliveries: 1, ..claim };
        let old = (word(CLAIMED, Some(me), 0), claim.number);
        let new = (word(LEASED, Some(me), 1), claim.number);
        self.entry(claim.index).word.replace(old, new).then_some(lease)
    }

    /// Gives a claim up, with nothing taken.
    pub fn unclaim(&self, claim: Hold, me: OwnerId) {
        let old = (word(CLAIMED, Some(me), 0), claim.number);
        self.entry(claim.index).word.replace(old, (FREE, claim.number));
    }

    /// Finishes what was claimed and turned out to be nothing: it was counted as an item all the same.
    pub fn spoil(&self, claim: Hold, me: OwnerId) {
        let old = (word(CLAIMED, Some(me), 0), claim.number);
        self.entry(claim.index).word.replace(old, (FREE, claim.number.wrapping_add(1)));
    }

    /// Finishes a lease of `me`'s.
    ///
    /// # Errors
    ///
    /// [`NotHeld`]; nothing changed.
    #[inline]
    pub fn finish(&self, lease: Hold, me: OwnerId) -> Result<(), NotHeld> {
        let old = (word(LEASED, Some(me), lease.deliveries), lease.number);
        if self.entry(lease.index).word.replace(old, (FREE, lease.number.wrapping_add(1))) {
            return Ok(());
        }
        Err(self.why_not(lease))
    }

    /// Gives an item of `me`'s back, for somebody else.
    ///
    /// # Errors
    ///
    /// [`NotHeld`]; nothing changed.
    pub fn give_back(&self, lease: Hold, me: OwnerId) -> Result<(), NotHeld> {
        let old = (word(LEASED, Some(me), lease.deliveries), lease.number);
        let new = (word(GIVEN_BACK, None, lease.deliveries), lease.number);
        if !self.entry(lease.index).word.replace(old, new) {
            return Err(self.why_not(lease));
        }
        crash_point!("leases.give_back.given");
        self.count_return();
        Ok(())
    }

    /// The oldest item that was given back, if there is any.
    #[inline]
    pub fn next_given_back(&self) -> Option<Seen> {
        let header = self.header();
        // ORDERING: Acquire, E2.
        let returns = header.returns.load(Ordering::Acquire);
        // ORDERING: Relaxed; an older value costs a look.
        if returns == header.looked.load(Ordering::Relaxed) {
            return None;
        }
        self.find_given_back(returns)
    }

    #[cold]
    fn find_given_back(&self, returns: u64) -> Option<Seen> {
        let found = self
            .all()
            .filter(|seen| seen.state() == State::GivenBack)
            .min_by_key(|seen| self.order(seen.index));
        if found.is_none() {
            // ORDERING: Relaxed; by I5 a stale value only makes others look once more.
            self.header().looked.store(returns, Ordering::Relaxed);
            crash_point!("leases.find_given_back.none");
        }
        found
    }

    /// Whether an item that was given back has been delivered as often as it may be.
    pub fn is_overdue(&self, seen: Seen) -> bool {
        self.limit != 0 && seen.deliveries() >= self.limit
    }

    /// An item that was given back and has been delivered as often as it may be, if there is any.
    pub fn overdue(&self) -> Option<Seen> {
        let overdue = |seen: &Seen| seen.state() == State::GivenBack && self.is_overdue(*seen);
        if self.limit == 0 { None } else { self.all().find(overdue) }
    }

    /// Takes an item that was given back. `None` if another was faster.
    pub fn lease_again(&self, seen: Seen, me: OwnerId) -> Option<Hold> {
        let deliveries = seen.deliveries().saturating_add(1).min(MAX_DELIVERIES);
        // Others may end it when its new owner says so.
        // ORDERING: Relaxed; the CAS below orders it. Where another was faster, and has said so already, it is unsaid: then
        // who ends an item for others counts it ahead.
        self.entry(seen.index).tag.fetch_and(!OPEN, Ordering::Relaxed);
        self.replace(seen, word(LEASED, Some(me), deliveries), seen.number)
            .then(|| seen.hold(deliveries))
    }

    /// Makes an item that was given back a dead letter: finished, and in `me`'s hands. `None` if another was faster.
    pub fn set_aside(&self, seen: Seen, me: OwnerId) -> Option<Hold> {
        let opened = word(OPENED, Some(me), seen.deliveries());
        self.replace(seen, opened, seen.number.wrapping_add(1))
            .then(|| seen.hold(seen.deliveries()))
    }

    /// Takes the oldest dead letter into `me`'s hands.
    pub fn open_letter(&self, me: OwnerId) -> Option<Hold> {
        loop {
            let letters = self.all().filter(|seen| seen.state() == State::Aside);
            let seen = letters.min_by_key(|seen| self.order(seen.index))?;
            let opened = word(OPENED, Some(me), seen.deliveries());
            if self.replace(seen, opened, seen.number) {
                // Its block is where it was before it counted as finished.
                let hold = seen.hold(seen.deliveries());
                return Some(Hold { number: hold.number.wrapping_sub(1), ..hold });
            }
        }
    }

    /// Puts a dead letter back, or takes it out for good.
    pub fn close_letter(&self, letter: Hold, me: OwnerId, keep: bool) -> bool {
        let number = letter.number.wrapping_add(1);
        let old = (word(OPENED, Some(me), letter.deliveries), number);
        let new = if keep { word(ASIDE, None, letter.deliveries) } else { FREE };
        self.entry(letter.index).word.replace(old, (new, number))
    }

    /// The lease that an id names, as far as can be seen.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] where there is no such lease any more, or never was.
    pub fn by_id(&self, id: u64, me: OwnerId) -> Result<Hold, NotHeld> {
        let index = (id & u64::from(MAX_ENTRIES - 1)) as u32;
        if index >= self.used() {
            return Err(NotHeld::NotYours);
        }
        let seen = self.look(index);
        let behind = (seen.number as u32).wrapping_sub((id >> 32) as u32);
        let deliveries = (id >> PLACE_BITS) as u32 & MAX_DELIVERIES;
        // Modulo 2^32: what seems to be more than half a round ahead is no number that was ever given out.
        let hold = Hold { index, number: seen.number.wrapping_sub(behind.into()), deliveries };
        match behind {
            0 if seen.word == word(LEASED, Some(me), deliveries) => Ok(hold),
            0..=0x7FFF_FFFF => Err(self.why_not(hold)),
            _ => Err(NotHeld::NotYours),
        }
    }

    /// The lease that `me` has had for the longest.
    pub fn oldest(&self, me: OwnerId) -> Option<Hold> {
        let mine = self.all().filter(|seen| seen.state() == State::Leased(me));
        // ORDERING: Relaxed; written by this process.
        let since = |seen: &Seen| self.entry(seen.index).since.load(Ordering::Relaxed);
        mine.min_by_key(since).map(|seen| seen.hold(seen.deliveries()))
    }

    /// Says that the caller, who has labelled its lease with `tag`, has a copy of the item: from now on others may end the
    /// lease, too.
    #[inline]
    pub fn open_to_others(&self, lease: Hold, tag: u64) {
        // ORDERING: Release, "copied"; the Acquire in `oldest_of`: who frees the block does it after it was read.
        self.entry(lease.index).tag.store(tag | OPEN, Ordering::Release);
    }

    /// Of the leases that others may end, whose owner is one of those that `wanted` names: that of the oldest item, and its
    /// owner.
    pub fn oldest_of(&self, wanted: impl Fn(OwnerId) -> bool) -> Option<(Hold, OwnerId)> {
        // ORDERING: Acquire, "copied".
        let is_open = |seen: &Seen| self.entry(seen.index).tag.load(Ordering::Acquire) & OPEN != 0;
        let leased = self.all().filter_map(|seen| match seen.state() {
            State::Leased(owner) if wanted(owner) && is_open(&seen) => Some((seen, owner)),
            _ => None,
        });
        let oldest = leased.min_by_key(|(seen, _)| self.order(seen.index));
        oldest.map(|(seen, owner)| (seen.hold(seen.deliveries()), owner))
    }

    /// How many items were said to be done before anybody had them.
    #[inline]
    pub fn ahead(&self) -> u32 {
        // ORDERING: Relaxed; a number that stands for itself. What was put before it was raised is seen by who takes that.
        self.header().used.ahead.load(Ordering::Relaxed)
    }

    /// Says that one item is done that nobody has taken yet. `is_any_left` says whether there are more than were said to be
    /// done already. `false`, and nothing changed, where there are not.
    pub fn count_ahead(&self, is_any_left: impl Fn(u32) -> bool) -> bool {
        let mut ahead = self.ahead();
        while ahead != u32::MAX && is_any_left(ahead) {
            // ORDERING: AcqRel; what the caller did before goes with it to the joiner, as E3.
            match self.header().used.ahead.compare_exchange(
                ahead,
                ahead + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => ahead = now,
            }
        }
        false
    }

    /// Has the item of a lease of the caller's be one of those that were said to be done: the caller finishes it then.
    /// `false` where there are none left.
    pub fn take_ahead(&self, lease: Hold) -> bool {
        if self.ahead() == 0 {
            return false;
        }
        let entry = self.entry(lease.index);
        // ORDERING: Relaxed; the CAS below orders it before what the death procedure sees.
        let since = entry.since.swap(PREPAID, Ordering::Relaxed);
        crash_point!("leases.take_ahead.noted");
        let taken = self.change_ahead(|ahead| ahead.checked_sub(1));
        crash_point!("leases.take_ahead.taken");
        if !taken {
            // ORDERING: Relaxed; as above.
            entry.since.store(since, Ordering::Relaxed);
        }
        taken
    }

    /// Forgets what was said to be done when nothing is left that it could be true of, with `ahead` as it was before that
    /// was found.
    pub fn forget_ahead(&self, ahead: u32) {
        self.change_ahead(|now| (now == ahead).then_some(0));
    }

    fn change_ahead(&self, change: impl Fn(u32) -> Option<u32>) -> bool {
        let ahead = &self.header().used.ahead;
        let mut now = self.ahead();
        while let Some(new) = change(now) {
            // ORDERING: AcqRel; orders the note in the entry before it.
            match ahead.compare_exchange(now, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    /// All leases of `me`.
    pub fn of(&self, me: OwnerId) -> impl Iterator<Item = Hold> + '_ {
        let mine = self.all().filter(move |seen| seen.state() == State::Leased(me));
        mine.map(|seen| seen.hold(seen.deliveries()))
    }

    /// How many leases `me` has that carry this tag.
    pub fn tagged(&self, me: OwnerId, tag: u64) -> u64 {
        // ORDERING: Relaxed; written by this process.
        let tag_of = |hold: &Hold| self.entry(hold.index).tag.load(Ordering::Relaxed) & !OPEN;
        self.of(me).filter(|hold| tag_of(hold) == tag).count() as u64
    }

    /// How many entries are in a state that `wanted` says. Exact if nobody is at work meanwhile.
    pub fn count_in(&self, mut wanted: impl FnMut(State) -> bool) -> u64 {
        self.all().filter(|seen| wanted(seen.state())).count() as u64
    }

    /// How many items were ever finished.
    pub fn finished(&self) -> u64 {
        let numbers = (0..self.used()).map(|index| {
            // ORDERING: Acquire, E3.
            self.entry(index).word.hi(Ordering::Acquire)
        });
        numbers.fold(0, u64::wrapping_add)
    }

    /// How many of what `published` counts are unfinished: true at a moment during the call, unless `published` kept
    /// changing all the while; then it is an estimate, and never 0.
    pub fn unfinished(&self, published: impl Fn() -> u64) -> u64 {
        let mut before = published();
        for _ in 0..MAX_LOOKS {
            let finished = self.finished();
            let after = published();
            if before == after {
                return before.saturating_sub(finished);
            }
            before = after;
        }
        before.saturating_sub(self.finished()).max(1)
    }

    /// The descriptor that an entry keeps. Any word is possible.
    #[inline]
    pub fn descriptor(&self, index: u32) -> u64 {
        // ORDERING: Relaxed; behind the CAS by which the caller came to the entry, or a recoverer's `look` (E1).
        self.entry(index).descriptor.load(Ordering::Relaxed)
    }

    /// Says that something was given back (I5).
    fn count_return(&self) {
        // ORDERING: AcqRel, E2.
        self.header().returns.fetch_add(1, Ordering::AcqRel);
        crash_point!("leases.count_return.counted");
    }

    #[cold]
    fn why_not(&self, lease: Hold) -> NotHeld {
        let seen = self.look(lease.index);
        let ended = match seen.state() {
            _ if seen.number != lease.number => seen.number.wrapping_sub(lease.number) < 1 << 63,
            State::GivenBack => lease.deliveries > 0 && seen.deliveries() >= lease.deliveries,
            State::Leased(_) => lease.deliveries > 0 && seen.deliveries() > lease.deliveries,
            _ => false,
        };
        if ended { NotHeld::Ended } else { NotHeld::NotYours }
    }

    /// What is in an entry: word and number that belong together.
    fn look(&self, index: u32) -> Seen {
        let pair = &self.entry(index).word;
        // ORDERING: Acquire, E1 and E3.
        let mut number = pair.hi(Ordering::Acquire);
        for _ in 0..MAX_LOOKS {
            let word = pair.lo(Ordering::Acquire);
            let again = pair.hi(Ordering::Acquire);
            if number == again {
                return Seen { index, word, number };
            }
            number = again;
        }
        // Only a peer gone mad changes it so often. What is done on it is confirmed by a CAS.
        Seen { index, word: u64::MAX, number }
    }

    fn all(&self) -> impl Iterator<Item = Seen> + '_ {
        (0..self.used()).map(|index| self.look(index))
    }

    fn order(&self, index: u32) -> u64 {
        // ORDERING: Relaxed; as for `descriptor`.
        self.entry(index).order.load(Ordering::Relaxed)
    }

    fn replace(&self, seen: Seen, word: u64, number: u64) -> bool {
        self.entry(seen.index).word.replace((seen.word, seen.number), (word, number))
    }

    fn used(&self) -> u32 {
        // ORDERING: Acquire; pairs with `claim_any`. Whatever it says, no more than there are.
        self.header().used.entries.load(Ordering::Acquire).min(self.count)
    }

    fn header(&self) -> &Header {
        // SAFETY: valid for as long as the view is used, by the promise made to `init` or `attach`.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    fn entry(&self, index: u32) -> &Entry {
        assert!(index < self.count);
        // SAFETY: the index is below the count, and the entries are valid for as long as the view is used.
        unsafe { self.entries.add(index as usize).as_ref() }
    }
}
