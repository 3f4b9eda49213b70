//! Handles on their way through a Unix socket.
//!
//! A parcel is one message: a header, a text that says which handles it holds, and descriptors. For each segment there is
//! a *place*: an embryo, which is a participant that no process is, has the handles while they are on their way. The proof
//! of its life, an open file description of the segment's file with the embryo's byte locked, is one of the descriptors. So
//! the kernel keeps the embryo alive exactly while somebody may still receive it: if the socket is closed with the parcel
//! in it, the proof is closed with it, and the embryo is as dead as any killed process.
//!
//! Whoever receives a parcel takes the handles over from the embryo and ends it at once.
//!
//! | file | what it holds |
//! |---|---|
//! | `post.rs` | a parcel through a socket: framing, deadlines |
//! | `through.rs` | a handoff through a socket: a parcel by itself |
//! | `enclosed.rs` | handles inside of values: serde |
//!
//! # Memory
//!
//! ```text
//! byte 0        4        8        12       16       20       24       28       32
//!      +-----------------+--------+--------+--------+--------+-----------------+------
//!      |      magic      | version|  bytes | descr. |   0    |     number      | text
//!      +-----------------+--------+--------+--------+--------+-----------------+------
//! ```
//!
//! The text has a line for each place: `PROOF:EMBRYO` and, for each handle, ` NAME:KIND:ROLE:OBJECT[:DESCRIPTOR…]`.
//! Descriptors are counted from 0 in the order in which they came; each is named once.

pub(crate) mod enclosed;
pub(crate) mod post;
pub(crate) mod through;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytemuck::{Pod, Zeroable};
use slipring_core::owner::OwnerId;

use crate::member::recovery_lock::SHORT_PATIENCE;
use crate::object::Kinds;
use crate::sys::socket::MAX_FDS;
use crate::travel::handoff::{Handoff, Inherited, Place, not_inherited};
use crate::{Error, Result, recovery};

/// "SLIPPRCL" in the byte order of the machine.
const MAGIC: u64 = u64::from_be_bytes(*b"SLIPPRCL");
const VERSION: u32 = 1;
/// The longest text: room for some two thousand handles.
const MAX_TEXT: usize = 64 << 10;
/// Bytes of a header.
pub(crate) const HEAD: usize = size_of::<Head>();

/// What each parcel begins with. Any content is possible in one that was received.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Head {
    magic: u64,
    version: u32,
    /// Bytes of the text.
    len: u32,
    /// Descriptors.
    fds: u32,
    zero: u32,
    /// Which parcel of its pipe it is; 0 elsewhere.
    number: u64,
}

const _: () = assert!(HEAD == 32);

impl Head {
    /// Checks what was received: it begins a parcel of this version, and states possible sizes.
    fn read(bytes: [u8; HEAD]) -> Result<Self> {
        let head: Self = bytemuck::cast(bytes);
        if head.magic != MAGIC {
            return Err(not_inherited("a parcel (what came is something else)"));
        }
        if head.version != VERSION {
            let found = head.version;
            return Err(not_inherited(&format!("a parcel of version {VERSION} (it is {found})")));
        }
        if head.len as usize > MAX_TEXT || head.fds as usize > MAX_FDS || head.zero != 0 {
            return Err(not_inherited("a parcel of a possible size"));
        }
        Ok(head)
    }
}

/// Handles that are ready to be sent: their places are prepared. Where it is dropped without having been sent, the places
/// are given up.
pub(crate) struct Packed {
    handoffs: Vec<Handoff>,
    /// For each the embryo, and the proof of its life.
    embryos: Vec<(OwnerId, OwnedFd)>,
    text: String,
    sent: bool,
}

impl Packed {
    /// Prepares a place for each of `handoffs`.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`] for too many descriptors, [`Error::TooLong`] for too many handles, and as
    /// [`Handoff::prepare`].
    pub(crate) fn new(handoffs: Vec<Handoff>) -> Result<Self> {
        let count: u64 = handoffs.iter().map(|handoff| 1 + handoff.fds().count() as u64).sum();
        if count > MAX_FDS as u64 {
            let what =
                "the number of descriptors of handles that go together, and of their segments,";
            return Err(Error::Capacity { what, wanted: count, min: 1, max: MAX_FDS as u64 });
        }
        let mut packed = Self { handoffs, embryos: vec![], text: String::new(), sent: false };
        let mut numbers = 0..;
        for handoff in &packed.handoffs {
            packed.embryos.push(handoff.prepare()?);
            crash_point!("parcel.pack.prepared");
            let (embryo, proof) = &packed.embryos[packed.embryos.len() - 1];
            let line = handoff.describe(*embryo, proof, |_| numbers.next().unwrap_or(i32::MAX));
            packed.text += if packed.text.is_empty() { "" } else { "\n" };
            packed.text += &line;
        }
        let (len, max) = (packed.text.len() as u64, MAX_TEXT as u64);
        if len > max { Err(Error::TooLong { len, max }) } else { Ok(packed) }
    }

    /// The message, as parcel `number` of its pipe, and the descriptors that go with it.
    fn message(&self, number: u64) -> (Vec<u8>, Vec<BorrowedFd<'_>>) {
        let pairs = self.handoffs.iter().zip(&self.embryos);
        let fds: Vec<_> = pairs
            .flat_map(|(handoff, (_, proof))| [proof].into_iter().chain(handoff.fds()))
            .map(AsFd::as_fd)
            .collect();
        let (len, count) = (self.text.len() as u32, fds.len() as u32);
        let head = Head { magic: MAGIC, version: VERSION, len, fds: count, zero: 0, number };
        ([bytemuck::bytes_of(&head), self.text.as_bytes()].concat(), fds)
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        if self.sent {
            return;
        }
        for (handoff, (embryo, _)) in self.handoffs.iter().zip(&self.embryos) {
            let attachment = handoff.attachment();
            let Ok(me) = attachment.me() else { continue };
            let _private = attachment.private.lock();
            // If the lock is not to be had, the embryo dies with its proof, and others bury it.
            let _ = attachment.with_recovery_held(SHORT_PATIENCE, || {
                recovery::end_embryo(attachment, attachment.kinds(), *embryo, me);
            });
        }
    }
}

/// A parcel that was received, its header checked.
pub(crate) struct Arrived {
    text: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Arrived {
    /// As many descriptors came as the header states.
    fn checked(head: &Head, text: Vec<u8>, fds: Vec<OwnedFd>) -> Result<Self> {
        if fds.len() != head.fds as usize {
            let (came, stated) = (fds.len(), head.fds);
            return Err(not_inherited(&format!("a parcel of {stated} descriptors ({came} came)")));
        }
        Ok(Self { text, fds })
    }

    /// Takes over what is in it: for each place the segment and the handles. Where one fails, all are given back.
    ///
    /// # Errors
    ///
    /// [`Error::NotInherited`] where the description is none, or somebody has taken the handles already; and as
    /// [`Segment::from_fd`](crate::Segment::from_fd).
    pub(crate) fn open(self, kinds: Kinds) -> Result<Vec<Inherited>> {
        let broken = || not_inherited("a parcel with a description that can be read");
        let text = String::from_utf8(self.text).map_err(|_| broken())?;
        let mut fds: Vec<_> = self.fds.into_iter().map(Some).collect();
        let mut take = |number: u64| {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            fds.get_mut(index).and_then(Option::take).ok_or_else(broken)
        };
        let places: Vec<Place> =
            text.split('\n').map(|line| Place::parse(line, &mut take)).collect::<Result<_>>()?;
        if fds.iter().any(Option::is_some) {
            return Err(broken());
        }
        places.into_iter().map(|place| Inherited::take_over(place, kinds)).collect()
    }
}
