//! Why a value or a message was refused. Postcard forgets the text of errors that are not its own, so a refusal is remembered
//! beside it, in the thread that encodes.

use std::cell::Cell;
use std::fmt;

use super::Reason;

/// Why a value or a message was refused.
#[derive(Clone, Copy, Debug)]
pub(in crate::message) enum Refusal {
    /// A handle, outside of a pipe's message.
    Handle,
    /// A field of this name was left out, in a format that does not name fields.
    LeftOut(&'static str),
    /// A value that is written as nothing, inside of an `Option`, in a format in which `None` is nothing, too.
    NothingInSome,
    /// A message whose value has parts within parts within parts.
    TooDeep,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handle => f.write_str(
                "it has a handle in it; handles are sent as part of a value by `send_value` of a pipe that was made \
                 with `PipeOptions::handles(true)`, or by themselves with `Handoff`",
            ),
            Self::LeftOut(field) => write!(
                f,
                "its field `{field}` is left out (`skip_serializing_if`), and a receiver could not know that, since \
                 postcard does not name fields; use the codec `MessagePack`"
            ),
            Self::NothingInSome => f.write_str(
                "it has a `Some(None)` or `Some(())` in it, which MessagePack cannot tell from `None`; use the codec \
                 `Postcard`, or an enum in the place of the `Option`",
            ),
            Self::TooDeep => f.write_str("its parts are within parts to a depth that needs more stack than is spent on it"),
        }
    }
}

thread_local! {
    /// What was refused since encoding or decoding began.
    static REFUSED: Cell<Option<Refusal>> = const { Cell::new(None) };
}

/// Remembers a refusal, and returns it for serde to say.
#[cold]
pub(in crate::message) fn refuse(refusal: Refusal) -> Refusal {
    REFUSED.set(Some(refusal));
    refusal
}

/// Runs `work`, which encodes or decodes. If it fails: why, which is what was refused meanwhile if anything was. A value may
/// send another one while it is encoded.
#[inline]
pub(in crate::message) fn explain<T>(
    work: impl FnOnce() -> Result<T, Reason>,
) -> Result<T, String> {
    let before = REFUSED.replace(None);
    let done = work();
    let refused = REFUSED.replace(before);
    done.map_err(|error| refused.map_or_else(|| error.to_string(), |refusal| refusal.to_string()))
}
