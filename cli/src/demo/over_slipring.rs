//! The run over slipring: one bounded queue of lines from all readers to all workers, and a one-way pipe from each worker.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use slipring::{
    ByteQueue, ByteReceiver, ByteSender, Error, Handoff, Inherited, Pipe, PipeReader, PipeWriter,
    Segment, SpinPolicy, Until,
};

use super::collect::{Received, Source, collect};
use super::counts::Counts;
use super::family::Family;
use super::launch;
use super::lines::{lines, read_batches};
use crate::failure::Failure;
use crate::quote;

/// The most lines that wait in the queue.
const CAPACITY: u64 = 1024;
/// The most lines that a worker takes at once: few enough that the others find some too.
const BATCH: usize = 256;
/// The names under which children find their handles.
const LINES: &str = "lines";
const COUNTS: &str = "counts";

/// Counts the words of `files` with one reader for each and `workers` workers.
pub fn count(files: &[PathBuf], workers: usize) -> Result<Counts, Failure> {
    let segment = Segment::create()?;
    let (sender, receiver) = ByteQueue::bounded(&segment, CAPACITY)?;
    let (mut family, mut sources) = (Family::default(), Vec::new());
    for number in 1..=workers {
        let (reader, writer) = Pipe::one_way(&segment)?;
        let mut handoff = Handoff::new(&segment);
        handoff.give(LINES, &receiver)?;
        handoff.give(COUNTS, &writer)?;
        let child = handoff.spawn(&mut launch::command("worker"))?;
        family.adopt(format!("worker {number}"), child)?;
        sources.push(reader);
    }
    for file in files {
        let mut handoff = Handoff::new(&segment);
        handoff.give(LINES, &sender)?;
        let child = handoff.spawn(&mut launch::reader("reader", &[], file))?;
        family.adopt(format!("the reader of {}", quote::path(file)), child)?;
    }
    // The children have these. What we kept would keep the last of them waiting.
    drop((sender, receiver));
    collect(sources, &mut family)
}

impl Source for PipeReader {
    fn fd(&mut self) -> Result<BorrowedFd<'_>, Failure> {
        Ok(self.as_fd()?)
    }

    fn receive(&mut self, message: &mut Vec<u8>) -> Result<Received, Failure> {
        match self.recv_into(message, Until::NOW) {
            Ok(_) => Ok(Received::Message),
            Err(Error::WouldBlock) => Ok(Received::Nothing),
            Err(Error::Disconnected) => Ok(Received::End),
            Err(error) => Err(error.into()),
        }
    }
}

/// What this process was given.
fn inherited() -> Result<Inherited, Failure> {
    let inherited = Inherited::from_env()?;
    // There are more processes than CPUs as a rule: who waits leaves its CPU to whom it waits for.
    inherited.segment().set_spin(SpinPolicy::Never);
    Ok(inherited)
}

/// A reader process: puts the lines of `file` into the queue.
pub fn read(file: &Path) -> Result<(), Failure> {
    let mut sender: ByteSender = inherited()?.take(LINES)?;
    read_batches(file, |batch| send_lines(&mut sender, batch))
}

/// Sends each line as a message of its own; workers are woken for many at once.
fn send_lines(sender: &mut ByteSender, batch: &[u8]) -> Result<(), Failure> {
    let lines: Vec<&[u8]> = lines(batch).collect();
    let mut sent = 0;
    while sent < lines.len() {
        sent += sender.send_batch(&lines[sent..], Until::NEVER)?;
    }
    Ok(())
}

/// A worker process: counts what is in the queue until all readers are gone, and sends the counts.
pub fn work() -> Result<(), Failure> {
    let mut inherited = inherited()?;
    let mut receiver: ByteReceiver = inherited.take(LINES)?;
    let mut writer: PipeWriter = inherited.take(COUNTS)?;
    let mut counts = Counts::default();
    loop {
        match receiver.recv_each(BATCH, Until::NEVER, |line| counts.add_line(line)) {
            Ok(_) => {}
            Err(Error::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
    }
    counts.send(|message| Ok(writer.send(message)?))
}
