//! Ends of pipes on their way to another process: with the handle go the sockets.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::end::{End, Sockets};
use super::{Connection, PipeReader, PipeWriter};
use crate::member::Handle;
use crate::member::ticket::{Ticket, Transfer, sealed};
use crate::object::Kind;
use crate::sys::held::HeldFd;
use crate::sys::{file, socket};
use crate::travel::parcel::enclosed::enclosable;
use crate::{Error, Result, Segment};

/// The ticket of an end: its handle and its sockets.
fn ticket_of(end: &End) -> Result<Ticket> {
    let sockets = [Some(&end.sockets.bell), end.sockets.parcels.as_ref()];
    let copies = sockets.into_iter().flatten().map(|socket| file::duplicate(socket.open()?));
    let copies = copies.collect::<std::io::Result<_>>();
    Ok(Ticket::new(Kind::Pipe, &end.handle, copies.map_err(Error::io("copy a pipe's socket"))?))
}

/// The handle and the sockets of an end that was handed over.
fn redeem(ticket: Ticket, segment: &Segment) -> Result<(Handle, Sockets)> {
    let (handle, fds) = ticket.redeem(segment, Kind::Pipe)?;
    let missing = || Error::NotInherited("the socket of a pipe".into());
    let mut fds = fds.into_iter();
    let mut next = |boundaries| match fds.next() {
        None => Ok(None),
        Some(fd) if socket::keeps_boundaries(fd.as_fd()).is_ok_and(|keeps| keeps == boundaries) => {
            HeldFd::new(fd).map(Arc::new).map(Some).map_err(|_| missing())
        }
        Some(_) => Err(missing()),
    };
    let bell = next(false)?.ok_or_else(missing)?;
    Ok((handle, Sockets { bell, parcels: next(true)? }))
}

impl sealed::Sealed for PipeReader {
    fn handle_of(&self) -> &Handle {
        &self.end().handle
    }
}

impl sealed::Sealed for PipeWriter {
    fn handle_of(&self) -> &Handle {
        &self.end().handle
    }
}

impl sealed::Sealed for Connection {
    fn handle_of(&self) -> &Handle {
        &self.reader().end().handle
    }
}

enclosable! { () PipeReader }
enclosable! { () PipeWriter }
enclosable! { () Connection }

impl Transfer for PipeReader {
    fn ticket(&self) -> Result<Ticket> {
        ticket_of(self.end())
    }

    fn from_ticket(ticket: Ticket, segment: &Segment) -> Result<Self> {
        let (handle, sockets) = redeem(ticket, segment)?;
        Self::new(handle, sockets)
    }
}

impl Transfer for PipeWriter {
    fn ticket(&self) -> Result<Ticket> {
        ticket_of(self.end())
    }

    fn from_ticket(ticket: Ticket, segment: &Segment) -> Result<Self> {
        let (handle, sockets) = redeem(ticket, segment)?;
        Self::new(handle, sockets)
    }
}

impl Transfer for Connection {
    fn ticket(&self) -> Result<Ticket> {
        ticket_of(self.reader().end())
    }

    fn from_ticket(ticket: Ticket, segment: &Segment) -> Result<Self> {
        let (handle, sockets) = redeem(ticket, segment)?;
        Self::new(handle, sockets)
    }
}
