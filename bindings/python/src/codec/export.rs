//! Memory of Python objects, held in place.

use std::ffi::c_int;

use pyo3::ffi;
use pyo3::prelude::*;

/// The memory of an object with the buffer protocol: it stays where it is, and as long as it is, until this is dropped.
pub struct Exported {
    // In a box, since some exporters point from the view into itself.
    view: Box<ffi::Py_buffer>,
}

impl Exported {
    /// The memory of `object`, in one piece, in the order of C or Fortran.
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::with_flags(object, ffi::PyBUF_ANY_CONTIGUOUS)
    }

    fn with_flags(object: &Bound<'_, PyAny>, flags: c_int) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: the interpreter's lock is held; the view is released in `drop`, from where it is now.
        let status = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *view, flags) };
        if status == 0 { Ok(Self { view }) } else { Err(PyErr::fetch(object.py())) }
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *const u8 {
        self.view.buf.cast_const().cast()
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.view.len.try_into().unwrap_or(0)
    }

    /// The object whose memory it is, if that says so.
    pub fn owner<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        // SAFETY: the interpreter's lock is held, and the view keeps the object.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, self.view.obj) }
    }

    /// Whether the object's memory must not be written to.
    pub fn is_readonly(&self) -> bool {
        self.view.readonly != 0
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        // SAFETY: values of this type are made and dropped with the interpreter's lock held: they are not `Send`.
        // SAFETY: the view was filled by `PyObject_GetBuffer` and is released once.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.view) };
    }
}
