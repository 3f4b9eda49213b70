//! What the classes of locks and signals have in common: how they are made, and how they get into a pickle.

use std::ops::Deref;
use std::sync::OnceLock;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use slipring::handoff::Transfer;
use slipring::{Name, Named, Result, Segment};

use crate::error::raise;
use crate::family;
use crate::transfer::ticket;

/// The most that a semaphore can have, as in `multiprocessing`.
pub const SEM_VALUE_MAX: u32 = i32::MAX as u32;
/// "Invalid argument" on Linux: what `multiprocessing` says of a semaphore's value that cannot be.
const EINVAL: i32 = 22;

/// An argument that may be left out, and is looked at only where it has to be.
pub type Optional<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Makes an object: the one that a ticket stands for, where `argument` is one; the one that has a name, which is made
/// where there is none yet; or a new one in the family's segment.
pub fn make<T>(
    py: Python<'_>,
    argument: Optional<'_, '_>,
    name: Option<&str>,
    options: impl FnOnce() -> PyResult<T::Options>,
    in_family: impl FnOnce(&Segment, T::Options) -> Result<T>,
) -> PyResult<T>
where
    T: Named + Transfer + Send,
    T::Options: Send,
{
    if let Some(ticket) = ticket(argument) {
        return ticket.get().take(py);
    }
    let options = options()?;
    let Some(name) = name else {
        return in_family(family::segment(py)?, options).map_err(raise);
    };
    let object = py.detach(|| T::open_or_create(Name::new(name), options)).map_err(raise)?;
    object.segment().set_interruptible(true);
    Ok(object)
}

/// What is inside of an object of a class here.
pub trait Inner: Sized {
    /// Of the first argument of `__init__`, or a ticket in its place, and of a name.
    fn made(py: Python<'_>, first: Optional<'_, '_>, name: Option<&str>) -> PyResult<Self>;
}

/// What is inside of an object, with its name, from its `__init__` on: subclasses have arguments of their own for
/// `__new__`.
///
/// Of an object that is used without, it is what is made of no arguments.
pub struct Late<T>(OnceLock<(T, Option<String>)>);

impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T: Inner> Late<T> {
    /// Of what `__new__` was given: a ticket, or what is for `__init__`.
    pub fn new(args: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let late = Self::default();
        let first = args.get_item(0).ok();
        if ticket(first.as_ref()).is_some() {
            late.init(args.py(), first.as_ref(), None)?;
        }
        Ok(late)
    }

    /// In `__init__`. What was made stays.
    pub fn init(
        &self,
        py: Python<'_>,
        first: Optional<'_, '_>,
        name: Option<String>,
    ) -> PyResult<()> {
        self.init_with(name, |name| T::made(py, first, name))
    }

    /// The same, where it takes more to make it.
    pub fn init_with(
        &self,
        name: Option<String>,
        make: impl FnOnce(Option<&str>) -> PyResult<T>,
    ) -> PyResult<()> {
        if self.0.get().is_none() {
            let _ = self.0.set((make(name.as_deref())?, name));
        }
        Ok(())
    }

    /// Where `__init__` was not called, makes what it is then: of no arguments.
    #[inline]
    pub fn ensure(&self, py: Python<'_>) -> PyResult<()> {
        if self.0.get().is_some() { Ok(()) } else { self.init(py, None, None) }
    }

    /// What is inside, once it was made.
    #[inline]
    pub fn made(&self) -> Option<&T> {
        self.0.get().map(|(inner, _)| inner)
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.get().1.as_deref()
    }

    #[inline]
    fn get(&self) -> &(T, Option<String>) {
        self.0.get().unwrap_or_else(|| self.plain())
    }

    #[cold]
    fn plain(&self) -> &(T, Option<String>) {
        let inner = Python::attach(|py| T::made(py, None, None));
        let inner = inner.unwrap_or_else(|error| panic!("an object without __init__: {error}"));
        self.0.get_or_init(|| (inner, None))
    }
}

impl<T: Inner> Deref for Late<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.get().0
    }
}

/// A timeout in seconds: `None` is none.
pub fn seconds(timeout: Optional<'_, '_>) -> PyResult<Option<f64>> {
    match timeout {
        Some(timeout) if !timeout.is_none() => timeout.extract().map(Some),
        _ => Ok(None),
    }
}

/// How many permits a semaphore begins with.
pub fn permits(value: Optional<'_, '_>) -> PyResult<u32> {
    let Some(value) = value else { return Ok(1) };
    // What is no whole number is a TypeError, and what is none of ours the error that the kernel gives.
    let number = value.extract::<i64>().or_else(|error| {
        let is_too_large = error.is_instance_of::<pyo3::exceptions::PyOverflowError>(value.py());
        if is_too_large { Ok(-1) } else { Err(error) }
    })?;
    u32::try_from(number).ok().filter(|value| *value <= SEM_VALUE_MAX).ok_or_else(|| {
        let text = format!("a semaphore begins with 0 to {SEM_VALUE_MAX} permits, not {value}");
        PyOSError::new_err((EINVAL, text))
    })
}

/// How an object gets into a pickle: by its name, or while a process is being started. `args` are what its class takes
/// to make it by name.
pub fn reduce<'py>(
    object: &Bound<'py, PyAny>,
    args: Vec<u32>,
    name: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let module = object.py().import("slipring.synchronize")?;
    module.getattr("_reduce")?.call1((object, args, name))
}

/// Who has a lock, in `multiprocessing`'s words.
pub enum Holder {
    /// This thread.
    Me,
    /// Nobody.
    Nobody,
    /// Somebody else in this process.
    OtherThread,
    /// Somebody in another process.
    OtherProcess,
}

impl Holder {
    /// How it is written.
    pub fn text(&self, py: Python<'_>) -> PyResult<String> {
        Ok(match self {
            Self::Me => {
                let process = py.import("multiprocessing.process")?;
                let name = process.call_method0("current_process")?.getattr("name")?;
                let thread = py.import("threading")?.call_method0("current_thread")?;
                match thread.getattr("name")?.to_string().as_str() {
                    "MainThread" => name.to_string(),
                    thread => format!("{name}|{thread}"),
                }
            }
            Self::Nobody => "None".into(),
            Self::OtherThread => "SomeOtherThread".into(),
            Self::OtherProcess => "SomeOtherProcess".into(),
        })
    }
}
