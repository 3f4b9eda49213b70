//! A place where a fixed number of parties meet.

use std::sync::OnceLock;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use slipring::{Arrival, Barrier as Meeting, BarrierTurn};

use crate::blocking::{Deadline, wait};
use crate::error::{BrokenBarrierError, raise};
use crate::synchronized::{Optional, make, seconds};
use crate::transfer::{Berths, Part};

/// The engine's half of a barrier; the class in `slipring.synchronize` adds what a process does when it ends.
#[pyclass(frozen, subclass, module = "slipring._native")]
pub struct Barrier {
    /// From `__init__` on.
    parts: OnceLock<Parts>,
}

struct Parts {
    meeting: Meeting,
    action: Option<Py<PyAny>>,
    timeout: Option<f64>,
    name: Option<String>,
}

#[pymethods]
impl Barrier {
    #[new]
    #[pyo3(signature = (*args, **options))]
    #[pyo3(text_signature = "(parties, action=None, timeout=None, *, ctx=None, name=None)")]
    fn new(args: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> Self {
        let _ = (args, options);
        Self { parts: OnceLock::new() }
    }

    #[pyo3(signature = (parties, action=None, timeout=None, *, ctx=None, name=None))]
    fn __init__(
        &self,
        py: Python<'_>,
        parties: &Bound<'_, PyAny>,
        action: Option<Py<PyAny>>,
        timeout: Optional<'_, '_>,
        ctx: Optional<'_, '_>,
        name: Option<String>,
    ) -> PyResult<()> {
        let _ = ctx;
        if self.parts.get().is_some() {
            return Ok(());
        }
        let count = || {
            parties.extract::<u32>().map_err(|error| {
                let is_number = parties.extract::<i128>().is_ok();
                let text = "a barrier is for 1 to 65535 parties";
                if is_number { PyValueError::new_err(text) } else { error }
            })
        };
        let meeting = make(py, Some(parties), name.as_deref(), count, Meeting::new)?;
        let _ = self.parts.set(Parts { meeting, action, timeout: seconds(timeout)?, name });
        Ok(())
    }

    /// Comes, waits for the others, and returns how many had come before: 0 to `parties - 1`. The last one runs the action
    /// first. Giving up breaks the barrier.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Optional<'_, '_>) -> PyResult<u32> {
        let deadline = Deadline::after(seconds(timeout)?.or(self.parts()?.timeout));
        let meeting = &self.parts()?.meeting;
        let arrived = wait(py, deadline, |until| meeting.arrive_until(until))?;
        let Some(arrival) = arrived else {
            self.abort()?;
            return Err(gave_up());
        };
        self.meet(py, deadline, arrival)
    }

    /// Breaks the barrier: all who wait and who come get a `BrokenBarrierError`, until it is reset.
    fn abort(&self) -> PyResult<()> {
        self.parts()?.meeting.abort().map_err(raise)
    }

    /// Makes the barrier whole again. Those who wait at it get a `BrokenBarrierError`.
    fn reset(&self) -> PyResult<()> {
        self.parts()?.meeting.reset().map_err(raise)
    }

    /// Whether the barrier is broken.
    #[getter]
    fn broken(&self) -> PyResult<bool> {
        Ok(self.parts()?.meeting.is_broken())
    }

    /// How many meet.
    #[getter]
    fn parties(&self) -> PyResult<u32> {
        Ok(self.parts()?.meeting.parties())
    }

    /// How many are here and wait for the others.
    #[getter]
    fn n_waiting(&self) -> PyResult<u32> {
        Ok(self.parts()?.meeting.n_waiting())
    }

    /// Its name, if it has one.
    #[getter]
    fn name(&self) -> PyResult<Option<&str>> {
        Ok(self.parts()?.name.as_deref())
    }

    #[getter]
    fn _action<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.parts()?.action.as_ref().map(|action| action.bind(py).clone()))
    }

    #[getter]
    fn _timeout(&self) -> PyResult<Option<f64>> {
        Ok(self.parts()?.timeout)
    }

    /// This process ends in good order: that does not break the barrier, as its death would.
    fn _retire(&self) -> PyResult<()> {
        self.parts()?.meeting.retire().map_err(raise)
    }

    fn _slipring_give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
        berths.give_one(py, &self.parts()?.meeting)
    }
}

impl Barrier {
    fn parts(&self) -> PyResult<&Parts> {
        let unmade =
            || PyRuntimeError::new_err("the barrier was not made: call Barrier.__init__ first");
        self.parts.get().ok_or_else(unmade)
    }

    fn meet(&self, py: Python<'_>, deadline: Deadline, mut arrival: Arrival<'_>) -> PyResult<u32> {
        if let (true, Some(action)) = (arrival.is_last(), &self.parts()?.action) {
            // What it raises breaks the barrier: the arrival is dropped.
            action.call0(py)?;
        }
        let met = match wait(py, deadline, |until| arrival.wait_until(until))? {
            // In the very moment when the time was over all may have come.
            None => arrival.leave(),
            met => met,
        };
        met.map(BarrierTurn::index).ok_or_else(gave_up)
    }
}

#[cold]
fn gave_up() -> PyErr {
    BrokenBarrierError::new_err("the others did not come in time: the barrier is broken now")
}
