//! A queue on its way to another process.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;

use crate::attached::Attached;
use crate::channel::Channel;
use crate::ends::{Rx, Tx};
use crate::transfer::{Berths, Part, Ticket};

/// The two sides of a queue, in a pickle that a process is started with.
#[pyclass(frozen, module = "slipring._native")]
pub struct Passage {
    ends: Attached<Option<(Tx, Rx)>>,
}

#[pymethods]
impl Passage {
    /// In the other process, of what it was given.
    #[new]
    fn new(py: Python<'_>, ticket: &Bound<'_, Ticket>) -> PyResult<Self> {
        let ticket = ticket.get();
        let ends = match ticket.take_text(py)?.as_str() {
            "plain" => (Tx::Plain(ticket.take(py)?), Rx::Plain(ticket.take(py)?)),
            "tasks" => {
                (Tx::Tasks(Box::new(ticket.take(py)?)), Rx::Tasks(Box::new(ticket.take(py)?)))
            }
            _ => return Err(PyTypeError::new_err("the ticket is not that of a queue")),
        };
        Ok(Self { ends: Attached::new(Some(ends)) })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("slipring.reduction")?.getattr("reduce_native")?.call1((slf,))
    }

    fn _slipring_give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, [Part; 3])> {
        let ends = self.ends.with(py, Option::take).ok_or_else(used)?;
        let (kind, tx, rx) = match &ends {
            (Tx::Plain(tx), Rx::Plain(rx)) => ("plain", berths.give(py, tx)?, berths.give(py, rx)?),
            (Tx::Tasks(tx), Rx::Tasks(rx)) => {
                ("tasks", berths.give(py, &**tx)?, berths.give(py, &**rx)?)
            }
            _ => return Err(PyTypeError::new_err("the two sides are not of one kind")),
        };
        self.ends.with(py, |place| *place = Some(ends));
        Ok((tx.0, [(kind.to_owned(), Vec::new()), tx.1, rx.1]))
    }
}

fn used() -> PyErr {
    PyRuntimeError::new_err("this object was taken already")
}

impl Passage {
    /// Of a queue: it stays what it is.
    pub fn of(channel: &Channel) -> slipring::Result<Self> {
        let ends = (channel.tx.another()?, channel.rx.another()?);
        Ok(Self { ends: Attached::new(Some(ends)) })
    }

    /// Takes the two sides.
    pub fn take(&self, py: Python<'_>) -> PyResult<(Tx, Rx)> {
        self.ends.with(py, Option::take).ok_or_else(used)
    }
}
