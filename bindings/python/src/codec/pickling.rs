//! The pickler and the unpickler.
//!
//! `multiprocessing` makes a pickler for each message, with a chain of tables of reducers that is looked through in Python.
//! Here a pickler is made once and used again: the interpreter's C pickler, which writes to a list.

use pyo3::exceptions::PyKeyError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyType};

use super::beside::{self, Taker};
use crate::attached::Attached;

/// A pickler is not used again after a longer pickle: its table has grown, and is cleared for each.
const REUSE_MAX: usize = 16 << 10;
/// So many picklers are kept: one for each thread that pickles, and for pickling while pickling.
const KITS: usize = 8;

/// What a pickle is made of.
pub(super) enum Pickle<'py> {
    /// One `bytes` object.
    Whole(Bound<'py, PyAny>),
    /// Several objects, one after the other: `bytes` or what else has the buffer protocol; and buffers that belong to it.
    Parts(Vec<Bound<'py, PyAny>>, Vec<Bound<'py, PyAny>>),
}

impl Pickle<'_> {
    fn is_short(&self) -> bool {
        let is_short = |part| is_bytes(part) && bytes_len(part) <= REUSE_MAX;
        match self {
            Self::Whole(bytes) => is_short(bytes),
            Self::Parts(parts, _) => matches!(&parts[..], [part] if is_short(part)),
        }
    }
}

/// Items that the list of parts always has: it keeps its memory then when the others are taken out.
const STUFFING: usize = 4;

/// A pickler with what it writes to.
struct Kit {
    dump: Py<PyAny>,
    clear_memo: Py<PyAny>,
    parts: Py<PyList>,
    buffers: Py<PyList>,
}

static SPARE: PyOnceLock<Attached<Vec<Kit>>> = PyOnceLock::new();
static MODULE: PyOnceLock<Loader> = PyOnceLock::new();

/// What of `_pickle` is used for reading.
struct Loader {
    loads: Py<PyAny>,
    error: Py<PyType>,
}

/// Pickles `object`.
pub(super) fn dump<'py>(object: &Bound<'py, PyAny>) -> PyResult<Pickle<'py>> {
    let py = object.py();
    let spare = SPARE.get_or_init(py, || Attached::new(Vec::with_capacity(KITS)));
    let kit = match spare.with(py, Vec::pop) {
        Some(kit) => kit,
        None => Kit::new(py)?,
    };
    // A pickler that has failed, or has written much, is not used again: what it saw is still in its table.
    let pickle = kit.dump(object)?;
    if pickle.is_short() {
        kit.clear(py)?;
        let rest = spare.with(py, |kits| {
            if kits.len() < KITS {
                kits.push(kit);
                return None;
            }
            Some(kit)
        });
        drop(rest);
    }
    Ok(pickle)
}

fn bytes_len(bytes: &Bound<'_, PyAny>) -> usize {
    // SAFETY: the interpreter's lock is held, and the object is `bytes`: this cannot fail.
    unsafe { ffi::PyBytes_Size(bytes.as_ptr()) as usize }
}

fn is_bytes(object: &Bound<'_, PyAny>) -> bool {
    object.get_type_ptr() == &raw mut ffi::PyBytes_Type
}

impl Kit {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let parts = PyList::new(py, [(); STUFFING].map(|()| py.None()))?;
        let buffers = PyList::empty(py);
        // Something with a `write`: what is written to it goes to the list, long strings uncopied.
        let file = PyDict::new(py);
        file.set_item("write", parts.getattr("append")?)?;
        let file = py.import("types")?.getattr("SimpleNamespace")?.call((), Some(&file))?;
        let options = PyDict::new(py);
        options.set_item("protocol", 5)?;
        let taker = Taker { taken: buffers.clone().unbind() };
        options.set_item("buffer_callback", Bound::new(py, taker)?)?;
        let pickler = py.import("_pickle")?.getattr("Pickler")?.call((file,), Some(&options))?;
        pickler.setattr("dispatch_table", Reducers::new(py)?)?;
        Ok(Self {
            dump: pickler.getattr("dump")?.unbind(),
            clear_memo: pickler.getattr("clear_memo")?.unbind(),
            parts: parts.unbind(),
            buffers: buffers.unbind(),
        })
    }

    fn dump<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Pickle<'py>> {
        let py = object.py();
        let null = std::ptr::null_mut::<ffi::PyObject>();
        // SAFETY: the interpreter's lock is held; callable and argument are borrowed, and the list of arguments ends.
        let done = unsafe {
            let dump = self.dump.as_ptr();
            let done = ffi::PyObject_CallFunctionObjArgs(dump, object.as_ptr(), null);
            Bound::from_owned_ptr_or_err(py, done)
        };
        drop(done?);
        let (parts, buffers) = (self.parts.bind(py), self.buffers.bind(py));
        if buffers.is_empty() && parts.len() == STUFFING + 1 {
            let whole = parts.get_item(STUFFING)?;
            if is_bytes(&whole) {
                parts.del_slice(STUFFING, STUFFING + 1)?;
                return Ok(Pickle::Whole(whole));
            }
        }
        let pickle = Pickle::Parts(parts.iter().skip(STUFFING).collect(), buffers.iter().collect());
        parts.del_slice(STUFFING, parts.len())?;
        buffers.del_slice(0, buffers.len())?;
        Ok(pickle)
    }

    /// Has the pickler forget the object.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        // SAFETY: the interpreter's lock is held, and the callable borrowed.
        let done = unsafe {
            let done = ffi::PyObject_CallNoArgs(self.clear_memo.as_ptr());
            Bound::from_owned_ptr_or_err(py, done)
        };
        done.map(drop)
    }
}

/// The reducers of classes that have one registered: with `multiprocessing`, or with `copyreg`. They are looked up when
/// they are asked for, so those that are registered later count, too.
#[pyclass(frozen, module = "slipring._native")]
struct Reducers {
    multiprocessing: Py<PyDict>,
    copyreg: Py<PyDict>,
    /// Of classes that only this package sends.
    ours: Py<PyDict>,
    /// All that were imported.
    modules: Py<PyDict>,
}

impl Reducers {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let pickler = py.import("multiprocessing.reduction")?.getattr("ForkingPickler")?;
        let multiprocessing = pickler.getattr("_extra_reducers")?.cast_into::<PyDict>()?.unbind();
        let copyreg = py.import("copyreg")?.getattr("dispatch_table")?;
        let copyreg = copyreg.cast_into::<PyDict>()?.unbind();
        let ours = py.import("slipring.reduction")?.getattr("_REDUCERS")?;
        let ours = ours.cast_into::<PyDict>()?.unbind();
        let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind();
        Ok(Self { multiprocessing, copyreg, ours, modules })
    }
}

#[pymethods]
impl Reducers {
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        class: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        for table in [&self.multiprocessing, &self.copyreg, &self.ours] {
            if let Some(reducer) = table.bind(py).get_item(class)? {
                return Ok(reducer);
            }
        }
        let beside = beside::reducer(class, self.modules.bind(py))?;
        beside.ok_or_else(|| PyKeyError::new_err(()))
    }
}

fn loader(py: Python<'_>) -> PyResult<&Loader> {
    MODULE.get_or_try_init(py, || {
        let module = py.import("_pickle")?;
        let error = module.getattr("UnpicklingError")?.cast_into::<PyType>()?.unbind();
        Ok(Loader { loads: module.getattr("loads")?.unbind(), error })
    })
}

/// The object that a pickle is.
pub(super) fn load<'py>(pickle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let (py, null) = (pickle.py(), std::ptr::null_mut::<ffi::PyObject>());
    let loads = loader(py)?.loads.as_ptr();
    // SAFETY: the interpreter's lock is held; callable and argument are borrowed, and the list of arguments ends.
    unsafe {
        let object = ffi::PyObject_CallFunctionObjArgs(loads, pickle.as_ptr(), null);
        Bound::from_owned_ptr_or_err(py, object)
    }
}

/// The object that a pickle with buffers is.
pub(super) fn load_with<'py>(
    pickle: &Bound<'py, PyAny>,
    buffers: &Bound<'py, PyList>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = pickle.py();
    let options = PyDict::new(py);
    options.set_item("buffers", buffers)?;
    loader(py)?.loads.bind(py).call((pickle,), Some(&options))
}

/// What is raised for a message that is none of ours.
#[cold]
pub(super) fn refuse(py: Python<'_>, text: String) -> PyErr {
    match loader(py) {
        Ok(loader) => PyErr::from_type(loader.error.bind(py).clone(), text),
        Err(error) => error,
    }
}
