//! The side of a lane on which messages depart: turns there, room, and the reader who is told.
//!
//! A sender has the lane's send lock for one message. It waits for room in its turn, so those of its end who come later wait
//! behind it. The bell says whether the reader has to be told by a byte through the end's socket.

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::ring::Corrupt;
use slipring_core::ring::spsc_records::{ClaimError, Producer};

use super::end::{End, Turn};
use super::lane::damaged;
use super::room;
use crate::member::{Lookout, Wait};
use crate::sys::socket;
use crate::wait::Until;
use crate::{Error, Result};

/// Where messages depart, as one handle sees it.
pub(super) struct Departures {
    pub(super) end: End,
    producer: Producer,
    lookout: Lookout,
    /// The kernel said that nobody has the other end any more.
    broken: bool,
}

impl Departures {
    pub(super) fn new(end: End) -> Result<Self> {
        let mode = end.attachment().fences;
        // SAFETY: producers of a lane work under its send lock only, and resume first.
        let producer = unsafe { end.lane.ring.producer(Scope::Shared, mode) }.map_err(damaged)?;
        Ok(Self { end, producer, lookout: Lookout::default(), broken: false })
    }

    /// After a fork: nothing that was the parent's is ours.
    pub(super) fn become_child(&mut self, me: OwnerId) {
        self.end.me = me;
    }

    /// Publishes a record in a turn of ours, and rings. `claimed` is called with its position just before.
    #[inline]
    pub(super) fn send(
        &mut self,
        kind: u8,
        bytes: &[u8],
        weight: usize,
        until: Until,
        claimed: impl FnOnce(u64),
    ) -> Result<()> {
        let turn = self.begin(bytes.len(), weight, until)?;
        self.publish(turn, kind, bytes, weight, claimed)
    }

    /// A turn of ours, with room for a record.
    #[inline]
    pub(super) fn begin(&mut self, len: usize, weight: usize, until: Until) -> Result<Turn> {
        if self.broken {
            return Err(Error::Disconnected);
        }
        self.end.check_open()?;
        if self.lookout.is_due() {
            self.look_at_reader()?;
        }
        let turn = self.take_turn(until)?;
        match self.producer.claim(len, weight).map(drop) {
            Ok(()) => {}
            Err(ClaimError::Full) if until.is_now() => return Err(self.full()),
            Err(ClaimError::Full) => self.wait_for_room(len, weight, until)?,
            Err(error) => return Err(claim_error(error)),
        }
        Ok(turn)
    }

    /// Publishes a record for which there is room, and ends the turn.
    #[inline]
    pub(super) fn publish(
        &mut self,
        turn: Turn,
        kind: u8,
        bytes: &[u8],
        weight: usize,
        claimed: impl FnOnce(u64),
    ) -> Result<()> {
        let mut claim = self.producer.claim(bytes.len(), weight).map_err(claim_error)?;
        claim.write(0, bytes);
        crash_point!("pipe.send.written");
        if self.end.lane.words().bell.may_need_mark() {
            let ring = &self.end.lane.ring;
            if ring.used() + (bytes.len() + weight) as u64 > ring.size() / 2 {
                room::mark(&self.end);
            }
        }
        claimed(claim.position());
        claim.commit(kind);
        crash_point!("pipe.send.committed");
        if self.end.lane.words().bell.ring(self.end.attachment().fences) {
            self.write_byte();
            self.lookout.glance_soon();
        }
        drop(turn);
        Ok(())
    }

    /// The send lock, with the producer where the last sender's turn ended.
    #[inline]
    fn take_turn(&mut self, until: Until) -> Result<Turn> {
        let (turn, after_death) = self.end.turn(|words| &words.send, until)?;
        crash_point!("pipe.send.locked");
        self.producer.resume().map_err(damaged)?;
        if after_death && self.end.lane.words().bell.mend_sender() {
            self.write_byte();
        }
        Ok(turn)
    }

    /// Why there is no room without waiting: the reader lags, or is gone.
    #[cold]
    fn full(&self) -> Error {
        self.end.probe_open().err().unwrap_or(Error::WouldBlock)
    }

    #[cold]
    fn wait_for_room(&mut self, len: usize, weight: usize, until: Until) -> Result<()> {
        let (attachment, mut spin) = (self.end.attachment().clone(), self.end.spin.clone());
        let mut wait = Wait::new(&attachment, Some(&mut spin), until.deadline());
        let (ring, mut probed) = (self.end.lane.ring, 0);
        let (end, producer) = (&self.end, &mut self.producer);
        let room = ring.not_full().wait_until(&mut wait, attachment.fences, |wait| {
            // The kernel is asked after each sleep; in between the hint will do.
            let slept = wait.sleeps();
            let open = if probed == slept { end.check_open() } else { end.probe_open() };
            probed = slept;
            if let Err(error) = open {
                return Some(Err(error));
            }
            match producer.claim(len, weight) {
                Err(ClaimError::Full) => None,
                // What cannot be claimed at all is found out by the caller's own claim.
                Ok(_) | Err(_) => Some(Ok(())),
            }
        });
        self.end.spin = spin;
        room?
    }

    /// The bell was rung: the byte that wakes the reader's poll.
    #[cold]
    fn write_byte(&self) {
        // A full socket is readable; a reader that is gone is found out by the next send.
        // Where the program has closed the socket the reader has heard of that already: it hung up.
        let _ = self.end.socket().map(|socket| socket::send_byte(socket, 1));
        crash_point!("pipe.send.byte");
        self.end.lane.words().bell.ring_watchers();
    }

    /// Where nothing has been taken for a while, or a while has passed, the reader may be dead.
    #[cold]
    fn look_at_reader(&mut self) -> Result<()> {
        let Self { end, lookout, .. } = self;
        if !lookout.is_time_to_ask(|| end.lane.ring.released()) {
            return Ok(());
        }
        // Where the socket cannot be looked at, what the other side has said itself must do.
        match end.probe_open() {
            Err(Error::Disconnected) => {
                self.broken = true;
                Err(Error::Disconnected)
            }
            _ => Ok(()),
        }
    }
}

#[cold]
fn claim_error(error: ClaimError) -> Error {
    match error {
        ClaimError::Full => Error::WouldBlock,
        ClaimError::TooLong | ClaimError::Corrupt => damaged(Corrupt),
    }
}
