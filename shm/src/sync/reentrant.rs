//! A lock that the thread which holds it may take again.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, Ordering};
use slipring_core::sync;

use super::lock_error::{LockResult, told};
use super::words::Words;
use crate::attachment::Attachment;
use crate::object::{Handle, Kind};
use crate::until::Until;
use crate::{Error, Result, Segment};

/// A lock that the thread which holds it may take again: it is given back when it was unlocked as often. It protects no
/// value of its own.
///
/// The holder is one thread of one process. A holder that lives is waited for; when its process dies the lock goes to the
/// next, who is told by [`LockError::OwnerDied`](super::LockError::OwnerDied). A thread that ends while its process
/// lives, its guard forgotten, keeps the lock.
///
/// # Examples
///
/// ```
/// use slipring::{OrRecover, ReentrantMutex, Segment};
///
/// let segment = Segment::create()?;
/// let lock = ReentrantMutex::new(&segment)?;
/// let outer = lock.lock().or_recover()?;
/// let inner = lock.lock().or_recover()?;
/// assert_eq!(lock.count(), 2);
/// drop(inner);
/// assert!(lock.is_mine());
/// drop(outer);
/// assert!(!lock.is_locked());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone)]
pub struct ReentrantMutex {
    words: Words<sync::ReentrantMutex>,
}

/// One locking: the lock is held at least while this lives, by the thread that took it.
#[must_use = "the lock is given back when the guard is dropped"]
pub struct ReentrantGuard<'a> {
    mutex: &'a ReentrantMutex,
    /// Who took it: in a forked child somebody else.
    me: OwnerId,
    /// Only the thread that took it can give it back.
    not_send: PhantomData<*const ()>,
}

impl ReentrantMutex {
    /// Makes a lock that nobody holds.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn new(segment: &Segment) -> Result<Self> {
        let body = sync::ReentrantMutex::new();
        Ok(Self { words: Words::create(segment, Kind::ReentrantMutex, body)? })
    }

    /// The lock that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        Ok(Self { words: Words::from_handle(handle)? })
    }

    /// Takes the lock, once more if this thread has it, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`](super::LockError::OwnerDied) with the guard if the last holder died;
    /// [`Error::OverLimit`] after 2^32 - 1 times; [`Error::Interrupted`], [`Error::Forked`].
    #[inline]
    pub fn lock(&self) -> LockResult<ReentrantGuard<'_>> {
        self.lock_until(Until::NEVER)
    }

    /// Takes the lock if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if somebody else holds it, and as [`ReentrantMutex::lock`].
    #[inline]
    pub fn try_lock(&self) -> LockResult<ReentrantGuard<'_>> {
        self.lock_until(Until::NOW)
    }

    /// Takes the lock, waiting until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], and as [`ReentrantMutex::lock`].
    #[inline]
    pub fn lock_until(&self, until: impl Into<Until>) -> LockResult<ReentrantGuard<'_>> {
        let me = self.words.me()?;
        let guard = ReentrantGuard { mutex: self, me, not_send: PhantomData };
        // Nobody is asked for dead: a lock that is free or ours is taken without a system call.
        match self.words.get().try_lock(me, thread_number(), |_| false) {
            Ok(Some(how)) => told(how, guard),
            Ok(None) => Self::lock_slow(guard, until.into()),
            Err(sync::TooDeep) => Err(too_deep(guard).into()),
        }
    }

    /// As `guard`, which does not hold the lock yet.
    #[cold]
    fn lock_slow(guard: ReentrantGuard<'_>, until: Until) -> LockResult<ReentrantGuard<'_>> {
        // Until it holds the lock it must not give it back.
        let guard = std::mem::ManuallyDrop::new(guard);
        let (words, me, thread) = (&guard.mutex.words, guard.me, thread_number());
        let how = if until.is_now() {
            let attachment = words.handle().attachment();
            let taken = words.get().try_lock(me, thread, |owner| attachment.is_dead(owner));
            taken.map_err(|sync::TooDeep| TOO_DEEP)?.ok_or(Error::WouldBlock)?
        } else {
            let locked = words.wait(until, |wait| words.get().lock(me, thread, wait));
            locked.map_err(|error| match error {
                sync::LockError::TooDeep => TOO_DEEP,
                sync::LockError::Stopped(stop) => stop.into(),
            })?
        };
        told(how, std::mem::ManuallyDrop::into_inner(guard))
    }

    /// How often the holder has taken it; 0 if nobody did. A glance, except for the holder.
    pub fn count(&self) -> u32 {
        self.words.get().count()
    }

    /// Whether somebody holds it. A glance: it may be old when it returns.
    pub fn is_locked(&self) -> bool {
        self.words.get().owner().is_some()
    }

    /// Whether this thread holds it.
    pub fn is_mine(&self) -> bool {
        self.words.me().is_ok_and(|me| self.words.get().is_mine(me, thread_number()))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }
}
