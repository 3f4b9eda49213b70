//! How messages get into a queue: into the ring at hand, on to the next one, into a larger one, or when there is room.

use slipring_core::block::{Descriptor, Magazines};
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::chain::Bound;
use slipring_core::ring::mpmc::PushError;

use super::end::{Cursor, End};
use crate::member::{Lookout, Wait};
use crate::message::payload;
use crate::sys::clock;
use crate::wait::Until;
use crate::{Error, Result};

/// The sending side of a queue.
pub(super) struct Sending {
    pub(super) end: End,
    pub(super) magazines: Magazines,
    /// Whether short messages travel without a block.
    inline: bool,
    /// Where the last message went that was sent with this handle.
    last: Option<Sent>,
    lookout: Lookout,
}

/// Where in the chain of rings a message went.
#[derive(Clone, Copy)]
struct Sent {
    level: usize,
    position: u64,
}

impl Sending {
    pub(super) fn new(end: End, inline: bool) -> Self {
        let (magazines, lookout) = (Magazines::default(), Lookout::default());
        Self { end, magazines, inline, last: None, lookout }
    }

    /// Another one, for another thread.
    pub(super) fn another(&self) -> Result<Self> {
        Ok(Self::new(self.end.another()?, self.inline))
    }

    /// Whether all that was sent with this handle has been taken.
    pub(super) fn is_taken(&self) -> bool {
        // What one handle sends is taken in that order: the last one stands for all.
        self.last.is_none_or(|last| !self.end.holds(last.level, last.position))
    }

    /// Who we are; after a fork, nothing that was the parent's is ours.
    #[inline]
    pub(super) fn ready(&mut self) -> Result<OwnerId> {
        let me = self.end.handle.attachment().me()?;
        if me != self.end.me {
            self.end.me = me;
            self.magazines = Magazines::default();
            self.last = None;
        }
        Ok(me)
    }

    /// Before a message: whether it is time to [`Sending::look`].
    #[inline]
    pub(super) fn is_look_due(&mut self) -> bool {
        self.lookout.is_due()
    }

    /// Whether anybody living will take what is sent.
    #[cold]
    #[inline(never)]
    pub(super) fn look(&mut self) -> Result<()> {
        let Self { end, lookout, .. } = self;
        if lookout.is_alone(&end.handle, || end.taken()) { end.alone() } else { Ok(()) }
    }

    /// Between two messages of a batch, of which so many were not announced: whether they need not be any more. The next one
    /// may be long in coming. Where it comes `at_once`, as all did since the clock stood at `tick`, they are announced with
    /// the rest.
    #[inline]
    pub(super) fn announce_meanwhile(
        &mut self,
        unannounced: usize,
        at_once: bool,
        tick: &mut u64,
    ) -> bool {
        if unannounced > 0 && self.end.chain().not_empty.is_owed_after_rmw() {
            let before = std::mem::replace(tick, clock::coarse());
            if at_once && before == *tick {
                return false;
            }
            self.announce(unannounced);
        }
        true
    }

    #[inline]
    pub(super) fn announce(&mut self, sent: usize) {
        if sent > 0 {
            let sent = u32::try_from(sent).unwrap_or(u32::MAX);
            if self.end.chain().not_empty.notify_after_rmw(sent, Scope::Shared) {
                self.lookout.glance_soon();
            }
        }
    }

    pub(super) fn check_len(&self, len: usize) -> Result<()> {
        let (len, max) = (len as u64, self.end.max_len);
        if len > max { Err(Error::TooLong { len, max }) } else { Ok(()) }
    }

    /// Publishes a copy of `message`.
    #[inline]
    pub(super) fn put(
        &mut self,
        message: &[u8],
        marked: bool,
        me: OwnerId,
        until: Until,
    ) -> Result<()> {
        self.check_len(message.len())?;
        if self.inline
            && let Some(inline) = Descriptor::inline(message)
        {
            return self.publish(word_of(inline, marked), me, until);
        }
        let attachment = self.end.handle.attachment();
        let block = payload::alloc_copy(attachment, &mut self.magazines, message, me)?;
        let len = message.len() as u64;
        let word = word_of(Descriptor::Block { block, len }, marked);
        self.publish(word, me, until).inspect_err(|_| {
            self.end.handle.attachment().pool.free_now(block, me);
        })
    }

    /// Publishes a descriptor. Where that fails its block is ours again.
    ///
    /// It comes as a word, in a register. As an enum it would come through memory, stored in pieces and loaded as one:
    /// such a load waits until all stores before it have reached the cache, the message's copy with its misses among
    /// them, and the ring's line is not asked for meanwhile (25 ns a message).
    #[inline]
    pub(super) fn publish(&mut self, word: u64, me: OwnerId, until: Until) -> Result<()> {
        self.end.check_open()?;
        let message = Message { word, me };
        let position = match message.push(&self.end, &self.end.cursor) {
            Ok(position) => position,
            Err(error) => self.publish_slow(message, error, until)?,
        };
        self.last = Some(Sent { level: self.end.cursor.level, position });
        Ok(())
    }

    #[cold]
    fn publish_slow(&mut self, message: Message, error: PushError, until: Until) -> Result<u64> {
        let published = self.keep_pushing(message, error, until);
        if published.is_err()
            && let Some(block) = Descriptor::block_of(message.word)
        {
            self.end.handle.attachment().pool.control(block).unsend(message.me);
        }
        published
    }

    /// Moves on to where there is room, makes some or waits for some.
    fn keep_pushing(&mut self, message: Message, error: PushError, until: Until) -> Result<u64> {
        let mut last = Err(error);
        loop {
            last = match last {
                Ok(position) => return Ok(position),
                Err(PushError::Corrupt) => {
                    return Err(Error::Corrupt { what: "a queue's ring is damaged" });
                }
                Err(PushError::Closed) => {
                    self.advance()?;
                    message.push(&self.end, &self.end.cursor)
                }
                Err(PushError::Full) => match self.end.bound {
                    Bound::Unbounded(first) => {
                        self.end.grow(first, until)?;
                        message.push(&self.end, &self.end.cursor)
                    }
                    Bound::Bounded(_) if until.is_now() => return Err(Error::WouldBlock),
                    Bound::Bounded(_) => self.wait_for_room(message, until)?,
                },
            }
        }
    }

    fn advance(&mut self) -> Result<()> {
        let attachment = self.end.handle.attachment().clone();
        let mut cursor = Cursor { ..self.end.cursor };
        cursor.advance(&attachment, self.end.chain())?;
        self.end.chain().advance_tail(cursor.level);
        self.end.cursor = cursor;
        Ok(())
    }

    /// Tries again whenever a receiver has taken something.
    fn wait_for_room(
        &mut self,
        message: Message,
        until: Until,
    ) -> Result<std::result::Result<u64, PushError>> {
        let mut spin = self.end.spin.clone();
        let end = &self.end;
        let mut wait = Wait::new(end.handle.attachment(), Some(&mut spin), until.deadline());
        // Receivers notify after a locked instruction: the sleeper need not fence them.
        let room = &end.chain().not_full;
        let pushed = room.wait_until(&mut wait, FenceMode::Symmetric, |_| {
            if let Err(error) = end.check_open() {
                return Some(Err(error));
            }
            match message.push(end, &end.cursor) {
                Err(PushError::Full) => None,
                pushed => Some(Ok(pushed)),
            }
        });
        self.end.spin = spin;
        pushed?
    }
}

/// What is being published.
#[derive(Clone, Copy)]
struct Message {
    word: u64,
    me: OwnerId,
}

impl Message {
    #[inline]
    fn push(self, end: &End, cursor: &Cursor) -> std::result::Result<u64, PushError> {
        let block = Descriptor::block_of(self.word);
        let control = block.map(|block| end.handle.attachment().pool.control(block));
        cursor.ring.push(self.word, |position| {
            if let Some(control) = control {
                control.send_at(self.me, cursor.ring_id, position);
                crash_point!("queue.send.in_flight");
            }
        })
    }
}

/// What goes through the ring.
#[inline(always)]
pub(super) fn word_of(descriptor: Descriptor, marked: bool) -> u64 {
    let word = descriptor.encode();
    if marked { Descriptor::mark(word) } else { word }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if self.ready().is_ok() {
            let pool = &self.end.handle.attachment().pool;
            pool.flush(&mut self.magazines, &mut Default::default());
        }
    }
}
