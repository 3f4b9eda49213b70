//! `slipring demo`: counts words with several processes, once over slipring and once over the kernel's pipes.
//!
//! ```text
//! reader of FILE 1 ─┐                       ┌─ worker 1 ── counts ─┐
//! reader of FILE 2 ─┼─ lines, one by one ───┼─ worker 2 ── counts ─┼─ this process
//! reader of FILE 3 ─┘                       └─ worker 3 ── counts ─┘
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `input.rs` | the files, before anything starts |
//! | `lines.rs` | a file in batches of whole lines |
//! | `counts.rs` | words and how often they occur; how that is sent |
//! | `over_slipring.rs` | the run over a queue and pipes of slipring |
//! | `over_os_pipes.rs` | the same over the kernel's pipes |
//! | `launch.rs` | how a child process is started |
//! | `child.rs` | what every child process does first |
//! | `family.rs` | the children of a run: none is left behind |
//! | `collect.rs` | puts the workers' counts together while watching the children |
//! | `report.rs` | what is printed |

mod child;
mod collect;
mod counts;
mod family;
mod input;
mod launch;
mod lines;
mod over_os_pipes;
mod over_slipring;
mod report;

use std::path::PathBuf;
use std::time::Instant;

pub use self::child::{ChildOptions, run_child};
use self::counts::Counts;
use self::report::{Comparison, Report, Run};
use crate::failure::Failure;
use crate::help::laid_out;

/// The most workers that can be asked for: each takes some descriptors of this process.
const MAX_WORKERS: u16 = 128;

/// Count the words of files with several processes.
///
/// Starts one process per FILE, which reads it and puts its lines into one bounded queue in shared memory, and some
/// worker processes, which take lines, count words and send their counts back through a pipe each, in the same shared
/// memory. Then does the same work with the same processes over the kernel's pipes, checks that the counts are equal,
/// and prints the most frequent words and how long both runs took.
///
/// A word is a run of bytes other than ASCII white space (space, tab, line feed, form feed, carriage return); text in
/// any encoding will do. A line may be of any length. A message of the table is a line, with its end.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  slipring demo --workers 4 --top 3 README.md docs/*.md")]
#[command(after_long_help = laid_out(AFTER_HELP))]
pub struct Options {
    /// The files. One that is not a regular file (a FIFO, /dev/stdin) can be read only once: the kernel's pipes are left
    /// out then.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How many processes count [default: one for each CPU, at least 2].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_WORKERS)))]
    workers: Option<u16>,
    /// How many of the most frequent words are printed, as lines `COUNT WORD`; of equally frequent ones those first
    /// whose bytes are less.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Print one JSON object instead. Words that are not UTF-8 have U+FFFD in place of what is not.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Example:
  slipring demo --workers 4 --top 3 README.md docs/*.md

The kernel's pipes:
  A pipe keeps what is written to it whole up to 4096 bytes only. So each worker has a pipe of its own, which all readers \
  write to. A reader puts as many lines as fit, each with its length before it, into one write, and gives such writes to \
  the workers in turn; a longer line is cut in pieces, which its worker puts together. The counts come back through one \
  more pipe for each worker. Files are read once beforehand, so that both runs find them in memory. Times are from the \
  start of the first process to the end of the last.

Exit codes:
  0  done, and the counts are equal; also where whoever read the output has closed it
  1  a process died, the counts differ, or something else went wrong on the way
  2  wrong usage, or a file that cannot be read: nothing was started";

impl Options {
    fn workers(&self) -> usize {
        let cpus = || std::thread::available_parallelism().map_or(2, usize::from);
        let workers = self.workers.map_or_else(cpus, usize::from).min(usize::from(MAX_WORKERS));
        if self.workers.is_none() { workers.max(2) } else { workers }
    }
}

/// Runs the demonstration.
pub fn run(options: &Options) -> Result<(), Failure> {
    let special = input::check(&options.files)?;
    if special.is_none() {
        input::warm(&options.files)?;
    }
    let workers = options.workers();
    let slipring = timed(|| over_slipring::count(&options.files, workers))?;
    let os_pipes = match special {
        Some(file) => Comparison::Skipped(file.to_owned()),
        None => Comparison::Made(timed(|| over_os_pipes::count(&options.files, workers))?),
    };
    let report = Report { files: &options.files, workers, top: options.top, slipring, os_pipes };
    report.print(options.json)?;
    if report.are_equal() == Some(false) {
        let text = "slipring and the kernel's pipes gave different counts; did a file change?";
        return Err(Failure::Run(text.to_owned()));
    }
    Ok(())
}

fn timed(count: impl FnOnce() -> Result<Counts, Failure>) -> Result<Run, Failure> {
    let start = Instant::now();
    let counts = count()?;
    Ok(Run { counts, time: start.elapsed() })
}
