//! Handles on their way to another process, in pickles.
//!
//! Objects are pickled one after the other, while the process that they are for is not started yet. So they are given to
//! a *berth* in their segment, which holds them meanwhile; the other process *boards* it and takes them. What goes into
//! the pickle are a text and descriptors, which Python sends as it sends its own.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use slipring::handoff::Transfer;
use slipring::{Berth, Boarding};

use crate::attached::Attached;
use crate::error::raise;
use crate::family;

/// One part of an object: the text that says what it is, and the numbers of its descriptors.
pub type Part = (String, Vec<RawFd>);

/// The berths of one process that is about to be started: one in each segment that it is given something of.
#[pyclass(frozen, module = "slipring._native")]
pub struct Berths {
    all: Attached<Vec<Held>>,
}

/// A berth, and what must stay open until the other process has its copies.
struct Held {
    berth: Berth,
    fds: Vec<OwnedFd>,
}

impl Berths {
    /// Gives the other process a handle: the number of the berth that has it, and what to tell the process.
    pub fn give(&self, py: Python<'_>, handle: &impl Transfer) -> PyResult<(usize, Part)> {
        self.all
            .with(py, |all| {
                let index = match find(all, handle)? {
                    Some(index) => index,
                    None => {
                        all.push(Held { berth: Berth::of(handle)?, fds: Vec::new() });
                        all.len() - 1
                    }
                };
                let held = &mut all[index];
                let given = held.berth.give(handle)?;
                let numbers = given.fds.iter().map(AsRawFd::as_raw_fd).collect();
                held.fds.extend(given.fds);
                Ok((index, (given.text, numbers)))
            })
            .map_err(raise)
    }

    /// The same for an object that consists of this handle alone: what its `_slipring_give` returns.
    pub fn give_one(&self, py: Python<'_>, handle: &impl Transfer) -> PyResult<(usize, Vec<Part>)> {
        let (berth, part) = self.give(py, handle)?;
        Ok((berth, vec![part]))
    }
}

/// The berth in the segment that `handle` is of.
fn find(all: &[Held], handle: &impl Transfer) -> slipring::Result<Option<usize>> {
    for (index, held) in all.iter().enumerate() {
        if held.berth.has(handle)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

#[pymethods]
impl Berths {
    #[new]
    fn new() -> Self {
        Self { all: Attached::new(Vec::new()) }
    }

    /// The descriptor that keeps berth `index`, and its name: what `Boarding` takes.
    fn proof(&self, py: Python<'_>, index: usize) -> PyResult<(RawFd, u32)> {
        let proof = self.all.with(py, |all| {
            all.get(index).map(|held| (held.berth.as_fd().as_raw_fd(), held.berth.id()))
        });
        proof.ok_or_else(|| PyValueError::new_err("there is no such berth"))
    }

    /// To be called when the other process has its copies of all descriptors.
    fn close(&self, py: Python<'_>) {
        let all = self.all.with(py, std::mem::take);
        py.detach(|| drop(all));
    }

    /// To be called when the other process could not be started: what it was given is given back at once.
    fn abandon(&self, py: Python<'_>) {
        let all = self.all.with(py, std::mem::take);
        py.detach(|| all.into_iter().for_each(|held| held.berth.abandon()));
    }
}

/// A berth that another process has prepared for this one. Dropping it gives back what was not taken.
#[pyclass(frozen, name = "Boarding", module = "slipring._native")]
pub struct Boarded {
    boarding: Boarding,
}

#[pymethods]
impl Boarded {
    /// Boards the berth called `id`, which the descriptor `fd` keeps; `fd` is this object's from now on.
    #[new]
    fn new(py: Python<'_>, fd: RawFd, id: u32) -> PyResult<Self> {
        let proof = own(fd)?;
        let boarding = Boarding::new(proof, id).map_err(raise)?;
        family::join(py, boarding.segment());
        Ok(Self { boarding })
    }
}

/// An object that was given to this process: the parts that it is made of, each to be taken once. What makes the object
/// finds it in place of its first argument.
#[pyclass(frozen, module = "slipring._native")]
pub struct Ticket {
    boarded: Py<Boarded>,
    /// What was not taken yet, the first part last.
    parts: Attached<Vec<(String, Vec<OwnedFd>)>>,
}

#[pymethods]
impl Ticket {
    /// The descriptors are this object's from now on.
    #[new]
    fn new(boarded: Py<Boarded>, parts: Vec<Part>) -> PyResult<Self> {
        let own_all = |fds: Vec<RawFd>| fds.into_iter().map(own).collect::<PyResult<Vec<_>>>();
        let parts = parts.into_iter().rev().map(|(text, fds)| Ok((text, own_all(fds)?)));
        Ok(Self { boarded, parts: Attached::new(parts.collect::<PyResult<_>>()?) })
    }
}

impl Ticket {
    /// Takes the next part.
    pub fn take<T: Transfer>(&self, py: Python<'_>) -> PyResult<T> {
        let (text, fds) = self.next(py)?;
        self.boarded.get().boarding.take(&text, fds).map_err(raise)
    }

    /// Takes the next part, of which the text is all.
    pub fn take_text(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.next(py)?.0)
    }

    fn next(&self, py: Python<'_>) -> PyResult<(String, Vec<OwnedFd>)> {
        let part = self.parts.with(py, Vec::pop);
        part.ok_or_else(|| PyRuntimeError::new_err("this object was taken already"))
    }
}

/// The ticket, where an object is to be made of one.
#[inline]
pub fn ticket<'a, 'py>(argument: Option<&'a Bound<'py, PyAny>>) -> Option<&'a Bound<'py, Ticket>> {
    argument.and_then(|argument| argument.cast::<Ticket>().ok())
}

/// Makes an open descriptor ours.
fn own(fd: RawFd) -> PyResult<OwnedFd> {
    if fd < 0 {
        return Err(PyValueError::new_err("a descriptor is a number from 0 on"));
    }
    // SAFETY: the caller, who unpickles what was made for this process, gives it away.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
