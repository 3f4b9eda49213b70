//! Messages with handles in them: the message goes through the ring, in a block, and the handles in a parcel through a
//! socket that each end has for it.
//!
//! A parcel is sent before its message is published, and taken after the message is, each in the sender's or the receiver's
//! turn. Parcels are numbered, and a message says which one is its own.
//!
//! # Crash points
//!
//! | killed | left behind | mended by |
//! |---|---|---|
//! | a sender, before the parcel is in the socket | an embryo whose proof went with the sender | the death procedure |
//! | a sender, before the message is published | a parcel that no message names | the next receiver of a later one drops it |
//! | a receiver, after it released the message | the same: the message was in its hands | the same |
//! | a receiver that has the parcel | an embryo whose proof went with it | the death procedure |
//!
//! The number grows before the parcel is sent, so no two have the same.

use super::end::End;
use crate::codec::{Decode, Encode};
use crate::message::{decode, encode};
use crate::object::Kinds;
use crate::travel::handoff::Handoff;
use crate::travel::parcel::{Arrived, Packed, enclosed, post};
use crate::wait::Until;
use crate::{Error, Result};

/// Encodes `value` for a message of `end`, and returns the handles that are part of it.
#[inline]
pub(super) fn encode_with<C: Encode<T>, T: ?Sized>(
    end: &End,
    value: &T,
    buffer: &mut Vec<u8>,
) -> Result<Vec<Handoff>> {
    if end.sockets.parcels.is_none() {
        return encode::<C, T>(value, buffer).map(|()| Vec::new());
    }
    enclosed::collect(|| encode::<C, T>(value, buffer))
}

/// Sends a parcel, in our turn to send. Returns its number.
pub(super) fn send_parcel(end: &End, packed: Packed, until: Until) -> Result<u64> {
    let socket = end.sockets.parcels.as_ref().ok_or(Error::Closed)?;
    let socket = socket.get().ok_or(Error::DescriptorsClosed)?;
    let number = end.lane.words().next_parcel();
    post::send(socket, packed, number, end.attachment(), until)?;
    Ok(number)
}

/// Receives parcel `number`, in our turn to receive.
#[cold]
pub(super) fn receive_parcel(end: &End, number: u64) -> Result<Arrived> {
    let what = "a pipe's message names handles, for which the pipe was not made";
    let socket = end.sockets.parcels.as_ref().ok_or(Error::Corrupt { what })?;
    let socket = socket.get().ok_or(Error::DescriptorsClosed)?;
    post::receive_numbered(socket, number)
}

/// The value that `message` is, with the handles that came with it.
pub(super) fn decode_with<C: Decode<T>, T>(
    parcel: Result<Arrived>,
    message: &[u8],
    kinds: Kinds,
) -> Result<T> {
    let places = parcel?.open(kinds)?;
    enclosed::hand_out(places, || decode::<C, T>(message))
}
