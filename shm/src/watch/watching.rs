//! One object with one descriptor, for event loops.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::Waker;

use slipring_core::owner::OwnerId;

use super::hub::{self, Place};
use super::set::FlagWaker;
use super::{Source, Waitable};
use crate::sys::held::HeldFd;
use crate::sys::wakeup::{self, Flag};
use crate::wait::SLICE;
use crate::{Error, Result};

/// An object with a descriptor of its own, for `poll`, `select`, `epoll` and every event loop.
///
/// The descriptor is **level-triggered**: it is readable while the object is ready ([`watch`](super) says what that means
/// for which kind), and stays so until [`Watch::ready`] has said `false`. It may be readable in vain; so, whenever it is,
/// call [`Watch::ready`], and then something that does not wait. Nothing is to be read from it.
///
/// Where the object became ready and a sleeper somewhere was woken for it, who takes it in a moment, this need not be told.
///
/// # Costs
///
/// Three descriptors, one of which is a timer of 50 ms: an event loop that waits for it is woken 20 times a second, as
/// every blocked call is, to find out what nobody told, because its teller was killed, and who is dead. The timer rests
/// while nobody calls [`Watch::ready`]. Every ring in a segment makes all watches of a process readable; each then looks
/// at its own object. While the object is not ready, who makes it so rings (some 0.3 µs).
///
/// # Fork
///
/// In a child a watch is made anew at its first call there: the descriptor is another one. What the child does with its own,
/// or with the one that it inherited, its parent does not notice.
///
/// # Examples
///
/// ```
/// use rustix::event::{PollFd, PollFlags, Timespec, poll};
/// use slipring::{ByteQueue, Error, Segment, Watch};
///
/// let segment = Segment::create()?;
/// let (mut sender, receiver) = ByteQueue::bounded(&segment, 8)?;
/// let mut watch = Watch::new(receiver)?;
/// assert!(!watch.ready()?);
///
/// sender.send(b"hello")?;
/// // What an event loop does:
/// let fd = watch.as_fd()?;
/// assert_eq!(poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], None).unwrap(), 1);
/// assert!(watch.ready()?);
/// assert_eq!(watch.get_mut().try_recv()?, b"hello");
/// assert!(!watch.ready()?);
/// # Ok::<(), Error>(())
/// ```
pub struct Watch<T: Waitable> {
    // Dropped first: it leaves the lines while the object's memory is sure to be there.
    eyes: Eyes,
    object: T,
}

/// What one process needs to watch.
struct Eyes {
    /// Whose they are: in a forked child, nobody's.
    me: OwnerId,
    place: Place,
    any: HeldFd,
    flag: Arc<FlagWaker>,
    waker: Waker,
    timer: HeldFd,
}

impl Eyes {
    fn new(object: &dyn Waitable) -> Result<Self> {
        let me = object.attachment().me()?;
        let failed = "make a descriptor for an event loop";
        let flag = Arc::new(FlagWaker(Flag::new().map_err(Error::io(failed))?));
        let timer = wakeup::timer(SLICE).map_err(Error::io(failed))?;
        // The hub keeps them open for as long as this process lives.
        let ears = hub::ears()?;
        let readable = [ears.as_fd(), flag.0.as_fd(), timer.as_fd()];
        let sockets: Vec<_> = object.socket().into_iter().collect();
        let any = wakeup::any(&readable, &sockets).map_err(Error::io(failed))?;
        let waker = Waker::from(flag.clone());
        Ok(Self { me, place: Place::onlooker(), any, flag, waker, timer })
    }

    /// Whether the object is ready. If not, the descriptor is unreadable until that may have changed.
    fn look(&mut self, object: &dyn Waitable) -> Result<bool> {
        if object.is_ready() {
            self.flag.0.set();
            return Ok(true);
        }
        // What is set later makes it readable again.
        self.flag.0.clear();
        if self.timer.get().is_some_and(wakeup::clear_timer) {
            object.attachment().reap();
        }
        hub::listen();
        loop {
            let sure = self.place.stand([object as &dyn Source], &self.waker)?.is_empty();
            if object.is_ready() {
                self.flag.0.set();
                return Ok(true);
            }
            if sure || !object.may_have_missed() {
                return Ok(false);
            }
            // Somebody took it between the two looks.
            std::thread::yield_now();
        }
    }
}

impl<T: Waitable> Watch<T> {
    /// Watches `object`: for instance a clone of the handle that is worked with.
    ///
    /// # Errors
    ///
    /// [`Error::CannotWatch`] where the kernel gives no inotify instance, no descriptors left, [`Error::Forked`].
    pub fn new(object: T) -> Result<Self> {
        let mut eyes = Eyes::new(&object)?;
        // From the first moment on it is readable if the object is ready.
        eyes.look(&object)?;
        Ok(Self { eyes, object })
    }

    /// Whether the object is ready: the descriptor stays readable then. If not, it becomes readable as soon as that may
    /// have changed. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::CannotWatch`], [`Error::Forked`].
    pub fn ready(&mut self) -> Result<bool> {
        self.open_eyes()?;
        self.eyes.look(&self.object)
    }

    /// The descriptor. It is this watch's, and closed with it.
    ///
    /// # Errors
    ///
    /// As [`Watch::new`], in a forked child.
    pub fn as_fd(&mut self) -> Result<BorrowedFd<'_>> {
        self.open_eyes()?;
        Ok(self.eyes.any.as_fd())
    }

    /// The object.
    pub fn get_ref(&self) -> &T {
        &self.object
    }

    /// The object, to work with.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.object
    }

    /// The object, no longer watched.
    pub fn into_inner(self) -> T {
        self.object
    }

    /// After a fork, nothing that was the parent's is ours: an epoll instance is one and the same in both.
    fn open_eyes(&mut self) -> Result<()> {
        if self.object.attachment().me()? != self.eyes.me {
            self.eyes = Eyes::new(&self.object)?;
            self.eyes.look(&self.object)?;
        }
        Ok(())
    }
}

impl<T: Waitable + fmt::Debug> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("object", &self.object).finish_non_exhaustive()
    }
}
