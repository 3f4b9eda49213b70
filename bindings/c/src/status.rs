//! What a call returns, and the sentence that goes with it.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use slipring::Error;

/// What every call returns. 0 is success, positive values are successes that the caller must know more about, negative ones
/// are errors: nothing was done then, unless it says so.
#[allow(non_camel_case_types)]
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum slipring_status {
    /// Done.
    SLIPRING_OK = 0,
    /// The lock is held by the caller now, and its last holder died with it: what it protects may be half-changed.
    SLIPRING_OWNER_DIED = 1,
    /// A pointer is NULL that must not be.
    SLIPRING_E_NULL = -1,
    /// This is no handle, or it was closed.
    SLIPRING_E_HANDLE = -2,
    /// The handle is of another kind of object.
    SLIPRING_E_KIND = -3,
    /// Another thread is in a call with this handle; give each thread its own with slipring_clone.
    SLIPRING_E_BUSY = -4,
    /// A number or a text is out of range.
    SLIPRING_E_INVALID = -5,
    /// The buffer is too small for the message, which was not taken; its length was stored.
    SLIPRING_E_TOO_SMALL = -6,
    /// A message is longer than the limit.
    SLIPRING_E_TOO_LONG = -7,
    /// Nothing could be done without waiting.
    SLIPRING_E_WOULD_BLOCK = -8,
    /// The time is over.
    SLIPRING_E_TIMED_OUT = -9,
    /// Nobody has the other side any more: the end of file for a receiver, a broken pipe for a sender.
    SLIPRING_E_DISCONNECTED = -10,
    /// Somebody closed the queue.
    SLIPRING_E_CLOSED = -11,
    /// No memory, no descriptors, or a limit of the segment.
    SLIPRING_E_NO_ROOM = -12,
    /// Nobody has this name.
    SLIPRING_E_NO_SUCH_NAME = -13,
    /// Somebody has this name already.
    SLIPRING_E_NAME_TAKEN = -14,
    /// This user may not.
    SLIPRING_E_PERMISSION = -15,
    /// What was opened is no segment of this version, or shared memory is damaged.
    SLIPRING_E_SEGMENT = -16,
    /// There would be more than the limit allows: permits, locks of a reentrant mutex.
    SLIPRING_E_OVER_LIMIT = -17,
    /// The lock is not held by the caller.
    SLIPRING_E_NOT_HELD = -18,
    /// The barrier is broken.
    SLIPRING_E_BROKEN_BARRIER = -19,
    /// This process was forked without taking part in the segment.
    SLIPRING_E_FORKED = -20,
    /// A signal handler ran: in a segment where slipring_segment_set_interruptible asked for this.
    SLIPRING_E_INTERRUPTED = -21,
    /// No such handle was inherited.
    SLIPRING_E_NOT_INHERITED = -22,
    /// The kernel refused something; slipring_last_error says what.
    SLIPRING_E_IO = -23,
    /// A defect of this library; slipring_last_error says where.
    SLIPRING_E_INTERNAL = -24,
}

impl slipring_status {
    const ALL: [(Self, &'static CStr); 26] = [
        (Self::SLIPRING_OK, c"done"),
        (Self::SLIPRING_OWNER_DIED, c"the lock is held, and its last holder died with it"),
        (Self::SLIPRING_E_NULL, c"a pointer is NULL that must not be"),
        (Self::SLIPRING_E_HANDLE, c"this is no handle, or it was closed"),
        (Self::SLIPRING_E_KIND, c"the handle is of another kind of object"),
        (
            Self::SLIPRING_E_BUSY,
            c"another thread is in a call with this handle; clone it for each thread",
        ),
        (Self::SLIPRING_E_INVALID, c"a number or a text is out of range"),
        (
            Self::SLIPRING_E_TOO_SMALL,
            c"the buffer is too small for the message, which was not taken",
        ),
        (Self::SLIPRING_E_TOO_LONG, c"the message is longer than the limit"),
        (Self::SLIPRING_E_WOULD_BLOCK, c"nothing could be done without waiting"),
        (Self::SLIPRING_E_TIMED_OUT, c"the time is over"),
        (Self::SLIPRING_E_DISCONNECTED, c"nobody has the other side any more"),
        (Self::SLIPRING_E_CLOSED, c"it was closed"),
        (
            Self::SLIPRING_E_NO_ROOM,
            c"no memory or descriptors left, or a limit of the segment is reached",
        ),
        (Self::SLIPRING_E_NO_SUCH_NAME, c"nobody has this name; create it first"),
        (Self::SLIPRING_E_NAME_TAKEN, c"the name is taken; open it, or choose another"),
        (Self::SLIPRING_E_PERMISSION, c"this user may not use the name"),
        (
            Self::SLIPRING_E_SEGMENT,
            c"this is no slipring segment of this version, or it is damaged",
        ),
        (Self::SLIPRING_E_OVER_LIMIT, c"this would go over the limit"),
        (Self::SLIPRING_E_NOT_HELD, c"the lock is not held by the caller"),
        (Self::SLIPRING_E_BROKEN_BARRIER, c"the barrier is broken; reset it"),
        (Self::SLIPRING_E_FORKED, c"this process was forked without taking part in the segment"),
        (Self::SLIPRING_E_INTERRUPTED, c"a signal interrupted the call"),
        (Self::SLIPRING_E_NOT_INHERITED, c"no such handle was inherited"),
        (Self::SLIPRING_E_IO, c"the kernel refused something; slipring_last_error says what"),
        (Self::SLIPRING_E_INTERNAL, c"a defect of slipring; slipring_last_error says where"),
    ];

    /// The one place where the library's errors become codes.
    fn of(error: &Error) -> Self {
        match error {
            Error::TooLong { .. } => Self::SLIPRING_E_TOO_LONG,
            Error::WouldBlock => Self::SLIPRING_E_WOULD_BLOCK,
            Error::TimedOut => Self::SLIPRING_E_TIMED_OUT,
            Error::Disconnected => Self::SLIPRING_E_DISCONNECTED,
            Error::Closed => Self::SLIPRING_E_CLOSED,
            Error::NoSpace { .. }
            | Error::NoBlock { .. }
            | Error::NoPlace { .. }
            | Error::Budget { .. }
            | Error::TooManyParticipants { .. }
            | Error::TooManyObjects
            | Error::TooManyHandles
            | Error::SideInUse => Self::SLIPRING_E_NO_ROOM,
            Error::NoSuchName { .. } | Error::NoSuchObject => Self::SLIPRING_E_NO_SUCH_NAME,
            Error::NameTaken { .. } => Self::SLIPRING_E_NAME_TAKEN,
            Error::ForeignOwner { .. } | Error::NotPermitted { .. } => Self::SLIPRING_E_PERMISSION,
            Error::NotASegment { .. }
            | Error::Truncated { .. }
            | Error::NotEmpty { .. }
            | Error::AbiVersion { .. }
            | Error::Layout { .. }
            | Error::HalfMade { .. }
            | Error::Failed
            | Error::UnsupportedCpu
            | Error::Corrupt { .. } => Self::SLIPRING_E_SEGMENT,
            Error::WrongKind { .. } | Error::TypeMismatch { .. } => Self::SLIPRING_E_KIND,
            Error::Capacity { .. } | Error::BadName { .. } | Error::ForeignLoan => {
                Self::SLIPRING_E_INVALID
            }
            Error::OverLimit { .. } => Self::SLIPRING_E_OVER_LIMIT,
            Error::NotHeld => Self::SLIPRING_E_NOT_HELD,
            Error::BrokenBarrier => Self::SLIPRING_E_BROKEN_BARRIER,
            Error::Forked => Self::SLIPRING_E_FORKED,
            Error::Interrupted => Self::SLIPRING_E_INTERRUPTED,
            Error::NotInherited(_) => Self::SLIPRING_E_NOT_INHERITED,
            Error::Io { .. } | Error::NoProc | Error::NoNames { .. } | Error::DescriptorsClosed => {
                Self::SLIPRING_E_IO
            }
            // What a later version of the library may add.
            _ => Self::SLIPRING_E_INTERNAL,
        }
    }

    fn text(self) -> &'static CStr {
        Self::ALL.iter().find(|(code, _)| *code == self).map_or(c"unknown", |(_, text)| text)
    }
}

/// Why a call failed.
pub(crate) struct Failure {
    code: slipring_status,
    text: String,
}

impl Failure {
    pub(crate) fn new(code: slipring_status) -> Self {
        Self { code, text: code.text().to_string_lossy().into_owned() }
    }

    pub(crate) fn with(code: slipring_status, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: slipring_status::of(&error), text: error.to_string() }
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

thread_local!(static LAST: RefCell<CString> = RefCell::default());

/// Runs the body of a call: a failure becomes a code and a sentence of this thread, and nothing unwinds into C.
pub(crate) fn call(body: impl FnOnce() -> Outcome) -> slipring_status {
    call_with(|| body().map(|()| slipring_status::SLIPRING_OK))
}

/// The same for a body that has more to say.
pub(crate) fn call_with(body: impl FnOnce() -> Outcome<slipring_status>) -> slipring_status {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Err(Failure::with(slipring_status::SLIPRING_E_INTERNAL, text.unwrap_or_default()))
    });
    outcome.unwrap_or_else(|failure| {
        let text = CString::new(failure.text.replace('\0', "\u{fffd}")).unwrap_or_default();
        // A thread that is ending has no place for it any more.
        let _ = LAST.try_with(|last| drop(last.replace(text)));
        failure.code
    })
}

/// A short text for a status; "unknown status" for a number that is none. The text lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_strerror(status: i32) -> *const c_char {
    let known = slipring_status::ALL.iter().find(|(code, _)| *code as i32 == status);
    known.map_or(c"unknown status", |(_, text)| text).as_ptr()
}

/// A sentence about the last call of this thread that failed: what was wrong, and what to do. It lives until the next call
/// of this thread that fails, or its end; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn slipring_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// The version of the library, "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn slipring_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
