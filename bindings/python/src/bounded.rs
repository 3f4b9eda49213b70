//! Permits that are places: never more than there were, and those of a killed process come back.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use slipring::{BoundedSemaphore as Owned, Error, Result, Semaphore as Counted, Until};

use crate::acquired::{Acquired, acquired};
use crate::synchronized::{Inner, Late, Optional, make, permits};
use crate::transfer::{Berths, Part, ticket};

/// A number of places: whoever takes one gives it back, and there are never more than there were.
///
/// Places of a process that is killed come back. Those of one that ends in good order stay taken, as in `multiprocessing`,
/// until another process releases them; with a name they come back then, too. Of more than 65 536 nobody knows whose they
/// are: those never come back.
///
/// >>> from slipring import BoundedSemaphore
/// >>> seats = BoundedSemaphore(2)
/// >>> with seats:
/// ...     seats
/// <BoundedSemaphore(value=1, maxvalue=2)>
#[pyclass(frozen, subclass, dict, weakref, module = "slipring.synchronize")]
pub struct BoundedSemaphore {
    inner: Late<Permits>,
}

acquired! {
    BoundedSemaphore, made of value;
    signature = (value=None, *, ctx=None, name=None);
    text_signature = "(value=1, *, ctx=None, name=None)";
    /// Takes a place; returns whether there was one. A negative timeout is none at all.
    acquire;
    /// Gives a place back.
    release;
    more {
        /// How many places are to be had.
        fn get_value(&self) -> u32 {
            self.inner.left()
        }

        /// How many places there are.
        #[getter]
        fn maxvalue(&self) -> u32 {
            self.inner.most()
        }
    }
}

/// So many permits at most can have owners.
const MOST_OWNED: u32 = 1 << 16;

/// What a bounded semaphore is.
enum Permits {
    /// Each knows whose it is.
    Owned(Owned),
    /// So many that only their number is known, and the bound.
    Counted(Counted, u32),
}

impl Permits {
    fn most(&self) -> u32 {
        match self {
            Self::Owned(permits) => permits.limit(),
            Self::Counted(_, most) => *most,
        }
    }
}

impl Inner for Permits {
    fn made(py: Python<'_>, value: Optional<'_, '_>, name: Option<&str>) -> PyResult<Self> {
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
}

impl Acquired for Permits {
    #[inline]
    fn acquire_one(&self, until: Until) -> Result<()> {
        match self {
            Self::Owned(permits) => permits.acquire_until(until),
            Self::Counted(permits, _) => permits.acquire_until(until),
        }
    }

    #[inline]
    fn release_one(&self) -> Result<()> {
        match self {
            Self::Owned(permits) => permits.release(1),
            // As exact as `multiprocessing`'s: two who release at once may both find room for one.
            Self::Counted(permits, most) if permits.value() >= *most => {
                Err(Error::OverLimit { limit: u64::from(*most) })
            }
            Self::Counted(permits, _) => permits.release(1),
        }
    }

    fn left(&self) -> u32 {
        match self {
            Self::Owned(permits) => permits.value(),
            Self::Counted(permits, _) => permits.value(),
        }
    }

    fn text(&self, _: Python<'_>) -> PyResult<String> {
        Ok(format!("value={}, maxvalue={}", self.left(), self.most()))
    }

    fn give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
        let (most, (berth, part)) = match self {
            Self::Owned(permits) => (String::new(), berths.give(py, permits)?),
            Self::Counted(permits, most) => (most.to_string(), berths.give(py, permits)?),
        };
        Ok((berth, vec![(most, Vec::new()), part]))
    }

    fn args(&self) -> Vec<u32> {
        vec![self.most()]
    }
}
