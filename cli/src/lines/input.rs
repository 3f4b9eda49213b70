//! Files, one after the other, in batches of whole records.

use std::fs::{self, File};
use std::io::{self, IsTerminal, stdin};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::framing::{Cutter, Framing};
use super::stop::Stop;
use crate::failure::Failure;
use crate::quote;

/// How much is read at once.
const CHUNK: usize = 128 << 10;

/// One of the files that were named; `-` is the standard input stream.
#[derive(Debug)]
pub enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    /// The files, which are there and can be read as far as can be told without opening them. None is the standard
    /// input stream.
    pub fn all(files: &[PathBuf]) -> Result<Vec<Self>, Failure> {
        if files.is_empty() {
            return Ok(vec![Self::Stdin]);
        }
        files.iter().map(|file| Self::new(file)).collect()
    }

    fn new(file: &Path) -> Result<Self, Failure> {
        if file == Path::new("-") {
            return Ok(Self::Stdin);
        }
        let bad = |error: io::Error| Failure::Usage(format!("{}: {error}", quote::path(file)));
        if fs::metadata(file).map_err(bad)?.is_dir() {
            return Err(bad(io::ErrorKind::IsADirectory.into()));
        }
        rustix::fs::access(file, rustix::fs::Access::READ_OK).map_err(|e| bad(e.into()))?;
        Ok(Self::File(file.to_owned()))
    }

    /// How many bytes there are to read, if that is known.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Stdin => {
                let size = regular_size(stdin().as_fd())?;
                Some(size.saturating_sub(rustix::fs::tell(stdin()).ok()?))
            }
            Self::File(file) => {
                fs::metadata(file).ok().filter(fs::Metadata::is_file).map(|m| m.len())
            }
        }
    }

    /// Whether somebody types it.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdin) && stdin().is_terminal()
    }

    /// What it is called in messages.
    fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(file) => quote::path(file).into_owned(),
        }
    }

    /// Reads all of it and gives `send` its records, some at a time and each as soon as it is there. They have at most
    /// `max` bytes.
    pub fn read(
        &self,
        framing: Framing,
        max: u64,
        stop: Stop,
        send: impl FnMut(&[&[u8]]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let about =
            |error: &dyn std::fmt::Display| Failure::Run(format!("{}: {error}", self.name()));
        let cutter = Cutter::new(framing, max);
        match self {
            Self::Stdin => batches(stdin().as_fd(), cutter, stop, &about, send),
            Self::File(path) => {
                let file = open(path, stop, &about)?;
                batches(file.as_fd(), cutter, stop, &about, send)
            }
        }
    }
}

/// Makes a failure of what is wrong with an input.
type About<'a> = &'a dyn Fn(&dyn std::fmt::Display) -> Failure;

/// Opens the file; for a FIFO that may take until somebody writes to it.
fn open(path: &Path, stop: Stop, about: About<'_>) -> Result<File, Failure> {
    use rustix::fs::{Mode, OFlags};
    loop {
        stop.check()?;
        // Not the standard library's: that goes on after a signal.
        match rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => return Ok(file.into()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(about(&io::Error::from(error))),
        }
    }
}

fn regular_size(fd: BorrowedFd<'_>) -> Option<u64> {
    let status = rustix::fs::fstat(fd).ok()?;
    let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    is_file.then(|| u64::try_from(status.st_size).ok())?
}

fn batches(
    input: BorrowedFd<'_>,
    mut cutter: Cutter,
    stop: Stop,
    about: About<'_>,
    mut send: impl FnMut(&[&[u8]]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let is_regular = regular_size(input).is_some();
    let mut buffer = vec![0; CHUNK];
    // The beginning of a record whose end was not read yet.
    let mut kept = 0;
    loop {
        if kept == buffer.len() {
            buffer.resize(2 * kept, 0);
        }
        if !is_regular {
            stop.wait_readable(input)?;
        }
        let new = match rustix::io::read(input, &mut buffer[kept..]) {
            Ok(new) => new,
            Err(Errno::INTR | Errno::AGAIN) => {
                stop.check()?;
                continue;
            }
            Err(error) => return Err(about(&io::Error::from(error))),
        };
        let filled = kept + new;
        let mut records = Vec::new();
        let (used, bad) = cutter.cut(&buffer[..filled], new == 0, &mut records);
        if !records.is_empty() {
            send(&records)?;
        }
        if let Some(bad) = bad {
            return Err(about(&bad));
        }
        if new == 0 {
            return Ok(());
        }
        buffer.copy_within(used..filled, 0);
        kept = filled - used;
    }
}
