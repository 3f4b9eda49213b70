//! Waiting with a lock open: what a condition and the guards of locks know of each other, wherever they lie.

use std::convert::Infallible;

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::AtomicU32;
use slipring_core::sync::{self, Acquired, Waited};
use slipring_core::wait::Waiter;

use super::lock_error::{LockError, LockResult};
use crate::Error;
use crate::wait::{Place, Wait};

/// A guard whose lock a [`Condvar`](super::Condvar) can open and take again: [`Guard`](super::Guard) and
/// [`ReentrantGuard`](super::ReentrantGuard).
///
/// ```
/// use std::time::Duration;
/// use slipring::sync::Reopen;
/// use slipring::{Condvar, Mutex, OrRecover, ReentrantMutex, Segment};
///
/// /// Whether there was news within a millisecond, whichever lock protects them.
/// fn is_news<G: Reopen>(changed: &Condvar, guard: &mut G) -> bool {
///     changed.wait_until(guard, Duration::from_millis(1)).is_ok()
/// }
///
/// let segment = Segment::create()?;
/// let changed = Condvar::new(&segment)?;
/// let (value, lock) = (Mutex::new(&segment, 0_u32)?, ReentrantMutex::new(&segment)?);
/// assert!(!is_news(&changed, &mut value.lock().or_recover()?));
/// assert!(!is_news(&changed, &mut lock.lock().or_recover()?));
/// # Ok::<(), slipring::Error>(())
/// ```
pub trait Reopen: sealed::Sealed {}

/// A lock that a guard holds.
pub(super) use sealed::Held;
pub(crate) use sealed::Lock;

pub(super) mod sealed {
    use std::num::NonZeroU32;

    use slipring_core::owner::OwnerId;
    use slipring_core::sync;

    use crate::Result;
    use crate::member::Attachment;

    /// A lock that a guard holds.
    pub struct Held<'a> {
        pub(crate) lock: Lock<'a>,
        pub(crate) me: OwnerId,
        pub(crate) attachment: &'a Attachment,
    }

    /// Which.
    pub enum Lock<'a> {
        /// A mutex.
        Plain(&'a sync::Mutex),
        /// A reentrant one, and this thread's number.
        Reentrant(&'a sync::ReentrantMutex, NonZeroU32),
    }

    /// Only this crate's guards can be waited with.
    pub trait Sealed {
        /// The lock, if this process holds it.
        fn held(&mut self) -> Result<Held<'_>>;
    }
}

/// Waits on `condvar` with the lock open; `relock` is the waiter that takes it again.
pub(crate) fn wait_open<P: Place>(
    condvar: &sync::Condvar,
    lock: &Lock<'_>,
    me: OwnerId,
    wait: &mut Wait<'_, P>,
    relock: Wait<'_, P>,
) -> LockResult<()> {
    let mut relock = Relock(relock);
    let waited = match *lock {
        Lock::Plain(lock) => condvar.wait(lock, me, wait, &mut relock),
        Lock::Reentrant(lock, thread) => {
            condvar.wait_reentrant(lock, me, thread, wait, &mut relock)
        }
    };
    match waited.map_err(not_owner)? {
        Waited { acquired: Acquired::AfterDeath, .. } => Err(LockError::OwnerDied(())),
        Waited { notified: false, stop: Some(stop), .. } => Err(Error::from(stop).into()),
        Waited { .. } => Ok(()),
    }
}

/// A guard is the proof that its lock is held, so some process wrote where it must not.
#[cold]
fn not_owner(_: sync::NotOwner) -> Error {
    Error::Corrupt { what: "a lock that was taken names another holder" }
}

/// The waiter that takes the lock again: nothing ends its wait but the lock.
struct Relock<'a, P>(Wait<'a, P>);

impl<P: Place> Waiter for Relock<'_, P> {
    type Stop = Infallible;

    fn scope(&self) -> Scope {
        self.0.scope()
    }

    fn spin(&mut self) -> bool {
        self.0.spin()
    }

    fn sleep(&mut self, word: &AtomicU32, expected: u32) -> std::result::Result<(), Infallible> {
        // Without a deadline only a signal ends it, and the lock is needed in any case.
        let _ = self.0.sleep(word, expected);
        Ok(())
    }

    fn fence_peers(&mut self) {
        self.0.fence_peers();
    }

    fn is_dead(&mut self, owner: OwnerId) -> bool {
        self.0.is_dead(owner)
    }
}
