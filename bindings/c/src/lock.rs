//! Locks, semaphores, events, conditions, barriers.

use std::mem::forget;

use slipring::{Error, LockError, LockResult};

use crate::args::{need, put, small, until};
use crate::status::slipring_status;
use crate::status::{Outcome, call, call_with};
use crate::table::{self, Object, slipring_handle};

/// Keeps the lock, whose guard C cannot have.
fn keep<G>(locked: LockResult<G>) -> Outcome<slipring_status> {
    match locked {
        Ok(guard) => {
            forget(guard);
            Ok(slipring_status::SLIPRING_OK)
        }
        Err(LockError::OwnerDied(guard)) => {
            forget(guard);
            Ok(slipring_status::SLIPRING_OWNER_DIED)
        }
        Err(LockError::Failed(error)) => Err(error.into()),
    }
}

/// Takes a mutex or a reentrant mutex. SLIPRING_OWNER_DIED says that the lock is held, and that its last holder died with it.
/// `timeout` is in nanoseconds: negative for ever, 0 not at all.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_lock(lock: slipring_handle, timeout: i64) -> slipring_status {
    call_with(|| match &*table::get(lock)? {
        Object::Lock(lock) => keep(lock.lock_until(until(timeout))),
        Object::ReentrantLock(lock) => keep(lock.lock_until(until(timeout))),
        other => Err(other.is_no("lock")),
    })
}

/// Gives a lock back. A mutex by any thread of the process that holds it, a reentrant one by the thread that does.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_unlock(lock: slipring_handle) -> slipring_status {
    call(|| {
        match &*table::get(lock)? {
            // SAFETY: every guard of this interface was forgotten in `keep`, and only this takes its place.
            Object::Lock(lock) => drop(unsafe { lock.assume_locked() }?),
            Object::ReentrantLock(lock) => drop(lock.assume_locked()?),
            other => return Err(other.is_no("lock")),
        }
        Ok(())
    })
}

/// Takes a permit of a semaphore.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_acquire(semaphore: slipring_handle, timeout: i64) -> slipring_status {
    call(|| match &*table::get(semaphore)? {
        Object::Semaphore(semaphore) => Ok(semaphore.acquire_until(until(timeout))?),
        Object::BoundedSemaphore(semaphore) => Ok(semaphore.acquire_until(until(timeout))?),
        other => Err(other.is_no("semaphore")),
    })
}

/// Gives `permits` of a semaphore back.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_release(semaphore: slipring_handle, permits: u64) -> slipring_status {
    call(|| {
        let permits = small(permits)?;
        match &*table::get(semaphore)? {
            Object::Semaphore(semaphore) => Ok(semaphore.release(permits)?),
            Object::BoundedSemaphore(semaphore) => Ok(semaphore.release(permits)?),
            other => Err(other.is_no("semaphore")),
        }
    })
}

/// How many permits are to be had, to `*out`. It may be old when this returns.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_permits(
    semaphore: slipring_handle,
    out: *mut u64,
) -> slipring_status {
    call(|| {
        let value = match &*table::get(semaphore)? {
            Object::Semaphore(semaphore) => semaphore.value(),
            Object::BoundedSemaphore(semaphore) => semaphore.value(),
            other => return Err(other.is_no("semaphore")),
        };
        // SAFETY: by the caller's word.
        unsafe { put(out, u64::from(value)) }
    })
}

/// Sets an event: whoever waits for it goes on.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_event_set(event: slipring_handle) -> slipring_status {
    call(|| match &*table::get(event)? {
        Object::Event(event) => Ok(event.set().map(drop)?),
        other => Err(other.is_no("event")),
    })
}

/// Clears an event.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_event_clear(event: slipring_handle) -> slipring_status {
    call(|| match &*table::get(event)? {
        Object::Event(event) => Ok(event.clear().map(drop)?),
        other => Err(other.is_no("event")),
    })
}

/// Waits until an event is set.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_event_wait(event: slipring_handle, timeout: i64) -> slipring_status {
    call(|| match &*table::get(event)? {
        Object::Event(event) => Ok(event.wait_until(until(timeout))?),
        other => Err(other.is_no("event")),
    })
}

/// Opens a lock that the caller holds, waits for a notification, and takes the lock again, whatever is returned but
/// SLIPRING_E_NOT_HELD and SLIPRING_E_FORKED. SLIPRING_OWNER_DIED: somebody died with the lock meanwhile.
///
/// It may return SLIPRING_OK without a notification: for instance when any process dies that had the same segment, whatever
/// it did there. So look at the condition after each return, in a loop, as with pthread_cond_wait.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_condvar_wait(
    condvar: slipring_handle,
    lock: slipring_handle,
    timeout: i64,
) -> slipring_status {
    call_with(|| {
        let object = table::get(condvar)?;
        let Object::Condvar(condvar) = &*object else {
            return Err(object.is_no("condition variable"));
        };
        let until = until(timeout);
        let waited = match &*table::get(lock)? {
            Object::Lock(lock) => {
                // SAFETY: as in `slipring_unlock`; it is forgotten again below.
                let mut guard = unsafe { lock.assume_locked() }?;
                let waited = condvar.wait_until(&mut guard, until);
                forget(guard);
                waited
            }
            Object::ReentrantLock(lock) => {
                let mut guard = lock.assume_locked()?;
                let waited = condvar.wait_until(&mut guard, until);
                forget(guard);
                waited
            }
            other => return Err(other.is_no("lock")),
        };
        match waited {
            Ok(()) => Ok(slipring_status::SLIPRING_OK),
            Err(LockError::OwnerDied(())) => Ok(slipring_status::SLIPRING_OWNER_DIED),
            Err(LockError::Failed(error)) => Err(error.into()),
        }
    })
}

/// Releases `count` of those who wait on a condition variable; all where `count` is UINT32_MAX.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_condvar_notify(condvar: slipring_handle, count: u32) -> slipring_status {
    call(|| match &*table::get(condvar)? {
        Object::Condvar(condvar) if count == u32::MAX => Ok(condvar.notify_all()?),
        Object::Condvar(condvar) => Ok(condvar.notify(count)?),
        other => Err(other.is_no("condition variable")),
    })
}

/// Waits at a barrier until all are there. Which one of them the caller was, from 0, goes to `*index`, which may be NULL.
///
/// # Safety
///
/// `index` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_barrier_wait(
    barrier: slipring_handle,
    index: *mut u32,
    timeout: i64,
) -> slipring_status {
    call(|| {
        let object = table::get(barrier)?;
        let Object::Barrier(barrier) = &*object else { return Err(object.is_no("barrier")) };
        let turn = barrier.wait_until(until(timeout))?;
        // SAFETY: by the caller's word.
        if index.is_null() { Ok(()) } else { unsafe { put(index, turn.index()) } }
    })
}

/// Breaks a barrier: whoever waits, and whoever comes, is told so.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_barrier_abort(barrier: slipring_handle) -> slipring_status {
    on_barrier(barrier, slipring::Barrier::abort)
}

/// Makes a barrier whole again; whoever waits is told that it was broken.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_barrier_reset(barrier: slipring_handle) -> slipring_status {
    on_barrier(barrier, slipring::Barrier::reset)
}

fn on_barrier(
    handle: slipring_handle,
    f: fn(&slipring::Barrier) -> Result<(), Error>,
) -> slipring_status {
    call(|| match &*table::get(handle)? {
        Object::Barrier(barrier) => Ok(f(barrier)?),
        other => Err(other.is_no("barrier")),
    })
}

/// Whether a barrier is broken, as 0 or 1, to `*out`.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_barrier_is_broken(
    barrier: slipring_handle,
    out: *mut u32,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        let object = table::get(barrier)?;
        let Object::Barrier(barrier) = &*object else { return Err(object.is_no("barrier")) };
        // SAFETY: by the caller's word.
        unsafe { put(out, u32::from(barrier.is_broken())) }
    })
}
