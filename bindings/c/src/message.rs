//! Messages: sent and received, copied or where they lie. The same calls for queues and pipes.

use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;

use slipring::{ByteReceiver, Error, Loan, PipeReader, Until, View};

use crate::args::{bytes, need, put, until};
use crate::status::slipring_status;
use crate::status::{Failure, Outcome, call};
use crate::table::{self, Object, Source, alone, slipring_handle};

/// Sends a copy of `len` bytes at `data`, through a sender or an end of a pipe. `timeout` is in nanoseconds: negative for ever, 0
/// not at all. What was sent is in the queue when this returns, and stays when this process ends.
///
/// # Safety
///
/// `data` is NULL or may be read for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_send(
    to: slipring_handle,
    data: *const c_void,
    len: usize,
    timeout: i64,
) -> slipring_status {
    call(|| {
        // SAFETY: by the caller's word.
        let message = unsafe { bytes(data.cast(), len) }?;
        let until = until(timeout);
        match &*table::get(to)? {
            Object::Sender(sender) => Ok(alone(sender)?.send_until(message, until)?),
            Object::Pipe { writer: Some(writer), .. } => {
                Ok(alone(writer)?.send_until(message, until)?)
            }
            other => Err(other.is_no("sender or end of a pipe that sends")),
        }
    })
}

/// What messages come from.
trait Views {
    fn view(&mut self, until: Until) -> Result<View, Error>;
}

impl Views for ByteReceiver {
    fn view(&mut self, until: Until) -> Result<View, Error> {
        self.recv_view_until(until)
    }
}

impl Views for PipeReader {
    fn view(&mut self, until: Until) -> Result<View, Error> {
        self.recv_view_until(until)
    }
}

/// The next message, if `accept` accepts it; otherwise it is kept for the next call.
fn next<R: Views, T>(
    source: &mut Source<R>,
    until: Until,
    accept: impl FnOnce(View) -> Result<T, (View, Failure)>,
) -> Outcome<T> {
    let view = match source.pending.take() {
        Some(view) => view,
        None => source.from.view(until)?,
    };
    accept(view).map_err(|(view, failure)| {
        source.pending = Some(view);
        failure
    })
}

fn receive<T>(
    from: slipring_handle,
    timeout: i64,
    accept: impl FnOnce(View) -> Result<T, (View, Failure)>,
) -> Outcome<T> {
    let until = until(timeout);
    match &*table::get(from)? {
        Object::Receiver(receiver) => next(&mut *alone(receiver)?, until, accept),
        Object::Pipe { reader: Some(reader), .. } => next(&mut *alone(reader)?, until, accept),
        other => Err(other.is_no("receiver or end of a pipe that receives")),
    }
}

/// Receives the next message from a receiver or an end of a pipe, and copies it to `buffer`, which has room for `room` bytes. Its
/// length goes to `*len`. Where it does not fit, the status is SLIPRING_E_TOO_SMALL, `*len` is what is needed, and the message is
/// what the next call with this handle gets.
///
/// # Safety
///
/// `buffer` is NULL or may be written to for `room` bytes; `len` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_recv(
    from: slipring_handle,
    buffer: *mut c_void,
    room: usize,
    len: *mut usize,
    timeout: i64,
) -> slipring_status {
    call(|| {
        need([!len.is_null(), !buffer.is_null() || room == 0])?;
        receive(from, timeout, |view| {
            // SAFETY: not NULL, and may be written to by the caller's word.
            unsafe { len.write(view.len()) };
            if view.len() > room {
                return Err((view, Failure::new(slipring_status::SLIPRING_E_TOO_SMALL)));
            }
            // SAFETY: the view's memory may be read for its length; a peer that writes to it meanwhile can only make the copy
            // a mixture, and bytes are copied by a call that nothing is assumed of.
            // SAFETY: the buffer may be written to for as much, by the caller's word; it is not shared memory of ours, or the
            // caller has asked for what it gets.
            unsafe { std::ptr::copy(view.as_ptr(), buffer.cast(), view.len()) };
            Ok(())
        })
    })
}

/// Receives the next message where it lies: nothing is copied. `*data` and `*len` say where, until `*view` is given back with
/// slipring_close. Nobody but a peer gone mad writes there meanwhile.
///
/// # Safety
///
/// `data`, `len` and `view` are NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_recv_view(
    from: slipring_handle,
    data: *mut *const c_void,
    len: *mut usize,
    view: *mut slipring_handle,
    timeout: i64,
) -> slipring_status {
    call(|| {
        need([!data.is_null(), !len.is_null(), !view.is_null()])?;
        let message = receive(from, timeout, Ok)?;
        let (at, bytes) = (message.as_ptr(), message.len());
        // SAFETY: by the caller's word, all three.
        unsafe {
            put(data, at.cast())?;
            put(len, bytes)?;
            put(view, table::insert(Object::View(message)))
        }
    })
}

/// Memory for a message of `len` bytes, to be filled at `*data` and sent with slipring_send_loan. `*loan` is its handle;
/// slipring_close gives it back unsent.
///
/// # Safety
///
/// `data` and `loan` are NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_loan(
    to: slipring_handle,
    len: usize,
    data: *mut *mut c_void,
    loan: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!data.is_null(), !loan.is_null()])?;
        let mut lent: Loan = match &*table::get(to)? {
            Object::Sender(sender) => alone(sender)?.loan(len)?,
            Object::Pipe { writer: Some(writer), .. } => alone(writer)?.loan(len)?,
            other => return Err(other.is_no("sender or end of a pipe that sends")),
        };
        let at = lent.as_mut_ptr();
        // SAFETY: by the caller's word, both.
        unsafe {
            put(data, at.cast())?;
            put(loan, table::insert(Object::Loan(Some(lent).into())))
        }
    })
}

/// Sends the first `len` bytes of a loan: nothing is copied. `len` may not be more than was lent. The loan's handle is gone
/// afterwards, and with it what was filled in, also where this fails: with any status but SLIPRING_E_HANDLE and
/// SLIPRING_E_KIND for `loan` itself, and SLIPRING_E_BUSY for it, where another thread is sending it.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_send_loan(
    to: slipring_handle,
    loan: slipring_handle,
    len: usize,
    timeout: i64,
) -> slipring_status {
    call(|| {
        // Whatever fails from here on drops it, which gives the memory back.
        let mut message = take_loan(loan)?;
        if message.len() < len {
            let text = format!("{len} bytes are more than the {} that were lent", message.len());
            return Err(Failure::with(slipring_status::SLIPRING_E_INVALID, text));
        }
        message.truncate(len);
        match &*table::get(to)? {
            Object::Sender(sender) => Ok(alone(sender)?.send_loan_until(message, until(timeout))?),
            Object::Pipe { writer: Some(writer), .. } => {
                Ok(alone(writer)?.send_loan_until(message, until(timeout))?)
            }
            other => Err(other.is_no("sender or end of a pipe that sends")),
        }
    })
}

/// What a loan's handle is of; the handle is gone.
fn take_loan(handle: slipring_handle) -> Outcome<Loan> {
    let object = table::get(handle)?;
    let Object::Loan(lent) = &*object else { return Err(object.is_no("loan")) };
    let gone = Failure::new(slipring_status::SLIPRING_E_HANDLE);
    let message = alone(lent)?.take().ok_or(gone)?;
    table::remove(handle)?;
    Ok(message)
}

/// How many messages are in a queue, to `*out`: exact if nobody is at work meanwhile. A message that did not fit a buffer is not
/// counted.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_queue_len(
    queue: slipring_handle,
    out: *mut u64,
) -> slipring_status {
    call(|| {
        let len = match &*table::get(queue)? {
            Object::Sender(sender) => alone(sender)?.len(),
            Object::Receiver(receiver) => alone(receiver)?.from.len(),
            other => return Err(other.is_no("sender or receiver")),
        };
        // SAFETY: by the caller's word.
        unsafe { put(out, len) }
    })
}

/// Closes a queue for everybody: sends fail, and receivers get what is left and then SLIPRING_E_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_queue_close(queue: slipring_handle) -> slipring_status {
    call(|| {
        match &*table::get(queue)? {
            Object::Sender(sender) => alone(sender)?.close(),
            Object::Receiver(receiver) => alone(receiver)?.from.close(),
            other => return Err(other.is_no("sender or receiver")),
        }
        Ok(())
    })
}

/// Waits until an end of a pipe has a message or the end of file: SLIPRING_OK; or the time is over.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_pipe_poll(pipe: slipring_handle, timeout: i64) -> slipring_status {
    call(|| {
        let object = table::get(pipe)?;
        let Object::Pipe { reader: Some(reader), .. } = &*object else {
            return Err(object.is_no("end of a pipe that receives"));
        };
        let mut source = alone(reader)?;
        if source.pending.is_some() || source.from.poll(until(timeout))? {
            return Ok(());
        }
        let code = if timeout == 0 {
            slipring_status::SLIPRING_E_WOULD_BLOCK
        } else {
            slipring_status::SLIPRING_E_TIMED_OUT
        };
        Err(Failure::new(code))
    })
}

/// A descriptor that poll, select and epoll find readable while an end of a pipe has a message or the end of file, to `*out`.
/// It belongs to the handle: do not read from it, do not close it, and do not use it after slipring_close.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_pipe_fd(
    pipe: slipring_handle,
    out: *mut c_int,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        let object = table::get(pipe)?;
        let Object::Pipe { reader: Some(reader), .. } = &*object else {
            return Err(object.is_no("end of a pipe that receives"));
        };
        let fd = alone(reader)?.from.as_fd()?.as_raw_fd();
        // SAFETY: by the caller's word.
        unsafe { put(out, fd) }
    })
}
