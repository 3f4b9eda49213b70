//! A lock that anybody may release, and that the death of its holder's process releases.

use std::ops::Deref;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use slipring::{BoundedSemaphore, Error, Until};

use crate::attached::Attached;
use crate::error::raise;
use crate::synchronized::{
    Holder, Late, Optional, Patience, Plain, make, reduce, release_failed, this_thread,
};
use crate::transfer::{Berths, Part};

/// A lock that is not recursive: it is one's that took it, until anybody, in any process, releases it.
///
/// Whoever has it and is killed leaves it to the next. With a name it is the lock of all programs that use that name.
///
/// >>> from slipring import Lock
/// >>> lock = Lock()
/// >>> with lock:
/// ...     lock.acquire(block=False)
/// False
#[pyclass(frozen, subclass, dict, weakref, module = "slipring.synchronize")]
pub struct Lock {
    parts: Late<Parts>,
}

/// What it is made of.
pub struct Parts {
    /// One permit, of the process that took it.
    permit: BoundedSemaphore,
    name: Option<String>,
    /// The thread of this process that took it last.
    taker: Attached<usize>,
}

impl Deref for Lock {
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
        let permit: BoundedSemaphore =
            make(py, ticket, name.as_deref(), || Ok(1), BoundedSemaphore::new)?;
        if permit.limit() != 1 {
            let text = "the name is that of a semaphore with more than one permit: open it as one";
            return Err(PyTypeError::new_err(text));
        }
        Ok(Self { permit, name, taker: Attached::new(0) })
    }
}

#[pymethods]
impl Lock {
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

    /// Takes the lock; returns whether it was to be had. A negative timeout is none at all.
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

    /// Gives the lock back, whoever took it.
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
        let (this, py) = (slf.get(), slf.py());
        let holder = match this.permit.value() {
            _ if this.is_mine(py) => Holder::Me,
            1 => Holder::Nobody,
            _ if this.is_held_here() => Holder::OtherThread,
            _ => Holder::OtherProcess,
        };
        Ok(format!("<{}(owner={})>", slf.get_type().name()?, holder.text(py)?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        reduce(slf.as_any(), Vec::new())
    }

    fn _give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, [Part; 1])> {
        let (berth, part) = berths.give(py, &self.permit)?;
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

    /// How often this process holds it: 0 or 1.
    fn _count(&self) -> u32 {
        self.permit.held_here()
    }

    #[pyo3(name = "_is_mine")]
    fn is_mine_py(&self, py: Python<'_>) -> bool {
        self.is_mine(py)
    }

    fn _get_value(&self) -> u32 {
        self.permit.value()
    }

    fn _is_zero(&self) -> bool {
        self.permit.value() == 0
    }

    #[classattr]
    #[allow(non_snake_case, reason = "it is called so in Python")]
    fn maxvalue() -> u32 {
        1
    }
}

impl Lock {
    #[inline]
    fn taken(&self, py: Python<'_>) {
        self.taker.with(py, |taker| *taker = this_thread());
    }

    /// Takes the lock, if nothing stands in the way.
    #[inline]
    pub fn take_now(&self, py: Python<'_>) -> bool {
        let taken = self.permit.acquire_until(Until::NOW).is_ok();
        if taken {
            self.taken(py);
        }
        taken
    }

    /// Gives the lock back, if nothing stands in the way.
    #[inline]
    pub fn release_now(&self) -> bool {
        self.permit.release(1).is_ok()
    }

    #[inline]
    fn try_take(&self, py: Python<'_>) -> PyResult<bool> {
        match self.permit.try_acquire() {
            Ok(()) => {
                self.taken(py);
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
        if self.try_take(py)? {
            return Ok(true);
        }
        let taken = patience.wait(py, |until| self.permit.acquire_until(until))?;
        if taken {
            self.taken(py);
        }
        Ok(taken)
    }

    #[inline]
    pub fn release(&self) -> PyResult<()> {
        self.permit.release(1).map_err(release_failed)
    }

    fn is_held_here(&self) -> bool {
        self.permit.held_here() > 0
    }

    /// Whether this thread took it last, and its process still holds it.
    pub fn is_mine(&self, py: Python<'_>) -> bool {
        self.is_held_here() && self.taker.with(py, |taker| *taker) == this_thread()
    }
}
