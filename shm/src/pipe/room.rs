//! Room in a pipe as the kernel shows it: an end's socket is writable while there is some.
//!
//! A Unix socket is writable while what was sent through it, and not received, takes at most a quarter of its buffer. Here that
//! buffer is as small as the kernel allows. The one byte of a bell fits a quarter of it, and three bytes do not, for each takes
//! its own piece of memory. So a sender that has filled half of the ring puts two bytes more into the socket, the *mark*, and a
//! reader that has emptied it to a quarter takes them out again. What the bytes are means nothing to anybody.
//!
//! All this is done only once somebody has asked for the descriptor.
//!
//! The sender says in the bell's word that there is a mark, and then writes it; the message that fills the ring comes
//! after that. So a reader that takes this message knows of the mark. A reader that unmarked before the bytes were there is
//! found out by the sender, who has the socket looked at as after a death.

use std::os::fd::BorrowedFd;

use slipring_core::ring::spsc_records::Records;

use super::end::End;
use crate::sys::socket::{self, Received};
use crate::{Error, Result};

/// Bytes of a mark.
const MARK: usize = 2;

/// No message takes more than half of the ring, with what is left unused at its end.
pub(super) fn has_room(ring: &Records) -> bool {
    ring.used() <= ring.size() / 2
}

/// The end's socket, which senders and readers keep writable while there is room from now on.
pub(super) fn watch(end: &End) -> Result<BorrowedFd<'_>> {
    let socket = end.socket()?;
    end.attachment().me()?;
    let bell = &end.lane.words().bell;
    if !bell.is_room_watched() {
        socket::make_buffer_small(socket).map_err(Error::io("watch a pipe for room"))?;
        bell.watch_room();
        // Whoever has a turn marks with its next message.
        if let Some((_turn, _)) = end.try_turn(|words| &words.send)
            && !has_room(&end.lane.ring)
        {
            mark(end);
        }
    }
    Ok(socket)
}

/// Sender, in its turn, before a message after which more than half is used: has the socket be not writable.
#[cold]
pub(super) fn mark(end: &End) {
    let (bell, Ok(socket)) = (&end.lane.words().bell, end.socket()) else { return };
    if !bell.mark() {
        return;
    }
    for _ in 0..MARK {
        // A socket that is full is not writable in any case.
        let _ = socket::send_byte(socket, 1);
        crash_point!("pipe.room.marked");
    }
    if !bell.is_marked() {
        bell.mend_reader();
    }
}

/// Reader, in its turn: has the socket be writable again if there is room.
#[cold]
pub(super) fn unmark(end: &End) {
    let (bell, ring) = (&end.lane.words().bell, &end.lane.ring);
    if ring.used() > ring.size() / 4 || !bell.unmark() {
        return;
    }
    crash_point!("pipe.room.unmarked");
    let Ok(socket) = end.socket() else { return };
    // The bell's byte is not ours. A sender that died between the two may have written fewer.
    let spare =
        socket::waiting(socket).unwrap_or(0).saturating_sub(usize::from(bell.may_be_rung()));
    for _ in 0..spare.min(MARK) {
        if !matches!(socket::receive(socket, &mut [0]), Ok(Received::Bytes(_))) {
            break;
        }
    }
}
