//! A received message that a fork can leave to both processes.
//!
//! A [`View`] shows a message where it lies: in memory that all processes map. A child that is forked sees the same
//! memory, and not for long: its parent gives the block back when it is done. Whoever hands out pointers into a message, as
//! bindings do whose objects the child inherits, takes the message *apart* first. It lies at an address of its own then; and
//! before a fork it is made private: it stays at its address, belongs to this process and, after the fork, to each of the two,
//! as any other memory does.

use std::fmt;

use crate::message::View;
use crate::sys::window::{Window, page_size};
use crate::{Error, Result};

/// A received message at an address of its own. See [`View::apart`].
///
/// ```
/// use slipring::{ByteQueue, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 1)?;
/// sender.send(&[7; 200_000])?;
/// let message = receiver.recv_view()?.apart().unwrap();
/// assert_eq!(message.len(), 200_000);
///
/// sender.send(b"short")?;
/// // Its block does not begin a page: the view comes back.
/// assert!(receiver.recv_view()?.apart().is_err());
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct Apart {
    window: Window,
    len: usize,
    /// The block, as long as the message lies in it.
    view: Option<View>,
}

impl View {
    /// Maps the message at an address of its own, where it stays while what is returned lives. It is still the same memory,
    /// and nothing is copied. For long messages: it takes two calls of the kernel, and a fault for every few pages.
    ///
    /// ```
    /// use slipring::{ByteQueue, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 4)?;
    /// sender.send(&vec![7; 1 << 20])?;
    /// let mut message = receiver.recv_view()?.apart().unwrap();
    /// let at = message.as_mut_ptr();
    /// message.make_private()?; // to be called before a fork
    /// assert_eq!(message.as_mut_ptr(), at);
    /// assert_eq!(unsafe { at.add((1 << 20) - 1).read() }, 7);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The view itself, where the message does not begin a page (those of up to some KiB do not), or the kernel gives no
    /// mapping.
    pub fn apart(self) -> std::result::Result<Apart, Self> {
        match self.window() {
            Some(window) => Ok(Apart { window, len: self.len(), view: Some(self) }),
            None => Err(self),
        }
    }

    /// The message at an address of its own.
    fn window(&self) -> Option<Window> {
        let (file, offset) = self.place_in_file()?;
        let page = page_size();
        // The rest of the last page is the block's, too: blocks are made of whole pages, or do not begin one.
        let len = self.len().next_multiple_of(page);
        if len == 0 || !offset.is_multiple_of(page as u64) {
            return None;
        }
        Window::open(file, offset, len).ok()
    }
}

impl Apart {
    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first byte; [`Apart::len`] bytes from there may be read and written until this is dropped.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.window.at().as_ptr()
    }

    /// Copies the message to memory of this process, at the same address, and gives its block back. Nothing is lost of what
    /// other threads write meanwhile. The second time this does nothing.
    ///
    /// # Errors
    ///
    /// No memory. The message stays where it is.
    pub fn make_private(&mut self) -> Result<()> {
        let Some(view) = &self.view else { return Ok(()) };
        let Some((file, offset)) = view.place_in_file() else { return Ok(()) };
        let cut = self.window.cut_loose(file, offset);
        cut.map_err(Error::io("copy a message to private memory"))?;
        self.view = None;
        Ok(())
    }
}

impl fmt::Debug for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Apart");
        text.field("len", &self.len).field("is_private", &self.view.is_none()).finish()
    }
}
