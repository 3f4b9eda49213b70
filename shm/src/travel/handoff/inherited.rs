//! The receiving side: what was handed over, read, checked and taken.

use std::collections::HashMap;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use slipring_core::directory::ObjectId;
use slipring_core::owner::OwnerId;

use crate::member::ticket::{Ticket, Transfer};
use crate::member::{Attachment, Handle, fork};
use crate::memory::Mapping;
use crate::object::{Kind, Kinds, Role};
use crate::sys::file;
use crate::{Error, Result, Segment};

/// What [`Handoff::describe`](super::Handoff::describe) wrote, read by whoever it is for.
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

/// What a program was started with by [`Handoff::spawn`](super::Handoff::spawn), or was sent by [`Handoff::send`](super::Handoff::send).
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use slipring::{Error, Handoff, Inherited, Mutex, OrRecover, Segment, Semaphore};
///
/// let segment = Segment::create()?;
/// let mut handoff = Handoff::new(&segment);
/// handoff.give("places", &Semaphore::new(&segment, 2)?)?;
/// handoff.give("total", &Mutex::new(&segment, 40_u64)?)?;
/// let (here, there) = UnixStream::pair().unwrap();
/// handoff.send(&here)?;
///
/// // In the other process:
/// let mut inherited = Inherited::receive(&there)?;
/// assert_eq!(inherited.names().count(), 2);
/// let total: Mutex<u64> = inherited.take("total")?;
/// assert_eq!(total.lock().or_recover()?.get(), 40);
/// assert!(matches!(inherited.take::<Semaphore>("places?"), Err(Error::NotInherited(_))));
/// drop(inherited); // nobody took the semaphore: it is given back
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Inherited {
    segment: Segment,
    /// With each ticket the handle that was kept for us: what is not taken is given back with this.
    tickets: HashMap<String, (Ticket, Handle)>,
}

impl Inherited {
    /// What was kept in a place for whoever takes it: this process, from now on.
    pub(crate) fn take_over(place: Place, kinds: Kinds) -> Result<Self> {
        let Place { proof, embryo, tickets } = place;
        let segment = Segment::joined(proof.as_fd(), kinds)?;
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

/// Takes over what was handed to this process, as `text` says. Once: a second call finds the descriptors taken.
///
/// # Errors
///
/// As [`Inherited::from_env`].
pub(crate) fn from_text(text: &str, kinds: Kinds) -> Result<Inherited> {
    let mut take = |number| take_fd(RawFd::try_from(number).unwrap_or(-1));
    let place = Place::parse(text, &mut take)?;
    // Such a process has opened it before: the place is a parcel's then.
    if fork::attached_to(place.proof.as_fd())?.is_some() {
        return Inherited::take_over(place, kinds);
    }
    let mapping = Mapping::attach(place.proof.as_fd(), kinds.layout())?;
    let attachment = Attachment::adopt(mapping, place.embryo, place.proof, kinds)?;
    let segment = Segment::registered(attachment)?;
    let mut tickets = HashMap::new();
    for (name, ticket) in place.tickets {
        let Ticket { id, kind, role, .. } = ticket;
        let handle = Handle::adopt(segment.attachment(), id, kind, role)?;
        tickets.insert(name, (ticket, handle));
    }
    Ok(Inherited { segment, tickets })
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
    let (kind, role, id) = described([*kind, *role, *id]).ok_or_else(broken)?;
    let fds = fds.iter().map(|fd| take(*fd)).collect::<Result<_>>()?;
    Ok((name.to_owned(), Ticket::described(kind, role, id, fds)))
}

/// The handle that these numbers describe, if they can describe one: kind, role, object.
pub(super) fn described([kind, role, id]: [u64; 3]) -> Option<(Kind, Role, ObjectId)> {
    let kind = u32::try_from(kind).ok().and_then(Kind::from_word);
    // Nobody has a handle of a ring.
    let kind = kind.filter(|kind| *kind != Kind::Ring)?;
    let role = Role::ALL.into_iter().find(|known| *known as u64 == role)?;
    Some((kind, role, ObjectId::from_bits(id)))
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
    use std::os::fd::AsRawFd;

    use super::*;

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
    fn a_descriptor_of_our_own_is_not_taken() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(take_fd(file.as_raw_fd()), Err(Error::NotInherited(_))));
        assert!(matches!(take_fd(9999), Err(Error::NotInherited(_))));
    }
}
