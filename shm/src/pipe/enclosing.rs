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

use std::os::fd::AsFd;

use serde::Serialize;
use serde::de::DeserializeOwned;
use slipring_core::block::Descriptor;

use super::end::End;
use super::lane::ENCLOSING;
use super::writer::PipeWriter;
use crate::message::{decode, encode, payload};
use crate::object::Kinds;
use crate::travel::handoff::Handoff;
use crate::travel::parcel::{Arrived, Packed, enclosed, post};
use crate::wait::Until;
use crate::{Error, Result};

impl PipeWriter {
    /// Encodes `value`, and returns the handles that are part of it.
    #[inline]
    pub(super) fn encode<T: Serialize + ?Sized>(
        &self,
        value: &T,
        buffer: &mut Vec<u8>,
    ) -> Result<Vec<Handoff>> {
        if self.end.sockets.parcels.is_none() {
            return encode(value, buffer).map(|()| Vec::new());
        }
        enclosed::collect(|| encode(value, buffer))
    }

    /// Sends a message and the handles that are part of it.
    pub(super) fn send_enclosing(
        &mut self,
        message: &[u8],
        handles: Vec<Handoff>,
        until: Until,
    ) -> Result<()> {
        let me = self.ready()?;
        self.check_len(message.len())?;
        let packed = Packed::new(handles)?;
        let attachment = self.end.attachment().clone();
        let block = payload::alloc_copy(&attachment, &mut self.magazines, message, me)?;
        let len = message.len() as u64;
        let weight = self.weight_of(len);
        let sent = self.begin(16, weight, until).and_then(|turn| {
            let number = self.end.send_parcel(packed, until)?;
            crash_point!("pipe.parcel.sent");
            let word = Descriptor::Block { block, len }.encode();
            let words = [word.to_le_bytes(), number.to_le_bytes()].concat();
            let ring_id = self.end.lane.ring_id;
            self.publish(turn, ENCLOSING, &words, weight, |position| {
                attachment.pool.control(block).send_at(me, ring_id, position);
            })
        });
        sent.inspect_err(|_| {
            attachment.pool.free_now(block, me);
        })
    }
}

impl End {
    /// Sends a parcel, in our turn to send. Returns its number.
    fn send_parcel(&self, packed: Packed, until: Until) -> Result<u64> {
        let socket = self.sockets.parcels.as_ref().ok_or(Error::Closed)?;
        let number = self.lane.words().next_parcel();
        post::send(socket.as_fd(), packed, number, self.attachment(), until)?;
        Ok(number)
    }

    /// Receives parcel `number`, in our turn to receive.
    #[cold]
    pub(super) fn receive_parcel(&self, number: u64) -> Result<Arrived> {
        let what = "a pipe's message names handles, for which the pipe was not made";
        let socket = self.sockets.parcels.as_ref().ok_or(Error::Corrupt { what })?;
        post::receive_numbered(socket, number)
    }
}

/// The value that `message` is, with the handles that came with it.
pub(super) fn decode_with<T: DeserializeOwned>(
    parcel: Result<Arrived>,
    message: &[u8],
    kinds: Kinds,
) -> Result<T> {
    let places = parcel?.open(kinds)?;
    enclosed::hand_out(places, || decode(message))
}
