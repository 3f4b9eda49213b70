//! What locks and semaphores have in common: they are acquired and released.
//!
//! [`Acquired`] is what a class does with what is inside of it, and `acquired!` writes the methods that Python calls.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use slipring::{Error, Result, Until};

use crate::blocking::{Deadline, wait};
use crate::error::raise;
use crate::synchronized::{Inner, Optional, seconds};
use crate::transfer::{Berths, Part};

/// What is inside of a lock or a semaphore: something of which one is taken, and given back.
pub trait Acquired: Inner + Sync {
    /// Takes one: at once, or without the interpreter's lock until a deadline.
    fn acquire_one(&self, until: Until) -> Result<()>;

    /// Gives one back.
    fn release_one(&self) -> Result<()>;

    /// How many are to be had.
    fn left(&self) -> u32;

    /// How it is written, between the parentheses behind the name of the class.
    fn text(&self, py: Python<'_>) -> PyResult<String>;

    /// Gives it to another process: the berth, and what to tell the process.
    fn give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)>;

    /// What its class takes to make it by name.
    fn args(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Called by the thread that has taken one.
    #[inline]
    fn taken(&self, _: Python<'_>) {}

    /// The exception for a release that failed.
    #[cold]
    fn release_failed(error: Error) -> PyErr {
        match error {
            Error::OverLimit { .. } => {
                PyValueError::new_err("semaphore or lock released too many times")
            }
            other => raise(other),
        }
    }

    /// Takes one, if nothing stands in the way.
    #[inline]
    fn take_now(&self, py: Python<'_>) -> bool {
        let taken = self.acquire_one(Until::NOW).is_ok();
        if taken {
            self.taken(py);
        }
        taken
    }

    /// Gives one back, if nothing stands in the way.
    #[inline]
    fn release_now(&self) -> bool {
        self.release_one().is_ok()
    }

    /// Takes one; returns whether it was to be had in time.
    #[inline]
    fn take_patiently(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        let taken = match self.acquire_one(Until::NOW) {
            Ok(()) => true,
            Err(Error::WouldBlock) => patience.wait(py, |until| self.acquire_one(until))?,
            Err(error) => return Err(raise(error)),
        };
        if taken {
            self.taken(py);
        }
        Ok(taken)
    }

    /// Takes one, for as long as it takes.
    #[inline]
    fn take(&self, py: Python<'_>) -> PyResult<()> {
        self.take_patiently(py, Patience::ENDLESS).map(drop)
    }

    /// Gives one back.
    #[inline]
    fn give_back(&self) -> PyResult<()> {
        self.release_one().map_err(Self::release_failed)
    }
}

/// What `acquire(block=True, timeout=None)` was asked for.
#[derive(Clone, Copy)]
pub struct Patience {
    block: bool,
    timeout: Option<f64>,
}

impl Patience {
    /// For as long as it takes.
    const ENDLESS: Self = Self { block: true, timeout: None };

    /// What the arguments say.
    pub fn of(block: Optional<'_, '_>, timeout: Optional<'_, '_>) -> PyResult<Self> {
        let block = block.map_or(Ok(true), |block| block.is_truthy())?;
        Ok(Self { block, timeout: seconds(timeout)? })
    }

    /// Acquires, where the attempt that takes no waiting has failed; returns whether it did.
    #[cold]
    fn wait(
        self,
        py: Python<'_>,
        attempt: impl FnMut(Until) -> Result<()> + Send,
    ) -> PyResult<bool> {
        match Deadline::of(self.block, self.timeout) {
            Deadline::Now => Ok(false),
            deadline => Ok(wait(py, deadline, attempt)?.is_some()),
        }
    }
}

/// The methods of a class whose field `inner` is a [`Late`](crate::synchronized::Late) of something [`Acquired`]. What is
/// said of a class: how it is made, the docstrings that are its own, and after `more` the methods that others lack.
macro_rules! acquired {
    (
        $class:ident, made of $first:ident;
        signature = $signature:tt;
        text_signature = $text_signature:tt;
        $(#[$acquire:meta])* acquire;
        $(#[$release:meta])* release;
        more { $($more:tt)* }
    ) => {
        const _: () = {
            use pyo3::prelude::*;
            use pyo3::types::{PyDict, PyTuple};

            use crate::acquired::{Acquired, Patience};
            use crate::synchronized::{Late, Optional, reduce};
            use crate::transfer::{Berths, Part};

            #[pymethods]
            impl $class {
                #[new]
                #[pyo3(signature = (*args, **options))]
                #[pyo3(text_signature = $text_signature)]
                fn new(
                    args: &Bound<'_, PyTuple>,
                    options: Option<&Bound<'_, PyDict>>,
                ) -> PyResult<Self> {
                    let _ = options;
                    Ok(Self { inner: Late::new(args)? })
                }

                #[pyo3(signature = $signature)]
                fn __init__(
                    &self,
                    py: Python<'_>,
                    $first: Optional<'_, '_>,
                    ctx: Optional<'_, '_>,
                    name: Option<String>,
                ) -> PyResult<()> {
                    let _ = ctx;
                    self.inner.init(py, $first, name)
                }

                $(#[$acquire])*
                #[pyo3(signature = (block=None, timeout=None))]
                #[pyo3(text_signature = "($self, block=True, timeout=None)")]
                fn acquire(
                    &self,
                    py: Python<'_>,
                    block: Optional<'_, '_>,
                    timeout: Optional<'_, '_>,
                ) -> PyResult<bool> {
                    self.inner.ensure(py)?;
                    self.inner.take_patiently(py, Patience::of(block, timeout)?)
                }

                $(#[$release])*
                fn release(&self, py: Python<'_>) -> PyResult<()> {
                    self.inner.ensure(py)?;
                    self.inner.give_back()
                }

                fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
                    self.inner.ensure(py)?;
                    self.inner.take(py)?;
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
                    self.inner.give_back()
                }

                fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                    let text = slf.get().inner.text(slf.py())?;
                    Ok(format!("<{}({text})>", slf.get_type().name()?))
                }

                fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                    reduce(slf.as_any(), slf.get().inner.args(), slf.get().inner.name())
                }

                fn _slipring_give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
                    self.inner.give(py, berths)
                }

                /// Its name, if it has one.
                #[getter]
                fn name(&self) -> Option<&str> {
                    self.inner.name()
                }

                /// Where the standard library looks inside: the object itself has what it looks for.
                #[getter]
                fn _semlock(slf: Py<Self>) -> Py<Self> {
                    slf
                }

                fn _get_value(&self) -> u32 {
                    self.inner.left()
                }

                fn _is_zero(&self) -> bool {
                    self.inner.left() == 0
                }

                $($more)*
            }
        };
    };
}

pub(crate) use acquired;
