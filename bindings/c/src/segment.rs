//! Segments, and what can be done with every handle.

use std::ffi::c_int;
use std::os::fd::{BorrowedFd, IntoRawFd};

use slipring::{Named, Segment, SegmentOptions};

use crate::args::{need, put};
use crate::status::slipring_status;
use crate::status::{Failure, Outcome, call};
use crate::table::{self, Object, Source, alone, boxed, slipring_handle};

/// A new segment without a name. `reserve` is address space in bytes, 0 for the default of 128 GiB; `budget` the most bytes of
/// memory that it may take, 0 for no limit but the machine's. Its handle goes to `*out`.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_segment_create(
    reserve: u64,
    budget: u64,
    out: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        let mut options = SegmentOptions::new();
        if reserve != 0 {
            options = options.reserve(reserve);
        }
        if budget != 0 {
            options = options.budget(budget);
        }
        let segment = Segment::with(options)?;
        // SAFETY: by the caller's word.
        unsafe { put(out, table::insert(Object::Segment(segment))) }
    })
}

/// Takes part in the segment that `fd` is a descriptor of. The descriptor stays the caller's.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_segment_from_fd(
    fd: c_int,
    out: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        if fd < 0 {
            return Err(Failure::with(
                slipring_status::SLIPRING_E_INVALID,
                format!("{fd} is no descriptor"),
            ));
        }
        // SAFETY: a number that is not -1. One that is closed gives an error of the kernel's; it is only borrowed.
        let segment = Segment::from_fd(unsafe { BorrowedFd::borrow_raw(fd) })?;
        // SAFETY: by the caller's word.
        unsafe { put(out, table::insert(Object::Segment(segment))) }
    })
}

/// A new descriptor of a segment, close-on-exec, for another process. It is the caller's to close.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_segment_share_fd(
    segment: slipring_handle,
    out: *mut c_int,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        let fd = of_segment(segment, Segment::share_fd)??;
        // SAFETY: by the caller's word.
        unsafe { put(out, fd.into_raw_fd()) }
    })
}

/// Looks for processes that died and repairs what they left; how many there were goes to `*out`, which may be NULL. Blocked
/// calls do this by themselves: nobody has to call it.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_segment_reap(
    segment: slipring_handle,
    out: *mut u64,
) -> slipring_status {
    call(|| {
        let count = of_segment(segment, Segment::reap)? as u64;
        // SAFETY: by the caller's word.
        if out.is_null() { Ok(()) } else { unsafe { put(out, count) } }
    })
}

/// Whether a signal handler that ran ends this process's blocked calls with SLIPRING_E_INTERRUPTED, in all objects of the
/// segment: `on` 1 or 0. It is 0 at first: calls go on, whatever handlers run. Where it is 1 a handler ends the call whether
/// it was installed with SA_RESTART or not. For the objects of a name, ask slipring_segment_of for their segment.
///
/// A call is ended while it sleeps. A handler that runs just before goes unnoticed, as with pause(): where that matters, give
/// the call a timeout, look at what the handler left, and call again.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_segment_set_interruptible(
    segment: slipring_handle,
    on: u32,
) -> slipring_status {
    call(|| of_segment(segment, |segment| segment.set_interruptible(on != 0)))
}

/// The segment that an object is in, to `*out`: also of one that was opened by its name, or inherited. Any handle will do but
/// those of views and loans. Give it back with slipring_close; the object stays.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_segment_of(
    handle: slipring_handle,
    out: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        let segment = segment_of(&*table::get(handle)?)?;
        // SAFETY: by the caller's word.
        unsafe { put(out, table::insert(Object::Segment(segment))) }
    })
}

fn segment_of(object: &Object) -> Outcome<Segment> {
    Ok(match object {
        Object::Segment(segment) => segment.clone(),
        Object::Sender(sender) => alone(sender)?.segment(),
        Object::Receiver(receiver) => alone(receiver)?.from.segment(),
        Object::Pipe { reader: Some(reader), .. } => alone(reader)?.from.segment(),
        Object::Pipe { writer: Some(writer), .. } => alone(writer)?.segment(),
        Object::Lock(lock) => lock.segment(),
        Object::ReentrantLock(lock) => lock.segment(),
        Object::Semaphore(semaphore) => semaphore.segment(),
        Object::BoundedSemaphore(semaphore) => semaphore.segment(),
        Object::Event(event) => event.segment(),
        Object::Condvar(condvar) => condvar.segment(),
        Object::Barrier(barrier) => barrier.segment(),
        Object::Pipe { .. } | Object::View(_) | Object::Loan(_) => {
            return Err(object.is_no("segment or an object in one"));
        }
    })
}

/// Gives the memory of long messages that were received back to the machine at once; about how many bytes that were goes to
/// `*out`, which may be NULL. All but a small reserve goes back by itself within a second.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_segment_trim(
    segment: slipring_handle,
    out: *mut u64,
) -> slipring_status {
    call(|| {
        let bytes = of_segment(segment, Segment::trim)??;
        // SAFETY: by the caller's word.
        if out.is_null() { Ok(()) } else { unsafe { put(out, bytes) } }
    })
}

/// Runs `f` on the segment that a handle is of.
pub(crate) fn of_segment<R>(handle: slipring_handle, f: impl FnOnce(&Segment) -> R) -> Outcome<R> {
    match &*table::get(handle)? {
        Object::Segment(segment) => Ok(f(segment)),
        other => Err(other.is_no("segment")),
    }
}

/// Gives any handle back. A loan that was not sent, and a message that is looked at, go with theirs.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_close(handle: slipring_handle) -> slipring_status {
    call(|| table::remove(handle).map(drop))
}

/// Another handle of the same object, for another thread. Views and loans have one handle only.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_clone(
    handle: slipring_handle,
    out: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        let copy = copy_of(&*table::get(handle)?)?;
        // SAFETY: by the caller's word.
        unsafe { put(out, table::insert(copy)) }
    })
}

fn copy_of(object: &Object) -> Outcome<Object> {
    Ok(match object {
        Object::Segment(segment) => Object::Segment(segment.clone()),
        Object::Sender(sender) => Object::Sender(alone(sender)?.try_clone()?.into()),
        Object::Receiver(receiver) => {
            Object::Receiver(Source::new(alone(receiver)?.from.try_clone()?).into())
        }
        Object::Pipe { reader, writer } => {
            let reader = match reader {
                Some(reader) => Some(boxed(Source::new(alone(reader)?.from.try_clone()?))),
                None => None,
            };
            let writer = match writer {
                Some(writer) => Some(boxed(alone(writer)?.try_clone()?)),
                None => None,
            };
            Object::Pipe { reader, writer }
        }
        Object::Lock(lock) => Object::Lock(lock.clone()),
        Object::ReentrantLock(lock) => Object::ReentrantLock(lock.clone()),
        Object::Semaphore(semaphore) => Object::Semaphore(semaphore.clone()),
        Object::BoundedSemaphore(semaphore) => Object::BoundedSemaphore(semaphore.clone()),
        Object::Event(event) => Object::Event(event.clone()),
        Object::Condvar(condvar) => Object::Condvar(condvar.clone()),
        Object::Barrier(barrier) => Object::Barrier(barrier.clone()),
        Object::View(_) | Object::Loan(_) => return Err(object.is_no("handle that can be copied")),
    })
}
