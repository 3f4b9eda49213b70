//! Everything that this process watches: one ear for all its segments, and in each the lines of those who wait.
//!
//! There is no thread here. Whoever waits lends a hand: a driver of an event loop, or a thread in
//! [`wait_any`](super::wait_any), sleeps until the ear is readable, reads it empty, compares all watched words of the
//! segments that rang, and wakes those who have to look, be they its own or not.
//!
//! # Invariants
//!
//! * H1. The bit of this process in a segment's header is set before the first mark in a word of that segment, with a
//!   full fence between, and cleared when the last line there is gone. So who finds a mark finds the bit, and rings.
//! * H2. The ear is read empty before the words are compared, under the hub's lock: a ring that comes later is another
//!   event and wakes again; one that came before is about a word that was changed before.
//! * H3. A segment stays mapped while it has lines. Forgetting a future leaks it and breaks nothing.
//! * H4. Wakers are cloned, called and dropped, and attachments dropped, when the hub's lock is open: all that may come back
//!   here, hang or panic. Under it there are shared pointers to wakers, of which none is the last: it goes out through
//!   `Later`.
//! * H5. In a forked child there is nobody in any line. What a copied [`Place`] says is of another generation.
//!
//! # Crash points
//!
//! Killed with its bit set: who rings does so in vain, until the death procedure clears the bit.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use slipring_core::owner::OwnerId;
use slipring_core::primitive::fence_full;

use super::line::{Line, Wakers};
use super::spot::{Source, Spot};
use crate::member::Attachment;
use crate::object::Hooks;
use crate::sys::inotify::{Ears, WatchId};
use crate::sys::membarrier;
use crate::wait::PrivateLock;
use crate::{Error, Result};

/// Under the lock: lists, announcements in shared words, system calls on the ear that do not wait. No foreign code (H4).
pub(super) static HUB: PrivateLock<Hub> = PrivateLock::new(Hub::new());

/// What this process watches.
pub(super) struct Hub {
    /// Which process in a line of forks this is.
    generation: u64,
    /// Made when somebody waits for the first time, and kept: closing one takes the kernel milliseconds.
    ears: Option<Arc<Ears>>,
    /// Other descriptors of the same instance, which event loops have.
    copies: Vec<Arc<OwnedFd>>,
    segments: Vec<Watched>,
    next_ticket: u64,
    #[cfg(feature = "tokio")]
    pub(super) drivers: super::drivers::Drivers,
}

/// A segment that somebody waits for something in, or did.
struct Watched {
    /// The attachment's address, for comparing only.
    id: usize,
    watch: WatchId,
    /// Under which id our bit is set, and what keeps the mapping: while there are lines.
    watching: Option<(OwnerId, Arc<Attachment>)>,
    /// By the addresses of their words.
    lines: BTreeMap<usize, Line>,
}

/// What is done when the hub's lock is open: when this is dropped. Make it before the lock is taken.
#[derive(Default)]
struct Later {
    /// To be called, in this order.
    wakers: Wakers,
    /// To be dropped.
    left: Wakers,
    gone: Vec<Arc<Attachment>>,
}

impl Drop for Later {
    fn drop(&mut self) {
        for waker in std::mem::take(&mut self.wakers) {
            // One that panics is another's: that keeps no other from being called, nor the driver from going on. The panic
            // hook has told of it.
            let _ = catch_unwind(AssertUnwindSafe(move || waker.wake_by_ref()));
        }
    }
}

/// One waiter's place in the lines of what it waits for. Dropping it leaves them.
#[derive(Debug, Default)]
pub(crate) struct Place {
    generation: u64,
    ticket: u64,
    /// It only wants to know, and takes nothing.
    onlooker: bool,
    /// Segment and word of each line.
    lines: Vec<(usize, usize)>,
    /// What [`Place::stand`] returned.
    unsure: Vec<usize>,
    /// What the lines call, cloned when the hub's lock was open.
    waker: Option<Arc<Waker>>,
}

impl Place {
    /// In no line.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// In no line, and an onlooker in those that it will be in.
    pub(super) fn onlooker() -> Self {
        let mut place = Self::default();
        place.onlooker = true;
        place
    }

    /// Takes a place in the lines of all `sources`, or keeps it, and announces this process there. Look at the condition
    /// after this; if it is not fulfilled, `waker` is called when it is time to look again.
    ///
    /// Returns the indices of the sources of which some line was not announced, because there was nothing to wait for.
    /// If the look finds nothing all the same, and one of those may have missed something, come again.
    ///
    /// # Errors
    ///
    /// [`Error::CannotWatch`], [`Error::Forked`].
    pub(crate) fn stand<'a>(
        &mut self,
        sources: impl IntoIterator<Item = &'a dyn Source>,
        waker: &Waker,
    ) -> Result<&[usize]> {
        let (mut fence, mut later) = (false, Later::default());
        let waker = self.share(waker, &mut later);
        self.unsure.clear();
        {
            let mut hub = HUB.lock();
            self.enrol(&mut hub);
            for (index, source) in sources.into_iter().enumerate() {
                let (attachment, mut sure) = (source.attachment(), true);
                source.spots(&mut |spot| {
                    fence |= spot.needs_fence();
                    sure &= self.stand_in(&mut hub, attachment, &spot, &waker, &mut later)?;
                    Ok(())
                })?;
                if !sure {
                    self.unsure.push(index);
                }
            }
        }
        if fence {
            // The watcher's half of the fence, where notifiers have none.
            let _ = membarrier::fence_registered();
        }
        Ok(&self.unsure)
    }

    /// A waker for the lines: the one that they have, if it does the same.
    fn share(&mut self, waker: &Waker, later: &mut Later) -> Arc<Waker> {
        match &self.waker {
            Some(shared) if shared.will_wake(waker) => shared.clone(),
            _ => {
                let shared = Arc::new(waker.clone());
                later.left.extend(self.waker.replace(shared.clone()));
                shared
            }
        }
    }

    /// A ticket, in this process.
    fn enrol(&mut self, hub: &mut Hub) {
        if self.ticket == 0 || self.generation != hub.generation {
            self.lines.clear();
            (self.generation, self.ticket) = (hub.generation, hub.number());
        }
    }

    fn stand_in(
        &mut self,
        hub: &mut Hub,
        attachment: &Arc<Attachment>,
        spot: &Spot<'_>,
        waker: &Arc<Waker>,
        later: &mut Later,
    ) -> Result<bool> {
        let (segment, word) = (id_of(attachment), std::ptr::from_ref(spot.word()).addr());
        let watched = hub.watched(attachment)?;
        watched.begin(attachment)?;
        let line = watched.lines.entry(word).or_insert_with(|| Line::new(spot));
        let announced = line.stand(spot, self.ticket, waker, self.onlooker, &mut later.left);
        if !self.lines.contains(&(segment, word)) {
            self.lines.push((segment, word));
        }
        Ok(announced)
    }

    /// Has others look, who wait for the same: this one has found something ready, and takes nothing.
    pub(crate) fn pass_on(&mut self) {
        let mut later = Later::default();
        let mut hub = HUB.lock();
        if hub.generation == self.generation {
            for (segment, word) in &self.lines {
                if let Some(line) = hub.line(*segment, *word) {
                    line.pass_on(self.ticket, &mut later.wakers);
                }
            }
        }
    }

    /// Leaves all lines.
    pub(crate) fn leave(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let mut later = Later::default();
        let mut hub = HUB.lock();
        if hub.generation == self.generation {
            for (segment, word) in &self.lines {
                hub.leave(*segment, *word, self.ticket, &mut later);
            }
        }
        drop(hub);
        self.lines.clear();
        later.left.extend(self.waker.take());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Hub {
    const fn new() -> Self {
        Self {
            generation: 0,
            ears: None,
            copies: Vec::new(),
            segments: Vec::new(),
            next_ticket: 0,
            #[cfg(feature = "tokio")]
            drivers: super::drivers::Drivers::new(),
        }
    }

    /// Another number than ever before in this process.
    pub(super) fn number(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    #[cfg(feature = "tokio")]
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether nobody waits for anything who counts on a driver.
    #[cfg(feature = "tokio")]
    pub(super) fn is_idle(&self) -> bool {
        let mut lines = self.segments.iter().flat_map(|watched| watched.lines.values());
        !lines.any(Line::has_takers)
    }

    fn ears(&mut self) -> Result<&Arc<Ears>> {
        if self.ears.is_none() {
            self.ears = Some(Arc::new(Ears::new().map_err(cannot_watch)?));
        }
        self.ears.as_ref().ok_or(Error::Forked)
    }

    fn watched(&mut self, attachment: &Arc<Attachment>) -> Result<&mut Watched> {
        let id = id_of(attachment);
        let index = match self.segments.iter().position(|watched| watched.id == id) {
            Some(index) => index,
            None => {
                let watch = self.ears()?.watch(attachment.fd()?).map_err(cannot_watch)?;
                let lines = BTreeMap::new();
                self.segments.push(Watched { id, watch, watching: None, lines });
                self.segments.len() - 1
            }
        };
        Ok(&mut self.segments[index])
    }

    fn line(&mut self, segment: usize, word: usize) -> Option<&mut Line> {
        let watched = self.segments.iter_mut().find(|watched| watched.id == segment)?;
        watched.lines.get_mut(&word)
    }

    fn leave(&mut self, segment: usize, word: usize, ticket: u64, later: &mut Later) {
        let Some(watched) = self.segments.iter_mut().find(|watched| watched.id == segment) else {
            return;
        };
        let Some(line) = watched.lines.get_mut(&word) else { return };
        line.leave(ticket, &mut later.wakers, &mut later.left);
        if line.is_empty() {
            watched.lines.remove(&word);
            watched.end_if_idle(later);
        }
    }

    /// Reads the ear empty and compares the words of the segments that rang (H2).
    fn listen(&mut self, wakers: &mut Wakers) {
        let Some(ears) = self.ears.clone() else { return };
        let (mut rang, mut all) = (Vec::new(), false);
        let drained = ears.drain(|watch| match watch {
            Some(watch) if rang.contains(&watch) => {}
            Some(watch) => rang.push(watch),
            None => all = true,
        });
        all |= drained.is_err();
        for watched in &mut self.segments {
            if all || rang.contains(&watched.watch) {
                watched.lines.values_mut().for_each(|line| line.look(wakers));
            }
        }
    }
}

impl Watched {
    /// Sets our bit before the first mark (H1).
    fn begin(&mut self, attachment: &Arc<Attachment>) -> Result<()> {
        let me = attachment.me()?;
        if self.watching.is_none() {
            attachment.mapping.header().watchers.add(me);
            crash_point!("watch.hub.bit_set");
            fence_full();
            self.watching = Some((me, attachment.clone()));
        }
        Ok(())
    }

    /// Clears our bit when there is no line any more.
    fn end_if_idle(&mut self, later: &mut Later) {
        if !self.lines.is_empty() {
            return;
        }
        if let Some((me, attachment)) = self.watching.take() {
            attachment.mapping.header().watchers.remove(me);
            crash_point!("watch.hub.bit_cleared");
            later.gone.push(attachment);
        }
    }
}

/// Hears what there is to hear, and wakes whoever has to look.
pub(crate) fn listen() {
    let mut later = Later::default();
    HUB.lock().listen(&mut later.wakers);
}

/// Looks who is dead, and has somebody of each line look, whether anybody rang or not.
#[cfg(feature = "tokio")]
pub(crate) fn tick() {
    let watching = |watched: &Watched| Some(watched.watching.as_ref()?.1.clone());
    let attachments: Vec<_> = HUB.lock().segments.iter().filter_map(watching).collect();
    attachments.iter().for_each(|attachment| attachment.reap());
    let mut later = Later::default();
    let mut hub = HUB.lock();
    hub.listen(&mut later.wakers);
    let lines = hub.segments.iter_mut().flat_map(|watched| watched.lines.values_mut());
    lines.for_each(|line| line.look_anyway(&mut later.wakers));
}

/// Compares all words, whether anybody rang or not: for a thread whose slice is over. It looks at its own objects itself.
pub(super) fn look() {
    let mut later = Later::default();
    let mut hub = HUB.lock();
    let lines = hub.segments.iter_mut().flat_map(|watched| watched.lines.values_mut());
    lines.for_each(|line| line.look(&mut later.wakers));
}

/// The descriptor that is readable when somebody rang.
pub(super) fn ears() -> Result<Arc<Ears>> {
    HUB.lock().ears().cloned()
}

/// Another descriptor of the same, for an event loop: two of one loop must differ in number.
#[cfg(feature = "tokio")]
pub(crate) fn copy_of_ears() -> Result<Arc<OwnedFd>> {
    let mut hub = HUB.lock();
    let copy = Arc::new(hub.ears()?.duplicate().map_err(Error::io("copy a descriptor"))?);
    hub.copies.retain(|copy| Arc::strong_count(copy) > 1);
    hub.copies.push(copy.clone());
    Ok(copy)
}

/// The attachment at this address ends: nobody waits for anything in it, for a waiter keeps it.
fn forget(id: usize) {
    let mut hub = HUB.lock();
    let Some(index) = hub.segments.iter().position(|watched| watched.id == id) else { return };
    let watch = hub.segments.swap_remove(index).watch;
    // Two attachments of one segment have one watch.
    if let Some(ears) = &hub.ears
        && hub.segments.iter().all(|watched| watched.watch != watch)
    {
        ears.unwatch(watch);
    }
}

fn id_of(attachment: &Arc<Attachment>) -> usize {
    Arc::as_ptr(attachment).addr()
}

#[cold]
fn cannot_watch(source: std::io::Error) -> Error {
    Error::CannotWatch { source }
}

/// What the hub does at a fork, and when an attachment ends.
pub(crate) struct HubHooks;

impl Hooks for HubHooks {
    fn prepare_fork(&self) {
        HUB.lock_for_fork();
    }

    fn after_fork_in_parent(&self) {
        HUB.unlock_after_fork();
    }

    fn after_fork_in_child(&self) {
        unlock_in_child();
    }

    fn forget(&self, attachment: usize) {
        forget(attachment);
    }
}

/// Gives the hub's lock back in the child, where nobody waits for anything (H5). The ear is the parent's: what is read from it
/// would be missing there.
fn unlock_in_child() {
    // SAFETY: locked for the fork by the thread that this one is a copy of.
    let old = unsafe {
        HUB.with_held(|hub| {
            let fresh = Hub { generation: hub.generation + 1, ..Hub::new() };
            std::mem::replace(hub, fresh)
        })
    };
    HUB.unlock_after_fork();
    let Hub { ears, copies, segments, .. } = old;
    for watched in segments {
        // They belong to the parent's event loops and threads: here they mean nothing, not even to their own drop.
        let wakers = watched.lines.into_values().flat_map(Line::into_wakers);
        wakers.for_each(std::mem::forget);
    }
    // The loops' copies are never dropped here: their numbers are made to mean something harmless.
    if let Some(ears) = &ears
        && let Ok(harmless) = crate::sys::wakeup::Flag::new()
    {
        let numbers = copies.iter().map(|copy| copy.as_fd()).chain([ears.as_fd()]);
        numbers.for_each(|number| {
            // Where it fails the parent's instance lives on until this process ends; nothing is read from it.
            let _ = crate::sys::file::replace(number, harmless.as_fd());
        });
    }
    copies.into_iter().for_each(std::mem::forget);
}
