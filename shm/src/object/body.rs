//! Objects reserved, held for others and found; their bodies viewed.

use std::ptr::NonNull;

use slipring_core::directory::{ObjectId, Place, ReserveError};
use slipring_core::owner::OwnerId;

use super::header::{HEADER_BYTES, ROOT, Role, header};
use super::kind::Kind;
use crate::memory::Regions;
use crate::{Error, Result};

/// A struct that bodies of objects begin with.
///
/// # Safety
///
/// It is `#[repr(C)]` or core's, all bit patterns are valid for it, what changes in it are atomics, and it is aligned to
/// at most 128 bytes.
pub(crate) unsafe trait SharedWords {}

// SAFETY: atomics, of which all bit patterns are valid; aligned to a cache line or less.
unsafe impl SharedWords for slipring_core::sync::Mutex {}
// SAFETY: as above.
unsafe impl SharedWords for slipring_core::sync::ReentrantMutex {}
// SAFETY: as above.
unsafe impl SharedWords for slipring_core::sync::Semaphore {}
// SAFETY: as above.
unsafe impl SharedWords for slipring_core::sync::PermitsHead {}
// SAFETY: as above.
unsafe impl SharedWords for slipring_core::sync::Event {}
// SAFETY: as above.
unsafe impl SharedWords for slipring_core::sync::Condvar {}
// SAFETY: as above.
unsafe impl SharedWords for slipring_core::sync::Barrier {}

/// The words that the body of the object at `place` begins with, if there is room for them.
pub(crate) fn words_at<T: SharedWords>(regions: &Regions, place: Place) -> Option<&T> {
    let (offset, len) = (place.offset.checked_add(HEADER_BYTES)?, size_of::<T>() as u64);
    if place.len < HEADER_BYTES + len || !regions.arena_is_committed(offset, len) {
        return None;
    }
    let at = regions.arena(offset, len).ok()?.cast::<T>();
    if !at.is_aligned() {
        return None;
    }
    // SAFETY: in bounds, committed and aligned, just checked; `T` allows any bit pattern and writers behind the reference;
    // it is mapped as long as the regions are.
    Some(unsafe { at.as_ref() })
}

/// A whole body.
#[derive(Clone, Copy)]
pub(crate) struct Body {
    /// Committed, and mapped as long as the regions are.
    pub(crate) at: NonNull<u8>,
    /// Bytes.
    pub(crate) len: u64,
    /// Where in the arena it begins.
    pub(crate) offset: u64,
}

/// The whole body of the object at `place`, if all of it may be touched.
pub(crate) fn body_at(regions: &Regions, place: Place) -> Option<Body> {
    let offset = place.offset.checked_add(HEADER_BYTES)?;
    let len = place.len.checked_sub(HEADER_BYTES)?;
    if !regions.arena_is_committed(offset, len) {
        return None;
    }
    Some(Body { at: regions.arena(offset, len).ok()?, len, offset })
}

/// Reserves an extent for an object. Under the recovery lock.
pub(crate) fn reserve(regions: &Regions, kind: Kind, len: u64, me: OwnerId) -> Result<Place> {
    regions.commit_directory()?;
    regions.directory.reserve(len, kind as u32, me).map_err(|e| match e {
        ReserveError::Entries => Error::TooManyObjects,
        ReserveError::Arena => Error::NoPlace { wanted: len },
    })
}

/// Pays for an extent, clears its header and has `init` fill its body.
pub(crate) fn commit_and_init(
    regions: &Regions,
    place: Place,
    init: impl FnOnce(NonNull<u8>) -> Result<()>,
) -> Result<()> {
    regions.commit_arena(place.offset, place.len)?;
    let at = regions.arena(place.offset, place.len)?;
    // SAFETY: committed memory of an extent that is reserved for us; nobody else touches it before it is published.
    unsafe { at.write_bytes(0, HEADER_BYTES as usize) };
    crash_point!("object.init.cleared");
    // SAFETY: the extent is at least as long as the header.
    init(unsafe { at.add(HEADER_BYTES as usize) })
}

/// Has `who` hold a side of an object, on behalf of a process that does not run yet.
pub(crate) fn hold(regions: &Regions, id: ObjectId, role: Role, who: OwnerId) {
    let place = regions.directory.find(id);
    if let Some(header) = place.and_then(|place| header(regions, place).ok()) {
        header.holders(role).add(who);
    }
}

/// Where an object is of which `who` holds a side, and its body.
///
/// # Errors
///
/// As [`find`]; [`Error::NotInherited`] where `who` does not hold it.
pub(crate) fn held_by(
    regions: &Regions,
    who: OwnerId,
    (id, kind, role): (ObjectId, Kind, Role),
) -> Result<(Place, NonNull<u8>)> {
    let place = find(regions, id, kind)?;
    if !header(regions, place)?.holders(role).contains(who) {
        return Err(Error::NotInherited(format!("the handle of a {}", kind.name())));
    }
    Ok((place, body_of(regions, place)?))
}

/// Where the object is that a named segment was made for, and its body.
///
/// # Errors
///
/// As [`find`]: [`Error::NoSuchObject`] where it has ended.
pub(crate) fn find_root(regions: &Regions, kind: Kind) -> Result<(Place, NonNull<u8>)> {
    let place = find(regions, ROOT, kind)?;
    Ok((place, body_of(regions, place)?))
}

/// Where the object with this id is.
///
/// # Errors
///
/// [`Error::NoSuchObject`], [`Error::WrongKind`], [`Error::Corrupt`].
pub(crate) fn find(regions: &Regions, id: ObjectId, kind: Kind) -> Result<Place> {
    let place = regions.directory.find(id).ok_or(Error::NoSuchObject)?;
    match Kind::from_word(place.kind) {
        Some(found) if found == kind && place.len > HEADER_BYTES => Ok(place),
        Some(found) if found != kind => {
            Err(Error::WrongKind { wanted: kind.name(), found: found.name() })
        }
        _ => Err(Error::Corrupt { what: "an object of no known kind" }),
    }
}

/// The body of an object that [`find`] found. An object is paid for as a whole before it is known.
fn body_of(regions: &Regions, place: Place) -> Result<NonNull<u8>> {
    let unpaid = Error::Corrupt { what: "an object lies in memory that nobody paid for" };
    body_at(regions, place).map(|body| body.at).ok_or(unpaid)
}
