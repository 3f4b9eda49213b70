//! `slipring put` and `slipring get`: lines into and out of a queue with a name.
//!
//! ```text
//! file, stdin ── put ──┐                     ┌── get ── stdout
//! file, stdin ── put ──┼── queue with NAME ──┤
//! file, stdin ── put ──┘                     └── get ── stdout
//! ```
//!
//! # What a kill costs
//!
//! `put` sends what it has read at once, so what it has in its hands is what it read and has not sent. `get` takes a line
//! and writes it with one system call before it takes the next, so that is the one line it has in its hands; with
//! `--batch` it is as many as were asked for.
//!
//! | file | what it holds |
//! |---|---|
//! | `framing.rs` | where a record ends, on the way in and on the way out |
//! | `input.rs` | files, one after the other, in batches of whole records |
//! | `output.rs` | the standard output stream, which somebody may close |
//! | `stop.rs` | signals that ask for the end |
//! | `progress.rs` | a line on the standard error stream, if that is a terminal |
//! | `queue.rs` | the queue that the options name |
//! | `patience.rs` | how long nothing may happen |
//! | `put.rs`, `get.rs` | the two commands |

mod framing;
pub mod get;
mod input;
mod output;
mod patience;
mod progress;
pub mod put;
mod queue;
mod stop;

pub use patience::seconds;
