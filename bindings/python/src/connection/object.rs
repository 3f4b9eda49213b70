//! Objects as messages.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use slipring::View;

use super::argument::Readable;
use super::end::{Ends, bytes_of};

fn pickled<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = obj.py();
    let dumps = DUMPS.get_or_try_init(py, || -> PyResult<_> {
        let pickler = py.import("multiprocessing.reduction")?.getattr("ForkingPickler")?;
        Ok(pickler.getattr("dumps")?.unbind())
    })?;
    dumps.bind(py).call1((obj,))
}

/// Sends an object, waiting for room.
pub fn send(py: Python<'_>, ends: &Ends, obj: &Bound<'_, PyAny>) -> PyResult<()> {
    let buffer = Readable::new(&pickled(obj)?)?;
    ends.send_shared(py, &buffer, 0..buffer.len())
}

/// Sends an object if that takes no waiting: whether it did.
pub fn try_send(py: Python<'_>, ends: &Ends, obj: &Bound<'_, PyAny>) -> PyResult<bool> {
    let buffer = Readable::new(&pickled(obj)?)?;
    ends.try_send(py, &buffer.to_vec())
}

/// The object that a message is.
pub fn decode(py: Python<'_>, message: View) -> PyResult<Py<PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let bytes: Bound<'_, PyBytes> = bytes_of(py, &message)?;
    let loads = LOADS.import(py, "pickle", "loads")?;
    Ok(loads.call1((bytes,))?.unbind())
}
