//! The run over slipring: one bounded joinable queue of batches of lines from all readers to all workers, and a one-way pipe from
//! each worker.
//!
//! A message is what one read of a file gave, where the kernel put it: whole lines, behind the number of the batch. Workers count
//! it where it lies. So lines are copied once on their way, by the kernel.
//!
//! Where workers are killed, a worker holds what it has taken until its counts are sent. So a batch goes to another worker if its
//! own is killed, and the numbers tell what was counted before that: nothing is lost, and nothing counts twice.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipring::{
    ByteJoinableQueue, ByteJoinableReceiver, ByteJoinableSender, ByteLease, Error, Handoff,
    Inherited, JoinableOptions, PipeReader, PipeWriter, Segment, SpinPolicy, Until,
};

use super::collect::{Outcome, Received, Source, Undisturbed, collect};
use super::counts::{Counts, Span, Work, end};
use super::family::Family;
use super::kills::Kills;
use super::launch;
use super::lines::{Input, READ, end_of_last};
use super::staff::{COUNTS, LINES, Staff};
use crate::failure::Failure;
use crate::quote;

/// The most batches that wait in the queue.
const CAPACITY: u64 = 64;
/// The most batches that a worker holds before it sends what it has counted, where workers are killed.
const HELD: usize = 64;
/// How long such a worker waits for another batch before it sends what it has counted.
const MOMENT: Duration = Duration::from_micros(100);
/// The number of a batch, in front of its lines: which reader's it is, and which of that reader's.
const NUMBER: usize = size_of::<u64>();

/// Has `workers` workers take the lines of `files`, which one reader for each puts into the queue. So many workers are killed
/// meanwhile.
pub fn run(
    files: &[PathBuf],
    times: u32,
    workers: usize,
    work: Work,
    kills: usize,
) -> Result<(Outcome, usize), Failure> {
    let segment = Segment::create()?;
    // Each worker holds some, and one that waits for more needs a place as well. Nothing is set aside: what is killed here are
    // the workers, and not the batches' fault.
    let leases = (workers + kills) * (HELD + 2);
    let options = JoinableOptions::bounded(CAPACITY)
        .max_deliveries(None)
        .max_leases(u32::try_from(leases).unwrap_or(u32::MAX));
    let (sender, receiver) = ByteJoinableQueue::with(&segment, options)?;
    let (mut family, mut sources, mut members) = (Family::default(), Vec::new(), Vec::new());
    let mut staff = Staff::new(segment, receiver, work, kills > 0);
    for _ in 0..workers {
        let (member, source) = staff.start_worker(&mut family)?;
        members.push(member);
        sources.push(source);
    }
    for (number, file) in files.iter().enumerate() {
        let options = [format!("--times={times}"), format!("--number={number}")];
        start_reader(staff.segment(), &sender, file, &options, &mut family)?;
    }
    // The children have these. What we kept would keep the last of them waiting.
    drop(sender);
    if kills == 0 {
        drop(staff);
        return Ok((collect(sources, &mut family, Undisturbed)?, 0));
    }
    let mut kills = Kills::new(staff, members, kills);
    let outcome = collect(sources, &mut family, &mut kills)?;
    Ok((outcome, family.killed()))
}

fn start_reader(
    segment: &Segment,
    sender: &ByteJoinableSender,
    file: &PathBuf,
    options: &[String],
    family: &mut Family,
) -> Result<(), Failure> {
    let mut handoff = Handoff::new(segment);
    handoff.give(LINES, sender)?;
    let child = handoff.spawn(&mut launch::reader("reader", options, file))?;
    family.adopt(format!("the reader of {}", quote::path(file)), child)?;
    Ok(())
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

/// A reader process: puts the lines of `file` into the queue, as the reader of this number.
pub fn read(file: &Path, number: u32, times: u32) -> Result<(), Failure> {
    let mut sender: ByteJoinableSender = inherited()?.take(LINES)?;
    let mut batch = u64::from(number) << 32;
    let mut input = Input::open(file, times)?;
    // The beginning of a line whose end was not read yet.
    let mut kept = Vec::new();
    loop {
        let room = NUMBER + kept.len();
        let mut loan = sender.loan(READ.max(2 * room))?;
        loan.write_at(0, &batch.to_le_bytes());
        loan.write_at(NUMBER, &kept);
        // SAFETY: all processes of this segment run this program, which writes to a loan of its own only.
        // SAFETY: the bytes of a loan are memory that can be read and written.
        let bytes = unsafe { std::slice::from_raw_parts_mut(loan.as_mut_ptr(), loan.len()) };
        let new = input.read(&mut bytes[room..])?;
        let filled = room + new;
        let end = if new == 0 {
            Some(filled)
        } else {
            end_of_last(&bytes[room..filled]).map(|end| room + end)
        };
        let Some(end) = end else {
            kept.extend_from_slice(&bytes[room..filled]);
            continue;
        };
        kept.clear();
        kept.extend_from_slice(&bytes[end..filled]);
        if end > NUMBER {
            loan.truncate(end);
            sender.send_loan_until(loan, Until::NEVER)?;
            batch += 1;
        }
        if new == 0 {
            return Ok(());
        }
    }
}

/// A worker process: takes what is in the queue until all readers are gone, and sends the counts.
pub fn work(work: Work, hold: bool) -> Result<(), Failure> {
    let mut inherited = inherited()?;
    let mut receiver: ByteJoinableReceiver = inherited.take(LINES)?;
    let mut worker = Worker::new(inherited.take(COUNTS)?, work, hold);
    loop {
        let until = if worker.held.is_empty() { Until::NEVER } else { MOMENT.into() };
        match receiver.recv_until(until) {
            Ok(lease) => worker.take(lease)?,
            Err(Error::TimedOut) => worker.commit(false)?,
            Err(Error::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
    }
    worker.commit_all(false)?;
    Ok(worker.writer.send(&end(worker.span))?)
}

/// A worker, from its own side.
struct Worker {
    writer: PipeWriter,
    work: Work,
    hold: bool,
    /// What was counted since the last commit, of the batches that are held.
    counts: Counts,
    held: Vec<ByteLease>,
    numbers: Vec<u64>,
    span: Span,
}

impl Worker {
    fn new(writer: PipeWriter, work: Work, hold: bool) -> Self {
        let (counts, span) = (Counts::default(), Span::default());
        Self { writer, work, hold, counts, held: Vec::new(), numbers: Vec::new(), span }
    }

    fn take(&mut self, lease: ByteLease) -> Result<(), Failure> {
        // One that was taken before may have been counted. By itself it can be told from what is new.
        let again = lease.is_redelivered();
        if again {
            self.commit(false)?;
        }
        self.span.note();
        // SAFETY: all processes of this segment run this program, which writes to a loan of its own only; leases end by `done`.
        let batch = unsafe { lease.as_slice() };
        let (number, lines) = batch.split_first_chunk().ok_or_else(|| {
            Failure::Run("a reader put something into the queue that is no batch".to_owned())
        })?;
        self.counts.add_lines(lines, self.work);
        if !self.hold {
            return Ok(lease.done()?);
        }
        self.numbers.push(u64::from_le_bytes(*number));
        self.held.push(lease);
        if again || self.held.len() == HELD { self.commit_all(again) } else { Ok(()) }
    }

    /// Sends what was counted, if anything is held.
    fn commit(&mut self, again: bool) -> Result<(), Failure> {
        if self.held.is_empty() { Ok(()) } else { self.commit_all(again) }
    }

    /// Sends what was counted, and is done with what it was counted of.
    fn commit_all(&mut self, again: bool) -> Result<(), Failure> {
        let numbers = std::mem::take(&mut self.numbers);
        self.counts.commit(numbers, again, |message| Ok(self.writer.send(message)?))?;
        self.held.drain(..).try_for_each(|lease| Ok(lease.done()?))
    }
}
