//! Objects that unrelated programs find by name: queues, locks and whatever else a program can name.
//!
//! A name is a file `slipring.NAME` in `/dev/shm`, or in the directory that the variable `SLIPRING_DIR` names, which must
//! be on a tmpfs. Programs that mean the same object use the same name and the same directory. The file is a segment of
//! its own, made for one object.
//!
//! ```
//! use slipring::{ByteReceiver, ByteSender, Error, Named, QueueOptions};
//!
//! # let name = format!("doc-name-{}", std::process::id());
//! # let name = name.as_str();
//! // One program …
//! let mut jobs = ByteReceiver::create(name, QueueOptions::bounded(100))?;
//! // … and another, which may come and go.
//! let mut sender = ByteSender::open(name)?;
//! sender.send(b"hello")?;
//! drop(sender);
//! assert_eq!(jobs.recv()?, b"hello");
//!
//! drop(jobs); // the last handle takes the name with it
//! assert!(matches!(ByteSender::open(name), Err(Error::NoSuchName { .. })));
//! # Ok::<(), Error>(())
//! ```
//!
//! # How long a name lives
//!
//! As long as anybody has a handle of its object. The last one takes it away. Where that one was killed, or was a forked
//! child that ended without dropping its handles (`_exit`), the next one does that opens or creates this name, to whom it
//! is as if there had been none; or the next one that creates or drops any name of the same user. With [`Name::persist`] the object and what is in it stay until
//! [`unlink`], or until the machine is shut down.
//!
//! # Races
//!
//! * I1. A name appears by one `link` of a file that is finished: nobody opens a half-made object.
//! * I2. A name is taken away only under the recovery lock of the file that it means, and only after a look that it
//!   does mean that file: nobody takes a successor's name away.
//! * I3. Whoever opens takes its handle under the same lock: it either has the object, or finds that it has ended and
//!   looks at the name again.
//!
//! What others connect to ([`Acceptor`](crate::Acceptor)) has a socket beside its name: `name/socket.rs`. Where the files lie,
//! and how they are taken away, is in `memory/name_file.rs`.
//!
//! Of any number that create, open, take over and are killed at the same time, all end with the same object or a clear
//! error.
//!
//! # Who may use it
//!
//! The file's mode, 0600 unless [`Name::mode`] says otherwise, and its group. `/dev/shm` is everybody's, so a file that
//! belongs to another user (root excepted) is opened only where [`Name::trust`] says so: it could hold anything, and whoever
//! can shrink it can kill everybody who has it open.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::member::leftovers;
use crate::member::recovery_lock::{self, LONG_PATIENCE};
use crate::member::ticket::Nameable;
pub use crate::memory::directory;
use crate::memory::{PREFIX, is_segment, unlink_if_its};
use crate::open::KINDS;
use crate::sys::name as sys;
use crate::{Error, Result, Segment};

mod options;
pub(crate) mod socket;
#[cfg(test)]
mod tests;

pub use options::Name;

/// So often a name can change hands under somebody who opens or creates it before that one gives up.
const ATTEMPTS: u32 = 1000;

/// Handles of objects that can have a name.
///
/// `Options` is what it takes to make one:
///
/// | handles | `Options` |
/// |---|---|
/// | the sides of [`Queue`](crate::Queue) and [`ByteQueue`](crate::ByteQueue) | [`QueueOptions`](crate::QueueOptions) |
/// | those of [`JoinableQueue`](crate::JoinableQueue) and [`ByteJoinableQueue`](crate::ByteJoinableQueue) | [`JoinableOptions`](crate::JoinableOptions) |
/// | those of [LIFO and priority queues](crate::ordered) | [`OrderedOptions`](crate::OrderedOptions) |
/// | [`Mutex`](crate::Mutex), [`Value`](crate::Value), [`RawValue`](crate::RawValue) | the first value |
/// | [`Array`](crate::Array), [`RawArray`](crate::RawArray) | how many items |
/// | [`ArrayBytes`](crate::ArrayBytes) | the layout of an item, and how many items |
/// | [`Semaphore`](crate::Semaphore), [`BoundedSemaphore`](crate::BoundedSemaphore) | how many permits |
/// | [`Barrier`](crate::Barrier) | how many parties |
/// | [`ReentrantMutex`](crate::ReentrantMutex), [`Event`](crate::Event), [`Condvar`](crate::Condvar) | nothing: `()` |
///
/// Pipes have no name; programs connect to the name of an [`Acceptor`](crate::Acceptor).
///
/// ```
/// use slipring::{Barrier, Error, Named, RawValue, Semaphore};
///
/// # let name = format!("doc-named-{}", std::process::id());
/// # let name = name.as_str();
/// // Whichever program comes first makes it.
/// let licences = Semaphore::open_or_create(name, 5)?;
/// let there = Semaphore::open_or_create(name, 5)?;
/// there.acquire()?;
/// assert_eq!(licences.value(), 4);
/// assert!(matches!(Barrier::open(name), Err(Error::WrongKind { .. })));
/// // More objects beside it, for those who are handed them.
/// let progress = RawValue::new(&licences.segment(), 0.0_f64)?;
/// progress.set(0.5);
/// # Ok::<(), Error>(())
/// ```
pub trait Named: Nameable<Making = <Self as Named>::Options> {
    /// What is needed to make one.
    type Options;

    /// The one that a named segment was made for.
    #[doc(hidden)]
    fn root(segment: &Segment) -> Result<Self> {
        Self::root_of(segment)
    }

    /// Makes a new object with this name.
    ///
    /// # Errors
    ///
    /// [`Error::NameTaken`], [`Error::BadName`], [`Error::NotPermitted`], [`Error::NoNames`] without `/dev/shm`; no memory;
    /// and what is wrong with a file of that name that is no segment of this version.
    fn create<'a>(name: impl Into<Name<'a>>, options: Self::Options) -> Result<Self> {
        create(&name.into(), |segment| Self::make(segment, &options))
    }

    /// The object with this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchName`], [`Error::WrongKind`], [`Error::ForeignOwner`], [`Error::NotPermitted`], [`Error::BadName`];
    /// as [`Segment::from_fd`] for a file that is no segment of this version; [`Error::TypeMismatch`] for another type of value.
    fn open<'a>(name: impl Into<Name<'a>>) -> Result<Self> {
        open(&name.into(), Self::root)
    }

    /// The object with this name, made if there is none: in that case with these options, which otherwise count for
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Named::open`] and [`Named::create`], but for the name being taken or missing.
    fn open_or_create<'a>(name: impl Into<Name<'a>>, options: Self::Options) -> Result<Self> {
        let name = name.into();
        for _ in 0..ATTEMPTS {
            match open(&name, Self::root) {
                Err(Error::NoSuchName { .. }) => {}
                opened => return opened,
            }
            match create(&name, |segment| Self::make(segment, &options)) {
                Err(Error::NameTaken { .. }) => {}
                created => return created,
            }
        }
        Err(Error::TimedOut)
    }

    /// The segment that the object is in: what is made in it lives beside the object.
    fn segment(&self) -> Segment {
        Segment::of(self.handle_of().attachment())
    }
}

impl<T: Nameable> Named for T {
    type Options = T::Making;
}

/// Takes a name away, whoever uses what it names: they go on, and nobody else finds them.
///
/// # Errors
///
/// [`Error::NoSuchName`], [`Error::NotPermitted`], [`Error::BadName`]; a file that is no segment is left alone.
///
/// ```
/// use slipring::{Error, Event, Name, Named, unlink};
///
/// # let text = format!("doc-unlink-{}", std::process::id());
/// # let text = text.as_str();
/// let event = Event::create(Name::new(text).persist(), ())?;
/// drop(event);
/// assert!(Event::open(text).is_ok(), "it was made to stay");
/// unlink(text)?;
/// assert!(matches!(Event::open(text), Err(Error::NoSuchName { .. })));
/// # Ok::<(), Error>(())
/// ```
pub fn unlink<'a>(name: impl Into<Name<'a>>) -> Result<()> {
    let name = name.into();
    let path = name.path()?;
    let file = sys::open(&path).map_err(|e| name.refused("open the name", e))?;
    if !is_segment(file.as_fd())? {
        return Err(Error::NotASegment { why: "it was not made by slipring".into() });
    }
    let unlink = |(): &mut ()| unlink_if_its(&path, file.as_fd());
    let gone = recovery_lock::with(file.as_fd(), LONG_PATIENCE, || (), unlink);
    gone?.map_err(|e| name.refused("take the name away", e))
}

/// What [`clean`] did.
///
/// ```
/// use slipring::name::{Cleaned, clean};
/// use slipring::{Event, Named};
///
/// # let name = format!("doc-cleaned-{}", std::process::id());
/// # let name = name.as_str();
/// let _event = Event::create(name, ())?;
/// let cleaned: Cleaned = clean(name)?;
/// assert!(cleaned.dead.is_empty() && !cleaned.is_gone, "somebody living has it");
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Cleaned {
    /// The process ids, in their own pid namespaces, of the dead that were cleaned up after.
    pub dead: Vec<u32>,
    /// Whether the name is gone.
    pub is_gone: bool,
    /// Whether it would be, had it not been made to persist.
    pub persists: bool,
}

/// Cleans up after the dead in what has this name, and takes the name away if only they had it. Whoever opens or creates
/// the name does the same, and names that only the dead have go when anybody creates or drops another: this is for those
/// who want to see a tidy directory now.
///
/// # Errors
///
/// As [`Named::open`], but for the kind.
///
/// # Examples
///
/// ```
/// use slipring::name::clean;
/// use slipring::{Error, Event, Name, Named, unlink};
///
/// # let text = format!("doc-clean-{}", std::process::id());
/// # let text = text.as_str();
/// drop(Event::create(Name::new(text).persist(), ())?);
/// let cleaned = clean(text)?;
/// assert!(!cleaned.is_gone && cleaned.persists, "nobody has it, and it was made to stay");
/// unlink(text)?;
/// assert!(matches!(clean(text), Err(Error::NoSuchName { .. })));
/// # Ok::<(), Error>(())
/// ```
pub fn clean<'a>(name: impl Into<Name<'a>>) -> Result<Cleaned> {
    let name = name.into();
    let segment = enter(&name)?;
    let participants = segment.participants();
    let dead = participants.iter().filter(|p| p.is_dead).map(|p| p.pid).collect();
    segment.attachment().reap_patiently()?;
    let is_gone = !has_root(&segment, &name)?;
    let in_use =
        segment.attachment().has_handles() || segment.participants().iter().any(|p| !p.is_me);
    let persists = !is_gone && !in_use && segment.attachment().mapping.header().persists();
    Ok(Cleaned { dead, is_gone, persists })
}

/// All names that there are, whoever they belong to, in order.
///
/// # Errors
///
/// [`Error::NoNames`].
///
/// # Examples
///
/// ```
/// use slipring::name::names;
/// use slipring::{Event, Named};
///
/// # let name = format!("doc-names-{}", std::process::id());
/// # let name = name.as_str();
/// let _event = Event::create(name, ())?;
/// assert!(names()?.iter().any(|other| other == name));
/// # Ok::<(), slipring::Error>(())
/// ```
pub fn names() -> Result<Vec<String>> {
    let files = sys::list(&directory()).map_err(|e| no_names("list the names", e))?;
    let names = files.iter().filter_map(|file| file.to_str()?.strip_prefix(PREFIX));
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// What it means that the directory of names cannot be used: where that is no fault of the directory's, only what it says.
fn no_names(op: &'static str, source: io::Error) -> Error {
    if sys::is_out_of_files(&source) {
        return Error::Io { op, source };
    }
    Error::NoNames { directory: directory(), source }
}

/// Makes a segment with a name, and in it what `make` makes.
pub(crate) fn create<T>(name: &Name<'_>, make: impl FnOnce(&Segment) -> Result<T>) -> Result<T> {
    let path = name.path()?;
    // Before anything is made: most names that are taken are so all the time.
    if sys::status_at(&path).is_ok() && !vacate(name)? {
        return Err(Error::NameTaken { name: name.text.to_owned() });
    }
    let file = sys::unnamed(&directory()).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => Error::NotPermitted { name: name.text.to_owned() },
        _ => no_names("make a file to be named", source),
    })?;
    let access = sys::set_access(file.as_fd(), name.mode, name.group);
    access.map_err(|e| name.refused("set the group and mode of the name", e))?;
    let segment =
        Segment::new_named(file.as_fd(), name.text, name.persists(), name.segment, KINDS)?;
    let made = make(&segment)?;
    crash_point!("name.create.before_link");
    for _ in 0..ATTEMPTS {
        if sys::link(file.as_fd(), &path).map_err(|e| name.refused("give the name", e))? {
            crash_point!("name.create.linked");
            leftovers::take_away(KINDS.layout());
            return Ok(made);
        }
        if !vacate(name)? {
            return Err(Error::NameTaken { name: name.text.to_owned() });
        }
    }
    Err(Error::TimedOut)
}

/// Whether the name is to be had: nobody has it, or only the dead had, whose leavings are cleaned up here.
fn vacate(name: &Name<'_>) -> Result<bool> {
    match enter_clean(name).and_then(|segment| has_root(&segment, name)) {
        Ok(has_root) => Ok(!has_root),
        Err(Error::NoSuchName { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Opens what has the name.
fn open<T>(name: &Name<'_>, take: impl Fn(&Segment) -> Result<T>) -> Result<T> {
    for _ in 0..ATTEMPTS {
        let segment = enter_clean(name)?;
        match take(&segment) {
            // It ended under our hands: the name is free, or somebody else's by now.
            Err(Error::NoSuchObject) => look_again(name, &segment)?,
            taken => return taken,
        }
    }
    Err(Error::TimedOut)
}

/// The same as [`enter`], cleaning up after the dead.
pub(crate) fn enter_clean(name: &Name<'_>) -> Result<Segment> {
    let segment = enter(name)?;
    segment.attachment().reap_patiently()?;
    Ok(segment)
}

/// Takes part in the segment that has the name: with the place that this process has in it already, where it has one.
fn enter(name: &Name<'_>) -> Result<Segment> {
    Segment::joined_own(file_of(name)?, KINDS)
}

/// The file that has the name, of somebody who is trusted.
fn file_of(name: &Name<'_>) -> Result<OwnedFd> {
    let path = name.path()?;
    let file = sys::open(&path).map_err(|e| name.refused("open the name", e))?;
    let status = sys::status(file.as_fd()).map_err(|e| name.refused("look at the name", e))?;
    if !name.is_trusted(status.uid) {
        return Err(Error::ForeignOwner { name: name.text.to_owned(), uid: status.uid });
    }
    Ok(file)
}

/// Whether the object that the segment was made for is still there. If not, nor is the name afterwards, whatever the
/// segment says that it is called.
pub(crate) fn has_root(segment: &Segment, name: &Name<'_>) -> Result<bool> {
    let attachment = segment.attachment();
    if attachment.directory.find(crate::object::ROOT).is_some() {
        return Ok(true);
    }
    if !attachment.mapping.header().is_named() {
        return Err(Error::NotASegment { why: "it was not made to have a name".into() });
    }
    let path = name.path()?;
    // Whoever ended it died, perhaps, before the name was gone.
    let file = attachment.fd()?;
    let taken_away = attachment.with_recovery(|| unlink_if_its(&path, file))?;
    taken_away.map_err(|e| name.refused("take the name away", e))?;
    Ok(false)
}

/// The object that `segment` was made for has ended: the name is free, or somebody else's by now.
///
/// # Errors
///
/// [`Error::NoSuchName`] where it still means this segment: this user may not take it away.
pub(crate) fn look_again(name: &Name<'_>, segment: &Segment) -> Result<()> {
    match has_root(segment, name) {
        Err(Error::NotPermitted { name }) => Err(Error::NoSuchName { name }),
        looked => looked.map(drop),
    }
}
