//! Handles on their way to another process.
//!
//! | folder | what it holds |
//! |---|---|
//! | `handoff/` | for a program that is started, here or by somebody else: what is given, and how it is taken |
//! | `parcel/` | through a Unix socket, by themselves or inside of values: built on handoffs |

pub mod handoff;
pub(crate) mod parcel;
