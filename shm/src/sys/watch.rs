//! One descriptor for an event loop to watch: readable while a socket is, or while it was set by hand.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::held::HeldFd;
use super::wakeup::new_cookie;

/// An epoll descriptor over a socket and an eventfd of our own.
#[derive(Debug)]
pub(crate) struct Watch {
    epoll: HeldFd,
    event: HeldFd,
}

impl Watch {
    /// Watches `socket`: data and hang-up.
    pub(crate) fn new(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = EventFlags::IN | EventFlags::RDHUP;
        epoll::add(&epoll, socket, EventData::new_u64(new_cookie()), flags)?;
        epoll::add(&epoll, &event, EventData::new_u64(new_cookie()), EventFlags::IN)?;
        let (epoll, event) =
            (HeldFd::told_by(epoll, "tfd:")?, HeldFd::told_by(event, "eventfd-id:")?);
        Ok(Self { epoll, event })
    }

    /// Makes it readable, whatever the socket is.
    pub(crate) fn set(&self) -> io::Result<()> {
        rustix::io::write(self.event.open()?, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    /// From now on it is readable while the socket is.
    pub(crate) fn clear(&self) -> io::Result<()> {
        match rustix::io::read(self.event.open()?, &mut [0_u8; 8][..]) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
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
    fn it_is_readable_by_data_by_hangup_and_by_hand() {
        let (one, two) = socket::pair().unwrap();
        let watch = Watch::new(two.as_fd()).unwrap();
        let readable = || {
            let now = Some(Deadline { nanos: 1 });
            socket::wait_readable(watch.as_fd(), now).unwrap() == Ready::Readable
        };
        assert!(!readable());
        watch.set().unwrap();
        assert!(readable());
        watch.clear().unwrap();
        watch.clear().unwrap();
        assert!(!readable());
        socket::send_byte(one.as_fd(), 1).unwrap();
        assert!(readable());
        socket::receive(two.as_fd(), &mut [0; 4]).unwrap();
        assert!(!readable());
        drop(one);
        assert!(readable());
    }
}
