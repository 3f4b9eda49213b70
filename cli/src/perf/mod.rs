//! `slipring perf`: how fast messages go between two processes, over slipring and over what the kernel has.
//!
//! | file | what it holds |
//! |---|---|
//! | `setup.rs` | what is measured |
//! | `port.rs` | one end of a way there and back, over any of the channels |
//! | `peer.rs` | the other process, and what it does with its port |
//! | `measure.rs` | what this process does with its port: stream, round trip |
//! | `report.rs` | what is printed |

mod measure;
mod peer;
mod port;
mod report;
mod setup;

use std::time::Duration;

use clap::ValueEnum;

pub use self::peer::{ChildOptions, run_child};
use self::report::{Cell, Report};
use self::setup::{Channel, Setup};
use crate::failure::Failure;
use crate::help::laid_out;
use crate::lines::seconds;

/// Sizes that are measured unless told otherwise.
const SIZES: [usize; 6] = [8, 64, 512, 4 << 10, 64 << 10, 1 << 20];
/// So often each is measured, all of them in turn.
const ROUNDS: u32 = 3;
const QUICK: Duration = Duration::from_millis(30);

/// Measure how fast messages go between two processes, beside the kernel's pipes and sockets.
///
/// Two processes, each kept on a CPU of its own, send messages one way as fast as they go, and back and forth one at a
/// time. Everything is measured in turn, several times over, so that what disturbs the machine disturbs all alike.
#[derive(clap::Args)]
#[command(
    after_help = laid_out("Examples:\n  slipring perf --quick\n  slipring perf --only queue,os-pipe --size 64 --seconds 5")
)]
#[command(after_long_help = laid_out(AFTER_HELP))]
pub struct Options {
    /// Only these channels; separated by commas, or given several times.
    #[arg(long, value_name = "CHANNEL", value_delimiter = ',')]
    only: Vec<Channel>,
    /// Only messages of these sizes in bytes, 1 to 16777216; separated by commas, or given several times.
    #[arg(long = "size", value_name = "BYTES", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(1..=16 << 20))]
    sizes: Vec<u32>,
    /// How long each channel sends one way, and how long back and forth, with each size. May have a fraction.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0.5", conflicts_with = "quick")]
    seconds: Duration,
    /// Once and shortly: enough to see whether it works.
    #[arg(long)]
    quick: bool,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  slipring perf --quick                                      a first look, in some seconds
  slipring perf --only queue,os-pipe --size 64 --seconds 5   two, longer
  slipring perf --json | jq '.cells[] | select(.size == 64)'

Channels:
  slots        slipring's ring of values of one size: 8, 64, 512, 4096, 65536 or 1048576 bytes, no others
  records      a pipe of slipring with a ring that holds several messages, which all go through it
  queue        a queue of slipring
  pipe         a pipe of slipring as it is made without options: messages that are large for its ring lie beside it
  os-pipe      a pipe of the kernel's for each direction: one write and at least one read for each message
  socketpair   a pair of Unix stream sockets, likewise

Columns:
  MSG/S              messages one way per second, the median of three runs (--quick: one)
  MB/S               the same in millions of bytes
  P50 P99 P99.9 MAX  percentiles of the round trip there and back, in microseconds
  VS PIPE            messages one way per second divided by those of os-pipe

A receiver copies each message out of shared memory, as the kernel does. With one CPU both processes share it.

Exit codes:
  0  done, also where whoever read the output has closed it
  1  something went wrong on the way
  2  wrong usage: nothing was measured";

impl Options {
    fn setups(&self, cpus: Option<[usize; 2]>) -> Vec<Setup> {
        let all = Channel::value_variants();
        let channels = if self.only.is_empty() { all } else { &self.only };
        let given: Vec<_> = self.sizes.iter().map(|size| *size as usize).collect();
        let sizes = if given.is_empty() { &SIZES[..] } else { &given };
        let all = sizes.iter().flat_map(|size| {
            channels.iter().map(move |channel| Setup { channel: *channel, size: *size, cpus })
        });
        all.filter(port::is_possible).collect()
    }

    /// How often, and how long at a time.
    fn rounds(&self) -> (u32, Duration) {
        if self.quick { (1, QUICK) } else { (ROUNDS, self.seconds / ROUNDS) }
    }
}

/// Measures.
pub fn run(options: &Options) -> Result<(), Failure> {
    let cpus = peer::two_cpus()?;
    let setups = options.setups(cpus);
    if setups.is_empty() {
        let text = "slots have messages of 8, 64, 512, 4096, 65536 or 1048576 bytes only";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut cells: Vec<_> = setups.into_iter().map(Cell::new).collect::<Result<_, _>>()?;
    let (rounds, time) = options.rounds();
    for _ in 0..rounds {
        for cell in &mut cells {
            cell.streamed(measure::stream(&cell.setup, time)?);
            cell.returned(&measure::round_trips(&cell.setup, time)?)?;
        }
    }
    Report { cpus, cells: &cells }.print(options.json)
}
