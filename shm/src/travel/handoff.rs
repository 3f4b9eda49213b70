//! Handles for another process: for a program that is started with [`Command`], which inherits its place in the segment and
//! its descriptors, or for one that runs already, through a Unix socket.
//!
//! The place is prepared before the other process has it, and given the handles, as a fork does: there is no moment at
//! which nobody is seen to have them. What nobody takes is given back by the kernel.
//!
//! | type | for whom |
//! |---|---|
//! | [`Handoff`], [`Inherited`] | a program that is started here, or is reached through a socket |
//! | [`Berth`], [`Boarding`] | a program that somebody else starts, and that is told in some other way what it was given |
//!
//! | file | what it holds |
//! |---|---|
//! | `embryo.rs` | another process's place, before that process has it |
//! | `inherited.rs` | [`Inherited`]: what was handed over, read, checked and taken |
//! | `berth.rs` | [`Berth`]: a place that is given handles one at a time |
//! | `boarding.rs` | [`Boarding`]: the process that takes them |

use std::fmt::Write as _;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;

use slipring_core::owner::OwnerId;

pub use crate::member::ticket::{Ticket, Transfer};
use crate::member::{Attachment, fork};
use crate::sys::file;
use crate::{Error, Result, Segment, object};

mod berth;
mod boarding;
mod embryo;
mod inherited;

pub use berth::{Berth, Given};
pub use boarding::Boarding;
pub use inherited::Inherited;
pub(crate) use inherited::{Place, from_text, not_inherited};

/// Where a child finds what it inherits.
pub(crate) const VARIABLE: &str = "SLIPRING_HANDOFF";

/// Handles on their way to another process: a program that is about to be started ([`Handoff::spawn`]), or one that runs
/// ([`Handoff::send`]).
///
/// A child that only forks needs none of this: it has its parent's handles. Handles can also go inside of values, through a
/// pipe: [`PipeOptions::handles`](crate::PipeOptions::handles).
///
/// # Examples
///
/// ```no_run
/// use std::process::Command;
/// use slipring::{ByteQueue, Handoff, Segment};
///
/// let segment = Segment::create()?;
/// let (sender, mut receiver) = ByteQueue::bounded(&segment, 16)?;
/// let mut handoff = Handoff::new(&segment);
/// handoff.give("lines", &sender)?;
/// let mut child = handoff.spawn(&mut Command::new("./reader"))?;
/// drop(sender); // the child has one
///
/// while let Ok(line) = receiver.recv() {
///     println!("{}", line.len());
/// }
/// child.wait().unwrap();
/// # Ok::<(), slipring::Error>(())
/// ```
///
/// And in `reader`:
///
/// ```no_run
/// use slipring::{ByteSender, Inherited};
///
/// let mut inherited = Inherited::from_env()?;
/// let mut lines: ByteSender = inherited.take("lines")?;
/// lines.send(b"hello")?;
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct Handoff {
    attachment: Arc<Attachment>,
    tickets: Vec<(String, Ticket)>,
}

impl Handoff {
    /// Nothing to hand over yet but the segment.
    pub fn new(segment: &Segment) -> Self {
        Self::of(segment.attachment())
    }

    pub(crate) fn of(attachment: &Arc<Attachment>) -> Self {
        Self { attachment: attachment.clone(), tickets: Vec::new() }
    }

    pub(crate) fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    /// Gives the other process a handle like `handle`, which it finds under `name`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchObject`] for a handle of another segment; no descriptors left.
    ///
    /// # Panics
    ///
    /// If the name is empty or has characters other than letters, digits, `-`, `_` and `.`.
    pub fn give(&mut self, name: &str, handle: &impl Transfer) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        assert!(!name.is_empty() && name.chars().all(plain), "{name:?} is no name for a handle");
        let theirs = handle.handle_of().attachment();
        if !theirs.is_same(&self.attachment)? {
            return Err(Error::NoSuchObject);
        }
        self.add(name.to_owned(), handle.ticket()?);
        Ok(())
    }

    /// Adds the ticket of a handle of this segment.
    pub(crate) fn add(&mut self, name: String, ticket: Ticket) {
        self.tickets.push((name, ticket));
    }

    /// Starts the program with all that was given.
    ///
    /// # Errors
    ///
    /// The program cannot be started; too many participants. Nothing was handed over then.
    pub fn spawn(self, command: &mut Command) -> Result<Child> {
        let (embryo, proof) = self.prepare()?;
        let text = self.describe(embryo, &proof, AsRawFd::as_raw_fd);
        let fds: Vec<RawFd> = self.fds().chain([&proof]).map(AsRawFd::as_raw_fd).collect();
        command.env(VARIABLE, text);
        // SAFETY: the closure makes system calls only, on descriptors that `self` and `proof` keep open until the child
        // was started: it neither allocates nor locks.
        unsafe {
            command.pre_exec(move || {
                fds.iter().try_for_each(|fd| {
                    file::set_close_on_exec(std::os::fd::BorrowedFd::borrow_raw(*fd), false)
                })
            });
        }
        let child = fork::for_program(|| command.spawn());
        let child = child.map_err(Error::io("start the program"));
        crash_point!("handoff.spawn.started");
        // The child has both now, or there is none and the place goes with its proof.
        drop(proof);
        child
    }

    /// Prepares the other process's place.
    pub(crate) fn prepare(&self) -> Result<(OwnerId, OwnedFd)> {
        embryo::prepare(&self.attachment, |embryo| {
            for (_, ticket) in &self.tickets {
                object::hold(&self.attachment, ticket.id, ticket.role, embryo);
                crash_point!("handoff.prepare.held");
            }
        })
    }

    /// The descriptors of all tickets.
    pub(crate) fn fds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.tickets.iter().flat_map(|(_, ticket)| &ticket.fds)
    }

    /// `FD:PARTICIPANT` and, for each handle, ` NAME:KIND:ROLE:OBJECT[:FD…]`, where descriptors are called as `number`
    /// says.
    pub(crate) fn describe(
        &self,
        embryo: OwnerId,
        proof: &OwnedFd,
        mut number: impl FnMut(&OwnedFd) -> i32,
    ) -> String {
        let mut text = format!("{}:{}", number(proof), embryo.bits());
        for (name, ticket) in &self.tickets {
            let _ = write!(text, " {name}:{}", ticket.describe());
            ticket.fds.iter().for_each(|fd| {
                let _ = write!(text, ":{}", number(fd));
            });
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::testing::alone;

    #[test]
    fn a_program_that_is_started_has_what_it_was_given_and_nothing_else() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let (sender, mut receiver) = crate::ByteQueue::bounded(&segment, 1).unwrap();
            let mut child = Handoff::new(&segment).spawn(&mut Command::new("true")).unwrap();
            assert_eq!(segment.participants().len(), 2, "this process and the program");
            drop(sender);
            assert!(matches!(receiver.try_recv(), Err(Error::Disconnected)), "at once");
            assert!(child.wait().unwrap().success());
        });
    }
}
