//! A lock of whatever class: ours, which are called without detours, or another with the same methods.

use pyo3::prelude::*;

use crate::acquired::Acquired;
use crate::lock::Lock;
use crate::rlock::RLock;

/// A lock that a condition or a shared value uses.
pub enum AnyLock {
    /// Ours.
    Lock(Py<Lock>),
    /// Ours.
    RLock(Py<RLock>),
    /// A subclass of ours, or another's.
    Other(Py<PyAny>),
}

impl AnyLock {
    /// The lock that `object` is.
    pub fn of(object: &Bound<'_, PyAny>) -> Self {
        if let Ok(lock) = object.cast_exact::<Lock>() {
            Self::Lock(lock.clone().unbind())
        } else if let Ok(lock) = object.cast_exact::<RLock>() {
            Self::RLock(lock.clone().unbind())
        } else {
            Self::Other(object.clone().unbind())
        }
    }

    /// The object.
    #[inline]
    pub fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Lock(lock) => lock.bind(py).as_any().clone(),
            Self::RLock(lock) => lock.bind(py).as_any().clone(),
            Self::Other(lock) => lock.bind(py).clone(),
        }
    }

    /// Takes it, if it is ours and nothing stands in the way.
    #[inline]
    pub fn take_now(&self, py: Python<'_>) -> bool {
        match self {
            Self::Lock(lock) => lock.get().inner.made().is_some_and(|lock| lock.take_now(py)),
            Self::RLock(lock) => lock.get().inner.made().is_some_and(|lock| lock.take_now(py)),
            Self::Other(_) => false,
        }
    }

    /// Gives it back, if it is ours and nothing stands in the way.
    #[inline]
    pub fn release_now(&self) -> bool {
        match self {
            Self::Lock(lock) => lock.get().inner.made().is_some_and(|lock| lock.release_now()),
            Self::RLock(lock) => lock.get().inner.made().is_some_and(|lock| lock.release_now()),
            Self::Other(_) => false,
        }
    }

    /// Takes it, for as long as it takes.
    #[inline]
    pub fn take(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Lock(lock) => {
                lock.get().inner.ensure(py).and_then(|()| lock.get().inner.take(py))
            }
            Self::RLock(lock) => {
                lock.get().inner.ensure(py).and_then(|()| lock.get().inner.take(py))
            }
            Self::Other(lock) => lock.call_method0(py, "acquire").map(drop),
        }
    }

    /// Gives it back once.
    #[inline]
    pub fn release(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Lock(lock) => lock.get().inner.give_back(),
            Self::RLock(lock) => lock.get().inner.give_back(),
            Self::Other(lock) => lock.call_method0(py, "release").map(drop),
        }
    }

    /// Whether this thread has it.
    #[inline]
    pub fn is_mine(&self, py: Python<'_>) -> PyResult<bool> {
        match self {
            Self::Lock(lock) => Ok(lock.get().inner.is_mine(py)),
            Self::RLock(lock) => Ok(lock.get().inner.is_mine()),
            // What a subclass of ours calls so is its own.
            Self::Other(lock) => {
                match (lock.bind(py).cast::<Lock>(), lock.bind(py).cast::<RLock>()) {
                    (Ok(lock), _) => Ok(lock.get().inner.is_mine(py)),
                    (_, Ok(lock)) => Ok(lock.get().inner.is_mine()),
                    _ => lock.bind(py).getattr("_semlock")?.call_method0("_is_mine")?.is_truthy(),
                }
            }
        }
    }

    /// Gives it back as often as this thread has it; how often that was.
    pub fn release_all(&self, py: Python<'_>) -> PyResult<u32> {
        let depth = match self {
            Self::Lock(_) => 1,
            Self::RLock(lock) => lock.get().inner.count(),
            Self::Other(lock) => {
                match (lock.bind(py).cast::<Lock>(), lock.bind(py).cast::<RLock>()) {
                    (Ok(_), _) => 1,
                    (_, Ok(lock)) => lock.get().inner.count(),
                    _ => lock.bind(py).getattr("_semlock")?.call_method0("_count")?.extract()?,
                }
            }
        };
        (0..depth).try_for_each(|_| self.release(py))?;
        Ok(depth)
    }

    /// Takes it as often as it was given back. An interrupt ends the wait for it only when there is another one: who waited
    /// for a condition has to have the lock when it returns.
    pub fn take_again(&self, py: Python<'_>, depth: u32) -> PyResult<()> {
        let mut interrupt = None;
        for _ in 0..depth {
            while let Err(error) = self.take(py) {
                match interrupt {
                    None => interrupt = Some(error),
                    Some(_) => return Err(error),
                }
            }
        }
        interrupt.map_or(Ok(()), Err)
    }
}
