//! What can be watched: words of objects, and how a watcher announces itself on each.

use std::sync::Arc;

use slipring_core::primitive::{AtomicU32, FenceMode};
use slipring_core::sync::{Bell, Event, EventCount, Mutex, Semaphore};

use crate::Result;
use crate::member::Attachment;

/// A word that is changed before those who wait are woken.
pub enum Spot<'a> {
    /// Where the sleepers of a ring sleep, and who fences between a publication and the look for them.
    Count(&'a EventCount, FenceMode),
    /// A semaphore's.
    Semaphore(&'a Semaphore),
    /// An event's.
    Event(&'a Event),
    /// A lock's.
    Mutex(&'a Mutex),
    /// The bell of a pipe.
    Pipe(&'a dyn Calm),
}

/// A bell that has to be quieted before it rings anew.
pub trait Calm {
    /// The bell.
    fn bell(&self) -> &Bell;

    /// Announces a watcher, having quieted the bell if it was rung for nothing.
    fn ask(&self) -> u32;

    /// Who fences between a message and the look at the bell.
    fn fences(&self) -> FenceMode;
}

/// What a wait is for: the words to watch, and what they are of.
pub trait Source {
    /// Whose memory they are in.
    fn attachment(&self) -> &Arc<Attachment>;

    /// Gives `each` the words: at least one of them is changed when this may have become ready.
    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()>;

    /// Whether it may be ready, or have been, though a look just found that it is not, and though one of its words
    /// could not be announced because there was nothing to wait for. Then announce, and look, again.
    fn may_have_missed(&self) -> bool {
        true
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn attachment(&self) -> &Arc<Attachment> {
        (**self).attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        (**self).spots(each)
    }

    fn may_have_missed(&self) -> bool {
        (**self).may_have_missed()
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn attachment(&self) -> &Arc<Attachment> {
        (**self).attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        (**self).spots(each)
    }

    fn may_have_missed(&self) -> bool {
        (**self).may_have_missed()
    }
}

impl<'a> Spot<'a> {
    pub(super) fn word(&self) -> &'a AtomicU32 {
        match *self {
            Self::Count(count, _) => count.word(),
            Self::Semaphore(semaphore) => semaphore.word(),
            Self::Event(event) => event.word(),
            Self::Mutex(mutex) => mutex.word(),
            Self::Pipe(pipe) => pipe.bell().word(),
        }
    }

    /// Leaves the mark of a sleeper; what the word holds from now on, until those who wait are woken. `None` where
    /// there was nothing to wait for: no mark was left.
    pub(super) fn announce(&self) -> Option<u32> {
        match *self {
            Self::Count(count, _) => Some(count.watch()),
            Self::Semaphore(semaphore) => semaphore.watch(),
            Self::Event(event) => event.watch(),
            Self::Mutex(mutex) => mutex.watch(),
            Self::Pipe(pipe) => Some(pipe.ask()),
        }
    }

    /// Whether one change is for all who wait, and not for one of them.
    pub(super) fn is_for_all(&self) -> bool {
        matches!(self, Self::Event(_))
    }

    /// Whether those who notify have no fence, so that a watcher has to fence them.
    pub(super) fn needs_fence(&self) -> bool {
        match *self {
            Self::Count(_, mode) => mode == FenceMode::Asymmetric,
            Self::Pipe(pipe) => pipe.fences() == FenceMode::Asymmetric,
            _ => false,
        }
    }
}
