//! What stands for a handle on its way to another process, and what a handle that can go, or can have a name, has to know
//! of itself. How it travels is in [`crate::travel::handoff`] and [`crate::travel::parcel`].

use std::os::fd::OwnedFd;

use slipring_core::directory::ObjectId;

use crate::member::Handle;
use crate::object::{Kind, Role};
use crate::{Error, Result, Segment};

/// What a handle is, in terms that another process can use.
///
/// ```
/// use slipring::handoff::{Ticket, Transfer};
/// use slipring::{Event, Segment};
///
/// let segment = Segment::create()?;
/// let event = Event::new(&segment)?;
/// let ticket: Ticket = event.ticket()?;
/// drop(event);
/// // The ticket has kept the event.
/// let event = Event::from_ticket(ticket, &segment)?;
/// assert!(!event.is_set());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct Ticket {
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    pub(crate) id: ObjectId,
    pub(crate) fds: Vec<OwnedFd>,
    /// What keeps the object until another process has it.
    _kept: Option<Handle>,
}

impl Ticket {
    /// The ticket of a handle that has these descriptors beside the segment.
    pub(crate) fn new(kind: Kind, handle: &Handle, fds: Vec<OwnedFd>) -> Self {
        Self { kind, role: handle.role(), id: handle.id(), fds, _kept: Some(handle.clone()) }
    }

    /// The ticket of a handle that was described by its numbers.
    pub(crate) fn described(kind: Kind, role: Role, id: ObjectId, fds: Vec<OwnedFd>) -> Self {
        Self { kind, role, id, fds, _kept: None }
    }

    /// `KIND:ROLE:OBJECT`.
    pub(crate) fn describe(&self) -> String {
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
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use slipring::handoff::Transfer;
/// use slipring::{Handoff, Inherited, Result, Segment, Semaphore};
///
/// /// Gives anything of `segment` to the process at the other end of `socket`.
/// fn lend(handle: &impl Transfer, segment: &Segment, socket: &UnixStream) -> Result<()> {
///     let mut handoff = Handoff::new(segment);
///     handoff.give("it", handle)?;
///     handoff.send(socket)
/// }
///
/// let segment = Segment::create()?;
/// let (here, there) = UnixStream::pair().unwrap();
/// lend(&Semaphore::new(&segment, 3)?, &segment, &here)?;
/// let permits: Semaphore = Inherited::receive(&there)?.take("it")?;
/// assert_eq!(permits.value(), 3);
/// # Ok::<(), slipring::Error>(())
/// ```
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
    use crate::member::Handle;

    /// Only this crate's handles can be transferred.
    pub trait Sealed {
        /// The handle within.
        fn handle_of(&self) -> &Handle;
    }
}

/// A handle that can have a name: how it is made, and had from the object that a named segment was made for. What users
/// call is [`Named`](crate::Named), for each such handle.
pub trait Nameable: Sized + sealed::Sealed {
    /// What is needed to make one.
    type Making;

    /// Makes one in a new segment.
    ///
    /// # Errors
    ///
    /// As its constructor.
    fn make(segment: &Segment, making: &Self::Making) -> Result<Self>;

    /// A handle of the object that a named segment was made for.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchObject`] where that has ended, [`Error::WrongKind`].
    fn root_of(segment: &Segment) -> Result<Self>;
}

/// Makes handles nameable: type, kind, side, what it takes to make one, how it is made, how it is had from a handle.
macro_rules! named {
    ($(($($generic:tt)*) $handle:ty, $kind:ident, $role:ident, $making:ty, $make:expr, $from:expr;)*) => {$(
        impl<$($generic)*> crate::member::ticket::Nameable for $handle {
            type Making = $making;

            fn make(segment: &crate::Segment, making: &Self::Making) -> crate::Result<Self> {
                let make: fn(&crate::Segment, &Self::Making) -> crate::Result<Self> = $make;
                make(segment, making)
            }

            fn root_of(segment: &crate::Segment) -> crate::Result<Self> {
                let (kind, role) = (crate::object::Kind::$kind, crate::object::Role::$role);
                let from: fn(crate::member::Handle) -> crate::Result<Self> = $from;
                from(crate::member::Handle::open_root(segment.attachment(), kind, role)?)
            }
        }
    )*};
}
pub(crate) use named;
