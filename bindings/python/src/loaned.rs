//! Arrays that are made where their receiver will read them.

use std::ffi::c_int;

use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyType, PyWeakrefReference};
use slipring::{Error, Loan};

use crate::attached::Attached;
use crate::blocking::{self, Deadline};
use crate::channel::{self, Place};
use crate::codec::{self, LONG};
use crate::refusal::Refusal;

/// `numpy.ndarray`, from the first loan on.
static ARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Memory for one array, in a message that is otherwise written already. Dropped, it goes back to the segment.
#[pyclass(frozen, module = "slipring._native")]
pub struct Loaned {
    /// None when it was sent.
    loan: Attached<Option<Loan>>,
    at: *mut u8,
    len: usize,
    /// The array that was made of it.
    array: Attached<Option<Py<PyWeakrefReference>>>,
}

// SAFETY: the address is only read; the loan may be dropped by any thread.
unsafe impl Send for Loaned {}
// SAFETY: what is behind the address is only touched by those who were given it through the buffer protocol, as any
// memory that Python objects share.
unsafe impl Sync for Loaned {}

#[pymethods]
impl Loaned {
    /// The array that lies on all of it: putting that one sends the memory.
    fn _is_of(&self, array: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = array.py();
        let class = array.get_type().unbind();
        ARRAY.get_or_init(py, || class);
        let weak = PyWeakrefReference::new(array)?.unbind();
        drop(self.array.with(py, |place| place.replace(weak)));
        Ok(())
    }

    fn __len__(&self) -> usize {
        self.len
    }

    /// # Safety
    ///
    /// As the buffer protocol has it: `view` is there to be filled.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let loaned = slf.get();
        if loaned.loan.with(slf.py(), |loan| loan.is_none()) {
            return Err(PyBufferError::new_err("this memory was sent and is another process's"));
        }
        // SAFETY: the memory stays as long as this object, of which the view takes a reference, or until it is sent.
        unsafe {
            codec::fill_view(slf.py(), view, slf.as_any(), (loaned.at, loaned.len), false, flags)
        }
    }
}

/// A loan for arrays like `template`, whose content does not matter.
pub fn lend(py: Python<'_>, place: &Place, template: &Bound<'_, PyAny>) -> Result<Loaned, Refusal> {
    let (front, buffer) = codec::encode_around(template)?.ok_or_else(|| {
        PyTypeError::new_err("an array of Python objects cannot lie in shared memory")
    })?;
    let len = buffer.end;
    let mut loan = if len <= LONG {
        channel::with(py, place, |channel| Ok(channel.tx.loan(len)?))?
    } else {
        channel::with_spare_tx(py, place, |tx| blocking::wait(py, Deadline::Now, |_| tx.loan(len)))?
    };
    loan.write_at(0, &front);
    loan.set_marked(true);
    // SAFETY: the buffer's place is inside the message.
    let at = unsafe { loan.as_mut_ptr().add(buffer.start) };
    let loan = Attached::new(Some(loan));
    Ok(Loaned { loan, at, len: buffer.len(), array: Attached::new(None) })
}

/// What `object` lies on, if it is the very array that was made of a loan.
#[inline]
pub fn loaned_of<'py>(object: &Bound<'py, PyAny>) -> Option<Bound<'py, Loaned>> {
    let array = ARRAY.get(object.py())?;
    if !std::ptr::eq(object.get_type_ptr(), array.as_ptr().cast()) {
        return None;
    }
    let loaned = object.getattr("base").ok()?.cast_into::<Loaned>().ok()?;
    let py = object.py();
    let weak = loaned.get().array.with(py, |weak| weak.as_ref().map(|weak| weak.clone_ref(py)))?;
    weak.bind(py).upgrade().is_some_and(|array| array.is(object)).then_some(loaned)
}

/// Sends the memory of `array`. False where that cannot be done: in a forked child, to a queue of another segment, or
/// the second time.
pub fn put(
    py: Python<'_>,
    place: &Place,
    array: &Bound<'_, PyAny>,
    loaned: &Loaned,
    deadline: impl FnOnce() -> PyResult<Deadline>,
) -> Result<bool, Refusal> {
    channel::with(py, place, |_| Ok(()))?;
    let deadline = deadline()?;
    let mut loan = loaned.loan.with(py, Option::take);
    if loan.is_none() {
        return Ok(false);
    }
    let sent = channel::with_spare_tx(py, place, |tx| {
        blocking::wait(py, deadline, |until| match loan.take() {
            Some(filled) => match channel::offer(tx, &mut loan, filled, until) {
                Err(Error::ForeignLoan) => Ok(false),
                done => done.map(|()| true),
            },
            None => Ok(false),
        })
    });
    // What was not sent stays the array's.
    loaned.loan.with(py, |place| *place = loan);
    if matches!(sent, Ok(true)) {
        let flags = array.getattr("flags").map_err(Refusal::Failed)?;
        // It was sent, whatever the array says to this.
        let _ = flags.setattr("writeable", false);
    }
    sent
}
