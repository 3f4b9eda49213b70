//! How a blocked call of this crate waits: spin a little, sleep in slices, look who is dead, keep the deadline.
//!
//! | file | what it holds |
//! |---|---|
//! | `until.rs` | [`Until`]: a deadline, as users say it |
//! | `sleep_on.rs` | a sleep in `poll`, on a descriptor |
//! | `private_lock.rs` | a lock between the threads of this process that survives a fork |

mod private_lock;
mod sleep_on;
mod until;

use std::time::Duration;

use slipring_core::futex::{self, Deadline, Scope, Wake};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, Ordering, spin_hint};
use slipring_core::wait::Waiter;

use crate::Error;
pub(crate) use private_lock::PrivateLock;
pub(crate) use sleep_on::sleep_on;
pub use until::Until;

use crate::sys::clock;

/// How long one sleep lasts at most before the sleeper looks who is dead.
pub(crate) const SLICE: Duration = Duration::from_millis(50);
/// A sleep shorter than this would have been saved by spinning: about twice the price of a wake-up.
const WORTH_SPINNING: u64 = 60_000;
/// The longest adaptive spin in looks, about the price of one wake-up (25–50 µs).
const MAX_ROUNDS: u32 = 1000;
const MIN_ROUNDS: u32 = 64;
/// So many looks come one right after the other: what is on its way already comes soonest. Then there is a `PAUSE`
/// between two (25 ns each here).
const EAGER_ROUNDS: u32 = 256;

/// How long a blocked call may spin before it sleeps.
///
/// ```
/// use std::time::Duration;
/// use slipring::{ByteQueue, Segment, SpinPolicy};
///
/// let segment = Segment::create()?;
/// // A core is set aside for this process: it may burn it.
/// segment.set_spin(SpinPolicy::For(Duration::from_millis(1)));
/// let (_sender, _receiver) = ByteQueue::bounded(&segment, 1)?;
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SpinPolicy {
    /// As long as it pays, learnt per handle, at most about the price of one wake-up; never on a single CPU.
    #[default]
    Adaptive,
    /// Sleep at once.
    Never,
    /// Spin for this long.
    For(Duration),
    /// Never sleep.
    Forever,
}

/// What one handle has learnt about spinning. Private memory.
#[derive(Clone, Debug)]
pub(crate) struct Spin {
    policy: SpinPolicy,
    rounds: u32,
}

impl Spin {
    pub(crate) fn new(policy: SpinPolicy, cpus: u32) -> Self {
        let policy =
            if cpus < 2 && policy == SpinPolicy::Adaptive { SpinPolicy::Never } else { policy };
        Self { policy, rounds: MAX_ROUNDS }
    }

    fn learn_from_sleep(&mut self, nanos: u64) {
        let next = if nanos < WORTH_SPINNING { MAX_ROUNDS } else { self.rounds / 2 };
        self.rounds = next.max(MIN_ROUNDS);
    }
}

/// What a handle that several threads use at once has learnt about spinning. Private memory.
#[derive(Debug)]
pub(crate) struct SharedSpin {
    policy: SpinPolicy,
    rounds: AtomicU32,
}

impl SharedSpin {
    pub(crate) fn new(spin: Spin) -> Self {
        Self { policy: spin.policy, rounds: AtomicU32::new(spin.rounds) }
    }

    /// What is known now, for one blocking call.
    pub(crate) fn get(&self) -> Spin {
        // ORDERING: Relaxed; a number that stands for itself.
        Spin { policy: self.policy, rounds: self.rounds.load(Ordering::Relaxed) }
    }

    /// Keeps what that call has learnt.
    pub(crate) fn keep(&self, spin: &Spin) {
        // ORDERING: Relaxed; of two lessons at once the last one counts.
        self.rounds.store(spin.rounds, Ordering::Relaxed);
    }
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    TimedOut,
    Interrupted,
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TimedOut => Self::TimedOut,
            Stop::Interrupted => Self::Interrupted,
        }
    }
}

/// Where a blocked call waits: in a segment, or between the threads of this process.
pub(crate) trait Place {
    /// Who wakes whom.
    const SCOPE: Scope;
    /// How long one sleep lasts at most; `None` where there is nobody to be looked for meanwhile.
    const SLICE: Option<Duration>;

    /// Whether a signal ends the call.
    fn interruptible(&self) -> bool;

    /// Called before a sleep: gives memory back that lay free for long.
    fn tidy(&self);

    /// Looks who is dead, if that was not done just now.
    fn reap(&self);

    /// As [`Waiter::is_dead`].
    fn is_dead(&self, owner: OwnerId) -> bool;

    /// As [`Waiter::fence_peers`].
    fn fence_peers(&self);
}

/// The waiter of one blocking call.
pub(crate) struct Wait<'a, P> {
    place: &'a P,
    spin: Option<&'a mut Spin>,
    deadline: Option<Deadline>,
    spun: u32,
    spin_end: u64,
    sleeps: u32,
}

impl<'a, P: Place> Wait<'a, P> {
    /// Until `deadline` (none: for ever), spinning as `spin` has learnt (none: never).
    pub(crate) fn new(
        place: &'a P,
        spin: Option<&'a mut Spin>,
        deadline: Option<Deadline>,
    ) -> Self {
        Self { place, spin, deadline, spun: 0, spin_end: 0, sleeps: 0 }
    }

    /// One slice of sleep in the caller's system call, which is given its end, if it has one.
    pub(crate) fn sleep_with(
        &mut self,
        sleep: impl FnOnce(Option<Deadline>) -> Wake,
    ) -> Result<(), Stop> {
        let before = clock::now();
        if self.deadline.is_some_and(|d| d.nanos <= before) {
            self.place.reap();
            return Err(Stop::TimedOut);
        }
        self.place.tidy();
        let slice = P::SLICE.map(|slice| clock::deadline_at(before, slice));
        let wake = sleep(self.deadline.into_iter().chain(slice).min());
        if let Some(spin) = self.spin.as_deref_mut() {
            match wake {
                Wake::Woken => spin.learn_from_sleep(clock::now() - before),
                Wake::TimedOut => spin.learn_from_sleep(u64::MAX),
                Wake::Changed | Wake::Interrupted => {}
            }
        }
        self.spun = 0;
        self.sleeps = self.sleeps.wrapping_add(1);
        self.after_sleep(wake)
    }

    /// How many times it has slept.
    pub(crate) fn sleeps(&self) -> u32 {
        self.sleeps
    }

    /// What a sleep that ended means for the call: `Err` if it has to give up.
    fn after_sleep(&mut self, wake: Wake) -> Result<(), Stop> {
        match wake {
            Wake::Woken | Wake::Changed => Ok(()),
            Wake::Interrupted if self.place.interruptible() => Err(Stop::Interrupted),
            Wake::Interrupted => Ok(()),
            Wake::TimedOut => {
                // Also at the deadline: those of a caller may all be shorter than a slice.
                self.place.reap();
                if self.deadline.is_some_and(clock::has_passed) {
                    return Err(Stop::TimedOut);
                }
                Ok(())
            }
        }
    }
}

impl<P: Place> Waiter for Wait<'_, P> {
    type Stop = Stop;

    fn scope(&self) -> Scope {
        P::SCOPE
    }

    fn spin(&mut self) -> bool {
        let Some(spin) = self.spin.as_deref_mut() else { return false };
        let go_on = match spin.policy {
            SpinPolicy::Never => false,
            SpinPolicy::Adaptive => self.spun < spin.rounds,
            SpinPolicy::Forever => {
                // A look at the clock and the dead now and then; the deadline is kept by the sleep of the last round.
                self.spun % 4096 != 4095 || {
                    self.place.reap();
                    self.deadline.is_none_or(|d| !clock::has_passed(d))
                }
            }
            SpinPolicy::For(duration) => {
                let now = clock::now();
                if self.spun == 0 {
                    self.spin_end = clock::deadline_at(now, duration).nanos;
                }
                now < self.spin_end && self.deadline.is_none_or(|d| now < d.nanos)
            }
        };
        if go_on {
            self.spun = self.spun.wrapping_add(1);
            if self.spun > EAGER_ROUNDS {
                spin_hint();
            }
        }
        go_on
    }

    fn sleep(&mut self, word: &AtomicU32, expected: u32) -> Result<(), Stop> {
        self.sleep_with(|end| futex::wait(word, expected, P::SCOPE, end))
    }

    fn fence_peers(&mut self) {
        self.place.fence_peers();
    }

    fn is_dead(&mut self, owner: OwnerId) -> bool {
        self.place.is_dead(owner)
    }
}
