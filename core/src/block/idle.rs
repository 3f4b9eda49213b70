//! One word: whether large blocks may lie free, and when somebody looks next. Wait-free, but for the end of a look, which is
//! lock-free.
//!
//! # Memory
//!
//! ```text
//!   63                                        2      1       0
//! +---------------------------------------------+--------+-------+
//! | the next look: not before this time         | giving | freed |
//! +---------------------------------------------+--------+-------+
//! ```
//!
//! | bit | set | cleared |
//! |---|---|---|
//! | freed | when a large block was freed and listed; at the end of a look that left some; by the death procedure | when a look begins |
//! | giving | when somebody begins to take free blocks, to give their memory back | at the end of that; where he was killed, at the end of the next look |
//!
//! # Ordering
//!
//! * E1 "freed": `note`'s fetch_or (AcqRel), after the block was listed → `begin`'s CAS (AcqRel), which clears the bit: the look sees
//!   the block listed, or the bit stays for the next one.

use crate::primitive::{AtomicU64, Ordering};

const FREED: u64 = 1;
const GIVING: u64 = 2;
const TIME_SHIFT: u32 = 2;

/// The word. All-zero memory says that nothing was freed.
#[repr(transparent)]
#[derive(Debug)]
pub(super) struct Idle(AtomicU64);

impl Idle {
    /// Whether a look may find something.
    #[inline]
    pub(super) fn may_have(&self) -> bool {
        // ORDERING: Relaxed; a hint.
        self.0.load(Ordering::Relaxed) & FREED != 0
    }

    /// Whether somebody has free blocks in hand.
    pub(super) fn is_giving(&self) -> bool {
        // ORDERING: Relaxed; a hint.
        self.0.load(Ordering::Relaxed) & GIVING != 0
    }

    /// A large block was freed and listed.
    #[inline]
    pub(super) fn note(&self) {
        // ORDERING: AcqRel, E1. Not a load first: of that nothing would follow for the block that was just listed.
        self.0.fetch_or(FREED, Ordering::AcqRel);
    }

    /// Somebody takes free blocks, without a look, or has done so.
    pub(super) fn set_giving(&self, giving: bool) {
        // ORDERING: Relaxed, both; a hint.
        if giving {
            self.0.fetch_or(GIVING, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!GIVING, Ordering::Relaxed);
        }
    }

    /// Begins a look, if there is reason for one, the last one began `between` ago, and nobody else begins one. A time further
    /// away than that comes from a process gone mad.
    pub(super) fn begin(&self, now: u64, between: u64) -> bool {
        // ORDERING: Relaxed; the CAS confirms it.
        let seen = self.0.load(Ordering::Relaxed);
        let early = (seen >> TIME_SHIFT).saturating_sub(now);
        if seen & FREED == 0 || (1..=between).contains(&early) {
            return false;
        }
        let begun = (now + between) << TIME_SHIFT | GIVING;
        // ORDERING: AcqRel, E1.
        self.0.compare_exchange(seen, begun, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Ends a look, which `left` blocks for the next one; that may begin at `due`, if this is another time than before.
    pub(super) fn end(&self, left: bool, due: Option<u64>) {
        // ORDERING: Relaxed, all; the bit sends nobody to anything that was not there at the last look.
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let due = due.unwrap_or(seen >> TIME_SHIFT);
            let freed = if left { FREED } else { seen & FREED };
            let next = due << TIME_SHIFT | freed;
            match self.0.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_look_at_a_time_and_none_without_a_reason() {
        let idle = Idle(AtomicU64::new(0));
        assert!(!idle.may_have() && !idle.begin(1000, 10));
        idle.note();
        assert!(idle.begin(1000, 10) && idle.is_giving() && !idle.may_have());
        assert!(!idle.begin(1000, 10), "nothing was freed since");
        idle.note();
        assert!(!idle.begin(1009, 10), "too early");
        idle.end(false, None);
        assert!(idle.may_have() && !idle.is_giving(), "what was freed meanwhile counts");
        assert!(idle.begin(1010, 10));
        idle.end(true, Some(1010));
        assert!(idle.begin(1010, 10), "it had more to do");
        idle.end(false, None);
        assert!(!idle.may_have());
    }

    #[test]
    fn a_time_that_cannot_be_does_not_end_looks() {
        let idle = Idle(AtomicU64::new(u64::MAX));
        assert!(idle.begin(1000, 10));
    }

    #[test]
    fn giving_without_a_look_leaves_the_rest_as_it_is() {
        let idle = Idle(AtomicU64::new(0));
        idle.note();
        idle.set_giving(true);
        assert!(idle.is_giving());
        idle.set_giving(false);
        assert!(!idle.is_giving() && idle.may_have());
    }
}
