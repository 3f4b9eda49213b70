//! The program `slipring`.

mod clean;
mod completions;
mod demo;
mod failure;
mod inspect;
mod lines;
mod ls;
mod perf;
mod seen;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Pipes, queues and locks in memory that several processes share.
#[derive(Parser)]
#[command(name = "slipring", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Options),
    Put(lines::put::Options),
    Get(lines::get::Options),
    Ls(ls::Options),
    Inspect(inspect::Options),
    Clean(clean::Options),
    Top(top::Options),
    Perf(perf::Options),
    Completions(completions::Options),
    #[command(hide = true)]
    DemoChild(demo::ChildOptions),
    #[command(hide = true)]
    PerfChild(perf::ChildOptions),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Put(options) => lines::put::run(&options),
        Command::Get(options) => lines::get::run(&options),
        Command::Ls(options) => ls::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Clean(options) => clean::run(&options),
        Command::Top(options) => top::run(&options),
        Command::Perf(options) => perf::run(&options),
        Command::Completions(options) => completions::run(&options, &Cli::command()),
        Command::DemoChild(options) => demo::run_child(options),
        Command::PerfChild(options) => perf::run_child(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}
