//! What the death procedure and observers ask of locks and signals. Their words hold no blocks.

use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::sync;

use super::bounded_semaphore::permits_at;
use crate::memory::Regions;
use crate::object::{About, Held, ObjectKind, Role, header, nothing, tally, words_at};

/// What is said of the words at `place`.
macro_rules! about {
    ($words:ty, |$it:ident, $ids:ident| $say:expr) => {
        fn about(&self, regions: &Regions, place: Place, $ids: &[OwnerId]) -> About {
            words_at::<$words>(regions, place).map_or_else(About::damaged, |$it| $say)
        }
    };
}

/// A mutex.
pub(crate) struct MutexKind;

impl ObjectKind for MutexKind {
    nothing! { layout survey side_left side_emptied wake drain unmake }
    about!(sync::Mutex, |lock, ids| About::lock(lock.owner(), 1, ids));

    fn has_handles(&self) -> bool {
        true
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        if let Some(lock) = words_at::<sync::Mutex>(regions, place) {
            lock.recover(dead, Scope::Shared);
        }
    }
}

/// A reentrant mutex.
pub(crate) struct ReentrantMutexKind;

impl ObjectKind for ReentrantMutexKind {
    nothing! { layout survey side_left side_emptied wake drain unmake }
    about!(sync::ReentrantMutex, |lock, ids| About::lock(lock.owner(), lock.count(), ids));

    fn has_handles(&self) -> bool {
        true
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        if let Some(lock) = words_at::<sync::ReentrantMutex>(regions, place) {
            lock.recover(dead, Scope::Shared);
        }
    }
}

/// A semaphore, whose permits have no owners.
pub(crate) struct SemaphoreKind;

impl ObjectKind for SemaphoreKind {
    nothing! { layout survey free_locks side_left side_emptied drain unmake }
    about!(sync::Semaphore, |semaphore, _ids| {
        About::state(format!("{} permits to be had", semaphore.value()))
    });

    fn has_handles(&self) -> bool {
        true
    }

    fn wake(&self, regions: &Regions, place: Place) {
        if let Some(semaphore) = words_at::<sync::Semaphore>(regions, place) {
            semaphore.wake_all(Scope::Shared);
        }
    }
}

/// A bounded semaphore, each permit of which is some process's.
pub(crate) struct BoundedSemaphoreKind;

impl ObjectKind for BoundedSemaphoreKind {
    nothing! { survey side_left side_emptied drain unmake }

    fn layout(&self) -> &'static [u64] {
        &[size_of::<sync::PermitsHead>() as u64]
    }

    fn has_handles(&self) -> bool {
        true
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        if let Some(permits) = permits_at(regions, place) {
            permits.recover(dead, Scope::Shared);
        }
    }

    fn wake(&self, regions: &Regions, place: Place) {
        if let Some(head) = words_at::<sync::PermitsHead>(regions, place) {
            head.wake_all(Scope::Shared);
        }
    }

    fn about(&self, regions: &Regions, place: Place, ids: &[OwnerId]) -> About {
        let Some(permits) = permits_at(regions, place) else { return About::damaged() };
        let held = tally(permits.owners()).into_iter().map(|(owner, count)| {
            let what = if count == 1 { "a permit".into() } else { format!("{count} permits") };
            Held::by(owner, ids, what)
        });
        let state = format!("{} of {} permits to be had", permits.value(), permits.limit());
        About { held: held.collect(), ..About::state(state) }
    }
}

/// An event.
pub(crate) struct EventKind;

impl ObjectKind for EventKind {
    nothing! { layout survey free_locks side_left side_emptied drain unmake }
    about!(sync::Event, |event, _ids| About::state(if event.is_set() { "set" } else { "not set" }));

    fn has_handles(&self) -> bool {
        true
    }

    fn wake(&self, regions: &Regions, place: Place) {
        if let Some(event) = words_at::<sync::Event>(regions, place) {
            event.wake_all(Scope::Shared);
        }
    }
}

/// A condition variable.
pub(crate) struct CondvarKind;

impl ObjectKind for CondvarKind {
    nothing! { layout survey free_locks side_left side_emptied drain unmake }
    about!(sync::Condvar, |condvar, _ids| About::state(format!("{} waiting", condvar.waiters())));

    fn has_handles(&self) -> bool {
        true
    }

    fn wake(&self, regions: &Regions, place: Place) {
        if let Some(condvar) = words_at::<sync::Condvar>(regions, place) {
            condvar.recover(Scope::Shared);
        }
    }
}

/// A barrier. A party holds its second side as well, from its first wait on.
pub(crate) struct BarrierKind;

impl ObjectKind for BarrierKind {
    nothing! { layout survey side_left side_emptied wake drain unmake }
    about!(sync::Barrier, |barrier, _ids| {
        let whole = format!("{} of {} there", barrier.n_waiting(), barrier.parties());
        About::state(if barrier.is_broken() { "broken".into() } else { whole })
    });

    fn has_handles(&self) -> bool {
        true
    }

    fn free_locks(&self, regions: &Regions, place: Place, dead: OwnerId) {
        let header = header(regions, place);
        let is_party = header.is_ok_and(|header| header.holders(Role::Second).contains(dead));
        if is_party && let Some(barrier) = words_at::<sync::Barrier>(regions, place) {
            barrier.break_by_death(Scope::Shared);
        }
    }
}
