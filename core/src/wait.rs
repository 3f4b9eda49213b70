//! What an algorithm asks of its surroundings when it has to wait: [`Waiter`].
//!
//! Core decides *when* to sleep and on which word; the caller decides *how long*, how much to spin, and who is dead.
//! One trait keeps deadlines, slices, liveness probes and Ctrl-C out of every lock.

use crate::futex::Scope;
use crate::owner::OwnerId;
use crate::primitive::AtomicU32;

/// How a blocked algorithm sleeps and learns of deaths. One value serves one blocking call: it carries the deadline.
pub trait Waiter {
    /// Why waiting ended for good: the deadline, an interrupt.
    type Stop;

    /// Between processes or between threads of one.
    fn scope(&self) -> Scope;

    /// Called in a loop before the first sleep: returns `true` to look again without sleeping.
    fn spin(&mut self) -> bool;

    /// Sleeps while `*word == expected`, until woken, until a slice of time is over, or for no reason at all: the
    /// caller looks at its condition again after every return.
    ///
    /// A sleep that was woken returns `Ok`, even past the deadline: its caller looks once more and takes what the wake-up
    /// was for. A wake-up spent on one who then gives up would leave another asleep until its slice is over.
    ///
    /// # Errors
    ///
    /// `Stop` when the call has to give up, and nobody woke it. The condition was false just before.
    fn sleep(&mut self, word: &AtomicU32, expected: u32) -> Result<(), Self::Stop>;

    /// Makes every running process of the segment execute a full fence (`membarrier`), and executes one here. Called
    /// by a sleeper whose wakers have a compiler barrier only ([`FenceMode::Asymmetric`]).
    ///
    /// [`FenceMode::Asymmetric`]: crate::primitive::FenceMode::Asymmetric
    fn fence_peers(&mut self);

    /// Whether `owner` is proven dead. `false` while in doubt.
    fn is_dead(&mut self, owner: OwnerId) -> bool;
}
