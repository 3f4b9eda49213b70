//! How messages get into an ordered queue, whatever its order.

use slipring_core::block::{BlockRef, Descriptor, Magazines};
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::spsc_slots::PushError;

use super::end::{End, Order, Store, damaged, would_block};
use crate::member::{Handle, Lookout, Wait};
use crate::message::payload;
use crate::object::Role;
use crate::wait::Until;
use crate::{Error, Result};

/// The sending side of a queue.
pub(super) struct Sending {
    pub(super) end: End,
    magazines: Magazines,
    /// Messages sent with this handle.
    sent: u64,
    lookout: Lookout,
}

/// What is being published.
#[derive(Clone, Copy)]
struct Message {
    key: u64,
    word: u64,
    block: Option<BlockRef>,
    me: OwnerId,
}

impl Sending {
    /// The one that `handle` is, if its queue is of this order.
    pub(super) fn of(handle: Handle, order: Order) -> Result<Self> {
        Ok(Self::new(End::of(handle, order, Role::First)?))
    }

    fn new(end: End) -> Self {
        let (magazines, lookout) = (Magazines::default(), Lookout::default());
        Self { end, magazines, sent: 0, lookout }
    }

    /// Another one, for another thread.
    pub(super) fn another(&self) -> Result<Self> {
        Ok(Self::new(self.end.another()?))
    }

    /// Sends a copy of `message` with `key`, which a LIFO queue does not look at.
    #[inline]
    pub(super) fn send(&mut self, key: u64, message: &[u8], until: Until) -> Result<()> {
        let me = self.ready()?;
        let (len, max) = (message.len() as u64, self.end.shape.max_len);
        if len > max {
            return Err(Error::TooLong { len, max });
        }
        self.end.check_open()?;
        if self.lookout.is_due() {
            self.look()?;
        }
        match Descriptor::inline(message) {
            Some(inline) => {
                let word = inline.encode();
                self.publish(Message { key, word, block: None, me }, until)?;
            }
            None => {
                let attachment = self.end.handle.attachment();
                let block = payload::alloc_copy(attachment, &mut self.magazines, message, me)?;
                let word = Descriptor::Block { block, len }.encode();
                let published = self.publish(Message { key, word, block: Some(block), me }, until);
                published.inspect_err(|_| {
                    let pool = &self.end.attachment().pool;
                    pool.control(block).unsend(me);
                    pool.free_now(block, me);
                })?;
            }
        }
        self.sent = self.sent.wrapping_add(1);
        if self.end.shape.words().not_empty.notify_after_rmw(1, Scope::Shared) {
            self.lookout.glance_soon();
        }
        Ok(())
    }

    /// Now and then whether anybody living will take what is sent.
    #[cold]
    fn look(&mut self) -> Result<()> {
        let Self { end, lookout, sent, .. } = self;
        // Others' messages look as if fewer had been taken: then the kernel is asked in vain.
        let taken = || sent.wrapping_sub(end.shape.store.len());
        if lookout.is_alone(&end.handle, taken) { end.alone() } else { Ok(()) }
    }

    /// Who we are; after a fork, nothing that was the parent's is ours.
    #[inline]
    fn ready(&mut self) -> Result<OwnerId> {
        let me = self.end.attachment().me()?;
        if me != self.end.me {
            self.end.me = me;
            self.magazines = Magazines::default();
        }
        Ok(me)
    }

    /// Publishes a message, or waits for room and does.
    fn publish(&mut self, message: Message, until: Until) -> Result<()> {
        let mut spin = self.end.spin.clone();
        let end = &self.end;
        let mut wait = end.wait(&mut spin, until);
        let published = match message.push(end, &mut wait) {
            Ok(true) => Ok(()),
            Ok(false) if until.is_now() => Err(Error::WouldBlock),
            Ok(false) => wait_for_room(end, message, &mut wait),
            Err(error) => Err(would_block(error, until)),
        };
        self.end.spin = spin;
        published
    }
}

/// Tries again whenever a receiver has taken something.
#[cold]
fn wait_for_room(end: &End, message: Message, wait: &mut Wait<'_>) -> Result<()> {
    // Receivers notify after a locked instruction: the sleeper need not fence them.
    let room = &end.shape.words().not_full;
    room.wait_until(wait, FenceMode::Symmetric, |wait| {
        if let Err(error) = end.check_open() {
            return Some(Err(error));
        }
        if end.shape.store.seems_full() {
            return None;
        }
        match message.push(end, wait) {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        }
    })?
}

impl Message {
    /// Publishes it, if there is room.
    #[inline]
    fn push(self, end: &End, wait: &mut Wait<'_>) -> Result<bool> {
        let shape = &end.shape;
        let control = self.block.map(|block| end.attachment().pool.control(block));
        let claim = |position| {
            if let Some(control) = control {
                control.send_at(self.me, shape.store_id, position);
                crash_point!("ordered.send.in_flight");
            }
        };
        let pushed = match &shape.store {
            Store::Lifo(stack) => stack.push(self.word, claim),
            Store::Priority(heap) => {
                let turn = heap.lock(self.me, wait)?;
                turn.push(self.key, self.word, claim)
            }
        };
        match pushed {
            Ok(_) => Ok(true),
            Err(PushError::Full) => Ok(false),
            Err(PushError::Corrupt) => Err(damaged()),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if self.ready().is_ok() {
            let pool = &self.end.attachment().pool;
            pool.flush(&mut self.magazines, &mut Default::default());
        }
    }
}
