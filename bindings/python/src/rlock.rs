//! A lock that the thread which holds it may take again.

use std::mem::forget;

use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use slipring::{Error, OrRecover, ReentrantMutex, Result, Until};

use crate::acquired::{Acquired, acquired};
use crate::error::raise;
use crate::synchronized::{Holder, Inner, Late, Optional, make};
use crate::transfer::{Berths, Part};

/// A lock that the thread which has it may take again, and gives back as often.
///
/// Only that thread releases it; a child of its process does not have it. If its process is killed the next one gets it.
///
/// >>> from slipring import RLock
/// >>> lock = RLock()
/// >>> with lock, lock:
/// ...     lock
/// <RLock(MainProcess, 2)>
#[pyclass(frozen, subclass, dict, weakref, module = "slipring.synchronize")]
pub struct RLock {
    pub inner: Late<ReentrantMutex>,
}

acquired! {
    RLock, made of ticket;
    signature = (ticket=None, /, *, ctx=None, name=None);
    text_signature = "(*, ctx=None, name=None)";
    /// Takes the lock, once more if this thread has it; returns whether it was to be had. A negative timeout is none at
    /// all.
    acquire;
    /// Gives the lock back once.
    release;
    more {
        /// How often a thread of this process holds it.
        fn _count(&self) -> u32 {
            if self.inner.is_locked_here() { self.inner.count() } else { 0 }
        }

        fn _is_mine(&self) -> bool {
            self.inner.is_mine()
        }

        #[classattr]
        fn maxvalue() -> u32 {
            1
        }
    }
}

impl RLock {
    /// A lock of its own, or of that name.
    pub fn make(py: Python<'_>, name: Option<String>) -> PyResult<Self> {
        let lock = Self { inner: Late::default() };
        lock.inner.init(py, None, name)?;
        Ok(lock)
    }
}

impl Inner for ReentrantMutex {
    fn made(py: Python<'_>, ticket: Optional<'_, '_>, name: Option<&str>) -> PyResult<Self> {
        make(py, ticket, name, || Ok(()), |segment, ()| Self::new(segment))
    }
}

impl Acquired for ReentrantMutex {
    #[inline]
    fn acquire_one(&self, until: Until) -> Result<()> {
        // What it protects is the program's affair: in Python nobody is told of a holder's death.
        forget(self.lock_until(until).or_recover()?);
        Ok(())
    }

    #[inline]
    fn release_one(&self) -> Result<()> {
        self.unlock()
    }

    #[cold]
    fn release_failed(error: Error) -> PyErr {
        match error {
            Error::NotHeld => {
                PyAssertionError::new_err("attempt to release recursive lock not owned by thread")
            }
            other => raise(other),
        }
    }

    fn left(&self) -> u32 {
        u32::from(!self.is_locked())
    }

    fn text(&self, py: Python<'_>) -> PyResult<String> {
        let (holder, count) = match self.is_mine() {
            true => (Holder::Me, self.count().to_string()),
            false if !self.is_locked() => (Holder::Nobody, "0".into()),
            false if self.is_locked_here() => (Holder::OtherThread, "nonzero".into()),
            false => (Holder::OtherProcess, "nonzero".into()),
        };
        Ok(format!("{}, {count}", holder.text(py)?))
    }

    fn give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
        berths.give_one(py, self)
    }
}
