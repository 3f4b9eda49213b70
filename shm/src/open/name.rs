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
//! As long as anybody has a handle of its object. The last one takes it away; where that one was killed, whoever comes
//! next does, to whom it is as if there had been none. With [`Name::persist`] the object and what is in it stay until
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
use std::path::PathBuf;

use crate::member::fork;
use crate::member::recovery_lock::{self, LONG_PATIENCE};
use crate::member::ticket::Nameable;
pub use crate::memory::directory;
use crate::memory::{Mapping, PREFIX, is_segment, path_of, unlink_if_its};
use crate::open::KINDS;
use crate::sys::name as sys;
use crate::{Error, Result, Segment, SegmentOptions};

pub(crate) mod socket;

/// So often a name can change hands under somebody who opens or creates it before that one gives up.
const ATTEMPTS: u32 = 1000;

/// A name, and how what it names is to be made and opened. Made from a `&str`; the rest is optional.
///
/// ```
/// use slipring::{ByteSender, Name, Named, QueueOptions};
///
/// # let text = format!("doc-group-{}", std::process::id());
/// # let text = text.as_str();
/// let name = Name::new(text).mode(0o660);
/// let sender = ByteSender::open_or_create(name, QueueOptions::unbounded())?;
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    text: &'a str,
    mode: u32,
    group: Option<u32>,
    persists: bool,
    trusted: Option<u32>,
    segment: SegmentOptions,
}

impl<'a> Name<'a> {
    /// A name of 1 to 128 bytes without `/` and NUL. It is looked at when it is used.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            mode: 0o600,
            group: None,
            persists: false,
            trusted: None,
            segment: SegmentOptions::new(),
        }
    }

    /// Who may use what is created: permission bits of the file. Reading and writing go together: both are needed.
    #[must_use]
    pub fn mode(mut self, bits: u32) -> Self {
        self.mode = bits & 0o777;
        self
    }

    /// The group, by its number, that the file is to belong to when it is created.
    #[must_use]
    pub fn group(mut self, gid: u32) -> Self {
        self.group = Some(gid);
        self
    }

    /// Has what is created stay when nobody has a handle any more, until [`unlink`].
    #[must_use]
    pub fn persist(mut self) -> Self {
        self.persists = true;
        self
    }

    /// Opens the file also where it belongs to this user, by number. One's own files and root's are trusted anyway.
    #[must_use]
    pub fn trust(mut self, uid: u32) -> Self {
        self.trusted = Some(uid);
        self
    }

    /// How large what is created may become.
    #[must_use]
    pub fn segment(mut self, options: SegmentOptions) -> Self {
        self.segment = options;
        self
    }

    fn path(&self) -> Result<PathBuf> {
        path_of(self.text)
    }

    /// Its file, for looking only.
    pub(crate) fn open_for_reading(&self) -> Result<(OwnedFd, sys::Status)> {
        let file = sys::open_for_reading(&self.path()?);
        let file = file.map_err(|e| self.refused("open the name", e))?;
        let status = sys::status(file.as_fd()).map_err(|e| self.refused("look at the name", e))?;
        Ok((file, status))
    }

    /// Whether what is created is to stay when nobody has a handle any more.
    pub(crate) fn persists(&self) -> bool {
        self.persists
    }

    fn is_trusted(&self, uid: u32) -> bool {
        uid == 0 || uid == sys::user() || self.trusted == Some(uid)
    }

    /// A sentence about this name for what the kernel said.
    fn refused(&self, op: &'static str, source: io::Error) -> Error {
        let name = self.text.to_owned();
        match source.kind() {
            _ if sys::is_symlink(&source) => {
                Error::NotASegment { why: "it is a symbolic link".into() }
            }
            io::ErrorKind::NotFound => Error::NoSuchName { name },
            io::ErrorKind::PermissionDenied => Error::NotPermitted { name },
            io::ErrorKind::IsADirectory => Error::NotASegment { why: "it is a directory".into() },
            _ => Error::Io { op, source },
        }
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text)
    }
}

impl<'a> From<&'a String> for Name<'a> {
    fn from(text: &'a String) -> Self {
        Self::new(text)
    }
}

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
    let gone =
        recovery_lock::with(file.as_fd(), LONG_PATIENCE, || unlink_if_its(&path, file.as_fd()));
    gone?.map_err(|e| name.refused("take the name away", e))
}

/// What [`clean`] did.
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
/// the name does the same: this is for those who want to see a tidy directory.
///
/// # Errors
///
/// As [`Named::open`], but for the kind.
pub fn clean<'a>(name: impl Into<Name<'a>>) -> Result<Cleaned> {
    let name = name.into();
    let segment = enter(&name)?;
    let participants = segment.participants();
    let dead = participants.iter().filter(|p| p.is_dead).map(|p| p.pid).collect();
    segment.attachment().reap_patiently()?;
    let is_gone = !has_root(&segment, &name)?;
    let in_use = segment.participants().iter().any(|p| !p.is_me);
    let persists = !is_gone && !in_use && segment.attachment().mapping.header().persists();
    Ok(Cleaned { dead, is_gone, persists })
}

/// All names that there are, whoever they belong to, in order.
///
/// # Errors
///
/// [`Error::NoNames`].
pub fn names() -> Result<Vec<String>> {
    let unreadable = |source| Error::NoNames { directory: directory(), source };
    let files = sys::list(&directory()).map_err(unreadable)?;
    let names = files.iter().filter_map(|file| file.to_str()?.strip_prefix(PREFIX));
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
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
        _ => Error::NoNames { directory: directory(), source },
    })?;
    let access = sys::set_access(file.as_fd(), name.mode, name.group);
    access.map_err(|e| name.refused("set the group and mode of the name", e))?;
    let segment = Segment::new_named(file.as_fd(), name.text, name.persists, name.segment, KINDS)?;
    let made = make(&segment)?;
    crash_point!("name.create.before_link");
    for _ in 0..ATTEMPTS {
        if sys::link(file.as_fd(), &path).map_err(|e| name.refused("give the name", e))? {
            crash_point!("name.create.linked");
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
fn enter_clean(name: &Name<'_>) -> Result<Segment> {
    let segment = enter(name)?;
    segment.attachment().reap_patiently()?;
    Ok(segment)
}

/// Takes part in the segment that has the name.
fn enter(name: &Name<'_>) -> Result<Segment> {
    Segment::join(Mapping::attach_own(file_of(name)?, KINDS.layout())?, KINDS)
}

/// This process's place in the segment that has the name, a new one where it has none; cleaned up after the dead.
pub(crate) fn visit(name: &Name<'_>) -> Result<Segment> {
    let file = file_of(name)?;
    let segment = match fork::attached_to(file.as_fd())? {
        Some(attachment) => Segment::of(&attachment),
        None => Segment::join(Mapping::attach_own(file, KINDS.layout())?, KINDS)?,
    };
    segment.attachment().reap_patiently()?;
    Ok(segment)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteReceiver, ByteSender, Event, Mutex, OrRecover, QueueOptions};

    fn unique(what: &str) -> String {
        format!("test-{what}-{}", std::process::id())
    }

    #[test]
    fn names_that_can_be_none_are_refused_with_the_reason() {
        let long = "x".repeat(129);
        for (text, word) in [("", "empty"), ("a/b", "slash"), ("a\0b", "NUL"), (&long, "128")] {
            let error = Event::create(text, ()).unwrap_err();
            assert!(matches!(error, Error::BadName { why } if why.contains(word)), "{text:?}");
            assert!(matches!(Event::open(text), Err(Error::BadName { .. })));
            assert!(matches!(unlink(text), Err(Error::BadName { .. })));
        }
        let longest = format!("{:-<128}", unique("long"));
        drop(Event::create(&longest, ()).unwrap());
    }

    #[test]
    fn a_name_is_taken_once_opened_often_and_gone_with_the_last_handle() {
        let name = unique("once");
        let one = Mutex::<u64>::create(&name, 7).unwrap();
        assert!(matches!(Mutex::<u64>::create(&name, 8), Err(Error::NameTaken { .. })));
        assert!(names().unwrap().contains(&name));
        let two = Mutex::<u64>::open(&name).unwrap();
        two.lock().or_recover().unwrap().set(9);
        assert_eq!(one.lock().or_recover().unwrap().get(), 9);
        drop(one);
        let three = Mutex::<u64>::open_or_create(&name, 1).unwrap();
        assert_eq!(three.lock().or_recover().unwrap().get(), 9);
        drop((two, three));
        assert!(matches!(Mutex::<u64>::open(&name), Err(Error::NoSuchName { .. })));
        assert!(!names().unwrap().contains(&name));
    }

    #[test]
    fn another_kind_and_another_type_are_errors() {
        let name = unique("kind");
        let _event = Event::create(&name, ()).unwrap();
        let error = ByteSender::open(&name).unwrap_err();
        assert!(matches!(error, Error::WrongKind { wanted: "queue", found: "event" }), "{error}");
        let other = unique("type");
        let _mutex = Mutex::<u64>::create(&other, 0).unwrap();
        assert!(matches!(Mutex::<u32>::open(&other), Err(Error::TypeMismatch { .. })));
    }

    #[test]
    fn a_queue_with_a_name_has_the_sides_that_somebody_opened() {
        let name = unique("sides");
        let mut rx = ByteReceiver::create(&name, QueueOptions::bounded(2)).unwrap();
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)), "a sender may come");
        let mut tx = ByteSender::open(&name).unwrap();
        tx.send(b"one").unwrap();
        drop(tx);
        assert_eq!(rx.recv().unwrap(), b"one");
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
        let mut tx = ByteSender::open(&name).unwrap();
        tx.send(b"two").unwrap();
        assert_eq!(rx.recv().unwrap(), b"two", "another one came");
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    }

    #[test]
    fn a_side_that_nobody_has_had_is_waited_for_whoever_comes_and_goes_on_the_other() {
        let name = unique("first");
        let mut rx = ByteReceiver::create(&name, QueueOptions::bounded(2)).unwrap();
        drop(ByteReceiver::open(&name).unwrap());
        assert!(matches!(
            ByteReceiver::create(&name, QueueOptions::bounded(2)),
            Err(Error::NameTaken { .. })
        ));
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)), "the first sender may still come");
        drop(rx);
        let mut tx = ByteSender::create(&name, QueueOptions::bounded(2)).unwrap();
        drop(ByteSender::open(&name).unwrap());
        tx.send(b"one").unwrap();
        drop(ByteReceiver::open(&name).unwrap());
        assert!(matches!(tx.send(b"two"), Err(Error::Disconnected)), "now there was one");
    }

    #[test]
    fn so_it_is_with_queues_that_have_an_order() {
        let (name, options) = (unique("ordered"), crate::OrderedOptions::bounded(2));
        let mut rx = crate::ByteLifoReceiver::create(&name, options).unwrap();
        drop(crate::ByteLifoReceiver::open(&name).unwrap());
        let error = crate::ByteLifoReceiver::create(&name, options).unwrap_err();
        assert!(matches!(error, Error::NameTaken { .. }), "{error}");
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)), "the first sender may still come");
        drop(crate::ByteLifoSender::open(&name).unwrap());
        assert!(matches!(rx.try_recv(), Err(Error::Disconnected)), "now there was one");
    }

    #[test]
    fn what_is_to_stay_stays_with_its_messages_until_it_is_unlinked() {
        let name = unique("stay");
        let stays = Name::new(&name).persist();
        let mut tx = ByteSender::create(stays, QueueOptions::unbounded()).unwrap();
        tx.send(b"later").unwrap();
        drop(tx);
        assert!(matches!(
            ByteSender::create(&name, QueueOptions::unbounded()),
            Err(Error::NameTaken { .. })
        ));
        assert_eq!(ByteReceiver::open(&name).unwrap().try_recv().unwrap(), b"later");
        unlink(&name).unwrap();
        assert!(matches!(unlink(&name), Err(Error::NoSuchName { .. })));
    }

    #[test]
    fn who_has_a_handle_keeps_the_object_when_its_name_is_given_to_another() {
        let name = unique("successor");
        let first = Mutex::<u64>::create(&name, 1).unwrap();
        unlink(&name).unwrap();
        let second = Mutex::<u64>::create(&name, 2).unwrap();
        assert_eq!(first.lock().or_recover().unwrap().get(), 1);
        drop(first);
        assert_eq!(Mutex::<u64>::open(&name).unwrap().lock().or_recover().unwrap().get(), 2);
        drop(second);
        assert!(matches!(Mutex::<u64>::open(&name), Err(Error::NoSuchName { .. })));
    }

    #[test]
    fn a_file_that_is_no_segment_is_neither_opened_nor_replaced_nor_removed() {
        let name = unique("foreign");
        let path = Name::new(&name).path().unwrap();
        std::fs::write(&path, "something else").unwrap();
        let opened = Event::open(&name).unwrap_err();
        let created = Event::create(&name, ()).unwrap_err();
        let unlinked = unlink(&name).unwrap_err();
        for error in [opened, created, unlinked] {
            assert!(matches!(error, Error::NotASegment { .. }), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"something else");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(matches!(Event::open(&name), Err(Error::NotASegment { .. })));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(Event::open(&name), Err(Error::NotASegment { .. })));
        std::fs::remove_dir(&path).unwrap();
    }

    #[test]
    fn a_file_of_another_user_is_opened_only_where_that_user_is_trusted() {
        const SOMEBODY: u32 = 12345;
        let name = unique("owner");
        let path = Name::new(&name).path().unwrap();
        let _event = Event::create(&name, ()).unwrap();
        if std::os::unix::fs::chown(&path, Some(SOMEBODY), None).is_err() {
            println!("skipped: only root can give a file away");
            return;
        }
        for error in [Event::open(&name).unwrap_err(), Event::create(&name, ()).unwrap_err()] {
            assert!(matches!(error, Error::ForeignOwner { uid: SOMEBODY, .. }), "{error}");
        }
        let wrong = Event::open(Name::new(&name).trust(SOMEBODY + 1)).unwrap_err();
        assert!(matches!(wrong, Error::ForeignOwner { .. }), "{wrong}");
        assert!(Event::open(Name::new(&name).trust(SOMEBODY)).is_ok());
    }

    #[test]
    fn a_name_of_another_version_is_neither_opened_nor_replaced() {
        let name = unique("version");
        let path = Name::new(&name).path().unwrap();
        let _event = Event::create(&name, ()).unwrap();
        let file = sys::open(&path).unwrap();
        let version = |number: u32| {
            crate::sys::file::write_at(file.as_fd(), &number.to_ne_bytes(), 8).unwrap();
        };
        version(77);
        for error in [Event::open(&name).unwrap_err(), Event::create(&name, ()).unwrap_err()] {
            assert!(matches!(error, Error::AbiVersion { theirs: 77, .. }), "{error}");
        }
        version(crate::memory::ABI_VERSION);
        assert!(Event::open(&name).is_ok());
    }

    #[test]
    fn mode_and_group_are_as_asked_for() {
        let name = unique("mode");
        let asked = Name::new(&name).mode(0o664);
        let _event = Event::create(asked, ()).unwrap();
        let other = unique("plain");
        let _other = Event::create(&other, ()).unwrap();
        let mode = |name: &str| sys::status_at(&Name::new(name).path().unwrap()).unwrap().mode;
        assert_eq!((mode(&name), mode(&other)), (0o664, 0o600));
    }

    #[test]
    fn a_name_whose_object_a_peer_gone_mad_has_ended_is_free_at_once() {
        let name = unique("ended");
        let path = Name::new(&name).path().unwrap();
        let event = Event::create(&name, ()).unwrap();
        let (segment, file) = (event.segment(), sys::open(&path).unwrap());
        let region =
            segment.attachment().mapping.geometry().region(crate::memory::Region::Directory);
        let scribble = |at, word: u32| {
            crate::sys::file::write_at(file.as_fd(), &word.to_ne_bytes(), at).unwrap();
        };
        // The object's entry is free, and the segment has another name.
        scribble(region.0 + 128, 0);
        scribble(264, 0x7878_7878);
        let before = crate::sys::clock::now();
        assert!(matches!(Event::open(&name), Err(Error::NoSuchName { .. })));
        assert!(sys::status_at(&path).is_err(), "whoever came took it away");
        let anew = Event::create(&name, ()).unwrap();
        assert!(
            crate::sys::clock::now() - before < 5_000_000_000,
            "it was not tried a thousand times"
        );
        drop(event);
        assert!(Event::open(&name).is_ok(), "the old one took nobody's name away");
        drop(anew);
    }

    #[test]
    fn a_segment_that_was_not_made_to_have_a_name_keeps_its_file() {
        let name = unique("nameless");
        let path = Name::new(&name).path().unwrap();
        let options = std::fs::File::options().read(true).write(true).create_new(true).clone();
        let file = options.open(&path).unwrap();
        let segment = Segment::create_in(&file, SegmentOptions::new().reserve(64 << 20)).unwrap();
        assert!(matches!(Event::open(&name), Err(Error::NotASegment { .. })));
        assert!(matches!(Event::create(&name, ()), Err(Error::NotASegment { .. })));
        drop(segment);
        std::fs::remove_file(&path).unwrap();
    }
}
