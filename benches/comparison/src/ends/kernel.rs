//! Pipes and pairs of Unix sockets, between processes.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::fcntl_setpipe_size;
use slipring_benches::channels::kernel::{Reader, Writer};

use crate::exchange::{Site, Timing, answerer, asker, one_way, round_trips};
use crate::scenario::Scenario;

/// Bytes of a pipe that was made larger: the most that an ordinary user may ask for.
const LARGE: usize = 1 << 20;

/// One sample of a pipe as it comes, with a buffer of 64 KiB.
pub fn pipe(scenario: Scenario, count: u64) -> Timing {
    sample(scenario, count, || io::pipe().expect("a pipe"))
}

/// One sample of a pipe with a buffer of 1 MiB.
pub fn large_pipe(scenario: Scenario, count: u64) -> Timing {
    sample(scenario, count, || {
        let (from, to) = io::pipe().expect("a pipe");
        fcntl_setpipe_size(&to, LARGE).expect("a pipe of 1 MiB");
        (from, to)
    })
}

/// One sample of a pair of stream sockets.
pub fn stream(scenario: Scenario, count: u64) -> Timing {
    sample(scenario, count, || UnixStream::pair().expect("a pair of sockets"))
}

/// One sample of a pair of sockets that keep the bounds of messages.
pub fn packets(scenario: Scenario, count: u64) -> Timing {
    sample(scenario, count, || {
        let kind = (AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (from, to) = socketpair(kind.0, kind.1, kind.2, None).expect("a pair of sockets");
        (UnixStream::from(from), UnixStream::from(to))
    })
}

fn sample<R, W>(scenario: Scenario, count: u64, channel: impl Fn() -> (R, W)) -> Timing
where
    R: Read + AsFd + Into<OwnedFd> + Send,
    W: Write + AsFd + Into<OwnedFd> + Send,
{
    let size = scenario.bytes();
    let channel = || {
        let (from, to) = channel();
        if scenario == Scenario::Spinning {
            never_block(&from);
            never_block(&to);
        }
        (Writer::new(Again(to), size), Reader::new(Again(from), size))
    };
    let (put, take) = channel();
    if !scenario.is_round_trip() {
        return one_way(Site::Processes, scenario.amount(count), || put, || take);
    }
    let (put_back, take_back) = channel();
    let ask = || asker(put, take_back);
    round_trips(Site::Processes, count, ask, || answerer(take, put_back))
}

fn never_block(end: &impl AsFd) {
    let flags = fcntl_getfl(end).expect("the flags of an open file");
    fcntl_setfl(end, flags | OFlags::NONBLOCK).expect("an end that does not block");
}

/// Calls again, at once, where the kernel says that it would have to block.
struct Again<F>(F);

impl<F: Read> Read for Again<F> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}

impl<F: Write> Write for Again<F> {
    #[inline]
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(from) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
