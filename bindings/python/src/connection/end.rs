//! The halves of an end: messages go and come, first without waiting and with the interpreter's lock held, then without it.

use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyBrokenPipeError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use slipring::{Error, Loan, PipeReader, PipeWriter, Result, Until, View};

use super::argument::Readable;
use crate::attached::Attached;
use crate::blocking::Deadline;
use crate::error::{raise, raise_received};
use crate::handles::{self, Handles};
use crate::transfer::{Berths, Part, Ticket};

/// Longer ones are copied without the interpreter's lock.
const SHORT: usize = 64 << 10;
/// The kernel is asked whether the receiver lives unless it was so shortly ago: less than it takes to notice a kill.
const FRESH: Duration = Duration::from_micros(100);
/// What the kernel calls it when nobody has the other end.
const EPIPE: i32 = 32;

/// An end: a half that receives, a half that sends, or both.
pub struct Ends {
    reader: Attached<Handles<PipeReader>>,
    writer: Attached<Handles<PipeWriter>>,
    state: Attached<State>,
    /// When the kernel was asked last whether the receiver lives.
    asked: Attached<Option<Instant>>,
}

#[derive(Clone, Copy)]
struct State {
    readable: bool,
    writable: bool,
    closed: bool,
    /// The descriptor may be readable because of messages that were there before it was.
    old_news: bool,
}

impl Ends {
    /// An end of these halves.
    pub fn new(reader: Option<PipeReader>, writer: Option<PipeWriter>) -> Self {
        let (readable, writable) = (reader.is_some(), writer.is_some());
        Self {
            reader: Attached::new(reader.map_or_else(Handles::none, Handles::new)),
            writer: Attached::new(writer.map_or_else(Handles::none, Handles::new)),
            state: Attached::new(State { readable, writable, closed: false, old_news: false }),
            asked: Attached::new(None),
        }
    }

    /// All that this one has; it is closed then.
    pub fn take(&self, py: Python<'_>) -> Self {
        let reader = self.reader.with(py, |half| std::mem::replace(half, Handles::none()));
        let writer = self.writer.with(py, |half| std::mem::replace(half, Handles::none()));
        let state = self.state(py);
        self.state.with(py, |state| state.closed = true);
        let (reader, writer) = (Attached::new(reader), Attached::new(writer));
        Self { reader, writer, state: Attached::new(state), asked: Attached::new(None) }
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

    /// Sends bytes that nobody changes.
    #[inline]
    pub fn send(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
        if bytes.len() > SHORT {
            // SAFETY: the bytes are borrowed for longer than the call.
            return unsafe { self.send_long(py, bytes.as_ptr(), bytes.len()) };
        }
        if self.try_send(py, bytes)? {
            return Ok(());
        }
        let waited = handles::wait(py, &self.writer, Deadline::Never, closed, |writer, until| {
            writer.send_until(bytes, until)
        })?;
        sent(waited)
    }

    /// Sends a part of a buffer that other threads may change.
    pub fn send_shared(
        &self,
        py: Python<'_>,
        buffer: &Readable,
        range: Range<usize>,
    ) -> PyResult<()> {
        if range.len() > SHORT {
            // SAFETY: the range lies in the buffer, which lives longer than the call.
            return unsafe { self.send_long(py, buffer.as_ptr().add(range.start), range.len()) };
        }
        self.send(py, &buffer.to_vec()[range])
    }

    /// Sends bytes if that takes no waiting: whether it did.
    #[inline]
    pub fn try_send(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<bool> {
        let ask = self.is_time_to_ask(py);
        let tried = self.writer.with(py, |writer| {
            let writer = writer.at_hand()?;
            let open = if ask { writer.probe() } else { Ok(()) };
            Some(open.and_then(|()| writer.send_until(bytes, Until::NOW)))
        });
        match tried {
            Some(Ok(())) => Ok(true),
            Some(Err(Error::WouldBlock | Error::TimedOut)) => Ok(false),
            Some(Err(error)) => Err(raise_sent(error)),
            None => Err(self.check_writable(py).err().unwrap_or_else(closed)),
        }
    }

    fn is_time_to_ask(&self, py: Python<'_>) -> bool {
        let now = Instant::now();
        self.asked.with(py, |asked| {
            let is_time = asked.is_none_or(|asked| now.duration_since(asked) > FRESH);
            if is_time {
                *asked = Some(now);
            }
            is_time
        })
    }

    /// Copies a message to a block, where it is received from, and sends that: all of it without the interpreter's lock.
    ///
    /// # Safety
    ///
    /// `len` bytes at `from` may be read while this runs.
    unsafe fn send_long(&self, py: Python<'_>, from: *const u8, len: usize) -> PyResult<()> {
        let (from, mut written) = (Bytes(from), None::<Option<Loan>>);
        let waited = handles::wait(py, &self.writer, Deadline::Never, closed, |writer, until| {
            let slot = match &mut written {
                Some(slot) => slot,
                None => {
                    writer.probe()?;
                    let mut loan = writer.loan(len)?;
                    // SAFETY: `len` bytes may be read, by the caller's promise, and as many be written: the loan's.
                    // SAFETY: the loan is a block that nobody else uses, so the two do not overlap.
                    unsafe { from.copy_to(loan.as_mut_ptr(), len) };
                    written.insert(Some(loan))
                }
            };
            writer.offer_loan(slot, until)
        })?;
        sent(waited)
    }

    /// The next message, waiting for one.
    #[inline]
    pub fn receive(&self, py: Python<'_>) -> PyResult<View> {
        if let Some(message) = self.look(py)? {
            return Ok(message);
        }
        let waited = handles::wait(py, &self.reader, Deadline::Never, closed, |reader, until| {
            reader.recv_view_until(until)
        })?;
        self.renew(py);
        match waited {
            Some(message) => message.map_err(raise_received),
            None => Err(raise(Error::TimedOut)),
        }
    }

    /// The next message, if there is one.
    pub fn try_receive(&self, py: Python<'_>) -> PyResult<Option<View>> {
        let tried = self
            .reader
            .with(py, |reader| reader.at_hand().map(|reader| reader.recv_view_until(Until::NOW)));
        self.tried(py, tried)
    }

    /// The next message, if one is seen at a glance.
    #[inline]
    fn look(&self, py: Python<'_>) -> PyResult<Option<View>> {
        let tried = self.reader.with(py, |reader| {
            let reader = reader.at_hand()?;
            Some(if reader.is_empty() {
                Err(Error::WouldBlock)
            } else {
                reader.recv_view_until(Until::NOW)
            })
        });
        self.tried(py, tried)
    }

    #[inline]
    fn tried(&self, py: Python<'_>, tried: Option<Result<View>>) -> PyResult<Option<View>> {
        match tried {
            Some(Ok(message)) => Ok(Some(message)),
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

    /// The descriptor to wait for; of an end that only sends, one that hangs up with the other end.
    pub fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.check_closed(py)?;
        let watched = self.reader.with(py, |reader| {
            let reader = reader.at_hand()?;
            let old_news = !reader.is_empty();
            Some(reader.as_fd().map(|fd| (fd.as_raw_fd(), old_news)))
        });
        if let Some(watched) = watched {
            let (fd, old_news) = watched.map_err(raise)?;
            self.state.with(py, |state| state.old_news |= old_news);
            return Ok(fd);
        }
        let fd = self.writer.with(py, |writer| Some(writer.at_hand()?.as_fd().as_raw_fd()));
        fd.ok_or_else(closed)
    }

    /// Closes both halves.
    pub fn close(&self, py: Python<'_>) {
        self.state.with(py, |state| state.closed = true);
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
    fn state(&self, py: Python<'_>) -> State {
        self.state.with(py, |state| *state)
    }

    /// After another handle than the one at hand has received: messages that the descriptor was made readable for by hand
    /// may be gone, and only its own handle can tell it so.
    fn renew(&self, py: Python<'_>) {
        if !self.state(py).old_news {
            return;
        }
        let news = self.reader.with(py, |reader| {
            let Some(reader) = reader.at_hand() else { return false };
            !reader.is_empty() || reader.poll(Until::NOW).unwrap_or(true)
        });
        self.state.with(py, |state| state.old_news = news);
    }
}

/// Bytes to be read without the interpreter's lock.
struct Bytes(*const u8);

// SAFETY: whoever makes one promises that they may be read meanwhile, by any thread.
unsafe impl Send for Bytes {}
// SAFETY: as above; they are only read.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// Copies `len` of them.
    ///
    /// # Safety
    ///
    /// As many may be read here, and written at `to`, and the two do not overlap.
    unsafe fn copy_to(&self, to: *mut u8, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.0.copy_to_nonoverlapping(to, len) };
    }
}

/// A copy of a message.
pub fn bytes_of<'py>(py: Python<'py>, message: &View) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, message.len(), |room| {
        read_whole(py, message, room);
        Ok(())
    })
}

/// Copies a message to where there is room for it, without the interpreter's lock if that takes long.
pub fn read_whole(py: Python<'_>, message: &View, room: &mut [u8]) {
    if room.len() > SHORT {
        py.detach(|| message.read_at(0, room));
    } else {
        message.read_at(0, room);
    }
}

fn sent(waited: Option<Result<()>>) -> PyResult<()> {
    waited.unwrap_or(Err(Error::TimedOut)).map_err(raise_sent)
}

#[cold]
fn raise_sent(error: Error) -> PyErr {
    match error {
        Error::Disconnected => PyBrokenPipeError::new_err((EPIPE, "Broken pipe")),
        other => raise(other),
    }
}

#[cold]
fn closed() -> PyErr {
    PyOSError::new_err("handle is closed")
}
