//! Handles for a program that is started with [`Command`]: its descriptors and its place in the segment are inherited.
//!
//! The parent prepares the child's place before the child exists and gives it the handles, as a fork does: there is no
//! moment at which neither of the two is seen to have them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;

use slipring_core::directory::ObjectId;
use slipring_core::owner::OwnerId;

use crate::attachment::Attachment;
use crate::object::{Handle, Kind, Role};
use crate::segment::Mapping;
use crate::sys::file;
use crate::{Error, Result, Segment, fork, object};

/// Where a child finds what it inherits.
const VARIABLE: &str = "SLIPRING_HANDOFF";

/// What a handle is, in terms that another process can use.
#[derive(Debug)]
pub struct Ticket {
    kind: Kind,
    role: Role,
    id: ObjectId,
    fds: Vec<OwnedFd>,
}

impl Ticket {
    /// The ticket of a handle that has these descriptors beside the segment.
    pub(crate) fn new(kind: Kind, handle: &Handle, fds: Vec<OwnedFd>) -> Self {
        Self { kind, role: handle.role(), id: handle.id(), fds }
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

/// Handles on their way to a program that is about to be started.
///
/// A child that only forks needs none of this: it has its parent's handles.
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
        Self { attachment: segment.attachment().clone(), tickets: Vec::new() }
    }

    /// Gives the child a handle like `handle`, which it finds under `name`.
    ///
    /// # Errors
    ///
    /// No descriptors left.
    ///
    /// # Panics
    ///
    /// If the name is empty or has characters other than letters, digits, `-`, `_` and `.`.
    pub fn give(&mut self, name: &str, handle: &impl Transfer) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        assert!(!name.is_empty() && name.chars().all(plain), "{name:?} is no name for a handle");
        self.tickets.push((name.to_owned(), handle.ticket()?));
        Ok(())
    }

    /// Starts the program with all that was given.
    ///
    /// # Errors
    ///
    /// The program cannot be started; too many participants. Nothing was handed over then.
    pub fn spawn(self, command: &mut Command) -> Result<Child> {
        let (embryo, proof) = self.prepare()?;
        let text = self.describe(embryo, proof.as_raw_fd());
        let fds: Vec<RawFd> = self.fds().chain([proof.as_raw_fd()]).collect();
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

    /// Prepares the child's place, as a fork does.
    fn prepare(&self) -> Result<(OwnerId, OwnedFd)> {
        self.attachment.me()?;
        let proof = self.attachment.reopen()?;
        let embryo = self.attachment.with_recovery(|| -> Result<OwnerId> {
            let embryo = self.attachment.begin_life(proof.as_fd(), false)?;
            for (_, ticket) in &self.tickets {
                object::hold(&self.attachment, ticket.id, ticket.role, embryo);
                crash_point!("handoff.prepare.held");
            }
            Ok(embryo)
        })??;
        Ok((embryo, proof))
    }

    fn fds(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.tickets.iter().flat_map(|(_, ticket)| ticket.fds.iter().map(AsRawFd::as_raw_fd))
    }

    /// `FD:PARTICIPANT` and, for each handle, ` NAME:KIND:ROLE:OBJECT[:FD…]`.
    fn describe(&self, embryo: OwnerId, proof: RawFd) -> String {
        let mut text = format!("{proof}:{}", embryo.bits());
        for (name, ticket) in &self.tickets {
            let (kind, role, id) = (ticket.kind as u32, ticket.role as u32, ticket.id.to_bits());
            let _ = write!(text, " {name}:{kind}:{role}:{id}");
            ticket.fds.iter().for_each(|fd| {
                let _ = write!(text, ":{}", fd.as_raw_fd());
            });
        }
        text
    }
}

/// What a program was started with by [`Handoff::spawn`].
#[derive(Debug)]
pub struct Inherited {
    segment: Segment,
    /// With each ticket the handle that was kept for us: what is not taken is given back with this.
    tickets: HashMap<String, (Ticket, Handle)>,
}

impl Inherited {
    /// Takes over what was handed to this process. Once: a second call finds it taken.
    ///
    /// # Errors
    ///
    /// [`Error::NotInherited`] in a process that was not started by [`Handoff::spawn`], or whose descriptors were closed;
    /// and as [`Segment::from_fd`].
    pub fn from_env() -> Result<Self> {
        let text = std::env::var(VARIABLE).map_err(|_| not_inherited("a segment"))?;
        let mut parts = text.split(' ');
        let (proof, embryo) = parts
            .next()
            .and_then(|head| head.split_once(':'))
            .and_then(|(fd, id)| Some((fd.parse().ok()?, OwnerId::from_bits(id.parse().ok()?)?)))
            .ok_or_else(|| not_inherited("a segment"))?;
        let mapping = Mapping::attach_own(take_fd(proof)?)?;
        let segment = Segment::registered(Attachment::adopt(mapping, embryo)?)?;
        let mut tickets = HashMap::new();
        for part in parts {
            let (name, ticket) = parse_ticket(part)?;
            let Ticket { id, kind, role, .. } = ticket;
            let handle = Handle::adopt(segment.attachment(), id, kind, role)?;
            tickets.insert(name, (ticket, handle));
        }
        Ok(Self { segment, tickets })
    }

    /// The segment that the handles are in.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// The handle with this name. Once: handles are not copied here. What nobody takes is closed with `self`.
    ///
    /// # Errors
    ///
    /// [`Error::NotInherited`] where there is none, [`Error::WrongKind`] where it is another.
    pub fn take<T: Transfer>(&mut self, name: &str) -> Result<T> {
        let ticket = self.tickets.remove(name);
        let (ticket, _kept) =
            ticket.ok_or_else(|| not_inherited(&format!("a handle called {name:?}")))?;
        T::from_ticket(ticket, &self.segment)
    }

    /// The names of the handles that were not taken yet, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tickets.keys().map(String::as_str)
    }
}

fn not_inherited(what: &str) -> Error {
    Error::NotInherited(what.to_owned())
}

fn parse_ticket(text: &str) -> Result<(String, Ticket)> {
    let broken = || not_inherited("a handle whose description can be read");
    let mut parts = text.split(':');
    let name = parts.next().ok_or_else(broken)?;
    let numbers: Vec<u64> =
        parts.map(|n| n.parse().ok()).collect::<Option<_>>().ok_or_else(broken)?;
    let [kind, role, id, fds @ ..] = &numbers[..] else { return Err(broken()) };
    let kind = u32::try_from(*kind).ok().and_then(Kind::from_word).ok_or_else(broken)?;
    let role = Role::ALL.into_iter().find(|r| *r as u64 == *role).ok_or_else(broken)?;
    let fds = fds.iter().map(|fd| take_fd(RawFd::try_from(*fd).unwrap_or(-1)));
    let fds = fds.collect::<Result<_>>()?;
    Ok((name.to_owned(), Ticket { kind, role, id: ObjectId::from_bits(*id), fds }))
}

/// Makes an inherited descriptor ours, and close-on-exec again. One that is not close-on-exec cannot be Rust's own, which
/// are.
fn take_fd(number: RawFd) -> Result<OwnedFd> {
    let gone = || not_inherited(&format!("descriptor {number}"));
    if number < 3 {
        return Err(gone());
    }
    // SAFETY: a number that may be closed is only asked about here.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    // Taken already, or somebody else's.
    if file::is_close_on_exec(fd).map_err(|_| gone())? {
        return Err(gone());
    }
    file::set_close_on_exec(fd, true).map_err(|_| gone())?;
    // SAFETY: open, handed over to this process by name, and taken once: now it is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::testing::alone;

    #[test]
    fn a_broken_description_is_an_error_and_takes_no_descriptor() {
        for text in ["", "x", "x:1", "x:1:0", "x:99:0:1", "x:1:7:1", "x:1:0:y", "x:1:0:1:0"] {
            assert!(matches!(parse_ticket(text), Err(Error::NotInherited(_))), "{text:?}");
        }
        let (name, ticket) = parse_ticket("jobs:1:1:77").unwrap();
        assert_eq!((name.as_str(), ticket.kind, ticket.role), ("jobs", Kind::Queue, Role::Second));
        assert_eq!(ticket.id.to_bits(), 77);
    }

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

    #[test]
    fn a_descriptor_of_our_own_is_not_taken() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(take_fd(file.as_raw_fd()), Err(Error::NotInherited(_))));
        assert!(matches!(take_fd(9999), Err(Error::NotInherited(_))));
    }
}
