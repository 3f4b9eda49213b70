//! Messages that Python objects lie on: arrays on the very memory that the sender wrote.

use std::ffi::c_int;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use slipring::View;

/// A received message, in the segment or in private memory.
pub enum Memory {
    /// Where it was sent: given back when this is dropped, in the process that received it.
    View(View),
    /// A copy.
    Private(Vec<u8>),
}

impl Memory {
    /// Bytes of the message.
    pub fn len(&self) -> usize {
        match self {
            Self::View(view) => view.len(),
            Self::Private(bytes) => bytes.len(),
        }
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *const u8 {
        match self {
            Self::View(view) => view.as_ptr(),
            Self::Private(bytes) => bytes.as_ptr(),
        }
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        match self {
            Self::View(view) => view.as_mut_ptr(),
            Self::Private(bytes) => bytes.as_mut_ptr(),
        }
    }
}

/// The memory of a received message, for as long as anything lies on it. It can be written to: it is nobody else's.
#[pyclass(frozen, module = "slipring._native")]
pub struct Block {
    at: *mut u8,
    len: usize,
    _memory: Memory,
}

// SAFETY: the memory may be dropped by any thread, and its address be read.
unsafe impl Send for Block {}
// SAFETY: what is behind the address is only touched by those who were given it through the buffer protocol, as any
// memory that Python objects share.
unsafe impl Sync for Block {}

impl Block {
    /// Keeps a message.
    pub(super) fn new(mut memory: Memory) -> Self {
        Self { at: memory.as_mut_ptr(), len: memory.len(), _memory: memory }
    }
}

#[pymethods]
impl Block {
    fn __len__(&self) -> usize {
        self.len
    }

    fn __repr__(&self) -> String {
        format!("<slipring block of {} bytes>", self.len)
    }

    /// # Safety
    ///
    /// As the buffer protocol has it: `view` is there to be filled.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let block = slf.get();
        // SAFETY: the memory stays as long as the block, of which the view takes a reference.
        unsafe { fill_view(slf.py(), view, slf.as_any(), (block.at, block.len), flags) }
    }
}

/// Fills `view` with memory of `owner`'s that can be written to.
///
/// # Safety
///
/// `view` is there to be filled; so many bytes are there, and stay as long as `owner` does.
pub unsafe fn fill_view(
    py: Python<'_>,
    view: *mut ffi::Py_buffer,
    owner: &Bound<'_, PyAny>,
    (at, len): (*mut u8, usize),
    flags: c_int,
) -> PyResult<()> {
    if view.is_null() {
        return Err(PyBufferError::new_err("there is no view to fill"));
    }
    let len = isize::try_from(len).map_err(|_| PyBufferError::new_err("it is too long"))?;
    // SAFETY: by the caller's word.
    let status = unsafe { ffi::PyBuffer_FillInfo(view, owner.as_ptr(), at.cast(), len, 0, flags) };
    if status == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
}
