//! The program `slipring`.

mod clean;
mod completions;
mod demo;
mod failure;
mod help;
mod inspect;
mod lines;
mod ls;
mod perf;
mod print;
mod quote;
mod seen;
mod top;
mod users;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::Failure;

/// Pipes, queues and locks in memory that several processes share.
#[derive(Parser)]
#[command(name = "slipring", version, term_width = help::width(), after_help = help::laid_out(AFTER_HELP))]
#[command(next_line_help = help::width() < 50)]
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

const AFTER_HELP: &str = "\
Environment:
  SLIPRING_DIR      directory of names, on a tmpfs; /dev/shm where it is not set or empty
  SLIPRING_RESERVE  address space of what is made, in bytes or with K, M or G behind the number; where it is not set, 32G for \
a queue with a name and 128G in demo and perf

Exit codes:
  0              done; also where whoever read the standard output has closed it
  1              something went wrong on the way
  2              wrong usage: nothing was done
  4              nothing happened for --timeout (put, get)
  129, 130, 143  ended by SIGHUP, SIGINT or SIGTERM
  Each command's --help says more.";

fn main() -> ExitCode {
    ignore_size_limit();
    let done = match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(error) => tell(&error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let done = match command {
        Command::Demo(options) => demo::run(&options),
        Command::Put(options) => lines::put::run(&options),
        Command::Get(options) => lines::get::run(&options),
        Command::Ls(options) => ls::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Clean(options) => clean::run(&options),
        Command::Top(options) => top::run(&options),
        Command::Perf(options) => perf::run(&options),
        Command::Completions(options) => completions::run(&options, &Cli::command()),
        // Their parents know what it means that nobody is left.
        Command::DemoChild(options) => return demo::run_child(options),
        Command::PerfChild(options) => return perf::run_child(options),
    };
    done.map_err(Failure::for_users)
}

/// What the parser has to say: help that was asked for, or what is wrong with the command line.
fn tell(said: &clap::Error) -> Result<(), Failure> {
    if said.exit_code() == 0 {
        return match said.print() {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed.map_err(Failure::of_output),
        };
    }
    // With colours, unless there is something in it that is to be shown and not obeyed.
    let plain = said.render().to_string();
    let harmless = quote::text(&plain);
    if harmless == plain {
        let _ = said.print();
    } else {
        let _ = std::io::stderr().write_all(harmless.as_bytes());
    }
    Err(Failure::Told)
}

/// A file that would grow over its limit (`ulimit -f`) is an error, not the end of the process.
fn ignore_size_limit() {
    // SAFETY: to ignore a signal installs no handler.
    let _ = unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
