//! How messages get out of an ordered queue, whatever its order.

use slipring_core::block::{Descriptor, Magazines, Returns};
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::heap::Popped;

use super::end::{End, Order, Store, damaged, would_block};
use crate::member::{Handle, Lookout, Wait};
use crate::message::{Note, Taken};
use crate::object::Role;
use crate::wait::Until;
use crate::{Error, Result};

/// The receiving side of a queue.
pub(super) struct Receiving {
    /// Goes before `end`: whoever drops the last handle needs a note line to empty the queue.
    taker: Taker,
    pub(super) end: End,
    lookout: Lookout,
}

/// What one receiving handle needs to take messages safely.
struct Taker {
    note: Note,
    returns: Returns,
}

impl Receiving {
    /// The one that `handle` is, if its queue is of this order.
    pub(super) fn of(handle: Handle, order: Order) -> Result<Self> {
        Self::new(End::of(handle, order, Role::Second)?)
    }

    fn new(end: End) -> Result<Self> {
        let note = Note::new(end.handle.attachment(), end.me)?;
        Ok(Self {
            taker: Taker { note, returns: Returns::default() },
            end,
            lookout: Lookout::default(),
        })
    }

    /// Another one, for another thread.
    pub(super) fn another(&self) -> Result<Self> {
        Self::new(self.end.another()?)
    }

    /// Takes the first message into `buffer`, in place of what was there, and returns its key: 0 in a LIFO queue.
    pub(super) fn recv(&mut self, buffer: &mut Vec<u8>, until: Until) -> Result<u64> {
        buffer.clear();
        let me = self.ready()?;
        let (key, taken) = self.take(me, until)?;
        taken.free_into(self.end.handle.attachment(), me, &mut self.taker.returns, buffer);
        self.end.shape.words().not_full.notify_after_rmw(1, Scope::Shared);
        Ok(key)
    }

    /// Who we are; after a fork, nothing that was the parent's is ours.
    #[inline]
    fn ready(&mut self) -> Result<OwnerId> {
        let me = self.end.attachment().me()?;
        if me != self.end.me {
            self.taker.note.renew(me)?;
            self.taker.returns = Returns::default();
            self.end.me = me;
        }
        Ok(me)
    }

    /// Takes the first message and its key.
    fn take(&mut self, me: OwnerId, until: Until) -> Result<(u64, Taken)> {
        let mut spin = self.end.spin.clone();
        let (end, taker) = (&self.end, &mut self.taker);
        let mut wait = end.wait(&mut spin, until);
        let taken = match taker.try_take(end, me, &mut wait) {
            Ok(Some(taken)) => Ok(taken),
            Ok(None) if until.is_now() => {
                if self.lookout.is_time() {
                    end.attachment().reap();
                }
                let taken = taker.take_or_end(end, me, &mut wait);
                taken.and_then(|taken| taken.ok_or(Error::WouldBlock))
            }
            Ok(None) => taker.wait_for_one(end, me, &mut wait),
            Err(error) => Err(error),
        };
        self.end.spin = spin;
        taken.map_err(|error| would_block(error, until))
    }
}

impl Taker {
    /// Tries again whenever a sender has sent something.
    #[cold]
    fn wait_for_one(
        &mut self,
        end: &End,
        me: OwnerId,
        wait: &mut Wait<'_>,
    ) -> Result<(u64, Taken)> {
        // Senders notify after a locked instruction: the sleeper need not fence them.
        let news = &end.shape.words().not_empty;
        news.wait_until(wait, FenceMode::Symmetric, |wait| {
            self.take_or_end(end, me, wait).transpose()
        })?
    }

    /// A message, nothing yet, or the reason why there will be none.
    fn take_or_end(
        &mut self,
        end: &End,
        me: OwnerId,
        wait: &mut Wait<'_>,
    ) -> Result<Option<(u64, Taken)>> {
        let open = end.check_open();
        // Only now: what was sent before the last sender went is there to be taken.
        let found =
            if end.shape.store.seems_empty() { None } else { self.try_take(end, me, wait)? };
        match found {
            Some(taken) => Ok(Some(taken)),
            None => open.map(|()| None),
        }
    }

    /// Takes the first message, if there is one.
    fn try_take(
        &mut self,
        end: &End,
        me: OwnerId,
        wait: &mut Wait<'_>,
    ) -> Result<Option<(u64, Taken)>> {
        let (shape, attachment) = (&end.shape, end.attachment());
        let note = &*self.note;
        let mut noted = None;
        let take_note = |at, word| {
            let named = Descriptor::block_of(word).and_then(|b| attachment.pool.check(b, 0));
            if let Some(block) = named {
                let position = shape.position(attachment, at, block);
                note.write(shape.store_id, position, word);
                noted = Some(position);
                crash_point!("ordered.recv.noted");
            }
        };
        let popped = match &shape.store {
            Store::Lifo(stack) => stack.pop(take_note).map(|popped| {
                popped.map(|(position, descriptor)| Popped { position, descriptor, key: 0 })
            }),
            Store::Priority(heap) => {
                let turn = heap.lock(me, wait)?;
                turn.pop(take_note)
            }
        };
        let taken = popped.map(|popped| {
            popped.map(|Popped { position, descriptor, key }| {
                let position = noted.unwrap_or(position);
                let taken = Taken::settle(attachment, me, shape.store_id, position, descriptor);
                crash_point!("ordered.recv.settled");
                taken.map(|taken| (key, taken))
            })
        });
        if noted.is_some() {
            note.erase();
            crash_point!("ordered.recv.erased");
        }
        taken.map_err(|_| damaged())?.transpose()
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        let Ok(me) = self.end.attachment().me() else { return };
        if me == self.end.me {
            let pool = &self.end.attachment().pool;
            pool.flush(&mut Magazines::default(), &mut self.taker.returns);
        }
    }
}
