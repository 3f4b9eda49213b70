//! The other side of a [`Berth`](super::Berth): a process takes what was kept for it, one handle at a time.

use std::os::fd::{AsFd, OwnedFd};

use slipring_core::directory::ObjectId;
use slipring_core::owner::OwnerId;

use super::berth::Seat;
use super::inherited::described;
use super::inherited::not_inherited;
use crate::member::Handle;
use crate::member::ticket::{Ticket, Transfer};
use crate::object::{Kind, Kinds, Role};
use crate::sys::file;
use crate::{Error, Result, Segment};

/// A place that somebody prepared for this process with a [`Berth`](super::Berth), while the handles are taken out of it.
///
/// Dropping it ends the place: what was not taken is given back. What was taken stays.
///
/// ```
/// use std::os::fd::AsFd;
/// use slipring::{Berth, Boarding, Error, Event, Segment};
///
/// let segment = Segment::create()?;
/// let stop = Event::new(&segment)?;
/// let mut berth = Berth::new(&segment)?;
/// let given = berth.give(&stop)?;
/// let (descriptor, id) = (berth.as_fd().try_clone_to_owned().unwrap(), berth.id());
///
/// // In the process that has inherited the descriptor and was told the id and the text:
/// let boarding = Boarding::new(descriptor, id)?;
/// let unknown = boarding.take::<Event>("1:0:1", Vec::new());
/// assert!(matches!(unknown, Err(Error::NotInherited(_))));
/// let stop: Event = boarding.take(&given.text, given.fds)?;
/// assert!(!stop.is_set());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Boarding {
    segment: Segment,
    seat: Seat,
}

impl Boarding {
    /// Boards the place of `embryo`, whose proof of life is `proof`.
    ///
    /// # Errors
    ///
    /// As [`Boarding::new`].
    pub(crate) fn at(proof: OwnedFd, embryo: OwnerId, kinds: Kinds) -> Result<Self> {
        file::set_close_on_exec(proof.as_fd(), true)
            .map_err(Error::io("make the berth's descriptor close-on-exec"))?;
        let segment = Segment::joined(proof.as_fd(), kinds)?;
        let attachment = segment.attachment().clone();
        let me = attachment.me()?;
        let seat = Seat { attachment, embryo, proof, me };
        seat.attachment.with_recovery(|| seat.check())??;
        Ok(Self { segment, seat })
    }

    /// The segment that the handles are in.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Takes a handle that was given: this process holds it from now on. `text` and `fds` are those of
    /// [`Given`](super::Given). What was given can be taken several times.
    ///
    /// # Errors
    ///
    /// [`Error::NotInherited`] for a text that describes nothing that the place holds, for descriptors that are not the
    /// handle's, and where the place has ended. [`Error::WrongKind`] or [`Error::TypeMismatch`] where it is something else
    /// than a `T`: it can be taken as what it is. [`Error::Forked`]; [`Error::TimedOut`] if a stopped process keeps the
    /// segment's recovery lock.
    pub fn take<T: Transfer>(&self, text: &str, fds: Vec<OwnedFd>) -> Result<T> {
        let Seat { attachment, embryo, proof, .. } = &self.seat;
        let unknown = || not_inherited("a handle of that description");
        let (id, kind, role) = parse(text).ok_or_else(unknown)?;
        let held =
            Handle::take_from(attachment, *embryo, proof.as_fd(), &[(id, kind, role)], |_| {});
        let held = held.map_err(|error| match error {
            Error::NoSuchObject | Error::WrongKind { .. } => unknown(),
            other => other,
        })?;
        let handle = held.first().ok_or_else(unknown)?;
        T::from_ticket(Ticket::new(kind, handle, fds), &self.segment)
    }
}

impl Drop for Boarding {
    fn drop(&mut self) {
        self.seat.end();
    }
}

/// What [`Ticket::describe`] wrote.
fn parse(text: &str) -> Option<(ObjectId, Kind, Role)> {
    let numbers = text.split(':').take(4).map(|number| number.parse().ok());
    let numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
    let (kind, role, id) = described(numbers.try_into().ok()?)?;
    Some((id, kind, role))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sync::testing::{alone, in_child};
    use crate::{Berth, ByteQueue, ByteSender, SegmentOptions};

    #[test]
    fn only_three_numbers_that_can_describe_a_handle_are_one() {
        for text in ["", "1", "1:0", "1:0:1:", "1:0:1:1", "2:0:1", "17:0:1", "1:2:1", "1:0:-1"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse(&"1:".repeat(1 << 20)), None);
        let (id, kind, role) = parse("1:1:77").unwrap();
        assert_eq!((id.to_bits(), kind, role), (77, Kind::Queue, Role::Second));
    }

    #[test]
    fn a_forked_childs_copies_end_nothing_and_can_still_be_used() {
        alone(|| {
            let segment = Segment::with(SegmentOptions::new().reserve(1 << 30)).unwrap();
            let (sender, mut receiver) = ByteQueue::bounded(&segment, 4).unwrap();
            let mut berth = Berth::new(&segment).unwrap();
            let given = berth.give(&sender).unwrap();
            let proof = berth.as_fd().try_clone_to_owned().unwrap();
            let boarding = Boarding::new(proof, berth.id()).unwrap();
            let in_child = in_child(|| {
                let taken = boarding.take::<ByteSender>(&given.text, vec![]);
                let sent = taken.is_ok_and(|mut sender| sender.send(b"by the child").is_ok());
                // SAFETY: the child ends without using its copies again, as `in_child` sees to.
                let copies = unsafe {
                    (std::ptr::read(&raw const boarding), std::ptr::read(&raw const berth))
                };
                copies.1.abandon();
                drop(copies.0);
                sent
            });
            assert!(in_child);
            assert_eq!(receiver.recv().unwrap(), b"by the child");
            drop((sender, berth));
            segment.reap();
            let empty = receiver.recv_until(Duration::from_millis(20));
            assert!(matches!(empty, Err(Error::TimedOut)), "the berth has it: {empty:?}");
            let mut sender: ByteSender = boarding.take(&given.text, vec![]).unwrap();
            drop(boarding);
            sender.send(b"by the parent").unwrap();
            assert_eq!(receiver.recv().unwrap(), b"by the parent");
            drop(sender);
            assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
        });
    }
}
