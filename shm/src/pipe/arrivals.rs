//! The side of a lane on which messages arrive: turns there, and how who has one sleeps until a message comes.
//!
//! A sleeper sleeps on the end's socket: a byte comes through it when the bell is rung, and the kernel hangs it up when the
//! other end is gone. The descriptor for event loops ([`PipeReader::as_fd`](super::PipeReader::as_fd)) watches the same.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::spsc_records::Consumer;
use slipring_core::wait::Waiter;

use super::end::{End, Turn};
use super::lane::damaged;
use super::room;
use crate::member::Wait;
use crate::sys::socket::{self, Ready, Received};
use crate::sys::{clock, membarrier, watch::Watch};
use crate::wait::{Until, sleep_on};
use crate::{Error, Result};

/// Where messages arrive, as one handle sees it.
pub(super) struct Arrivals {
    pub(super) end: End,
    pub(super) consumer: Consumer,
    /// The descriptor for event loops, once it was asked for.
    watch: Option<Watch>,
}

impl Arrivals {
    pub(super) fn new(end: End) -> Result<Self> {
        let mode = end.attachment().fences;
        // SAFETY: consumers of a lane work under its receive lock only, and resume first.
        let consumer = unsafe { end.lane.ring.consumer(Scope::Shared, mode) }.map_err(damaged)?;
        Ok(Self { end, consumer, watch: None })
    }

    /// After a fork: nothing that was the parent's is ours.
    pub(super) fn become_child(&mut self, me: OwnerId) {
        self.end.me = me;
        self.watch = None;
    }

    /// The descriptor for event loops.
    pub(super) fn as_fd(&mut self) -> Result<BorrowedFd<'_>> {
        if self.watch.is_none() {
            self.watch = Some(self.begin_watch()?);
        }
        let watch = self.watch.as_ref().map(AsFd::as_fd);
        watch.ok_or(Error::Closed)
    }

    /// The socket, watched.
    pub(super) fn watch_socket(&self) -> Result<BorrowedFd<'_>> {
        let socket = self.end.socket()?;
        if !self.end.lane.words().bell.is_watched() {
            self.quiet_old_ring();
        }
        Ok(socket)
    }

    /// A turn with a message there.
    #[inline]
    pub(super) fn await_message(&mut self, until: Until) -> Result<Turn> {
        let (turn, after_death) = self.end.turn(|words| &words.recv, until)?;
        crash_point!("pipe.recv.locked");
        self.consumer.resume().map_err(damaged)?;
        if after_death {
            self.end.lane.words().bell.mend_reader();
        }
        if self.consumer.is_empty() {
            self.wait_for_message(until)?;
        }
        Ok(turn)
    }

    /// Waits, in our turn, for a message.
    #[cold]
    fn wait_for_message(&mut self, until: Until) -> Result<()> {
        if until.is_now() {
            return self.find_message_now();
        }
        let (attachment, mut spin) = (self.end.attachment().clone(), self.end.spin.clone());
        let mut wait = Wait::new(&attachment, Some(&mut spin), until.deadline());
        let found = self.spin_and_sleep(&mut wait);
        self.end.spin = spin;
        match found {
            // A deadline that has passed already must not hide what is there.
            Err(Error::TimedOut) => match self.find_message_now() {
                Err(Error::WouldBlock) => Err(Error::TimedOut),
                found => found,
            },
            found => found,
        }
    }

    /// No message, or no more: looked at in this order, so that the last one is not missed.
    fn find_message_now(&mut self) -> Result<()> {
        let open = self.end.probe_open();
        if !self.consumer.is_empty() {
            return Ok(());
        }
        let bell = &self.end.lane.words().bell;
        if bell.is_watched() && bell.may_be_rung() {
            self.hush(|this| this.consumer.is_empty());
        } else if bell.is_marked() {
            room::unmark(&self.end);
        }
        open.and(Err(Error::WouldBlock))
    }

    fn spin_and_sleep(&mut self, wait: &mut Wait<'_>) -> Result<()> {
        loop {
            while wait.spin() {
                if !self.consumer.is_empty() {
                    return Ok(());
                }
            }
            if self.hush(|this| this.consumer.is_empty()) {
                return Ok(());
            }
            let open = match self.end.socket() {
                Ok(socket) => match sleep_on(wait, |end| socket::wait_readable(socket, end))? {
                    Ok(Ready::Hangup) | Err(_) => {
                        self.end.check_peer().and_then(|()| self.end.nap(wait))
                    }
                    Ok(_) => self.end.check_open(),
                },
                Err(_) => self.end.nap(wait).and_then(|()| self.end.check_open()),
            };
            if !self.consumer.is_empty() {
                return Ok(());
            }
            open?;
        }
    }

    /// A message was taken, in our turn. Where somebody watches and none is left, the descriptor is made unreadable; and where
    /// there is room again, the other end's writable.
    #[inline]
    pub(super) fn taken(&mut self) {
        if self.end.lane.words().bell.needs_care() {
            self.take_care();
        }
    }

    fn take_care(&mut self) {
        let bell = &self.end.lane.words().bell;
        if bell.is_marked() {
            room::unmark(&self.end);
        }
        if bell.is_watched() && self.consumer.is_empty() && bell.may_be_rung() {
            self.hush(|this| this.consumer.is_empty());
        }
    }

    /// Has senders ring anew, and takes the byte of the last ring. In a turn of ours. Returns whether there is a message.
    #[cold]
    fn hush(&self, is_empty: fn(&Self) -> bool) -> bool {
        let bell = &self.end.lane.words().bell;
        if bell.is_marked() {
            room::unmark(&self.end);
        }
        let hushed = bell.hush();
        fence_peers(self.end.attachment().fences);
        // Where the program has closed the socket nobody can ring there any more.
        let take_byte = || {
            let received = self.end.socket().map(|socket| socket::receive(socket, &mut [0]));
            matches!(received, Ok(Ok(Received::Bytes(_))))
        };
        if !is_empty(self) {
            bell.leave(hushed, take_byte);
            return true;
        }
        bell.settle(hushed, take_byte);
        if bell.has_strays() {
            self.clear_strays(is_empty);
        }
        false
    }

    /// Quiets the bell, from outside of a turn: it was rung, and there is nothing to receive. Where somebody else has a turn
    /// that is its business, and the result is false.
    #[cold]
    pub(super) fn calm(&self) -> bool {
        let Some((_turn, after_death)) = self.end.try_turn(|words| &words.recv) else {
            return false;
        };
        if after_death {
            self.end.lane.words().bell.mend_reader();
        }
        let is_empty = |this: &Self| this.end.lane.ring.is_empty();
        if is_empty(self) {
            self.hush(is_empty);
        }
        true
    }

    /// Somebody died between the bell and its byte: empties the socket while nobody can ring.
    #[cold]
    fn clear_strays(&self, is_empty: fn(&Self) -> bool) {
        let Some((_turn, _)) = self.end.try_turn(|words| &words.send) else { return };
        if is_empty(self) {
            let receive = || self.end.socket().map(|socket| socket::receive(socket, &mut [0; 16]));
            while let Ok(Ok(Received::Bytes(_))) = receive() {}
            self.end.lane.words().bell.reset();
        }
    }

    fn begin_watch(&self) -> Result<Watch> {
        let failed = "make a descriptor for an event loop";
        let watch = Watch::new(self.end.socket()?).map_err(Error::io(failed))?;
        self.quiet_old_ring();
        Ok(watch)
    }

    /// Somebody watches from now on. The bell may be rung for messages that are gone: those who took them left it so.
    fn quiet_old_ring(&self) {
        // So long a receiver is waited for that has not seen yet that somebody watches: it quiets the bell itself before it
        // sleeps. One that is stopped in its turn has to be waited for by every receiver.
        const PATIENCE: Duration = Duration::from_millis(10);
        let (bell, end) = (&self.end.lane.words().bell, clock::deadline_in(PATIENCE));
        bell.watch();
        fence_peers(self.end.attachment().fences);
        while bell.may_be_rung() && self.end.lane.ring.is_empty() && !self.calm() {
            if clock::has_passed(end) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// The sleeper's half of the fence, where wakers have none.
fn fence_peers(mode: FenceMode) {
    if mode == FenceMode::Asymmetric {
        // Works in every process that could attach; sleeps are sliced in any case.
        let _ = membarrier::fence_registered();
    }
}
