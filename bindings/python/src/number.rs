//! Numbers in shared memory, read and written as ctypes does it and without it.

use std::ffi::c_int;
use std::ptr::NonNull;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::shared::Block;

/// A number at the beginning of a block.
pub struct Number {
    at: NonNull<u8>,
    kind: Kind,
    /// What keeps the memory.
    _block: Py<Block>,
}

// SAFETY: the memory is shared with other processes anyway, and is there as long as the block.
unsafe impl Send for Number {}
// SAFETY: as above.
unsafe impl Sync for Number {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F64,
}

/// What was read, or is to be written.
#[derive(Clone, Copy)]
pub enum Figure {
    /// Of a type with a sign; to be written, of any type of whole numbers.
    Signed(i64),
    /// Of a type without.
    Unsigned(u64),
    /// Of a floating point type.
    Double(f64),
}

impl Kind {
    /// What ctypes calls so.
    fn of(code: &str) -> Option<Self> {
        Some(match code {
            "b" => Self::I8,
            "B" => Self::U8,
            "h" => Self::I16,
            "H" => Self::U16,
            "i" => Self::I32,
            "I" => Self::U32,
            "l" | "q" => Self::I64,
            "L" | "Q" => Self::U64,
            "d" => Self::F64,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }
}

impl Number {
    /// The number that a ctypes object is, if it is of a type of ctypes' own, not a subclass, and lies in a block of ours.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let class = object.get_type();
        let Ok(block) = object.getattr("_wrapper") else { return Ok(None) };
        let Ok(block) = block.cast_into::<Block>() else { return Ok(None) };
        if class.module()?.to_str()? != "ctypes" {
            return Ok(None);
        }
        let Ok(code) = class.getattr("_type_")?.cast_into::<PyString>() else { return Ok(None) };
        let bytes = block.get().bytes();
        let at = NonNull::new(bytes.as_ptr()).filter(|at| at.cast::<u64>().is_aligned());
        let kind = Kind::of(code.to_str()?).filter(|kind| kind.size() <= bytes.byte_len());
        let found = kind.zip(at);
        Ok(found.map(|(kind, at)| Self { at, kind, _block: block.unbind() }))
    }

    /// The number.
    #[inline]
    pub fn read(&self) -> Figure {
        // SAFETY: so many bytes are there as long as the block, aligned; any bits are a number.
        // SAFETY: others may write meanwhile, as they may where ctypes reads: the lock around it is theirs to take.
        unsafe {
            match self.kind {
                Kind::I8 => Figure::Signed(self.at.cast::<i8>().read_volatile().into()),
                Kind::U8 => Figure::Unsigned(self.at.read_volatile().into()),
                Kind::I16 => Figure::Signed(self.at.cast::<i16>().read_volatile().into()),
                Kind::U16 => Figure::Unsigned(self.at.cast::<u16>().read_volatile().into()),
                Kind::I32 => Figure::Signed(self.at.cast::<i32>().read_volatile().into()),
                Kind::U32 => Figure::Unsigned(self.at.cast::<u32>().read_volatile().into()),
                Kind::I64 => Figure::Signed(self.at.cast::<i64>().read_volatile()),
                Kind::U64 => Figure::Unsigned(self.at.cast::<u64>().read_volatile()),
                Kind::F64 => Figure::Double(self.at.cast::<f64>().read_volatile()),
            }
        }
    }

    /// Writes the number; of a whole one as many bytes as there is room for, as ctypes does.
    #[inline]
    pub fn write(&self, figure: Figure) {
        let bits = match figure {
            Figure::Signed(number) => number.cast_unsigned(),
            Figure::Unsigned(number) => number,
            Figure::Double(number) => number.to_bits(),
        };
        // SAFETY: as in `read`.
        unsafe {
            match self.kind.size() {
                1 => self.at.write_volatile(bits as u8),
                2 => self.at.cast::<u16>().write_volatile(bits as u16),
                4 => self.at.cast::<u32>().write_volatile(bits as u32),
                _ => self.at.cast::<u64>().write_volatile(bits),
            }
        }
    }

    /// A value as it is to be written, if it is exactly of the class that fits: of others ctypes knows what to say.
    ///
    /// # Safety
    ///
    /// The interpreter has called this thread; the value is null or an object.
    #[inline]
    pub unsafe fn fit(&self, value: *mut PyObject) -> Option<Figure> {
        // SAFETY: by the caller's word.
        unsafe {
            if value.is_null() {
                return None;
            }
            if self.kind == Kind::F64 {
                let is_exact = ffi::PyFloat_CheckExact(value) != 0;
                return is_exact.then(|| Figure::Double(ffi::PyFloat_AsDouble(value)));
            }
            if ffi::PyLong_CheckExact(value) == 0 {
                return None;
            }
            let mut overflow: c_int = 0;
            let number = ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow);
            (overflow == 0).then_some(Figure::Signed(number))
        }
    }
}

impl Figure {
    /// A new object.
    ///
    /// # Safety
    ///
    /// The interpreter has called this thread.
    #[inline]
    pub unsafe fn into_object(self) -> *mut PyObject {
        // SAFETY: by the caller's word.
        unsafe {
            match self {
                Self::Signed(number) => ffi::PyLong_FromLongLong(number),
                Self::Unsigned(number) => ffi::PyLong_FromUnsignedLongLong(number),
                Self::Double(number) => ffi::PyFloat_FromDouble(number),
            }
        }
    }
}
