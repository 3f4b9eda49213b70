//! How a child process is started.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::counts::Work;
use super::input;

/// This program as a child process with a role. Nothing is connected but the standard error stream.
fn command(role: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    let parent = std::process::id().to_string();
    command.arg0("slipring").args(["demo-child", "--parent", &parent, role]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// This program as a worker.
pub fn worker(role: &str, work: Work) -> Command {
    let mut command = command(role);
    if work == Work::None {
        command.arg("--work=none");
    }
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
