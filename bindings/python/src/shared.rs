//! Shared memory for ctypes objects.

use std::alloc::Layout;
use std::ffi::c_int;

use pyo3::exceptions::{PyBufferError, PyMemoryError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use slipring::ArrayBytes;

use crate::synchronized::make;
use crate::transfer::{Berths, Part};

/// Items can be aligned to this at most.
const MAX_ALIGN: usize = 64;

/// Bytes in shared memory, zero at first, for `ctypes_type.from_buffer`, which keeps them alive.
///
/// `size` and `align` are those of one item of `count`.
#[pyclass(frozen, module = "slipring._native")]
pub struct Block {
    bytes: ArrayBytes,
    name: Option<String>,
}

#[pymethods]
impl Block {
    #[new]
    #[pyo3(signature = (size, align=1, count=1, *, name=None))]
    fn new(
        py: Python<'_>,
        size: &Bound<'_, PyAny>,
        align: usize,
        count: usize,
        name: Option<String>,
    ) -> PyResult<Self> {
        let options = || item(size.extract()?, align).map(|item| (item, count));
        let new = |segment: &_, (item, count)| py.detach(|| ArrayBytes::new(segment, item, count));
        Ok(Self { bytes: make(py, Some(size), name.as_deref(), options, new)?, name })
    }

    /// A view of the bytes.
    fn create_memoryview<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyMemoryView>> {
        PyMemoryView::from(slf.as_any())
    }

    fn __len__(&self) -> usize {
        self.bytes.byte_len()
    }

    /// Its name, if it has one.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What stands for it in a pickle: its name, or what its class takes while a process is being started.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("slipring.sharedctypes")?.getattr("_reduce_block")?.call1((slf,))
    }

    /// `(size, align, count)` of its items.
    fn _items(&self) -> (usize, usize, usize) {
        let item = self.bytes.item();
        (item.size(), item.align(), self.bytes.len())
    }

    fn _slipring_give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
        berths.give_one(py, &self.bytes)
    }

    /// # Safety
    ///
    /// The interpreter calls it with a view to be filled.
    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("there is no view to fill"));
        }
        let bytes = &slf.get().bytes;
        let len = isize::try_from(bytes.byte_len())?;
        // SAFETY: the view is the interpreter's, which holds its lock.
        // SAFETY: so many bytes are there, and may be written to, as long as the object lives, which the view keeps.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), bytes.as_ptr().cast(), len, 0, flags)
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

impl Block {
    /// Its bytes.
    pub fn bytes(&self) -> &ArrayBytes {
        &self.bytes
    }
}

fn item(size: usize, align: usize) -> PyResult<Layout> {
    if !align.is_power_of_two() || align > MAX_ALIGN {
        let text = format!("items are aligned to a power of two up to {MAX_ALIGN}, not to {align}");
        return Err(PyValueError::new_err(text));
    }
    Layout::from_size_align(size, align)
        .map_err(|_| PyMemoryError::new_err(format!("{size} bytes are more than there can be")))
}
