//! The same run over the kernel's pipes.
//!
//! A pipe keeps a write whole up to [`WHOLE`] bytes only, so that one pipe cannot carry lines of any length from several
//! readers to several workers. Here each worker has a pipe that all readers write to. A reader puts as many lines as fit
//! into one write and gives such writes to the workers in turn. A line that is longer is cut in pieces, written one by
//! one to one worker, who puts them together again:
//!
//! ```text
//! | bytes and MORE: u32 | reader: u32 | bytes … | bytes and MORE: u32 | reader: u32 | bytes … |
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::io::FdFlags;

use super::collect::{Received, Source, collect};
use super::counts::Counts;
use super::family::Family;
use super::launch;
use super::lines::{lines, read_batches};
use crate::failure::Failure;
use crate::quote;

/// The longest write that the kernel keeps whole: `PIPE_BUF`.
const WHOLE: usize = 4096;
/// The length and the reader's number.
const HEADER: usize = 8;
/// More pieces of the line follow.
const MORE: u32 = 1 << 31;
/// How much is read from a pipe at once: as much as it holds.
const READ: usize = 64 << 10;

/// Counts the words of `files` with one reader for each and `workers` workers.
pub fn count(files: &[PathBuf], workers: usize) -> Result<Counts, Failure> {
    let (mut family, mut sources, mut pipes) = (Family::default(), Vec::new(), Vec::new());
    for number in 1..=workers {
        let (lines, to_worker) = io::pipe()?;
        let (from_worker, counts) = io::pipe()?;
        let child = launch::command("pipe-worker").stdin(lines).stdout(counts).spawn()?;
        family.adopt(format!("worker {number} over pipes"), child)?;
        sources.push(Results::new(from_worker.into())?);
        pipes.push(to_worker);
    }
    start_readers(files, &pipes, &mut family)?;
    // The readers have these. What we kept would keep the workers waiting.
    drop(pipes);
    collect(sources, &mut family)
}

fn start_readers(
    files: &[PathBuf],
    pipes: &[PipeWriter],
    family: &mut Family,
) -> Result<(), Failure> {
    let mut options = Vec::new();
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
pub fn read(file: &Path, number: u32, pipes: &[RawFd]) -> Result<(), Failure> {
    // SAFETY: whoever started this process had it inherit them for this, once each, and named them.
    let own = |fd: &RawFd| File::from(unsafe { OwnedFd::from_raw_fd(*fd) });
    let pipes = pipes.iter().map(own).collect();
    let mut dealer = Dealer { pipes, turn: 0, number, write: Vec::with_capacity(WHOLE) };
    read_batches(file, |batch| {
        lines(batch).try_for_each(|line| dealer.deal(line))?;
        Ok(dealer.end_turn()?)
    })
}

/// Deals lines to workers.
struct Dealer<P> {
    pipes: Vec<P>,
    /// Whose turn it is.
    turn: usize,
    /// Our number among the readers.
    number: u32,
    /// What will be written next.
    write: Vec<u8>,
}

impl<P: Write> Dealer<P> {
    fn deal(&mut self, line: &[u8]) -> io::Result<()> {
        if self.write.len() + HEADER + line.len() > WHOLE {
            self.end_turn()?;
        }
        let mut pieces = line.chunks(WHOLE - HEADER).peekable();
        while let Some(piece) = pieces.next() {
            let more = if pieces.peek().is_some() { MORE } else { 0 };
            self.write.extend_from_slice(&(piece.len() as u32 | more).to_le_bytes());
            self.write.extend_from_slice(&self.number.to_le_bytes());
            self.write.extend_from_slice(piece);
            if more != 0 {
                self.write()?;
            }
        }
        Ok(())
    }

    /// The next one gets the next write.
    fn end_turn(&mut self) -> io::Result<()> {
        self.write()?;
        self.turn = (self.turn + 1) % self.pipes.len();
        Ok(())
    }

    /// One write of at most [`WHOLE`] bytes.
    fn write(&mut self) -> io::Result<()> {
        if !self.write.is_empty() {
            self.pipes[self.turn].write_all(&self.write)?;
            self.write.clear();
        }
        Ok(())
    }
}

/// A worker process: counts what comes from the standard input until all readers are gone, and writes the counts to the
/// standard output.
pub fn work() -> Result<(), Failure> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut counts = Counts::default();
    count_lines(&mut input, &mut counts)?;
    counts.send(|message| {
        output.write_all(&(message.len() as u64).to_le_bytes())?;
        Ok(output.write_all(message)?)
    })
}

fn count_lines(input: &mut impl Read, counts: &mut Counts) -> io::Result<()> {
    let (mut buffer, mut kept) = (vec![0; READ + WHOLE], 0);
    let mut pieces = Pieces::default();
    loop {
        let new = match input.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let filled = kept + new;
        let mut rest = &buffer[..filled];
        while let Some((reader, more, bytes)) = split_frame(&mut rest) {
            pieces.put(reader, more, bytes, counts);
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

/// The pieces of lines whose ends have not come yet, by reader.
#[derive(Default)]
struct Pieces(HashMap<u32, Vec<u8>>);

impl Pieces {
    /// Counts a line when it is whole.
    fn put(&mut self, reader: u32, more: bool, bytes: &[u8], counts: &mut Counts) {
        if more {
            self.0.entry(reader).or_default().extend_from_slice(bytes);
        } else if let Some(mut line) = self.0.remove(&reader) {
            line.extend_from_slice(bytes);
            counts.add_line(&line);
        } else {
            counts.add_line(bytes);
        }
    }
}
