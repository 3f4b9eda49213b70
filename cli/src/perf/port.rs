//! One end of a way there and back, over any of the channels.

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
use slipring::{
    ByteQueue, ByteReceiver, ByteSender, Handoff, Inherited, Pipe, PipeOptions, PipeReader,
    PipeWriter, Segment, SlotReceiver, SlotSender, Slots,
};

use super::setup::{Channel, Setup};
use crate::failure::Failure;

/// Names under which the other process finds its handles.
const IN: &str = "in";
const OUT: &str = "out";
/// So many messages are on their way at most; fewer of those that are large.
const DEPTH: usize = 1024;
const DEPTH_BYTES: usize = 4 << 20;

/// One end.
pub trait Port {
    /// Sends a message of the size that was agreed on, waiting for room.
    fn send(&mut self, message: &[u8]) -> Result<(), Failure>;

    /// Waits for a message, copies it and returns its first byte.
    fn recv(&mut self) -> Result<u8, Failure>;
}

/// What is done with an end.
pub trait Play {
    /// What comes of it.
    type Out;

    /// Does it.
    fn play(self, port: impl Port) -> Result<Self::Out, Failure>;
}

/// Does with a constant what is possible with some sizes only.
macro_rules! with_size {
    ($size:expr, $N:ident => $some:expr, $none:expr) => {
        with_size!(@ $size, $N => $some, $none, 8 64 512 4096 65536 1048576)
    };
    (@ $size:expr, $N:ident => $some:expr, $none:expr, $($n:literal)*) => {
        match $size {
            $($n => {
                const $N: usize = $n;
                $some
            })*
            _ => $none,
        }
    };
}

/// Whether there is such a channel for such messages.
pub fn is_possible(setup: &Setup) -> bool {
    setup.channel != Channel::Slots || with_size!(setup.size, N => N > 0, false)
}

fn impossible() -> Failure {
    Failure::Usage("there are no slots of that size".to_owned())
}

fn depth(size: usize) -> u64 {
    (DEPTH_BYTES / size).clamp(4, DEPTH) as u64
}

/// Starts `command` as the other process and plays at this end.
pub fn with_peer<P: Play>(setup: &Setup, mut command: Command, play: P) -> Result<P::Out, Failure> {
    let size = setup.size;
    match setup.channel {
        Channel::OsPipe => {
            let (their_in, our_out) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            let (our_in, their_out) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            over_bytes(size, command, [their_in, their_out], [our_in, our_out], play)
        }
        Channel::SocketPair => {
            let (flags, kind) = (SocketFlags::CLOEXEC, SocketType::STREAM);
            let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None)?;
            let again = |fd: &OwnedFd| fd.try_clone();
            let (ours, theirs) = ([again(&ours)?, ours], [again(&theirs)?, theirs]);
            over_bytes(size, command, theirs, ours, play)
        }
        Channel::Slots => with_size!(size, N => {
            let segment = Segment::create()?;
            let (out, their_in) = Slots::<[u8; N]>::new(&segment, depth(size))?;
            let (their_out, input) = Slots::<[u8; N]>::new(&segment, depth(size))?;
            let _peer = hand_over(&segment, &mut command, their_in, their_out)?;
            play.play(SlotPort { out, input })
        }, Err(impossible())),
        Channel::Queue => {
            let segment = Segment::create()?;
            let (out, their_in) = ByteQueue::bounded(&segment, depth(size))?;
            let (their_out, input) = ByteQueue::bounded(&segment, depth(size))?;
            let _peer = hand_over(&segment, &mut command, their_in, their_out)?;
            play.play(QueuePort { out, input, buffer: Vec::new() })
        }
        Channel::Pipe | Channel::Records => {
            let segment = Segment::create()?;
            let mut options = PipeOptions::new();
            if setup.channel == Channel::Records {
                options = options.ring((4 * (size + 64)).next_power_of_two().max(64 << 10));
            }
            let (their_in, out) = Pipe::one_way_with(&segment, options)?;
            let (input, their_out) = Pipe::one_way_with(&segment, options)?;
            let _peer = hand_over(&segment, &mut command, their_in, their_out)?;
            play.play(PipePort { out, input, buffer: Vec::new() })
        }
    }
}

/// Plays in the process that was started.
pub fn as_peer<P: Play>(setup: &Setup, play: P) -> Result<P::Out, Failure> {
    let size = setup.size;
    match setup.channel {
        Channel::OsPipe | Channel::SocketPair => {
            let dup = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned();
            let input = dup(std::os::fd::AsFd::as_fd(&std::io::stdin()))?;
            let out = dup(std::os::fd::AsFd::as_fd(&std::io::stdout()))?;
            play.play(BytesPort::new(size, input, out))
        }
        Channel::Slots => with_size!(size, N => {
            let mut inherited = Inherited::from_env()?;
            let input: SlotReceiver<[u8; N]> = inherited.take(IN)?;
            play.play(SlotPort { input, out: inherited.take(OUT)? })
        }, Err(impossible())),
        Channel::Queue => {
            let mut inherited = Inherited::from_env()?;
            let (input, out) = (inherited.take(IN)?, inherited.take(OUT)?);
            play.play(QueuePort { out, input, buffer: Vec::new() })
        }
        Channel::Pipe | Channel::Records => {
            let mut inherited = Inherited::from_env()?;
            let (input, out) = (inherited.take(IN)?, inherited.take(OUT)?);
            play.play(PipePort { out, input, buffer: Vec::new() })
        }
    }
}

/// The other process: ended and reaped when this goes.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Gives these to the other process, and keeps none of them here.
fn hand_over(
    segment: &Segment,
    command: &mut Command,
    input: impl slipring::handoff::Transfer,
    out: impl slipring::handoff::Transfer,
) -> Result<Peer, Failure> {
    let mut handoff = Handoff::new(segment);
    handoff.give(IN, &input)?;
    handoff.give(OUT, &out)?;
    Ok(Peer(handoff.spawn(command.stdin(Stdio::null()).stdout(Stdio::null()))?))
}

fn over_bytes<P: Play>(
    size: usize,
    mut command: Command,
    [their_in, their_out]: [OwnedFd; 2],
    [our_in, our_out]: [OwnedFd; 2],
    play: P,
) -> Result<P::Out, Failure> {
    let _peer = Peer(command.stdin(their_in).stdout(their_out).spawn()?);
    // It keeps their ends, too.
    drop(command);
    play.play(BytesPort::new(size, our_in, our_out))
}

struct SlotPort<const N: usize> {
    out: SlotSender<[u8; N]>,
    input: SlotReceiver<[u8; N]>,
}

impl<const N: usize> Port for SlotPort<N> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        let value = message.first_chunk().ok_or_else(impossible)?;
        Ok(self.out.send(value)?)
    }

    #[inline]
    fn recv(&mut self) -> Result<u8, Failure> {
        let value = self.input.recv()?;
        Ok(black_box(&value)[0])
    }
}

struct QueuePort {
    out: ByteSender,
    input: ByteReceiver,
    buffer: Vec<u8>,
}

impl Port for QueuePort {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        Ok(self.out.send(message)?)
    }

    #[inline]
    fn recv(&mut self) -> Result<u8, Failure> {
        self.input.recv_into(&mut self.buffer, slipring::Until::NEVER)?;
        Ok(black_box(&self.buffer)[0])
    }
}

struct PipePort {
    out: PipeWriter,
    input: PipeReader,
    buffer: Vec<u8>,
}

impl Port for PipePort {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        Ok(self.out.send(message)?)
    }

    #[inline]
    fn recv(&mut self) -> Result<u8, Failure> {
        self.input.recv_into(&mut self.buffer, slipring::Until::NEVER)?;
        Ok(black_box(&self.buffer)[0])
    }
}

/// Messages of one size over a stream of bytes.
struct BytesPort {
    input: std::fs::File,
    out: std::fs::File,
    buffer: Vec<u8>,
}

impl BytesPort {
    fn new(size: usize, input: OwnedFd, out: OwnedFd) -> Self {
        Self { input: input.into(), out: out.into(), buffer: vec![0; size] }
    }
}

impl Port for BytesPort {
    fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(message)?)
    }

    fn recv(&mut self) -> Result<u8, Failure> {
        match self.input.read_exact(&mut self.buffer) {
            Ok(()) => Ok(black_box(&self.buffer)[0]),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(Errno::PIPE.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
