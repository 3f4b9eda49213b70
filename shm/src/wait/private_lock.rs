//! A lock between the threads of this process that survives a fork: the child can unlock what the forking thread held.
//!
//! `std::sync::Mutex` cannot be unlocked by anybody but its guard; fork handlers need to.
//!
//! It is not reentrant. So no foreign code runs under one, which could come back here: no waker is cloned, called or dropped,
//! no callback called, no value of a caller's dropped. At each lock stands what runs under it.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

use slipring_core::futex::{self, Scope};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::AtomicU32;
use slipring_core::sync::Mutex;
use slipring_core::wait::Waiter;

/// Private data of a process behind a lock.
pub(crate) struct PrivateLock<T> {
    lock: Mutex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached under the lock only.
unsafe impl<T: Send> Sync for PrivateLock<T> {}

/// The lock is held while this lives.
pub(crate) struct PrivateGuard<'a, T>(&'a PrivateLock<T>);

impl<T> PrivateLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { lock: Mutex::new(), value: UnsafeCell::new(value) }
    }

    /// Takes the lock, waiting for as long as it takes. Not reentrant.
    pub(crate) fn lock(&self) -> PrivateGuard<'_, T> {
        let Ok(_) = self.lock.lock(holder(), &mut Patient);
        PrivateGuard(self)
    }

    /// Takes the lock if nobody has it.
    pub(crate) fn try_lock(&self) -> Option<PrivateGuard<'_, T>> {
        self.lock.try_lock_fast(holder()).then_some(PrivateGuard(self))
    }

    /// Takes the lock and keeps it until [`PrivateLock::unlock_after_fork`], across a fork.
    pub(crate) fn lock_for_fork(&self) {
        std::mem::forget(self.lock());
    }

    /// Runs `f` on the value between [`PrivateLock::lock_for_fork`] and [`PrivateLock::unlock_after_fork`].
    ///
    /// # Safety
    ///
    /// This thread took the lock with `lock_for_fork` and nobody unlocked it since.
    pub(crate) unsafe fn with_held<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the lock is held by this thread, by the caller's promise.
        f(unsafe { &mut *self.value.get() })
    }

    /// Gives back what [`PrivateLock::lock_for_fork`] took, in the parent and in the child.
    pub(crate) fn unlock_after_fork(&self) {
        self.lock.unlock(holder(), Scope::Private);
    }
}

impl<T> std::fmt::Debug for PrivateLock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateLock")
    }
}

impl<T> Deref for PrivateGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held while the guard lives.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for PrivateGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held while the guard lives, and the guard is borrowed for writing.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for PrivateGuard<'_, T> {
    fn drop(&mut self) {
        self.0.lock.unlock(holder(), Scope::Private);
    }
}

/// The name under which every thread holds it: who holds it does not matter here.
fn holder() -> OwnerId {
    OwnerId::new(1, 0)
}

/// Waits for ever, between threads.
struct Patient;

impl Waiter for Patient {
    type Stop = std::convert::Infallible;

    fn scope(&self) -> Scope {
        Scope::Private
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, word: &AtomicU32, expected: u32) -> Result<(), Self::Stop> {
        futex::wait(word, expected, Scope::Private, None);
        Ok(())
    }

    fn fence_peers(&mut self) {}

    fn is_dead(&mut self, _: OwnerId) -> bool {
        false
    }
}
