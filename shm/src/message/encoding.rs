//! Values as messages: serde, in the format of postcard.
//!
//! A handle in a value is refused here, unless somebody above collects handles beside the serializer, as a pipe does that
//! was made for them. Postcard forgets the text of errors that are not its own, so a refusal is remembered beside it, in
//! the thread that encodes.

use std::cell::Cell;
use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// What serde is told outside of a pipe's message.
const ELSEWHERE: &str = "it has a handle in it; handles are sent as part of a value by `send_value` of a pipe that was made \
    with `PipeOptions::handles(true)`, or by themselves with `Handoff`";

thread_local! {
    /// Whether a handle was refused since encoding or decoding began.
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Encodes `value` into `buffer`, whose content goes.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
    let mut into = std::mem::take(buffer);
    into.clear();
    REFUSED.set(false);
    *buffer = postcard::to_extend(value, into).map_err(|e| Error::Encode(reason(e)))?;
    Ok(())
}

/// The value that `message` is, all of it.
pub(crate) fn decode<T: DeserializeOwned>(message: &[u8]) -> Result<T> {
    REFUSED.set(false);
    let (value, rest) = postcard::take_from_bytes(message).map_err(|e| Error::Decode(reason(e)))?;
    if rest.is_empty() {
        return Ok(value);
    }
    Err(Error::Decode(format!("{} of its {} bytes are left over", rest.len(), message.len())))
}

/// Refuses a handle that is being encoded or decoded where none can go. Returns why, for serde.
pub(crate) fn refuse() -> &'static str {
    REFUSED.set(true);
    ELSEWHERE
}

/// Why encoding or decoding failed: `error`, unless it is about a handle.
#[cold]
fn reason(error: impl Display) -> String {
    if REFUSED.get() { ELSEWHERE.to_owned() } else { error.to_string() }
}
