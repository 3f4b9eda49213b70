//! The codec by itself, for tests and tools.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::block::Memory;
use super::decode::decode_long;
use super::encode::{BytesAs, encode};

/// The message that `obj` is, with a tag.
#[pyfunction]
pub fn encode_message<'py>(
    py: Python<'py>,
    obj: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let spans = encode(obj, BytesAs::Tagged)?;
    let pieces = spans.spans();
    PyBytes::new_with(py, pieces.len(), |to| {
        // SAFETY: `to` is as long as the message, and new; `spans` lives.
        unsafe { pieces.write(to.as_mut_ptr()) };
        Ok(())
    })
}

/// The object that a message is.
#[pyfunction]
pub fn decode_message<'py>(py: Python<'py>, message: Vec<u8>) -> PyResult<Bound<'py, PyAny>> {
    decode_long(py, Memory::Private(message), true)
}
