//! What readers and writers have in common: the handle, the socket, and taking turns.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use slipring_core::futex::{Scope, Wake};
use slipring_core::owner::OwnerId;
use slipring_core::sync::{Acquired, Mutex};

use super::lane::{Lane, LaneWords, Shape};
use crate::member::{Attachment, Handle, Wait};
use crate::object::Role;
use crate::sys::held::HeldFd;
use crate::sys::{clock, socket};
use crate::wait::{Spin, Until};
use crate::{Error, Result};

/// What the kernel counts of an end, and what goes through it.
#[derive(Clone)]
pub(super) struct Sockets {
    /// For doorbell bytes.
    pub(super) bell: Arc<HeldFd>,
    /// For handles, which keeps the boundaries of messages: in pipes that were made for it.
    pub(super) parcels: Option<Arc<HeldFd>>,
}

/// One direction of one end.
pub(super) struct End {
    pub(super) handle: Handle,
    pub(super) sockets: Sockets,
    pub(super) shape: Shape,
    pub(super) lane: Lane,
    pub(super) spin: Spin,
    /// Who we were at the last call: a fork changes it.
    pub(super) me: OwnerId,
}

// SAFETY: the shape's body is shared memory of atomics, mapped as long as `handle` lives.
unsafe impl Send for End {}

/// A turn at one side of a lane. It ends when this is dropped. In it bytes are copied and system calls are made on the sockets;
/// values are encoded before and decoded after.
pub(super) struct Turn {
    lane: Lane,
    lock: fn(&LaneWords) -> &Mutex,
    me: OwnerId,
}

impl Drop for Turn {
    fn drop(&mut self) {
        (self.lock)(self.lane.words()).unlock(self.me, Scope::Shared);
    }
}

impl End {
    /// The direction in which `sender` sends.
    pub(super) fn new(handle: Handle, sockets: Sockets, sender: Role) -> Result<Self> {
        let (body, len) = handle.body();
        let shape = Shape::new(body, len)?;
        if shape.handles != sockets.parcels.is_some() {
            return Err(Error::Corrupt { what: "a pipe has more or fewer sockets than it says" });
        }
        let lane = shape.lane(sender, handle.body_offset())?;
        let attachment = handle.attachment();
        let (me, spin) = (attachment.me()?, attachment.new_spin());
        Ok(Self { sockets, shape, lane, spin, me, handle })
    }

    /// Gives back what the kernel and the segment count of an end, and leaves the rest as it is.
    ///
    /// # Safety
    ///
    /// As [`PipeReader::abandon`](super::PipeReader::abandon).
    pub(super) unsafe fn abandon(this: *mut Self) {
        // SAFETY: written when the end was made, and never since, so whole whatever its thread was doing.
        // SAFETY: read once: nobody uses or drops the end any more.
        let counted = unsafe {
            (std::ptr::read(&raw const (*this).handle), std::ptr::read(&raw const (*this).sockets))
        };
        drop(counted);
    }

    pub(super) fn attachment(&self) -> &Arc<Attachment> {
        self.handle.attachment()
    }

    /// The socket for doorbell bytes.
    ///
    /// # Errors
    ///
    /// [`Error::DescriptorsClosed`].
    pub(super) fn socket(&self) -> Result<BorrowedFd<'_>> {
        self.sockets.bell.get().ok_or(Error::DescriptorsClosed)
    }

    /// What keeps this end from going on: the other one is gone.
    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        self.handle.check_open(self.shape.sides())
    }

    /// The same, asking the kernel too: it knows of a death at once.
    #[cold]
    pub(super) fn probe_open(&self) -> Result<()> {
        self.check_open()?;
        // A program that closed our socket cannot be told by it.
        let Ok(socket) = self.socket() else { return Ok(()) };
        if socket::has_hung_up(socket).map_err(Error::io("look at the pipe's socket"))? {
            return self.check_peer();
        }
        Ok(())
    }

    /// The socket has hung up: nobody has the other one. That is the end, unless a living process has a handle of the other
    /// side all the same: then its program has closed the socket under it, and messages still go through shared memory.
    #[cold]
    pub(super) fn check_peer(&self) -> Result<()> {
        self.check_open()?;
        let (attachment, holders) =
            (self.attachment(), self.handle.holders(self.handle.role().other()));
        let lives = |id| holders.contains(id) && !attachment.is_dead(id);
        let anybody = attachment.participants().any(|(id, _)| lives(id));
        if anybody { Ok(()) } else { Err(Error::Disconnected) }
    }

    /// One slice of a sleep that no bell can end, for the socket is closed on one side: a short one.
    #[cold]
    pub(super) fn nap(&self, wait: &mut Wait<'_>) -> Result<()> {
        const NAP: Duration = Duration::from_millis(5);
        wait.sleep_with(|end| {
            let nap = clock::deadline_in(NAP);
            match clock::sleep_until(end.map_or(nap, |end| end.min(nap))) {
                Ok(()) => Wake::Changed,
                Err(_) => Wake::Interrupted,
            }
        })?;
        self.attachment().reap();
        Ok(())
    }

    /// Takes a turn at the side whose lock is `lock` if nobody has it, and says whether the last one died in its turn.
    pub(super) fn try_turn(&self, lock: fn(&LaneWords) -> &Mutex) -> Option<(Turn, bool)> {
        let (lane, me) = (self.lane, self.attachment().me().ok()?);
        let taken = lock(lane.words()).try_lock(me, |owner| self.attachment().is_dead(owner));
        taken.map(|how| (Turn { lane, lock, me }, how == Acquired::AfterDeath))
    }

    /// Whether nobody living has a turn at that side. A glance.
    pub(super) fn may_have_turn(&self, lock: fn(&LaneWords) -> &Mutex) -> bool {
        lock(self.lane.words()).may_be_taken(|owner| self.attachment().is_dead(owner))
    }

    /// Takes a turn at the side whose lock is `lock`, and says whether the last one died in its turn.
    #[inline]
    pub(super) fn turn(
        &mut self,
        lock: fn(&LaneWords) -> &Mutex,
        until: Until,
    ) -> Result<(Turn, bool)> {
        let Self { handle, lane, spin, me, .. } = self;
        let (mutex, me) = (lock(lane.words()), *me);
        let attachment = handle.attachment();
        let how = if mutex.try_lock_fast(me) {
            Acquired::Clean
        } else if until.is_now() {
            let taken = mutex.try_lock(me, |owner| attachment.is_dead(owner));
            taken.ok_or(Error::WouldBlock)?
        } else {
            mutex.lock(me, &mut Wait::new(attachment, Some(spin), until.deadline()))?
        };
        Ok((Turn { lane: *lane, lock, me }, how == Acquired::AfterDeath))
    }
}
