//! Rings: one file each.
pub mod chain;
pub mod mpmc;
