//! `slipring get`: lines out of a queue with a name.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use slipring::{ByteReceiver, Error, Named, Until};

use super::framing::{Framing, FramingOptions};
use super::output::{self, Reader};
use super::patience::{Patience, seconds};
use super::progress::Progress;
use super::queue::{EXAMPLE, NamedQueue};
use super::stop::Stop;
use crate::failure::Failure;
use crate::help::laid_out;
use crate::quote;

/// Take lines out of a queue with a name and write them to the standard output.
///
/// Waits for a first `slipring put` and ends when the last one has ended and everything is taken. Any number of `get` may
/// take from one queue; each line goes to one of them, in the order in which the lines were put.
///
/// A line is written, with its line feed and with one system call, before the next one is taken: a kill costs at most the
/// one line that `get` has in its hands. --batch is faster and costs more.
#[derive(clap::Args)]
#[command(after_help = laid_out(EXAMPLE))]
#[command(after_long_help = laid_out(AFTER_HELP))]
pub struct Options {
    #[command(flatten)]
    queue: NamedQueue,
    #[command(flatten)]
    framing: FramingOptions,
    /// End when so many lines were taken.
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    /// Give up when no line came for so long; 0 takes what is there. May have a fraction.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Do not end when the last `put` has ended: another one may come.
    #[arg(long, short)]
    follow: bool,
    /// Take up to N lines at a time, as many as are there, and write them with one system call. A kill costs up to N
    /// lines then.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    batch: u32,
    /// Show no progress. It is shown only where the standard error stream is a terminal and the standard output is none.
    #[arg(long, short)]
    quiet: bool,
}

const AFTER_HELP: &str = "\
Examples:
  Two who work on one list; each line is done by one of them:
    slipring get jobs | while read -r job; do ./work \"$job\"; done &
    slipring get jobs | while read -r job; do ./work \"$job\"; done &
    slipring put jobs todo.txt
  The next job, if there is one within five seconds:
    job=$(slipring get --count 1 --timeout 5 jobs) || echo 'no job'
  Serve whoever puts, today and tomorrow:
    slipring get --follow jobs | ./serve
  As fast as can be:
    slipring get --batch 1000 log > log.txt
  Records of any bytes, each with its length before it (4 bytes, the lowest first):
    slipring get --frames samples | ./plot

What a kill costs:
  The line that `get` has taken and not yet written; with --batch N up to N of them. If the standard output is closed while \
  it waits, `get` ends and takes nothing; if it is closed just when a line was taken, that line is lost. Lines that are \
  written to one pipe by several are not mixed as long as they have no more than 4096 bytes with their line feed.
  A queue without --persist ends with the last process that uses it, and the lines in it do too. `put` stays until its \
  lines are taken; a program that does not is to be preceded by `get`.

Exit codes:
  0              everything was taken, or --count lines, or whoever read the standard output has closed it
  1              something went wrong on the way
  2              wrong usage, or a name that can be none
  4              no line came for --timeout
  129, 130, 143  ended by SIGHUP, SIGINT or SIGTERM: what was not written stays in the queue";

/// Takes them.
pub fn run(options: &Options) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let mut receiver: ByteReceiver = options.queue.open()?;
    receiver.segment().set_interruptible(true);
    receiver.set_patient(options.follow);
    let mut get = Get {
        queue: &options.queue,
        receiver,
        framing: options.framing.framing(),
        batch: options.batch as usize,
        record: Vec::new(),
        out: Vec::new(),
        stop,
        patience: Patience::new(options.timeout),
        progress: Progress::new(!options.quiet && !stdout().is_terminal(), None),
    };
    let mut left = options.count.unwrap_or(u64::MAX);
    while left > 0 {
        stop.check()?;
        let Some(taken) = get.take(left)? else { break };
        if output::write(&get.out, stop)? == Reader::Gone {
            break;
        }
        get.progress.add(taken, get.out.len() as u64);
        left -= taken;
    }
    Ok(())
}

struct Get<'a> {
    queue: &'a NamedQueue,
    receiver: ByteReceiver,
    framing: Framing,
    batch: usize,
    record: Vec<u8>,
    /// What is to be written: one record, or a batch.
    out: Vec<u8>,
    stop: Stop,
    patience: Patience,
    progress: Progress,
}

impl Get<'_> {
    /// Takes a line, or a batch of at most `most`; returns how many, and `None` if there will be none.
    fn take(&mut self, most: u64) -> Result<Option<u64>, Failure> {
        let mut until = Until::NOW;
        self.patience.renew();
        loop {
            match self.receive(most, until) {
                Ok(taken) => {
                    self.progress.note(|| None);
                    return Ok(Some(taken));
                }
                Err(Error::Disconnected) => return Ok(None),
                Err(Error::WouldBlock) => {}
                Err(Error::TimedOut | Error::Interrupted) => {
                    self.stop.check()?;
                    let name = quote::word(&self.queue.name);
                    self.progress.note(|| Some(format!("waiting for `slipring put {name}`")));
                    if output::look() == Reader::Gone {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(self.queue.failure(error)),
            }
            until = self.patience.slice().ok_or_else(|| self.late())?.into();
        }
    }

    /// Takes what there is into `out`.
    fn receive(&mut self, most: u64, until: Until) -> Result<u64, Error> {
        let most = usize::try_from(most).map_or(self.batch, |most| most.min(self.batch));
        self.out.clear();
        let too_long = |len: usize| Error::TooLong { len: len as u64, max: u32::MAX.into() };
        match self.framing {
            Framing::EndedBy(end) if most == 1 => {
                self.receiver.recv_into(&mut self.out, until)?;
                self.out.push(end);
                Ok(1)
            }
            framing if most == 1 => {
                self.receiver.recv_into(&mut self.record, until)?;
                let fits = framing.append(&self.record, &mut self.out);
                if fits { Ok(1) } else { Err(too_long(self.record.len())) }
            }
            framing => {
                let mut bad = None;
                let taken = self.receiver.recv_each(most, until, |record| {
                    if !framing.append(record, &mut self.out) {
                        bad = Some(too_long(record.len()));
                    }
                })?;
                bad.map_or(Ok(taken as u64), Err)
            }
        }
    }

    /// Nothing came in time.
    fn late(&self) -> Failure {
        let name = quote::word(&self.queue.name);
        let why = match self.receiver.senders() {
            0 => "nobody puts lines into it".to_owned(),
            1 => "one process could put lines into it and has put none".to_owned(),
            many => format!("{many} processes could put lines into it and have put none"),
        };
        Failure::Late(format!("no line came from {name} in time: {why}"))
    }
}
