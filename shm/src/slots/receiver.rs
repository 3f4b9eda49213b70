//! The side that receives.

use std::fmt;

use bytemuck::Pod;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::ring::WaitError;
use slipring_core::ring::spsc_slots::Consumer;

use super::end::{End, corrupt, stopped};
use crate::member::Handle;
use crate::wait::Until;
use crate::{Error, Result};

/// Receives values from a slot ring. One at a time may be in use: it cannot be cloned, and of the copies that a fork
/// makes the first one used has the side. See the [module](super).
///
/// Each operation that touches the ring gives [`Error::SideInUse`] where another process, or another handle of
/// this one, has the side.
///
/// ```
/// use std::time::Duration;
/// use slipring::{Error, Segment, Slots};
///
/// let segment = Segment::create()?;
/// let (mut sensor, mut log) = Slots::<f32>::new(&segment, 8)?;
/// sensor.send(&20.5)?;
/// sensor.send(&21.0)?;
/// drop(sensor);
///
/// let mut degrees = [0.0; 8];
/// let second = Duration::from_secs(1);
/// assert_eq!(log.recv_batch(&mut degrees, second)?, 2);
/// assert_eq!(degrees[..2], [20.5, 21.0]);
/// assert!(matches!(log.recv_until(second), Err(Error::Disconnected)));
/// # Ok::<(), Error>(())
/// ```
pub struct SlotReceiver<T: Pod> {
    end: End<T>,
    /// The side, and who we were when we claimed it: a fork changes that.
    side: Option<(OwnerId, Consumer<T>)>,
}

impl<T: Pod> SlotReceiver<T> {
    /// The receiver that `handle` is.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { end: End::new(handle)?, side: None })
    }

    /// The oldest value, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when the last sender is gone and everything was taken. [`Error::SideInUse`],
    /// [`Error::Interrupted`], [`Error::Forked`].
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        self.recv_until(Until::NEVER)
    }

    /// The oldest value, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when the ring is empty, and as [`SlotReceiver::recv`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<T> {
        self.recv_until(Until::NOW)
    }

    /// The oldest value, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`SlotReceiver::recv`].
    #[inline]
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<T> {
        let me = self.end.me()?;
        let side = match &mut self.side {
            Some((owner, side)) if *owner == me && !side.is_empty() => side,
            _ => self.make_ready(until.into())?,
        };
        // A value is there, or the ring is corrupt, and nobody else receives.
        match side.try_pop() {
            Ok(Some(value)) => Ok(value),
            Ok(None) | Err(_) => Err(corrupt()),
        }
    }

    /// Our side of the ring, with a value there. That is not moved about meanwhile.
    #[cold]
    #[inline(never)]
    fn make_ready(&mut self, until: Until) -> Result<&mut Consumer<T>> {
        let ended = if until.is_now() {
            self.end.check_peer().err().unwrap_or_else(|| self.end.would_block())
        } else {
            let (end, side) = self.side()?;
            match side.wait_for_message(&mut end.wait(until)) {
                Ok(()) => return Ok(self.side()?.1),
                Err(stop) => stopped(WaitError::Stopped(stop)),
            }
        };
        // Only now: what was sent before the last sender went is there to be taken.
        let (_, side) = self.side()?;
        if side.is_empty() { Err(ended) } else { Ok(self.side()?.1) }
    }

    /// Takes as many values as there are and `into` holds, the oldest first, waiting for the first one only. Returns
    /// how many: at least 1, unless `into` is empty.
    ///
    /// # Errors
    ///
    /// As [`SlotReceiver::recv_until`], where there was not even one.
    pub fn recv_batch(&mut self, into: &mut [T], until: impl Into<Until>) -> Result<usize> {
        let taken = self.pop_batch(into)?;
        if taken > 0 {
            return Ok(taken);
        }
        let Some((first, rest)) = into.split_first_mut() else { return Ok(0) };
        *first = self.recv_until(until)?;
        Ok(1 + self.pop_batch(rest).unwrap_or(0))
    }

    fn pop_batch(&mut self, into: &mut [T]) -> Result<usize> {
        let (_, side) = self.side()?;
        side.pop_batch(into).map_err(|_| corrupt())
    }

    /// How many values are in the ring: never too many, but more may have come.
    ///
    /// # Errors
    ///
    /// [`Error::SideInUse`], [`Error::Forked`].
    pub fn len(&mut self) -> Result<u64> {
        Ok(self.side()?.1.len())
    }

    /// Whether a receive would wait now. Once false, false until the next receive.
    ///
    /// # Errors
    ///
    /// As [`SlotReceiver::len`].
    pub fn is_empty(&mut self) -> Result<bool> {
        Ok(self.side()?.1.is_empty())
    }

    /// Whether a send would wait now. Once true, true until the next receive.
    ///
    /// # Errors
    ///
    /// As [`SlotReceiver::len`].
    pub fn is_full(&mut self) -> Result<bool> {
        Ok(self.len()? == self.capacity())
    }

    /// How many values the ring holds.
    pub fn capacity(&self) -> u64 {
        self.end.ring.capacity()
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.end.handle
    }

    /// Our side of the ring.
    #[inline]
    fn side(&mut self) -> Result<(&mut End<T>, &mut Consumer<T>)> {
        let me = self.end.me()?;
        if self.side.as_ref().is_none_or(|(owner, _)| *owner != me) {
            self.claim(me)?;
        }
        match &mut self.side {
            Some((_, consumer)) => Ok((&mut self.end, consumer)),
            None => Err(Error::Forked),
        }
    }

    /// The first operation, or the first one after a fork: what the last one knew is not ours.
    #[cold]
    fn claim(&mut self, me: OwnerId) -> Result<()> {
        self.side = None;
        self.end.claim(me)?;
        let mode = self.end.handle.attachment().fences;
        // SAFETY: the claim says that no other handle has this side, in any process, while ours has it; and that what
        // the last one did is done.
        let consumer = unsafe { self.end.ring.consumer(Scope::Shared, mode) };
        self.side = Some((me, consumer));
        Ok(())
    }
}

impl<T: Pod> Drop for SlotReceiver<T> {
    fn drop(&mut self) {
        let Ok(me) = self.end.me() else { return };
        if self.side.take().is_some() {
            self.end.let_go(me);
        }
    }
}

impl<T: Pod> fmt::Debug for SlotReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotReceiver").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
