//! What every child process does first.

use std::os::fd::RawFd;
use std::path::PathBuf;

use rustix::process::{Pid, Signal};

use super::counts::Work;
use super::{over_os_pipes, over_slipring};
use crate::failure::Failure;

/// The command line of a child process.
#[derive(clap::Args)]
pub struct ChildOptions {
    /// The process id of the process that started this one.
    #[arg(long)]
    parent: i32,
    #[command(subcommand)]
    role: Role,
}

#[derive(clap::Subcommand)]
enum Role {
    /// Reads a file into a queue of slipring.
    Reader {
        #[arg(long)]
        times: u32,
        #[arg(long)]
        number: u32,
        file: PathBuf,
    },
    /// Counts what is in a queue of slipring.
    Worker {
        #[arg(long, default_value = "count")]
        work: Work,
        /// Hold what was taken until its counts are sent.
        #[arg(long)]
        hold: bool,
    },
    /// Reads a file into pipes of the kernel's.
    PipeReader {
        #[arg(long)]
        times: u32,
        #[arg(long)]
        number: u32,
        #[arg(long = "pipe")]
        pipes: Vec<RawFd>,
        file: PathBuf,
    },
    /// Counts what comes from the standard input.
    PipeWorker {
        #[arg(long, default_value = "count")]
        work: Work,
    },
}

/// Does what a child process is for.
pub fn run_child(options: ChildOptions) -> Result<(), Failure> {
    end_with(options.parent)?;
    match options.role {
        Role::Reader { times, number, file } => over_slipring::read(&file, number, times),
        Role::Worker { work, hold } => over_slipring::work(work, hold),
        Role::PipeReader { times, number, pipes, file } => {
            over_os_pipes::read(&file, times, number, &pipes)
        }
        Role::PipeWorker { work } => over_os_pipes::work(work),
    }
}

/// Has the kernel kill this process when the one that started it is gone.
fn end_with(parent: i32) -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have gone before.
    if rustix::process::getppid().map(Pid::as_raw_pid) == Some(parent) {
        Ok(())
    } else {
        Err(Failure::Alone)
    }
}
