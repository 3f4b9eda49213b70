//! What both sides have in common: the ring, the word that says whose a side is, and waiting for the other side.
//!
//! # Memory
//!
//! ```text
//! byte 0    +------------------------------------------------+
//!           | the ring (spsc_slots)                          |
//!  + its    +------------------------------------------------+
//!    bytes  | sender u64                                     |
//!           | receiver u64                                   |
//!           +------------------------------------------------+
//!
//!  63                              30 29                     0
//! +----------------------------------+------------------------+
//! |  which handle of that process    |  OwnerId, 0 = nobody   |   sender, receiver
//! +----------------------------------+------------------------+
//! ```
//!
//! | word | meaning | who may leave it |
//! |---|---|---|
//! | 0 | nobody has the side | anybody with a handle, by CAS to its own name |
//! | a handle's name | that handle has it | its process, by CAS to 0, dropping the handle; once it is dead, as above |
//!
//! # Invariants
//!
//! * I1. A handle touches its side of the ring only while the word names it. A process asks once: until it forks, the
//!   word cannot come to name another.
//! * I2. Ids carry an epoch, so a dead process's name never comes to mean another handle.
//!
//! # Ordering
//!
//! * E1 "handing over": `let_go`'s Release, or the death, whose proof goes through the kernel → `claim`'s Acquire. What
//!   the last one did to the ring, the next one sees.

use std::ptr::NonNull;

use bytemuck::Pod;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, AtomicU64, CachePadded, Ordering};
use slipring_core::ring::WaitError;
use slipring_core::ring::sides::Sides;
use slipring_core::ring::spsc_slots::{AttachError, Layout, Slots};
use slipring_core::sync::EventCount;
use slipring_core::wait::Waiter;

use crate::member::{Handle, Lookout, Wait};
use crate::object::{Kind, Role, SharedWords};
use crate::wait::{Spin, Until};
use crate::{Error, Result, Segment};

/// Objects are aligned to this.
const MAX_ALIGN: usize = 128;
/// Bits of an [`OwnerId`] in a word that names a handle.
const OWNER_BITS: u32 = 30;
/// While it spins, a call looks this often whether the other side is gone.
const SPINS_PER_LOOK: u32 = 1024;

/// Whose the sides are.
#[repr(C)]
struct Claims {
    sides: [AtomicU64; 2],
}

/// Which side is gone, and where the two sleep: the part of core's header that is the same for every `T`, as `spsc_slots`
/// draws it.
#[repr(C)]
pub(super) struct Words {
    first: CachePadded<FirstLine>,
    head: CachePadded<AtomicU64>,
    not_empty: CachePadded<EventCount>,
    not_full: CachePadded<EventCount>,
}

#[repr(C)]
struct FirstLine {
    geometry: [AtomicU64; 4],
    sides: Sides,
}

// SAFETY: atomics, of which all bit patterns are valid; aligned to a cache line.
unsafe impl SharedWords for Words {}

impl Words {
    pub(super) fn sides(&self) -> &Sides {
        &self.first.sides
    }

    /// Wakes both sides: they look at their condition again.
    pub(super) fn wake_all(&self) {
        self.not_empty.wake_all(Scope::Shared);
        self.not_full.wake_all(Scope::Shared);
    }

    /// Whether the receiver and the sender may be asleep.
    #[cfg(test)]
    pub(super) fn may_sleep(&self) -> (bool, bool) {
        (self.not_empty.may_have_sleepers(), self.not_full.may_have_sleepers())
    }
}

/// One side's handle.
pub(super) struct End<T> {
    pub(super) handle: Handle,
    pub(super) ring: Slots<T>,
    spin: Spin,
    claims: NonNull<Claims>,
    /// Which handle of this process it is.
    number: u32,
    pub(super) lookout: Lookout,
}

// SAFETY: `claims` is shared memory of atomics, mapped as long as `handle` lives; the rest can be sent.
unsafe impl<T: Send> Send for End<T> {}

/// Makes a ring and a handle of each side.
pub(super) fn create<T: Pod>(segment: &Segment, capacity: u64) -> Result<[Handle; 2]> {
    let (layout, bytes) = layout_of::<T>(capacity)?;
    let roles = [Role::First, Role::Second];
    Handle::create(segment.attachment(), Kind::Slots, bytes, roles, |body, _| {
        // SAFETY: committed memory for the ring and the claims behind it, reserved for us; aligned to 128, which is
        // checked to be enough.
        unsafe {
            Slots::init(body.as_ptr(), layout);
            let claims = Claims { sides: [AtomicU64::new(0), AtomicU64::new(0)] };
            body.add(layout.bytes()).cast::<Claims>().write(claims);
        }
        Ok(())
    })
}

/// How a ring lies in its body, and how long the body is.
fn layout_of<T: Pod>(capacity: u64) -> Result<(Layout<T>, u64)> {
    let out_of_range =
        |max| Error::Capacity { what: "a slot ring's capacity", wanted: capacity, min: 1, max };
    let layout = Layout::<T>::new(capacity).map_err(|_| out_of_range(most::<T>()))?;
    if layout.align() > MAX_ALIGN {
        let (wanted, max) = (layout.align() as u64, MAX_ALIGN as u64);
        return Err(Error::Capacity { what: "an alignment", wanted, min: 1, max });
    }
    Ok((layout, (layout.bytes() + size_of::<Claims>()) as u64))
}

/// How many slots an address space holds.
fn most<T: Pod>() -> u64 {
    let bytes = |capacity| Layout::<T>::new(capacity).map_or(usize::MAX, |layout| layout.bytes());
    (isize::MAX as usize / (bytes(2) - bytes(1)).max(1)) as u64
}

impl<T: Pod> End<T> {
    pub(super) fn new(handle: Handle) -> Result<Self> {
        // What cannot be made cannot be opened either.
        layout_of::<T>(1)?;
        let attachment = handle.attachment();
        let (body, len) = handle.body();
        let small = Error::Corrupt { what: "a slot ring is too small" };
        let room = (len as usize).checked_sub(size_of::<Claims>()).ok_or(small)?;
        if !attachment.arena_is_committed(handle.body_offset(), len) {
            return Err(Error::Corrupt { what: "a slot ring lies in memory that nobody paid for" });
        }
        // SAFETY: `room` bytes of the body, committed, and mapped as long as the handle, which we keep beside the ring.
        let ring = unsafe { Slots::<T>::attach(body.as_ptr(), room) }.map_err(mismatch)?;
        let (layout, _) = layout_of::<T>(ring.capacity())?;
        // SAFETY: the ring ends at least so many bytes before the end of the body: `attach` was given no more.
        let claims = unsafe { body.add(layout.bytes()) }.cast::<Claims>();
        let (spin, number) = (attachment.new_spin(), next_number());
        Ok(Self { handle, ring, spin, claims, number, lookout: Lookout::default() })
    }

    /// What keeps this side from going on: the other one is gone.
    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        self.handle.check_open(self.ring.sides())
    }
}

impl<T> End<T> {
    #[inline]
    pub(super) fn me(&self) -> Result<OwnerId> {
        self.handle.attachment().me()
    }

    /// Makes the side this handle's.
    ///
    /// # Errors
    ///
    /// [`Error::SideInUse`] if another has it.
    #[cold]
    pub(super) fn claim(&self, me: OwnerId) -> Result<()> {
        let word = self.claim_word();
        // ORDERING: Acquire, E1, pairs with the Release in `let_go`.
        let mut seen = word.load(Ordering::Acquire);
        loop {
            if seen == self.name(me) {
                return Ok(());
            }
            if let Some(owner) = OwnerId::from_bits(seen as u32)
                && !self.handle.attachment().is_dead(owner)
            {
                return Err(Error::SideInUse);
            }
            // ORDERING: Acquire on success and on failure, E1.
            match word.compare_exchange(seen, self.name(me), Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        crash_point!("slots.claim.taken");
        Ok(())
    }

    /// Lets go of a side that `me` claimed with this handle.
    pub(super) fn let_go(&self, me: OwnerId) {
        // ORDERING: Release on success, E1. A fork's copy of the handle has another name, and changes nothing.
        let _ = self.claim_word().compare_exchange(
            self.name(me),
            0,
            Ordering::Release,
            Ordering::Relaxed,
        );
        crash_point!("slots.let_go.done");
    }

    fn claim_word(&self) -> &AtomicU64 {
        // SAFETY: in bounds of the body and aligned, see `new`; atomics, so peers may write behind the reference.
        unsafe { &(*self.claims.as_ptr()).sides[self.handle.role() as usize] }
    }

    /// This handle's name.
    fn name(&self, me: OwnerId) -> u64 {
        u64::from(self.number) << OWNER_BITS | u64::from(me.bits())
    }

    /// Before a value is sent: now and then whether anybody living will take it. `taken` says how many were.
    pub(super) fn look_out(&mut self, taken: impl FnOnce() -> u64) -> Result<()> {
        let is_alone = self.lookout.is_alone(&self.handle, taken);
        if is_alone { Err(Error::Disconnected) } else { Ok(()) }
    }

    /// The further values of a batch.
    pub(super) fn count_further(&mut self, sent: usize) {
        self.lookout.count(sent.saturating_sub(1));
    }

    /// Whether the other side has handles.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`].
    pub(super) fn check_peer(&self) -> Result<()> {
        let others = self.handle.holders(self.handle.role().other());
        if others.is_empty() { Err(Error::Disconnected) } else { Ok(()) }
    }

    /// What a `try_` call says that could do nothing. Now and then it looks who is dead.
    pub(super) fn would_block(&mut self) -> Error {
        if self.lookout.is_time() {
            self.handle.attachment().reap();
        }
        Error::WouldBlock
    }

    /// The waiter of a blocking call.
    pub(super) fn wait(&mut self, until: Until) -> PeerWait<'_> {
        let wait = Wait::new(self.handle.attachment(), Some(&mut self.spin), until.deadline());
        PeerWait { wait, handle: &self.handle, spins: 0 }
    }

    #[cfg(test)]
    pub(super) fn words(&self) -> &Words {
        // SAFETY: the ring is longer than this, and aligned; atomics.
        unsafe { self.handle.body().0.cast::<Words>().as_ref() }
    }
}

/// A number that no other handle of this process has.
fn next_number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    // ORDERING: Relaxed; each gets another number, and nothing else matters.
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// Waits as [`Wait`] does, and gives up when the other side is gone.
pub(super) struct PeerWait<'a> {
    wait: Wait<'a>,
    handle: &'a Handle,
    spins: u32,
}

impl PeerWait<'_> {
    fn is_alone(&self) -> bool {
        self.handle.holders(self.handle.role().other()).is_empty()
    }
}

impl Waiter for PeerWait<'_> {
    type Stop = Error;

    fn scope(&self) -> Scope {
        self.wait.scope()
    }

    fn spin(&mut self) -> bool {
        self.spins = self.spins.wrapping_add(1);
        // Alone, it goes on to sleep, which it does not.
        let go_on = !self.spins.is_multiple_of(SPINS_PER_LOOK) || !self.is_alone();
        go_on && self.wait.spin()
    }

    fn sleep(&mut self, word: &AtomicU32, expected: u32) -> std::result::Result<(), Error> {
        // Whoever leaves from here on changes the word, or wakes us.
        if self.is_alone() {
            return Err(Error::Disconnected);
        }
        self.wait.sleep(word, expected).map_err(Error::from)
    }

    fn fence_peers(&mut self) {
        self.wait.fence_peers();
    }

    fn is_dead(&mut self, owner: OwnerId) -> bool {
        self.wait.is_dead(owner)
    }
}

/// Why a blocking call failed, in the user's terms.
pub(super) fn stopped(error: WaitError<Error>) -> Error {
    match error {
        WaitError::Stopped(stop) => stop,
        WaitError::Corrupt => corrupt(),
    }
}

#[cold]
pub(super) fn corrupt() -> Error {
    Error::Corrupt { what: "a slot ring's words contradict each other" }
}

/// What does not fit, in the user's terms.
fn mismatch(error: AttachError) -> Error {
    let (what, ours, theirs) = match error {
        AttachError::TypeSize { ours, theirs } => ("size", ours, theirs),
        AttachError::TypeAlign { ours, theirs } => ("alignment", ours, theirs),
        AttachError::Misaligned
        | AttachError::SlotSize { .. }
        | AttachError::Capacity(_)
        | AttachError::Truncated { .. } => {
            return Error::Corrupt { what: "a slot ring has an impossible shape" };
        }
    };
    Error::TypeMismatch { what, ours, theirs }
}
