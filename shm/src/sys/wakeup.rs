//! Descriptors that wake: a flag that another thread sets, a timer that ticks, the wait for several at once, and one that stands for several.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::io::Errno;
use slipring_core::primitive::{AtomicU64, Ordering};

use super::clock::{self, Deadline};
use super::held::HeldFd;

/// A flag of this process: readable while it is set.
#[derive(Debug)]
pub(crate) struct Flag(HeldFd);

impl Flag {
    pub(crate) fn new() -> io::Result<Self> {
        let flag = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        HeldFd::told_by(flag, "eventfd-id:").map(Self)
    }

    pub(crate) fn set(&self) {
        // Cannot fail but where the counter is at its end: then it is set.
        let _ = self.0.get().map(|flag| rustix::io::write(flag, &1_u64.to_ne_bytes()));
    }

    pub(crate) fn clear(&self) {
        // Fails where it is not set.
        let _ = self.0.get().map(|flag| rustix::io::read(flag, &mut [0_u8; 8][..]));
    }
}

impl AsFd for Flag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a wait found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// One of the descriptors is readable, or the other end of a socket is gone.
    Something,
    /// The deadline has passed.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

/// Sleeps until one of `readable` is, or the other end of one of `sockets` is gone, or `deadline` has passed.
pub(crate) fn wait(
    readable: &[BorrowedFd<'_>],
    sockets: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> io::Result<Found> {
    let readable = readable.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN));
    let sockets = sockets.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::RDHUP));
    let mut all: Vec<_> = readable.chain(sockets).collect();
    let rest = clock::remaining(deadline);
    let tv_sec = i64::try_from(rest.as_secs()).unwrap_or(i64::MAX);
    let timeout = Timespec { tv_sec, tv_nsec: rest.subsec_nanos().into() };
    match rustix::event::poll(&mut all, Some(&timeout)) {
        Ok(0) => Ok(Found::TimedOut),
        Ok(_) => Ok(Found::Something),
        Err(Errno::INTR) => Ok(Found::Interrupted),
        Err(error) => Err(error.into()),
    }
}

/// A descriptor that is readable once in each `every`, beginning one `every` from now.
pub(crate) fn timer(every: std::time::Duration) -> io::Result<HeldFd> {
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
    let every = Timespec { tv_sec: every.as_secs() as i64, tv_nsec: every.subsec_nanos().into() };
    let times = Itimerspec { it_interval: every, it_value: every };
    rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
    HeldFd::told_by(timer, "it_interval:")
}

/// Makes a timer unreadable until its next tick. Returns whether it has ticked. While nobody does this it rests.
pub(crate) fn clear_timer(timer: BorrowedFd<'_>) -> bool {
    // Fails where it has not ticked.
    rustix::io::read(timer, &mut [0_u8; 8][..]).is_ok()
}

/// A number that stands in the kernel's list of what an epoll of ours waits for, and in no other's: it tells ours from others.
pub(super) fn new_cookie() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // ORDERING: Relaxed; each gets another number, and nothing else matters.
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    u64::from(super::process::pid()) << 32 | COOKIE | number
}

/// The middle bits of each cookie.
const COOKIE: u64 = 0x51 << 24;

/// A descriptor that is readable while one of `readable` is, or the other end of one of `sockets` is gone.
pub(crate) fn any(readable: &[BorrowedFd<'_>], sockets: &[BorrowedFd<'_>]) -> io::Result<HeldFd> {
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    let any = epoll::create(CreateFlags::CLOEXEC)?;
    for fd in readable {
        epoll::add(&any, fd, EventData::new_u64(new_cookie()), EventFlags::IN)?;
    }
    for socket in sockets {
        epoll::add(&any, socket, EventData::new_u64(0), EventFlags::RDHUP)?;
    }
    HeldFd::told_by(any, "tfd:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;

    #[test]
    fn a_flag_a_hangup_and_a_deadline_end_a_wait() {
        let flag = Flag::new().unwrap();
        let (one, two) = socket::pair().unwrap();
        let past = Deadline { nanos: 1 };
        let look = || wait(&[flag.as_fd()], &[two.as_fd()], past).unwrap();
        assert_eq!(look(), Found::TimedOut);
        flag.set();
        flag.set();
        assert_eq!(look(), Found::Something);
        flag.clear();
        flag.clear();
        socket::send_byte(one.as_fd(), 1).unwrap();
        assert_eq!(look(), Found::TimedOut, "bytes are not waited for");
        drop(one);
        assert_eq!(look(), Found::Something);
    }

    #[test]
    fn a_timer_ticks() {
        let timer = timer(std::time::Duration::from_millis(1)).unwrap();
        let far = clock::deadline_in(std::time::Duration::from_secs(60));
        for _ in 0..3 {
            assert_eq!(wait(&[timer.as_fd()], &[], far).unwrap(), Found::Something);
            assert!(clear_timer(timer.as_fd()));
        }
    }

    #[test]
    fn one_descriptor_stands_for_several() {
        let flags = [Flag::new().unwrap(), Flag::new().unwrap()];
        let (one, two) = socket::pair().unwrap();
        let any = any(&[flags[0].as_fd(), flags[1].as_fd()], &[two.as_fd()]).unwrap();
        let look = || wait(&[any.as_fd()], &[], Deadline { nanos: 1 }).unwrap();
        assert_eq!(look(), Found::TimedOut);
        for flag in &flags {
            flag.set();
            assert_eq!((look(), look()), (Found::Something, Found::Something));
            flag.clear();
            assert_eq!(look(), Found::TimedOut);
        }
        socket::send_byte(one.as_fd(), 1).unwrap();
        assert_eq!(look(), Found::TimedOut, "bytes are not waited for");
        drop(one);
        assert_eq!(look(), Found::Something);
    }
}
