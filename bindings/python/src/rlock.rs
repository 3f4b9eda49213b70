//! A lock that the thread which holds it may take again.

use std::mem::forget;
use std::ops::Deref;

use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use slipring::{Error, OrRecover, ReentrantMutex, Result, Until};

use crate::error::raise;
use crate::synchronized::{Holder, Late, Optional, Patience, Plain, make, reduce};
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
    parts: Late<Parts>,
}

/// What it is made of.
pub struct Parts {
    mutex: ReentrantMutex,
    name: Option<String>,
}

impl Deref for RLock {
    type Target = Parts;

    #[inline]
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Plain for Parts {
    fn plain(py: Python<'_>) -> PyResult<Self> {
        Self::new(py, None, None)
    }
}

impl Parts {
    fn new(py: Python<'_>, ticket: Optional<'_, '_>, name: Option<String>) -> PyResult<Self> {
        let new = |segment: &_, ()| ReentrantMutex::new(segment);
        Ok(Self { mutex: make(py, ticket, name.as_deref(), || Ok(()), new)?, name })
    }
}

#[pymethods]
impl RLock {
    #[new]
    #[pyo3(signature = (*args, **options))]
    #[pyo3(text_signature = "(*, ctx=None, name=None)")]
    fn new(args: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let _ = options;
        let take = |first: Optional<'_, '_>| Parts::new(args.py(), first, None);
        Ok(Self { parts: Late::new(args, take)? })
    }

    #[pyo3(signature = (ticket=None, /, *, ctx=None, name=None))]
    fn __init__(
        &self,
        py: Python<'_>,
        ticket: Optional<'_, '_>,
        ctx: Optional<'_, '_>,
        name: Option<String>,
    ) -> PyResult<()> {
        let _ = ctx;
        self.parts.make(|| Parts::new(py, ticket, name))
    }

    /// Takes the lock, once more if this thread has it; returns whether it was to be had. A negative timeout is none at
    /// all.
    #[pyo3(signature = (block=None, timeout=None))]
    #[pyo3(text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        block: Optional<'_, '_>,
        timeout: Optional<'_, '_>,
    ) -> PyResult<bool> {
        self.take_patiently(py, Patience::of(block, timeout)?)
    }

    /// Gives the lock back once.
    #[pyo3(name = "release")]
    fn release_py(&self) -> PyResult<()> {
        self.release()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py)?;
        Ok(true)
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

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mutex = &slf.get().mutex;
        let (holder, count) = match mutex.is_mine() {
            true => (Holder::Me, mutex.count().to_string()),
            false if !mutex.is_locked() => (Holder::Nobody, "0".into()),
            false if mutex.is_locked_here() => (Holder::OtherThread, "nonzero".into()),
            false => (Holder::OtherProcess, "nonzero".into()),
        };
        Ok(format!("<{}({}, {count})>", slf.get_type().name()?, holder.text(slf.py())?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        reduce(slf.as_any(), Vec::new())
    }

    fn _give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, [Part; 1])> {
        let (berth, part) = berths.give(py, &self.mutex)?;
        Ok((berth, [part]))
    }

    /// Its name, if it has one.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where the standard library looks inside: the lock itself has what it looks for.
    #[getter]
    fn _semlock(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// How often a thread of this process holds it.
    fn _count(&self) -> u32 {
        if self.mutex.is_locked_here() { self.mutex.count() } else { 0 }
    }

    #[pyo3(name = "_is_mine")]
    fn is_mine_py(&self) -> bool {
        self.is_mine()
    }

    fn _get_value(&self) -> u32 {
        u32::from(!self.mutex.is_locked())
    }

    fn _is_zero(&self) -> bool {
        self.mutex.is_locked()
    }

    #[classattr]
    fn maxvalue() -> u32 {
        1
    }
}

impl RLock {
    /// A lock of its own, or of that name.
    pub fn make(py: Python<'_>, name: Option<String>) -> PyResult<Self> {
        Ok(Self { parts: Late::of(Parts::new(py, None, name)?) })
    }

    fn lock(&self, until: Until) -> Result<()> {
        // What it protects is the program's affair: in Python nobody is told of a holder's death.
        forget(self.mutex.lock_until(until).or_recover()?);
        Ok(())
    }

    /// Takes the lock, if nothing stands in the way.
    #[inline]
    pub fn take_now(&self) -> bool {
        self.try_take().unwrap_or(false)
    }

    /// Gives the lock back, if nothing stands in the way.
    #[inline]
    pub fn release_now(&self) -> bool {
        self.mutex.unlock().is_ok()
    }

    #[inline]
    fn try_take(&self) -> PyResult<bool> {
        match self.mutex.try_lock().or_recover() {
            Ok(guard) => {
                forget(guard);
                Ok(true)
            }
            Err(Error::WouldBlock) => Ok(false),
            Err(error) => Err(raise(error)),
        }
    }

    /// Takes the lock, for as long as it takes.
    #[inline]
    pub fn take(&self, py: Python<'_>) -> PyResult<()> {
        self.take_patiently(py, Patience::ENDLESS).map(drop)
    }

    fn take_patiently(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        Ok(self.try_take()? || patience.wait(py, |until| self.lock(until))?)
    }

    #[inline]
    pub fn release(&self) -> PyResult<()> {
        self.mutex.unlock().map_err(not_owned)
    }

    /// Whether this thread has it.
    pub fn is_mine(&self) -> bool {
        self.mutex.is_mine()
    }

    /// How often it was taken by whoever has it.
    pub fn depth(&self) -> u32 {
        self.mutex.count()
    }
}

#[cold]
fn not_owned(error: Error) -> PyErr {
    match error {
        Error::NotHeld => {
            PyAssertionError::new_err("attempt to release recursive lock not owned by thread")
        }
        other => raise(other),
    }
}
