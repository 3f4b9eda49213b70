//! The codecs of this crate by their ids, whichever of them are compiled in.

/// A codec's id and its name.
pub(super) type Known = (u8, &'static str);

pub(super) const MESSAGE_PACK: Known = (0xC1, "MessagePack");
pub(super) const POSTCARD: Known = (0xC2, "postcard");
pub(super) const POD: Known = (0xC3, "Pod");
pub(super) const RKYV: Known = (0xC4, "rkyv");

/// What the codec with this id is called, if it is one of ours.
pub(in crate::message) fn name_of(id: u8) -> Option<&'static str> {
    let known = [MESSAGE_PACK, POSTCARD, POD, RKYV];
    known.iter().find(|(its, _)| *its == id).map(|(_, name)| *name)
}
