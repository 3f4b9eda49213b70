//! Permits that are counts and signals: anybody releases, and nobody's death changes them.

use pyo3::prelude::*;
use slipring::{Result, Semaphore as Permits, Until};

use crate::acquired::{Acquired, acquired};
use crate::synchronized::{Inner, Late, Optional, SEM_VALUE_MAX, make, permits};
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
    inner: Late<Permits>,
}

acquired! {
    Semaphore, made of value;
    signature = (value=None, *, ctx=None, name=None);
    text_signature = "(value=1, *, ctx=None, name=None)";
    /// Takes a permit; returns whether there was one. A negative timeout is none at all.
    acquire;
    /// Gives a permit back, or makes one.
    release;
    more {
        /// How many permits are to be had.
        fn get_value(&self) -> u32 {
            self.inner.left()
        }

        #[classattr]
        fn maxvalue() -> u32 {
            SEM_VALUE_MAX
        }
    }
}

impl Inner for Permits {
    fn made(py: Python<'_>, value: Optional<'_, '_>, name: Option<&str>) -> PyResult<Self> {
        make(py, value, name, || permits(value), Self::new)
    }
}

impl Acquired for Permits {
    #[inline]
    fn acquire_one(&self, until: Until) -> Result<()> {
        self.acquire_until(until)
    }

    #[inline]
    fn release_one(&self) -> Result<()> {
        self.release(1)
    }

    fn left(&self) -> u32 {
        self.value()
    }

    fn text(&self, _: Python<'_>) -> PyResult<String> {
        Ok(format!("value={}", self.value()))
    }

    fn give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
        berths.give_one(py, self)
    }
}
