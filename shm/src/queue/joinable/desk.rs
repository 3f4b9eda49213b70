//! What both sides and every lease have in common: the table of leases, and what is done with an entry and its block.

use std::ptr::NonNull;

use slipring_core::block::{BlockRef, Descriptor};
use slipring_core::futex::{self, Scope};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{FenceMode, fence_after_rmw};
use slipring_core::ring::leases::{self, Hold, Leases, NotHeld, Seen, State};
use slipring_core::ring::sides::Side;

use super::letter::{DeadLetter, Hook};
use crate::member::{Attachment, Handle, Wait};
use crate::message::payload;
use crate::object::{RING_UNIT, Role};
use crate::queue::{BODY_BYTES, End};
use crate::wait::{Spin, Until};
use crate::{Error, Result};

/// What the sides of a joinable queue are called.
pub(super) const SIDES: [&str; 2] = ["sender of a joinable queue", "receiver of a joinable queue"];

/// The shared words of one queue, as one handle and its leases see them.
pub(super) struct Desk {
    end: End,
    pub(super) table: Leases,
    /// The table's number as a ring: where leased blocks are in flight.
    pub(super) table_id: u32,
}

// SAFETY: through a shared reference nothing but shared words is touched, which are atomics.
unsafe impl Sync for Desk {}

/// A table's number, from where it lies in the arena.
pub(super) fn table_id(body_offset: u64) -> Result<u32> {
    let number = (body_offset + BODY_BYTES) / RING_UNIT;
    u32::try_from(number).map_err(|_| Error::Corrupt { what: "a queue lies beyond the arena" })
}

/// Views the table behind a queue's words, in a body of `len` bytes that is committed.
pub(super) fn table_at(body: NonNull<u8>, len: u64) -> Result<Leases> {
    let corrupt = || Error::Corrupt { what: "a queue's table of leases has an impossible size" };
    let room = len.checked_sub(BODY_BYTES).ok_or_else(corrupt)?;
    // SAFETY: the body begins with a queue's words, as was checked, and has so many more bytes, committed with the
    // object; they are mapped as long as a handle of it lives.
    unsafe { Leases::attach(body.add(BODY_BYTES as usize), room as usize) }.map_err(|_| corrupt())
}

impl Desk {
    pub(super) fn new(handle: Handle) -> Result<Self> {
        let (body, len) = handle.body();
        let (table, table_id) = (table_at(body, len)?, table_id(handle.body_offset())?);
        Ok(Self { end: End::new(handle)?, table, table_id })
    }

    pub(super) fn attachment(&self) -> &std::sync::Arc<Attachment> {
        self.end.handle.attachment()
    }

    pub(super) fn me(&self) -> Result<OwnerId> {
        self.attachment().me()
    }

    /// How many items were put and are not finished, nor said to be done before anybody had them: true at a moment during
    /// the call.
    pub(super) fn unfinished(&self) -> u64 {
        let ahead = self.table.ahead();
        let kept = self.kept();
        if kept == 0 && ahead != 0 {
            // Left by a death.
            self.table.forget_ahead(ahead);
        }
        kept.saturating_sub(ahead.into())
    }

    /// How many items are in the queue, in somebody's hands, or given back.
    pub(super) fn kept(&self) -> u64 {
        self.table.unfinished(|| self.end.published())
    }

    /// Finishes an item for whoever has it, or will have it.
    pub(super) fn finish_any(&self) -> Result<()> {
        let me = self.me()?;
        // The items of the dead go back to where they are counted ahead.
        self.attachment().reap();
        // A peer gone mad may have left words that say so and cannot be ended.
        for _ in 0..self.table.count() {
            let living = |id| !self.attachment().is_dead(id);
            let Some((hold, owner)) = self.table.oldest_of(living) else { break };
            let block = self.block_of(hold);
            if self.table.finish(hold, owner).is_ok() {
                crash_point!("joinable.finish.finished");
                self.free_block(hold, block, me);
                self.announce_finished();
                return Ok(());
            }
        }
        if !self.table.count_ahead(|ahead| self.kept() > ahead.into()) {
            return Err(Error::NotYourLease);
        }
        crash_point!("joinable.finish.ahead");
        // The items are still there, so joiners are woken in any case.
        self.table.finished_event().notify_after_rmw(futex::ALL, Scope::Shared);
        Ok(())
    }

    /// How many items wait for somebody to take them.
    pub(super) fn waiting(&self) -> u64 {
        self.end.len() + self.table.count_in(|state| state == State::GivenBack)
    }

    /// How many dead letters there are.
    pub(super) fn dead_letters(&self) -> u64 {
        self.table.count_in(State::is_letter)
    }

    /// The block of a hold, as its entry says.
    pub(super) fn block_of(&self, hold: Hold) -> Option<(BlockRef, u64)> {
        match Descriptor::decode(self.table.descriptor(hold.index()))? {
            Descriptor::Block { block, len } => {
                self.attachment().pool.check(block, len).map(|block| (block, len))
            }
            Descriptor::Inline { .. } => None,
        }
    }

    /// Whether the item of a hold was marked, as its entry says.
    pub(super) fn is_marked(&self, hold: Hold) -> bool {
        Descriptor::is_marked(self.table.descriptor(hold.index()))
    }

    /// Has the block of a hold that was somebody else's answer to `me`. The item's place stays.
    pub(super) fn take_over(&self, hold: Hold, me: OwnerId) -> Result<(BlockRef, u64)> {
        let corrupt = Error::Corrupt { what: "a lease names a block that is not there" };
        let here = (self.table_id, hold.place());
        let Some((block, len)) = self.block_of(hold) else { return Err(corrupt) };
        let attachment = self.attachment();
        let ours = attachment.pool.control(block).redirect(here, me, here)
            && attachment.pool.is_committed(block, len, attachment.regions());
        if ours { Ok((block, len)) } else { Err(corrupt) }
    }

    /// Frees the block of an item that is in no entry any more and was `me`'s.
    fn free_block(&self, hold: Hold, block: Option<(BlockRef, u64)>, me: OwnerId) {
        let pool = &self.attachment().pool;
        if let Some((block, _)) = block
            && pool.control(block).taken(me, self.table_id, hold.place())
        {
            crash_point!("joinable.free.taken");
            pool.free_now(block, me);
        }
    }

    /// Finishes a lease of `me`'s: one CAS, and the block is freed.
    pub(super) fn finish(&self, hold: Hold, me: OwnerId) -> Result<()> {
        // Afterwards the entry is another's.
        let block = self.block_of(hold);
        self.table.finish(hold, me).map_err(not_held)?;
        crash_point!("joinable.finish.finished");
        self.free_block(hold, block, me);
        self.announce_finished();
        Ok(())
    }

    /// Gives an item of `me`'s back, for somebody else.
    pub(super) fn give_back(&self, hold: Hold, me: OwnerId) -> Result<()> {
        self.table.give_back(hold, me).map_err(not_held)?;
        self.announce_given_back();
        Ok(())
    }

    pub(super) fn announce_given_back(&self) {
        self.end.chain().not_empty.notify_after_rmw(1, Scope::Shared);
        // Whoever joins sets aside what came back too often: perhaps no worker is left to do it.
        if self.table.limit().is_some() {
            self.table.finished_event().notify_after_rmw(futex::ALL, Scope::Shared);
        }
    }

    /// Wakes joiners if this may have been the last item, and receivers that wait for the end.
    pub(super) fn announce_finished(&self) {
        fence_after_rmw();
        let finished = self.table.finished_event();
        // While something waits in the queue this was not the last one, and joiners need not look.
        if finished.may_have_sleepers() && self.end.len() == 0 {
            finished.notify_after_rmw(futex::ALL, Scope::Shared);
        }
        if !self.end.chain().sides().is_open() {
            self.end.chain().not_empty.notify_after_rmw(futex::ALL, Scope::Shared);
        }
    }

    /// Makes an item that came back too often a dead letter, and shows it to `hook`.
    pub(super) fn set_aside(&self, seen: Seen, me: OwnerId, hook: &mut Option<Hook>) {
        let Some(hold) = self.table.set_aside(seen, me) else { return };
        // Put where everybody finds it, also if the hook panics.
        let _opened = Opened { desk: self, hold, me };
        crash_point!("joinable.set_aside.opened");
        self.announce_finished();
        if let Some(hook) = hook
            && let Ok(letter) = self.read_letter(hold, me)
        {
            hook(&letter);
        }
        crash_point!("joinable.set_aside.shown");
    }

    fn read_letter(&self, hold: Hold, me: OwnerId) -> Result<DeadLetter<Vec<u8>>> {
        let (block, len) = self.take_over(hold, me)?;
        let mut message = Vec::new();
        payload::append_block(self.attachment(), block, len, &mut message);
        Ok(DeadLetter { message, deliveries: hold.deliveries(), marked: self.is_marked(hold) })
    }

    /// Takes the oldest dead letter out for good.
    pub(super) fn take_letter(&self) -> Result<Option<DeadLetter<Vec<u8>>>> {
        let me = self.me()?;
        let Some(hold) = self.table.open_letter(me) else { return Ok(None) };
        crash_point!("joinable.take_letter.opened");
        let letter = self.read_letter(hold, me);
        let block = self.block_of(hold);
        crash_point!("joinable.take_letter.read");
        self.table.close_letter(hold, me, false);
        crash_point!("joinable.take_letter.closed");
        self.free_block(hold, block, me);
        letter.map(Some)
    }

    /// Waits until every item that was put is finished; `is_patient`: also while nobody has the receiving side.
    pub(super) fn join(
        &self,
        until: Until,
        is_patient: bool,
        hook: &mut Option<Hook>,
    ) -> Result<()> {
        let me = self.me()?;
        if until.is_now() {
            self.attachment().reap();
            return self.is_joined(me, is_patient, hook).unwrap_or(Err(Error::WouldBlock));
        }
        let mut spin: Spin = self.end.spin.clone();
        let mut wait = Wait::new(self.attachment(), Some(&mut spin), until.deadline());
        let finished = self.table.finished_event();
        // Who finishes notifies after a locked instruction: the sleeper need not fence it.
        finished
            .wait_until(&mut wait, FenceMode::Symmetric, |_| self.is_joined(me, is_patient, hook))?
    }

    /// The end of a join, if it has come.
    fn is_joined(
        &self,
        me: OwnerId,
        is_patient: bool,
        hook: &mut Option<Hook>,
    ) -> Option<Result<()>> {
        let nobody_left = !is_patient && self.receivers_are_gone();
        while let Some(seen) = self.table.overdue() {
            self.set_aside(seen, me, hook);
        }
        // Only now: what the last receiver finished before it went counts.
        match self.unfinished() {
            0 => Some(Ok(())),
            _ if nobody_left => Some(Err(Error::Disconnected)),
            _ => None,
        }
    }

    fn receivers_are_gone(&self) -> bool {
        self.end.chain().sides().is_side_gone(Side::Receivers)
            && self.end.handle.holders(Role::Second).is_empty()
    }
}

/// A dead letter in our hands, which is put back.
struct Opened<'a> {
    desk: &'a Desk,
    hold: Hold,
    me: OwnerId,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.desk.table.close_letter(self.hold, self.me, true);
    }
}

#[cold]
pub(super) fn not_held(why: leases::NotHeld) -> Error {
    match why {
        NotHeld::Ended => Error::LeaseEnded,
        NotHeld::NotYours => Error::NotYourLease,
    }
}
