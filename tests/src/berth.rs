//! Programs that are started by somebody who knows nothing of slipring: they inherit descriptors, and find on their
//! command line which ones, and what was given to them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::FdFlags;
use slipring::handoff::Transfer;
use slipring::{Berth, Boarding, Result, Segment};

use crate::peer::Peer;

/// A program that is about to be started: its berth, and what has to reach it.
#[derive(Debug)]
pub struct Launch {
    berth: Berth,
    /// `TEXT[/DESCRIPTOR…]`, one for each handle.
    words: Vec<String>,
    fds: Vec<OwnedFd>,
}

impl Launch {
    /// A berth in `segment`.
    pub fn new(segment: &Segment) -> Self {
        Self { berth: Berth::new(segment).expect("a berth"), words: Vec::new(), fds: Vec::new() }
    }

    /// Gives it one more handle.
    pub fn give(mut self, handle: &impl Transfer) -> Self {
        let given = self.berth.give(handle).expect("given");
        let fds = given.fds.iter().map(|fd| format!("/{}", fd.as_raw_fd()));
        self.words.push(given.text + &fds.collect::<String>());
        self.fds.extend(given.fds);
        self
    }

    /// The berth, whose program does not run yet.
    pub fn into_berth(self) -> Berth {
        self.berth
    }

    /// `peer ARGS PROOF ID WORDS`, which inherits what the words speak of as long as `self` is there.
    pub fn command(&self, args: &[&str]) -> Command {
        let proof = self.berth.as_fd();
        let all = self.fds.iter().map(AsFd::as_fd).chain([proof]);
        let numbers: Vec<RawFd> = all.map(|fd| fd.as_raw_fd()).collect();
        let mut command = Peer::command(args);
        command.args([proof.as_raw_fd().to_string(), self.berth.id().to_string()]);
        command.args(&self.words);
        // SAFETY: the closure makes system calls only.
        // SAFETY: the caller keeps the descriptors until the program was started.
        unsafe {
            command.pre_exec(move || {
                numbers.iter().try_for_each(|number| {
                    let fd = BorrowedFd::borrow_raw(*number);
                    Ok(rustix::io::fcntl_setfd(fd, FdFlags::empty())?)
                })
            });
        }
        command
    }

    /// Starts `peer ARGS PROOF ID WORDS`. Nothing of the berth is left here.
    pub fn start(self, args: &[&str], env: &[(&str, &str)]) -> Peer {
        let mut command = self.command(args);
        command.envs(env.iter().copied());
        Peer::spawn(&mut command, args)
    }
}

/// What a program was started with by [`Launch`].
#[derive(Debug)]
pub struct Arrival {
    boarding: Boarding,
    words: std::vec::IntoIter<String>,
}

impl Arrival {
    /// Boards: `words` are `PROOF ID WORDS`.
    ///
    /// # Errors
    ///
    /// As [`Boarding::new`].
    pub fn new(words: Vec<String>) -> Result<Self> {
        let mut words = words.into_iter();
        let mut next = || words.next().expect("one more word");
        let (proof, id) = (inherited(&next()), next().parse().expect("an id"));
        Ok(Self { boarding: Boarding::new(proof, id)?, words })
    }

    /// Takes the next handle.
    pub fn take<T: Transfer>(&mut self) -> T {
        let word = self.words.next().expect("one more handle");
        let mut parts = word.split('/');
        let text = parts.next().expect("a text");
        self.boarding.take(text, parts.map(inherited).collect()).expect("taken")
    }
}

/// A descriptor that this program inherited, which is named once.
fn inherited(number: &str) -> OwnedFd {
    let number = number.parse().expect("a descriptor's number");
    // SAFETY: open, inherited for whoever reads the command line, and named once there.
    unsafe { OwnedFd::from_raw_fd(number) }
}
