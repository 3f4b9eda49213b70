//! Receiving: first without waiting and with the interpreter's lock held, then without it.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use slipring::{Error, Until, View};

use super::end::{Ends, closed};
use crate::blocking::Deadline;
use crate::codec::LONG;
use crate::error::{raise, raise_received};
use crate::handles;

/// A message that was received.
pub struct Received {
    /// Where it lies, if it is not in the buffer.
    pub view: Option<View>,
    /// The message if it is short. To be given back to the end that it comes from, for the sake of its capacity.
    pub buffer: Vec<u8>,
}

impl Received {
    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.view.as_ref().map_or(self.buffer.len(), View::len)
    }

    /// A copy of the message.
    pub fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let Some(view) = &self.view else { return Ok(PyBytes::new(py, &self.buffer)) };
        PyBytes::new_with(py, view.len(), |room| {
            read_whole(py, view, room);
            Ok(())
        })
    }

    /// Copies the message to where there is room for exactly that.
    pub fn copy_to(&self, py: Python<'_>, room: &mut [u8]) {
        match &self.view {
            Some(view) => read_whole(py, view, room),
            None => room.copy_from_slice(&self.buffer),
        }
    }
}

/// Copies a message, without the interpreter's lock if that takes long.
fn read_whole(py: Python<'_>, view: &View, room: &mut [u8]) {
    if room.len() > LONG {
        py.detach(|| view.read_at(0, room));
    } else {
        view.read_at(0, room);
    }
}

impl Ends {
    /// The next message, waiting for one.
    #[inline]
    pub fn receive(&self, py: Python<'_>) -> PyResult<Received> {
        let mut buffer = self.buffer.with(py, std::mem::take);
        if let Some(view) = self.look(py, &mut buffer, false)? {
            return Ok(Received { view, buffer });
        }
        let waited = handles::wait(py, &self.reader, Deadline::Never, closed, |reader, until| {
            reader.recv_message(&mut buffer, 0, until)
        })?;
        match waited.unwrap_or(Err(Error::TimedOut)) {
            Ok(message) => Ok(Received { view: message.view, buffer }),
            Err(error) => Err(raise_received(error)),
        }
    }

    /// The next message, if there is one.
    pub fn try_receive(&self, py: Python<'_>) -> PyResult<Option<Received>> {
        let mut buffer = self.buffer.with(py, std::mem::take);
        let view = self.look(py, &mut buffer, true)?;
        Ok(view.map(|view| Received { view, buffer }))
    }

    /// Gives back the buffer of a message that is not needed any more.
    #[inline]
    pub fn give_back(&self, py: Python<'_>, mut buffer: Vec<u8>) {
        self.buffer.with(py, |place| {
            if place.capacity() < buffer.capacity() {
                std::mem::swap(place, &mut buffer);
            }
        });
    }

    /// The next message, if there is one: its view, or None where it is in the buffer. At a glance, which sees no end of
    /// file, unless asked to look `closely`.
    #[inline]
    fn look(
        &self,
        py: Python<'_>,
        buffer: &mut Vec<u8>,
        closely: bool,
    ) -> PyResult<Option<Option<View>>> {
        let tried = self.reader.with(py, |reader| {
            let reader = reader.at_hand()?;
            if reader.is_empty() && !closely {
                return Some(Err(Error::WouldBlock));
            }
            Some(reader.recv_message(buffer, 0, Until::NOW))
        });
        match tried {
            Some(Ok(message)) => Ok(Some(message.view)),
            Some(Err(Error::WouldBlock | Error::TimedOut)) => Ok(None),
            Some(Err(error)) => Err(raise_received(error)),
            None => Err(self.check_readable(py).err().unwrap_or_else(closed)),
        }
    }

    /// Whether a receive would not wait.
    pub fn poll(&self, py: Python<'_>, deadline: Deadline) -> PyResult<bool> {
        self.check_readable(py)?;
        let glance = self.reader.with(py, |reader| {
            let reader = reader.at_hand()?;
            Some(if !reader.is_empty() {
                Ok(true)
            } else if deadline == Deadline::Now {
                reader.poll(Until::NOW)
            } else {
                Ok(false)
            })
        });
        let ready = glance.ok_or_else(closed)?.map_err(raise)?;
        if ready || deadline == Deadline::Now {
            return Ok(ready);
        }
        let waited = handles::wait(py, &self.reader, deadline, closed, |reader, until| {
            if reader.poll(until)? { Ok(()) } else { Err(Error::TimedOut) }
        })?;
        match waited {
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(raise(error)),
            None => Ok(false),
        }
    }
}
