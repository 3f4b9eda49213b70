//! A condition to wait for while a lock is open.

use std::time::Instant;

use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use slipring::{Condvar, Release, Result, Until, Waiting};

use crate::any_lock::AnyLock;
use crate::blocking::{Deadline, wait};
use crate::error::raise;
use crate::overridden::Method;
use crate::rlock::RLock;
use crate::synchronized::{Inner, Late, Optional, make, seconds};
use crate::transfer::{Berths, Part};

/// Those who wait for a condition: the part of it that is not its lock.
#[pyclass(frozen, module = "slipring._native")]
pub struct Waiters {
    condvar: Condvar,
}

#[pymethods]
impl Waiters {
    #[new]
    #[pyo3(signature = (ticket=None, /, *, name=None))]
    fn new(py: Python<'_>, ticket: Optional<'_, '_>, name: Option<&str>) -> PyResult<Self> {
        let new = |segment: &_, ()| Condvar::new(segment);
        Ok(Self { condvar: make(py, ticket, name, || Ok(()), new)? })
    }

    fn _slipring_give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
        berths.give_one(py, &self.condvar)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("slipring.reduction")?.getattr("reduce_native")?.call1((slf,))
    }
}

/// A number that the standard library's tests ask a semaphore for.
#[pyclass(frozen, module = "slipring._native")]
pub struct Count {
    value: u32,
}

#[pymethods]
impl Count {
    /// The number.
    fn get_value(&self) -> u32 {
        self.value
    }
}

/// A condition variable: wait until somebody says that something has changed.
///
/// The lock is an `RLock` of its own, or the one given. A waiter that is killed leaves nothing behind, and nobody who
/// notifies waits for it. With a name the lock has one, too: that of the condition and `.lock`.
///
/// >>> from slipring import Condition
/// >>> changed = Condition()
/// >>> with changed:
/// ...     changed.wait(timeout=0.01)
/// False
#[pyclass(frozen, subclass, dict, weakref, module = "slipring.synchronize")]
pub struct Condition {
    inner: Late<Parts>,
}

/// What it is made of.
pub struct Parts {
    lock: AnyLock,
    waiters: Py<Waiters>,
}

impl Inner for Parts {
    fn made(py: Python<'_>, lock: Optional<'_, '_>, name: Option<&str>) -> PyResult<Self> {
        Self::new(py, lock, name, None)
    }
}

impl Parts {
    fn new(
        py: Python<'_>,
        lock: Optional<'_, '_>,
        name: Option<&str>,
        waiters: Option<Py<Waiters>>,
    ) -> PyResult<Self> {
        let lock = match lock {
            Some(lock) if lock.is_truthy()? => AnyLock::of(lock),
            _ => {
                let name = name.map(|name| format!("{name}.lock"));
                AnyLock::RLock(Py::new(py, RLock::make(py, name)?)?)
            }
        };
        let waiters = match waiters {
            Some(waiters) => waiters,
            None => Py::new(py, Waiters::new(py, None, name)?)?,
        };
        Ok(Self { lock, waiters })
    }
}

#[pymethods]
impl Condition {
    #[new]
    #[pyo3(signature = (*args, **options))]
    #[pyo3(text_signature = "(lock=None, *, ctx=None, name=None)")]
    fn new(args: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let _ = options;
        Ok(Self { inner: Late::new(args)? })
    }

    #[pyo3(signature = (lock=None, *, ctx=None, name=None, _waiters=None))]
    fn __init__(
        &self,
        py: Python<'_>,
        lock: Optional<'_, '_>,
        ctx: Optional<'_, '_>,
        name: Option<String>,
        _waiters: Option<Py<Waiters>>,
    ) -> PyResult<()> {
        let _ = ctx;
        self.inner.init_with(name, |name| Parts::new(py, lock, name, _waiters))
    }

    /// Takes the lock, as its own `acquire` does.
    #[pyo3(signature = (block=None, timeout=None))]
    #[pyo3(text_signature = "($self, block=True, timeout=None)")]
    fn acquire<'py>(
        &self,
        py: Python<'py>,
        block: Optional<'_, 'py>,
        timeout: Optional<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let block = block.map_or(Ok(true), |block| block.is_truthy())?;
        self.inner.lock.object(py).call_method1("acquire", (block, timeout))
    }

    /// Gives the lock back.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.inner.lock.release(py)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.inner.lock.take(py)?;
        Ok(true)
    }

    #[pyo3(signature = (kind=None, value=None, traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Optional<'_, '_>,
        value: Optional<'_, '_>,
        traceback: Optional<'_, '_>,
    ) -> PyResult<()> {
        let _ = (kind, value, traceback);
        self.inner.lock.release(py)
    }

    /// Gives the lock back, waits for a notification, and takes the lock again; returns whether there was one in time.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Optional<'_, '_>) -> PyResult<bool> {
        self.assert_mine(py, "must acquire() condition before using wait()")?;
        let deadline = Deadline::after(seconds(timeout)?);
        let mut waiting = self.enter()?;
        let notified = self.sleep(py, deadline, |until| {
            // A death is no notification.
            while waiting.wait_until(until)? == Release::Disturbed {}
            Ok(())
        })?;
        Ok(notified || waiting.leave())
    }

    /// Waits until `predicate()` is true, or the time is over; returns what it returned last.
    #[pyo3(signature = (predicate, timeout=None))]
    fn wait_for<'py>(
        slf: &Bound<'py, Self>,
        predicate: Bound<'py, PyAny>,
        timeout: Optional<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static WAIT: Method = Method::new("wait");
        let (this, py) = (slf.get(), predicate.py());
        if let Some(wait) = WAIT.in_place(slf.as_any(), || py.get_type::<Self>())? {
            return wait_by(&wait, &predicate, seconds(timeout)?);
        }
        let deadline = Deadline::after(seconds(timeout)?);
        let mut result = predicate.call0()?;
        let mut is_over = deadline == Deadline::Now;
        while !is_over && !result.is_truthy()? {
            this.assert_mine(py, "must acquire() condition before using wait()")?;
            let mut waiting = this.enter()?;
            // A death is a reason to look, too: the dead may have changed what it did not live to tell of.
            is_over = !this.sleep(py, deadline, |until| waiting.wait_until(until).map(drop))?;
            drop(waiting);
            result = predicate.call0()?;
        }
        Ok(result)
    }

    /// Releases `n` of those who wait, or all if they are fewer.
    #[pyo3(signature = (n=1))]
    fn notify(&self, py: Python<'_>, n: i64) -> PyResult<()> {
        self.assert_mine(py, "lock is not owned")?;
        let count = u32::try_from(n.max(0)).unwrap_or(u32::MAX);
        self.inner.waiters.get().condvar.notify(count).map_err(raise)
    }

    /// Releases all who wait.
    fn notify_all(slf: &Bound<'_, Self>) -> PyResult<()> {
        static NOTIFY: Method = Method::new("notify");
        let (this, py) = (slf.get(), slf.py());
        if let Some(notify) = NOTIFY.in_place(slf.as_any(), || py.get_type::<Self>())? {
            // As there: more than there can be.
            return notify.call1((isize::MAX,)).map(drop);
        }
        this.assert_mine(py, "lock is not owned")?;
        this.inner.waiters.get().condvar.notify_all().map_err(raise)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (this, class) = (slf.get(), slf.get_type());
        let (lock, waiters) = (this.inner.lock.object(slf.py()).repr()?, this.count());
        Ok(format!("<{}({lock}, {waiters})>", class.name()?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let module = slf.py().import("slipring.synchronize")?;
        let this = slf.get();
        let name = this.inner.name();
        let parts = (slf, this.inner.lock.object(slf.py()), &this.inner.waiters, name);
        module.getattr("_reduce_condition")?.call1(parts)
    }

    /// Its name, if it has one.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.inner.name()
    }

    #[getter]
    fn _lock<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.inner.lock.object(py)
    }

    /// Where the standard library's tests look: how many wait.
    #[getter]
    fn _sleeping_count(&self) -> Count {
        Count { value: self.count() }
    }

    /// The same: how many of them were woken and did not run yet. There is no such handshake here.
    #[getter]
    fn _woken_count(&self) -> Count {
        Count { value: 0 }
    }

    /// The same.
    #[getter]
    fn _wait_semaphore(&self) -> Count {
        Count { value: 0 }
    }
}

impl Condition {
    #[inline]
    fn assert_mine(&self, py: Python<'_>, text: &'static str) -> PyResult<()> {
        if self.inner.lock.is_mine(py)? { Ok(()) } else { Err(PyAssertionError::new_err(text)) }
    }

    fn count(&self) -> u32 {
        self.inner.waiters.get().condvar.waiters()
    }

    fn enter(&self) -> PyResult<Waiting<'_>> {
        self.inner.waiters.get().condvar.enter().map_err(raise)
    }

    /// Waits with the lock open; whether that ended in time.
    fn sleep(
        &self,
        py: Python<'_>,
        deadline: Deadline,
        attempt: impl FnMut(Until) -> Result<()> + Send,
    ) -> PyResult<bool> {
        let depth = self.inner.lock.release_all(py)?;
        let woken = wait(py, deadline, attempt);
        self.inner.lock.take_again(py, depth)?;
        Ok(woken?.is_some())
    }
}

/// Waits until `predicate()` is true by calling `wait`, a method of the program's own, as `multiprocessing` does.
fn wait_by<'py>(
    wait: &Bound<'py, PyAny>,
    predicate: &Bound<'py, PyAny>,
    timeout: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let (start, mut result) = (Instant::now(), predicate.call0()?);
    while !result.is_truthy()? {
        let rest = timeout.map(|timeout| timeout - start.elapsed().as_secs_f64());
        if rest.is_some_and(|rest| rest <= 0.0) {
            break;
        }
        wait.call1((rest,))?;
        result = predicate.call0()?;
    }
    Ok(result)
}
