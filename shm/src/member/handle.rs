//! Handles of objects: how objects are made, opened, counted and ended by this process.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use slipring_core::directory::{ObjectId, Place};
use slipring_core::member::Holders;
use slipring_core::owner::OwnerId;
use slipring_core::ring::sides::Sides;

use crate::member::Attachment;
use crate::member::recovery_lock::{LONG_PATIENCE, SHORT_PATIENCE};
use crate::object::{self, HEADER_BYTES, Kind, ObjectHeader, Role, header};
use crate::{Error, Result, recovery};

/// A handle of one side of an object: this process holds that side while any such handle lives.
pub struct Handle {
    attachment: Arc<Attachment>,
    place: Place,
    role: Role,
    body: NonNull<u8>,
}

// SAFETY: the body is shared memory that is reached through atomics or under the object's own rules.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// Makes an object with `body_len` bytes of body, which `init` fills, and returns a handle of each of `roles`.
    pub(crate) fn create<const N: usize>(
        attachment: &Arc<Attachment>,
        kind: Kind,
        body_len: u64,
        roles: [Role; N],
        init: impl FnOnce(NonNull<u8>, Place) -> Result<()>,
    ) -> Result<[Self; N]> {
        Self::create_with(
            attachment,
            kind,
            body_len,
            roles,
            || Ok(()),
            |body, place, ()| init(body, place),
        )
    }

    /// The same for an object that needs another: `prepare` makes that, without the recovery lock and after the object has its
    /// entry in the directory, and `init` is given it.
    pub(crate) fn create_with<const N: usize, P>(
        attachment: &Arc<Attachment>,
        kind: Kind,
        body_len: u64,
        roles: [Role; N],
        prepare: impl FnOnce() -> Result<P>,
        init: impl FnOnce(NonNull<u8>, Place, P) -> Result<()>,
    ) -> Result<[Self; N]> {
        let me = attachment.me()?;
        let place = attachment
            .with_recovery(|| object::reserve(attachment, kind, HEADER_BYTES + body_len, me))??;
        // Without the lock: much memory takes long to come, and the reservation is ours meanwhile.
        let paid = attachment.commit_arena(place.offset, place.len).inspect_err(|_| {
            // Half of it is of no use to us, and others may need it.
            let _ = attachment.decommit_arena(place.offset, place.len);
        });
        crash_point!("object.create.paid");
        let prepared = paid.and_then(|()| prepare());
        let made = attachment.with_recovery_for(LONG_PATIENCE, |private| {
            let init = |prepared| {
                object::commit_and_init(attachment, place, |body| init(body, place, prepared))
            };
            let made = prepared.and_then(init).and_then(|()| header(attachment, place));
            match made {
                Ok(header) => {
                    roles.iter().for_each(|role| header.holders(*role).add(me));
                    crash_point!("object.create.before_publish");
                    attachment.directory.publish(place.id);
                    for role in roles {
                        *private.handles.entry((place.id, role)).or_default() += 1;
                    }
                    Ok(())
                }
                Err(e) => {
                    attachment.directory.free(place.id);
                    Err(e)
                }
            }
        });
        // The lock was not to be had: nobody else knows of the reservation.
        made.inspect_err(|_| attachment.directory.free(place.id))??;
        let body = attachment.arena(place.offset + HEADER_BYTES, body_len)?;
        Ok(roles.map(|role| Self { attachment: attachment.clone(), place, role, body }))
    }

    /// A handle of a side that a parent or spawner already holds for us.
    pub(crate) fn adopt(
        attachment: &Arc<Attachment>,
        id: ObjectId,
        kind: Kind,
        role: Role,
    ) -> Result<Self> {
        let (place, body) = object::held_by(attachment, attachment.me()?, (id, kind, role))?;
        *attachment.private.lock().handles.entry((place.id, role)).or_default() += 1;
        Ok(Self { attachment: attachment.clone(), place, role, body })
    }

    /// Handles of sides that `embryo` holds: this process holds them from now on, and the embryo has ended. `proof` is what
    /// proves its life.
    ///
    /// # Errors
    ///
    /// [`Error::NotInherited`] where the embryo is none any more, or does not hold all of them; nothing has changed then.
    pub(crate) fn take_over(
        attachment: &Arc<Attachment>,
        embryo: OwnerId,
        proof: BorrowedFd<'_>,
        wanted: &[(ObjectId, Kind, Role)],
    ) -> Result<Vec<Self>> {
        let end = |me| recovery::end_embryo(attachment, attachment.kinds(), embryo, me);
        Self::take_from(attachment, embryo, proof, wanted, end)
    }

    /// The same, and under the recovery lock `then` happens instead of the embryo's end.
    ///
    /// # Errors
    ///
    /// As [`Handle::take_over`].
    pub(crate) fn take_from(
        attachment: &Arc<Attachment>,
        embryo: OwnerId,
        proof: BorrowedFd<'_>,
        wanted: &[(ObjectId, Kind, Role)],
        then: impl FnOnce(OwnerId),
    ) -> Result<Vec<Self>> {
        let me = attachment.me()?;
        let taken =
            attachment.with_recovery_for(LONG_PATIENCE, |private| -> Result<Vec<_>> {
                if !attachment.is_proof_of(proof, embryo) {
                    let what = "what is in a parcel or a berth that was taken before";
                    return Err(Error::NotInherited(what.into()));
                }
                let held = wanted.iter().map(|wanted| {
                    let (place, body) = object::held_by(attachment, embryo, *wanted)?;
                    Ok((place, wanted.2, body))
                });
                let held = held.collect::<Result<Vec<_>>>()?;
                for (place, role, _) in &held {
                    header(attachment, *place)?.holders(*role).add(me);
                    crash_point!("object.take_over.held");
                }
                then(me);
                for (place, role, _) in &held {
                    *private.handles.entry((place.id, *role)).or_default() += 1;
                }
                Ok(held)
            })??;
        let handles = taken.into_iter().map(|(place, role, body)| Self {
            attachment: attachment.clone(),
            place,
            role,
            body,
        });
        Ok(handles.collect())
    }

    /// A handle of the object that a named segment was made for.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchObject`] where that has ended, [`Error::WrongKind`].
    pub(crate) fn open_root(attachment: &Arc<Attachment>, kind: Kind, role: Role) -> Result<Self> {
        let me = attachment.me()?;
        let (place, body) =
            attachment.with_recovery_for(LONG_PATIENCE, |private| -> Result<_> {
                let (place, body) = object::find_root(attachment, kind)?;
                header(attachment, place)?.holders(role).add(me);
                crash_point!("object.open_root.held");
                *private.handles.entry((place.id, role)).or_default() += 1;
                Ok((place, body))
            })??;
        Ok(Self { attachment: attachment.clone(), place, role, body })
    }

    pub(crate) fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    pub(crate) fn id(&self) -> ObjectId {
        self.place.id
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// The body, and how long it is.
    pub(crate) fn body(&self) -> (NonNull<u8>, u64) {
        (self.body, self.place.len - HEADER_BYTES)
    }

    /// The arena offset of the body.
    pub(crate) fn body_offset(&self) -> u64 {
        self.place.offset + HEADER_BYTES
    }

    /// Who holds a side.
    pub(crate) fn holders(&self, role: Role) -> &Holders {
        // SAFETY: the header lies just before the body, was checked when the handle was made, and outlives it: the
        // mapping lives as long as the attachment.
        let header =
            unsafe { self.body.sub(HEADER_BYTES as usize).cast::<ObjectHeader>().as_ref() };
        header.holders(role)
    }

    /// What keeps this side from going on: the channel was closed, or the other side is gone.
    #[inline]
    pub(crate) fn check_open(&self, sides: &Sides) -> Result<()> {
        if sides.is_open() { Ok(()) } else { self.check_holders(sides) }
    }

    #[cold]
    fn check_holders(&self, sides: &Sides) -> Result<()> {
        if sides.is_closed() {
            return Err(Error::Closed);
        }
        let other = self.role.other();
        if !sides.is_side_gone(other.side()) {
            return Ok(());
        }
        if !self.holders(other).is_empty() {
            // Somebody came: the hint goes, and comes back if they left meanwhile.
            sides.side_came(other.side());
            if !self.holders(other).is_empty() {
                return Ok(());
            }
            sides.side_gone(other.side());
        }
        Err(Error::Disconnected)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("place", &self.place).field("role", &self.role).finish()
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        let mut private = self.attachment.private.lock();
        *private.handles.entry((self.place.id, self.role)).or_default() += 1;
        Self { attachment: self.attachment.clone(), ..*self }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut private = self.attachment.private.lock();
        let key = (self.place.id, self.role);
        let last = match private.handles.get_mut(&key) {
            Some(count) if *count > 1 => {
                *count -= 1;
                false
            }
            _ => private.handles.remove(&key).is_some(),
        };
        let Ok(me) = self.attachment.me() else { return };
        if !last {
            return;
        }
        let kind = self.attachment.kinds().of(self.place);
        if let Some(kind) = kind {
            kind.side_left(&self.attachment, self.place, self.role, me);
        }
        // The other side's mark goes too, where it says something else than that there is a handle: a barrier's parties.
        if !private.handles.contains_key(&(self.place.id, self.role.other())) {
            self.holders(self.role.other()).remove(me);
        }
        self.holders(self.role).remove(me);
        crash_point!("object.drop.removed");
        if self.holders(self.role).is_empty() {
            recovery::side_emptied(
                &self.attachment,
                self.attachment.kinds(),
                self.place,
                self.role,
            );
            crash_point!("object.drop.woken");
        }
        let (place, attachment) = (self.place, &self.attachment);
        if header(attachment, place).is_ok_and(ObjectHeader::is_abandoned) {
            // If the lock is not to be had, the next death procedure ends the object.
            let _ = attachment.with_recovery_held(SHORT_PATIENCE, || {
                recovery::end_if_abandoned(attachment, attachment.kinds(), place, me)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{LOCK_BASE, Region};
    use crate::sys::{file, lock};
    use crate::{Event, Segment, SegmentOptions};
    use std::os::fd::AsFd;
    use std::time::{Duration, Instant};

    /// A segment and an event in it, the first object; and the first words of the event's entry in the directory, which
    /// a peer gone mad writes to.
    fn with_event(test: impl FnOnce(&Arc<Attachment>, ObjectId, &dyn Fn(usize, u64))) {
        let segment = Segment::with(SegmentOptions::new().reserve(64 << 20)).unwrap();
        let event = Event::new(&segment).unwrap();
        let attachment = segment.attachment();
        let (directory, _) = attachment.mapping.geometry().region(Region::Directory);
        let scribble = |word: usize, value: u64| {
            let at = directory + 128 + 8 * word as u64;
            file::write_at(attachment.fd().unwrap(), &value.to_ne_bytes(), at).unwrap();
        };
        test(attachment, event.handle().id(), &scribble);
    }

    #[test]
    fn a_handle_of_an_object_in_memory_that_nobody_paid_for_is_refused() {
        with_event(|attachment, id, scribble| {
            let adopt = || Handle::adopt(attachment, id, Kind::Event, Role::First);
            adopt().unwrap();
            let (_, arena_len) = attachment.mapping.geometry().region(Region::Arena);
            scribble(3, arena_len / 2);
            assert!(attachment.directory.find(id).is_some(), "it lies in the arena");
            assert!(matches!(adopt(), Err(Error::Corrupt { .. })));
        });
    }

    #[test]
    fn a_handle_is_dropped_while_another_thread_waits_for_the_recovery_lock() {
        let segment = Segment::with(SegmentOptions::new().reserve(64 << 20)).unwrap();
        let event = Event::new(&segment).unwrap();
        let another = event.handle().clone();
        let other = segment.attachment().reopen().unwrap();
        assert!(lock::try_lock_byte(other.as_fd(), LOCK_BASE).unwrap());
        std::thread::scope(|s| {
            let waiting = s.spawn(|| Event::new(&segment).unwrap());
            std::thread::sleep(Duration::from_millis(50));
            let start = Instant::now();
            drop(another);
            drop(event.handle().clone());
            assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
            drop(other);
            drop(waiting.join().unwrap());
        });
    }

    #[test]
    fn a_reservation_of_memory_that_is_nowhere_ends_with_its_owner() {
        with_event(|attachment, _, scribble| {
            let dead = OwnerId::new(9, 3);
            for (offset, len) in [(u64::MAX - 127, 1 << 20), (64 << 20, 1 << 20), (128, u64::MAX)] {
                scribble(0, u64::from(Kind::Array as u32) << 32 | 1);
                scribble(1, u64::from(dead.bits()) << 32);
                scribble(2, offset);
                scribble(3, len);
                assert_eq!(attachment.directory.reserved_by(dead).count(), 1);
                let me = attachment.me().unwrap();
                attachment
                    .with_recovery(|| recovery::bury(attachment, attachment.kinds(), dead, me))
                    .unwrap();
                assert_eq!(attachment.directory.reserved_by(dead).count(), 0);
            }
        });
    }
}
