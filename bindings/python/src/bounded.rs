//! Permits that are places: never more than there were, and those of a killed process come back.

use std::ops::Deref;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use slipring::{BoundedSemaphore as Owned, Error, Result, Semaphore as Counted, Until};

use crate::error::raise;
use crate::synchronized::{Late, Optional, Patience, Plain, make, permits, reduce, release_failed};
use crate::transfer::{Berths, Part, ticket};

/// A number of places: whoever takes one gives it back, and there are never more than there were.
///
/// Places of a process that is killed come back. Of more than 65 536 nobody knows whose they are: those do not.
///
/// >>> from slipring import BoundedSemaphore
/// >>> seats = BoundedSemaphore(2)
/// >>> with seats:
/// ...     seats
/// <BoundedSemaphore(value=1, maxvalue=2)>
#[pyclass(frozen, subclass, dict, weakref, module = "slipring.synchronize")]
pub struct BoundedSemaphore {
    parts: Late<Parts>,
}

/// What it is made of.
pub struct Parts {
    permits: Permits,
    name: Option<String>,
}

impl Deref for BoundedSemaphore {
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
        Ok(Self { permits: Permits::make(py, value, name.as_deref())?, name })
    }
}

/// So many permits at most can have owners.
const MOST_OWNED: u32 = 1 << 16;

enum Permits {
    /// Each knows whose it is.
    Owned(Owned),
    /// So many that only their number is known, and the bound.
    Counted(Counted, u32),
}

impl Permits {
    fn make(py: Python<'_>, value: Optional<'_, '_>, name: Option<&str>) -> PyResult<Self> {
        if let Some(ticket) = ticket(value) {
            let most = ticket.get().take_text(py)?;
            return Ok(match most.parse() {
                Ok(most) => Self::Counted(ticket.get().take(py)?, most),
                Err(_) => Self::Owned(ticket.get().take(py)?),
            });
        }
        let count = permits(value)?;
        if count <= MOST_OWNED {
            return Ok(Self::Owned(make(py, None, name, || Ok(count), Owned::new)?));
        }
        if name.is_some() {
            let text = format!("a bounded semaphore with a name has at most {MOST_OWNED} permits");
            return Err(PyValueError::new_err(text));
        }
        Ok(Self::Counted(make(py, None, None, || Ok(count), Counted::new)?, count))
    }

    #[inline]
    fn acquire_until(&self, until: Until) -> Result<()> {
        match self {
            Self::Owned(permits) => permits.acquire_until(until),
            Self::Counted(permits, _) => permits.acquire_until(until),
        }
    }

    #[inline]
    fn release(&self) -> Result<()> {
        match self {
            Self::Owned(permits) => permits.release(1),
            // As exact as `multiprocessing`'s: two who release at once may both find room for one.
            Self::Counted(permits, most) if permits.value() >= *most => {
                Err(Error::OverLimit { limit: u64::from(*most) })
            }
            Self::Counted(permits, _) => permits.release(1),
        }
    }

    fn give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, [Part; 2])> {
        let (most, (berth, part)) = match self {
            Self::Owned(permits) => (String::new(), berths.give(py, permits)?),
            Self::Counted(permits, most) => (most.to_string(), berths.give(py, permits)?),
        };
        Ok((berth, [(most, Vec::new()), part]))
    }

    fn value(&self) -> u32 {
        match self {
            Self::Owned(permits) => permits.value(),
            Self::Counted(permits, _) => permits.value(),
        }
    }

    fn most(&self) -> u32 {
        match self {
            Self::Owned(permits) => permits.limit(),
            Self::Counted(_, most) => *most,
        }
    }
}

#[pymethods]
impl BoundedSemaphore {
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

    /// Takes a place; returns whether there was one. A negative timeout is none at all.
    #[pyo3(signature = (block=None, timeout=None))]
    #[pyo3(text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        block: Optional<'_, '_>,
        timeout: Optional<'_, '_>,
    ) -> PyResult<bool> {
        let patience = Patience::of(block, timeout)?;
        match self.permits.acquire_until(Until::NOW) {
            Ok(()) => Ok(true),
            Err(Error::WouldBlock) => patience.wait(py, |until| self.permits.acquire_until(until)),
            Err(error) => Err(raise(error)),
        }
    }

    /// Gives a place back.
    fn release(&self) -> PyResult<()> {
        self.permits.release().map_err(release_failed)
    }

    /// How many places are to be had.
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
        let (permits, class) = (&slf.get().permits, slf.get_type());
        let (value, most) = (permits.value(), permits.most());
        Ok(format!("<{}(value={value}, maxvalue={most})>", class.name()?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let most = slf.get().permits.most().into_pyobject(slf.py())?.into_any();
        reduce(slf.as_any(), vec![most])
    }

    fn _give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, [Part; 2])> {
        self.permits.give(py, berths)
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

    /// How many places there are.
    #[getter]
    fn maxvalue(&self) -> u32 {
        self.permits.most()
    }
}
