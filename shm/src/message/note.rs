//! Note lines: before a receiver takes a message it notes which one, so that its death in between costs no block.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use slipring_core::block::NoteLine;
use slipring_core::owner::OwnerId;

use crate::Result;
use crate::member::Attachment;

/// The note line of one receiving handle. It is free again when this is dropped.
pub(crate) struct Note {
    line: NonNull<NoteLine>,
    /// Whose line it is. In a forked child that is the parent, until the child calls [`Note::renew`].
    me: OwnerId,
    /// Keeps the line mapped.
    attachment: Arc<Attachment>,
}

// SAFETY: the line is shared memory of atomics, mapped as long as the attachment beside it lives.
unsafe impl Send for Note {}

impl Note {
    /// A line of `me`'s.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyHandles`](crate::Error::TooManyHandles).
    pub(crate) fn new(attachment: &Arc<Attachment>, me: OwnerId) -> Result<Self> {
        let line = NonNull::from(attachment.claim_note(me)?);
        Ok(Self { line, me, attachment: attachment.clone() })
    }

    /// After a fork: a line of `me`'s, who is the child. The line that was here stays the parent's.
    ///
    /// # Errors
    ///
    /// As [`Note::new`]: it is still the parent's then.
    pub(crate) fn renew(&mut self, me: OwnerId) -> Result<()> {
        self.line = NonNull::from(self.attachment.claim_note(me)?);
        self.me = me;
        Ok(())
    }
}

impl Deref for Note {
    type Target = NoteLine;

    #[inline]
    fn deref(&self) -> &NoteLine {
        // SAFETY: `claim_note` gave it, and the attachment beside it lives.
        unsafe { self.line.as_ref() }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // In a forked child it is the parent's.
        if self.attachment.me().is_ok_and(|me| me == self.me) {
            self.free(self.me);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Segment;
    use crate::sync::testing::{alone, in_child};

    /// Whose lines there are, in the order of the lines.
    fn owners(attachment: &Attachment) -> Vec<OwnerId> {
        attachment.notes().filter_map(NoteLine::owner).collect()
    }

    #[test]
    fn a_note_has_a_line_until_it_is_dropped() {
        let segment = Segment::create().unwrap();
        let attachment = segment.attachment();
        let me = attachment.me().unwrap();
        let (first, second) = (Note::new(attachment, me).unwrap(), Note::new(attachment, me));
        assert_eq!(owners(attachment), [me, me]);
        drop(first);
        assert_eq!(owners(attachment), [me]);
        drop(second);
        assert!(owners(attachment).is_empty());
    }

    #[test]
    fn a_forked_child_leaves_the_parents_line_alone_and_gets_its_own() {
        alone(|| {
            let segment = Segment::create().unwrap();
            let attachment = segment.attachment();
            let parent = attachment.me().unwrap();
            let mut note = Some(Note::new(attachment, parent).unwrap());
            let mut other = Note::new(attachment, parent).unwrap();
            other.write(1, 7, 0);
            assert!(in_child(|| {
                note = None;
                let Ok(child) = attachment.me() else { return false };
                other.renew(child).is_ok()
                    && owners(attachment) == [parent, parent, child]
                    && other.read().is_none()
            }));
            assert_eq!(owners(attachment)[..2], [parent, parent]);
            assert!(other.read().is_some(), "the child wrote to its own line");
        });
    }
}
