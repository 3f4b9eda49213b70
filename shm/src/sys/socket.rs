//! Unix sockets. Pairs of them: the kernel counts the copies of each end, and its hang-up tells a death at once. And
//! descriptors that travel through them.
//!
//! Nothing here blocks but [`wait_readable`] and [`wait_writable`].

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sockopt,
};

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

/// How many descriptors one message can carry, at most: the kernel's `SCM_MAX_FD`.
pub(crate) const MAX_FDS: usize = 253;

/// What became of bytes that were sent with descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Posted {
    /// So many of them, and all descriptors, are in the other end's buffer.
    Bytes(usize),
    /// The buffer is full.
    Full,
    /// Nobody has the other end any more.
    Hangup,
}

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ready {
    /// There is a byte to read; or room to write, where that was waited for.
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
    pair_of(SocketType::STREAM)
}

/// Two connected sockets that keep the boundaries of messages, close-on-exec.
pub(crate) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair_of(SocketType::SEQPACKET)
}

fn pair_of(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

/// Whether a socket keeps the boundaries of messages. An error for what is no connection of Unix sockets.
pub(crate) fn keeps_boundaries(fd: BorrowedFd<'_>) -> io::Result<bool> {
    if sockopt::socket_domain(fd)? != AddressFamily::UNIX {
        return Err(Errno::AFNOSUPPORT.into());
    }
    match sockopt::socket_type(fd)? {
        SocketType::STREAM => Ok(false),
        SocketType::SEQPACKET => Ok(true),
        _ => Err(Errno::PROTOTYPE.into()),
    }
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

/// Reads what is there, up to `buffer.len()` bytes, which must not be 0; never blocks. Of a message the rest is
/// discarded, and descriptors that come with it are closed.
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    receive_as(fd, buffer, RecvFlags::empty())
}

fn receive_as(fd: BorrowedFd<'_>, buffer: &mut [u8], how: RecvFlags) -> io::Result<Received> {
    debug_assert!(!buffer.is_empty());
    let flags = RecvFlags::DONTWAIT | how;
    match rustix::io::retry_on_intr(|| rustix::net::recv(fd, &mut *buffer, flags)) {
        Ok((_, 0)) => Ok(Received::Hangup),
        Ok((_, read)) => Ok(Received::Bytes(read)),
        Err(Errno::AGAIN) => Ok(Received::Empty),
        Err(Errno::CONNRESET) => Ok(Received::Hangup),
        Err(error) => Err(error.into()),
    }
}

/// Sends `bytes`, the first of them with copies of `fds`; never blocks and never raises SIGPIPE. A stream may take some
/// of the bytes only; the descriptors have gone with them then.
pub(crate) fn post(fd: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<Posted> {
    let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(fds.len()))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL.into());
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let parts = [IoSlice::new(bytes)];
    match rustix::io::retry_on_intr(|| rustix::net::sendmsg(fd, &parts, &mut control, flags)) {
        Ok(sent) => Ok(Posted::Bytes(sent)),
        Err(Errno::AGAIN) => Ok(Posted::Full),
        Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Ok(Posted::Hangup),
        Err(error) => Err(error.into()),
    }
}

/// Reads what is there, up to `buffer.len()` bytes, which must not be 0, or one message where boundaries are kept; never
/// blocks. Descriptors that come with it are appended to `fds`, close-on-exec.
///
/// An error where something was cut off: a message longer than the buffer, descriptors for which this process has no
/// room. What came of it is in `fds` all the same.
pub(crate) fn collect(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<Received> {
    debug_assert!(!buffer.is_empty());
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut parts = [IoSliceMut::new(buffer)];
    let got =
        rustix::io::retry_on_intr(|| rustix::net::recvmsg(fd, &mut parts, &mut control, flags));
    let got = match got {
        Ok(got) => got,
        Err(Errno::AGAIN) => return Ok(Received::Empty),
        Err(Errno::CONNRESET) => return Ok(Received::Hangup),
        Err(error) => return Err(error.into()),
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        let why = "the message was cut off: it is too long, or this process has too many descriptors open";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(if got.bytes == 0 { Received::Hangup } else { Received::Bytes(got.bytes) })
}

/// The first bytes of what is there, which stays there; descriptors are not touched. Never blocks.
pub(crate) fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    receive_as(fd, buffer, RecvFlags::PEEK)
}

/// Makes the buffer for what is sent as small as the kernel allows.
pub(crate) fn make_buffer_small(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::set_socket_send_buffer_size(fd, 0)?)
}

/// How many bytes are there to be received.
pub(crate) fn waiting(fd: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(usize::try_from(rustix::io::ioctl_fionread(fd)?).unwrap_or(usize::MAX))
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

/// Sleeps until there is room to write, until nobody has the other end, until `deadline` (none: for ever).
pub(crate) fn wait_writable(fd: BorrowedFd<'_>, deadline: Option<Deadline>) -> io::Result<Ready> {
    let rest = deadline.map_or(Duration::MAX, clock::remaining);
    wait_for(fd, PollFlags::OUT, rest)
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

    #[test]
    fn descriptors_travel_with_the_first_byte_and_a_peek_leaves_them() {
        for (one, two) in [pair().unwrap(), packet_pair().unwrap()] {
            let file = crate::sys::memory::memfd("test").unwrap();
            let sent = post(one.as_fd(), b"number", &[file.as_fd(), one.as_fd()]).unwrap();
            assert_eq!(sent, Posted::Bytes(6));
            let (mut bytes, mut fds) = ([0; 9], Vec::new());
            assert_eq!(peek(two.as_fd(), &mut bytes[..3]).unwrap(), Received::Bytes(3));
            assert_eq!(collect(two.as_fd(), &mut bytes, &mut fds).unwrap(), Received::Bytes(6));
            assert_eq!((&bytes[..6], fds.len()), (&b"number"[..], 2));
            let id = |fd| crate::sys::file::identity(fd).unwrap();
            assert_eq!(id(fds[0].as_fd()), id(file.as_fd()));
            assert!(crate::sys::file::is_close_on_exec(fds[0].as_fd()).unwrap());
            assert_eq!(collect(two.as_fd(), &mut bytes, &mut fds).unwrap(), Received::Empty);
        }
    }

    #[test]
    fn a_packet_that_is_too_long_is_an_error_and_one_that_is_passed_over_is_gone() {
        let (one, two) = packet_pair().unwrap();
        assert!(keeps_boundaries(one.as_fd()).unwrap());
        assert!(!keeps_boundaries(pair().unwrap().0.as_fd()).unwrap());
        assert!(keeps_boundaries(crate::sys::memory::memfd("test").unwrap().as_fd()).is_err());
        post(one.as_fd(), b"first", &[two.as_fd()]).unwrap();
        post(one.as_fd(), b"second", &[]).unwrap();
        let (mut bytes, mut fds) = ([0; 4], Vec::new());
        assert_eq!(receive(two.as_fd(), &mut bytes[..1]).unwrap(), Received::Bytes(1));
        assert!(collect(two.as_fd(), &mut bytes, &mut fds).is_err());
        assert_eq!(collect(two.as_fd(), &mut bytes, &mut fds).unwrap(), Received::Empty);
        drop(one);
        assert_eq!(peek(two.as_fd(), &mut bytes).unwrap(), Received::Hangup);
    }
}
