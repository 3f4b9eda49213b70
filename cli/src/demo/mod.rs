//! `slipring demo`: counts words with several processes, once over slipring and once over the kernel's pipes.
//!
//! ```text
//! reader of FILE 1 ─┐                       ┌─ worker 1 ── counts ─┐
//! reader of FILE 2 ─┼─ lines, many at once ─┼─ worker 2 ── counts ─┼─ this process
//! reader of FILE 3 ─┘                       └─ worker 3 ── counts ─┘
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `input.rs` | the files, before anything starts |
//! | `lines.rs` | a file in batches of whole lines |
//! | `counts.rs` | words and how often they occur; how that is sent |
//! | `over_slipring.rs` | the run over a queue and pipes of slipring |
//! | `staff.rs` | its workers: how one is started |
//! | `kills.rs` | workers that are killed while they work |
//! | `over_os_pipes.rs` | the same run over the kernel's pipes |
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
mod kills;
mod launch;
mod lines;
mod over_os_pipes;
mod over_slipring;
mod report;
mod staff;

use std::path::PathBuf;
use std::time::Instant;

pub use self::child::{ChildOptions, run_child};
use self::collect::Outcome;
use self::counts::Work;
use self::report::{Comparison, Killed, Report, Run};
use crate::failure::Failure;
use crate::help::laid_out;
use crate::quote;

/// The most workers that can be asked for: each takes some descriptors of this process.
const MAX_WORKERS: u16 = 128;
/// The most kills that can be asked for: each starts another worker.
const MAX_KILLS: u16 = 100;

/// Count the words of files with several processes.
///
/// Starts one process per FILE, which reads it and puts its lines into one bounded queue in shared memory, and some
/// worker processes, which take lines, count words and send their counts back through a pipe each, in the same shared
/// memory. Does the same work with the same processes over the kernel's pipes, and both once more with workers that take
/// the lines and count no words. Checks that the counts are equal, and prints the most frequent words and how long all
/// that took. With --kill, some workers are killed in a further run, which the kernel's pipes cannot do: the counts must
/// still be right.
///
/// A word is a run of bytes other than ASCII white space (space, tab, line feed, form feed, carriage return); text in
/// any encoding will do. A line may be of any length.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  slipring demo --workers 4 --top 3 --kill 2 README.md docs/*.md"
)]
#[command(after_long_help = laid_out(AFTER_HELP))]
pub struct Options {
    /// The files. One that is not a regular file (a FIFO, /dev/stdin) can be read only once: the kernel's pipes are left
    /// out then.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How many processes count [default: one for each CPU, at least 2].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_WORKERS)))]
    workers: Option<u16>,
    /// How many times each file is read, one after the other, as if it were so much longer.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    times: u32,
    /// How many workers are killed with SIGKILL, while they hold lines, in one more run; another worker is started in place of
    /// each.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=i64::from(MAX_KILLS)))]
    kill: u16,
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
  slipring demo --workers 4 --top 3 --kill 2 --times 100 README.md docs/*.md

The table:
  moved in    seconds from the first lines that a worker took to the last, with workers that count no words
  counted in  seconds from the start of the first process to the end of the last, with workers that count words

Slipring:
  A message is what one read of a file gave, up to 64 KiB of whole lines, where the kernel put it; workers count it there. \
  With --kill a worker holds what it has taken until it has sent what it counted in it: when it is killed, what it held goes \
  to another worker, and what it had sent counts once.

The kernel's pipes:
  A pipe keeps what is written to it whole up to 4096 bytes only. So each worker has a pipe of its own, which all readers \
  write to. A reader puts as many whole lines as fit into one write, and gives such writes to the workers in turn; a longer \
  line is cut in pieces, which its worker puts together. The counts come back through one more pipe for each worker. Files \
  are read once beforehand, so that all runs find them in memory.

Exit codes:
  0  done, and all counts are equal; also where whoever read the output has closed it
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
    let files = &options.files;
    let (workers, kill) = (options.workers(), usize::from(options.kill));
    let special = input::check(files)?;
    if let Some(file) = special
        && options.times > 1
    {
        let file = quote::path(file);
        let text = format!("{file}: not a regular file: it can be read once, without --times");
        return Err(Failure::Usage(text));
    }
    let times = options.times;
    let over_slipring = |work| timed(|| Ok(over_slipring::run(files, times, workers, work, 0)?.0));
    let over_os_pipes = |work| timed(|| over_os_pipes::run(files, times, workers, work));
    let (slipring, os_pipes, killed) = if let Some(file) = special {
        // It can be read once.
        let (run, killed) = with_kills(options, workers, kill)?;
        (run, Comparison::Skipped(file.to_owned()), killed)
    } else {
        input::warm(files)?;
        let moved = (over_slipring(Work::None)?, over_os_pipes(Work::None)?);
        let slipring = over_slipring(Work::Count)?.with_moved(&moved.0);
        let os_pipes = over_os_pipes(Work::Count)?.with_moved(&moved.1);
        let killed = if kill > 0 { Some(with_kills(options, workers, kill)?) } else { None };
        let killed = killed.and_then(|(run, killed)| Some(Killed { run: Some(run), ..killed? }));
        (slipring, Comparison::Made(os_pipes), killed)
    };
    let report = Report { files, workers, top: options.top, slipring, os_pipes, killed };
    report.print(options.json)?;
    report.check()
}

/// The run in which workers are killed.
fn with_kills(
    options: &Options,
    workers: usize,
    kill: usize,
) -> Result<(Run, Option<Killed>), Failure> {
    let mut workers_killed = 0;
    let run = timed(|| {
        let Options { files, times, .. } = options;
        let (outcome, killed) = over_slipring::run(files, *times, workers, Work::Count, kill)?;
        workers_killed = killed;
        Ok(outcome)
    })?;
    let killed = Killed { workers: workers_killed, wanted: kill, again: run.again, run: None };
    Ok((run, (kill > 0).then_some(killed)))
}

fn timed(count: impl FnOnce() -> Result<Outcome, Failure>) -> Result<Run, Failure> {
    let start = Instant::now();
    let outcome = count()?;
    Ok(Run::new(outcome, start.elapsed()))
}
