//! What those who watch a pipe watch: the other handles' turns, the bell, and the room.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use slipring_core::primitive::FenceMode;
use slipring_core::sync::Bell;

use super::room;
use super::{Connection, PipeReader, PipeWriter};
use crate::Result;
use crate::member::Attachment;
use crate::watch::sealed::Waitable;
use crate::watch::{Calm, Source, Spot};

impl PipeWriter {
    /// A descriptor of a duplex pipe's end, or of an end that only sends, for `poll`, `select`, `epoll` and event loops: writable
    /// while there is room for a message. When there was none it is writable again once the reader has emptied three quarters.
    /// Only wait for it: nothing is to be written to it.
    ///
    /// It is the same as [`PipeWriter::as_fd`]; from the first call on senders and receivers look after the room. Of a duplex
    /// pipe it is readable as the reader's descriptor is, where that was asked for.
    ///
    /// # Errors
    ///
    /// [`Error::DescriptorsClosed`](crate::Error::DescriptorsClosed), [`Error::Forked`](crate::Error::Forked).
    ///
    /// # Examples
    ///
    /// ```
    /// use rustix::event::{PollFd, PollFlags, Timespec, poll};
    /// use slipring::{Pipe, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut reader, mut writer) = Pipe::one_way(&segment)?;
    /// let is_writable = |fd: std::os::fd::BorrowedFd<'_>| {
    ///     poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], Some(&Timespec::default())).unwrap() == 1
    /// };
    /// assert!(is_writable(writer.room_fd()?));
    /// while writer.try_send(&[7; 1000]).is_ok() {}
    /// assert!(!is_writable(writer.room_fd()?));
    /// while reader.try_recv().is_ok() {}
    /// assert!(is_writable(writer.room_fd()?));
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn room_fd(&self) -> Result<BorrowedFd<'_>> {
        room::watch(self.end())
    }
}

impl Calm for PipeReader {
    fn bell(&self) -> &Bell {
        &self.end().lane.words().bell
    }

    fn ask(&self) -> u32 {
        let word = self.bell().ask();
        if !Bell::was_rung(word) || !self.end().lane.ring.is_empty() {
            return word;
        }
        self.arrivals().calm();
        self.bell().ask()
    }

    fn fences(&self) -> FenceMode {
        self.attachment().fences
    }
}

impl Source for PipeReader {
    fn attachment(&self) -> &Arc<Attachment> {
        self.end().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        each(Spot::Mutex(&self.end().lane.words().recv))?;
        each(Spot::Pipe(self))
    }

    fn may_have_missed(&self) -> bool {
        // A turn that is free is not waited for. So a look that failed because of somebody's turn, which has begun
        // since, or has begun and ended, has to be made again.
        let end = self.end();
        !end.lane.ring.is_empty() || !end.may_have_turn(|words| &words.recv)
    }
}

impl Waitable for PipeReader {
    fn is_ready(&self) -> bool {
        let (end, is_empty) = (self.end(), self.end().lane.ring.is_empty());
        if is_empty { end.probe_open().is_err() } else { end.may_have_turn(|words| &words.recv) }
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.end().socket().ok()
    }
}

impl Source for PipeWriter {
    fn attachment(&self) -> &Arc<Attachment> {
        self.end().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        each(Spot::Mutex(&self.end().lane.words().send))?;
        each(Spot::Count(self.end().lane.ring.not_full(), self.attachment().fences))
    }

    fn may_have_missed(&self) -> bool {
        // As for a reader. Where there is less room than this the reader's next release wakes.
        has_room(self) || !self.end().may_have_turn(|words| &words.send)
    }
}

fn has_room(writer: &PipeWriter) -> bool {
    room::has_room(&writer.end().lane.ring)
}

impl Waitable for PipeWriter {
    fn is_ready(&self) -> bool {
        let end = self.end();
        has_room(self) && end.may_have_turn(|words| &words.send) || end.probe_open().is_err()
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.end().socket().ok()
    }
}

impl Source for Connection {
    fn attachment(&self) -> &Arc<Attachment> {
        self.reader().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        self.reader().spots(each)
    }

    fn may_have_missed(&self) -> bool {
        self.reader().may_have_missed()
    }
}

impl Waitable for Connection {
    fn is_ready(&self) -> bool {
        self.reader().is_ready()
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.reader().socket()
    }
}
