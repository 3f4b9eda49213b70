//! Locks and signals.

use bytemuck::Pod;

use super::{unless_blocked, until_done};
use crate::sync::{BoundedSemaphore, Event, Guard, LockError, LockResult, Mutex, Semaphore};
use crate::{Error, Result};

impl<T: Pod> Mutex<T> {
    /// As [`Mutex::lock`], in a task. A future that is dropped does not hold the lock. See
    /// [`asynchronous`](crate::asynchronous).
    ///
    /// The guard may be kept across an `await`: the lock is the process's. Other tasks of this process wait for it like
    /// those of another.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`]; [`Error::CannotWatch`], [`Error::NoRuntime`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> slipring::Result<()> {
    /// use slipring::{Mutex, OrRecover, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let counter = Mutex::new(&segment, 0_u64)?;
    /// let tasks: Vec<_> = (0..3)
    ///     .map(|_| {
    ///         let counter = counter.clone();
    ///         tokio::spawn(async move {
    ///             let mut guard = counter.lock_async().await.or_recover()?;
    ///             let before = guard.get();
    ///             tokio::task::yield_now().await;
    ///             guard.set(before + 1);
    ///             slipring::Result::Ok(())
    ///         })
    ///     })
    ///     .collect();
    /// for task in tasks {
    ///     task.await.unwrap()?;
    /// }
    /// assert_eq!(counter.lock_async().await.or_recover()?.get(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lock_async(&self) -> LockResult<Guard<'_, T>> {
        let locked = until_done(self, |_| match self.try_lock() {
            Err(LockError::Failed(Error::WouldBlock)) => None,
            locked => Some(locked),
        });
        locked.await.map_err(LockError::Failed)?
    }
}

impl Semaphore {
    /// As [`Semaphore::acquire`], in a task. A future that is dropped has taken no permit. See
    /// [`asynchronous`](crate::asynchronous).
    ///
    /// # Errors
    ///
    /// [`Error::CannotWatch`], [`Error::NoRuntime`], [`Error::Forked`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> slipring::Result<()> {
    /// use std::time::Duration;
    /// use slipring::{Segment, Semaphore};
    ///
    /// let segment = Segment::create()?;
    /// let semaphore = Semaphore::new(&segment, 0)?;
    /// let short = Duration::from_millis(1);
    /// assert!(tokio::time::timeout(short, semaphore.acquire_async()).await.is_err());
    /// semaphore.release(1)?;
    /// semaphore.acquire_async().await
    /// # }
    /// ```
    pub async fn acquire_async(&self) -> Result<()> {
        until_done(self, |_| unless_blocked(self.try_acquire())).await?
    }
}

impl BoundedSemaphore {
    /// As [`Semaphore::acquire_async`].
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire_async`].
    pub async fn acquire_async(&self) -> Result<()> {
        until_done(self, |_| unless_blocked(self.try_acquire())).await?
    }
}

impl Event {
    /// As [`Event::wait`], in a task: it counts from the first poll on. See [`asynchronous`](crate::asynchronous).
    ///
    /// # Errors
    ///
    /// [`Error::CannotWatch`], [`Error::NoRuntime`], [`Error::Forked`].
    pub async fn wait_async(&self) -> Result<()> {
        self.handle().attachment().me()?;
        let began = self.core().moment();
        until_done(self, |_| self.core().was_set_since(began).then_some(())).await
    }
}
