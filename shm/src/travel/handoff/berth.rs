//! A place that is prepared for a process which somebody else starts, and given its handles one at a time.
//!
//! A program that is not started with a [`Command`](std::process::Command) of ours gets what it works on in the way of
//! whoever starts it: pickled, one value after the other, while there is no process yet. So the place comes first, as an
//! embryo, and each handle as it is met. The proof of the embryo's life is a descriptor that is inherited, or sent, as any
//! other; how it gets there is the starter's affair.
//!
//! # Crash points
//!
//! | killed | what becomes of the embryo |
//! |---|---|
//! | giver, before it started the process | the proof goes with the giver: a dead embryo |
//! | giver, afterwards | nothing: the process has a copy of the proof |
//! | process, before it boarded or in the middle of it | as the giver: with the last copy of the proof |
//! | process, after it ended the embryo | there is none; what it took is its own |

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use slipring_core::owner::OwnerId;

use super::embryo;
use super::inherited::not_inherited;
use crate::member::Attachment;
use crate::member::recovery_lock::SHORT_PATIENCE;
use crate::member::ticket::Transfer;
use crate::{Error, Result, Segment, object, recovery};

/// A place in a segment for a process that somebody else starts. Handles are given to it one at a time; the process takes
/// them through a [`Boarding`](super::Boarding).
///
/// What was given is held by the place until the process has boarded and left the [`Boarding`](super::Boarding), or until
/// nobody has a copy of the descriptor [`Berth::as_fd`] any more: then it is given back. Dropping a berth closes this
/// process's copy. Do so as soon as the process was started: while it is open, peers do not learn of the end of a process
/// that is killed before it boards. A child of `fork` has a copy, too, until it drops its own or ends.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use slipring::{Berth, Boarding, ByteQueue, ByteSender, Error, Segment};
///
/// let segment = Segment::create()?;
/// let (sender, mut receiver) = ByteQueue::bounded(&segment, 16)?;
/// let mut berth = Berth::new(&segment)?;
/// let given = berth.give(&sender)?;
/// drop(sender);
/// // These go to the other process, and `given` with them:
/// let (proof, id) = (berth.as_fd().try_clone_to_owned().unwrap(), berth.id());
/// drop(berth);
///
/// // In the other process:
/// let boarding = Boarding::new(proof, id)?;
/// let mut sender: ByteSender = boarding.take(&given.text, given.fds)?;
/// drop(boarding);
/// sender.send(b"arrived")?;
/// assert_eq!(receiver.recv()?, b"arrived");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Berth {
    seat: Seat,
}

/// What another process needs to take a handle that was given to its [`Berth`].
///
/// ```
/// use slipring::{Berth, ByteQueue, Pipe, Segment};
///
/// let segment = Segment::create()?;
/// let mut berth = Berth::new(&segment)?;
/// let (jobs, _receiver) = ByteQueue::bounded(&segment, 16)?;
/// let (reader, _writer) = Pipe::one_way(&segment)?;
/// // A text is all there is to tell about a queue …
/// let given = berth.give(&jobs)?;
/// assert!(given.fds.is_empty() && given.text.split(':').count() == 3);
/// // … and an end of a pipe has a descriptor, too.
/// assert!(!berth.give(&reader)?.fds.is_empty());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct Given {
    /// `KIND:ROLE:OBJECT`, three decimal numbers.
    pub text: String,
    /// What has to reach the other process beside the text, in this order: the sockets of an end of a pipe; none for most.
    pub fds: Vec<OwnedFd>,
}

impl Berth {
    /// Prepares a place in `segment`.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyParticipants`]; no descriptors left; [`Error::Forked`]; [`Error::TimedOut`] if a stopped process
    /// keeps the segment's recovery lock.
    pub fn new(segment: &Segment) -> Result<Self> {
        Self::in_segment(segment.attachment())
    }

    /// Prepares a place in the segment that `handle` is of. The handle is not given to it.
    ///
    /// # Errors
    ///
    /// As [`Berth::new`].
    pub fn of(handle: &impl Transfer) -> Result<Self> {
        Self::in_segment(handle.handle_of().attachment())
    }

    fn in_segment(attachment: &Arc<Attachment>) -> Result<Self> {
        let me = attachment.me()?;
        // Who starts children again and again, and never waits in the segment, is who must look for those that have ended.
        attachment.reap();
        let (embryo, proof) = embryo::prepare(attachment, |_| {})?;
        Ok(Self { seat: Seat { attachment: attachment.clone(), embryo, proof, me } })
    }

    /// Whether `handle` is of this place's segment: only then can it be given.
    ///
    /// # Errors
    ///
    /// The segment's descriptor cannot be looked at.
    pub fn has(&self, handle: &impl Transfer) -> Result<bool> {
        handle.handle_of().attachment().is_same(&self.seat.attachment)
    }

    /// Gives the place a handle like `handle`. It can be given several times.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchObject`] for a handle of another segment. [`Error::NotInherited`] where the place has ended: the
    /// other process has boarded and is done. No descriptors left; [`Error::Forked`]; [`Error::TimedOut`] if a stopped
    /// process keeps the segment's recovery lock.
    pub fn give(&mut self, handle: &impl Transfer) -> Result<Given> {
        let Seat { attachment, embryo, .. } = &self.seat;
        if !self.has(handle)? {
            return Err(Error::NoSuchObject);
        }
        attachment.me()?;
        // Made and dropped outside of the lock: it has a handle of its own.
        let ticket = handle.ticket()?;
        let text = ticket.describe();
        attachment.with_recovery(|| -> Result<()> {
            self.seat.check()?;
            object::hold(attachment, ticket.id, ticket.role, *embryo);
            crash_point!("berth.give.held");
            Ok(())
        })??;
        Ok(Given { text, fds: ticket.fds })
    }

    /// The proof of the place's life: whoever has a copy of this descriptor keeps what was given. It is close-on-exec.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.seat.proof.as_fd()
    }

    /// What [`Boarding::new`](super::Boarding::new) knows the place by.
    pub fn id(&self) -> u32 {
        self.seat.embryo.bits()
    }

    /// Gives back at once what was given, whoever has a copy of the descriptor: for a process that could not be started.
    pub fn abandon(self) {
        self.seat.end();
    }
}

impl AsFd for Berth {
    fn as_fd(&self) -> BorrowedFd<'_> {
        Self::as_fd(self)
    }
}

/// An embryo, and the proof of its life, as one of several processes has them.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) attachment: Arc<Attachment>,
    pub(super) embryo: OwnerId,
    pub(super) proof: OwnedFd,
    /// Who has this: in a forked child somebody else.
    pub(super) me: OwnerId,
}

impl Seat {
    /// Whether the embryo is there, and the proof is its own. Under the recovery lock.
    pub(super) fn check(&self) -> Result<()> {
        let is_there = self.attachment.is_proof_of(self.proof.as_fd(), self.embryo);
        if is_there { Ok(()) } else { Err(not_inherited("the berth")) }
    }

    /// Ends the embryo, unless somebody has: what it holds is given back. A forked child's copy does nothing.
    pub(super) fn end(&self) {
        let attachment = &self.attachment;
        if !attachment.me().is_ok_and(|me| me == self.me) {
            return;
        }
        let _private = attachment.private.lock();
        // If the lock is not to be had, the embryo dies with its proof, and others bury it.
        let _ = attachment.with_recovery_held(SHORT_PATIENCE, || {
            // Another copy may have ended it already.
            if self.check().is_ok() {
                recovery::end_embryo(attachment, attachment.kinds(), self.embryo, self.me);
            }
        });
    }
}
