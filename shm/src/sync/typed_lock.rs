//! A lock and the type of what it protects: what mutexes, values and arrays begin with, and how their lock is held.
//!
//! # Memory
//!
//! ```text
//! byte 0   | lock [u32] | alignment of an item [u32] | size of an item [u64] |
//! ```
//!
//! # Invariants
//!
//! * T1. All but the lock is written once, before the object is known. A handle reads it once and goes by its own copy
//!   from then on.
//! * T2. A [`Hold`] of a process that is not the one that took the lock, a forked child's copy, accesses nothing and gives
//!   nothing back.

use std::alloc::Layout;

use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, AtomicU64, Ordering};
use slipring_core::sync::{Acquired, Mutex};

use super::words::Words;
use crate::wait::Until;
use crate::{Error, Result};

/// Items can be aligned to this.
const MAX_ALIGN: usize = 64;

/// A lock, and of what type the items behind it are.
#[repr(C)]
pub(crate) struct TypedLock {
    lock: Mutex,
    align: AtomicU32,
    size: AtomicU64,
}

const _: () = assert!(size_of::<TypedLock>() == 16);

impl TypedLock {
    /// A lock that nobody holds, for items like this one.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`] for an alignment that no object can give.
    pub(crate) fn new(item: Layout) -> Result<Self> {
        if item.align() > MAX_ALIGN {
            let (wanted, max) = (item.align() as u64, MAX_ALIGN as u64);
            return Err(Error::Capacity { what: "an alignment", wanted, min: 1, max });
        }
        Ok(Self {
            lock: Mutex::new(),
            align: AtomicU32::new(item.align() as u32),
            size: AtomicU64::new(item.size() as u64),
        })
    }

    /// The lock itself.
    #[inline]
    pub(crate) fn lock(&self) -> &Mutex {
        &self.lock
    }

    /// What is said of an item (T1).
    pub(crate) fn item(&self) -> Item {
        // ORDERING: Relaxed, both; written before the object was known.
        let (align, size) = (self.align.load(Ordering::Relaxed), self.size.load(Ordering::Relaxed));
        Item { align, size }
    }
}

/// What an object says of its items: unchecked, a peer may have written anything.
#[derive(Clone, Copy)]
pub(crate) struct Item {
    align: u32,
    pub(crate) size: u64,
}

impl Item {
    /// Whether they are of the type that we take them for.
    pub(crate) fn check(self, ours: Layout) -> Result<()> {
        let (size, align) = (ours.size() as u64, ours.align() as u64);
        if size != self.size {
            return Err(mismatch("size", size, self.size));
        }
        if align != u64::from(self.align) {
            return Err(mismatch("alignment", align, self.align.into()));
        }
        Ok(())
    }

    /// Their type, if there can be such a one.
    pub(crate) fn layout(self) -> Option<Layout> {
        let layout = Layout::from_size_align(self.size as usize, self.align as usize).ok()?;
        (layout.align() <= MAX_ALIGN).then_some(layout)
    }
}

fn mismatch(what: &'static str, ours: u64, theirs: u64) -> Error {
    Error::TypeMismatch { what, ours, theirs }
}

/// A handle of an object that has a lock.
pub(crate) trait Locking: Sized {
    /// The words of the object.
    type Body;

    /// The handle's words.
    fn words(&self) -> &Words<Self::Body>;

    /// Where the lock is in them.
    fn lock_in(body: &Self::Body) -> &Mutex;

    /// The lock.
    #[inline]
    fn core(&self) -> &Mutex {
        Self::lock_in(self.words().get())
    }

    /// Takes the lock. A deadline is looked at where somebody else has it.
    #[inline]
    fn hold(&self, until: impl Into<Until>) -> Result<(Acquired, Hold<'_, Self>)> {
        let me = self.words().me()?;
        let how = if self.core().try_lock_fast(me) {
            crash_point!("sync.lock.held");
            Acquired::Clean
        } else {
            hold_slow(self, me, until.into())?
        };
        Ok((how, Hold { of: self, me }))
    }

    /// The lock, of which this process is the holder and whose guard was forgotten.
    ///
    /// # Safety
    ///
    /// The guard was forgotten, and this takes its place: no two guards of one locking live at a time.
    unsafe fn assume_held(&self) -> Result<Hold<'_, Self>> {
        let me = self.words().me()?;
        let is_mine = self.core().owner() == Some(me);
        if is_mine { Ok(Hold { of: self, me }) } else { Err(Error::NotHeld) }
    }

    /// Whether somebody holds the lock. A glance.
    fn is_held(&self) -> bool {
        self.core().owner().is_some()
    }
}

#[cold]
fn hold_slow<L: Locking>(of: &L, me: OwnerId, until: Until) -> Result<Acquired> {
    if until.is_now() {
        let attachment = of.words().handle().attachment();
        let taken = of.core().try_lock(me, |owner| attachment.is_dead(owner));
        return taken.ok_or(Error::WouldBlock);
    }
    of.words().wait(until, |wait| of.core().lock(me, wait)).map_err(Error::from)
}

/// The lock, while this lives.
pub(crate) struct Hold<'a, L: Locking> {
    of: &'a L,
    /// Who took it: in a forked child somebody else.
    me: OwnerId,
}

impl<'a, L: Locking> Hold<'a, L> {
    /// What has the lock, of which we are sure to be the holder (T2).
    ///
    /// # Panics
    ///
    /// In a forked child, on a copy.
    #[inline]
    pub(crate) fn of(&self) -> &'a L {
        assert!(self.is_ours(), "this guard was copied by a fork: the lock is the parent's");
        self.of
    }

    /// The same, and who we are.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`] in a forked child, on a copy.
    pub(crate) fn of_holder(&self) -> Result<(&'a L, OwnerId)> {
        if self.is_ours() { Ok((self.of, self.me)) } else { Err(Error::Forked) }
    }

    /// Whether this process took it.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.of.words().me().is_ok_and(|me| me == self.me)
    }
}

impl<L: Locking> Drop for Hold<'_, L> {
    #[inline]
    fn drop(&mut self) {
        // A copied guard must not even give back a lock that the child has taken for itself since.
        if self.is_ours() {
            self.of.core().unlock(self.me, Scope::Shared);
        }
    }
}
