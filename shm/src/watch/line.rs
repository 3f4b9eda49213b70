//! Those of one process who wait for the same word, in the order in which they came.
//!
//! # Invariants
//!
//! * L1. While anybody is in a line, what the word held at the last announcement is noted (`seen`), or somebody in the
//!   line was woken and has not looked yet, or somebody found nothing to wait for when it came to announce itself: that
//!   one looks, and comes again if the look finds nothing. (But for the turns at a pipe, which are not waited for while
//!   they are free.)
//! * L2. Who stands in a line looks at its condition after it came, and again after it was woken: so what it waits for
//!   comes after a look that is later than the announcement that `seen` is of, and changes the word (or the line has
//!   somebody woken, L1).
//! * L3. Who was woken and leaves, with what it came for or without, wakes the next. So the wakes of one change go on
//!   until somebody looks and finds nothing: that one stays, first in line, and the announcement that it made (or found
//!   made) before that look covers all behind it.
//! * L4. Where one change is for all (an event), all are woken at once, and L3 is not needed.
//! * L5. An onlooker takes nothing, and may not look for a long time: each change wakes all of them, besides whom it wakes
//!   otherwise. What they are woken for they owe nobody.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

use slipring_core::primitive::{AtomicU32, Ordering};

use super::spot::Spot;

/// Wakers on their way out of the hub's lock, under which none is cloned, called or dropped: they are foreign code. Inside they
/// are shared.
pub(super) type Wakers = Vec<Arc<Waker>>;

/// One word, and who waits for it.
pub(super) struct Line {
    word: NonNull<AtomicU32>,
    for_all: bool,
    /// What the word held after the last announcement; `None` once it was found changed.
    seen: Option<u32>,
    waiters: BTreeMap<u64, Waiter>,
}

// SAFETY: a word of shared memory, which the hub keeps mapped as long as the line is there.
unsafe impl Send for Line {}

struct Waiter {
    waker: Arc<Waker>,
    /// Its waker was called, and it has not come back since.
    woken: bool,
    /// It came back after it was woken: what it was woken for goes to the next when it leaves (L3).
    owes: bool,
    /// It only wants to know (L5).
    onlooker: bool,
}

impl Line {
    pub(super) fn new(spot: &Spot<'_>) -> Self {
        Self {
            word: NonNull::from(spot.word()),
            for_all: spot.is_for_all(),
            seen: None,
            waiters: BTreeMap::new(),
        }
    }

    /// Takes a place in the line, or keeps it, and sees to it that the line is announced, if there is anything to wait
    /// for: returns whether it is. The caller looks at its condition after this (L2). What it waited with before goes to `left`.
    pub(super) fn stand(
        &mut self,
        spot: &Spot<'_>,
        ticket: u64,
        waker: &Arc<Waker>,
        onlooker: bool,
        left: &mut Wakers,
    ) -> bool {
        let new = || Waiter { waker: waker.clone(), woken: false, owes: false, onlooker };
        let waiter = self.waiters.entry(ticket).or_insert_with(new);
        if !Arc::ptr_eq(&waiter.waker, waker) {
            left.push(std::mem::replace(&mut waiter.waker, waker.clone()));
        }
        waiter.owes = waiter.woken;
        waiter.woken = false;
        if self.seen.is_none() {
            self.seen = spot.announce();
            waiter.owes |= self.seen.is_none();
        }
        self.seen.is_some()
    }

    /// Leaves the line; what it was woken for goes to the next (L3), and what it waited with to `left`.
    pub(super) fn leave(&mut self, ticket: u64, wakers: &mut Wakers, left: &mut Wakers) {
        let Some(Waiter { waker, woken, owes, onlooker }) = self.waiters.remove(&ticket) else {
            return;
        };
        left.push(waker);
        if (woken || owes) && !onlooker && !self.for_all {
            self.wake_first(wakers);
        }
    }

    /// Has somebody else look, too: who was woken has found what it waits for, and does not take it.
    pub(super) fn pass_on(&mut self, ticket: u64, wakers: &mut Wakers) {
        let owes = self.waiters.get_mut(&ticket).map(|waiter| std::mem::take(&mut waiter.owes));
        if owes == Some(true) {
            let mut others = self.takers().filter(|(of, waiter)| **of != ticket && !waiter.woken);
            if let Some((_, waiter)) = others.next() {
                waiter.wake(wakers);
            }
        }
    }

    /// Compares the word with what was seen in it, and wakes whoever has to look if it was changed.
    pub(super) fn look(&mut self, wakers: &mut Wakers) {
        // SAFETY: as long as anybody is in the line, the hub keeps the attachment, and with it the mapping.
        let word = unsafe { self.word.as_ref() };
        // ORDERING: Acquire; pairs with the change before the ring that brought us here. What was published before it is
        // seen by who is woken.
        if self.seen.is_some_and(|seen| word.load(Ordering::Acquire) != seen) {
            self.seen = None;
            if self.for_all {
                self.wake_all(wakers)
            } else {
                self.wake_first(wakers)
            }
            let onlookers = self.waiters.values_mut().filter(|waiter| waiter.onlooker);
            onlookers.for_each(|waiter| waiter.wake(wakers));
        }
    }

    /// Has somebody look, whatever the word says: a change may have come without a wake-up, from one who died before it.
    #[cfg(feature = "tokio")]
    pub(super) fn look_anyway(&mut self, wakers: &mut Wakers) {
        self.look(wakers);
        if let Some((_, waiter)) = self.takers().find(|(_, waiter)| !waiter.woken) {
            waiter.wake(wakers);
        }
    }

    /// Whether somebody waits who is no onlooker: those look after themselves.
    #[cfg(feature = "tokio")]
    pub(super) fn has_takers(&self) -> bool {
        self.waiters.values().any(|waiter| !waiter.onlooker)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Everybody's waker, in a process in which none of them means anything.
    pub(super) fn into_wakers(self) -> impl Iterator<Item = Arc<Waker>> {
        self.waiters.into_values().map(|waiter| waiter.waker)
    }

    fn wake_first(&mut self, wakers: &mut Wakers) {
        if let Some((_, first)) = self.takers().next() {
            first.wake(wakers);
        }
    }

    /// Those who are no onlookers, in order.
    fn takers(&mut self) -> impl Iterator<Item = (&u64, &mut Waiter)> {
        self.waiters.iter_mut().filter(|(_, waiter)| !waiter.onlooker)
    }

    fn wake_all(&mut self, wakers: &mut Wakers) {
        self.waiters.values_mut().for_each(|waiter| waiter.wake(wakers));
    }
}

impl Waiter {
    fn wake(&mut self, wakers: &mut Wakers) {
        if !self.woken {
            self.woken = true;
            wakers.push(self.waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use slipring_core::futex::Scope;
    use slipring_core::primitive::FenceMode;
    use slipring_core::sync::EventCount;

    use super::*;

    /// Counts nothing: who was woken is told by the list of wakers.
    struct Silent;

    impl Wake for Silent {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_change_wakes_the_first_taker_and_every_onlooker_and_one_that_looks_no_more_holds_up_nobody()
     {
        let count = EventCount::new();
        let spot = Spot::Count(&count, FenceMode::Symmetric);
        let wakers: [_; 4] = std::array::from_fn(|_| Arc::new(Waker::from(Arc::new(Silent))));
        let mut line = Line::new(&spot);
        let stand = |line: &mut Line, ticket: usize| {
            let is_onlooker = ticket.is_multiple_of(2);
            line.stand(&spot, ticket as u64, &wakers[ticket], is_onlooker, &mut Vec::new())
        };
        (0..4).for_each(|ticket| assert!(stand(&mut line, ticket)));
        let woken = |line: &mut Line, act: fn(&mut Line, &mut Wakers)| {
            let mut woken = Vec::new();
            act(line, &mut woken);
            (0..4).filter(|n| woken.iter().any(|w| Arc::ptr_eq(w, &wakers[*n]))).collect::<Vec<_>>()
        };
        let nobody: [usize; 0] = [];
        assert_eq!(woken(&mut line, Line::look), nobody);
        count.notify_after_rmw(1, Scope::Private);
        assert_eq!(woken(&mut line, Line::look), [0, 1, 2]);
        assert_eq!(woken(&mut line, Line::look), nobody, "told once");

        // The taker takes it and waits on; the onlookers do not look.
        assert!(stand(&mut line, 1));
        count.notify_after_rmw(1, Scope::Private);
        assert_eq!(woken(&mut line, Line::look), [1], "onlookers were told already");
        let leave_1 = |line: &mut Line, woken: &mut _| line.leave(1, woken, &mut Vec::new());
        assert_eq!(woken(&mut line, leave_1), [3], "the next taker");
        let leave_0 = |line: &mut Line, woken: &mut _| line.leave(0, woken, &mut Vec::new());
        assert_eq!(woken(&mut line, leave_0), nobody);
        assert!(stand(&mut line, 2));
        assert_eq!(woken(&mut line, |line, woken| line.pass_on(2, woken)), nobody);
        count.notify_after_rmw(1, Scope::Private);
        assert_eq!(woken(&mut line, Line::look), [2]);
    }
}
