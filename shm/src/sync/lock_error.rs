//! How a caller is told that the last holder of a lock died with it.

use std::fmt;

use slipring_core::sync::Acquired;

use crate::{Error, Result};

/// What taking a lock gives.
///
/// ```
/// use slipring::{Error, Guard, LockError, LockResult, Mutex, Segment};
///
/// /// The lock, unless somebody has it.
/// fn if_free(seat: &Mutex<u32>) -> LockResult<Guard<'_, u32>> {
///     seat.try_lock()
/// }
///
/// let seat = Mutex::new(&Segment::create()?, 0)?;
/// let first = if_free(&seat);
/// assert!(first.is_ok());
/// assert!(matches!(if_free(&seat), Err(LockError::Failed(Error::WouldBlock))));
/// # Ok::<(), Error>(())
/// ```
pub type LockResult<G> = std::result::Result<G, LockError<G>>;

/// Why a lock was not simply taken.
///
/// `?` does not turn it into an [`Error`]: whether a half-changed value can be gone on with, the caller has to say.
/// Where it can, [`OrRecover::or_recover`] says so in one word; where it has to be mended first, match.
///
/// ```
/// use slipring::{LockError, Mutex, OrRecover, Segment};
///
/// let segment = Segment::create()?;
/// let total = Mutex::new(&segment, [20_u64, 22])?;
/// // Any mixture of old and new is fine here:
/// let sum: u64 = total.lock().or_recover()?.get().iter().sum();
/// assert_eq!(sum, 42);
/// // And here it is not:
/// let mut guard = match total.lock() {
///     Ok(guard) => guard,
///     Err(LockError::OwnerDied(mut guard)) => {
///         guard.set([0, 0]);
///         guard
///     }
///     Err(LockError::Failed(error)) => return Err(error),
/// };
/// guard.set([1, 2]);
/// # Ok::<(), slipring::Error>(())
/// ```
pub enum LockError<G> {
    /// The lock is held, and its last holder died with it: what it protects may be half-changed. Whoever takes the lock
    /// after this holder has unlocked it is not told again.
    OwnerDied(G),
    /// The lock is not held.
    Failed(Error),
}

impl<G> LockError<G> {
    /// Whether the last holder died.
    pub fn is_owner_died(&self) -> bool {
        matches!(self, Self::OwnerDied(_))
    }

    /// The guard, if the lock is held.
    pub fn into_guard(self) -> Option<G> {
        match self {
            Self::OwnerDied(guard) => Some(guard),
            Self::Failed(_) => None,
        }
    }

    /// Goes on with what the dead holder left.
    ///
    /// # Errors
    ///
    /// The reason why the lock is not held.
    pub fn recover(self) -> Result<G> {
        match self {
            Self::OwnerDied(guard) => Ok(guard),
            Self::Failed(error) => Err(error),
        }
    }
}

/// `lock().or_recover()?`: goes on with what a dead holder left. See [`LockError`].
///
/// ```
/// use slipring::{Error, Mutex, OrRecover, Segment};
///
/// let hits = Mutex::new(&Segment::create()?, 0_u64)?;
/// // Each value is a good one, so it does not matter whether the last holder died.
/// let mut guard = hits.lock().or_recover()?;
/// guard.set(guard.get() + 1);
/// // What remains are this crate's errors.
/// assert!(matches!(hits.try_lock().or_recover(), Err(Error::WouldBlock)));
/// # Ok::<(), Error>(())
/// ```
pub trait OrRecover<G> {
    /// The guard, however it was come by.
    ///
    /// # Errors
    ///
    /// The reason why the lock is not held.
    fn or_recover(self) -> Result<G>;
}

impl<G> OrRecover<G> for LockResult<G> {
    #[inline]
    fn or_recover(self) -> Result<G> {
        self.or_else(LockError::recover)
    }
}

/// A guard, with what its owner must know.
#[inline]
pub(crate) fn told<G>(how: Acquired, guard: G) -> LockResult<G> {
    match how {
        Acquired::Clean => Ok(guard),
        Acquired::AfterDeath => Err(LockError::OwnerDied(guard)),
    }
}

impl<G> From<Error> for LockError<G> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerDied(_) => f.write_str("OwnerDied(..)"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerDied(_) => {
                f.write_str("the last holder of the lock died with it: look at what it protects")
            }
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<G> std::error::Error for LockError<G> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OwnerDied(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn each_way_out_gives_the_guard_or_the_reason() {
        let died = || LockError::OwnerDied(7);
        let failed = || LockError::<i32>::from(Error::TimedOut);
        assert!(died().is_owner_died() && !failed().is_owner_died());
        assert_eq!((died().into_guard(), failed().into_guard()), (Some(7), None));
        assert_eq!(Err(died()).or_recover().unwrap(), 7);
        assert!(matches!(Err(failed()).or_recover(), Err(Error::TimedOut)));
        assert_eq!(Ok(7).or_recover().unwrap(), 7);
    }

    #[test]
    fn the_sentences_are_those_of_the_reason() {
        let failed = LockError::<i32>::from(Error::TimedOut);
        assert_eq!(failed.to_string(), Error::TimedOut.to_string());
        assert!(failed.source().is_none());
        assert!(LockError::OwnerDied(7).to_string().contains("died"));
        assert_eq!(format!("{:?}", LockError::OwnerDied(7)), "OwnerDied(..)");
    }
}
