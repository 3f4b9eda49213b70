//! What an error of the engine is in Python: the exception that `multiprocessing` raises for it, where it has one.

use pyo3::exceptions::{
    PyBrokenPipeError, PyEOFError, PyFileExistsError, PyFileNotFoundError, PyMemoryError,
    PyOSError, PyPermissionError, PyRuntimeError, PyTimeoutError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::{create_exception, import_exception};
use slipring::Error;

import_exception!(threading, BrokenBarrierError);

create_exception!(
    slipring,
    SegmentError,
    PyOSError,
    "A segment of shared memory cannot be used: it is damaged, foreign or of another version."
);

/// The exception that `error` is.
#[cold]
pub fn raise(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Disconnected => PyBrokenPipeError::new_err(text),
        Error::Closed => PyOSError::new_err(text),
        Error::TimedOut | Error::WouldBlock => PyTimeoutError::new_err(text),
        Error::NoSpace { .. }
        | Error::NoBlock { .. }
        | Error::NoPlace { .. }
        | Error::Budget { .. } => PyMemoryError::new_err(text),
        Error::Capacity { .. }
        | Error::TooLong { .. }
        | Error::OverLimit { .. }
        | Error::LeaseEnded
        | Error::NotYourLease
        | Error::BadName { .. } => PyValueError::new_err(text),
        Error::NameTaken { .. } => PyFileExistsError::new_err(text),
        Error::NoSuchName { .. } => PyFileNotFoundError::new_err(text),
        Error::NotPermitted { .. } | Error::ForeignOwner { .. } => PyPermissionError::new_err(text),
        Error::TypeMismatch { .. }
        | Error::WrongKind { .. }
        | Error::Decode(_)
        | Error::Encode(_) => PyTypeError::new_err(text),
        Error::NotHeld => PyRuntimeError::new_err(text),
        Error::NotInherited(_) | Error::Forked | Error::ForeignLoan | Error::NoRuntime => {
            PyRuntimeError::new_err(text)
        }
        Error::BrokenBarrier => BrokenBarrierError::new_err(text),
        Error::Io { op, source } => io_error(op, source),
        Error::CannotWatch { source } => io_error("watch a segment", source),
        Error::NoNames { source, .. } => match source.raw_os_error() {
            Some(code) => PyOSError::new_err((code, text)),
            None => PyOSError::new_err(text),
        },
        Error::NotASegment { .. }
        | Error::Truncated { .. }
        | Error::NotEmpty { .. }
        | Error::AbiVersion { .. }
        | Error::Layout { .. }
        | Error::HalfMade { .. }
        | Error::Failed
        | Error::UnsupportedCpu
        | Error::NoProc
        | Error::Corrupt { .. }
        | Error::TooManyParticipants { .. }
        | Error::TooManyObjects
        | Error::TooManyHandles
        | Error::SideInUse
        | Error::TooManyLeases { .. }
        | Error::NoSuchObject => SegmentError::new_err(text),
        Error::Interrupted => PyOSError::new_err((EINTR, text)),
        Error::DescriptorsClosed => PyOSError::new_err((EBADF, text)),
        // What the engine may say one day.
        _ => PyRuntimeError::new_err(text),
    }
}

/// As [`raise`], where the other side being gone is the end of what can be received.
#[cold]
pub fn raise_received(error: Error) -> PyErr {
    match error {
        Error::Disconnected => PyEOFError::new_err(()),
        other => raise(other),
    }
}

fn io_error(op: &str, source: std::io::Error) -> PyErr {
    match source.raw_os_error() {
        // With a number it is the subclass of OSError that the number stands for.
        Some(code) => PyOSError::new_err((code, format!("cannot {op}: {source}"))),
        None => PyOSError::new_err(format!("cannot {op}: {source}")),
    }
}

/// The number of "interrupted system call" on Linux.
const EINTR: i32 = 4;
/// The number of "bad file descriptor" on Linux.
const EBADF: i32 = 9;
