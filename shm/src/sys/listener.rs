//! Unix sockets with a name in a directory: one that listens, and those that connect to it. They keep the boundaries of
//! messages (`SOCK_SEQPACKET`).
//!
//! Nothing here blocks.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with, sockopt};

/// How many may wait to be accepted; the kernel may keep it lower.
const BACKLOG: i32 = 1024;

/// Where a socket lies.
pub(crate) struct Address {
    directory: OwnedFd,
    file: String,
}

impl Address {
    /// The file of this name in `directory`. A short one: with the directory's path it would be no longer than 107
    /// bytes; here its descriptor stands for the directory.
    pub(crate) fn new(directory: &Path, file: String) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { directory: rustix::fs::open(directory, flags, Mode::empty())?, file })
    }

    fn path(&self) -> io::Result<SocketAddrUnix> {
        let path = format!("/proc/self/fd/{}/{}", self.directory.as_raw_fd(), self.file);
        Ok(SocketAddrUnix::new(path)?)
    }

    /// A socket that lies here and does not listen yet: whoever connects is refused.
    pub(crate) fn bind(&self) -> io::Result<OwnedFd> {
        let socket = socket()?;
        rustix::net::bind(&socket, &self.path()?)?;
        Ok(socket)
    }

    /// Sets group and permissions of a socket of this process's that lies here. Whoever can put another file into its place
    /// can do so with any name in this directory.
    pub(crate) fn set_access(&self, mode: u32, group: Option<u32>) -> io::Result<()> {
        let (directory, file) = (&self.directory, &*self.file);
        if let Some(group) = group {
            let group = Some(Gid::from_raw(group));
            rustix::fs::chownat(directory, file, None, group, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(rustix::fs::chmodat(directory, file, Mode::from_raw_mode(mode), AtFlags::empty())?)
    }

    /// A socket connected to whoever listens here. `None`: nobody does, or too many wait already.
    pub(crate) fn connect(&self) -> io::Result<Option<OwnedFd>> {
        let socket = socket()?;
        match rustix::net::connect(&socket, &self.path()?) {
            Ok(()) => Ok(Some(socket)),
            Err(Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the file away, if there is one.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.directory, &*self.file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Has a bound socket listen.
pub(crate) fn listen(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::listen(socket, BACKLOG)?)
}

/// Whether it is a socket that listens, and keeps boundaries.
pub(crate) fn listens(fd: BorrowedFd<'_>) -> bool {
    sockopt::socket_acceptconn(fd) == Ok(true)
        && sockopt::socket_domain(fd) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(fd) == Ok(SocketType::SEQPACKET)
}

/// The next one that connected, dead or alive; close-on-exec. `None`: there is none. Retries `EINTR`.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    loop {
        match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => return Ok(Some(socket)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The user who connected, or who listens, seen from the other end.
pub(crate) fn peer_user(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut who = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // Not rustix's: the peer's pid is 0 where that is in another pid namespace, and its type has no 0.
    // SAFETY: `who` and `len` are valid for writing, and `len` is the size of `who`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut who).cast(),
            &raw mut len,
        )
    };
    if result == 0 { Ok(who.uid) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::name;
    use std::os::fd::AsFd;

    #[test]
    fn whoever_connects_is_accepted_in_turn_and_known_by_user() {
        let directory = std::env::temp_dir();
        let file = format!("slipring-test-listener-{}", std::process::id());
        let address = Address::new(&directory, file.clone()).unwrap();
        assert!(address.connect().unwrap().is_none(), "there is none");
        let listener = address.bind().unwrap();
        assert!(address.connect().unwrap().is_none(), "it does not listen yet");
        assert!(!listens(listener.as_fd()));
        address.set_access(0o640, None).unwrap();
        assert_eq!(name::status_at(&directory.join(&file)).unwrap().mode, 0o640);
        listen(listener.as_fd()).unwrap();
        assert!(listens(listener.as_fd()) && !listens(std::fs::File::open("/").unwrap().as_fd()));
        assert!(accept(listener.as_fd()).unwrap().is_none());
        let theirs = address.connect().unwrap().unwrap();
        let ours = accept(listener.as_fd()).unwrap().unwrap();
        assert_eq!(peer_user(ours.as_fd()).unwrap(), name::user());
        assert_eq!(peer_user(theirs.as_fd()).unwrap(), name::user());
        assert!(accept(listener.as_fd()).unwrap().is_none());
        drop(listener);
        assert!(address.connect().unwrap().is_none(), "nobody listens any more");
        assert_eq!(address.bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        address.unlink().unwrap();
        address.unlink().unwrap();
    }
}
