//! How a process enters a segment: makes one, attaches to one, takes over what it was handed. These calls hand the table of
//! kinds down; from then on the attachment has it.

use std::os::fd::{AsFd, OwnedFd};

use slipring_core::owner::OwnerId;

use super::kinds::KINDS;
use crate::memory::{Mapping, SegmentOptions};
use crate::travel::handoff::{Boarding, Inherited, VARIABLE, from_text, not_inherited};
use crate::travel::parcel::through::receive_one;
use crate::wait::Until;
use crate::{Result, Segment};

impl Segment {
    /// A new anonymous segment with the default reserve.
    ///
    /// # Errors
    ///
    /// No memory, no address space, no `/proc`, a CPU without `cmpxchg16b`.
    pub fn create() -> Result<Self> {
        Self::with(SegmentOptions::new())
    }

    /// A new anonymous segment: a memfd, which has no name and cannot shrink.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`], and a reserve out of range or a budget too small for the segment's own needs.
    pub fn with(options: SegmentOptions) -> Result<Self> {
        Self::join(Mapping::create(options, KINDS.layout())?, KINDS)
    }

    /// A new segment in an empty file of the caller's, on a file system of memory (`/dev/shm`, hugetlbfs excepted).
    /// Whoever can shrink the file can kill everybody who maps it.
    ///
    /// # Errors
    ///
    /// As [`Segment::with`], and [`Error::NotEmpty`](crate::Error::NotEmpty).
    pub fn create_in(file: impl AsFd, options: SegmentOptions) -> Result<Self> {
        Self::join(Mapping::create_in(file.as_fd(), options, KINDS.layout())?, KINDS)
    }

    /// Takes part in the segment that `file` is a descriptor of: received over a socket, inherited, opened by name.
    /// The descriptor may be closed afterwards. A process that takes part already stays one participant.
    ///
    /// # Errors
    ///
    /// Each thing that can be wrong with a file has an error of its own: no segment, truncated, of another version, half
    /// made. Too many participants.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Error, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let again = Segment::from_fd(segment.share_fd()?)?;
    /// assert_eq!(again.participants().len(), 1, "a process takes part once");
    ///
    /// let null = std::fs::File::open("/dev/null").unwrap();
    /// assert!(matches!(Segment::from_fd(&null), Err(Error::NotASegment { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_fd(file: impl AsFd) -> Result<Self> {
        Self::joined(file.as_fd(), KINDS)
    }

    /// Another participant, even if this process is one already: for tests, which fill a segment.
    #[doc(hidden)]
    pub fn another_from_fd(file: impl AsFd) -> Result<Self> {
        Self::join(Mapping::attach(file.as_fd(), KINDS.layout())?, KINDS)
    }
}

impl Inherited {
    /// Takes over what was handed to this process. Once: a second call finds it taken.
    ///
    /// # Errors
    ///
    /// [`Error::NotInherited`](crate::Error::NotInherited) in a process that was not started by [`Handoff::spawn`](crate::Handoff::spawn), or whose descriptors were closed;
    /// and as [`Segment::from_fd`].
    pub fn from_env() -> Result<Self> {
        let text = std::env::var(VARIABLE).map_err(|_| not_inherited("a segment"))?;
        from_text(&text, KINDS)
    }

    /// Takes over what [`Handoff::send`](crate::Handoff::send) sent from the other end of a Unix socket, waiting for it for as long as it takes.
    ///
    /// If this process takes part in the segment already, it stays one participant. If not, it joins.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`](crate::Error::Disconnected) when nobody has the other end any more. [`Error::NotInherited`](crate::Error::NotInherited) for anything else than
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
    /// [`Error::TimedOut`](crate::Error::TimedOut), or [`Error::WouldBlock`](crate::Error::WouldBlock) for [`Until::NOW`]: of a stream a part of the message may have been
    /// read then. And as [`Inherited::receive`].
    pub fn receive_until(socket: impl AsFd, until: impl Into<Until>) -> Result<Self> {
        receive_one(socket, until.into(), KINDS)
    }
}

impl Boarding {
    /// Boards the place `id`, whose proof of life is `proof`: a copy of [`Berth::as_fd`](crate::Berth::as_fd). It is made
    /// close-on-exec.
    ///
    /// If this process takes part in the segment already, as the one that made the berth does, it stays one participant.
    /// If not, it joins.
    ///
    /// # Errors
    ///
    /// [`Error::NotInherited`](crate::Error::NotInherited) where there is no such place (any more), or `proof` is not its proof; and as
    /// [`Segment::from_fd`].
    pub fn new(proof: OwnedFd, id: u32) -> Result<Self> {
        let embryo = OwnerId::from_bits(id).ok_or_else(|| not_inherited("a berth with that id"))?;
        Self::at(proof, embryo, KINDS)
    }
}
