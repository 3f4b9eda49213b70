//! Sending: first without waiting and with the interpreter's lock held, then without it.

use std::ops::Range;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyBrokenPipeError;
use pyo3::prelude::*;
use slipring::{Error, Loan, Result, Until};

use super::argument::Readable;
use super::end::{Ends, closed};
use crate::blocking::Deadline;
use crate::codec::LONG;
use crate::error::raise;
use crate::handles;

/// The kernel is asked whether the receiver lives unless it was so shortly ago: less than it takes to notice a kill.
const FRESH: Duration = Duration::from_micros(100);
/// What the kernel calls it when nobody has the other end.
const EPIPE: i32 = 32;

impl Ends {
    /// Sends bytes that nobody changes. Whether they were sent before the deadline, as with everything here.
    #[inline]
    pub fn send(&self, py: Python<'_>, bytes: &[u8], deadline: Deadline) -> PyResult<bool> {
        if bytes.len() > LONG {
            let (from, len) = (Bytes(bytes.as_ptr()), bytes.len());
            // SAFETY: the bytes are borrowed for longer than this runs; `to` is memory for as many, and new.
            return self.send_draft(py, len, deadline, |to| unsafe { from.copy_to(to, len) });
        }
        if self.try_send(py, bytes)? {
            return Ok(true);
        }
        if deadline == Deadline::Now {
            return Ok(false);
        }
        let waited = handles::wait(py, &self.writer, deadline, closed, |writer, until| {
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
        deadline: Deadline,
    ) -> PyResult<bool> {
        if range.len() <= LONG {
            return self.send(py, &buffer.copy(range), deadline);
        }
        // SAFETY: the range lies in the buffer.
        let from = Bytes(unsafe { buffer.as_ptr().add(range.start) });
        let len = range.len();
        // SAFETY: the buffer is held for longer than this runs; `to` is memory for as many bytes, and new.
        self.send_draft(py, len, deadline, |to| unsafe { from.copy_to(to, len) })
    }

    /// Sends a message of `len` bytes, which `write` writes to where it is received from. All of it without the
    /// interpreter's lock.
    pub fn send_draft(
        &self,
        py: Python<'_>,
        len: usize,
        deadline: Deadline,
        mut write: impl FnMut(*mut u8) + Send,
    ) -> PyResult<bool> {
        self.check_writable(py)?;
        let mut written = None::<Loan>;
        let waited = handles::wait(py, &self.writer, deadline, closed, |writer, until| {
            let loan = match written.take() {
                Some(loan) => loan,
                None => {
                    writer.probe()?;
                    let mut loan = writer.loan(len)?;
                    write(loan.as_mut_ptr());
                    loan
                }
            };
            writer.offer_loan(loan, until).map_err(|(loan, error)| {
                written = Some(loan);
                error
            })
        })?;
        sent(waited)
    }

    #[inline]
    fn try_send(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<bool> {
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

fn sent(waited: Option<Result<()>>) -> PyResult<bool> {
    match waited {
        Some(Ok(())) => Ok(true),
        Some(Err(error)) => Err(raise_sent(error)),
        None => Ok(false),
    }
}

#[cold]
fn raise_sent(error: Error) -> PyErr {
    match error {
        Error::Disconnected => PyBrokenPipeError::new_err((EPIPE, "Broken pipe")),
        other => raise(other),
    }
}
