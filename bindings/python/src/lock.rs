//! A lock that anybody may release, and that the death of its holder's process releases.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use slipring::{BoundedSemaphore, Result, Until};

use crate::acquired::{Acquired, acquired};
use crate::attached::Attached;
use crate::synchronized::{Holder, Inner, Late, Optional, make};
use crate::transfer::{Berths, Part};

/// A lock that is not recursive: it is one's that took it, until anybody, in any process, releases it.
///
/// Whoever has it and is killed leaves it to the next. With a name it is the lock of all programs that use that name.
///
/// >>> from slipring import Lock
/// >>> lock = Lock()
/// >>> with lock:
/// ...     lock.acquire(block=False)
/// False
#[pyclass(frozen, subclass, dict, weakref, module = "slipring.synchronize")]
pub struct Lock {
    pub inner: Late<Permit>,
}

acquired! {
    Lock, made of ticket;
    signature = (ticket=None, /, *, ctx=None, name=None);
    text_signature = "(*, ctx=None, name=None)";
    /// Takes the lock; returns whether it was to be had. A negative timeout is none at all.
    acquire;
    /// Gives the lock back, whoever took it.
    release;
    more {
        /// How often this process holds it: 0 or 1.
        fn _count(&self) -> u32 {
            self.inner.permit.held_here()
        }

        fn _is_mine(&self, py: Python<'_>) -> bool {
            self.inner.is_mine(py)
        }

        #[classattr]
        fn maxvalue() -> u32 {
            1
        }
    }
}

/// What a lock is: one permit, of the process that took it.
pub struct Permit {
    permit: BoundedSemaphore,
    /// The thread of this process that took it last.
    taker: Attached<usize>,
}

impl Permit {
    fn is_held_here(&self) -> bool {
        self.permit.held_here() > 0
    }

    /// Whether this thread took it last, and its process still holds it.
    pub fn is_mine(&self, py: Python<'_>) -> bool {
        self.is_held_here() && self.taker.with(py, |taker| *taker) == this_thread()
    }
}

impl Inner for Permit {
    fn made(py: Python<'_>, ticket: Optional<'_, '_>, name: Option<&str>) -> PyResult<Self> {
        let permit: BoundedSemaphore = make(py, ticket, name, || Ok(1), BoundedSemaphore::new)?;
        if permit.limit() != 1 {
            let text = "the name is that of a semaphore with more than one permit: open it as one";
            return Err(PyTypeError::new_err(text));
        }
        Ok(Self { permit, taker: Attached::new(0) })
    }
}

impl Acquired for Permit {
    #[inline]
    fn acquire_one(&self, until: Until) -> Result<()> {
        self.permit.acquire_until(until)
    }

    #[inline]
    fn taken(&self, py: Python<'_>) {
        self.taker.with(py, |taker| *taker = this_thread());
    }

    #[inline]
    fn release_one(&self) -> Result<()> {
        self.permit.release(1)
    }

    fn left(&self) -> u32 {
        self.permit.value()
    }

    fn text(&self, py: Python<'_>) -> PyResult<String> {
        let holder = match self.permit.value() {
            _ if self.is_mine(py) => Holder::Me,
            1 => Holder::Nobody,
            _ if self.is_held_here() => Holder::OtherThread,
            _ => Holder::OtherProcess,
        };
        Ok(format!("owner={}", holder.text(py)?))
    }

    fn give(&self, py: Python<'_>, berths: &Berths) -> PyResult<(usize, Vec<Part>)> {
        berths.give_one(py, &self.permit)
    }
}

/// What no other living thread of this process has.
#[inline]
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}
