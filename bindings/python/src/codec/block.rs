//! Messages that Python objects lie on: arrays on the very memory that the sender wrote.

use std::collections::HashSet;
use std::ffi::c_int;
use std::ops::Range;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use pyo3::wrap_pyfunction;
use slipring::{Apart, View};

use crate::attached::Attached;
use crate::error::raise;

/// A received message, in the segment or in private memory.
pub enum Memory {
    /// Where it was sent: given back when this is dropped, in the process that received it.
    View(View),
    /// The same, at an address of its own, which a fork can leave to both processes.
    Apart(Apart),
    /// A copy.
    Private(Vec<u8>),
}

impl Memory {
    /// Bytes of the message.
    pub fn len(&self) -> usize {
        match self {
            Self::View(view) => view.len(),
            Self::Apart(apart) => apart.len(),
            Self::Private(bytes) => bytes.len(),
        }
    }

    /// The first byte.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        match self {
            Self::View(view) => view.as_mut_ptr(),
            Self::Apart(apart) => apart.as_mut_ptr(),
            Self::Private(bytes) => bytes.as_mut_ptr(),
        }
    }

    /// The same message where a fork may leave it to both processes.
    fn fit_for_forks(self) -> Self {
        match self {
            Self::View(view) => match view.apart() {
                Ok(apart) => Self::Apart(apart),
                Err(view) => Self::Private(view.to_vec()),
            },
            memory => memory,
        }
    }
}

/// The memory of a received message, for as long as anything lies on it. It can be written to: it is nobody else's.
#[pyclass(frozen, module = "slipring._native")]
pub struct Block {
    at: *mut u8,
    len: usize,
    memory: Attached<Memory>,
}

// SAFETY: the memory may be dropped by any thread, and its address be read.
unsafe impl Send for Block {}
// SAFETY: what is behind the address is only touched by those who were given it through the buffer protocol, as any
// memory that Python objects share.
unsafe impl Sync for Block {}

/// The addresses of all blocks of this process that lie in the segment.
static LIVING: PyOnceLock<Attached<HashSet<usize>>> = PyOnceLock::new();

fn living(py: Python<'_>) -> PyResult<&Attached<HashSet<usize>>> {
    LIVING.get_or_try_init(py, || {
        let options = PyDict::new(py);
        options.set_item("before", wrap_pyfunction!(before_fork, py)?)?;
        py.import("os")?.getattr("register_at_fork")?.call((), Some(&options))?;
        Ok(Attached::new(HashSet::new()))
    })
}

/// Makes all messages private that something lies on: what a forked child inherits must stay what it is, whatever the
/// parent does with its own.
#[pyfunction]
fn before_fork(py: Python<'_>) -> PyResult<()> {
    let (living, mut outcome) = (living(py)?, Ok(()));
    let blocks: Vec<_> = living.with(py, |living| living.iter().copied().collect());
    for address in blocks {
        let block = std::ptr::with_exposed_provenance::<Block>(address);
        // SAFETY: a block is on the list from when it has its place until it is dropped, both with the interpreter's
        // lock held.
        let block = unsafe { &*block };
        let made = block.memory.with(py, |memory| match memory {
            Memory::Apart(apart) => apart.make_private(),
            Memory::View(_) | Memory::Private(_) => Ok(()),
        });
        match made {
            Ok(()) => drop(living.with(py, |living| living.remove(&address))),
            Err(error) => outcome = Err(raise(error)),
        }
    }
    outcome
}

impl Block {
    /// Keeps a message for a moment: nothing that lies on it stays.
    pub(super) fn passing(py: Python<'_>, mut memory: Memory) -> PyResult<Bound<'_, Self>> {
        let (at, len) = (memory.as_mut_ptr(), memory.len());
        Bound::new(py, Self { at, len, memory: Attached::new(memory) })
    }

    /// Keeps a message.
    pub(super) fn new(py: Python<'_>, memory: Memory) -> PyResult<Bound<'_, Self>> {
        let memory = memory.fit_for_forks();
        let is_shared = matches!(memory, Memory::Apart(_));
        let block = Self::passing(py, memory)?;
        if is_shared {
            let address = std::ptr::from_ref(block.get()).expose_provenance();
            living(py)?.with(py, |living| living.insert(address));
        }
        Ok(block)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let address = std::ptr::from_ref(self).addr();
        Python::attach(|py| {
            if let Some(living) = LIVING.get(py) {
                living.with(py, |living| living.remove(&address));
            }
        });
    }
}

#[pymethods]
impl Block {
    fn __len__(&self) -> usize {
        self.len
    }

    fn __repr__(&self) -> String {
        format!("<slipring block of {} bytes>", self.len)
    }

    /// # Safety
    ///
    /// As the buffer protocol has it: `view` is there to be filled.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let block = slf.get();
        // SAFETY: the memory stays as long as the block, of which the view takes a reference.
        unsafe { fill_view(slf.py(), view, slf.as_any(), (block.at, block.len), false, flags) }
    }
}

/// A part of a message's memory, with exactly its own extent. It keeps the whole.
#[pyclass(frozen, module = "slipring._native")]
pub struct Part {
    block: Py<Block>,
    range: Range<usize>,
    readonly: bool,
}

impl Part {
    /// Bytes of `block` in a range that is inside.
    pub(super) fn new<'py>(
        block: &Bound<'py, Block>,
        range: Range<usize>,
        readonly: bool,
    ) -> PyResult<Bound<'py, Self>> {
        assert!(range.start <= range.end && range.end <= block.get().len, "checked by the caller");
        Bound::new(block.py(), Self { block: block.clone().unbind(), range, readonly })
    }
}

#[pymethods]
impl Part {
    fn __len__(&self) -> usize {
        self.range.len()
    }

    fn __repr__(&self) -> String {
        format!("<slipring part of {} bytes>", self.range.len())
    }

    /// # Safety
    ///
    /// As the buffer protocol has it: `view` is there to be filled.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let part = slf.get();
        // SAFETY: the range is inside of the block's memory.
        let at = unsafe { part.block.get().at.add(part.range.start) };
        let memory = (at, part.range.len());
        // SAFETY: the memory stays as long as the block, which this keeps; the view takes a reference of this.
        unsafe { fill_view(slf.py(), view, slf.as_any(), memory, part.readonly, flags) }
    }
}

/// Fills `view` with memory of `owner`'s.
///
/// # Safety
///
/// `view` is there to be filled; so many bytes are there, and stay as long as `owner` does.
pub unsafe fn fill_view(
    py: Python<'_>,
    view: *mut ffi::Py_buffer,
    owner: &Bound<'_, PyAny>,
    (at, len): (*mut u8, usize),
    readonly: bool,
    flags: c_int,
) -> PyResult<()> {
    if view.is_null() {
        return Err(PyBufferError::new_err("there is no view to fill"));
    }
    let len = isize::try_from(len).map_err(|_| PyBufferError::new_err("it is too long"))?;
    // SAFETY: by the caller's word.
    let status = unsafe {
        let readonly = c_int::from(readonly);
        ffi::PyBuffer_FillInfo(view, owner.as_ptr(), at.cast(), len, readonly, flags)
    };
    if status == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
}
