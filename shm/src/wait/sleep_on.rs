//! Sleeping on a descriptor: one slice of a [`Wait`] in `poll`.

use std::io;

use slipring_core::futex::{Deadline, Wake};

use super::{Place, Wait};
use crate::Result;
use crate::sys::socket::Ready;

/// Sleeps for one slice in `poll`, which is given the end of the slice, and returns what it found. Where it found a hang-up
/// or failed, the wait learns nothing of how long such sleeps take.
///
/// # Errors
///
/// What ends the wait: [`Error::TimedOut`](crate::Error::TimedOut), [`Error::Interrupted`](crate::Error::Interrupted).
pub(crate) fn sleep_on<P: Place>(
    wait: &mut Wait<'_, P>,
    poll: impl FnOnce(Option<Deadline>) -> io::Result<Ready>,
) -> Result<io::Result<Ready>> {
    let mut found = Ok(Ready::TimedOut);
    wait.sleep_with(|end| {
        found = poll(end);
        match found {
            Ok(Ready::Readable) => Wake::Woken,
            Ok(Ready::TimedOut) => Wake::TimedOut,
            Ok(Ready::Interrupted) => Wake::Interrupted,
            Ok(Ready::Hangup) | Err(_) => Wake::Changed,
        }
    })?;
    Ok(found)
}
