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

use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;

use slipring_core::directory::ObjectId;
use slipring_core::owner::OwnerId;

use crate::attachment::Attachment;
use crate::object::{Handle, Kind, Role};
use crate::parcel::{Packed, post};
use crate::sys::file;
use crate::until::Until;
use crate::{Error, Result, Segment, fork, object};

mod berth;
mod boarding;
mod inherited;

pub use berth::{Berth, Given};
pub use boarding::Boarding;
pub use inherited::Inherited;
pub(crate) use inherited::{Place, not_inherited};

/// Where a child finds what it inherits.
const VARIABLE: &str = "SLIPRING_HANDOFF";

/// What a handle is, in terms that another process can use.
#[derive(Debug)]
pub struct Ticket {
    kind: Kind,
    role: Role,
    id: ObjectId,
    fds: Vec<OwnedFd>,
    /// What keeps the object until somebody else has it.
    _kept: Option<Handle>,
}

impl Ticket {
    /// The ticket of a handle that has these descriptors beside the segment.
    pub(crate) fn new(kind: Kind, handle: &Handle, fds: Vec<OwnedFd>) -> Self {
        Self { kind, role: handle.role(), id: handle.id(), fds, _kept: Some(handle.clone()) }
    }

    /// `KIND:ROLE:OBJECT`.
    fn describe(&self) -> String {
        format!("{}:{}:{}", self.kind as u32, self.role as u32, self.id.to_bits())
    }

    /// The handle that the ticket stands for, which was kept for this process, and its descriptors.
    pub(crate) fn redeem(self, segment: &Segment, kind: Kind) -> Result<(Handle, Vec<OwnedFd>)> {
        if self.kind != kind {
            return Err(Error::WrongKind { wanted: kind.name(), found: self.kind.name() });
        }
        let handle = Handle::adopt(segment.attachment(), self.id, kind, self.role)?;
        Ok((handle, self.fds))
    }
}

/// A handle that another process can be given: queues' and pipes' ends, locks, slot rings.
pub trait Transfer: Sized + sealed::Sealed {
    /// What stands for this handle on its way.
    ///
    /// # Errors
    ///
    /// No descriptors left.
    fn ticket(&self) -> Result<Ticket>;

    /// The handle in the process that got the ticket.
    ///
    /// # Errors
    ///
    /// [`Error::WrongKind`], [`Error::NotInherited`], [`Error::TypeMismatch`].
    fn from_ticket(ticket: Ticket, segment: &Segment) -> Result<Self>;
}

pub(crate) mod sealed {
    use crate::object::Handle;

    /// Only this crate's handles can be transferred.
    pub trait Sealed {
        /// The handle within.
        fn handle_of(&self) -> &Handle;
    }
}

/// Makes handles transferable whose constructor takes nothing but a [`Handle`].
macro_rules! transfer {
    ($(($($generic:tt)*) $handle:ty, $kind:ident, $of:expr, $from:expr;)*) => {$(
        impl<$($generic)*> crate::handoff::sealed::Sealed for $handle {
            fn handle_of(&self) -> &crate::object::Handle {
                let of: fn(&Self) -> &crate::object::Handle = $of;
                of(self)
            }
        }

        crate::parcel::enclosed::enclosable! { ($($generic)*) $handle }

        impl<$($generic)*> crate::handoff::Transfer for $handle {
            fn ticket(&self) -> crate::Result<crate::handoff::Ticket> {
                let handle = crate::handoff::sealed::Sealed::handle_of(self);
                let kind = crate::object::Kind::$kind;
                Ok(crate::handoff::Ticket::new(kind, handle, Vec::new()))
            }

            fn from_ticket(
                ticket: crate::handoff::Ticket,
                segment: &crate::Segment,
            ) -> crate::Result<Self> {
                let (handle, _) = ticket.redeem(segment, crate::object::Kind::$kind)?;
                let from: fn(crate::object::Handle) -> crate::Result<Self> = $from;
                from(handle)
            }
        }
    )*};
}
pub(crate) use transfer;

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
        if !theirs.is_of(self.attachment.mapping.fd())? {
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

    /// Sends all that was given to whoever receives it from the other end of a Unix socket, a stream or one that keeps
    /// boundaries (`SOCK_SEQPACKET`), with [`Inherited::receive`]. Waits for room for as long as it takes.
    ///
    /// This process need not wait for the other one to receive it, nor live that long. The handles count as held while
    /// they are on their way; if the socket is closed with them in it, they are given back.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] where nobody has the other end. [`Error::Capacity`] for more than 253 descriptors: each
    /// pipe's end has one or two, the segment one. [`Error::TooLong`] for some thousands of handles. Too many participants.
    /// Nothing was handed over then.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use slipring::{ByteQueue, ByteReceiver, Error, Handoff, Inherited, Segment};
    ///
    /// let (here, there) = UnixStream::pair().unwrap();
    /// let segment = Segment::create()?;
    /// let (mut sender, receiver) = ByteQueue::bounded(&segment, 16)?;
    /// let mut handoff = Handoff::new(&segment);
    /// handoff.give("lines", &receiver)?;
    /// handoff.send(&here)?;
    /// drop(receiver);
    /// sender.send(b"sent while nobody had taken it")?;
    ///
    /// // In another process:
    /// let mut inherited = Inherited::receive(&there)?;
    /// let mut lines: ByteReceiver = inherited.take("lines")?;
    /// assert_eq!(lines.recv()?.len(), 30);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn send(self, socket: impl AsFd) -> Result<()> {
        self.send_until(socket, Until::NEVER)
    }

    /// The same, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], or [`Error::WouldBlock`] for [`Until::NOW`]: a stream may have a part of the message then, and
    /// is of no further use. And as [`Handoff::send`].
    pub fn send_until(self, socket: impl AsFd, until: impl Into<Until>) -> Result<()> {
        let attachment = self.attachment.clone();
        let packed = Packed::new(vec![self])?;
        post::send(socket.as_fd(), packed, 0, &attachment, until.into())
    }

    /// Prepares the other process's place.
    pub(crate) fn prepare(&self) -> Result<(OwnerId, OwnedFd)> {
        prepare(&self.attachment, |embryo| {
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

/// Prepares another process's place, as a fork does: an embryo, which `give` has hold what it is to hold, and the proof of
/// its life.
fn prepare(attachment: &Attachment, give: impl Fn(OwnerId)) -> Result<(OwnerId, OwnedFd)> {
    attachment.me()?;
    let proof = attachment.reopen()?;
    let embryo = attachment.with_recovery(|| -> Result<OwnerId> {
        let embryo = attachment.begin_embryo(proof.as_fd())?;
        give(embryo);
        Ok(embryo)
    })??;
    Ok((embryo, proof))
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
