//! What every child process does first.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};

use super::{input, over_os_pipes, over_slipring};
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
    Reader { file: PathBuf },
    /// Counts what is in a queue of slipring.
    Worker,
    /// Reads a file into pipes of the kernel's.
    PipeReader {
        #[arg(long)]
        number: u32,
        #[arg(long = "pipe")]
        pipes: Vec<RawFd>,
        file: PathBuf,
    },
    /// Counts what comes from the standard input.
    PipeWorker,
}

/// Does what a child process is for.
pub fn run_child(options: ChildOptions) -> Result<(), Failure> {
    end_with(options.parent)?;
    match options.role {
        Role::Reader { file } => over_slipring::read(&file),
        Role::Worker => over_slipring::work(),
        Role::PipeReader { number, pipes, file } => over_os_pipes::read(&file, number, &pipes),
        Role::PipeWorker => over_os_pipes::work(),
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

/// This program as a child process with a role. Nothing is connected but the standard error stream.
pub fn command(role: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    let parent = std::process::id().to_string();
    command.arg0("slipring").args(["demo-child", "--parent", &parent, role]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// This program as a reader of `file`: it has our standard input if that is the file, under whatever name.
pub fn reader(role: &str, options: &[String], file: &PathBuf) -> Command {
    let mut command = command(role);
    command.args(options).arg("--").arg::<&OsStr>(file.as_ref());
    if input::is_stdin(file) {
        command.stdin(Stdio::inherit());
    }
    command
}
