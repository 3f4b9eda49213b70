//! The program `slipring`.

mod demo;
mod failure;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    #[command(hide = true)]
    DemoChild(demo::ChildOptions),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::DemoChild(options) => demo::run_child(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}
