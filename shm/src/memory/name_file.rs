//! The file of a name and the socket beside it, as far as whoever ends an object has to know them: where they lie, and how
//! they are taken away. Names as users see them are in [`crate::open::name`].
//!
//! # Invariants
//!
//! * N1. A name is taken away only under the recovery lock of the file that it means, and only after a look that it does
//!   mean that file: nobody takes a successor's name away.
//! * N2. The socket of a file is taken away under the same lock, before the name is.
//!
//! The socket is called after the inode number of the name's file. While that file is open no other file has the number, so
//! a process that has the name's file open knows which socket belongs to it, whatever became of the name. And unlike a
//! name it is short: the path of a socket has at most 107 bytes.

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use super::header::MAX_NAME;
use super::mapping::Mapping;
use crate::error::{Error, Result};
use crate::sys::listener::Address;
use crate::sys::name as sys;

/// Where names are kept.
const DIRECTORY: &str = "/dev/shm";
/// The variable that names another directory.
const VARIABLE: &str = "SLIPRING_DIR";
/// What the names of our files begin with.
pub(crate) const PREFIX: &str = "slipring.";
/// What the names of sockets begin with. No name's file does: [`PREFIX`] is another.
const SOCKET_PREFIX: &str = "slipring-socket.";

/// The directory that names are kept in: what `SLIPRING_DIR` says, or `/dev/shm` where that is empty or not set.
///
/// ```
/// use slipring::{Event, Named, name};
///
/// # let text = format!("doc-directory-{}", std::process::id());
/// # let text = text.as_str();
/// let _event = Event::create(text, ())?;
/// assert!(name::directory().join(format!("slipring.{text}")).exists());
/// # Ok::<(), slipring::Error>(())
/// ```
pub fn directory() -> PathBuf {
    said_by(std::env::var_os(VARIABLE))
}

fn said_by(variable: Option<OsString>) -> PathBuf {
    variable.filter(|text| !text.is_empty()).unwrap_or_else(|| OsString::from(DIRECTORY)).into()
}

/// The file that has this name, if there is one.
///
/// # Errors
///
/// [`Error::BadName`].
pub(crate) fn path_of(text: &str) -> Result<PathBuf> {
    let bad = |why| Err(Error::BadName { why });
    match text {
        "" => bad("it is empty"),
        text if text.len() > MAX_NAME => bad("it is longer than 128 bytes"),
        text if text.contains('/') => bad("it has a slash in it"),
        text if text.contains('\0') => bad("it has a NUL in it"),
        text => Ok(directory().join(format!("{PREFIX}{text}"))),
    }
}

/// Takes away the name of a segment, if it still means this one. Under its recovery lock (N1).
pub(crate) fn take_away(mapping: &Mapping) {
    let Some(text) = mapping.header().name() else { return };
    let Ok(path) = path_of(&text) else { return };
    // What cannot be taken away is found to have ended by the next process that opens it.
    let Some(file) = mapping.file().get() else { return };
    let _ = unlink_if_its(&path, file);
}

/// Takes the name away if it is this file's; and before that the file's socket, if it has one. Under its recovery lock.
pub(crate) fn unlink_if_its(path: &Path, file: BorrowedFd<'_>) -> io::Result<()> {
    socket_of(file)?.unlink()?;
    crash_point!("name.unlink.socket_gone");
    if means(path, file)? { sys::unlink(path) } else { Ok(()) }
}

/// Whether the name is this file's.
pub(crate) fn means(path: &Path, file: BorrowedFd<'_>) -> io::Result<bool> {
    let own = sys::status(file)?;
    Ok(sys::status_at(path).is_ok_and(|named| named.file == own.file))
}

/// Where the socket of this file lies.
pub(crate) fn socket_of(file: BorrowedFd<'_>) -> io::Result<Address> {
    let (_, inode) = sys::status(file)?.file;
    Address::new(&directory(), format!("{SOCKET_PREFIX}{inode}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_as_good_as_none() {
        assert_eq!(said_by(None), PathBuf::from("/dev/shm"));
        assert_eq!(said_by(Some(OsString::new())), PathBuf::from("/dev/shm"));
        assert_eq!(said_by(Some(OsString::from("/run/names"))), PathBuf::from("/run/names"));
    }
}
