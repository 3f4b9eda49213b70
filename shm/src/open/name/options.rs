//! What is said of a name: how it reads, who may use it, how long it stays.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use crate::memory::path_of;
use crate::sys::name as sys;
use crate::{Error, Result, SegmentOptions};

/// A name, and how what it names is to be made and opened. Made from a `&str`; the rest is optional.
///
/// ```
/// use slipring::{ByteSender, Name, Named, QueueOptions};
///
/// # let text = format!("doc-group-{}", std::process::id());
/// # let text = text.as_str();
/// let name = Name::new(text).mode(0o660);
/// let sender = ByteSender::open_or_create(name, QueueOptions::unbounded())?;
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) mode: u32,
    pub(super) group: Option<u32>,
    persists: bool,
    trusted: Option<u32>,
    pub(super) segment: SegmentOptions,
}

impl<'a> Name<'a> {
    /// A name of 1 to 128 bytes without `/` and NUL. It is looked at when it is used.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            mode: 0o600,
            group: None,
            persists: false,
            trusted: None,
            segment: SegmentOptions::new(),
        }
    }

    /// Who may use what is created: permission bits of the file. Reading and writing go together: both are needed.
    #[must_use]
    pub fn mode(mut self, bits: u32) -> Self {
        self.mode = bits & 0o777;
        self
    }

    /// The group, by its number, that the file is to belong to when it is created.
    #[must_use]
    pub fn group(mut self, gid: u32) -> Self {
        self.group = Some(gid);
        self
    }

    /// Has what is created stay when nobody has a handle any more, until [`unlink`](super::unlink).
    #[must_use]
    pub fn persist(mut self) -> Self {
        self.persists = true;
        self
    }

    /// Opens the file also where it belongs to this user, by number. One's own files and root's are trusted anyway.
    #[must_use]
    pub fn trust(mut self, uid: u32) -> Self {
        self.trusted = Some(uid);
        self
    }

    /// How large what is created may become, and how much address space it reserves: [`NAMED_RESERVE`](crate::segment::NAMED_RESERVE)
    /// unless it is said here.
    #[must_use]
    pub fn segment(mut self, options: SegmentOptions) -> Self {
        self.segment = options;
        self
    }

    pub(super) fn path(&self) -> Result<PathBuf> {
        path_of(self.text)
    }

    /// Its file, for looking only.
    pub(crate) fn open_for_reading(&self) -> Result<(OwnedFd, sys::Status)> {
        let file = sys::open_for_reading(&self.path()?);
        let file = file.map_err(|e| self.refused("open the name", e))?;
        let status = sys::status(file.as_fd()).map_err(|e| self.refused("look at the name", e))?;
        Ok((file, status))
    }

    /// Whether what is created is to stay when nobody has a handle any more.
    pub(crate) fn persists(&self) -> bool {
        self.persists
    }

    pub(super) fn is_trusted(&self, uid: u32) -> bool {
        uid == 0 || uid == sys::user() || self.trusted == Some(uid)
    }

    /// A sentence about this name for what the kernel said.
    pub(super) fn refused(&self, op: &'static str, source: io::Error) -> Error {
        let name = self.text.to_owned();
        match source.kind() {
            _ if sys::is_symlink(&source) => {
                Error::NotASegment { why: "it is a symbolic link".into() }
            }
            io::ErrorKind::NotFound => Error::NoSuchName { name },
            io::ErrorKind::PermissionDenied => Error::NotPermitted { name },
            io::ErrorKind::IsADirectory => Error::NotASegment { why: "it is a directory".into() },
            _ => Error::Io { op, source },
        }
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text)
    }
}

impl<'a> From<&'a String> for Name<'a> {
    fn from(text: &'a String) -> Self {
        Self::new(text)
    }
}
