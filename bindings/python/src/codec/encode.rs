//! Objects to messages.

use std::ffi::c_int;
use std::ops::Range;

use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyUnicodeEncodeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::export::Exported;
use super::layout::Layout;
use super::pickling::{self, Pickle};
use super::tags::{BYTEARRAY, BYTES, FALSE, FLOAT, INT, NONE, STR, TRUE};

/// Tag and value that fit so many bytes are encoded in place.
const SHORT: usize = 64;

/// How `bytes` are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BytesAs {
    /// As they are, without a mark.
    Raw,
    /// With a tag.
    Tagged,
}

/// A message to be. It borrows the object's memory where it can: it is to be written while the object is as it is now.
pub enum Encoded<'py> {
    /// A few bytes.
    Short([u8; SHORT], u8),
    /// One object's memory.
    Whole { at: *const u8, len: usize, marked: bool, _keeper: Bound<'py, PyAny> },
    /// Memory of several.
    Pieces { spans: Spans, _head: Vec<u8>, _keepers: Vec<Keeper<'py>> },
}

/// What keeps memory in its place.
pub enum Keeper<'py> {
    /// An object that does not change.
    Object(#[expect(dead_code, reason = "kept for its reference")] Bound<'py, PyAny>),
    /// The memory of one that does.
    Exported(#[expect(dead_code, reason = "kept until it is dropped")] Exported),
}

/// Which memory goes to which offset of a message.
#[derive(Default)]
pub struct Spans {
    spans: Vec<Span>,
    len: usize,
}

struct Span {
    at: usize,
    from: *const u8,
    len: usize,
}

// SAFETY: what it points to is kept by the `Encoded` that it is of, and only read.
unsafe impl Send for Spans {}
// SAFETY: as above.
unsafe impl Sync for Spans {}

impl Spans {
    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Writes the message. What lies between the pieces is left as it is.
    ///
    /// # Safety
    ///
    /// As many bytes at `to` may be written, and are nowhere in the pieces. The `Encoded` that this is of lives.
    pub unsafe fn write(&self, to: *mut u8) {
        for span in &self.spans {
            // SAFETY: by the caller's word; each span ends before the message does.
            unsafe { span.from.copy_to_nonoverlapping(to.add(span.at), span.len) };
        }
    }

    fn push(&mut self, from: *const u8, len: usize) {
        self.spans.push(Span { at: self.len, from, len });
        self.len += len;
    }
}

impl<'py> Encoded<'py> {
    /// What is a message already.
    pub fn of_bytes(message: &Bound<'py, PyBytes>, marked: bool) -> Self {
        let (at, len) = memory_of_bytes(message.as_any());
        Self::Whole { at, len, marked, _keeper: message.clone().into_any() }
    }
    /// Whether it is to be marked.
    #[inline]
    pub fn is_marked(&self) -> bool {
        !matches!(self, Self::Whole { marked: false, .. })
    }

    /// The message, if it lies in one piece.
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        match self {
            Self::Short(bytes, len) => Some(&bytes[..usize::from(*len)]),
            // SAFETY: the memory of a `bytes` object, which does not change and is kept.
            Self::Whole { at, len, .. } => Some(unsafe { std::slice::from_raw_parts(*at, *len) }),
            Self::Pieces { .. } => None,
        }
    }

    /// The message as pieces, to be written without the interpreter's lock.
    pub fn spans(&self) -> Spans {
        let mut spans = Spans::default();
        match self {
            Self::Short(bytes, len) => spans.push(bytes.as_ptr(), usize::from(*len)),
            Self::Whole { at, len, .. } => spans.push(*at, *len),
            Self::Pieces { spans: pieces, .. } => {
                let copy = |s: &Span| Span { at: s.at, from: s.from, len: s.len };
                spans = Spans { spans: pieces.spans.iter().map(copy).collect(), len: pieces.len };
            }
        }
        spans
    }

    #[inline]
    fn constant(tag: u8) -> Self {
        let mut bytes = [0; SHORT];
        bytes[0] = tag;
        Self::Short(bytes, 1)
    }

    /// A tag and `len` bytes from `value` on.
    #[inline]
    fn number(tag: u8, value: [u8; 8], len: usize) -> Self {
        let mut bytes = [0; SHORT];
        bytes[0] = tag;
        bytes[1..9].copy_from_slice(&value);
        Self::Short(bytes, 1 + len as u8)
    }
}

/// `object` as a message. Any error is one of pickling it.
#[inline]
pub fn encode<'py>(object: &Bound<'py, PyAny>, bytes_as: BytesAs) -> PyResult<Encoded<'py>> {
    let class = object.get_type_ptr();
    if class == &raw mut ffi::PyLong_Type {
        if let Some(encoded) = encode_int(object) {
            return Ok(encoded);
        }
    } else if class == &raw mut ffi::PyUnicode_Type {
        if let Some(encoded) = encode_str(object)? {
            return Ok(encoded);
        }
    } else if class == &raw mut ffi::PyBytes_Type {
        return Ok(encode_bytes(object, bytes_as));
    } else if class == &raw mut ffi::PyFloat_Type {
        return Ok(encode_float(object));
    } else if object.is_none() {
        return Ok(Encoded::constant(NONE));
    } else if class == &raw mut ffi::PyBool_Type {
        let is_true = std::ptr::eq(object.as_ptr(), true_object());
        return Ok(Encoded::constant(if is_true { TRUE } else { FALSE }));
    } else if class == &raw mut ffi::PyByteArray_Type {
        return encode_bytearray(object);
    }
    encode_other(object)
}

#[inline]
fn true_object() -> *mut ffi::PyObject {
    // SAFETY: a constant of the interpreter, which runs.
    unsafe { ffi::Py_True() }
}

#[inline]
fn encode_int<'py>(object: &Bound<'py, PyAny>) -> Option<Encoded<'py>> {
    let mut overflow: c_int = 0;
    // SAFETY: the interpreter's lock is held, and the object is an int: this cannot fail.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &raw mut overflow) };
    (overflow == 0).then(|| Encoded::number(INT, value.to_le_bytes(), int_len(value)))
}

/// Bytes that a number needs, with its sign.
#[inline]
fn int_len(value: i64) -> usize {
    let bits = 65 - (value ^ (value >> 63)).leading_zeros();
    bits.div_ceil(8) as usize
}

#[inline]
fn encode_float<'py>(object: &Bound<'py, PyAny>) -> Encoded<'py> {
    // SAFETY: the interpreter's lock is held, and the object is a float: this cannot fail.
    let bits = unsafe { ffi::PyFloat_AsDouble(object.as_ptr()) }.to_bits();
    let zeros = (bits.trailing_zeros() / 8).min(8);
    let highest = bits.checked_shr(zeros * 8).unwrap_or(0);
    Encoded::number(FLOAT, highest.to_le_bytes(), 8 - zeros as usize)
}

/// `None` for text that is no UTF-8: half of a surrogate pair can be pickled.
fn encode_str<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Encoded<'py>>> {
    let py = object.py();
    let mut len = 0;
    // SAFETY: the interpreter's lock is held, and the object is a str. What it returns lives as long as that.
    let at = unsafe { ffi::PyUnicode_AsUTF8AndSize(object.as_ptr(), &raw mut len) };
    if at.is_null() {
        let error = PyErr::fetch(py);
        return if error.is_instance_of::<PyUnicodeEncodeError>(py) {
            Ok(None)
        } else {
            Err(error)
        };
    }
    Ok(Some(tagged(STR, at.cast(), len as usize, || Keeper::Object(object.clone()))))
}

fn encode_bytes<'py>(object: &Bound<'py, PyAny>, bytes_as: BytesAs) -> Encoded<'py> {
    let (at, len) = memory_of_bytes(object);
    match bytes_as {
        BytesAs::Raw => Encoded::Whole { at, len, marked: false, _keeper: object.clone() },
        BytesAs::Tagged => tagged(BYTES, at, len, || Keeper::Object(object.clone())),
    }
}

/// The memory of an object that is `bytes`.
fn memory_of_bytes(object: &Bound<'_, PyAny>) -> (*const u8, usize) {
    // SAFETY: the interpreter's lock is held, and the object is `bytes`: these cannot fail.
    let (at, len) =
        unsafe { (ffi::PyBytes_AsString(object.as_ptr()), ffi::PyBytes_Size(object.as_ptr())) };
    (at.cast_const().cast(), len as usize)
}

fn encode_bytearray<'py>(object: &Bound<'py, PyAny>) -> PyResult<Encoded<'py>> {
    let exported = Exported::new(object)?;
    let (at, len) = (exported.as_ptr(), exported.len());
    Ok(tagged(BYTEARRAY, at, len, || Keeper::Exported(exported)))
}

/// A tag and memory behind it.
fn tagged<'py>(
    tag: u8,
    at: *const u8,
    len: usize,
    keeper: impl FnOnce() -> Keeper<'py>,
) -> Encoded<'py> {
    if len < SHORT {
        let mut bytes = [0; SHORT];
        bytes[0] = tag;
        // SAFETY: so many bytes are there, in memory of the interpreter's, and fit behind the tag.
        unsafe { at.copy_to_nonoverlapping(bytes[1..].as_mut_ptr(), len) };
        return Encoded::Short(bytes, 1 + len as u8);
    }
    let head = vec![tag];
    let mut spans = Spans::default();
    spans.push(head.as_ptr(), 1);
    spans.push(at, len);
    Encoded::Pieces { spans, _head: head, _keepers: vec![keeper()] }
}

fn encode_other<'py>(object: &Bound<'py, PyAny>) -> PyResult<Encoded<'py>> {
    let (parts, buffers) = match pickling::dump(object)? {
        Pickle::Whole(bytes) => {
            let (at, len) = memory_of_bytes(&bytes);
            return Ok(Encoded::Whole { at, len, marked: true, _keeper: bytes });
        }
        Pickle::Parts(parts, buffers) => (parts, buffers),
    };
    let mut keepers = Vec::with_capacity(parts.len() + buffers.len());
    let mut pickle = Spans::default();
    for part in parts {
        if is_bytes(&part) {
            let (at, len) = memory_of_bytes(&part);
            pickle.push(at, len);
            keepers.push(Keeper::Object(part));
        } else {
            let exported = Exported::new(&part)?;
            check_len(keepers.last(), pickle.spans.last(), exported.len())?;
            pickle.push(exported.as_ptr(), exported.len());
            keepers.push(Keeper::Exported(exported));
        }
    }
    if buffers.is_empty() {
        return Ok(Encoded::Pieces { spans: pickle, _head: Vec::new(), _keepers: keepers });
    }
    let buffers = buffers.iter().map(Exported::new).collect::<PyResult<Vec<_>>>()?;
    let lens = buffers.iter().map(|buffer| (buffer.len(), buffer.is_readonly()));
    let layout = Layout::new(pickle.len, lens);
    let layout = layout.ok_or_else(|| PyMemoryError::new_err("the object is too large"))?;
    let (head, mut spans) = (layout.header(), Spans::default());
    spans.push(head.as_ptr(), head.len());
    pickle.spans.iter().for_each(|part| spans.push(part.from, part.len));
    for (buffer, place) in buffers.into_iter().zip(&layout.buffers) {
        spans.len = place.range.start;
        spans.push(buffer.as_ptr(), buffer.len());
        keepers.push(Keeper::Exported(buffer));
    }
    Ok(Encoded::Pieces { spans, _head: head, _keepers: keepers })
}

/// Opcodes before memory: the length of `bytes` in four bytes or in eight, and of a bytearray in eight.
const BINBYTES: u8 = b'B';
const BINBYTES8: u8 = 0x8e;
const BYTEARRAY8: u8 = 0x96;

/// Whether an object whose memory is part of a pickle is as long as it was when the pickler came by: Python code that ran
/// since then may have changed that. The part before ends with an opcode and the length.
fn check_len(keeper: Option<&Keeper<'_>>, before: Option<&Span>, len: usize) -> PyResult<()> {
    if let (Some(Keeper::Object(_)), Some(span)) = (keeper, before) {
        let mut end = [0; 9];
        let count = span.len.min(end.len());
        // SAFETY: the last bytes of a `bytes` object that is kept.
        unsafe {
            let from = span.from.add(span.len - count);
            from.copy_to_nonoverlapping(end.as_mut_ptr().add(9 - count), count);
        }
        let [opcode, long @ ..] = end;
        let [_, _, _, short_opcode, short @ ..] = long;
        let is_long = matches!(opcode, BINBYTES8 | BYTEARRAY8);
        let is_short = short_opcode == BINBYTES;
        if is_long && u64::from_le_bytes(long) == len as u64
            || is_short && u64::from(u32::from_le_bytes(short)) == len as u64
        {
            return Ok(());
        }
    }
    Err(PyRuntimeError::new_err("a bytearray changed its size while it was pickled"))
}

/// The message that an array is but for what is in it, and where that goes. `None` where it is not one buffer.
pub fn encode_around(object: &Bound<'_, PyAny>) -> PyResult<Option<(Vec<u8>, Range<usize>)>> {
    let Pickle::Parts(parts, buffers) = pickling::dump(object)? else { return Ok(None) };
    let [buffer] = &buffers[..] else { return Ok(None) };
    let len = Exported::new(buffer)?.len();
    let parts = parts.iter().map(|part| part.extract::<Vec<u8>>());
    let parts = parts.collect::<PyResult<Vec<_>>>()?.concat();
    let layout = Layout::new(parts.len(), std::iter::once((len, false)));
    let layout = layout.ok_or_else(|| PyMemoryError::new_err("the array is too large"))?;
    let front = [layout.header(), parts].concat();
    let place = layout.buffers.into_iter().map(|place| place.range).next();
    Ok(place.map(|place| (front, place)))
}

fn is_bytes(object: &Bound<'_, PyAny>) -> bool {
    object.get_type_ptr() == &raw mut ffi::PyBytes_Type
}
