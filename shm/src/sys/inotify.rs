//! The bell of those who watch: inotify on a segment's own file, rung by a read of one byte.
//!
//! It works on memfds and on files with a name, across pid, mount and network namespaces, and needs no descriptor to be
//! handed around: whoever has the segment can ring and can listen. Identical events that nobody has read yet are one
//! event, and only the first of them wakes: read before you look.
//!
//! Newer kernels tell nobody of what happens through the first description of a memfd, the one that `memfd_create`
//! gave. A segment's own descriptor is never that one: each process opens the file anew, for its locks.

use std::io;
#[cfg(feature = "tokio")]
use std::os::fd::OwnedFd;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::held::HeldFd;

/// Bytes of an event of a file that is watched itself: it has no name in it.
const EVENT: usize = 16;
/// `IN_Q_OVERFLOW`: events were lost.
const OVERFLOW: u32 = 0x4000;

/// One inotify instance: the ears of this process.
#[derive(Debug)]
pub(crate) struct Ears(HeldFd);

/// The number of a watch within its instance. The same file has the same one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WatchId(i32);

impl Ears {
    /// An instance that watches nothing.
    pub(crate) fn new() -> io::Result<Self> {
        let ears = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // A watch that nothing ever rings, and that no program has: it tells this instance from others.
        let _ = inotify::add_watch(&ears, "/proc/self/fdinfo", WatchFlags::DELETE_SELF);
        HeldFd::told_by(ears, "inotify wd:").map(Self)
    }

    /// Listens for rings of `file`.
    pub(crate) fn watch(&self, file: BorrowedFd<'_>) -> io::Result<WatchId> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(WatchId(inotify::add_watch(self.0.open()?, path, WatchFlags::ACCESS)?))
    }

    /// No more.
    pub(crate) fn unwatch(&self, watch: WatchId) {
        // Fails where the kernel has taken it away already.
        let _ = self.0.get().map(|ears| inotify::remove_watch(ears, watch.0));
    }

    /// Reads all events there are, and tells which watches they are of; `None` is any of them. Never blocks.
    pub(crate) fn drain(&self, mut each: impl FnMut(Option<WatchId>)) -> io::Result<()> {
        let mut buffer = [0_u8; 64 * EVENT];
        loop {
            let read = match rustix::io::read(self.0.open()?, &mut buffer[..]) {
                Ok(read) => read,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in buffer[..read].chunks_exact(EVENT) {
                let [a, b, c, d, e, f, g, h, ..] = *event else { continue };
                let lost = u32::from_ne_bytes([e, f, g, h]) & OVERFLOW != 0;
                each((!lost).then(|| WatchId(i32::from_ne_bytes([a, b, c, d]))));
            }
            if read < buffer.len() {
                return Ok(());
            }
        }
    }

    /// Another descriptor of the same instance.
    #[cfg(feature = "tokio")]
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        super::file::duplicate(self.0.open()?)
    }
}

impl AsFd for Ears {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Rings for everybody who watches `file`, which has a first byte, and was opened by a path.
pub(crate) fn ring(file: BorrowedFd<'_>) -> io::Result<()> {
    super::file::read_at(file, &mut [0], 0).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{file, memory};

    fn heard(ears: &Ears) -> Vec<Option<WatchId>> {
        let mut all = Vec::new();
        ears.drain(|watch| all.push(watch)).unwrap();
        all
    }

    #[test]
    fn a_ring_through_any_description_of_the_file_is_heard_until_it_is_read() {
        let (one, other) = (memory::memfd("one").unwrap(), memory::memfd("other").unwrap());
        for file in [&one, &other] {
            memory::set_size(file.as_fd(), 4096).unwrap();
        }
        let (again, other) =
            (file::reopen(one.as_fd()).unwrap(), file::reopen(other.as_fd()).unwrap());
        let twice = file::reopen(one.as_fd()).unwrap();
        let ears = Ears::new().unwrap();
        let watch = ears.watch(one.as_fd()).unwrap();
        assert_eq!(ears.watch(again.as_fd()).unwrap(), watch, "the same file");
        assert!(heard(&ears).is_empty());
        ring(again.as_fd()).unwrap();
        ring(twice.as_fd()).unwrap();
        ring(other.as_fd()).unwrap();
        assert_eq!(heard(&ears), [Some(watch)], "rings that nobody heard yet are one");
        assert!(heard(&ears).is_empty());
        let second = ears.watch(other.as_fd()).unwrap();
        for _ in 0..200 {
            ring(again.as_fd()).unwrap();
            ring(other.as_fd()).unwrap();
        }
        let all = heard(&ears);
        assert_eq!(all.len(), 400);
        assert!(all.chunks(2).all(|pair| pair == [Some(watch), Some(second)]));
        ears.unwatch(watch);
        heard(&ears);
        ring(again.as_fd()).unwrap();
        assert!(heard(&ears).is_empty());
    }
}
