//! A lock that anybody may release, and that the death of its holder's process releases.

use pyo3::prelude::*;
use slipring::{BoundedSemaphore, Error, Until};

use crate::attached::Attached;
use crate::error::raise;
use crate::synchronized::{Optional, acquire_slowly, make, release_failed, this_thread};

/// A lock: one permit, of the process that took it until anybody releases it.
#[pyclass(frozen, subclass, module = "slipring._native")]
pub struct Lock {
    permit: BoundedSemaphore,
    name: Option<String>,
    /// The thread of this process that took it last.
    taker: Attached<usize>,
}

#[pymethods]
impl Lock {
    #[new]
    #[pyo3(signature = (*, ctx=None, name=None))]
    fn new(py: Python<'_>, ctx: Optional<'_, '_>, name: Option<String>) -> PyResult<Self> {
        let _ = ctx;
        let permit = make(py, name.as_deref(), 1, |s, permits| BoundedSemaphore::new(s, permits))?;
        if permit.limit() != 1 {
            let text = "the name is of a semaphore with more than one permit: that is no lock";
            return Err(pyo3::exceptions::PyTypeError::new_err(text));
        }
        Ok(Self { permit, name, taker: Attached::new(0) })
    }

    /// Takes the lock, and returns whether it was to be had.
    #[pyo3(signature = (block=None, timeout=None))]
    fn acquire(
        &self,
        py: Python<'_>,
        block: Optional<'_, '_>,
        timeout: Optional<'_, '_>,
    ) -> PyResult<bool> {
        match self.permit.try_acquire() {
            Ok(()) => {}
            Err(Error::WouldBlock) => {
                let attempt = |until| self.permit.acquire_until(until);
                if !acquire_slowly(py, block, timeout, attempt)? {
                    return Ok(false);
                }
            }
            Err(error) => return Err(raise(error)),
        }
        self.taken(py);
        Ok(true)
    }

    /// Gives the lock back, whoever took it.
    fn release(&self) -> PyResult<()> {
        self.permit.release(1).map_err(release_failed)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire(py, None, None)
    }

    #[pyo3(signature = (kind=None, value=None, traceback=None))]
    fn __exit__(
        &self,
        kind: Optional<'_, '_>,
        value: Optional<'_, '_>,
        traceback: Optional<'_, '_>,
    ) -> PyResult<()> {
        let _ = (kind, value, traceback);
        self.release()
    }

    /// Its name, if it has one.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the standard library looks inside of a lock for: the lock itself has it.
    #[getter]
    fn _semlock(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// How often this process holds it: 0 or 1.
    fn _count(&self) -> u32 {
        u32::from(self.is_held_here())
    }

    /// Whether this thread took it last, and its process still holds it.
    fn _is_mine(&self, py: Python<'_>) -> bool {
        self.is_mine(py)
    }

    fn _get_value(&self) -> u32 {
        self.permit.value()
    }

    fn _is_zero(&self) -> bool {
        self.permit.value() == 0
    }

    #[getter]
    fn maxvalue(&self) -> u32 {
        1
    }
}

impl Lock {
    #[inline]
    fn taken(&self, py: Python<'_>) {
        self.taker.with(py, |taker| *taker = this_thread());
    }

    pub fn is_held_here(&self) -> bool {
        self.permit.held_here() > 0
    }

    pub fn is_mine(&self, py: Python<'_>) -> bool {
        self.is_held_here() && self.taker.with(py, |taker| *taker) == this_thread()
    }
}
