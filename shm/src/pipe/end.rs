//! What readers and writers have in common: the handle, the socket, and taking turns.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::sync::{Acquired, Mutex};

use super::lane::{Lane, LaneWords, Shape};
use crate::member::{Attachment, Handle, Wait};
use crate::object::Role;
use crate::sys::socket;
use crate::wait::{Spin, Until};
use crate::{Error, Result};

/// What the kernel counts of an end, and what goes through it.
#[derive(Clone)]
pub(super) struct Sockets {
    /// For doorbell bytes.
    pub(super) bell: Arc<OwnedFd>,
    /// For handles, which keeps the boundaries of messages: in pipes that were made for it.
    pub(super) parcels: Option<Arc<OwnedFd>>,
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

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.sockets.bell.as_fd()
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
        if socket::has_hung_up(self.socket()).map_err(Error::io("look at the pipe's socket"))? {
            return Err(Error::Disconnected);
        }
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
