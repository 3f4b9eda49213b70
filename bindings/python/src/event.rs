//! A flag that processes wait for.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use slipring::Event as Flag;

use crate::blocking::{Deadline, wait};
use crate::error::raise;
use crate::synchronized::{Inner, Late, Optional, make, reduce, seconds};
use crate::transfer::{Berths, Part};

/// A flag that anybody sets, clears and waits for. Nobody who is killed while it waits keeps others from setting it.
///
/// >>> from slipring import Event
/// >>> ready = Event()
/// >>> ready.wait(timeout=0)
/// False
/// >>> ready.set()
/// >>> ready.wait()
/// True
#[pyclass(frozen, subclass, dict, weakref, module = "slipring.synchronize")]
pub struct Event {
    inner: Late<Flag>,
}

impl Inner for Flag {
    fn made(py: Python<'_>, ticket: Optional<'_, '_>, name: Option<&str>) -> PyResult<Self> {
        make(py, ticket, name, || Ok(()), |segment, ()| Self::new(segment))
    }
}

#[pymethods]
impl Event {
    #[new]
    #[pyo3(signature = (*args, **options))]
    #[pyo3(text_signature = "(*, ctx=None, name=None)")]
    fn new(args: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let _ = options;
        Ok(Self { inner: Late::new(args)? })
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
        self.inner.init(py, ticket, name)
    }

    /// Sets the flag and wakes everybody who waits for it.
    fn set(&self) -> PyResult<()> {
        self.inner.set().map(drop).map_err(raise)
    }

    /// Clears the flag.
    fn clear(&self) -> PyResult<()> {
        self.inner.clear().map(drop).map_err(raise)
    }

    /// Whether the flag is set.
    fn is_set(&self) -> bool {
        self.inner.is_set()
    }

    /// Waits until the flag is set, or was set since the call began; returns whether that was so in time.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Optional<'_, '_>) -> PyResult<bool> {
        if self.inner.is_set() {
            return Ok(true);
        }
        match Deadline::after(seconds(timeout)?) {
            Deadline::Now => Ok(self.inner.is_set()),
            deadline => {
                // It may be set and cleared again between two looks.
                let came = self.inner.moment();
                let attempt = |until| match self.inner.was_set_since(came) {
                    true => Ok(()),
                    false => self.inner.wait_until(until),
                };
                Ok(wait(py, deadline, attempt)?.is_some() || self.inner.was_set_since(came))
            }
        }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().is_set() { "set" } else { "unset" };
        let (class, at) = (slf.get_type().qualname()?, slf.as_ptr().addr());
        Ok(format!("<{class} at {at:#x} {state}>"))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        reduce(slf.as_any(), Vec::new(), slf.get().inner.name())
    }

    fn _slipring_give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
        berths.give_one(py, &*self.inner)
    }

    /// Its name, if it has one.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.inner.name()
    }
}
