//! What C passes, checked.

use std::ffi::{CStr, c_char};
use std::time::Duration;

use slipring::{Name, SegmentOptions, Until};

use crate::status::slipring_status;
use crate::status::{Failure, Outcome};

/// Wait for as long as it takes: as a timeout.
pub const SLIPRING_FOREVER: i64 = -1;

/// How a name is to be made and opened. All zero, or NULL instead, is the default.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct slipring_name_options {
    /// Permission bits of what is created; 0 means 0600.
    pub mode: u32,
    /// 1: what is created stays when nobody has a handle, until slipring_unlink. 0: it goes with the last handle.
    pub persist: u32,
    /// 1: what is created belongs to the group `group`.
    pub has_group: u32,
    /// The group's number.
    pub group: u32,
    /// 1: a file of the user `trust` is opened as one's own is.
    pub has_trust: u32,
    /// The user's number.
    pub trust: u32,
    /// The most bytes of memory that what is created may take; 0: no limit but the machine's.
    pub budget: u64,
}

/// A place for a result.
///
/// # Safety
///
/// `out` is NULL or may be written to.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) -> Outcome {
    if out.is_null() {
        return Err(Failure::new(slipring_status::SLIPRING_E_NULL));
    }
    // SAFETY: not NULL, and may be written to by the caller's word.
    unsafe { out.write(value) };
    Ok(())
}

/// Fails where any of the places for results is NULL, before anything is done.
pub(crate) fn need<const N: usize>(places: [bool; N]) -> Outcome {
    if places.contains(&false) {
        Err(Failure::new(slipring_status::SLIPRING_E_NULL))
    } else {
        Ok(())
    }
}

/// A message.
///
/// # Safety
///
/// `data` is NULL or may be read for `len` bytes during the call.
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Outcome<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    need([!data.is_null()])?;
    if len > isize::MAX as usize {
        return Err(Failure::with(
            slipring_status::SLIPRING_E_INVALID,
            format!("a length of {len} bytes is no length"),
        ));
    }
    // SAFETY: not NULL; readable for `len` bytes by the caller's word; no longer than memory can be.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// A text.
///
/// # Safety
///
/// `text` is NULL or ends with a NUL, and does not change during the call.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Outcome<&'a str> {
    need([!text.is_null()])?;
    // SAFETY: not NULL, and ends with a NUL, by the caller's word.
    let text = unsafe { CStr::from_ptr(text) }.to_str();
    text.map_err(|_| Failure::with(slipring_status::SLIPRING_E_INVALID, "the text is not UTF-8"))
}

/// A name and its options.
///
/// # Safety
///
/// As [`text`]; `options` is NULL or may be read.
pub(crate) unsafe fn name<'a>(
    name: *const c_char,
    options: *const slipring_name_options,
) -> Outcome<Name<'a>> {
    // SAFETY: by the caller's word.
    let mut name = Name::new(unsafe { text(name) }?);
    // SAFETY: NULL or readable, by the caller's word.
    let Some(options) = (unsafe { options.as_ref() }) else { return Ok(name) };
    if options.mode != 0 {
        name = name.mode(options.mode);
    }
    if options.persist != 0 {
        name = name.persist();
    }
    if options.has_group != 0 {
        name = name.group(options.group);
    }
    if options.has_trust != 0 {
        name = name.trust(options.trust);
    }
    if options.budget != 0 {
        name = name.segment(SegmentOptions::new().budget(options.budget));
    }
    Ok(name)
}

/// Nanoseconds from now: negative for ever, 0 not at all.
pub(crate) fn until(timeout: i64) -> Until {
    match u64::try_from(timeout) {
        Err(_) => Until::NEVER,
        Ok(0) => Until::NOW,
        Ok(nanos) => Duration::from_nanos(nanos).into(),
    }
}

/// A number that the library wants in 32 bits.
pub(crate) fn small(number: u64) -> Outcome<u32> {
    let text = || format!("{number} is more than there can be");
    u32::try_from(number).map_err(|_| Failure::with(slipring_status::SLIPRING_E_INVALID, text()))
}
