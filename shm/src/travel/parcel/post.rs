//! A parcel through a socket: one message where the socket keeps boundaries, a header and what it announces where not.

use std::os::fd::{BorrowedFd, OwnedFd};

use super::{Arrived, HEAD, Head, MAX_TEXT, Packed, not_inherited};
use crate::member::{Attachment, Wait};
use crate::sys::socket::{self, Posted, Ready, Received};
use crate::wait::{Until, sleep_on};
use crate::{Error, Result};

const RECEIVE: &str = "receive handles";

/// Sends a parcel as number `number`, waiting for room until a deadline.
///
/// # Errors
///
/// [`Error::WouldBlock`] or [`Error::TimedOut`]; on a stream a part of it may have been sent then. [`Error::Disconnected`].
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    mut packed: Packed,
    number: u64,
    attachment: &Attachment,
    until: Until,
) -> Result<()> {
    let (bytes, fds) = packed.message(number);
    let (mut rest, mut fds) = (&bytes[..], &fds[..]);
    let mut wait = Wait::new(attachment, None, until.deadline());
    while !rest.is_empty() {
        match socket::post(socket, rest, fds).map_err(Error::io("send handles"))? {
            // What is left of a stream's message goes without the descriptors: they are there already.
            Posted::Bytes(sent) => (rest, fds) = (&rest[sent.min(rest.len())..], &[]),
            Posted::Hangup => return Err(Error::Disconnected),
            Posted::Full if until.is_now() => return Err(Error::WouldBlock),
            Posted::Full => wait_for_room(socket, &mut wait)?,
        }
    }
    crash_point!("parcel.send.sent");
    packed.sent = true;
    Ok(())
}

fn wait_for_room(socket: BorrowedFd<'_>, wait: &mut Wait<'_>) -> Result<()> {
    match sleep_on(wait, |end| socket::wait_writable(socket, end))? {
        Ok(Ready::Hangup) | Err(_) => Err(Error::Disconnected),
        Ok(Ready::Readable | Ready::TimedOut | Ready::Interrupted) => Ok(()),
    }
}

/// Receives a parcel, waiting for one until a deadline. Whatever descriptors came are closed where it fails.
///
/// # Errors
///
/// [`Error::WouldBlock`] or [`Error::TimedOut`]; [`Error::Disconnected`] where nobody can send one any more.
/// [`Error::NotInherited`] for something else than a parcel. On a stream, the rest of such a thing is still there.
pub(crate) fn receive(socket: BorrowedFd<'_>, until: Until) -> Result<Arrived> {
    let keeps = socket::keeps_boundaries(socket).map_err(Error::io(RECEIVE))?;
    let mut fds = Vec::new();
    if keeps {
        let mut bytes = vec![0; HEAD + MAX_TEXT];
        let len = receive_some(socket, &mut bytes, &mut fds, until)?;
        bytes.truncate(len);
        return whole(&bytes, fds);
    }
    let mut head = [0; HEAD];
    receive_exactly(socket, &mut head, &mut fds, until)?;
    let head = Head::read(head)?;
    let mut text = vec![0; head.len as usize];
    receive_exactly(socket, &mut text, &mut fds, until).map_err(|error| match error {
        Error::Disconnected => cut_off(),
        error => error,
    })?;
    Arrived::checked(&head, text, fds)
}

fn cut_off() -> Error {
    not_inherited("a whole parcel")
}

/// The parcel that one message is.
fn whole(bytes: &[u8], fds: Vec<OwnedFd>) -> Result<Arrived> {
    let (head, text) = bytes.split_first_chunk::<HEAD>().ok_or_else(cut_off)?;
    let head = Head::read(*head)?;
    if text.len() != head.len as usize {
        return Err(cut_off());
    }
    Arrived::checked(&head, text.to_vec(), fds)
}

/// Fills `buffer` from a stream.
fn receive_exactly(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    until: Until,
) -> Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match receive_some(socket, &mut buffer[done..], fds, until) {
            Ok(count) => done += count,
            Err(Error::Disconnected) if done > 0 => {
                return Err(cut_off());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cold]
fn receive_error(source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::InvalidData => not_inherited(&format!("a whole parcel ({source})")),
        _ => Error::Io { op: RECEIVE, source },
    }
}

/// Waits for something, and receives it.
fn receive_some(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    until: Until,
) -> Result<usize> {
    loop {
        match socket::collect(socket, buffer, fds).map_err(receive_error)? {
            Received::Bytes(count) => return Ok(count),
            Received::Hangup => return Err(Error::Disconnected),
            Received::Empty if until.is_now() => return Err(Error::WouldBlock),
            Received::Empty => {}
        }
        let ready = socket::wait_readable(socket, until.deadline());
        if ready.map_err(Error::io("wait for handles"))? == Ready::TimedOut {
            return Err(Error::TimedOut);
        }
    }
}

/// Parcel `number` of a pipe, which is there already if it ever will be. Those before it belong to messages that were
/// lost with a killed process: they are dropped.
///
/// # Errors
///
/// [`Error::NotInherited`] where it went with a killed reader, or is damaged. Those behind it stay.
pub(crate) fn receive_numbered(socket: BorrowedFd<'_>, number: u64) -> Result<Arrived> {
    /// A peer gone mad may fill the socket with anything, and go on doing so.
    const PATIENCE: u32 = 1 << 12;
    let lost = || not_inherited("what belongs to this message, lost with a killed process,");
    for _ in 0..PATIENCE {
        let mut head = [0; HEAD];
        match socket::peek(socket, &mut head).map_err(Error::io(RECEIVE))? {
            Received::Bytes(_) => {}
            Received::Empty => return Err(lost()),
            // Or a message of no bytes.
            Received::Hangup => {
                let _ = socket::receive(socket, &mut [0]);
                return Err(lost());
            }
        }
        match Head::read(head) {
            Ok(head) if head.number > number => return Err(lost()),
            Ok(head) if head.number == number => return receive(socket, Until::NOW),
            // Without room for descriptors they are closed in the kernel.
            Ok(_) | Err(_) => drop(socket::receive(socket, &mut [0]).map_err(Error::io(RECEIVE))?),
        }
    }
    Err(lost())
}
