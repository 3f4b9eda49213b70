//! Whether a channel is closed, and whether one of its sides is gone: one word for the fast path to look at.
//!
//! Every operation is wait-free. That a side is gone is a hint: it never misses, because whoever takes the last handle
//! away leaves it afterwards, and it may be out of date, because somebody may have come since. The truth is in the
//! [`Holders`](crate::member::Holders).
//!
//! # Memory
//!
//! ```text
//!  31      5   4   3   2   1   0
//! +---------+---+---+---+---+---+
//! |    0    | r | s | R | S | C |    C = closed, S = senders gone, R = receivers gone
//! +---------+---+---+---+---+---+    s = there were senders, r = there were receivers
//! ```
//!
//! The last two matter where a side may come later than the channel: one that never was is not gone.
//!
//! # Crash points
//!
//! Killed before it left word that there was somebody: it has done nothing that anybody could miss.
//!
//! Killed between taking the last handle away and leaving the hint: the death procedure leaves it for every side that it
//! finds without holders.

use crate::primitive::{AtomicU32, Ordering};

const CLOSED: u32 = 1;
const GONE: [u32; 2] = [2, 4];
const CAME: [u32; 2] = [8, 16];
/// What keeps the fast path from going on.
const NEWS: u32 = CLOSED | GONE[0] | GONE[1];

/// Which side of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Those who send; of a duplex pipe, those at its first end.
    Senders = 0,
    /// Those who receive; of a duplex pipe, those at its second end.
    Receivers = 1,
}

/// The word. All-zero is open.
#[repr(transparent)]
#[derive(Debug)]
pub struct Sides {
    word: AtomicU32,
}

impl Sides {
    /// Open, and nobody missed.
    #[allow(clippy::new_without_default, reason = "in shared memory it is zeroed memory")]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// Whether nobody closed it and no side was found empty.
    #[inline]
    pub fn is_open(&self) -> bool {
        // ORDERING: Acquire, pairs with `close` and `side_gone`.
        self.word.load(Ordering::Acquire) & NEWS == 0
    }

    /// Closes it for good. Returns whether this call did it.
    pub fn close(&self) -> bool {
        // ORDERING: AcqRel; what the closer sent before is visible to who sees it closed.
        self.word.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED == 0
    }

    /// Whether it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // ORDERING: Acquire, pairs with `close`.
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Leaves word that there is somebody on a side, who has done nothing yet.
    pub fn side_begins(&self, side: Side) {
        if !self.has_begun(side) {
            // ORDERING: Relaxed; whoever asks has seen the holder come and go, which orders it.
            self.word.fetch_or(CAME[side as usize], Ordering::Relaxed);
        }
    }

    /// Whether there has been anybody on a side.
    pub fn has_begun(&self, side: Side) -> bool {
        // ORDERING: Relaxed; as in `side_begins`.
        self.word.load(Ordering::Relaxed) & CAME[side as usize] != 0
    }

    /// Leaves the hint that a side is gone. Called after its last holder was removed.
    pub fn side_gone(&self, side: Side) {
        // ORDERING: AcqRel; what the last of them did is visible to who sees the hint.
        self.word.fetch_or(GONE[side as usize], Ordering::AcqRel);
    }

    /// Whether the hint says that a side is gone.
    #[inline]
    pub fn is_side_gone(&self, side: Side) -> bool {
        // ORDERING: Acquire, pairs with `side_gone`.
        self.word.load(Ordering::Acquire) & GONE[side as usize] != 0
    }

    /// Takes the hint back: somebody came. Look at the holders once more afterwards.
    pub fn side_came(&self, side: Side) {
        // ORDERING: AcqRel; the second look at the holders comes after it.
        self.word.fetch_and(!GONE[side as usize], Ordering::AcqRel);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn closing_says_who_did_it() {
        let sides = Sides::new();
        assert!(!sides.is_closed() && sides.close() && !sides.close() && sides.is_closed());
        assert!(!sides.is_open());
    }

    #[test]
    fn a_side_that_begins_is_no_news() {
        let sides = Sides::new();
        assert!(!sides.has_begun(Side::Senders));
        sides.side_begins(Side::Senders);
        assert!(sides.has_begun(Side::Senders) && !sides.has_begun(Side::Receivers));
        assert!(sides.is_open());
        sides.side_gone(Side::Senders);
        sides.side_came(Side::Senders);
        assert!(sides.is_open() && sides.has_begun(Side::Senders));
    }

    #[test]
    fn a_side_that_went_and_came_leaves_no_hint() {
        let sides = Sides::new();
        sides.side_gone(Side::Receivers);
        assert!(!sides.is_open() && sides.is_side_gone(Side::Receivers));
        assert!(!sides.is_side_gone(Side::Senders));
        sides.side_came(Side::Receivers);
        assert!(sides.is_open());
    }
}
