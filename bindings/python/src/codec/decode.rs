//! Messages to objects.
//!
//! A message may be anything: it comes from another process. What it says about lengths is checked, and what is read
//! from memory that others map is read once. A message that is none of ours raises `pickle.UnpicklingError`, or what the
//! unpickler raises.

use std::marker::PhantomData;
use std::ops::Range;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyMemoryView};

use super::block::{Block, Memory, Part};
use super::layout::{Layout, Place};
use super::pickling;
use super::tags::{
    BYTEARRAY, BYTES, FALSE, FLOAT, INT, NONE, PICKLE, PICKLE_AND_BUFFERS, STR, TRUE,
};

/// Longer messages are copied without the interpreter's lock.
pub const LONG: usize = 64 << 10;
/// Longer messages are not copied out of the queue before they are decoded.
pub const MAX_COPY: usize = 4 << 10;

/// Where a message lies.
#[derive(Clone, Copy)]
struct Source<'a> {
    at: *const u8,
    len: usize,
    memory: PhantomData<&'a [u8]>,
}

/// The object that a message is. Nothing of its memory is kept.
#[inline]
pub fn decode<'py>(py: Python<'py>, message: &[u8], marked: bool) -> PyResult<Bound<'py, PyAny>> {
    let source = Source { at: message.as_ptr(), len: message.len(), memory: PhantomData };
    if marked { source.object(py) } else { source.bytes(py, 0..source.len) }
}

/// The object that a message is which may be long: what it is of arrays lies on it, and keeps it.
pub fn decode_long<'py>(
    py: Python<'py>,
    mut memory: Memory,
    marked: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let source = Source { at: memory.as_mut_ptr(), len: memory.len(), memory: PhantomData };
    if !marked {
        return source.bytes(py, 0..source.len);
    }
    match source.first() {
        Some(PICKLE_AND_BUFFERS) if source.len > LONG => {
            let layout = source.layout(py)?;
            decode_on(&Block::new(py, memory)?, layout)
        }
        Some(PICKLE) if source.len > LONG => {
            let block = Block::passing(py, memory)?;
            pickling::load(PyMemoryView::from(block.as_any())?.as_any())
        }
        _ => source.object(py),
    }
}

/// Unpickles what lies in a block, with buffers that are parts of it.
fn decode_on<'py>(block: &Bound<'py, Block>, layout: Layout) -> PyResult<Bound<'py, PyAny>> {
    let buffers = PyList::empty(block.py());
    for Place { range, readonly } in layout.buffers {
        buffers.append(Part::new(block, range, readonly)?)?;
    }
    pickling::load_with(Part::new(block, layout.pickle, true)?.as_any(), &buffers)
}

impl Source<'_> {
    fn first(self) -> Option<u8> {
        // SAFETY: it has a first byte.
        (self.len > 0).then(|| unsafe { self.at.read_volatile() })
    }

    /// Up to 8 bytes from `at` on, as a little-endian number; those that are not there are 0.
    #[inline]
    fn word(self, at: usize) -> u64 {
        let mut word = [0; 8];
        let len = self.len.saturating_sub(at).min(8);
        // SAFETY: so many bytes are there behind `at`, and in the word.
        unsafe { self.at.add(at.min(self.len)).copy_to_nonoverlapping(word.as_mut_ptr(), len) };
        u64::from_le_bytes(word)
    }

    /// The object of a marked message.
    #[inline]
    fn object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let rest = self.len.wrapping_sub(1);
        match (self.first(), rest) {
            (Some(INT), 1..=8) => {
                let unused = 64 - 8 * rest as u32;
                let value = (self.word(1) << unused).cast_signed() >> unused;
                // SAFETY: the interpreter's lock is held.
                unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyLong_FromLongLong(value)) }
            }
            (Some(PICKLE), 1..) => pickling::load(&self.bytes(py, 0..self.len)?),
            (Some(STR), _) => self.text(py, 1..self.len),
            (Some(FLOAT), 0..=8) => {
                let bits = self.word(1).checked_shl(64 - 8 * rest as u32).unwrap_or(0);
                // SAFETY: the interpreter's lock is held.
                unsafe {
                    let float = ffi::PyFloat_FromDouble(f64::from_bits(bits));
                    Bound::from_owned_ptr_or_err(py, float)
                }
            }
            (Some(NONE), 0) => Ok(py.None().into_bound(py)),
            (Some(tag @ (TRUE | FALSE)), 0) => {
                Ok(pyo3::types::PyBool::new(py, tag == TRUE).to_owned().into_any())
            }
            (Some(BYTES), _) => self.bytes(py, 1..self.len),
            (Some(BYTEARRAY), _) => self.bytearray(py, 1..self.len),
            (Some(PICKLE_AND_BUFFERS), _) => self.object_with_buffers(py),
            (first, _) => Err(self.refuse(py, first)),
        }
    }

    #[cold]
    fn refuse(self, py: Python<'_>, first: Option<u8>) -> PyErr {
        let len = self.len;
        pickling::refuse(
            py,
            match first {
                None => "an empty message is no object".into(),
                Some(tag) => {
                    format!("a message of {len} bytes that begins with {tag:#x} is no object")
                }
            },
        )
    }

    fn layout(self, py: Python<'_>) -> PyResult<Layout> {
        Layout::read(self.len, |at| self.word(at)).ok_or_else(|| {
            let text = "a message's lengths of pickle and buffers are not possible";
            pickling::refuse(py, text.into())
        })
    }

    /// Unpickles with copies of the buffers: as if they had been in the pickle.
    fn object_with_buffers(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let layout = self.layout(py)?;
        let copy = |Place { range, readonly }: Place| match readonly {
            true => self.bytes(py, range),
            false => self.bytearray(py, range),
        };
        let buffers = layout.buffers.into_iter().map(copy).collect::<PyResult<Vec<_>>>()?;
        pickling::load_with(&self.bytes(py, layout.pickle)?, &PyList::new(py, buffers)?)
    }

    fn text(self, py: Python<'_>, range: Range<usize>) -> PyResult<Bound<'_, PyAny>> {
        // SAFETY: the interpreter's lock is held; callers give ranges that are inside.
        unsafe {
            let at = self.at.add(range.start).cast();
            let text = ffi::PyUnicode_DecodeUTF8(at, range.len() as isize, std::ptr::null());
            Bound::from_owned_ptr_or_err(py, text)
        }
    }

    /// A copy of part of the message.
    #[inline]
    fn bytes(self, py: Python<'_>, range: Range<usize>) -> PyResult<Bound<'_, PyAny>> {
        if range.len() <= LONG {
            // SAFETY: the interpreter's lock is held; callers give ranges that are inside.
            return unsafe {
                let at = self.at.add(range.start).cast();
                let bytes = ffi::PyBytes_FromStringAndSize(at, range.len() as isize);
                Bound::from_owned_ptr_or_err(py, bytes)
            };
        }
        // SAFETY: the interpreter's lock is held. The bytes are not shown to anybody before they are filled.
        let (bytes, to) = unsafe {
            let empty = ffi::PyBytes_FromStringAndSize(std::ptr::null(), range.len() as isize);
            let bytes = Bound::from_owned_ptr_or_err(py, empty)?;
            let to = ffi::PyBytes_AsString(bytes.as_ptr());
            (bytes, to)
        };
        self.copy(py, range, to.cast());
        Ok(bytes)
    }

    fn bytearray(self, py: Python<'_>, range: Range<usize>) -> PyResult<Bound<'_, PyAny>> {
        // SAFETY: the interpreter's lock is held. The bytes are not shown to anybody before they are filled.
        let (bytes, to) = unsafe {
            let empty = ffi::PyByteArray_FromStringAndSize(std::ptr::null(), range.len() as isize);
            let bytes = Bound::from_owned_ptr_or_err(py, empty)?;
            let to = ffi::PyByteArray_AsString(bytes.as_ptr());
            (bytes, to)
        };
        self.copy(py, range, to.cast());
        Ok(bytes)
    }

    /// Copies part of the message to memory that nobody else knows, without the interpreter's lock if it is long.
    fn copy(self, py: Python<'_>, range: Range<usize>, to: *mut u8) {
        let (from, to, len) = (self.at.addr() + range.start, to.expose_provenance(), range.len());
        let from = self.at.with_addr(from).expose_provenance();
        let copy = move || {
            let from = std::ptr::with_exposed_provenance::<u8>(from);
            let to = std::ptr::with_exposed_provenance_mut::<u8>(to);
            // SAFETY: callers give ranges that are inside, and as much memory of their own.
            unsafe { from.copy_to_nonoverlapping(to, len) };
        };
        if len > LONG { py.detach(copy) } else { copy() }
    }
}
