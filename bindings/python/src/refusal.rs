//! Why a call on a queue did nothing, and the exception for it.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use slipring::Error;

use crate::error::raise;

static EMPTY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static FULL: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Which side of a queue a call was of.
#[derive(Clone, Copy)]
pub enum Side {
    Put,
    Get,
}

/// Why a call did nothing.
pub enum Refusal {
    /// The queue is full, or empty, and the time is up.
    NotNow,
    /// This object was closed.
    Closed,
    /// It was never initialised.
    Unmade,
    /// Something else.
    Failed(PyErr),
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::Failed(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::WouldBlock | Error::TimedOut => Self::NotNow,
            error => Self::Failed(raise(error)),
        }
    }
}

impl Refusal {
    /// The exception for it. `queue` is the object that the call was of.
    #[cold]
    pub fn raise(self, queue: &Bound<'_, PyAny>, side: Side) -> PyErr {
        let py = queue.py();
        let raise = |name, class: &PyOnceLock<Py<PyType>>| match class.import(py, "queue", name) {
            Ok(class) => PyErr::from_type(class.clone(), ()),
            Err(error) => error,
        };
        match (self, side) {
            (Self::NotNow, Side::Get) => raise("Empty", &EMPTY),
            (Self::NotNow, Side::Put) => raise("Full", &FULL),
            (Self::Closed, _) => match queue.repr() {
                Ok(me) => PyValueError::new_err(format!("Queue {me} is closed")),
                Err(error) => error,
            },
            (Self::Unmade, _) => unmade(),
            (Self::Failed(error), _) => error,
        }
    }
}

/// The exception for a queue that was never initialised.
#[cold]
pub fn unmade() -> PyErr {
    PyRuntimeError::new_err("the queue was not made: call Queue.__init__ first")
}
