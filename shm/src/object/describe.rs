//! What the death procedure, the end of objects and observers ask of an object, whatever its kind is.
//!
//! Each kind has one implementation of [`ObjectKind`], in the folder of that kind, and one row in the table of kinds
//! ([`crate::open::KINDS`]). No method has a default: a new kind has to answer each question, and a kind for which an
//! answer is "nothing" says so with [`nothing!`].

use slipring_core::block::BlockRef;
use slipring_core::directory::Place;
use slipring_core::owner::OwnerId;

use super::about::About;
use super::header::Role;
use super::kind::Kind;
use crate::memory::{BASE_LAYOUT, Regions, fold};

/// A kind of object. Places come from the directory, where a peer gone mad may have written anything: each method checks
/// what it is given, and does nothing where it makes no sense.
pub(crate) trait ObjectKind: Sync {
    /// Sizes of the shared structs that only this kind has, for the layout fingerprint.
    fn layout(&self) -> &'static [u64];

    /// Whether it has a header and handles. A queue's ring has none: the queue has it.
    fn has_handles(&self) -> bool;

    /// What in it can hold blocks or leases; `None` where nothing can.
    fn survey(&self, regions: &Regions, place: Place) -> Option<Box<dyn Found>>;

    /// Frees what `dead` had locked in it, and breaks what `dead` was a party of.
    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId);

    /// The last handle that `me` had of a side is going.
    fn side_left(&self, regions: &Regions, place: Place, role: Role, me: OwnerId);

    /// No participant has a handle of a side any more: notes that for the other side, which is woken afterwards.
    fn side_emptied(&self, regions: &Regions, place: Place, role: Role);

    /// Wakes all who sleep on it: they look at their condition again.
    fn wake(&self, regions: &Regions, place: Place);

    /// Frees what is in it, as `me`: nobody has a handle. Under the recovery lock.
    fn drain(&self, regions: &Regions, place: Place, me: OwnerId);

    /// Gives back what its maker took for it: the maker died before anybody else knew it. Under the recovery lock.
    fn unmake(&self, regions: &Regions, place: Place);

    /// What observers are told. `ids` are the participants.
    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About;
}

/// What the death procedure found in one object: its rings, stores or tables, each with a number that is unique in the
/// segment.
pub(crate) trait Found {
    /// The numbers.
    fn numbers(&self) -> Vec<u32>;

    /// Whether `block` is in flight at `position` of the ring with this number.
    fn holds(&self, number: u32, position: u64, block: BlockRef) -> bool;

    /// Whether a worker's claim names `block`, which was at `position` of the ring with this number.
    fn is_claimed(&self, number: u32, position: u64, block: BlockRef) -> bool;

    /// Gives back what the dead had leased. `noted` says whether a living participant's note names a position. Returns
    /// how many leases cannot be decided because of such a note.
    fn give_back_leases(
        &self,
        regions: &Regions,
        is_dead: &dyn Fn(OwnerId) -> bool,
        noted: &dyn Fn(u32, u64) -> bool,
    ) -> u64;
}

/// Writes the methods of [`ObjectKind`] that do nothing for a kind: those that are listed, and no others.
macro_rules! nothing {
    ($($method:ident)*) => { $(crate::object::nothing!(@ $method);)* };
    (@ layout) => {
        fn layout(&self) -> &'static [u64] {
            &[]
        }
    };
    (@ survey) => {
        fn survey(&self, _: &Regions, _: Place) -> Option<Box<dyn crate::object::Found>> {
            None
        }
    };
    (@ free_locks) => {
        fn free_locks(&self, _: &Regions, _: Place, _dead: OwnerId) {}
    };
    (@ side_left) => {
        fn side_left(&self, _: &Regions, _: Place, _: crate::object::Role, _me: OwnerId) {}
    };
    (@ side_emptied) => {
        fn side_emptied(&self, _: &Regions, _: Place, _: crate::object::Role) {}
    };
    (@ wake) => {
        fn wake(&self, _: &Regions, _: Place) {}
    };
    (@ drain) => {
        fn drain(&self, _: &Regions, _: Place, _me: OwnerId) {}
    };
    (@ unmake) => {
        fn unmake(&self, _: &Regions, _: Place) {}
    };
    (@ about) => {
        fn about(&self, _: &Regions, _: Place, _ids: &[OwnerId]) -> About {
            About::default()
        }
    };
}
pub(crate) use nothing;

/// Writes the methods of [`Found`] for what is never leased.
macro_rules! never_leased {
    () => {
        fn is_claimed(&self, _number: u32, _position: u64, _block: BlockRef) -> bool {
            false
        }

        fn give_back_leases(
            &self,
            _: &Regions,
            _is_dead: &dyn Fn(OwnerId) -> bool,
            _noted: &dyn Fn(u32, u64) -> bool,
        ) -> u64 {
            0
        }
    };
}
pub(crate) use never_leased;

/// What the process does at a fork and at an attachment's end, besides what the attachment itself does: the part of the
/// layers above that watch.
pub(crate) trait Hooks: Sync {
    /// Before a fork: locks what the child must find in order.
    fn prepare_fork(&self);
    /// After it, in the parent.
    fn after_fork_in_parent(&self);
    /// After it, in the child.
    fn after_fork_in_child(&self);
    /// The attachment at this address ends.
    fn forget(&self, attachment: usize);
}

/// What the layers above have to say to those below: the table of kinds, and the hooks. It is handed down from
/// [`crate::open`] when a process enters a segment.
#[derive(Clone, Copy)]
pub(crate) struct Kinds {
    of: fn(Kind) -> &'static dyn ObjectKind,
    hooks: &'static dyn Hooks,
}

impl Kinds {
    pub(crate) const fn new(
        of: fn(Kind) -> &'static dyn ObjectKind,
        hooks: &'static dyn Hooks,
    ) -> Self {
        Self { of, hooks }
    }

    /// What describes the object at `place`; `None` for no known kind.
    pub(crate) fn of(self, place: Place) -> Option<&'static dyn ObjectKind> {
        Kind::from_word(place.kind).map(self.of)
    }

    /// The layout fingerprint: the sizes of all shared structs, folded.
    pub(crate) fn layout(self) -> u64 {
        let sizes = Kind::ALL.iter().flat_map(|kind| (self.of)(*kind).layout());
        sizes.fold(BASE_LAYOUT, |hash, size| fold(hash, *size))
    }

    pub(crate) fn hooks(self) -> &'static dyn Hooks {
        self.hooks
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kinds").finish_non_exhaustive()
    }
}
