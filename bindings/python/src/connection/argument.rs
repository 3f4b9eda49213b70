//! The buffers and numbers that callers pass, and what `multiprocessing` says where they are wrong.

use std::ops::Range;
use std::ptr::NonNull;

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};

use super::receiving::Received;

/// The part of a buffer of `len` bytes that `offset` and `size` say.
pub fn range(len: usize, offset: isize, size: Option<isize>) -> PyResult<Range<usize>> {
    let wrong = |text| Err(PyValueError::new_err(text));
    let Ok(start) = usize::try_from(offset) else { return wrong("offset is negative") };
    if start > len {
        return wrong("buffer length < offset");
    }
    let Some(size) = size else { return Ok(start..len) };
    let Ok(size) = usize::try_from(size) else { return wrong("size is negative") };
    if size > len - start {
        return wrong("buffer length < offset + size");
    }
    Ok(start..start + size)
}

/// `offset`, into a buffer of `len` bytes.
pub fn offset_into(len: usize, offset: isize) -> PyResult<usize> {
    let offset = usize::try_from(offset).map_err(|_| PyValueError::new_err("negative offset"))?;
    if offset > len {
        return Err(PyValueError::new_err("offset too large"));
    }
    Ok(offset)
}

/// The error for a message that does not fit, which it holds.
pub fn too_short(message: Bound<'_, PyBytes>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = message.py();
    match CLASS.import(py, "multiprocessing", "BufferTooShort") {
        Ok(class) => PyErr::from_type(class.clone(), (message.unbind(),)),
        Err(error) => error,
    }
}

/// The bytes of an object, which other threads may change meanwhile.
pub struct Readable(PyUntypedBuffer);

impl Readable {
    /// The bytes of `object`: an error where it has none, or where they do not lie side by side.
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = PyUntypedBuffer::get(object)?;
        check_contiguous(&buffer)?;
        Ok(Self(buffer))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len_bytes()
    }

    /// A copy of some of them.
    pub fn copy(&self, range: Range<usize>) -> Vec<u8> {
        assert!(range.end <= self.len(), "checked by the caller");
        let mut copy = Vec::<u8>::with_capacity(range.len());
        // SAFETY: the object keeps its bytes while the buffer is held, and the copy has room for these; they do not overlap.
        // SAFETY: as many bytes are initialised when they count.
        unsafe {
            let from = self.as_ptr().add(range.start);
            copy.as_mut_ptr().copy_from_nonoverlapping(from, range.len());
            copy.set_len(range.len());
        }
        copy
    }

    /// The first of them; [`Readable::len`] may be read while this lives.
    pub fn as_ptr(&self) -> *const u8 {
        self.0.buf_ptr().cast_const().cast()
    }
}

/// Room for bytes in an object.
pub struct Writable(PyUntypedBuffer);

impl Writable {
    /// The room in `object`: an error where it has none, is read-only, or is in pieces.
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = PyUntypedBuffer::get(object)?;
        if buffer.readonly() {
            let name = object.get_type().name()?;
            let text = format!("a read-write bytes-like object is required, not '{name}'");
            return Err(PyTypeError::new_err(text));
        }
        check_contiguous(&buffer)?;
        Ok(Self(buffer))
    }

    /// How many bytes there is room for.
    pub fn len(&self) -> usize {
        self.0.len_bytes()
    }

    /// Copies a message to `offset`, where it fits.
    pub fn fill(&self, py: Python<'_>, offset: usize, message: &Received) {
        assert!(message.len() <= self.len() - offset, "checked by the caller");
        let Some(at) = NonNull::new(self.0.buf_ptr().cast::<u8>()) else { return };
        // SAFETY: room for the message from `offset` on, just checked; the object keeps it while its buffer is held.
        // SAFETY: other threads that use the buffer meanwhile find old or new bytes, as with every buffer that is
        // shared by threads in Python.
        let room =
            unsafe { std::slice::from_raw_parts_mut(at.as_ptr().add(offset), message.len()) };
        message.copy_to(py, room);
    }
}

fn check_contiguous(buffer: &PyUntypedBuffer) -> PyResult<()> {
    if buffer.is_c_contiguous() {
        return Ok(());
    }
    Err(PyBufferError::new_err("memoryview: underlying buffer is not C-contiguous"))
}
