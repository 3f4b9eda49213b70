//! [`Segment`]: this process's place in a segment, and what everything else is made in.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use slipring_core::member::{Identity, MemberState};

use crate::Result;
use crate::member::{Attachment, fork};
pub use crate::memory::{
    ABI_VERSION, DEFAULT_RESERVE, NAMED_RESERVE, SegmentOptions, map_in_pieces,
};
use crate::memory::{Mapping, Regions, named_reserve, wake_hook};
use crate::object::Kinds;
use crate::sys::process;
use crate::wait::SpinPolicy;

/// A segment that this process takes part in. Cloning it is cheap: clones are one participant.
///
/// So is all that this process has of one segment, however it came by it: opened by name again and again, attached to by
/// descriptor, or received from another process. How its calls spin and whether signals end them is said once for all.
///
/// What lives in a segment (queues, pipes, locks) is made with a reference to it and keeps it mapped. The segment itself
/// lives as long as any process has it open; nothing is left behind, whoever is killed.
///
/// A child of `fork` takes part on its own, under an id of its own, and shares every handle that its parent had.
///
/// # Examples
///
/// ```
/// use slipring::{ByteQueue, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 16)?;
/// sender.send(b"hello")?;
/// assert_eq!(receiver.recv()?, b"hello");
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Segment {
    attachment: Arc<Attachment>,
}

/// How much memory a segment takes.
///
/// ```
/// use slipring::{ByteQueue, Segment, SegmentOptions};
///
/// let segment = Segment::with(SegmentOptions::new().reserve(1 << 30))?;
/// let (mut sender, _receiver) = ByteQueue::bounded(&segment, 4)?;
/// let before = segment.memory();
/// sender.send(&[0; 1 << 20])?;
/// let after = segment.memory();
/// assert!(after.committed >= before.committed + (1 << 20), "memory is paid for as it is used");
/// assert_eq!((before.reserve, after.reserve), (1 << 30, 1 << 30));
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes of address space.
    pub reserve: u64,
    /// Bytes of memory paid for.
    pub committed: u64,
    /// The most bytes that may be committed; `u64::MAX` where there is no limit.
    pub budget: u64,
}

/// A process that takes part in a segment, or did when it died a moment ago.
///
/// ```
/// use slipring::Segment;
///
/// let segment = Segment::create()?;
/// let [me] = &segment.participants()[..] else { panic!("nobody else has it") };
/// assert!(me.is_me && !me.is_dead && !me.is_embryo);
/// assert_eq!(me.pid, std::process::id());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Participant {
    /// Its process id, in its own pid namespace.
    pub pid: u32,
    /// The inode of that namespace: pids compare only where it is equal.
    pub pid_namespace: u64,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
    /// When it joined, in nanoseconds of `CLOCK_MONOTONIC`.
    pub joined: u64,
    /// Whether it is prepared for a child that does not run yet.
    pub is_embryo: bool,
    /// Whether it is proven dead and not yet cleaned up after.
    pub is_dead: bool,
    /// Whether it is this process.
    pub is_me: bool,
}

impl Participant {
    pub(crate) fn new(who: Identity, is_embryo: bool, is_dead: bool, is_me: bool) -> Self {
        Self {
            pid: who.pid,
            pid_namespace: who.pid_namespace,
            start_time: who.start_time,
            joined: who.joined,
            is_embryo,
            is_dead,
            is_me,
        }
    }
}

/// How much memory the segment takes.
pub(crate) fn memory_of(regions: &Regions) -> Memory {
    let mapping = &regions.mapping;
    Memory {
        reserve: mapping.geometry().reserve(),
        committed: mapping.committed_bytes(),
        budget: mapping.budget(),
    }
}

impl Segment {
    /// A new segment in an empty file that is about to be given this name.
    pub(crate) fn new_named(
        file: BorrowedFd<'_>,
        name: &str,
        persists: bool,
        options: SegmentOptions,
        kinds: Kinds,
    ) -> Result<Self> {
        let (limit, used) = process::address_space();
        let reserve = named_reserve(limit, used, wake_hook::count());
        let mapping = Mapping::create_with(file, options, reserve, kinds.layout())?;
        mapping.header().set_name(name, persists);
        Self::join(mapping, kinds)
    }

    /// This process's place in the segment that `file` is of; a new one where it has none.
    pub(crate) fn joined(file: BorrowedFd<'_>, kinds: Kinds) -> Result<Self> {
        match fork::attached_to(file)? {
            Some(attachment) => Ok(Self { attachment }),
            None => Self::join_once(Mapping::attach(file, kinds.layout())?, kinds),
        }
    }

    /// The same, where the open file description is ours already.
    pub(crate) fn joined_own(file: OwnedFd, kinds: Kinds) -> Result<Self> {
        match fork::attached_to(file.as_fd())? {
            Some(attachment) => Ok(Self { attachment }),
            None => Self::join_once(Mapping::attach_own(file, kinds.layout())?, kinds),
        }
    }

    /// Takes part in a segment that this process took no part in a moment ago. Where another thread was faster, its place is
    /// everybody's, and the one that was begun here ends: nobody has used it.
    fn join_once(mapping: Mapping, kinds: Kinds) -> Result<Self> {
        let attachment = Arc::new(Attachment::join(mapping, kinds)?);
        wake_hook::register(&attachment.mapping);
        Ok(Self { attachment: fork::register_only(&attachment)? })
    }

    /// The segment of an attachment.
    pub(crate) fn of(attachment: &Arc<Attachment>) -> Self {
        Self { attachment: attachment.clone() }
    }

    /// Takes part in a segment that was just made.
    pub(crate) fn join(mapping: Mapping, kinds: Kinds) -> Result<Self> {
        Self::registered(Attachment::join(mapping, kinds)?)
    }

    /// Makes `attachment` take part in forks.
    pub(crate) fn registered(attachment: Attachment) -> Result<Self> {
        let attachment = Arc::new(attachment);
        wake_hook::register(&attachment.mapping);
        fork::register(&attachment)?;
        Ok(Self { attachment })
    }

    pub(crate) fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    /// A descriptor of the segment to hand to another process, close-on-exec.
    ///
    /// # Errors
    ///
    /// No descriptors left; `/proc` is gone.
    pub fn share_fd(&self) -> Result<OwnedFd> {
        self.attachment.reopen()
    }

    /// Everybody who takes part, as it was at the moment of the look.
    pub fn participants(&self) -> Vec<Participant> {
        let me = self.attachment.me().ok();
        let all = self.attachment.participants();
        all.map(|(id, record)| {
            let (is_embryo, is_dead) =
                (record.state() == MemberState::Embryo, self.attachment.is_dead(id));
            Participant::new(record.identity(), is_embryo, is_dead, me == Some(id))
        })
        .collect()
    }

    /// Looks for dead participants and repairs what they left; returns how many were cleaned up after. Blocked calls do
    /// this by themselves, every 50 ms: nobody has to call it.
    pub fn reap(&self) -> usize {
        self.attachment.reap_now()
    }

    /// Gives the memory of large free blocks back to the machine; returns about how many bytes that were.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn trim(&self) -> Result<u64> {
        Ok(self.attachment.trim(self.attachment.me()?))
    }

    /// How much memory the segment takes.
    pub fn memory(&self) -> Memory {
        memory_of(&self.attachment)
    }

    /// Whether it has a name and what was made under that name stays when nobody has a handle any more:
    /// [`Name::persist`](crate::Name::persist).
    pub fn persists(&self) -> bool {
        self.attachment.mapping.header().persists()
    }

    /// How many blocks are in somebody's hands or hold messages that nobody received yet. Looks at every block in use:
    /// for tests and for people who look.
    pub fn blocks_in_use(&self) -> u64 {
        self.attachment.pool.census().map(|(blocks, free, _)| blocks - free).sum()
    }

    /// Whether a signal handler that ran ends a blocked call with [`Error::Interrupted`](crate::Error::Interrupted).
    /// Off at first: blocked calls go on, as Rust programs expect. It counts for this process only.
    pub fn set_interruptible(&self, on: bool) {
        self.attachment.set_interruptible(on);
    }

    /// How blocked calls of handles made from now on spin before they sleep, in this process.
    pub fn set_spin(&self, policy: SpinPolicy) {
        self.attachment.set_spin(policy);
    }
}
