//! What the classes of locks have in common.

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use slipring::{Error, Name, Named, Result, Segment};

use crate::blocking::{Deadline, wait};
use crate::error::raise;
use crate::family;

/// The most that a semaphore can have, as in `multiprocessing`.
pub const SEM_VALUE_MAX: u32 = i32::MAX as u32;
/// "Invalid argument" on Linux: what `multiprocessing` says of a semaphore's value that cannot be.
const EINVAL: i32 = 22;

/// An argument that may be left out, and is looked at only where it has to be.
pub type Optional<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Makes an object in the family's segment, or finds or makes the one that has a name.
pub fn make<T: Named>(
    py: Python<'_>,
    name: Option<&str>,
    options: T::Options,
    in_family: impl FnOnce(&Segment, T::Options) -> Result<T>,
) -> PyResult<T>
where
    T: Send,
    T::Options: Send,
{
    let Some(name) = name else {
        return in_family(family::segment(py)?, options).map_err(raise);
    };
    let object = py.detach(|| T::open_or_create(Name::new(name), options)).map_err(raise)?;
    object.segment().set_interruptible(true);
    Ok(object)
}

/// `acquire(block=True, timeout=None)` where the attempt that takes no waiting has failed.
#[cold]
pub fn acquire_slowly(
    py: Python<'_>,
    block: Optional<'_, '_>,
    timeout: Optional<'_, '_>,
    attempt: impl FnMut(slipring::Until) -> Result<()> + Send,
) -> PyResult<bool> {
    match deadline(block, timeout)? {
        Deadline::Now => Ok(false),
        deadline => Ok(wait(py, deadline, attempt)?.is_some()),
    }
}

/// When `acquire(block, timeout)` gives up.
fn deadline(block: Optional<'_, '_>, timeout: Optional<'_, '_>) -> PyResult<Deadline> {
    let block = block.map_or(Ok(true), |block| block.is_truthy())?;
    Ok(Deadline::of(block, seconds(timeout)?))
}

/// A timeout: `None` is none.
pub fn seconds(timeout: Optional<'_, '_>) -> PyResult<Option<f64>> {
    match timeout {
        Some(timeout) if !timeout.is_none() => timeout.extract().map(Some),
        _ => Ok(None),
    }
}

/// A release that gives back more than there is, or another failure of a release.
#[cold]
pub fn release_failed(error: Error) -> PyErr {
    match error {
        Error::OverLimit { .. } => {
            PyValueError::new_err("semaphore or lock released too many times")
        }
        other => raise(other),
    }
}

/// How many permits a semaphore begins with.
pub fn permits(value: i64) -> PyResult<u32> {
    u32::try_from(value).ok().filter(|value| *value <= SEM_VALUE_MAX).ok_or_else(|| {
        let text = format!("a semaphore begins with 0 to {SEM_VALUE_MAX} permits, not {value}");
        PyOSError::new_err((EINVAL, text))
    })
}

/// What no other living thread of this process has.
#[inline]
pub fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}
