//! A doorbell byte in a socket, for a reader that sleeps in `poll` or is watched by an event loop: written for the first
//! message after a reader has quieted the bell, and there at least as long as there is something to read.
//!
//! A reader quiets the bell before it sleeps, and while an event loop watches whenever it has found no message. A reader that
//! does neither leaves the byte where it is, and no sender rings: so nothing is written while messages come and go in time.
//!
//! The socket is the caller's. Senders ring under their lock, one at a time; readers sleep and quiet the bell under
//! theirs. No operation waits.
//!
//! # Memory
//!
//! ```text
//!  31        6   5   4   3   2   1   0
//! +-----------+---+---+---+---+---+---+
//! |   count   | V | A | X | R | W | F |
//! +-----------+---+---+---+---+---+---+
//! ```
//!
//! | bit | meaning | set by | cleared by |
//! |---|---|---|---|
//! | W | an event loop watches the socket | the reader | nobody |
//! | A | somebody watches this word, and waits for a bell of another kind | anybody | a sender that rings |
//! | R | rung: a byte is in the socket, or its sender is about to write it | a sender | a reader that quiets the bell |
//! | V | somebody watches the socket for room | a sender | nobody |
//! | F | the ring is marked as full: bytes that say so are in the socket, or about to be | a sender, in its turn | a reader, in its turn |
//! | X | bytes and R may not match: somebody died in between | the next holder of either lock | a reader that emptied the socket under both locks |
//! | count | how often all who watch were told to look again | the death procedure, the end of a side | nobody |
//!
//! # Invariants
//!
//! * I1. Without X, R is set exactly while one byte is in the socket or about to be.
//! * I2. A sender that finds R clear rings after its message is published. Setting R and clearing A it changes the word of
//!   whoever watches it, before it rings the other bell ([`futex::ring`]).
//! * I3. A reader takes the byte only after it cleared R and then saw that there is no message; if there is one, it
//!   sets R again. So a message that comes in between either rings again or finds the byte still there.
//! * I4. By I2 and I3 there is a byte, or its sender is about to write it, whenever there is a message: also for those who
//!   begin to watch when it is there already, in any process.
//!
//! # Ordering
//!
//! * E1 "publish, then look at the bell": the message's store → fence → `ring`'s load. Partner: `hush`'s RMW → fence →
//!   the reader's look for a message. One of the two sees the other.
//!
//! # Crash points
//!
//! A sender that dies between R and its byte: the next sender, told so by its lock, writes one more byte and sets X. A
//! reader that dies between R and the byte it should take: the next reader sets X. A sleeper looks again after a slice.

use crate::futex;
use crate::primitive::{AtomicU32, FenceMode, Ordering, fence_full, fence_light};

const FULL: u32 = 1;
const WATCHED: u32 = 2;
const RUNG: u32 = 4;
const STRAY: u32 = 8;
const ASKED: u32 = 16;
const ROOM: u32 = 32;
/// One time that all who watch were told.
const COUNT: u32 = 64;

/// The bell: four bytes of shared memory. All-zero is a quiet one.
#[repr(transparent)]
#[derive(Debug)]
pub struct Bell {
    word: AtomicU32,
}

/// What was found when the bell was hushed: [`Bell::leave`] or [`Bell::settle`] finishes it.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Hushed {
    was_rung: bool,
}

impl Bell {
    /// Nobody waits, nothing is rung: the first message will be.
    #[allow(clippy::new_without_default, reason = "in shared memory it is zeroed memory")]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// Sender, after publication: whether it has to write a byte now.
    #[inline]
    #[must_use]
    pub fn ring(&self, mode: FenceMode) -> bool {
        fence_light(mode);
        // ORDERING: Relaxed; E1's fence stands before it.
        let seen = self.word.load(Ordering::Relaxed);
        seen & RUNG == 0 && self.ring_slow()
    }

    #[cold]
    fn ring_slow(&self) -> bool {
        // ORDERING: AcqRel; a reader that clears R sees the message (I2).
        let seen = self.word.fetch_or(RUNG, Ordering::AcqRel);
        crash_point!("bell.ring.rung");
        if seen & RUNG != 0 {
            return false;
        }
        // ORDERING: Relaxed; who asked has to look in any case.
        self.word.fetch_and(!ASKED, Ordering::Relaxed);
        crash_point!("bell.ring.before_byte");
        true
    }

    /// Sender that has written its byte: rings for those who watch the word.
    #[cold]
    pub fn ring_watchers(&self) {
        futex::ring(&self.word);
    }

    /// Announces a watcher of the word: what the word holds from now on, until it has to look again. Fence the peers,
    /// and look for a message. Where [`Bell::was_rung`] says so of the result nobody will ring anew before a reader has
    /// quieted the bell.
    pub fn ask(&self) -> u32 {
        // ORDERING: AcqRel, then a full fence: the reader's half of E1.
        let seen = self.word.fetch_or(ASKED, Ordering::AcqRel) | ASKED;
        crash_point!("bell.ask.announced");
        fence_full();
        seen
    }

    /// Whether a word that [`Bell::ask`] returned says that the bell was rung.
    pub fn was_rung(word: u32) -> bool {
        word & RUNG != 0
    }

    /// The word, for who watches it.
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Has all who watch the word look again: part of the death procedure, and of the end of a side.
    pub fn wake_watchers(&self) {
        fence_full();
        // ORDERING: AcqRel; the new value tells a watcher that something changed.
        self.word.fetch_add(COUNT, Ordering::AcqRel);
        futex::ring(&self.word);
    }

    /// Sender that has its lock from a dead one: whether it has to write a byte, to be sure that there is one.
    #[cold]
    #[must_use]
    pub fn mend_sender(&self) -> bool {
        // ORDERING: AcqRel; with the lock that brought us here.
        let seen = self.word.fetch_or(STRAY, Ordering::AcqRel);
        crash_point!("bell.mend.sender");
        seen & RUNG != 0
    }

    /// Reader that has its lock from a dead one.
    #[cold]
    pub fn mend_reader(&self) {
        // ORDERING: AcqRel; as above.
        self.word.fetch_or(STRAY, Ordering::AcqRel);
        crash_point!("bell.mend.reader");
    }

    /// An event loop watches from now on: readers that find no message quiet the bell. It may be rung for messages that are
    /// gone already: fence the peers, and quiet it then.
    pub fn watch(&self) {
        // ORDERING: AcqRel, then a full fence: the reader's half of E1.
        self.word.fetch_or(WATCHED, Ordering::AcqRel);
        fence_full();
    }

    /// Whether an event loop watches.
    #[inline]
    pub fn is_watched(&self) -> bool {
        // ORDERING: Relaxed; set by readers, under their lock.
        self.word.load(Ordering::Relaxed) & WATCHED != 0
    }

    /// Somebody watches the socket for room from now on.
    pub fn watch_room(&self) {
        // ORDERING: Relaxed; a sender that does not see it yet marks with a later message.
        self.word.fetch_or(ROOM, Ordering::Relaxed);
    }

    /// Whether somebody watches it for room.
    #[inline]
    pub fn is_room_watched(&self) -> bool {
        // ORDERING: Relaxed; as above.
        self.word.load(Ordering::Relaxed) & ROOM != 0
    }

    /// Whether it is watched for room, and not marked as full.
    #[inline]
    pub fn may_need_mark(&self) -> bool {
        // ORDERING: Relaxed; under the sender's lock. A mark that was taken away meanwhile is made with the next message.
        self.word.load(Ordering::Relaxed) & (ROOM | FULL) == ROOM
    }

    /// Whether it is marked as full.
    #[inline]
    pub fn is_marked(&self) -> bool {
        // ORDERING: Relaxed; a reader that has taken a message sees what its sender said before it.
        self.word.load(Ordering::Relaxed) & FULL != 0
    }

    /// Sender, in its turn: marks it as full. Whether it was not.
    pub fn mark(&self) -> bool {
        // ORDERING: AcqRel; before the message, which is published with Release.
        self.word.fetch_or(FULL, Ordering::AcqRel) & FULL == 0
    }

    /// Reader, in its turn: takes the mark away. Whether there was one.
    pub fn unmark(&self) -> bool {
        // ORDERING: AcqRel; the sender that looks again sees it.
        self.word.fetch_and(!FULL, Ordering::AcqRel) & FULL != 0
    }

    /// Whether a reader that has taken a message has more to do: somebody watches, or it is marked as full.
    #[inline]
    pub fn needs_care(&self) -> bool {
        // ORDERING: Relaxed; as `is_watched` and `is_marked`.
        self.word.load(Ordering::Relaxed) & (WATCHED | FULL) != 0
    }

    /// Whether the socket may have a byte.
    #[inline]
    pub fn may_be_rung(&self) -> bool {
        // ORDERING: Relaxed; a sender that is about to ring is not waited for.
        self.word.load(Ordering::Relaxed) & (RUNG | STRAY) != 0
    }

    /// Reader that found no message: from now on senders ring anew. Fence the peers, look for a message once more, and then
    /// call [`Bell::leave`] if there is one, [`Bell::settle`] if not.
    pub fn hush(&self) -> Hushed {
        // ORDERING: AcqRel, then a full fence: the reader's half of E1.
        let seen = self.word.fetch_and(!RUNG, Ordering::AcqRel);
        crash_point!("bell.hush.cleared");
        fence_full();
        Hushed { was_rung: seen & RUNG != 0 }
    }

    /// There is a message: the byte stays. `take_byte` takes one byte from the socket, if there is one.
    pub fn leave(&self, hushed: Hushed, take_byte: impl FnOnce() -> bool) {
        if !hushed.was_rung {
            return;
        }
        // ORDERING: AcqRel; restores what `hush` cleared.
        let seen = self.word.fetch_or(RUNG, Ordering::AcqRel);
        crash_point!("bell.leave.restored");
        if seen & RUNG != 0 {
            // A sender rang meanwhile: of the two bytes one is too many.
            take_byte();
        }
    }

    /// There is no message: the byte goes. `take_byte` takes one byte from the socket, if there is one.
    pub fn settle(&self, hushed: Hushed, mut take_byte: impl FnMut() -> bool) {
        if !hushed.was_rung || take_byte() {
            return;
        }
        crash_point!("bell.settle.no_byte");
        // Its sender is about to write it, or died: then the next one writes it.
        // ORDERING: AcqRel; restores what `hush` cleared.
        let seen = self.word.fetch_or(RUNG, Ordering::AcqRel);
        if seen & (RUNG | STRAY) == RUNG {
            // It wrote it, and rang again: of the two bytes one is too many. After a death that is not sure.
            take_byte();
        }
    }

    /// Whether bytes and R may not match.
    #[inline]
    pub fn has_strays(&self) -> bool {
        // ORDERING: Relaxed; read under the reader's lock.
        self.word.load(Ordering::Relaxed) & STRAY != 0
    }

    /// Reader that holds both locks, saw no message and emptied the socket: all is quiet.
    pub fn reset(&self) {
        // ORDERING: AcqRel; under both locks.
        self.word.fetch_and(!(RUNG | STRAY | FULL), Ordering::AcqRel);
        crash_point!("bell.reset.cleared");
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MODE: FenceMode = FenceMode::Symmetric;

    #[test]
    fn the_first_message_rings_and_the_next_after_each_look_for_none() {
        let bell = Bell::new();
        assert!(bell.ring(MODE) && !bell.ring(MODE), "nobody has looked since");
        let hushed = bell.hush();
        bell.settle(hushed, || true);
        assert!(bell.ring(MODE) && !bell.ring(MODE), "once for each look");
        assert!(bell.may_be_rung());
    }

    #[test]
    fn nothing_is_taken_that_nobody_rang_for() {
        let bell = Bell::new();
        let hushed = bell.hush();
        bell.settle(hushed, || unreachable!("nothing was rung"));
        assert!(!bell.may_be_rung() && bell.ring(MODE));
    }

    #[test]
    fn a_watcher_of_the_word_sees_another_one_after_a_ring_and_is_asked_for_once() {
        let bell = Bell::new();
        let seen = bell.ask();
        assert!(!Bell::was_rung(seen) && bell.ask() == seen);
        assert!(bell.ring(MODE) && bell.word().load(Ordering::Relaxed) != seen);
        let seen = bell.ask();
        assert!(Bell::was_rung(seen) && !bell.ring(MODE), "nobody has quieted it");
        let hushed = bell.hush();
        bell.settle(hushed, || true);
        let seen = bell.ask();
        assert!(!Bell::was_rung(seen));
        bell.wake_watchers();
        assert_ne!(bell.word().load(Ordering::Relaxed), seen);
        assert!(bell.ring(MODE) && !bell.ring(MODE));
    }

    #[test]
    fn a_watched_bell_rings_again_once_it_is_quiet() {
        let bell = Bell::new();
        bell.watch();
        assert!(bell.ring(MODE) && !bell.ring(MODE));
        let mut taken = 0;
        let hushed = bell.hush();
        bell.settle(hushed, || {
            taken += 1;
            true
        });
        assert!(taken == 1 && bell.ring(MODE));
    }

    #[test]
    fn a_byte_too_many_is_taken_when_a_sender_rang_in_between() {
        let bell = Bell::new();
        bell.watch();
        assert!(bell.ring(MODE));
        let hushed = bell.hush();
        assert!(bell.ring(MODE), "the second byte");
        let mut taken = 0;
        bell.leave(hushed, || {
            taken += 1;
            true
        });
        assert!(taken == 1 && bell.may_be_rung() && !bell.ring(MODE));
    }

    #[test]
    fn a_byte_on_its_way_is_waited_for() {
        let bell = Bell::new();
        bell.watch();
        assert!(bell.ring(MODE));
        let hushed = bell.hush();
        bell.settle(hushed, || false);
        assert!(bell.may_be_rung() && !bell.ring(MODE), "it is still rung for");
    }

    #[test]
    fn after_a_death_there_is_a_byte_and_both_locks_make_it_quiet() {
        let bell = Bell::new();
        bell.watch();
        assert!(!bell.mend_sender(), "nothing was rung");
        assert!(bell.ring(MODE));
        assert!(bell.mend_sender() && bell.has_strays());
        bell.reset();
        assert!(!bell.has_strays() && !bell.may_be_rung() && bell.is_watched());
    }
}
