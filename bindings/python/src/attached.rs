//! State that is only touched with the interpreter's lock held, and needs no lock of its own.

use std::cell::{Cell, UnsafeCell};

use pyo3::Python;

/// A value that whoever holds the interpreter's lock may change.
///
/// After a fork the child finds it as it was: the fork happens with the interpreter's lock held, so nobody is in the
/// middle of a change.
pub struct Attached<T> {
    value: UnsafeCell<T>,
    busy: Cell<bool>,
}

// SAFETY: value and flag are reached through a `Python` token only, which one thread has at a time; so that thread may
// be another one than the one that made the value, which asks for `Send`.
unsafe impl<T: Send> Sync for Attached<T> {}

impl<T> Attached<T> {
    /// A value to be shared.
    pub fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), busy: Cell::new(false) }
    }

    /// Calls `f` with the value. `f` must not run Python code, which could come back here, nor give up the
    /// interpreter's lock.
    ///
    /// # Panics
    ///
    /// If `f` comes back here all the same.
    #[inline]
    pub fn with<R>(&self, _py: Python<'_>, f: impl FnOnce(&mut T) -> R) -> R {
        assert!(!self.busy.replace(true), "state is in use by a caller further up");
        let _idle = Idle(&self.busy);
        // SAFETY: the token says that no other thread is here, and the flag that no caller further up is.
        f(unsafe { &mut *self.value.get() })
    }
}

/// Says when it is dropped that nobody uses the value any more.
struct Idle<'a>(&'a Cell<bool>);

impl Drop for Idle<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.set(false);
    }
}
