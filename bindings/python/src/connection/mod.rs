//! Ends of pipes: what `multiprocessing` calls a Connection.
//!
//! | file | what it holds |
//! |---|---|
//! | `end.rs` | the halves of an end, its descriptor, its way to another process |
//! | `sending.rs`, `receiving.rs` | messages go and come, with and without waiting |
//! | `argument.rs` | the buffers and numbers that callers pass |
//! | `object.rs` | objects as messages |

mod argument;
mod end;
mod object;
mod receiving;
mod sending;

use std::os::fd::RawFd;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use slipring::{Pipe, PipeOptions};

use self::argument::{Readable, Writable};
use self::end::Ends;
use crate::blocking::Deadline;
use crate::error::raise;
use crate::family;
use crate::transfer::{Berths, Part, ticket};

/// One end of a pipe. Users have its subclass in slipring.connection.
#[pyclass(frozen, subclass, module = "slipring._native")]
pub struct Connection {
    ends: Ends,
}

/// Two connected ends; where the pipe is not duplex, the first one receives and the second one sends. Each direction has
/// a ring of so many bytes.
#[pyfunction]
pub fn pipe(py: Python<'_>, duplex: bool, ring: usize) -> PyResult<(Connection, Connection)> {
    let (segment, options) = (family::segment(py)?, PipeOptions::new().ring(ring));
    let ends = if duplex {
        let (one, two) = Pipe::duplex_with(segment, options).map_err(raise)?;
        let ((reader, writer), (other_reader, other_writer)) = (one.split(), two.split());
        [(Some(reader), Some(writer)), (Some(other_reader), Some(other_writer))]
    } else {
        let (reader, writer) = Pipe::one_way_with(segment, options).map_err(raise)?;
        [(Some(reader), None), (None, Some(writer))]
    };
    let [one, two] = ends.map(|(reader, writer)| Connection { ends: Ends::new(reader, writer) });
    Ok((one, two))
}

#[pymethods]
impl Connection {
    /// Takes over what another one has, which is closed then; or takes what a ticket is of, an end that does what is said.
    #[new]
    #[pyo3(signature = (source, readable=true, writable=true))]
    fn take(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        readable: bool,
        writable: bool,
    ) -> PyResult<Self> {
        if let Some(ticket) = ticket(Some(source)) {
            let ends = Ends::arrived(py, ticket.get(), readable, writable)?;
            return Ok(Self { ends });
        }
        let other = source.cast::<Self>().map_err(|_| {
            PyTypeError::new_err("connections are made by Pipe(), not from descriptors")
        })?;
        Ok(Self { ends: other.get().ends.take(py) })
    }

    /// Gives it to another process: the berth, and what to tell the process.
    fn _slipring_give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
        let (berth, part) = self.ends.give(py, berths)?;
        Ok((berth, vec![part]))
    }

    /// Send an object. It is pickled unless it is an int, float, bool, str, bytes or None.
    fn send(&self, py: Python<'_>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        self.ends.check_writable(py)?;
        object::send(py, &self.ends, obj, Deadline::Never).map(drop)
    }

    /// Receive an object, waiting for one. EOFError when nothing is left and nobody has the other end any more.
    fn recv<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let message = self.ends.receive(py)?;
        object::decode_received(py, &self.ends, message)
    }

    /// Send the bytes of a bytes-like object as one message: all, or `size` of them from `offset` on.
    #[pyo3(signature = (buf, offset=0, size=None))]
    fn send_bytes(
        &self,
        py: Python<'_>,
        buf: &Bound<'_, PyAny>,
        offset: isize,
        size: Option<isize>,
    ) -> PyResult<()> {
        self.ends.check_writable(py)?;
        if let Ok(bytes) = buf.cast::<PyBytes>() {
            let bytes = bytes.as_bytes();
            let part = &bytes[argument::range(bytes.len(), offset, size)?];
            return self.ends.send(py, part, Deadline::Never).map(drop);
        }
        let buffer = Readable::new(buf)?;
        let range = argument::range(buffer.len(), offset, size)?;
        self.ends.send_shared(py, &buffer, range, Deadline::Never).map(drop)
    }

    /// Receive a message as bytes. One longer than `maxlength` is an OSError, and ends receiving.
    #[pyo3(signature = (maxlength=None))]
    fn recv_bytes<'py>(
        &self,
        py: Python<'py>,
        maxlength: Option<isize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.ends.check_readable(py)?;
        let limit = maxlength.map(usize::try_from).transpose();
        let limit = limit.map_err(|_| PyValueError::new_err("negative maxlength"))?;
        let message = self.ends.receive(py)?;
        if limit.is_some_and(|limit| message.len() > limit) {
            return Err(self.ends.bad_message_length(py));
        }
        let bytes = message.to_bytes(py);
        self.ends.give_back(py, message.buffer);
        bytes
    }

    /// Receive a message into a writable bytes-like object, at `offset` bytes, and return its length. BufferTooShort, with
    /// the message, if it does not fit.
    #[pyo3(signature = (buf, offset=0))]
    fn recv_bytes_into(
        &self,
        py: Python<'_>,
        buf: &Bound<'_, PyAny>,
        offset: isize,
    ) -> PyResult<usize> {
        self.ends.check_readable(py)?;
        let buffer = Writable::new(buf)?;
        let offset = argument::offset_into(buffer.len(), offset)?;
        let message = self.ends.receive(py)?;
        if message.len() > buffer.len() - offset {
            return Err(argument::too_short(message.to_bytes(py)?));
        }
        buffer.fill(py, offset, &message);
        let len = message.len();
        self.ends.give_back(py, message.buffer);
        Ok(len)
    }

    /// Whether a receive would not wait: a message is there, or the end. Waits for that up to `timeout` seconds, without a
    /// limit if it is None.
    #[pyo3(signature = (timeout=Some(0.0)), text_signature = "($self, timeout=0.0)")]
    fn poll(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.ends.poll(py, Deadline::after(timeout))
    }

    /// Close this process's end. Closing it twice does no harm.
    fn close(&self, py: Python<'_>) {
        self.ends.close(py);
    }

    /// A descriptor to wait for, in a selector or an event loop: readable while there is a message or the end, writable while
    /// there is room. Nothing is to be read from it, nor written to it.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.ends.fileno(py)
    }

    /// Whether this end was closed here.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        self.ends.is_closed(py)
    }

    /// Whether this end receives.
    #[getter]
    fn readable(&self, py: Python<'_>) -> bool {
        self.ends.is_readable(py)
    }

    /// Whether this end sends.
    #[getter]
    fn writable(&self, py: Python<'_>) -> bool {
        self.ends.is_writable(py)
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(this: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        this.call_method0(intern!(this.py(), "close")).map(drop)
    }

    fn _check_closed(&self, py: Python<'_>) -> PyResult<()> {
        self.ends.check_closed(py)
    }

    fn _check_readable(&self, py: Python<'_>) -> PyResult<()> {
        self.ends.check_readable(py)
    }

    fn _check_writable(&self, py: Python<'_>) -> PyResult<()> {
        self.ends.check_writable(py)
    }

    /// Receive an object while holding a lock, which is released before the object is unpickled.
    fn _recv_under<'py>(
        &self,
        py: Python<'py>,
        lock: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        lock.call_method0(intern!(py, "acquire"))?;
        let message = self.ends.receive(py);
        lock.call_method0(intern!(py, "release"))?;
        object::decode_received(py, &self.ends, message?)
    }

    /// Send an object if that takes no waiting: whether it did.
    fn _try_send(&self, py: Python<'_>, obj: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.ends.check_writable(py)?;
        object::send(py, &self.ends, obj, Deadline::Now)
    }

    /// Send bytes, as they are, if that takes no waiting: whether it did.
    fn _try_send_bytes(&self, py: Python<'_>, bytes: &Bound<'_, PyBytes>) -> PyResult<bool> {
        self.ends.send(py, bytes.as_bytes(), Deadline::Now)
    }

    /// A descriptor that is readable while there may be room to send.
    fn _room_fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.ends.room_fileno(py)
    }

    /// Whether there is room to send. If there is none, the descriptor is unreadable until that may have changed.
    fn _has_room(&self, py: Python<'_>) -> PyResult<bool> {
        self.ends.has_room(py)
    }

    /// Receive an object if there is one, in a tuple.
    fn _try_recv<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>,)>> {
        let Some(message) = self.ends.try_receive(py)? else { return Ok(None) };
        Ok(Some((object::decode_received(py, &self.ends, message)?,)))
    }
}
