//! The one error type. Each sentence says what is wrong and, where something can be done, what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use slipring_core::primitive::UnsupportedCpu;

/// `Result` with this crate's [`Error`].
///
/// ```
/// use slipring::{ByteQueue, Result, Segment};
///
/// fn longest(messages: &[&[u8]]) -> Result<usize> {
///     let segment = Segment::create()?;
///     let (mut sender, mut receiver) = ByteQueue::unbounded(&segment)?;
///     messages.iter().try_for_each(|message| sender.send(message))?;
///     drop(sender);
///     let mut longest = 0;
///     while let Ok(message) = receiver.recv() {
///         longest = longest.max(message.len());
///     }
///     Ok(longest)
/// }
///
/// assert_eq!(longest(&[b"one", b"three"])?, 5);
/// # Ok::<(), slipring::Error>(())
/// ```
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
///
/// ```
/// use slipring::{ByteQueue, Error, QueueOptions, Segment};
///
/// let segment = Segment::create()?;
/// let options = QueueOptions::bounded(1).max_message(100);
/// let (mut sender, _receiver) = ByteQueue::with(&segment, options)?;
/// sender.send(b"fits")?;
/// // What a program decides by is the variant …
/// assert!(matches!(sender.try_send(b"no room"), Err(Error::WouldBlock)));
/// // … and what a person reads is a sentence.
/// let error = sender.send(&[0; 101]).unwrap_err();
/// assert!(matches!(error, Error::TooLong { len: 101, max: 100 }));
/// assert!(error.to_string().contains("100"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The descriptor is of something else than a segment.
    NotASegment {
        /// What it is instead.
        why: String,
    },
    /// The file is shorter than its header says, or too short for a header.
    Truncated {
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that are.
        found: u64,
    },
    /// The file that was to be formatted has content already.
    NotEmpty {
        /// Its size in bytes.
        found: u64,
    },
    /// The segment was made by a version with another binary interface.
    AbiVersion {
        /// This library's.
        ours: u32,
        /// The segment's.
        theirs: u32,
    },
    /// The segment's structures have other sizes than this library's.
    Layout {
        /// This library's fingerprint.
        ours: u64,
        /// The segment's.
        theirs: u64,
    },
    /// Whoever began to make the segment has not finished.
    HalfMade {
        /// Its process id, in its own pid namespace.
        creator: u32,
    },
    /// Whoever made the segment gave up and said so.
    Failed,
    /// This CPU lacks an instruction that the rings need.
    UnsupportedCpu,
    /// `/proc` is not mounted.
    NoProc,
    /// A size or count is out of range.
    Capacity {
        /// Of what.
        what: &'static str,
        /// The value asked for.
        wanted: u64,
        /// The least possible.
        min: u64,
        /// The most possible.
        max: u64,
    },
    /// A message is longer than the stated limit.
    TooLong {
        /// Its length in bytes.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// The file system or the machine has no memory left.
    NoSpace {
        /// Bytes asked for.
        wanted: u64,
    },
    /// Every block that the message could lie in is in use.
    NoBlock {
        /// Its length in bytes.
        len: u64,
        /// Bytes of the smallest blocks that hold it.
        block: u64,
        /// How many of these the segment has.
        count: u32,
    },
    /// The part of the segment's address space that objects lie in is used up.
    NoPlace {
        /// Bytes asked for.
        wanted: u64,
    },
    /// The segment may not use more memory.
    Budget {
        /// Bytes asked for.
        wanted: u64,
        /// Bytes the segment may use in all.
        limit: u64,
    },
    /// Too many processes are attached to the segment.
    TooManyParticipants {
        /// How many there can be.
        max: u32,
    },
    /// The segment's directory is full.
    TooManyObjects,
    /// Too many handles of one object.
    TooManyHandles,
    /// Another handle uses this side of a slot ring.
    SideInUse,
    /// The loan is of another segment, or was taken before a fork.
    ForeignLoan,
    /// Every lease that the joinable queue can give is in use, some of them by dead letters.
    TooManyLeases {
        /// How many there can be at a time.
        max: u32,
    },
    /// The lease has ended: its item is finished, was given back or set aside.
    LeaseEnded,
    /// This process has no such lease, and had none that is still known.
    NotYourLease,
    /// This handle was closed.
    Closed,
    /// Nobody has the other side any more.
    Disconnected,
    /// A `try_` call would have had to wait: the queue is full or empty, the lock is held.
    WouldBlock,
    /// The deadline has passed.
    TimedOut,
    /// The object holds another type.
    TypeMismatch {
        /// Of what: the size, the alignment.
        what: &'static str,
        /// This process's.
        ours: u64,
        /// The object's.
        theirs: u64,
    },
    /// A received payload is no value of the type.
    Decode(String),
    /// A value cannot be turned into bytes.
    Encode(String),
    /// Shared memory holds what no correct process writes there.
    Corrupt {
        /// What is wrong.
        what: &'static str,
    },
    /// This can be no name.
    BadName {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Somebody alive has this name already, or it was made to stay.
    NameTaken {
        /// The name.
        name: String,
    },
    /// Nobody has this name.
    NoSuchName {
        /// The name.
        name: String,
    },
    /// The file of this name belongs to a user who is not trusted.
    ForeignOwner {
        /// The name.
        name: String,
        /// The user that its file belongs to.
        uid: u32,
    },
    /// The file of this name may not be opened, or none may be made.
    NotPermitted {
        /// The name.
        name: String,
    },
    /// There is no directory for names, or it is on a file system that cannot hold them.
    NoNames {
        /// The directory.
        directory: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The segment has no such object.
    NoSuchObject,
    /// The object is of another kind.
    WrongKind {
        /// The kind asked for.
        wanted: &'static str,
        /// The kind found.
        found: &'static str,
    },
    /// A handle that should have been inherited is not there.
    NotInherited(String),
    /// There would be more than the limit allows: permits of a bounded semaphore, locks of a reentrant mutex.
    OverLimit {
        /// The limit.
        limit: u64,
    },
    /// The lock is not held by whoever wants to give it back.
    NotHeld,
    /// The barrier is broken, or was reset while the caller waited.
    BrokenBarrier,
    /// This process was forked without a place in the segment.
    Forked,
    /// The program closed descriptors that this library works with, as daemons do that close all above 2.
    DescriptorsClosed,
    /// The kernel gives this process nothing to wait for several objects with.
    CannotWatch {
        /// What it said.
        source: io::Error,
    },
    /// An asynchronous call was polled outside of a tokio runtime.
    NoRuntime,
    /// A signal handler ran.
    Interrupted,
    /// The kernel refused something.
    Io {
        /// What was tried.
        op: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// Puts `op` around what the kernel said: `.map_err(Error::io("map the segment"))`.
    pub(crate) fn io<E: Into<io::Error>>(op: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { op, source: source.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASegment { why } => write!(f, "this is no slipring segment: {why}"),
            Self::Truncated { expected, found } => write!(
                f,
                "the segment is truncated: it should have {expected} bytes and has {found}; \
                 make a new one"
            ),
            Self::NotEmpty { found } => write!(
                f,
                "the file to make a segment in has {found} bytes already; give an empty one"
            ),
            Self::AbiVersion { ours, theirs } => write!(
                f,
                "the segment has ABI version {theirs} and this library speaks {ours}; \
                 use the same version of slipring on both sides"
            ),
            Self::Layout { ours, theirs } => write!(
                f,
                "the segment's layout is {theirs:#018x} and this library's is {ours:#018x}; \
                 use the same build of slipring on both sides"
            ),
            Self::HalfMade { creator } => write!(
                f,
                "process {creator} has begun to make the segment and not finished; \
                 try again, or make a new one if that process is gone"
            ),
            Self::Failed => {
                f.write_str("whoever made the segment failed to finish it; make a new one")
            }
            Self::UnsupportedCpu => UnsupportedCpu.fmt(f),
            Self::NoProc => f.write_str("/proc is not mounted, and slipring needs it; mount it"),
            Self::Capacity { what, wanted, min, max } => {
                write!(f, "{what} of {wanted} is out of range; it can be {min} to {max}")
            }
            Self::TooLong { len, max } => {
                write!(f, "a message of {len} bytes is over the limit of {max}")
            }
            Self::NoSpace { wanted } => write!(
                f,
                "no memory left for {wanted} more bytes; \
                 free some, or enlarge the file system that the segment is on"
            ),
            Self::NoBlock { len, block, count } => write!(
                f,
                "no block is free for a message of {len} bytes: all {count} blocks of {block} bytes are in use, and \
                 all larger ones; receive or drop some messages, or make the segment with a larger reserve"
            ),
            Self::NoPlace { wanted } => write!(
                f,
                "the segment has no address space left for an object of {wanted} bytes; \
                 drop some objects, or make the segment with a larger reserve"
            ),
            Self::Budget { wanted, limit } => write!(
                f,
                "{wanted} more bytes would take the segment over its budget of {limit}; \
                 raise the budget or the memory limit of the cgroup"
            ),
            Self::TooManyParticipants { max } => {
                write!(
                    f,
                    "{max} processes are attached to the segment already, and no more can be; \
                     end some, or use several segments"
                )
            }
            Self::TooManyObjects => {
                f.write_str("the segment's directory is full; drop some objects")
            }
            Self::TooManyHandles => {
                f.write_str("the object has as many handles as it can; close some")
            }
            Self::SideInUse => f.write_str(
                "another handle uses this side of the slot ring, which is for one at a time; drop that one",
            ),
            Self::ForeignLoan => f.write_str(
                "the loan is of another segment, or was taken before a fork; take it from the handle that sends it",
            ),
            Self::TooManyLeases { max } => write!(
                f,
                "all {max} leases of the queue are in use; finish some items, take dead letters out, \
                 or make the queue with more"
            ),
            Self::LeaseEnded => f.write_str(
                "the lease has ended already: its item was finished, given back or set aside",
            ),
            Self::NotYourLease => f.write_str("this process has no such lease"),
            Self::Closed => f.write_str("the handle is closed"),
            Self::Disconnected => f.write_str("nobody has the other side any more"),
            Self::WouldBlock => f.write_str("nothing could be done without waiting"),
            Self::TimedOut => f.write_str("the time is over"),
            Self::TypeMismatch { what, ours, theirs } => write!(
                f,
                "the object's {what} is {theirs} and the type asked for has {ours}; \
                 open it with the type that it was made with"
            ),
            Self::Decode(why) => write!(f, "the message is no value of this type: {why}"),
            Self::Encode(why) => write!(f, "the value cannot be sent: {why}"),
            Self::Corrupt { what } => {
                write!(f, "the segment is damaged: {what}; stop its processes and make a new one")
            }
            Self::BadName { why } => write!(f, "this can be no name: {why}"),
            Self::NameTaken { name } => write!(
                f,
                "the name {name:?} is taken; open it, choose another, or unlink it if nobody needs it"
            ),
            Self::NoSuchName { name } => {
                write!(
                    f,
                    "nothing is called {name:?}; create it first, or see what there is with `slipring ls`"
                )
            }
            Self::ForeignOwner { name, uid } => write!(
                f,
                "{name:?} belongs to user {uid}, who could have put anything there; \
                 trust that user by name if it is meant"
            ),
            Self::NotPermitted { name } => write!(
                f,
                "{name:?} may not be used by this user; have its owner create it with a group and a mode that let \
                 you in"
            ),
            Self::NoNames { directory, source } => write!(
                f,
                "names cannot be kept in {}: {source}; mount a tmpfs there, or name a directory on one in SLIPRING_DIR",
                directory.display()
            ),
            Self::NoSuchObject => f.write_str("the segment has no such object"),
            Self::WrongKind { wanted, found } => {
                write!(f, "the object is a {found}, not a {wanted}")
            }
            Self::NotInherited(what) => write!(
                f,
                "{what} was not handed over to this process, or was taken already; \
                 give it to the `Handoff` or the `Berth` that this process gets"
            ),
            Self::OverLimit { limit } => write!(f, "this would go over the limit of {limit}"),
            Self::NotHeld => f.write_str("the lock is not held by this process; take it first"),
            Self::BrokenBarrier => {
                f.write_str("the barrier is broken: somebody gave up, aborted it or died; reset it")
            }
            Self::Forked => f.write_str(
                "this process was forked without a place in the segment: all were taken, or its parent had no descriptor \
                 left, or a stopped process held it up; attach to it here when that is over",
            ),
            Self::DescriptorsClosed => f.write_str(
                "this process closed the descriptors of its segment or pipe; leave those open that the program did not \
                 open itself, or make and open objects after closing",
            ),
            Self::CannotWatch { source } => write!(
                f,
                "could not watch the segment with inotify: {source}; raise the sysctl \
                 fs.inotify.max_user_instances (or max_user_watches), or let the sandbox pass inotify"
            ),
            Self::NoRuntime => f.write_str(
                "there is no tokio runtime here; await asynchronous calls in a task of one",
            ),
            Self::Interrupted => f.write_str("a signal interrupted the call"),
            Self::Io { op, source } => write!(f, "could not {op}: {source}{}", remedy(source)),
        }
    }
}

/// What can be done about a limit that the kernel names by a number.
fn remedy(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EMFILE) => {
            "; this process has as many descriptors as it may: close some, or raise `ulimit -n`"
        }
        Some(libc::ENFILE) => {
            "; the machine has as many files open as it may: close some, or raise fs.file-max"
        }
        Some(libc::ENOMEM) => {
            "; drop some segments, raise what limits address space (`ulimit -v`, vm.max_map_count), \
             or have the segment made with a smaller reserve"
        }
        _ => "",
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. }
            | Self::NoNames { source, .. }
            | Self::CannotWatch { source } => Some(source),
            _ => None,
        }
    }
}

impl From<UnsupportedCpu> for Error {
    fn from(_: UnsupportedCpu) -> Self {
        Self::UnsupportedCpu
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn a_mismatch_names_both_versions() {
        let text = Error::AbiVersion { ours: 71, theirs: 93 }.to_string();
        assert!(text.contains("71") && text.contains("93"), "{text}");
        let text = Error::Layout { ours: 0x71, theirs: 0x93 }.to_string();
        assert!(text.contains("71") && text.contains("93"), "{text}");
    }

    #[test]
    fn what_is_used_up_is_named_with_what_to_do() {
        let text = Error::NoBlock { len: 1_000_000, block: 1 << 20, count: 38 }.to_string();
        for word in ["1000000 bytes", "all 38 blocks of 1048576 bytes", "receive", "larger reserve"]
        {
            assert!(text.contains(word), "{text}");
        }
        let text = Error::NoPlace { wanted: 77 }.to_string();
        assert!(text.contains("77 bytes") && text.contains("larger reserve"), "{text}");
    }

    #[test]
    fn the_kernels_word_is_kept_as_the_source() {
        let error = Error::io::<io::Error>("open it")(io::ErrorKind::PermissionDenied.into());
        assert!(error.to_string().starts_with("could not open it: "), "{error}");
        assert!(error.source().is_some());
        assert!(Error::Closed.source().is_none());
        let source = || io::Error::from(io::ErrorKind::OutOfMemory);
        assert!(Error::CannotWatch { source: source() }.source().is_some());
        assert!(Error::NoNames { directory: PathBuf::new(), source: source() }.source().is_some());
    }

    #[test]
    fn what_is_in_the_way_is_said_and_nothing_else() {
        assert!(!Error::SideInUse.to_string().contains("as many handles"));
        assert!(!Error::ForeignLoan.to_string().contains("attach"));
        assert!(Error::Forked.to_string().contains("all were taken"));
    }

    #[test]
    fn a_limit_is_named_with_what_to_do_about_it() {
        let text =
            |errno| Error::io("map the segment")(io::Error::from_raw_os_error(errno)).to_string();
        assert!(text(libc::EMFILE).contains("raise `ulimit -n`"), "{}", text(libc::EMFILE));
        assert!(text(libc::ENFILE).contains("fs.file-max"), "{}", text(libc::ENFILE));
        for word in ["ulimit -v", "vm.max_map_count", "smaller reserve"] {
            assert!(text(libc::ENOMEM).contains(word), "{}", text(libc::ENOMEM));
        }
        let text = Error::TooManyParticipants { max: 1023 }.to_string();
        assert!(text.contains("1023") && text.contains("several segments"), "{text}");
    }

    #[test]
    fn errors_travel_between_threads() {
        fn travels<T: Send + Sync + 'static>() {}
        travels::<Error>();
    }
}
