//! The other process, and what it does with its port.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use clap::ValueEnum;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::port::{Play, Port, as_peer};
use super::setup::{Channel, Setup};
use crate::failure::Failure;

/// The first byte of a message: nothing more is wanted, or an answer.
pub const PLAIN: u8 = 0;
pub const ANSWER: u8 = 1;
/// Slots of a megabyte are values, of which there may be several on the stack.
const STACK: usize = 64 << 20;

/// What the other process does with messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Role {
    /// Sends each back.
    Echo,
    /// Takes them.
    Sink,
}

/// The command line of the other process.
#[derive(clap::Args)]
pub struct ChildOptions {
    #[arg(long)]
    channel: Channel,
    #[arg(long)]
    size: usize,
    #[arg(long)]
    cpu: Option<usize>,
    role: Role,
}

/// Does what the other process is for, until nobody is at the other end.
pub fn run_child(options: ChildOptions) -> Result<(), Failure> {
    let setup = Setup { channel: options.channel, size: options.size, cpus: None };
    let (cpu, size) = (options.cpu, setup.size);
    let done = with_stack(move || match options.role {
        Role::Echo => as_peer(&setup, Pinned { cpu, play: Echo { size } }),
        Role::Sink => as_peer(&setup, Pinned { cpu, play: Sink { size } }),
    });
    match done {
        Err(Failure::Alone) => Ok(()),
        done => done,
    }
}

/// Sends each message back.
struct Echo {
    size: usize,
}

impl Play for Echo {
    type Out = ();

    fn play(self, mut port: impl Port) -> Result<(), Failure> {
        let message = vec![PLAIN; self.size];
        loop {
            port.recv()?;
            port.send(&message)?;
        }
    }
}

/// Takes messages, and answers where that is wanted.
struct Sink {
    size: usize,
}

impl Play for Sink {
    type Out = ();

    fn play(self, mut port: impl Port) -> Result<(), Failure> {
        let message = vec![PLAIN; self.size];
        loop {
            if port.recv()? == ANSWER {
                port.send(&message)?;
            }
        }
    }
}

/// This program as the other process.
pub fn command(setup: &Setup, role: Role) -> Command {
    let mut command = Command::new("/proc/self/exe");
    let role = if role == Role::Echo { "echo" } else { "sink" };
    command.arg0("slipring").arg("perf-child").args(["--channel", &setup.channel.name()]);
    command.args(["--size", &setup.size.to_string()]);
    if let Some([_, theirs]) = setup.cpus {
        command.args(["--cpu", &theirs.to_string()]);
    }
    command.arg(role);
    command
}

/// Keeps the thread on a CPU while it plays, and not before: a process that finds itself on a single CPU when it takes part
/// in a segment never spins, because who it waits for would have to be there too.
pub struct Pinned<P> {
    pub cpu: Option<usize>,
    pub play: P,
}

impl<P: Play> Play for Pinned<P> {
    type Out = P::Out;

    fn play(self, port: impl Port) -> Result<P::Out, Failure> {
        if let Some(cpu) = self.cpu {
            let mut set = CpuSet::new();
            set.set(cpu);
            sched_setaffinity(None, &set)?;
        }
        self.play.play(port)
    }
}

/// Runs `work` with a stack that is large enough.
pub fn with_stack<R: Send>(work: impl FnOnce() -> Result<R, Failure> + Send) -> Result<R, Failure> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A CPU for each process, if this one may use two.
pub fn two_cpus() -> Result<Option<[usize; 2]>, Failure> {
    let allowed = sched_getaffinity(None)?;
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    Ok(cpus.next().zip(cpus.next()).map(|(ours, theirs)| [ours, theirs]))
}
