//! One descriptor for an event loop to watch: readable while a socket is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::held::HeldFd;
use super::wakeup::new_cookie;

/// An epoll descriptor over a socket: another one for each who watches, as event loops want it.
#[derive(Debug)]
pub(crate) struct Watch {
    epoll: HeldFd,
}

impl Watch {
    /// Watches `socket`: data and hang-up.
    pub(crate) fn new(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = EventFlags::IN | EventFlags::RDHUP;
        epoll::add(&epoll, socket, EventData::new_u64(new_cookie()), flags)?;
        Ok(Self { epoll: HeldFd::told_by(epoll, "tfd:")? })
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::Deadline;
    use crate::sys::socket::{self, Ready};

    #[test]
    fn it_is_readable_by_data_and_by_hangup() {
        let (one, two) = socket::pair().unwrap();
        let watch = Watch::new(two.as_fd()).unwrap();
        let readable = || {
            let now = Some(Deadline { nanos: 1 });
            socket::wait_readable(watch.as_fd(), now).unwrap() == Ready::Readable
        };
        assert!(!readable());
        socket::send_byte(one.as_fd(), 1).unwrap();
        assert!(readable());
        socket::receive(two.as_fd(), &mut [0; 4]).unwrap();
        assert!(!readable());
        drop(one);
        assert!(readable());
    }
}
