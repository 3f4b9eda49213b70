//! What goes to the standard output stream, which may be a terminal, full, or read by nobody any more.

use std::io::{Write, stdout};

use serde::Serialize;

use crate::failure::Failure;
use crate::quote;

/// Writes text for people.
pub fn text(text: &str) -> Result<(), Failure> {
    bytes(quote::text(text).as_bytes())
}

/// Writes a value for programs.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Run(e.to_string()))?;
    bytes((quote::json(&text) + "\n").as_bytes())
}

/// Writes what is the user's own. That whoever read it has left is no failure.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::of_output),
    }
}
