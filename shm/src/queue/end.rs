//! What senders and receivers have in common: the chain of rings, and where in it one handle is.

use std::ptr::NonNull;
use std::time::Duration;

use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU64, Ordering};
use slipring_core::ring::chain::{Bound, Chain, MAX_LEVELS};
use slipring_core::ring::mpmc::{self, Ring};

use super::family::expect_role;
use super::options::QueueOptions;
use crate::member::recovery_lock::LONG_PATIENCE;
use crate::member::{Attachment, Handle, Wait};
use crate::memory::{Region, Regions};
use crate::object::{self, Kind, RING_UNIT, Role, SharedWords};
use crate::sys::clock;
use crate::wait::{SLICE, Spin, Until};
use crate::{Error, Result, Segment};

/// Bytes of a queue's words, for the layout fingerprint.
pub(crate) const BODY_BYTES: u64 = size_of::<Body>() as u64;

/// The body of a queue.
#[repr(C)]
pub(crate) struct Body {
    chain: Chain,
    /// The longest message. Written before the queue is known.
    max_len: AtomicU64,
}

// SAFETY: atomics, of which all bit patterns are valid; aligned to a cache line.
unsafe impl SharedWords for Body {}

/// Which ring of the chain a handle is at.
pub(crate) struct Cursor {
    pub(crate) level: usize,
    pub(crate) ring: Ring,
    pub(crate) ring_id: u32,
}

/// One side's handle.
pub(crate) struct End {
    pub(crate) handle: Handle,
    pub(crate) cursor: Cursor,
    pub(crate) spin: Spin,
    pub(crate) bound: Bound,
    pub(crate) max_len: u64,
    /// Whether it goes on while nobody has the other side.
    pub(crate) is_patient: bool,
    /// Who we were at the last call: a fork changes it.
    pub(crate) me: OwnerId,
    body: NonNull<Body>,
}

// SAFETY: `body` is shared memory of atomics, mapped as long as `handle` lives.
unsafe impl Send for End {}

/// Makes an object whose body begins with a queue's; `init` fills the `more` bytes behind that.
pub(crate) fn create_as<const N: usize>(
    segment: &Segment,
    kind: Kind,
    options: QueueOptions,
    roles: [Role; N],
    more: u64,
    init: impl FnOnce(NonNull<u8>),
) -> Result<[Handle; N]> {
    let attachment = segment.attachment();
    let (Bound::Bounded(capacity) | Bound::Unbounded(capacity)) = options.bound();
    Ring::bytes(capacity).map_err(|_| Error::Capacity {
        what: "a queue's capacity",
        wanted: capacity,
        min: 1,
        max: mpmc::MAX_CAPACITY,
    })?;
    let me = attachment.me()?;
    let ring = || NewRing::make(attachment, me, capacity, LONG_PATIENCE);
    Handle::create_with(attachment, kind, BODY_BYTES + more, roles, ring, |body, _, ring| {
        // SAFETY: the body has as many bytes and more.
        init(unsafe { body.add(BODY_BYTES as usize) });
        ring.hang(|ring_id| {
            let chain = Chain::new(options.bound(), ring_id);
            let max_len = AtomicU64::new(options.max_len());
            // SAFETY: committed memory for a body, reserved for us and aligned to 128.
            unsafe { body.cast::<Body>().write(Body { chain, max_len }) };
        })
    })
}

/// A ring that is made and belongs to no queue yet. Dropped, it is free again: nobody else knows of it.
pub(super) struct NewRing<'a> {
    attachment: &'a Attachment,
    place: Place,
}

impl<'a> NewRing<'a> {
    /// Makes one. Its memory is paid for and filled without the recovery lock: for a large one that takes long.
    pub(super) fn make(
        attachment: &'a Attachment,
        me: OwnerId,
        capacity: u64,
        patience: Duration,
    ) -> Result<Self> {
        let len = Ring::bytes(capacity).unwrap_or(usize::MAX) as u64;
        let reserve = |_: &mut _| object::reserve(attachment, Kind::Ring, len, me);
        let place = attachment.with_recovery_for(patience, reserve)??;
        let new = Self { attachment, place };
        crash_point!("queue.make_ring.reserved");
        attachment.commit_arena(place.offset, place.len).inspect_err(|_| {
            // Half of it is of no use to us, and others may need it.
            let _ = attachment.decommit_arena(place.offset, place.len);
        })?;
        let at = attachment.arena(place.offset, len)?;
        // SAFETY: committed memory of an extent that is reserved for us, aligned to 128, which outlives the view:
        // the ring ends with its queue, of which every view's owner has a handle.
        unsafe { Ring::init(at, capacity) }.map_err(|_| Error::NoSpace { wanted: len })?;
        new.number()?;
        Ok(new)
    }

    fn number(&self) -> Result<u32> {
        let no_space = |_| Error::NoSpace { wanted: self.place.len };
        u32::try_from(self.place.offset / RING_UNIT).map_err(no_space)
    }

    /// The directory's entry is live once `hang` has made the ring somebody's. Under the recovery lock.
    fn hang(self, hang: impl FnOnce(u32)) -> Result<()> {
        hang(self.number()?);
        crash_point!("queue.make_ring.hung");
        self.attachment.directory.publish(self.place.id);
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for NewRing<'_> {
    fn drop(&mut self) {
        self.attachment.directory.free(self.place.id);
    }
}

/// The ring with this number, checked.
fn ring_at(regions: &Regions, ring_id: u32) -> Result<Ring> {
    let corrupt = Error::Corrupt { what: "a queue names a ring that is none" };
    let offset = u64::from(ring_id) * RING_UNIT;
    let (_, arena_len) = regions.mapping.geometry().region(Region::Arena);
    let room = arena_len.saturating_sub(offset);
    let header = size_of::<mpmc::Header>() as u64;
    if !regions.arena_is_committed(offset, header) || !offset.is_multiple_of(128) {
        return Err(corrupt);
    }
    let at = regions.arena(offset, room)?;
    // SAFETY: aligned to 128 and inside the mapping, which outlives the view as in `make_ring`; committed as far as the
    // header goes, and as far as the ring says it goes, which is checked next, before the view is used.
    let ring = unsafe { Ring::attach(at, room as usize) };
    let ring =
        ring.map_err(|_| Error::Corrupt { what: "a queue's ring has an impossible size" })?;
    let len = Ring::bytes(ring.capacity()).unwrap_or(usize::MAX) as u64;
    if regions.arena_is_committed(offset, len) { Ok(ring) } else { Err(corrupt) }
}

impl Cursor {
    /// At a level of the chain.
    fn at(regions: &Regions, chain: &Chain, level: usize) -> Result<Self> {
        let missing = Error::Corrupt { what: "a queue's ring is missing" };
        let ring_id = chain.level(level).ok_or(missing)?;
        Ok(Self { level, ring: ring_at(regions, ring_id)?, ring_id })
    }

    /// On to the next ring.
    #[cold]
    pub(crate) fn advance(&mut self, regions: &Regions, chain: &Chain) -> Result<()> {
        *self = Self::at(regions, chain, self.level + 1)?;
        Ok(())
    }
}

/// What the sides of a queue are called.
const SIDES: [&str; 2] = ["sender of a queue", "receiver of a queue"];

impl End {
    /// The end that `handle` is, if it is of this side.
    pub(super) fn of(handle: Handle, role: Role) -> Result<Self> {
        expect_role(&handle, role, SIDES)?;
        Self::new(handle)
    }

    pub(crate) fn new(handle: Handle) -> Result<Self> {
        let attachment = handle.attachment();
        let (body, len) = handle.body();
        if len < size_of::<Body>() as u64 {
            return Err(Error::Corrupt { what: "a queue is too small" });
        }
        let body = body.cast::<Body>();
        // SAFETY: room for a body, just checked, committed with the object and mapped as long as the handle lives;
        // atomics, for which all bit patterns are valid.
        let words = unsafe { body.as_ref() };
        // ORDERING: Relaxed; written before the queue was known.
        let (bound, max_len) = (words.chain.bound(), words.max_len.load(Ordering::Relaxed));
        words.chain.sides().side_begins(handle.role().side());
        crash_point!("queue.end.begun");
        let level = match handle.role() {
            Role::First => words.chain.tail_level(),
            Role::Second => words.chain.head_level(),
        };
        let cursor = Cursor::at(attachment, &words.chain, level)?;
        let (me, spin) = (attachment.me()?, attachment.new_spin());
        Ok(Self { cursor, spin, bound, max_len, is_patient: false, me, body, handle })
    }

    /// Another handle of the same side.
    pub(crate) fn another(&self) -> Result<Self> {
        Ok(Self { is_patient: self.is_patient, ..Self::new(self.handle.clone())? })
    }

    #[inline]
    pub(crate) fn chain(&self) -> &Chain {
        // SAFETY: as in `new`.
        unsafe { &(*self.body.as_ptr()).chain }
    }

    /// How many messages are in it: exact if nobody is at work meanwhile.
    pub(crate) fn len(&self) -> u64 {
        let (attachment, chain) = (self.handle.attachment(), self.chain());
        // To the last ring that there is: where senders are is a hint that may lag.
        let ids = (chain.head_level()..MAX_LEVELS).map_while(|level| chain.level(level));
        ids.filter_map(|id| ring_at(attachment, id).ok()).map(|ring| ring.len()).sum()
    }

    /// How many messages were ever put into it. Exact at a moment during the call, where nobody puts meanwhile.
    pub(crate) fn published(&self) -> u64 {
        let ids = (0..MAX_LEVELS).map_while(|level| self.chain().level(level));
        let rings = ids.filter_map(|id| ring_at(self.handle.attachment(), id).ok());
        rings.map(|ring| ring.published()).fold(0, u64::wrapping_add)
    }

    /// Whether a receive would not wait: there is a message, or there will be none.
    pub(super) fn has_message_or_end(&self) -> bool {
        self.check_open().is_err() || self.has_message()
    }

    /// Whether there is a message.
    pub(crate) fn has_message(&self) -> bool {
        let (attachment, chain) = (self.handle.attachment(), self.chain());
        let ids = (chain.head_level()..MAX_LEVELS).map_while(|level| chain.level(level));
        let mut rings = ids.filter_map(|id| ring_at(attachment, id).ok());
        rings.any(|ring| !ring.is_empty())
    }

    /// Whether a send would not wait: there is room, or nobody will take anything.
    pub(super) fn has_room_or_end(&self) -> bool {
        matches!(self.bound, Bound::Unbounded(_))
            || !self.cursor.ring.is_full()
            || self.check_open().is_err()
    }

    /// Whether the message that went to `position` of the ring at `level` is still there.
    pub(super) fn holds(&self, level: usize, position: u64) -> bool {
        let ring = self.chain().level(level).map(|id| ring_at(self.handle.attachment(), id));
        matches!(ring, Some(Ok(ring)) if ring.holds(position, |_| true))
    }

    /// The most messages that it holds.
    pub(crate) fn capacity(&self) -> Option<u64> {
        match self.bound {
            Bound::Bounded(capacity) => Some(capacity),
            Bound::Unbounded(_) => None,
        }
    }

    /// How many processes have a handle of a side; a dead one counts until somebody has noticed.
    pub(super) fn count_holders(&self, role: Role) -> u32 {
        self.handle.holders(role).count()
    }

    pub(crate) fn close(&self) {
        self.chain().sides().close();
        crash_point!("queue.close.marked");
        self.chain().wake_all(Scope::Shared);
    }

    /// A number that grows when a message is taken, and not before.
    pub(super) fn taken(&self) -> u64 {
        let level = self.chain().head_level();
        let ring = if level == self.cursor.level {
            Some(self.cursor.ring)
        } else {
            // Receivers have not come to the ring that senders are at.
            let id = self.chain().level(level);
            id.and_then(|id| ring_at(self.handle.attachment(), id).ok())
        };
        // Another ring begins at 0 again.
        ring.map_or(0, |ring| ring.taken()).wrapping_add((level as u64) << 56)
    }

    /// All who had the other side were found dead.
    #[cold]
    pub(super) fn alone(&self) -> Result<()> {
        self.check_open()?;
        // Where the dead could not be buried now, the hint is not there yet.
        if self.is_patient { Ok(()) } else { Err(Error::Disconnected) }
    }

    /// What keeps this side from going on: the queue was closed, or the other side is gone.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        match self.handle.check_open(self.chain().sides()) {
            Err(Error::Disconnected) if self.is_patient => Ok(()),
            checked => checked,
        }
    }

    /// Hangs a larger ring in behind the one that the cursor is at, unless somebody did, and closes that one.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] where others keep us from it until the deadline, [`Error::WouldBlock`] where a call that may not
    /// wait has waited for them for a moment. No memory.
    #[cold]
    pub(crate) fn grow(&self, first: u64, until: Until) -> Result<()> {
        let (chain, level) = (self.chain(), self.cursor.level);
        let next = level + 1;
        if next >= MAX_LEVELS {
            return Err(Error::NoSpace { wanted: self.cursor.ring.capacity() });
        }
        if chain.level(next).is_none() {
            let capacity = Chain::capacity_of_level(first, next);
            self.hang(next, capacity, until).map_err(|error| match error {
                Error::TimedOut if until.is_now() => Error::WouldBlock,
                error => error,
            })?;
        }
        self.cursor.ring.close_if_full();
        Ok(())
    }

    /// Makes a ring for this level, unless somebody is at it, or was.
    fn hang(&self, level: usize, capacity: u64, until: Until) -> Result<()> {
        let (attachment, chain, me) = (self.handle.attachment(), self.chain(), self.me);
        // Others are at it for as long as it takes to fill a ring, unless they were stopped there.
        let patience = if until.is_now() { SLICE } else { LONG_PATIENCE };
        let latest = clock::deadline_in(patience);
        let deadline =
            until.deadline().filter(|_| !until.is_now()).into_iter().chain([latest]).min();
        let deadline = deadline.unwrap_or(latest);
        let _how = chain.grower().lock(me, &mut Wait::new(attachment, None, Some(deadline)))?;
        let _growing = Growing { chain, me };
        if chain.level(level).is_some() {
            return Ok(());
        }
        let ring = NewRing::make(attachment, me, capacity, clock::remaining(deadline))?;
        attachment.with_recovery_for(clock::remaining(deadline), |_| {
            // We have the lock for it, so nobody else hangs one in.
            ring.hang(|ring_id| {
                let _ = chain.hang(level, ring_id);
            })
        })?
    }
}

/// The lock of who makes the next ring, in our hands.
struct Growing<'a> {
    chain: &'a Chain,
    me: OwnerId,
}

impl Drop for Growing<'_> {
    fn drop(&mut self) {
        self.chain.grower().unlock(self.me, Scope::Shared);
    }
}

/// The chain of the queue at `place`.
pub(crate) fn chain_at(regions: &Regions, place: Place) -> Option<&Chain> {
    object::words_at::<Body>(regions, place).map(|body| &body.chain)
}

/// All rings of the queue at `place`, by number.
pub(crate) fn rings_of(regions: &Regions, place: Place) -> Vec<(u32, Ring)> {
    let Some(chain) = chain_at(regions, place) else { return Vec::new() };
    let ids = (0..MAX_LEVELS).map_while(|level| chain.level(level));
    ids.filter_map(|id| Some((id, ring_at(regions, id).ok()?))).collect()
}
