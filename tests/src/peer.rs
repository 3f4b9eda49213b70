//! A process running the program `peer` (src/bin/peer.rs): started, watched, and killed when the test is done with it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use slipring::{Handoff, Segment};

/// How long any one thing may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A peer. Dropping it kills it.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    lines: Receiver<String>,
    name: String,
}

/// The program `peer`, which cargo builds beside the tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this program has a path");
    let beside = |level: usize| test.ancestors().nth(level).map(|dir| dir.join("peer"));
    let found = [beside(1), beside(2)].into_iter().flatten().find(|path| path.is_file());
    found.expect("the program peer is built: run the tests with cargo test -p slipring-tests")
}

impl Peer {
    /// Starts `peer ARGS` with what `handoff` gives it.
    pub fn start(handoff: Handoff, args: &[&str]) -> Self {
        Self::start_with(handoff, args, &[])
    }

    /// The same, with variables in its environment.
    pub fn start_with(handoff: Handoff, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Self::command(args);
        command.envs(env.iter().copied());
        let child = handoff.spawn(&mut command).expect("the peer starts");
        Self::watch(child, args)
    }

    /// Starts `peer ARGS` with nothing but a place in the segment.
    pub fn bare(segment: &Segment, args: &[&str]) -> Self {
        Self::start(Handoff::new(segment), args)
    }

    /// Starts `peer ARGS` with no segment at all.
    pub fn alone(args: &[&str]) -> Self {
        Self::alone_with(args, &[])
    }

    /// The same, with variables in its environment.
    pub fn alone_with(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Self::command(args);
        command.envs(env.iter().copied());
        Self::spawn(&mut command, args)
    }

    /// Starts what [`Peer::command`] made.
    pub fn spawn(command: &mut Command, args: &[&str]) -> Self {
        Self::watch(command.spawn().expect("the peer starts"), args)
    }

    /// `peer ARGS`, not started yet.
    pub fn command(args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn watch(mut child: Child, args: &[&str]) -> Self {
        let stdout = BufReader::new(child.stdout.take().expect("a piped stdout"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines, name: args.join(" ") }
    }

    /// The next line that the peer prints.
    pub fn line(&self) -> String {
        self.line_within(PATIENCE).unwrap_or_else(|| panic!("`{}` printed nothing", self.name))
    }

    /// The next line, if it comes in time.
    pub fn line_within(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }

    /// Waits for the line `expected`.
    pub fn expect(&self, expected: &str) {
        assert_eq!(self.line(), expected, "from `{}`", self.name);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the peer can be signalled");
    }

    /// SIGKILL, and the body is fetched.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGKILL, and no more: it stays a zombie, as the child of an inattentive parent does.
    pub fn kill_and_leave(&mut self) {
        let _ = self.child.kill();
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether it is stopped.
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let state = |stat: String| stat.rsplit(") ").next()?.chars().next();
        stat.ok().and_then(state) == Some('T')
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the peer can be waited for").is_some()
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the peer can be waited for") {
                return status;
            }
            if start.elapsed() > PATIENCE {
                self.kill();
                panic!("`{}` did not end", self.name);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end, which must be a good one.
    pub fn join(mut self) {
        let status = self.end();
        assert!(status.success(), "`{}` ended with {status}", self.name);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}
