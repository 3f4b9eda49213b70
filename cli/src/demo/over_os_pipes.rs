//! The same run over the kernel's pipes.
//!
//! A pipe keeps a write whole up to [`WHOLE`] bytes only, so that one pipe cannot carry lines of any length from several
//! readers to several workers. Here each worker has a pipe that all readers write to. A reader puts as many lines as fit
//! into one write and gives such writes to the workers in turn. A line that is longer is cut in pieces, written one by
//! one to one worker, who puts them together again:
//!
//! ```text
//! | bytes and MORE: u32 | reader: u32 | lines, or a piece of one … |
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSlice, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::io::FdFlags;

use super::collect::{Outcome, Received, Source, Undisturbed, collect};
use super::counts::{Counts, Span, Work, end};
use super::family::Family;
use super::launch;
use super::lines::{end_of_last, read_batches};
use crate::failure::Failure;
use crate::quote;

/// The longest write that the kernel keeps whole: `PIPE_BUF`.
const WHOLE: usize = 4096;
/// The length and the reader's number.
const HEADER: usize = 8;
/// The most bytes behind it.
const ROOM: usize = WHOLE - HEADER;
/// More pieces of the line follow.
const MORE: u32 = 1 << 31;
/// How much is read from a pipe at once: as much as it holds.
const READ: usize = 64 << 10;

/// Has `workers` workers take the lines of `files`, which one reader for each writes.
pub fn run(files: &[PathBuf], times: u32, workers: usize, work: Work) -> Result<Outcome, Failure> {
    let (mut family, mut sources, mut pipes) = (Family::default(), Vec::new(), Vec::new());
    for number in 1..=workers {
        let (lines, to_worker) = io::pipe()?;
        let (from_worker, counts) = io::pipe()?;
        let child = launch::worker("pipe-worker", work).stdin(lines).stdout(counts).spawn()?;
        family.adopt(format!("worker {number} over pipes"), child)?;
        sources.push(Results::new(from_worker.into())?);
        pipes.push(to_worker);
    }
    start_readers(files, times, &pipes, &mut family)?;
    // The readers have these. What we kept would keep the workers waiting.
    drop(pipes);
    collect(sources, &mut family, Undisturbed)
}

fn start_readers(
    files: &[PathBuf],
    times: u32,
    pipes: &[PipeWriter],
    family: &mut Family,
) -> Result<(), Failure> {
    let mut options = vec![format!("--times={times}")];
    for pipe in pipes {
        // All workers run already: nobody but the readers inherits it.
        rustix::io::fcntl_setfd(pipe, FdFlags::empty())?;
        options.push(format!("--pipe={}", pipe.as_raw_fd()));
    }
    for (number, file) in files.iter().enumerate() {
        options.push(format!("--number={number}"));
        let child = launch::reader("pipe-reader", &options, file).spawn()?;
        options.pop();
        family.adopt(format!("the reader of {} over pipes", quote::path(file)), child)?;
    }
    Ok(())
}

/// A worker's counts: messages with their length before them.
struct Results {
    pipe: File,
    /// What was read and is not a whole message yet.
    inbox: Vec<u8>,
}

impl Results {
    fn new(pipe: OwnedFd) -> Result<Self, Failure> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: pipe.into(), inbox: Vec::new() })
    }

    /// Moves the first message of the inbox to `message`, if it is whole.
    fn take(&mut self, message: &mut Vec<u8>) -> bool {
        let Some((len, rest)) = self.inbox.split_first_chunk() else { return false };
        let len = u64::from_le_bytes(*len);
        let Some(whole) = usize::try_from(len).ok().and_then(|len| rest.get(..len)) else {
            return false;
        };
        message.clear();
        message.extend_from_slice(whole);
        self.inbox.drain(..size_of::<u64>() + message.len());
        true
    }
}

impl Source for Results {
    fn fd(&mut self) -> Result<BorrowedFd<'_>, Failure> {
        Ok(self.pipe.as_fd())
    }

    fn receive(&mut self, message: &mut Vec<u8>) -> Result<Received, Failure> {
        let mut buffer = [0; READ];
        while !self.take(message) {
            match self.pipe.read(&mut buffer) {
                Ok(0) => return Ok(Received::End),
                Ok(read) => self.inbox.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::Nothing);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Received::Message)
    }
}

/// A reader process: deals the lines of `file` to the pipes with these descriptors.
pub fn read(file: &Path, times: u32, number: u32, pipes: &[RawFd]) -> Result<(), Failure> {
    // SAFETY: whoever started this process had it inherit them for this, once each, and named them.
    let own = |fd: &RawFd| File::from(unsafe { OwnedFd::from_raw_fd(*fd) });
    let pipes = pipes.iter().map(own).collect();
    let mut dealer = Dealer { pipes, turn: 0, number };
    read_batches(file, times, |lines| Ok(dealer.deal(lines)?))
}

/// Deals lines to workers.
struct Dealer<P> {
    pipes: Vec<P>,
    /// Whose turn it is.
    turn: usize,
    /// Our number among the readers.
    number: u32,
}

impl<P: Write> Dealer<P> {
    fn deal(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            let most = lines.len().min(ROOM);
            // As many lines as fit, or one that does not.
            let whole = if most == lines.len() { Some(most) } else { end_of_last(&lines[..most]) };
            let next = whole.unwrap_or_else(|| end_of_first(lines));
            let (now, rest) = lines.split_at(next);
            let mut pieces = now.chunks(ROOM).peekable();
            while let Some(piece) = pieces.next() {
                self.write(piece, pieces.peek().is_some())?;
            }
            // The next one gets the next lines.
            self.turn = (self.turn + 1) % self.pipes.len();
            lines = rest;
        }
        Ok(())
    }

    /// One write of at most [`WHOLE`] bytes: all of it, or nothing.
    fn write(&mut self, piece: &[u8], more: bool) -> io::Result<()> {
        let mut header = [0; HEADER];
        let len = piece.len() as u32 | if more { MORE } else { 0 };
        header[..4].copy_from_slice(&len.to_le_bytes());
        header[4..].copy_from_slice(&self.number.to_le_bytes());
        loop {
            let parts = [IoSlice::new(&header), IoSlice::new(piece)];
            match self.pipes[self.turn].write_vectored(&parts) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(written) if written == HEADER + piece.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Behind the first end of a line.
fn end_of_first(lines: &[u8]) -> usize {
    memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1)
}

/// A worker process: takes what comes from the standard input until all readers are gone, and writes the counts to the
/// standard output.
pub fn work(work: Work) -> Result<(), Failure> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut taken = Taken::new(work);
    take_lines(&mut input, &mut taken)?;
    let mut send = |message: &[u8]| {
        output.write_all(&(message.len() as u64).to_le_bytes())?;
        Ok(output.write_all(message)?)
    };
    taken.counts.commit(Vec::new(), false, &mut send)?;
    send(&end(taken.span))
}

fn take_lines(input: &mut impl Read, taken: &mut Taken) -> io::Result<()> {
    let (mut buffer, mut kept) = (vec![0; READ + WHOLE], 0);
    loop {
        let new = match input.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        taken.span.note();
        let filled = kept + new;
        let mut rest = &buffer[..filled];
        while let Some((reader, more, bytes)) = split_frame(&mut rest) {
            taken.put(reader, more, bytes);
        }
        kept = rest.len();
        buffer.copy_within(filled - kept..filled, 0);
    }
}

/// Takes reader, whether more follows, and bytes from the front of `buffer`, if they are there.
fn split_frame<'a>(buffer: &mut &'a [u8]) -> Option<(u32, bool, &'a [u8])> {
    let (len, rest) = buffer.split_first_chunk()?;
    let (reader, rest) = rest.split_first_chunk()?;
    let len = u32::from_le_bytes(*len);
    let (bytes, rest) = rest.split_at_checked((len & !MORE) as usize)?;
    *buffer = rest;
    Some((u32::from_le_bytes(*reader), len & MORE != 0, bytes))
}

/// What a worker has taken.
struct Taken {
    work: Work,
    counts: Counts,
    span: Span,
    /// The pieces of lines whose ends have not come yet, by reader.
    pieces: HashMap<u32, Vec<u8>>,
}

impl Taken {
    fn new(work: Work) -> Self {
        Self { work, counts: Counts::default(), span: Span::default(), pieces: HashMap::new() }
    }

    /// Takes lines, or a line when it is whole.
    fn put(&mut self, reader: u32, more: bool, bytes: &[u8]) {
        if more {
            self.pieces.entry(reader).or_default().extend_from_slice(bytes);
        } else if let Some(mut line) = self.pieces.remove(&reader) {
            line.extend_from_slice(bytes);
            self.counts.add_lines(&line, self.work);
        } else {
            self.counts.add_lines(bytes, self.work);
        }
    }
}
