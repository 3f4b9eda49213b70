//! A thread's wait for several objects.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::hub::{self, Place};
use super::{Source, Waitable};
use crate::sys::clock::{self, Deadline};
use crate::sys::inotify::Ears;
use crate::sys::wakeup::{self, Flag, Found};
use crate::wait::{SLICE, Until};
use crate::{Error, Result};

/// Waits until one of `objects` is ready, and returns its index: the first one's, where several are. See the
/// [module](super).
///
/// # Errors
///
/// [`Error::TimedOut`]; with [`Until::NOW`] it is [`Error::WouldBlock`]. [`Error::CannotWatch`] where the kernel gives no
/// inotify instance. [`Error::Interrupted`], [`Error::Forked`].
///
/// # Panics
///
/// Where there is nothing to wait for.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use slipring::{Error, Pipe, Segment, Semaphore, Until, wait_any};
///
/// let segment = Segment::create()?;
/// let (reader, mut writer) = Pipe::one_way(&segment)?;
/// let permits = Semaphore::new(&segment, 0)?;
/// assert!(matches!(wait_any(&[&permits, &reader], Until::NOW), Err(Error::WouldBlock)));
///
/// let short = Duration::from_millis(1);
/// assert!(matches!(wait_any(&[&permits, &reader], short), Err(Error::TimedOut)));
/// writer.send(b"hello")?;
/// assert_eq!(wait_any(&[&permits, &reader], Until::NEVER)?, 1);
/// permits.release(1)?;
/// assert_eq!(wait_any(&[&permits, &reader], Until::NEVER)?, 0);
/// # Ok::<(), Error>(())
/// ```
pub fn wait_any(objects: &[&dyn Waitable], until: impl Into<Until>) -> Result<usize> {
    assert!(!objects.is_empty(), "there is nothing to wait for");
    let until = until.into();
    check_forked(objects)?;
    match ready_one(objects) {
        Some(index) => Ok(index),
        None if until.is_now() => Err(Error::WouldBlock),
        None => WaitSet::new(objects)?.wait(until),
    }
}

/// Objects that a thread or an event loop waits for again and again.
///
/// It keeps its place in the lines of all its objects, where [`wait_any`] comes and goes with each call; and it has a
/// descriptor, for `poll`, `select`, `epoll` and every event loop: readable when it is time to call [`WaitSet::ready`].
///
/// An event loop should call [`WaitSet::ready`] every 50 ms in any case: what was not told, because its teller was
/// killed just before, is found out then. [`WaitSet::wait`] does so by itself.
///
/// # Examples
///
/// ```
/// use slipring::watch::WaitSet;
/// use slipring::{ByteQueue, Event, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, receiver) = ByteQueue::bounded(&segment, 1)?;
/// let event = Event::new(&segment)?;
/// let mut set = WaitSet::new(&[&event, &receiver])?;
/// assert_eq!(set.ready()?, None);
///
/// sender.send(b"hello")?;
/// // What an event loop does:
/// let fds = set.as_fds().map(|fd| rustix::event::PollFd::from_borrowed_fd(fd, rustix::event::PollFlags::IN));
/// assert!(rustix::event::poll(&mut Vec::from(fds), None).unwrap() > 0);
/// assert_eq!(set.ready()?, Some(1));
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct WaitSet<'a> {
    objects: Vec<&'a dyn Waitable>,
    place: Place,
    ears: Arc<Ears>,
    flag: Arc<FlagWaker>,
    waker: Waker,
}

/// Wakes the thread, or the event loop, that has the set.
pub(super) struct FlagWaker(pub(super) Flag);

impl Wake for FlagWaker {
    fn wake(self: Arc<Self>) {
        self.0.set();
    }
}

impl<'a> WaitSet<'a> {
    /// A set of these objects.
    ///
    /// # Errors
    ///
    /// [`Error::CannotWatch`] where the kernel gives no inotify instance, no descriptors left, [`Error::Forked`].
    pub fn new(objects: &[&'a dyn Waitable]) -> Result<Self> {
        let flag = Flag::new().map_err(Error::io("make a descriptor to be woken by"))?;
        let flag = Arc::new(FlagWaker(flag));
        let (ears, waker) = (hub::ears()?, Waker::from(flag.clone()));
        Ok(Self { objects: objects.to_vec(), place: Place::new(), ears, flag, waker })
    }

    /// The first of the objects that is ready, by its index. When none is, one of the descriptors becomes readable as
    /// soon as that may have changed. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::CannotWatch`], [`Error::Forked`].
    pub fn ready(&mut self) -> Result<Option<usize>> {
        check_forked(&self.objects)?;
        // What is set later makes it readable again.
        self.flag.0.clear();
        hub::listen();
        loop {
            let sources = self.objects.iter().map(|object| *object as &dyn Source);
            let unsure = self.place.stand(sources, &self.waker)?;
            let ready = ready_one(&self.objects);
            if ready.is_none() && !unsure.iter().any(|index| self.objects[*index].may_have_missed())
            {
                return Ok(None);
            }
            if ready.is_some() {
                self.place.pass_on();
                return Ok(ready);
            }
            // Somebody took it between the two looks.
            std::thread::yield_now();
        }
    }

    /// Waits until one of the objects is ready, and returns its index.
    ///
    /// # Errors
    ///
    /// As [`wait_any`].
    pub fn wait(&mut self, until: impl Into<Until>) -> Result<usize> {
        let until = until.into();
        loop {
            if let Some(index) = self.ready()? {
                return Ok(index);
            }
            if until.is_now() {
                return Err(Error::WouldBlock);
            }
            self.sleep(until.deadline())?;
        }
    }

    /// What to wait for until it is readable: either of the two.
    pub fn as_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.ears.as_fd(), self.flag.0.as_fd()]
    }

    /// One slice.
    fn sleep(&self, deadline: Option<Deadline>) -> Result<()> {
        if deadline.is_some_and(clock::has_passed) {
            return Err(Error::TimedOut);
        }
        let end = clock::deadline_in(SLICE);
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        let sockets: Vec<_> = self.objects.iter().filter_map(|object| object.socket()).collect();
        let found = wakeup::wait(&self.as_fds(), &sockets, end).map_err(Error::io("wait"))?;
        match found {
            Found::Something => {}
            Found::TimedOut => {
                self.objects.iter().for_each(|object| object.attachment().reap());
                hub::look();
            }
            Found::Interrupted => {
                let ends = |object: &&dyn Waitable| object.attachment().interruptible();
                if self.objects.iter().any(ends) {
                    return Err(Error::Interrupted);
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for WaitSet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitSet").field("objects", &self.objects.len()).finish_non_exhaustive()
    }
}

fn ready_one(objects: &[&dyn Waitable]) -> Option<usize> {
    objects.iter().position(|object| object.is_ready())
}

fn check_forked(objects: &[&dyn Waitable]) -> Result<()> {
    objects.iter().try_for_each(|object| object.attachment().me().map(drop))
}
