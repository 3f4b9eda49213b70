//! An end as one process has it: its halves, whether it is closed, its descriptor, its way to another process.

use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use slipring::{Error, PipeReader, PipeWriter, Result, Watch};

use crate::attached::Attached;
use crate::error::raise;
use crate::handles::Handles;
use crate::transfer::{Berths, Part, Ticket};

/// An end: a half that receives, a half that sends, or both.
pub struct Ends {
    pub(super) reader: Attached<Handles<PipeReader>>,
    pub(super) writer: Attached<Handles<PipeWriter>>,
    pub(super) state: Attached<State>,
    /// Who watches for room, where that was ever asked for.
    room: Attached<Option<Watch<PipeWriter>>>,
    /// Where short messages are copied to. It keeps its capacity.
    pub(super) buffer: Attached<Vec<u8>>,
    /// When the kernel was asked last whether the receiver lives.
    pub(super) asked: Attached<Option<Instant>>,
}

#[derive(Clone, Copy)]
pub(super) struct State {
    readable: bool,
    writable: bool,
    closed: bool,
}

impl Ends {
    /// An end of these halves.
    pub fn new(reader: Option<PipeReader>, writer: Option<PipeWriter>) -> Self {
        let (readable, writable) = (reader.is_some(), writer.is_some());
        Self {
            reader: Attached::new(reader.map_or_else(Handles::none, Handles::new)),
            writer: Attached::new(writer.map_or_else(Handles::none, Handles::new)),
            state: Attached::new(State { readable, writable, closed: false }),
            room: Attached::new(None),
            buffer: Attached::new(Vec::new()),
            asked: Attached::new(None),
        }
    }

    /// All that this one has; it is closed then.
    pub fn take(&self, py: Python<'_>) -> Self {
        let reader = self.reader.with(py, |half| std::mem::replace(half, Handles::none()));
        let writer = self.writer.with(py, |half| std::mem::replace(half, Handles::none()));
        let state = self.state(py);
        self.state.with(py, |state| state.closed = true);
        let fresh = Self::new(None, None);
        let (reader, writer) = (Attached::new(reader), Attached::new(writer));
        Self { reader, writer, state: Attached::new(state), ..fresh }
    }

    /// The end that a ticket is of.
    pub fn arrived(
        py: Python<'_>,
        ticket: &Ticket,
        readable: bool,
        writable: bool,
    ) -> PyResult<Self> {
        let (reader, writer) = match (readable, writable) {
            (true, true) => {
                let (reader, writer) = ticket.take::<slipring::Connection>(py)?.split();
                (Some(reader), Some(writer))
            }
            (true, false) => (Some(ticket.take(py)?), None),
            (false, true) => (None, Some(ticket.take(py)?)),
            (false, false) => return Err(PyValueError::new_err("an end that does nothing")),
        };
        Ok(Self::new(reader, writer))
    }

    /// Gives it to another process: the berth, and what to tell the process.
    pub fn give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Part)> {
        self.check_closed(py)?;
        // Each half stands for the whole end.
        let reader = self.reader.with(py, |half| half.at_hand().map(|half| half.try_clone()));
        if let Some(reader) = reader.transpose().map_err(raise)? {
            return berths.give(py, &reader);
        }
        let writer = self.writer.with(py, |half| half.at_hand().map(|half| half.try_clone()));
        let writer = writer.transpose().map_err(raise)?.ok_or_else(closed)?;
        berths.give(py, &writer)
    }

    /// The descriptor to wait for: readable while there is something to receive, writable while there is room to send.
    pub fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.check_closed(py)?;
        let room = self.writer.with(py, |writer| {
            let writer = writer.at_hand()?;
            Some(writer.room_fd().map(|fd| fd.as_raw_fd()))
        });
        let both = room.is_some();
        let messages = self.reader.with(py, |reader| {
            let reader = reader.at_hand()?;
            // One that only receives is never writable.
            let fd = if both { reader.watch_socket() } else { reader.as_fd() };
            Some(fd.map(|fd| fd.as_raw_fd()))
        });
        messages.or(room).ok_or_else(closed)?.map_err(raise)
    }

    /// A descriptor that is readable while there may be room for a message, until [`Ends::has_room`] says that there is none.
    pub fn room_fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.watch_room(py, |watch| Ok(watch.as_fd()?.as_raw_fd()))
    }

    /// Whether there is room for a message of any length.
    pub fn has_room(&self, py: Python<'_>) -> PyResult<bool> {
        self.watch_room(py, Watch::ready)
    }

    fn watch_room<R>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut Watch<PipeWriter>) -> Result<R>,
    ) -> PyResult<R> {
        self.check_writable(py)?;
        let found = self.room.with(py, |place| {
            if place.is_none() {
                let writer =
                    self.writer.with(py, |half| half.at_hand().map(|half| half.try_clone()));
                *place = Some(Watch::new(writer.ok_or(Error::Closed)??)?);
            }
            place.as_mut().map_or(Err(Error::Closed), f)
        });
        found.map_err(raise)
    }

    /// Closes both halves.
    pub fn close(&self, py: Python<'_>) {
        self.state.with(py, |state| state.closed = true);
        drop(self.room.with(py, Option::take));
        self.reader.with(py, Handles::close);
        self.writer.with(py, Handles::close);
    }

    /// Ends receiving after a message that was too long, and says so.
    pub fn bad_message_length(&self, py: Python<'_>) -> PyErr {
        if self.is_writable(py) {
            self.state.with(py, |state| state.readable = false);
            self.reader.with(py, Handles::close);
        } else {
            self.close(py);
        }
        PyOSError::new_err("bad message length")
    }

    /// Whether it was closed.
    pub fn is_closed(&self, py: Python<'_>) -> bool {
        self.state(py).closed
    }

    /// Whether it receives, or did before it was closed.
    pub fn is_readable(&self, py: Python<'_>) -> bool {
        self.state(py).readable
    }

    /// Whether it sends, or did before it was closed.
    pub fn is_writable(&self, py: Python<'_>) -> bool {
        self.state(py).writable
    }

    /// An error if it was closed.
    pub fn check_closed(&self, py: Python<'_>) -> PyResult<()> {
        if self.state(py).closed { Err(closed()) } else { Ok(()) }
    }

    /// An error unless it receives.
    #[inline]
    pub fn check_readable(&self, py: Python<'_>) -> PyResult<()> {
        match self.state(py) {
            State { closed: true, .. } => Err(closed()),
            State { readable: false, .. } => Err(PyOSError::new_err("connection is write-only")),
            _ => Ok(()),
        }
    }

    /// An error unless it sends.
    #[inline]
    pub fn check_writable(&self, py: Python<'_>) -> PyResult<()> {
        match self.state(py) {
            State { closed: true, .. } => Err(closed()),
            State { writable: false, .. } => Err(PyOSError::new_err("connection is read-only")),
            _ => Ok(()),
        }
    }

    #[inline]
    pub(super) fn state(&self, py: Python<'_>) -> State {
        self.state.with(py, |state| *state)
    }
}

#[cold]
pub(super) fn closed() -> PyErr {
    PyOSError::new_err("handle is closed")
}
