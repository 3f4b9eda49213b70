//! Measures ours and what it is compared with in one interleaved run, and prints a table in Markdown.
//!
//! Every round takes one sample of each figure. A sample stands between two probes of the cache-line round trip and
//! carries their tag; one during which others used the machine is taken again, and dropped if that does not help.

mod channel;
mod idle;
mod plan;
mod sample;
mod syscalls;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use slipring_benches::probe;

use self::channel::Channel;

/// Measures slipring beside raw limits and rivals, and prints a table in Markdown.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many samples of each figure.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Short samples: a glance, not figures to rely on.
    #[arg(long)]
    quick: bool,
    /// Drop samples during which others used more than this part of the machine, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 6.0)]
    foreign: f64,
    /// Only figures whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Passes messages between two processes and says nothing: what is run under strace.
    #[command(hide = true)]
    Exchange { channel: Channel, messages: u64 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(What::Exchange { channel, messages }) = arguments.what {
        syscalls::exchange(channel, messages);
        return ExitCode::SUCCESS;
    }
    if !probe::is_possible() {
        eprintln!("figures: two CPUs are needed to tell near samples from far ones");
        return ExitCode::FAILURE;
    }
    let mut plan = plan::plan(arguments.quick);
    if let Some(text) = &arguments.only {
        plan.retain(|row| row.what.contains(text.as_str()));
    }
    let results = sample::take(&mut plan, arguments.rounds, arguments.foreign / 100.0);
    table::machine(arguments.rounds, arguments.quick);
    table::figures(&plan, &results);
    if arguments.only.is_none() {
        syscalls::table();
        idle::table(arguments.quick);
    }
    ExitCode::SUCCESS
}
