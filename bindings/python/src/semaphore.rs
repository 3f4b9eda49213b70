//! Permits that are counts and signals: anybody releases, and nobody's death changes them.

use std::ops::Deref;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use slipring::{Error, Semaphore as Permits};

use crate::error::raise;
use crate::synchronized::{
    Late, Optional, Patience, Plain, SEM_VALUE_MAX, make, permits, reduce, release_failed,
};
use crate::transfer::{Berths, Part};

/// A number of permits: taken one by one, given back or made by anybody.
///
/// Whoever is killed takes with it what it had acquired: where permits are places, `BoundedSemaphore` gives them back.
///
/// >>> from slipring import Semaphore
/// >>> ready = Semaphore(0)
/// >>> ready.release()
/// >>> ready
/// <Semaphore(value=1)>
#[pyclass(frozen, subclass, dict, weakref, module = "slipring.synchronize")]
pub struct Semaphore {
    parts: Late<Parts>,
}

/// What it is made of.
pub struct Parts {
    permits: Permits,
    name: Option<String>,
}

impl Deref for Semaphore {
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
    fn new(py: Python<'_>, value: Optional<'_, '_>, name: Option<String>) -> PyResult<Self> {
        let permits = make(py, value, name.as_deref(), || permits(value), Permits::new)?;
        Ok(Self { permits, name })
    }
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (*args, **options))]
    #[pyo3(text_signature = "(value=1, *, ctx=None, name=None)")]
    fn new(args: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let _ = options;
        let take = |first: Optional<'_, '_>| Parts::new(args.py(), first, None);
        Ok(Self { parts: Late::new(args, take)? })
    }

    #[pyo3(signature = (value=None, *, ctx=None, name=None))]
    fn __init__(
        &self,
        py: Python<'_>,
        value: Optional<'_, '_>,
        ctx: Optional<'_, '_>,
        name: Option<String>,
    ) -> PyResult<()> {
        let _ = ctx;
        self.parts.make(|| Parts::new(py, value, name))
    }

    /// Takes a permit; returns whether there was one. A negative timeout is none at all.
    #[pyo3(signature = (block=None, timeout=None))]
    #[pyo3(text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        block: Optional<'_, '_>,
        timeout: Optional<'_, '_>,
    ) -> PyResult<bool> {
        let patience = Patience::of(block, timeout)?;
        match self.permits.try_acquire() {
            Ok(()) => Ok(true),
            Err(Error::WouldBlock) => patience.wait(py, |until| self.permits.acquire_until(until)),
            Err(error) => Err(raise(error)),
        }
    }

    /// Gives a permit back, or makes one.
    fn release(&self) -> PyResult<()> {
        self.permits.release(1).map_err(release_failed)
    }

    /// How many permits are to be had.
    fn get_value(&self) -> u32 {
        self.permits.value()
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

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<{}(value={})>", slf.get_type().name()?, slf.get().get_value()))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        reduce(slf.as_any(), Vec::new())
    }

    fn _give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, [Part; 1])> {
        let (berth, part) = berths.give(py, &self.permits)?;
        Ok((berth, [part]))
    }

    /// Its name, if it has one.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where the standard library looks inside: the semaphore itself has what it looks for.
    #[getter]
    fn _semlock(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn _get_value(&self) -> u32 {
        self.get_value()
    }

    fn _is_zero(&self) -> bool {
        self.get_value() == 0
    }

    #[classattr]
    fn maxvalue() -> u32 {
        SEM_VALUE_MAX
    }
}
