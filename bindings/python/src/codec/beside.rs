//! Objects whose memory travels beside their pickle.
//!
//! A `PickleBuffer` of a class that we do not know stays in its pickle, and so comes out as it always does: as `bytes`, or as
//! a `bytearray` if it can be written to. Memory goes beside the pickle only for classes that take any object with the
//! buffer protocol when they are made again. Their reducers are here: they put the memory into a [`Beside`].

use std::ffi::c_int;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyList, PyTuple, PyType};
use pyo3::wrap_pyfunction;

use super::block::fill_view;
use super::export::Exported;

/// The memory of an object, to travel beside the pickle. In a `PickleBuffer` it says so.
#[pyclass(frozen, module = "slipring._native")]
pub struct Beside {
    memory: Exported,
    readonly: bool,
}

// SAFETY: what is in it is only touched, and dropped, with the interpreter's lock held.
unsafe impl Send for Beside {}
// SAFETY: as above.
unsafe impl Sync for Beside {}

#[pymethods]
impl Beside {
    /// The memory of `object`. The receiver may write to its copy if `writable`, or if `object` can be written to.
    #[new]
    #[pyo3(signature = (object, writable=false))]
    fn new(object: &Bound<'_, PyAny>, writable: bool) -> PyResult<Self> {
        let memory = Exported::new(object)?;
        let readonly = !writable && memory.is_readonly();
        Ok(Self { memory, readonly })
    }

    /// # Safety
    ///
    /// As the buffer protocol has it: `view` is there to be filled.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let this = slf.get();
        let memory = (this.memory.as_ptr().cast_mut(), this.memory.len());
        // SAFETY: the memory stays as long as this object, of which the view takes a reference. Nobody writes to it: the
        // view is read by `encode`, which no program sees.
        unsafe { fill_view(slf.py(), view, slf.as_any(), memory, this.readonly, flags) }
    }
}

/// The callback of a pickler: takes the buffers that go beside the pickle.
#[pyclass(frozen, module = "slipring._native")]
pub(super) struct Taker {
    pub(super) taken: Py<PyList>,
}

#[pymethods]
impl Taker {
    /// Whether `buffer` stays in the pickle.
    fn __call__(&self, buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
        // One that has no memory in one piece is refused by the pickler.
        let Ok(memory) = Exported::new(buffer) else { return Ok(true) };
        if memory.owner(buffer.py()).is_none_or(|owner| !owner.is_instance_of::<Beside>()) {
            return Ok(true);
        }
        self.taken.bind(buffer.py()).append(buffer)?;
        Ok(false)
    }
}

/// A class of another package whose memory goes beside the pickle.
struct Known {
    module: &'static str,
    name: &'static str,
    /// From when the package was imported on.
    class: PyOnceLock<Py<PyType>>,
    reducer: PyOnceLock<Py<PyCFunction>>,
}

impl Known {
    const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, class: PyOnceLock::new(), reducer: PyOnceLock::new() }
    }

    fn class<'py>(&self, py: Python<'py>, modules: &Bound<'py, PyDict>) -> Option<&Py<PyType>> {
        if let Some(class) = self.class.get(py) {
            return Some(class);
        }
        let module = modules.get_item(self.module).ok()??;
        // While it is being imported it may have no such class yet.
        let class = module.getattr(self.name).ok()?.cast_into::<PyType>().ok()?;
        Some(self.class.get_or_init(py, || class.unbind()))
    }
}

static ARRAY: Known = Known::new("numpy", "ndarray");
static BUFFER: Known = Known::new("pyarrow", "Buffer");

/// The reducer of `class`, if its memory goes beside the pickle.
pub(super) fn reducer<'py>(
    class: &Bound<'py, PyAny>,
    modules: &Bound<'py, PyDict>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = class.py();
    let is = |known: &Known| known.class(py, modules).is_some_and(|known| known.is(class));
    let found = if is(&ARRAY) {
        ARRAY.reducer.get_or_try_init(py, || Ok(wrap_pyfunction!(reduce_array, py)?.unbind()))
    } else if is(&BUFFER) {
        BUFFER.reducer.get_or_try_init(py, || Ok(wrap_pyfunction!(reduce_buffer, py)?.unbind()))
    } else {
        return Ok(None);
    };
    found.map(|reducer| Some(reducer.bind(py).clone().into_any()))
}

/// The receiver may write to its array, whether or not the sender may: it is a copy, as `multiprocessing` makes one.
#[pyfunction]
fn reduce_array<'py>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    reduce(array, true)
}

#[pyfunction]
fn reduce_buffer<'py>(buffer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    reduce(buffer, false)
}

/// What `object` is reduced to, with the first argument of its constructor beside the pickle if that is a `PickleBuffer`.
fn reduce<'py>(object: &Bound<'py, PyAny>, writable: bool) -> PyResult<Bound<'py, PyAny>> {
    static PICKLE_BUFFER: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = object.py();
    let reduced = object.call_method1("__reduce_ex__", (5,))?;
    let class = PICKLE_BUFFER.import(py, "pickle", "PickleBuffer")?;
    let Ok(parts) = reduced.cast::<PyTuple>() else { return Ok(reduced) };
    let Ok(args) = parts.get_item(1)?.cast_into::<PyTuple>() else { return Ok(reduced) };
    let Ok(first) = args.get_item(0) else { return Ok(reduced) };
    if !first.is_exact_instance(class) {
        return Ok(reduced);
    }
    let beside = class.call1((Beside::new(&first, writable)?,))?;
    let args = std::iter::once(beside).chain(args.iter().skip(1));
    let args = PyTuple::new(py, args.collect::<Vec<_>>())?.into_any();
    let parts = parts.iter().enumerate();
    let parts = parts.map(|(i, part)| if i == 1 { args.clone() } else { part });
    Ok(PyTuple::new(py, parts.collect::<Vec<_>>())?.into_any())
}
