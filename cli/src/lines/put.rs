//! `slipring put`: lines of files into a queue with a name.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use slipring::{ByteSender, Error, Named, Until};

use super::framing::FramingOptions;
use super::input::Source;
use super::patience::{Patience, seconds};
use super::progress::Progress;
use super::queue::{EXAMPLE, NamedQueue};
use super::stop::Stop;
use crate::failure::Failure;
use crate::help::laid_out;
use crate::quote;

/// How often to look for memory that somebody has freed, and whether everything was taken.
const NAP: Duration = Duration::from_millis(5);
/// A full queue of at least so many lines is left alone for a moment: a fast taker takes some hundred meanwhile.
const MANY: u64 = 1024;
const GROWTH: Duration = Duration::from_micros(100);

/// Put lines into a queue with a name, from where `slipring get` and other programs take them.
///
/// Reads the FILEs one after the other and puts each of their lines into the queue as a message of its own, without its
/// line feed. Any number of `put` and `get` may use one queue at the same time; each line goes to one of those who take.
/// A full queue is waited for. When everything is read, `put` waits until all that it put has been taken: without
/// --persist the queue and what is in it go with the last process that uses it.
#[derive(clap::Args)]
#[command(after_help = laid_out(EXAMPLE))]
#[command(after_long_help = laid_out(AFTER_HELP))]
pub struct Options {
    #[command(flatten)]
    queue: NamedQueue,
    /// The files; `-` and none at all are the standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    framing: FramingOptions,
    /// Give up when nobody has taken anything for so long while this waits: for room, or for its lines to be taken. May
    /// have a fraction.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Show no progress. It is shown only where the standard error stream is a terminal.
    #[arg(long, short)]
    quiet: bool,
}

const AFTER_HELP: &str = "\
Examples:
  Two who work on one list; each line is done by one of them:
    slipring get jobs | while read -r job; do ./work \"$job\"; done &
    slipring get jobs | while read -r job; do ./work \"$job\"; done &
    slipring put jobs todo.txt
  File names, which may have line feeds in them:
    find . -name '*.jpg' -print0 | slipring put --null pictures
  Leave lines for later; `slipring clean --force later` takes the queue away:
    echo 'buy milk' | slipring put --persist later
  Records of any bytes, each with its length before it (4 bytes, the lowest first):
    ./measure | slipring put --frames samples

What a kill costs:
  What was put stays in the queue, whoever is killed, as long as some process uses the queue or it was made with \
  --persist. A killed `put` loses what it had read from its input and not yet put. No line is torn, none comes twice.

Limits:
  A line may have any bytes and be as long as the queue allows: 2 GiB, unless another program made it with less. At a line \
  that is longer, or a frame that is cut short, `put` stops and says which it was; what came before is in the queue.
  If there is no memory for a line, `put` waits until others have been taken; with an empty queue that is an error.

Exit codes:
  0              all lines were put, and taken unless the queue is there to stay
  1              something went wrong on the way
  2              wrong usage, a name that can be none, or a file that cannot be read: nothing was put
  4              nobody took anything for --timeout
  129, 130, 143  ended by SIGHUP, SIGINT or SIGTERM: what was put before is in the queue";

/// Puts them.
pub fn run(options: &Options) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let sources = Source::all(&options.files)?;
    let mut sender: ByteSender = options.queue.open()?;
    sender.segment().set_interruptible(true);
    // Who takes the lines may come later, or leave and be followed by another.
    sender.set_patient(true);
    let typed = sources.iter().any(Source::is_terminal);
    let total = sources.iter().map(Source::len).sum();
    let mut put = Put {
        queue: &options.queue,
        sender,
        stop,
        patience: Patience::new(options.timeout),
        progress: Progress::new(!options.quiet && !typed, total),
    };
    let (framing, max) = (options.framing.framing(), put.sender.max_message());
    for source in &sources {
        source.read(framing, max, stop, |records| put.send(records))?;
    }
    put.linger()
}

/// Whether a send found no memory, which receivers give back as they take what is there.
fn is_short_of_memory(error: &Error) -> bool {
    matches!(
        error,
        Error::NoSpace { .. }
            | Error::NoBlock { .. }
            | Error::NoPlace { .. }
            | Error::Budget { .. }
    )
}

struct Put<'a> {
    queue: &'a NamedQueue,
    sender: ByteSender,
    stop: Stop,
    patience: Patience,
    progress: Progress,
}

impl Put<'_> {
    /// Sends all of them.
    fn send(&mut self, mut records: &[&[u8]]) -> Result<(), Failure> {
        self.patience.renew();
        while !records.is_empty() {
            self.stop.check()?;
            let sent = match self.sender.send_batch(records, Until::NOW) {
                Err(Error::WouldBlock) => self.wait_to_send(records[0])?,
                // As good as full, while there is something that somebody may take.
                Err(error) if is_short_of_memory(&error) && !self.sender.is_empty() => {
                    self.progress.note(|| Some("waiting for memory".to_owned()));
                    sleep(self.slice()?.min(NAP));
                    0
                }
                sent => sent.map_err(|error| self.queue.failure(error))?,
            };
            let (done, rest) = records.split_at(sent);
            self.sent(done);
            records = rest;
        }
        Ok(())
    }

    /// The queue is full: waits for room for one record; returns how many were sent. More than one would have takers wake
    /// this process for each.
    fn wait_to_send(&mut self, record: &[u8]) -> Result<usize, Failure> {
        let slice = self.slice()?;
        if self.sender.capacity().is_some_and(|most| most >= MANY) {
            sleep(GROWTH.min(slice));
        }
        match self.sender.send_until(record, slice) {
            Ok(()) => return Ok(1),
            Err(Error::TimedOut) => self.progress.note(|| Some("waiting for room".to_owned())),
            Err(Error::Interrupted) => {}
            Err(error) if is_short_of_memory(&error) => {}
            Err(error) => return Err(self.queue.failure(error)),
        }
        Ok(0)
    }

    fn sent(&mut self, records: &[&[u8]]) {
        if records.is_empty() {
            return;
        }
        self.patience.renew();
        let bytes = records.iter().map(|record| record.len() as u64 + 1).sum();
        self.progress.note(|| None);
        self.progress.add(records.len() as u64, bytes);
    }

    /// Waits until nothing of what was sent depends on this process.
    fn linger(&mut self) -> Result<(), Failure> {
        if self.sender.segment().persists() {
            return Ok(());
        }
        self.patience.renew();
        let mut nap = Duration::from_micros(50);
        let mut left = self.sender.len();
        while !self.sender.is_taken() {
            self.stop.check()?;
            let slice = self.slice()?;
            let name = quote::word(&self.queue.name);
            self.progress.note(|| Some(format!("{left} wait for `slipring get {name}`")));
            sleep(nap.min(slice));
            nap = (nap * 2).min(NAP);
            let now = self.sender.len();
            if now < left {
                self.patience.renew();
            }
            left = now;
        }
        self.progress.note(|| None);
        Ok(())
    }

    /// How long to wait now.
    fn slice(&mut self) -> Result<Duration, Failure> {
        self.patience.slice().ok_or_else(|| {
            let (name, left) = (quote::word(&self.queue.name), self.sender.len());
            let who = match self.sender.receivers() {
                0 => "nobody takes lines",
                _ => "nobody has taken a line",
            };
            let left = if left == 1 { "1 line is".to_owned() } else { format!("{left} lines are") };
            let end = match self.sender.segment().persists() {
                true => "; it is there to stay",
                false => ", and it goes with the last process that uses it",
            };
            Failure::Late(format!("{who} from {name} in time; {left} in it{end}"))
        })
    }
}
