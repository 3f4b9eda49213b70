//! The standard output stream, which somebody may close.

use std::io::stdout;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::stop::Stop;
use crate::failure::Failure;

/// Whether anybody still reads what we write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    There,
    Gone,
}

/// Writes all of `bytes`, in one system call if they go into one.
pub fn write(mut bytes: &[u8], stop: Stop) -> Result<Reader, Failure> {
    while !bytes.is_empty() {
        match rustix::io::write(stdout(), bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => stop.check()?,
            Err(Errno::AGAIN) => stop.wait_writable(stdout())?,
            Err(Errno::PIPE) => return Ok(Reader::Gone),
            Err(error) => return Err(Failure::of_output(error.into())),
        }
    }
    Ok(Reader::There)
}

/// Whether whoever read from a pipe that we write to has gone. Of a file it is always there.
pub fn look() -> Reader {
    let out = stdout();
    let mut fds = [PollFd::from_borrowed_fd(out.as_fd(), PollFlags::empty())];
    let now = Timespec::try_from(Duration::ZERO).ok();
    let gone = poll(&mut fds, now.as_ref()).is_ok_and(|ready| ready > 0)
        && fds[0].revents().contains(PollFlags::ERR);
    if gone { Reader::Gone } else { Reader::There }
}
