//! ctypes objects in shared memory with a lock around each access.

use pyo3::prelude::*;

use crate::any_lock::AnyLock;
use crate::number::Number;
use crate::rlock::RLock;
use crate::synchronized::Optional;

/// A ctypes object and its lock.
///
/// `with` it, or between `acquire` and `release`, several accesses are one.
#[pyclass(frozen, subclass, dict, weakref, module = "slipring.sharedctypes")]
pub struct SynchronizedBase {
    object: Py<PyAny>,
    lock: AnyLock,
}

#[pymethods]
impl SynchronizedBase {
    #[new]
    #[pyo3(signature = (obj, lock=None, ctx=None))]
    fn new(obj: Bound<'_, PyAny>, lock: Optional<'_, '_>, ctx: Optional<'_, '_>) -> PyResult<Self> {
        let (_, py) = (ctx, obj.py());
        let lock = match lock {
            Some(lock) if lock.is_truthy()? => AnyLock::of(lock),
            _ => AnyLock::RLock(Py::new(py, RLock::make(py, None)?)?),
        };
        Ok(Self { object: obj.unbind(), lock })
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
        self.lock.object(py).call_method1("acquire", (block, timeout))
    }

    /// Gives the lock back.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.lock.release(py)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.lock.take(py)?;
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
        self.lock.release(py)
    }

    /// The object itself, which does not take the lock.
    fn get_obj<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.object.bind(py).clone()
    }

    /// The lock.
    fn get_lock<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.lock.object(py)
    }

    #[getter]
    fn _obj<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.get_obj(py)
    }

    #[getter]
    fn _lock<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.get_lock(py)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let object = slf.get().get_obj(slf.py()).str()?;
        Ok(format!("<{} wrapper for {object}>", slf.get_type().name()?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (this, py) = (slf.get(), slf.py());
        let parts = (slf, this.get_obj(py), this.get_lock(py));
        py.import("slipring.sharedctypes")?.getattr("_reduce_synchronized")?.call1(parts)
    }
}

impl SynchronizedBase {
    #[inline]
    pub fn lock(&self) -> &AnyLock {
        &self.lock
    }

    /// Calls `f` with the lock held.
    #[inline]
    fn with<R>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<R>,
    ) -> PyResult<R> {
        self.lock.take(py)?;
        let result = f(self.object.bind(py));
        self.lock.release(py)?;
        result
    }
}

/// A number in shared memory, and its lock.
#[pyclass(frozen, subclass, extends = SynchronizedBase, module = "slipring.sharedctypes")]
pub struct Synchronized {
    /// Where the number is, if it is one that needs no ctypes to be read and written.
    number: Option<Number>,
}

#[pymethods]
impl Synchronized {
    #[new]
    #[pyo3(signature = (obj, lock=None, ctx=None))]
    fn new(
        obj: Bound<'_, PyAny>,
        lock: Optional<'_, '_>,
        ctx: Optional<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let number = Number::of(&obj)?;
        let base = SynchronizedBase::new(obj, lock, ctx)?;
        Ok(PyClassInitializer::from(base).add_subclass(Self { number }))
    }

    /// The value, read and written with the lock held.
    #[getter]
    fn value(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        slf.as_super().get().with(slf.py(), |object| Ok(object.getattr("value")?.unbind()))
    }

    #[setter]
    fn set_value(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.as_super().get().with(slf.py(), |object| object.setattr("value", value))
    }
}

impl Synchronized {
    /// Where the number is.
    #[inline]
    pub fn number(&self) -> Option<&Number> {
        self.number.as_ref()
    }
}

/// An array in shared memory, and its lock.
#[pyclass(frozen, subclass, extends = SynchronizedBase, module = "slipring.sharedctypes")]
pub struct SynchronizedArray;

#[pymethods]
impl SynchronizedArray {
    #[new]
    #[pyo3(signature = (obj, lock=None, ctx=None))]
    fn new(
        obj: Bound<'_, PyAny>,
        lock: Optional<'_, '_>,
        ctx: Optional<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let base = SynchronizedBase::new(obj, lock, ctx)?;
        Ok(PyClassInitializer::from(base).add_subclass(Self))
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        slf.as_super().get().object.bind(slf.py()).len()
    }

    fn __getitem__(slf: &Bound<'_, Self>, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let base = slf.as_super().get();
        base.with(slf.py(), |object| Ok(object.get_item(index)?.unbind()))
    }

    fn __setitem__(
        slf: &Bound<'_, Self>,
        index: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        slf.as_super().get().with(slf.py(), |object| object.set_item(index, value))
    }
}

/// An array of characters in shared memory, and its lock.
#[pyclass(frozen, subclass, extends = SynchronizedArray, module = "slipring.sharedctypes")]
pub struct SynchronizedString;

#[pymethods]
impl SynchronizedString {
    #[new]
    #[pyo3(signature = (obj, lock=None, ctx=None))]
    fn new(
        obj: Bound<'_, PyAny>,
        lock: Optional<'_, '_>,
        ctx: Optional<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        Ok(SynchronizedArray::new(obj, lock, ctx)?.add_subclass(Self))
    }

    /// The bytes up to the first zero.
    #[getter]
    fn value(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        get(slf, "value")
    }

    #[setter]
    fn set_value(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        set(slf, "value", value)
    }

    /// All bytes.
    #[getter]
    fn raw(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        get(slf, "raw")
    }

    #[setter]
    fn set_raw(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        set(slf, "raw", value)
    }
}

fn get(string: &Bound<'_, SynchronizedString>, name: &str) -> PyResult<Py<PyAny>> {
    let base = string.as_super().as_super().get();
    base.with(string.py(), |object| Ok(object.getattr(name)?.unbind()))
}

fn set(
    string: &Bound<'_, SynchronizedString>,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    string.as_super().as_super().get().with(string.py(), |object| object.setattr(name, value))
}
