//! Handles of the engine for several threads, and for a fork in the middle of it.
//!
//! A handle of the engine is one thread's. A Python object is all threads': it keeps one handle *at hand*, for calls that do
//! not wait and so keep the interpreter's lock, and lends others to threads that give up the interpreter's lock and wait.
//! What is lent stays known here: a child that is forked meanwhile has copies that no thread of its own will bring back, and
//! which count all the same. So it gives them up when it closes the object.

use std::cell::Cell;
use std::ptr::NonNull;

use pyo3::prelude::*;
use slipring::{Error, PipeReader, PipeWriter, Result, Until};

use crate::attached::Attached;
use crate::blocking::{self, Deadline};
use crate::error::raise;

/// A handle of which a process may have several.
pub trait Handle: Sized + Send {
    /// Another handle of the same thing.
    fn another(&self) -> Result<Self>;

    /// Gives up the copy of a handle that a thread of the parent uses.
    ///
    /// # Safety
    ///
    /// This is a forked child; `this` was lent to another thread than the one that forked, and is not used any more nor
    /// dropped when this returns.
    unsafe fn abandon(this: *mut Self);
}

impl Handle for PipeReader {
    fn another(&self) -> Result<Self> {
        self.try_clone()
    }

    unsafe fn abandon(this: *mut Self) {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::abandon(this) }
    }
}

impl Handle for PipeWriter {
    fn another(&self) -> Result<Self> {
        self.try_clone()
    }

    unsafe fn abandon(this: *mut Self) {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::abandon(this) }
    }
}

/// The handles that a Python object has of one thing. Closed when it is dropped.
pub struct Handles<H: Handle> {
    at_hand: Option<H>,
    idle: Vec<Box<H>>,
    lent: Vec<Lent<H>>,
}

/// A handle that a thread has.
struct Lent<H> {
    handle: NonNull<H>,
    thread: u64,
    process: u32,
}

// SAFETY: what it points to is a handle, which may go to another thread; who uses it when is settled by `Handles`.
unsafe impl<H: Send> Send for Lent<H> {}

impl<H: Handle> Handles<H> {
    /// Handles like this one.
    pub fn new(handle: H) -> Self {
        Self { at_hand: Some(handle), idle: Vec::new(), lent: Vec::new() }
    }

    /// None: closed from the start.
    pub fn none() -> Self {
        Self { at_hand: None, idle: Vec::new(), lent: Vec::new() }
    }

    /// The handle for calls that do not wait. None where this was closed.
    #[inline]
    pub fn at_hand(&mut self) -> Option<&mut H> {
        self.at_hand.as_mut()
    }

    /// Closes it: only what other threads of this process have stays until they bring it back.
    pub fn close(&mut self) {
        self.at_hand = None;
        self.idle.clear();
        let (me, process) = (thread(), std::process::id());
        self.lent.retain(|lent| {
            let is_ours = lent.process == process || lent.thread == me;
            if !is_ours {
                // SAFETY: lent in another process, of which this is a child, and not to the thread that forked: that
                // one is `me` or has brought it back, for it cannot come here while it waits.
                // SAFETY: it leaves the list, and is a box that was leaked for the time of the loan.
                unsafe { H::abandon(lent.handle.as_ptr()) };
            }
            is_ours
        });
    }

    /// A handle for a thread that is to wait, which brings it back. None where this was closed.
    fn lend(&mut self) -> Option<Result<Loaned<H>>> {
        let handle = match self.idle.pop() {
            Some(handle) => handle,
            None => match self.at_hand.as_ref()?.another() {
                Ok(handle) => Box::new(handle),
                Err(error) => return Some(Err(error)),
            },
        };
        let handle = NonNull::from(Box::leak(handle));
        self.lent.push(Lent { handle, thread: thread(), process: std::process::id() });
        Some(Ok(Loaned(handle)))
    }

    /// Takes back what was lent.
    fn bring_back(&mut self, loaned: Loaned<H>) {
        self.lent.retain(|lent| lent.handle != loaned.0);
        // SAFETY: leaked by `lend`, and nobody has it any more.
        let handle = unsafe { Box::from_raw(loaned.0.as_ptr()) };
        if self.at_hand.is_some() {
            self.idle.push(handle);
        }
    }
}

impl<H: Handle> Drop for Handles<H> {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a thread has until it brings it back.
struct Loaned<H>(NonNull<H>);

// SAFETY: a handle may go to another thread.
unsafe impl<H: Send> Send for Loaned<H> {}

impl<H> Loaned<H> {
    fn get(&mut self) -> &mut H {
        // SAFETY: a box that was leaked for this loan, which one thread has.
        unsafe { self.0.as_mut() }
    }
}

/// Calls `attempt` with a handle of this thread's, without the interpreter's lock, as [`blocking::wait`] does: what it says in
/// the end, None when the deadline has passed. Where the object was closed, before or meanwhile, the outcome is `closed`'s.
pub fn wait<H: Handle, T: Send>(
    py: Python<'_>,
    handles: &Attached<Handles<H>>,
    deadline: Deadline,
    closed: impl Fn() -> PyErr,
    mut attempt: impl FnMut(&mut H, Until) -> Result<T> + Send,
) -> PyResult<Option<Result<T>>> {
    let loaned = handles.with(py, Handles::lend);
    let mut loaned = loaned.ok_or_else(&closed)?.map_err(raise)?;
    let still_open = |py: Python<'_>| {
        let open = handles.with(py, |handles| handles.at_hand.is_some());
        if open { Ok(()) } else { Err(closed()) }
    };
    let outcome = blocking::wait_while(py, deadline, still_open, |until| {
        match attempt(loaned.get(), until) {
            Err(again @ (Error::TimedOut | Error::WouldBlock | Error::Interrupted)) => Err(again),
            // An error, too, is what is waited for; the caller knows what it means.
            outcome => Ok(outcome),
        }
    });
    handles.with(py, |handles| handles.bring_back(loaned));
    outcome
}

/// A number that no other thread of this process has or had, nor one of the process that it was forked from. The thread
/// that forks keeps its own in the child.
fn thread() -> u64 {
    thread_local!(static NUMBER: Cell<u64> = const { Cell::new(0) });
    static LAST: std::sync::Mutex<u64> = std::sync::Mutex::new(0);
    NUMBER.with(|number| {
        if number.get() == 0 {
            // Taken with the interpreter's lock held, and so never during a fork.
            let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *last += 1;
            number.set(*last);
        }
        number.get()
    })
}
