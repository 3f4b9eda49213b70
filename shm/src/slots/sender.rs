//! The side that sends.

use std::fmt;

use bytemuck::Pod;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::ring::spsc_slots::Producer;

use super::end::{End, corrupt, stopped};
use crate::member::Handle;
use crate::member::lookout::MESSAGES;
use crate::wait::Until;
use crate::{Error, Result};

/// Sends values to a slot ring. One at a time may be in use: it cannot be cloned, and of the copies that a fork makes
/// the first one used has the side. See the [module](super).
///
/// Each operation that touches the ring gives [`Error::SideInUse`] where another process, or another handle of
/// this one, has the side.
///
/// ```
/// use slipring::{Segment, Slots, Until};
///
/// let segment = Segment::create()?;
/// let (mut prices, mut reader) = Slots::<[u32; 2]>::new(&segment, 4)?;
/// // In one step, with one look whether the receiver sleeps.
/// let sent = prices.send_batch(&[[1, 300], [2, 120], [3, 75]], Until::NOW)?;
/// assert_eq!((sent, prices.len()?, prices.capacity()), (3, 3, 4));
/// assert_eq!(reader.recv()?, [1, 300]);
/// assert!(!prices.is_full()?);
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct SlotSender<T: Pod> {
    end: End<T>,
    /// The side, and who we were when we claimed it: a fork changes that.
    side: Option<(OwnerId, Producer<T>)>,
}

impl<T: Pod> SlotSender<T> {
    /// The sender that `handle` is.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { end: End::new(handle)?, side: None })
    }

    /// Sends a copy of `value`, waiting for room for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when the last receiver is gone. [`Error::SideInUse`], [`Error::Interrupted`],
    /// [`Error::Forked`]. The value was not sent then. Where the receiver was killed, up to 64 values, or those of the next
    /// 25 ms, may be sent before that is said.
    #[inline]
    pub fn send(&mut self, value: &T) -> Result<()> {
        self.send_until(value, Until::NEVER)
    }

    /// Sends a copy of `value` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when the ring is full, and as [`SlotSender::send`].
    #[inline]
    pub fn try_send(&mut self, value: &T) -> Result<()> {
        self.send_until(value, Until::NOW)
    }

    /// Sends a copy of `value`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`SlotSender::send`].
    #[inline]
    pub fn send_until(&mut self, value: &T, until: impl Into<Until>) -> Result<()> {
        let me = self.end.me()?;
        // That it is open is asked without a `Result`: with one more of those a value of 64 bytes takes 32 ns, and not 22
        // (Zen 4).
        let side = match &mut self.side {
            Some((owner, side)) if *owner == me && side.is_open() && side.has_room_at_hand() => {
                side
            }
            _ => self.make_ready(until.into())?,
        };
        // There is room, and nobody else sends.
        side.try_push(value).map_err(|_| corrupt())
    }

    /// Our side of the ring, with room for one value. It is not given the value, which can stay in registers meanwhile:
    /// see [`Producer::wait_for_room`].
    #[cold]
    #[inline(never)]
    fn make_ready(&mut self, until: Until) -> Result<&mut Producer<T>> {
        self.end.check_open()?;
        self.look_out()?;
        let has_room = self.side()?.1.has_room().map_err(|_| corrupt())?;
        if !has_room {
            if until.is_now() {
                self.end.check_peer()?;
                return Err(self.end.would_block());
            }
            let (end, side) = self.side()?;
            side.wait_for_room(&mut end.wait(until)).map_err(stopped)?;
        }
        let (end, side) = self.side()?;
        side.pause_after(end.lookout.calls_left());
        Ok(side)
    }

    /// Sends copies of several values, in order, and looks for a sleeping receiver once for all that had room. Returns
    /// how many were sent before the deadline: all, unless there was no room for the rest.
    ///
    /// # Errors
    ///
    /// As [`SlotSender::send_until`], where not even the first was sent.
    pub fn send_batch(&mut self, values: &[T], until: impl Into<Until>) -> Result<usize> {
        let until = until.into();
        let mut sent = self.push_batch(values)?;
        while let Some(next) = values.get(sent) {
            match self.send_until(next, until) {
                Ok(()) => sent += 1,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
            sent += self.push_batch(&values[sent..]).unwrap_or(0);
        }
        Ok(sent)
    }

    /// Sends those for which there is room, and no more than may go to nobody.
    fn push_batch(&mut self, values: &[T]) -> Result<usize> {
        self.end.check_open()?;
        self.look_out()?;
        let (end, side) = self.side()?;
        let values = &values[..values.len().min(MESSAGES as usize)];
        let sent = side.push_batch(values).map_err(|_| corrupt())?;
        end.count_further(sent);
        Ok(sent)
    }

    /// Before values for which no room is at hand: whether anybody living will take them.
    fn look_out(&mut self) -> Result<()> {
        let (end, side) = self.side()?;
        end.look_out(|| side.taken())
    }

    /// How many values are in the ring: never too few, but some may be gone already.
    ///
    /// # Errors
    ///
    /// [`Error::SideInUse`], [`Error::Forked`].
    pub fn len(&mut self) -> Result<u64> {
        Ok(self.side()?.1.len())
    }

    /// Whether the receiver has taken everything. Once true, true until the next send.
    ///
    /// # Errors
    ///
    /// As [`SlotSender::len`].
    pub fn is_empty(&mut self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Whether a send would wait now. Once false, false until the next send.
    ///
    /// # Errors
    ///
    /// As [`SlotSender::len`].
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
    fn side(&mut self) -> Result<(&mut End<T>, &mut Producer<T>)> {
        let me = self.end.me()?;
        if self.side.as_ref().is_none_or(|(owner, _)| *owner != me) {
            self.claim(me)?;
        }
        match &mut self.side {
            Some((_, producer)) => Ok((&mut self.end, producer)),
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
        let producer = unsafe { self.end.ring.producer(Scope::Shared, mode) };
        match producer {
            Ok(producer) => {
                self.side = Some((me, producer));
                Ok(())
            }
            Err(_) => {
                self.end.let_go(me);
                Err(corrupt())
            }
        }
    }
}

impl<T: Pod> Drop for SlotSender<T> {
    fn drop(&mut self) {
        let Ok(me) = self.end.me() else { return };
        if self.side.take().is_some() {
            self.end.let_go(me);
        }
    }
}

impl<T: Pod> fmt::Debug for SlotSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotSender").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
