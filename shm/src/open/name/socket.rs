//! The socket of a name that programs connect to: a file `slipring-socket.INODE` beside the name's.
//!
//! It is called after the inode number of the name's file. While that file is open no other file has the number, so
//! whoever has the name's file open knows which socket is its own, whatever became of the name. And unlike a name it is short: the
//! path of a socket has at most 107 bytes.
//!
//! # Invariants
//!
//! * S1. A socket is made only under the recovery lock of the file that it is called after, while the name means that file.
//! * S2. It is taken away under the same lock, before the name is (`memory/name_file.rs`).
//!
//! So there is no socket without its name, whoever is killed at whatever moment; and whoever finds that only the dead
//! have a name takes both away.
//!
//! # Crash points
//!
//! The name is there before its socket. Who connects meanwhile tries again, as long as anybody lives who has the name.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::Name;
use crate::member::Attachment;
use crate::memory::{means, socket_of};
use crate::sys::listener;
use crate::{Error, Result};

/// Makes the socket of a segment that was just given its name, and has it listen.
///
/// # Errors
///
/// [`Error::NoSuchName`] where somebody took the name away meanwhile; [`Error::NotPermitted`].
pub(crate) fn listen(name: &Name<'_>, attachment: &Attachment) -> Result<OwnedFd> {
    let path = name.path()?;
    let failed = "make the socket of the name";
    let file = attachment.fd()?;
    let listening = attachment.with_recovery(|| -> io::Result<Option<OwnedFd>> {
        if !means(&path, file)? {
            return Ok(None);
        }
        let address = socket_of(file)?;
        // Somebody took away the name of an earlier file with this number, by hand.
        address.unlink()?;
        let socket = address.bind()?;
        crash_point!("socket.listen.bound");
        address.set_access(name.mode, name.group)?;
        crash_point!("socket.listen.access");
        listener::listen(socket.as_fd())?;
        Ok(Some(socket))
    })?;
    let listening = listening.map_err(|e| name.refused(failed, e))?;
    listening.ok_or_else(|| Error::NoSuchName { name: name.text.to_owned() })
}

/// Connects to whoever listens at the socket of the segment that has the name. `None`: nobody does at this moment, or too
/// many wait already.
///
/// # Errors
///
/// [`Error::NotPermitted`]; [`Error::ForeignOwner`] where whoever listens is not trusted.
pub(crate) fn connect(name: &Name<'_>, attachment: &Attachment) -> Result<Option<OwnedFd>> {
    let refused = |e| name.refused("connect to the name", e);
    let address = socket_of(attachment.fd()?).map_err(refused)?;
    let Some(socket) = address.connect().map_err(refused)? else { return Ok(None) };
    let uid = listener::peer_user(socket.as_fd()).map_err(refused)?;
    if !name.is_trusted(uid) {
        return Err(Error::ForeignOwner { name: name.text.to_owned(), uid });
    }
    Ok(Some(socket))
}
