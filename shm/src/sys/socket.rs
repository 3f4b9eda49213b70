//! A pair of connected sockets: the kernel counts the copies of each end, and its hang-up tells a death at once.
//!
//! Only doorbell bytes go through it. Nothing here blocks but [`wait_readable`].

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::clock::{self, Deadline};

/// What became of a byte sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// It is in the other end's buffer.
    Done,
    /// The buffer is full of bytes nobody has read.
    Full,
    /// Nobody has the other end any more.
    Hangup,
}

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Received {
    /// This many bytes, at least one.
    Bytes(usize),
    /// Nothing there now.
    Empty,
    /// Nothing there, and nobody has the other end any more.
    Hangup,
}

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ready {
    /// There is a byte to read.
    Readable,
    /// Nobody has the other end any more; bytes may be left.
    Hangup,
    /// The deadline has passed.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

/// Two connected stream sockets, close-on-exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends one byte; never blocks and never raises SIGPIPE.
pub(crate) fn send_byte(fd: BorrowedFd<'_>, byte: u8) -> io::Result<Sent> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match rustix::io::retry_on_intr(|| rustix::net::send(fd, &[byte], flags)) {
        Ok(_) => Ok(Sent::Done),
        Err(Errno::AGAIN) => Ok(Sent::Full),
        Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Ok(Sent::Hangup),
        Err(error) => Err(error.into()),
    }
}

/// Reads what is there, up to `buffer.len()` bytes, which must not be 0; never blocks.
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    debug_assert!(!buffer.is_empty());
    let flags = RecvFlags::DONTWAIT;
    match rustix::io::retry_on_intr(|| rustix::net::recv(fd, &mut *buffer, flags)) {
        Ok((_, 0)) => Ok(Received::Hangup),
        Ok((_, read)) => Ok(Received::Bytes(read)),
        Err(Errno::AGAIN) => Ok(Received::Empty),
        Err(Errno::CONNRESET) => Ok(Received::Hangup),
        Err(error) => Err(error.into()),
    }
}

/// Whether nobody has the other end any more, whatever is left to read.
pub(crate) fn has_hung_up(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(wait_for(fd, PollFlags::RDHUP, Duration::ZERO)? == Ready::Hangup)
}

/// Sleeps until there is something to read, until nobody has the other end, until `deadline` (none: for ever).
/// The caller slices: it passes the nearer of its own deadline and the end of the slice.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, deadline: Option<Deadline>) -> io::Result<Ready> {
    let rest = deadline.map_or(Duration::MAX, clock::remaining);
    wait_for(fd, PollFlags::IN | PollFlags::RDHUP, rest)
}

fn wait_for(fd: BorrowedFd<'_>, events: PollFlags, rest: Duration) -> io::Result<Ready> {
    let timeout = i64::try_from(rest.as_secs())
        .ok()
        .map(|tv_sec| Timespec { tv_sec, tv_nsec: rest.subsec_nanos().into() });
    let mut watched = [PollFd::from_borrowed_fd(fd, events)];
    match rustix::event::poll(&mut watched, timeout.as_ref()) {
        Ok(0) => Ok(Ready::TimedOut),
        Ok(_) => {
            let seen = watched[0].revents();
            if seen.contains(PollFlags::NVAL) {
                return Err(Errno::BADF.into());
            }
            let gone = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR;
            Ok(if seen.intersects(gone) { Ready::Hangup } else { Ready::Readable })
        }
        Err(Errno::INTR) => Ok(Ready::Interrupted),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_byte_is_waited_for_and_read() {
        let (one, two) = pair().unwrap();
        let (one, two) = (one.as_fd(), two.as_fd());
        assert_eq!(receive(two, &mut [0; 4]).unwrap(), Received::Empty);
        assert_eq!(send_byte(one, 7).unwrap(), Sent::Done);
        assert_eq!(send_byte(one, 8).unwrap(), Sent::Done);
        assert_eq!(wait_readable(two, None).unwrap(), Ready::Readable);
        let mut bytes = [0; 4];
        assert_eq!(receive(two, &mut bytes).unwrap(), Received::Bytes(2));
        assert_eq!(bytes, [7, 8, 0, 0]);
    }

    #[test]
    fn the_last_copy_of_an_end_hangs_up_and_leaves_its_bytes() {
        let (one, two) = pair().unwrap();
        let copy = crate::sys::file::duplicate(one.as_fd()).unwrap();
        send_byte(one.as_fd(), 7).unwrap();
        drop(one);
        assert!(!has_hung_up(two.as_fd()).unwrap());
        drop(copy);
        assert!(has_hung_up(two.as_fd()).unwrap());
        assert_eq!(wait_readable(two.as_fd(), None).unwrap(), Ready::Hangup);
        assert_eq!(receive(two.as_fd(), &mut [0; 4]).unwrap(), Received::Bytes(1));
        assert_eq!(receive(two.as_fd(), &mut [0; 4]).unwrap(), Received::Hangup);
        assert_eq!(send_byte(two.as_fd(), 1).unwrap(), Sent::Hangup);
    }

    #[test]
    fn an_end_closed_with_unread_bytes_is_a_hangup_and_no_error() {
        let (one, two) = pair().unwrap();
        send_byte(two.as_fd(), 1).unwrap();
        drop(one);
        assert_eq!(receive(two.as_fd(), &mut [0; 4]).unwrap(), Received::Hangup);
    }

    #[test]
    fn a_full_socket_says_so_and_a_deadline_holds() {
        let (one, two) = pair().unwrap();
        let mut sent = 0;
        while send_byte(one.as_fd(), 0).unwrap() == Sent::Done {
            sent += 1;
            assert!(sent < 1 << 24);
        }
        let past = Some(Deadline { nanos: 1 });
        assert_eq!(wait_readable(one.as_fd(), past).unwrap(), Ready::TimedOut);
        let before = clock::now();
        let soon = clock::deadline_in(Duration::from_millis(20));
        assert_eq!(wait_readable(one.as_fd(), Some(soon)).unwrap(), Ready::TimedOut);
        assert!(clock::now() - before >= 20_000_000);
        assert_eq!(wait_readable(two.as_fd(), past).unwrap(), Ready::Readable);
    }
}
