//! The handles that C has: numbers into a table, so that any number at all can be looked at. A number is never used again
//! for another object: one that was closed, or that nobody ever gave out, is an error.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use slipring::{
    Barrier, BoundedSemaphore, ByteReceiver, ByteSender, Condvar, Event, Loan, PipeReader,
    PipeWriter, ReentrantMutex, Segment, Semaphore, View,
};

use crate::status::slipring_status;
use crate::status::{Failure, Outcome};

/// A handle. 0 is none. Each must be given back with slipring_close, once.
#[allow(non_camel_case_types)]
pub type slipring_handle = u64;

/// Messages come from here: a queue's receiver, a pipe's reading half; and one that did not fit its caller's buffer.
pub(crate) struct Source<R> {
    pub(crate) from: R,
    pub(crate) pending: Option<View>,
}

impl<R> Source<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, pending: None }
    }
}

/// What a handle is of.
pub(crate) enum Object {
    Segment(Segment),
    Sender(Mutex<ByteSender>),
    Receiver(Mutex<Source<ByteReceiver>>),
    /// An end of a pipe; of a one-way pipe only one half.
    Pipe {
        reader: Option<Box<Mutex<Source<PipeReader>>>>,
        writer: Option<Box<Mutex<PipeWriter>>>,
    },
    Lock(slipring::Mutex<()>),
    ReentrantLock(ReentrantMutex),
    Semaphore(Semaphore),
    BoundedSemaphore(BoundedSemaphore),
    Event(Event),
    Condvar(Condvar),
    Barrier(Barrier),
    View(#[expect(dead_code, reason = "it is kept, and then dropped")] View),
    Loan(Mutex<Option<Loan>>),
}

impl Object {
    fn name(&self) -> &'static str {
        match self {
            Self::Segment(_) => "segment",
            Self::Sender(_) => "sender",
            Self::Receiver(_) => "receiver",
            Self::Pipe { .. } => "end of a pipe",
            Self::Lock(_) => "mutex",
            Self::ReentrantLock(_) => "reentrant mutex",
            Self::Semaphore(_) => "semaphore",
            Self::BoundedSemaphore(_) => "bounded semaphore",
            Self::Event(_) => "event",
            Self::Condvar(_) => "condition variable",
            Self::Barrier(_) => "barrier",
            Self::View(_) => "view of a message",
            Self::Loan(_) => "loan",
        }
    }

    /// The failure of a call that needs something else.
    pub(crate) fn is_no(&self, wanted: &str) -> Failure {
        let text = format!("the handle is of a {}, and a {wanted} is wanted", self.name());
        Failure::with(slipring_status::SLIPRING_E_KIND, text)
    }
}

/// A place of the table. Its generation is in the handles that name it.
struct Place {
    generation: u32,
    object: Option<Arc<Object>>,
}

/// Under the lock: the list, and its memory. An object is made before and dropped after: that may wait.
static TABLE: RwLock<Vec<Place>> = RwLock::new(Vec::new());

/// Gives out a handle.
pub(crate) fn insert(object: Object) -> slipring_handle {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let object = Some(Arc::new(object));
    // A place whose generations are used up is left alone.
    let free = table.iter().position(|place| place.object.is_none() && place.generation < u32::MAX);
    let index = free.unwrap_or(table.len());
    match table.get_mut(index) {
        Some(place) => {
            place.generation += 1;
            place.object = object;
        }
        None => table.push(Place { generation: 1, object }),
    }
    u64::from(table[index].generation) << 32 | index as u64
}

/// What a handle is of.
pub(crate) fn get(handle: slipring_handle) -> Outcome<Arc<Object>> {
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    let place = table.get(handle as u32 as usize);
    let place = place.filter(|place| u64::from(place.generation) == handle >> 32);
    place
        .and_then(|place| place.object.clone())
        .ok_or(Failure::new(slipring_status::SLIPRING_E_HANDLE))
}

/// Takes a handle back. A call that is under way in another thread ends as if it had not been.
pub(crate) fn remove(handle: slipring_handle) -> Outcome<Arc<Object>> {
    let object = get(handle)?;
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let place = &mut table[handle as u32 as usize];
    // Closed by another thread in between.
    if u64::from(place.generation) != handle >> 32 || place.object.take().is_none() {
        return Err(Failure::new(slipring_status::SLIPRING_E_HANDLE));
    }
    Ok(object)
}

/// State for one thread at a time, out of the way of smaller ones.
pub(crate) fn boxed<T>(state: T) -> Box<Mutex<T>> {
    Box::new(Mutex::new(state))
}

/// The handle's own state, for one thread at a time.
pub(crate) fn alone<T>(state: &Mutex<T>) -> Outcome<MutexGuard<'_, T>> {
    match state.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(Failure::new(slipring_status::SLIPRING_E_BUSY)),
    }
}
