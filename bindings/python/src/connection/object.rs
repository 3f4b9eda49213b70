//! Objects as messages: with a tag always, since messages of pipes have no marks.

use pyo3::prelude::*;

use super::end::Ends;
use super::receiving::Received;
use crate::blocking::Deadline;
use crate::codec::{BytesAs, Memory, decode, decode_long, encode};

/// Longer messages lie in a block: they are written there, piece by piece.
const IN_RING: usize = 4 << 10;

/// Sends an object: whether that was done before the deadline.
#[inline]
pub fn send(
    py: Python<'_>,
    ends: &Ends,
    obj: &Bound<'_, PyAny>,
    deadline: Deadline,
) -> PyResult<bool> {
    let message = encode(obj, BytesAs::Tagged)?;
    if let Some(bytes) = message.as_slice() {
        return ends.send(py, bytes, deadline);
    }
    let pieces = message.spans();
    // SAFETY: `to` is new memory for the message, whose pieces `message` keeps.
    let write = |to| unsafe { pieces.write(to) };
    if pieces.len() > IN_RING {
        return ends.send_draft(py, pieces.len(), deadline, write);
    }
    // Zeros: between the pieces there may be gaps.
    let mut bytes = vec![0; pieces.len()];
    write(bytes.as_mut_ptr());
    ends.send(py, &bytes, deadline)
}

/// The object that a message is. What it is of arrays lies where the message does.
#[inline]
pub fn decode_received<'py>(
    py: Python<'py>,
    ends: &Ends,
    message: Received,
) -> PyResult<Bound<'py, PyAny>> {
    let Received { view, buffer } = message;
    if let Some(view) = view {
        ends.give_back(py, buffer);
        return decode_long(py, Memory::View(view), true);
    }
    let object = decode(py, &buffer, true);
    ends.give_back(py, buffer);
    object
}
