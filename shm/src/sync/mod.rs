//! Locks and signals that processes share.
//!
//! Each type is a handle of an object in a segment. A handle is made where the object is made, cloned for another
//! thread, and copied by `fork`; the object ends with its last handle. Nobody's death leaves the others waiting: they
//! look who is dead at least every 50 ms while they wait, and a living process is never robbed of a lock.
//!
//! | file | what it holds | when a process dies |
//! |---|---|---|
//! | `mutex.rs`, `guard.rs` | [`Mutex`]: a lock around a value | its lock goes to the next, who is told |
//! | `reentrant.rs` | [`ReentrantMutex`]: a lock that a thread may take again | the same |
//! | `semaphore.rs` | [`Semaphore`]: permits as counts and signals, nobody's | nothing: what it acquired is gone |
//! | `bounded_semaphore.rs` | [`BoundedSemaphore`]: permits as places, with holders | those it holds come back |
//! | `event.rs` | [`Event`]: a flag to wait for | nothing |
//! | `condvar.rs` | [`Condvar`]: wait with a lock open | others may return without a notification |
//! | `barrier.rs` | [`Barrier`]: wait until all are there | the barrier breaks, if it has been at it |
//! | `reopen.rs`, `meet.rs` | what a condition and a barrier do, here and in [`local`](crate::local) | |
//! | `lock_error.rs` | [`LockError`]: how one is told | |
//! | `typed_lock.rs` | the lock of a [`Mutex`], and of a value or an array, and who holds it | |
//! | `words.rs` | what all handles have in common | |
//! | `watched.rs` | when a lock or signal is ready, for those who watch it | |
//! | `kinds.rs` | what a death does to each kind, and what observers are told of it | |
//! | `testing.rs` | what the unit tests share | |
//!
//! # Fork
//!
//! Handles work in the child. A guard that the fork copied holds nothing there: the lock stays the parent's, and
//! dropping the copy does nothing. Every operation gives [`Error::Forked`](crate::Error::Forked) in a child for which
//! no place in the segment was to be had.

mod barrier;
mod bounded_semaphore;
mod condvar;
mod event;
mod guard;
mod kinds;
pub(crate) mod lock_error;
pub(crate) mod meet;
mod mutex;
pub(crate) mod reentrant;
pub(crate) mod reopen;
mod semaphore;
mod typed_lock;
mod watched;
mod words;

pub use barrier::{Arrival, Barrier};
pub use bounded_semaphore::BoundedSemaphore;
pub use condvar::{Condvar, Release, Waiting};
pub use event::{Event, Moment};
pub use guard::Guard;
pub(crate) use kinds::{
    BarrierKind, BoundedSemaphoreKind, CondvarKind, EventKind, MutexKind, ReentrantMutexKind,
    SemaphoreKind,
};
pub use lock_error::{LockError, LockResult, OrRecover};
pub use meet::BarrierTurn;
pub use mutex::Mutex;
pub use reentrant::{ReentrantGuard, ReentrantMutex};
pub use reopen::Reopen;
pub use semaphore::Semaphore;

pub(crate) use lock_error::told;
pub(crate) use typed_lock::{Hold, Locking, TypedLock};
pub(crate) use words::Words;

use bytemuck::Pod;

use crate::member::ticket::named;
use crate::travel::parcel::enclosed::transfer;

transfer! {
    (T: Pod) Mutex<T>, Mutex, Mutex::handle, Mutex::from_handle;
    () ReentrantMutex, ReentrantMutex, ReentrantMutex::handle, ReentrantMutex::from_handle;
    () Semaphore, Semaphore, Semaphore::handle, Semaphore::from_handle;
    () BoundedSemaphore, BoundedSemaphore, BoundedSemaphore::handle, BoundedSemaphore::from_handle;
    () Event, Event, Event::handle, Event::from_handle;
    () Condvar, Condvar, Condvar::handle, Condvar::from_handle;
    () Barrier, Barrier, Barrier::handle, Barrier::from_handle;
}

#[cfg(test)]
pub(crate) mod testing;

named! {
    (T: Pod) Mutex<T>, Mutex, First, T, |segment, value| Mutex::new(segment, *value), Mutex::from_handle;
    () ReentrantMutex, ReentrantMutex, First, (), |segment, ()| ReentrantMutex::new(segment),
        ReentrantMutex::from_handle;
    () Semaphore, Semaphore, First, u32, |segment, permits| Semaphore::new(segment, *permits),
        Semaphore::from_handle;
    () BoundedSemaphore, BoundedSemaphore, First, u32, |segment, permits| BoundedSemaphore::new(segment, *permits),
        BoundedSemaphore::from_handle;
    () Event, Event, First, (), |segment, ()| Event::new(segment), Event::from_handle;
    () Condvar, Condvar, First, (), |segment, ()| Condvar::new(segment), Condvar::from_handle;
    () Barrier, Barrier, First, u32, |segment, parties| Barrier::new(segment, *parties), Barrier::from_handle;
}
