//! Values as messages: what their codec makes of them, and its id.
//!
//! A handle in a value is refused here, unless somebody above collects handles beside the serializer, as a pipe does that
//! was made for them.

use super::codec::known::name_of;
use super::codec::refusal::{self, Refusal, explain};
use super::codec::{Decode, Encode};
use crate::{Error, Result};

/// Encodes `value` into `buffer`, whose content goes.
#[inline]
pub(crate) fn encode<C: Encode<T>, T: ?Sized>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    explain(|| C::encode(value, buffer)).map_err(Error::Encode)?;
    buffer.push(C::ID);
    Ok(())
}

/// The value that `message` is, all of it.
#[inline]
pub(crate) fn decode<C: Decode<T>, T>(message: &[u8]) -> Result<T> {
    match message.split_last() {
        Some((id, message)) if *id == C::ID => {
            explain(|| C::decode(message)).map_err(Error::Decode)
        }
        last => Err(Error::Decode(of_another_codec(last.map(|(id, _)| *id), C::NAME))),
    }
}

/// Refuses a handle that is being encoded or decoded where none can go. Returns why, for serde.
pub(crate) fn refuse() -> String {
    refusal::refuse(Refusal::Handle).to_string()
}

/// What is wrong with a message that ends in `id`, for the codec `ours`.
#[cold]
fn of_another_codec(id: Option<u8>, ours: &str) -> String {
    let theirs = match id.map(|id| (id, name_of(id))) {
        None => "it is empty".to_owned(),
        Some((_, Some(name))) => format!("it was encoded with {name}"),
        Some((id, None)) => {
            format!("its last byte, {id:#04x}, is the id of no codec of slipring")
        }
    };
    format!("{theirs}, and this side decodes with {ours}; both sides use the same codec")
}
