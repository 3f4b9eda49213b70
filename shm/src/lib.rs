//! Pipes, queues and locks in memory that several processes map. Any of them may be killed at any instruction: the
//! others carry on.
//!
//! | module | what it holds |
//! |---|---|
//! | [`segment`] | the shared file: how it is made, checked, mapped and paid for |
//! | [`error`] | the one error type |
//!
//! # Platform
//!
//! Linux on x86-64 with `cmpxchg16b`; `/proc` mounted.

#[macro_use]
extern crate slipring_core;

pub mod error;
pub mod segment;
#[allow(dead_code, reason = "one thin function per system call; not every build uses each")]
mod sys;

pub use error::{Error, Result};
