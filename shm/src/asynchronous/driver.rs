//! What wakes waiting tasks: one task of ours on each runtime in which somebody waits.
//!
//! Why not let waiting futures take turns: the one whose turn it is may stand in a `select!` that is not polled for a
//! while, and with it everybody would wait. Why one on each runtime: one that is driven by `block_on` stands still when
//! that returns, and those who wait elsewhere must not stand still with it. Each driver does the work for all; what one
//! has heard, the others need not.
//!
//! A driver ends at the first tick at which nobody waits. A runtime that is shut down drops it; then it is as if it had
//! never been.

use std::future::poll_fn;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use crate::sys::held::HeldFd;
use crate::sys::wakeup;
use crate::wait::SLICE;
use crate::watch::DriverName;
use crate::{Error, Result, watch};

/// Sees to it that the current runtime has a driver. Called by somebody who stands in a line: none ends from then on.
pub(super) fn ensure() -> Result<()> {
    let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
    let Some(name) = watch::enlist(runtime.id()) else { return Ok(()) };
    // From here on its end takes the name off the list, whatever comes of it.
    let driver = Driver { ears: None, timer: None, listed: Listed(name) };
    runtime.spawn(driver.open()?.run());
    Ok(())
}

/// A name on the list of drivers, which goes with this.
struct Listed(DriverName);

impl Drop for Listed {
    fn drop(&mut self) {
        watch::delist(self.0);
    }
}

struct Driver {
    ears: Option<AsyncFd<Arc<OwnedFd>>>,
    timer: Option<AsyncFd<HeldFd>>,
    listed: Listed,
}

impl Driver {
    /// Its descriptors, in the current runtime's event loop.
    fn open(mut self) -> Result<Self> {
        self.ears = Some(register(watch::copy_of_ears()?)?);
        self.timer = Some(register(wakeup::timer(SLICE).map_err(Error::io("make a timer"))?)?);
        Ok(self)
    }

    async fn run(self) {
        let (Some(ears), Some(timer)) = (&self.ears, &self.timer) else { return };
        loop {
            let next = poll_fn(|cx| {
                // Both are asked, so that both wake us.
                let (rang, ticked) = (is_readable(ears, cx), is_readable(timer, cx));
                match (rang, ticked) {
                    (None, _) | (_, None) => Poll::Ready(None),
                    (Some(false), Some(false)) => Poll::Pending,
                    (Some(_), Some(ticked)) => Poll::Ready(Some(ticked)),
                }
            });
            match next.await {
                // The runtime is being shut down.
                None => return,
                Some(false) => watch::listen(),
                Some(true) => {
                    timer.get_ref().get().map(wakeup::clear_timer);
                    watch::tick();
                    if watch::delist_if_idle(self.listed.0) {
                        return;
                    }
                }
            }
        }
    }
}

/// Has the current runtime's event loop wait for a descriptor.
fn register<T: AsRawFd>(fd: T) -> Result<AsyncFd<T>> {
    // SAFETY: both kinds own their descriptor, which is open, and has the same number, until they are dropped.
    // SAFETY: the number means something else only in a forked child, where its parent's runtimes do not run.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    registered.map_err(|error| Error::Io {
        op: "have tokio's event loop wait for a descriptor",
        source: error.into(),
    })
}

/// Whether the descriptor has become readable; that is forgotten by this, before what made it so is read. `None` when the
/// event loop is gone.
fn is_readable<T: AsRawFd>(fd: &AsyncFd<T>, cx: &mut Context<'_>) -> Option<bool> {
    let mut readable = false;
    while let Poll::Ready(guard) = fd.poll_read_ready(cx) {
        guard.ok()?.clear_ready();
        readable = true;
    }
    Some(readable)
}
