//! The recovery lock of a segment: an OFD lock on one byte of its file, so that the kernel frees it with its holder.
//!
//! It is polled (`docs/decisions/0003-the-recovery-lock-is-polled.md`): whoever waits for it naps, and gives up after so much patience. A living holder
//! has it for microseconds, unless it was stopped there.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::memory::{LOCK_BASE, lock_error};
use crate::sys::{clock, lock};
use crate::{Error, Result};

/// How long a creation waits for a holder that lives: it was stopped, perhaps.
pub(crate) const LONG_PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of an object waits: the next death procedure can do it as well.
pub(crate) const SHORT_PATIENCE: Duration = Duration::from_millis(100);

/// The lock in our hands. Under it: objects are made and end, handles are counted, the dead are buried. No foreign code: what is
/// in objects is bytes.
struct Held<'a>(BorrowedFd<'a>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Where the program has closed the descriptor meanwhile, the lock went with it.
        let _ = lock::unlock_byte(self.0, LOCK_BASE);
    }
}

/// Runs `f` under the recovery lock of the segment in `file`, with what `outer` gives: the guard of a lock that comes before
/// this one. It is let go while this one is waited for, so that those who want no more than the outer one need not wait.
///
/// # Errors
///
/// [`Error::TimedOut`] where another process keeps it for longer than `patience`.
pub(crate) fn with<G, R>(
    file: BorrowedFd<'_>,
    patience: Duration,
    mut outer: impl FnMut() -> G,
    f: impl FnOnce(&mut G) -> R,
) -> Result<R> {
    let deadline = clock::deadline_in(patience);
    let mut nap = Duration::from_micros(5);
    loop {
        let mut guard = outer();
        if lock::try_lock_byte(file, LOCK_BASE).map_err(lock_error)? {
            let held = Held(file);
            crash_point!("attachment.recovery.locked");
            let result = f(&mut guard);
            crash_point!("attachment.recovery.done");
            drop(held);
            return Ok(result);
        }
        drop(guard);
        if clock::has_passed(deadline) {
            return Err(Error::TimedOut);
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(1));
    }
}
