//! A pipe of messages between two ends, one-way or duplex.
//!
//! Messages keep their boundaries and may be of any size; up to 4 KiB they travel in a ring, longer ones lie in a block
//! and are written once. The other end's last copy being closed, by a call, by exit or by SIGKILL, is the end of file for
//! the reader and an error for the writer, at once: the kernel counts the copies of a socket that goes with each end. No
//! data goes through that socket; a byte does when the reader sleeps. What nobody has received goes with the end that it was sent
//! to, and handles that are part of it are given back.
//!
//! Several processes may use one end. They take turns under a lock that a killed one does not keep, and no message is
//! torn; a kill costs at most the message in its hands. A process that is *stopped* in its turn is waited for, by
//! those of the same end.
//!
//! | file | what it holds |
//! |---|---|
//! | `lane.rs` | one direction in shared memory, and the pipe's body |
//! | `end.rs` | handle, socket, turns |
//! | `departures.rs` | how a sender takes its turn, waits for room and tells the reader |
//! | `arrivals.rs` | how a reader sleeps, and what an event loop waits for |
//! | `writer.rs`, `reader.rs` | the two halves of an end |
//! | `connection.rs` | both in one: [`Connection`] |
//! | `enclosing.rs` | messages with handles in them |
//! | `transfer.rs` | ends on their way to another process |
//! | `listening.rs` | an acceptor in shared memory |
//! | `room.rs` | when a socket is writable |
//! | `watched.rs` | when a pipe is ready, for those who watch it |
//! | `kind.rs` | what a death does to a pipe and to an acceptor, and what observers are told of them |
//!
//! Pipes between programs that know a name are in `open/`: [`Acceptor`](crate::Acceptor), [`Pipe::connect`].

mod arrivals;
mod connection;
mod departures;
mod enclosing;
mod end;
mod kind;
mod lane;
mod listening;
mod reader;
mod room;
#[cfg(test)]
mod tests;
mod transfer;
mod watched;
mod writer;

use std::sync::Arc;

use slipring_core::ring::spsc_records::{Layout, MAX_SIZE, MIN_SIZE};

pub use connection::Connection;
pub(crate) use kind::{AcceptorKind, PipeKind};
pub(crate) use listening::{Listening, PARCEL, glance_at_acceptor};
pub use reader::PipeReader;
pub use writer::PipeWriter;

use self::end::Sockets;
use self::lane::Shape;
use crate::member::Handle;
use crate::object::{Kind, Role};
use crate::sys::held::HeldFd;
use crate::sys::socket;
use crate::{Error, Result, Segment};

/// Bytes of a ring unless told otherwise.
const DEFAULT_RING: usize = 64 << 10;

/// How a pipe is to be made.
///
/// ```
/// use slipring::{Error, Pipe, PipeOptions, Segment};
///
/// let segment = Segment::create()?;
/// let options = PipeOptions::new().ring(1 << 20).max_message(100);
/// let (_reader, mut writer) = Pipe::one_way_with(&segment, options)?;
/// assert!(matches!(writer.send(&[0; 101]), Err(Error::TooLong { len: 101, max: 100 })));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PipeOptions {
    ring: usize,
    max_len: u64,
    handles: bool,
}

impl Default for PipeOptions {
    fn default() -> Self {
        Self { ring: DEFAULT_RING, max_len: u64::MAX, handles: false }
    }
}

impl PipeOptions {
    /// A ring of 64 KiB each way, messages as long as the segment holds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of each ring, a power of two from 256 to 2^28: how much may be sent that nobody has received yet. A message
    /// in a block counts a 64th of its length, at most a quarter of the ring.
    #[must_use]
    pub fn ring(mut self, bytes: usize) -> Self {
        self.ring = bytes;
        self
    }

    /// The longest message, in bytes.
    #[must_use]
    pub fn max_message(mut self, bytes: u64) -> Self {
        self.max_len = bytes;
        self
    }

    /// Whether values that go through the pipe may have handles in them: ends of queues and of other pipes, locks. Each
    /// end has one descriptor more then.
    ///
    /// Whoever receives the value has the handles. While they are on their way they count as held; if the message is never
    /// received, or received as bytes, they are given back. A message holds at most 253 descriptors: each end of a pipe has
    /// one or two, each segment that there are handles of one.
    ///
    /// # Examples
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use slipring::{Error, Pipe, PipeOptions, PipeWriter, Segment};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Request {
    ///     question: String,
    ///     answer_to: PipeWriter,
    /// }
    ///
    /// let segment = Segment::create()?;
    /// let options = PipeOptions::new().handles(true);
    /// let (mut requests, mut client) = Pipe::one_way_with(&segment, options)?;
    /// let (mut answers, answer_to) = Pipe::one_way(&segment)?;
    /// client.send_value(&Request { question: "2 + 2".into(), answer_to })?;
    ///
    /// // In another process:
    /// let mut request: Request = requests.recv_value(None::<std::time::Duration>)?;
    /// request.answer_to.send(b"4")?;
    /// drop(request);
    ///
    /// assert_eq!(answers.recv()?, b"4");
    /// assert!(matches!(answers.recv(), Err(Error::Disconnected)), "nobody has the other end");
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn handles(mut self, on: bool) -> Self {
        self.handles = on;
        self
    }

    pub(crate) fn layout(self) -> Result<Layout> {
        Layout::new(self.ring).map_err(|_| Error::Capacity {
            what: "a pipe's ring (a power of two)",
            wanted: self.ring as u64,
            min: MIN_SIZE as u64,
            max: MAX_SIZE as u64,
        })
    }
}

/// Makes pipes. See the [module](self).
///
/// ```
/// use slipring::{Error, Pipe, Segment};
///
/// let segment = Segment::create()?;
/// let (mut here, mut there) = Pipe::duplex(&segment)?;
/// here.send(b"ping")?;
/// assert_eq!(there.recv()?, b"ping");
/// there.send_value(&("pong", 7_u32))?;
/// let (word, number): (String, u32) = here.recv_value(None::<std::time::Duration>)?;
/// assert_eq!((word.as_str(), number), ("pong", 7));
///
/// drop(there);
/// assert!(matches!(here.recv(), Err(Error::Disconnected)), "end of file");
/// assert!(matches!(here.send(b"?"), Err(Error::Disconnected)), "broken pipe");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Pipe(());

impl Pipe {
    /// A pipe whose two ends both send and receive.
    ///
    /// # Errors
    ///
    /// No memory, no descriptors.
    pub fn duplex(segment: &Segment) -> Result<(Connection, Connection)> {
        Self::duplex_with(segment, PipeOptions::new())
    }

    /// A duplex pipe made to measure.
    ///
    /// # Errors
    ///
    /// As [`Pipe::duplex`], and [`Error::Capacity`].
    pub fn duplex_with(
        segment: &Segment,
        options: PipeOptions,
    ) -> Result<(Connection, Connection)> {
        let [(one, sockets_1), (two, sockets_2)] = create(segment, options, true)?;
        Ok((Connection::new(one, sockets_1)?, Connection::new(two, sockets_2)?))
    }

    /// A pipe in one direction.
    ///
    /// # Errors
    ///
    /// As [`Pipe::duplex`].
    pub fn one_way(segment: &Segment) -> Result<(PipeReader, PipeWriter)> {
        Self::one_way_with(segment, PipeOptions::new())
    }

    /// A one-way pipe made to measure.
    ///
    /// # Errors
    ///
    /// As [`Pipe::duplex_with`].
    pub fn one_way_with(
        segment: &Segment,
        options: PipeOptions,
    ) -> Result<(PipeReader, PipeWriter)> {
        let [(one, sockets_1), (two, sockets_2)] = create(segment, options, false)?;
        Ok((PipeReader::new(two, sockets_2)?, PipeWriter::new(one, sockets_1)?))
    }
}

/// The sockets of both ends.
fn sockets(handles: bool) -> Result<[Sockets; 2]> {
    let failed = "make a pair of sockets";
    let (one, two) = socket::pair().map_err(Error::io(failed))?;
    let parcels = handles.then(socket::packet_pair).transpose().map_err(Error::io(failed))?;
    let (first, second) = parcels.unzip();
    let held = |fd| HeldFd::new(fd).map(Arc::new).map_err(Error::io(failed));
    let sockets = |bell, parcels: Option<_>| -> Result<_> {
        Ok(Sockets { bell: held(bell)?, parcels: parcels.map(held).transpose()? })
    };
    Ok([sockets(one, first)?, sockets(two, second)?])
}

/// Makes a pipe: a handle and the sockets of each end.
fn create(segment: &Segment, options: PipeOptions, duplex: bool) -> Result<[(Handle, Sockets); 2]> {
    let layout = options.layout()?;
    let len = Shape::body_bytes(layout, duplex);
    let [one, two] = sockets(options.handles)?;
    let attachment = segment.attachment();
    let [first, second] = Handle::create(attachment, Kind::Pipe, len, Role::ALL, |body, _| {
        // SAFETY: committed memory of `len` bytes, reserved for us, aligned to 128.
        unsafe { Shape::init(body, layout, options.max_len, duplex, options.handles) };
        Ok(())
    })?;
    Ok([(first, one), (second, two)])
}
