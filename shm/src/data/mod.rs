//! Typed values that several processes read and write, with and without a lock.
//!
//! | file | what it holds |
//! |---|---|
//! | `cells.rs` | what values and arrays have in common: items of one type, and a lock that may be taken or left |
//! | `value.rs`, `array/` | what users name |

pub mod array;
mod cells;
pub mod value;

pub(crate) use cells::{ArrayKind, ValueKind};
