//! Signals that ask for the end: SIGINT, SIGTERM and, unless it is ignored, SIGHUP. The first one is noted, and the
//! command ends where it has nothing in its hands; a second one of the same kind ends it at once.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use libc::{SIGHUP, SIGINT, SIGTERM, c_int, sigaction, sighandler_t};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use slipring_core::primitive::{AtomicU32, Ordering};

use crate::failure::Failure;

/// The signal that came, or 0.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// What a call that waits for descriptors waits for as well.
static BELL: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();

/// Says when somebody has asked for the end.
#[derive(Clone, Copy, Debug)]
pub struct Stop(());

impl Stop {
    /// From now on signals are noted.
    pub fn listen() -> Result<Self, Failure> {
        let bell = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Where it is there already it serves as well.
        let _ = BELL.set(bell);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if signal != SIGHUP || !is_ignored(signal) {
                note_on(signal);
            }
        }
        Ok(Self(()))
    }

    /// An error if somebody has asked.
    pub fn check(self) -> Result<(), Failure> {
        // ORDERING: Relaxed; the number stands for itself.
        match ASKED.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Failure::Signal(signal as u8)),
        }
    }

    /// Waits until there is something to be read, or the end of it.
    pub fn wait_readable(self, fd: impl AsFd) -> Result<(), Failure> {
        self.wait(PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN))
    }

    /// Waits until there is room to write, or nobody who reads.
    pub fn wait_writable(self, fd: impl AsFd) -> Result<(), Failure> {
        self.wait(PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT))
    }

    fn wait(self, fd: PollFd<'_>) -> Result<(), Failure> {
        let mut fds = vec![fd];
        fds.extend(BELL.get().map(|(bell, _)| PollFd::new(bell, PollFlags::IN)));
        loop {
            self.check()?;
            match poll(&mut fds, None) {
                // The bell, perhaps: the check tells.
                Ok(_) if fds[0].revents().is_empty() => {}
                Ok(_) => return self.check(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What a signal does: nothing but stores and a write, which is all that may be done here.
extern "C" fn note(signal: c_int) {
    // ORDERING: Relaxed; the number stands for itself.
    ASKED.store(signal as u32, Ordering::Relaxed);
    if let Some((_, bell)) = BELL.get() {
        // Full is as good as rung.
        let _ = rustix::io::write(bell, &[0]);
    }
}

fn is_ignored(signal: c_int) -> bool {
    let mut old = MaybeUninit::<sigaction>::uninit();
    // SAFETY: no action is given, and the old one is written to memory of its type.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) };
    // SAFETY: the call succeeded and has filled it.
    asked == 0 && unsafe { old.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Has `signal` noted once, and end this process the next time. System calls that it interrupts end with `EINTR`.
fn note_on(signal: c_int) {
    let handler: extern "C" fn(c_int) = note;
    // SAFETY: `sigaction` is a struct of integers and an optional function, for which zero is a value.
    let mut action: sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as sighandler_t;
    action.sa_flags = libc::SA_RESETHAND;
    // SAFETY: the handler has the signature that goes with these flags.
    // SAFETY: it calls nothing but what is safe in a signal handler, and keeps `errno`: rustix does not use it.
    let _ = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
}
