//! Whether anybody living has the other side: for calls that never wait.
//!
//! A call that waits looks who is dead after each slice of sleep. A sender that finds room never waits, and neither does a
//! receiver that only tries. Such a handle counts its calls, and asks the kernel about the other side
//!
//! * after [`MESSAGES`] messages of which nobody took any, and then after twice as many: no more go to nobody after a kill,
//!   because the last one that was taken may have been the first of as many before;
//! * and after [`INTERVAL`], whatever became of its messages.
//!
//! The kernel says who is dead, so a process that is slow or stopped never counts as such.
//!
//! A call reads the clock, but for one of a *quick* handle, in whose figures that would be seen: once there were [`QUICK`]
//! calls between two ticks of the clock, it is read once in [`MESSAGES`] calls, and after a call that woke a sleeper, which
//! took far longer. One sender hears late: a quick one that turns slow, of a receiver that was killed before it had taken
//! all and slept. It may send the rest of [`MESSAGES`] first.
//!
//! All of this is private memory.

use slipring_core::owner::OwnerId;

use crate::member::Handle;
use crate::sys::clock;

/// After so many messages it is looked whether any were taken.
pub(crate) const MESSAGES: u32 = 32;
/// After so many milliseconds it is time to ask.
const INTERVAL: u32 = 25;
/// So many calls between two ticks of the clock, 1 to 10 ms, make a handle a quick one.
const QUICK: u32 = 256;

/// What one handle knows of its own calls.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    /// Calls until the next glance, that one included. 0: it is the next one.
    left: u32,
    /// How many there were to be since the last glance.
    stride: u32,
    /// Messages since it was last looked whether any are taken, and how many were taken then.
    untaken: u32,
    taken: u64,
    /// None were, and somebody was alive then: the next time need not be told.
    is_told: bool,
    /// The time of the last glance, and calls since the clock came to stand there.
    seen: u32,
    since_tick: u32,
    /// When the kernel was asked.
    asked: u32,
}

impl Lookout {
    /// Counts a call. Whether it is one in which to glance: [`Lookout::is_alone`], [`Lookout::is_time_to_ask`].
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// How many calls the caller may make until it glances, if it does not have them counted here.
    pub(crate) fn calls_left(&self) -> u64 {
        u64::from(self.left)
    }

    /// Counts the further messages of a batch.
    pub(crate) fn count(&mut self, more: usize) {
        self.untaken = self.untaken.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        if self.untaken >= MESSAGES {
            self.glance_soon();
        }
    }

    /// The next call is one in which to glance: this one was slow, or many messages in one.
    #[cold]
    pub(crate) fn glance_soon(&mut self) {
        self.stride -= self.left.saturating_sub(1);
        self.left = self.left.min(1);
    }

    /// For a call that found nothing: whether it is time to look who is dead.
    #[cold]
    pub(crate) fn is_time(&mut self) -> bool {
        self.is_time_at(clock::coarse_millis())
    }

    fn is_time_at(&mut self, now: u32) -> bool {
        let is_time = now.wrapping_sub(self.asked) >= INTERVAL;
        if is_time {
            self.asked = now;
        }
        is_time
    }

    /// Whether it is time to ask the kernel about the other side. `taken` says how many messages have been taken so far: a
    /// number that does not grow where none was.
    #[cold]
    pub(crate) fn is_time_to_ask(&mut self, taken: impl FnOnce() -> u64) -> bool {
        let now = clock::coarse_millis();
        let mut is_time = self.is_time_at(now);
        self.untaken = self.untaken.saturating_add(self.stride);
        if self.untaken >= MESSAGES {
            let before = std::mem::replace(&mut self.taken, taken());
            // Others' messages may count against those that were taken.
            let none = self.taken.wrapping_sub(before).cast_signed() <= 0;
            self.is_told = none && !self.is_told;
            is_time |= self.is_told;
            self.untaken = 0;
        }
        self.since_tick = self.since_tick.saturating_add(self.stride);
        let stride = if self.since_tick >= QUICK { MESSAGES - self.untaken } else { 1 };
        (self.left, self.stride) = (stride, stride);
        if std::mem::replace(&mut self.seen, now) != now {
            self.since_tick = 0;
        }
        is_time
    }

    /// Whether all who have the other side of `handle` are dead, if it is time to ask that; `taken` as for
    /// [`Lookout::is_time_to_ask`]. The dead are buried.
    #[cold]
    pub(crate) fn is_alone(&mut self, handle: &Handle, taken: impl FnOnce() -> u64) -> bool {
        let is_alone = self.is_time_to_ask(taken) && is_alone(handle);
        if is_alone {
            // Where they could not be buried now, the next call is told by the kernel again.
            (self.left, self.asked) = (0, 0);
        }
        is_alone
    }
}

/// Whether all who have the other side of `handle` are dead. Where nobody has it, its hint says so.
fn is_alone(handle: &Handle) -> bool {
    let (attachment, others) = (handle.attachment(), handle.holders(handle.role().other()));
    // This process lives, and it need not ask the kernel about itself.
    if attachment.me().is_ok_and(|me| others.contains(me)) {
        return false;
    }
    let id_of = |index| -> Option<OwnerId> { attachment.record(index)?.id(index) };
    let lives = |index| id_of(index).is_some_and(|id| !attachment.is_dead(id));
    if others.is_empty() || others.indices().any(lives) {
        return false;
    }
    attachment.reap_now();
    true
}
