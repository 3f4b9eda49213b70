//! Handles for another process: for a program that is started with [`Command`], which inherits its place in the segment and
//! its descriptors, or for one that runs already, through a Unix socket.
//!
//! The place is prepared before the other process has it, and given the handles, as a fork does: there is no moment at
//! which nobody is seen to have them. What nobody takes is given back by the kernel.

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
use crate::parcel::{Packed, post};
use crate::segment::Mapping;
use crate::sys::file;
use crate::until::Until;
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
        if !theirs.is_of_same_segment(&self.attachment)? {
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

    /// Prepares the other process's place, as a fork does.
    pub(crate) fn prepare(&self) -> Result<(OwnerId, OwnedFd)> {
        match self.prepare_once() {
            // Some may be dead: parcels that nobody received.
            Err(Error::TooManyParticipants { .. }) if self.attachment.reap_now() > 0 => {
                self.prepare_once()
            }
            prepared => prepared,
        }
    }

    fn prepare_once(&self) -> Result<(OwnerId, OwnedFd)> {
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
            let (kind, role, id) = (ticket.kind as u32, ticket.role as u32, ticket.id.to_bits());
            let _ = write!(text, " {name}:{kind}:{role}:{id}");
            ticket.fds.iter().for_each(|fd| {
                let _ = write!(text, ":{}", number(fd));
            });
        }
        text
    }
}

/// What [`Handoff::describe`] wrote, read by whoever it is for.
pub(crate) struct Place {
    proof: OwnedFd,
    embryo: OwnerId,
    tickets: Vec<(String, Ticket)>,
}

impl Place {
    /// `take` gives the descriptor that a number stands for.
    pub(crate) fn parse(text: &str, take: &mut dyn FnMut(u64) -> Result<OwnedFd>) -> Result<Self> {
        let mut parts = text.split(' ');
        let (proof, embryo) = parts
            .next()
            .and_then(|head| head.split_once(':'))
            .and_then(|(fd, id)| Some((fd.parse().ok()?, OwnerId::from_bits(id.parse().ok()?)?)))
            .ok_or_else(|| not_inherited("a segment"))?;
        let proof = take(proof)?;
        let tickets = parts.map(|part| parse_ticket(part, take)).collect::<Result<_>>()?;
        Ok(Self { proof, embryo, tickets })
    }
}

/// What a program was started with by [`Handoff::spawn`], or was sent by [`Handoff::send`].
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
        let mut take = |number| take_fd(RawFd::try_from(number).unwrap_or(-1));
        let place = Place::parse(&text, &mut take)?;
        let mapping = Mapping::attach_own(place.proof)?;
        let segment = Segment::registered(Attachment::adopt(mapping, place.embryo)?)?;
        let mut tickets = HashMap::new();
        for (name, ticket) in place.tickets {
            let Ticket { id, kind, role, .. } = ticket;
            let handle = Handle::adopt(segment.attachment(), id, kind, role)?;
            tickets.insert(name, (ticket, handle));
        }
        Ok(Self { segment, tickets })
    }

    /// Takes over what [`Handoff::send`] sent from the other end of a Unix socket, waiting for it for as long as it takes.
    ///
    /// If this process takes part in the segment already, it stays one participant. If not, it joins.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when nobody has the other end any more. [`Error::NotInherited`] for anything else than
    /// what `send` sends, and for what was taken before: all descriptors that came were closed then, and a stream is of
    /// no further use. And as [`Segment::from_fd`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use slipring::{Error, Handoff, Inherited, Mutex, Segment};
    ///
    /// let (here, there) = UnixStream::pair().unwrap();
    /// let segment = Segment::create()?;
    /// let mut handoff = Handoff::new(&segment);
    /// handoff.give("count", &Mutex::new(&segment, 7_u64)?)?;
    /// handoff.send(&here)?;
    ///
    /// let mut inherited = Inherited::receive(&there)?;
    /// let count: Mutex<u64> = inherited.take("count")?;
    /// assert_eq!(count.lock().unwrap().get(), 7);
    /// drop(here);
    /// assert!(matches!(Inherited::receive(&there), Err(Error::Disconnected)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn receive(socket: impl AsFd) -> Result<Self> {
        Self::receive_until(socket, Until::NEVER)
    }

    /// The same, waiting until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], or [`Error::WouldBlock`] for [`Until::NOW`]: of a stream a part of the message may have been
    /// read then. And as [`Inherited::receive`].
    pub fn receive_until(socket: impl AsFd, until: impl Into<Until>) -> Result<Self> {
        let mut places = post::receive(socket.as_fd(), until.into())?.open()?;
        let only = places.pop().filter(|_| places.is_empty());
        only.ok_or_else(|| not_inherited("a parcel of one segment"))
    }

    /// What was kept in a place for whoever takes it: this process, from now on.
    pub(crate) fn take_over(place: Place) -> Result<Self> {
        let Place { proof, embryo, tickets } = place;
        let segment = Segment::joined(&proof)?;
        let wanted: Vec<_> = tickets.iter().map(|(_, t)| (t.id, t.kind, t.role)).collect();
        let handles = Handle::take_over(segment.attachment(), embryo, proof.as_fd(), &wanted)?;
        let named = tickets.into_iter().zip(handles);
        let tickets = named.map(|((name, ticket), handle)| (name, (ticket, handle))).collect();
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

pub(crate) fn not_inherited(what: &str) -> Error {
    Error::NotInherited(what.to_owned())
}

fn parse_ticket(
    text: &str,
    take: &mut dyn FnMut(u64) -> Result<OwnedFd>,
) -> Result<(String, Ticket)> {
    let broken = || not_inherited("a handle whose description can be read");
    let mut parts = text.split(':');
    let name = parts.next().ok_or_else(broken)?;
    let numbers: Vec<u64> =
        parts.map(|n| n.parse().ok()).collect::<Option<_>>().ok_or_else(broken)?;
    let [kind, role, id, fds @ ..] = &numbers[..] else { return Err(broken()) };
    let kind = u32::try_from(*kind).ok().and_then(Kind::from_word);
    // Nobody has a handle of a ring.
    let kind = kind.filter(|kind| *kind != Kind::Ring).ok_or_else(broken)?;
    let role = Role::ALL.into_iter().find(|r| *r as u64 == *role).ok_or_else(broken)?;
    let fds = fds.iter().map(|fd| take(*fd)).collect::<Result<_>>()?;
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
        let mut none = |_| Err(not_inherited("a descriptor"));
        for text in
            ["", "x", "x:1", "x:1:0", "x:99:0:1", "x:2:0:1", "x:1:7:1", "x:1:0:y", "x:1:0:1:0"]
        {
            let parsed = parse_ticket(text, &mut none);
            assert!(matches!(parsed, Err(Error::NotInherited(_))), "{text:?}");
        }
        let (name, ticket) = parse_ticket("jobs:1:1:77", &mut none).unwrap();
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
