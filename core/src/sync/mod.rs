//! Locks and signals: one file each, all state in a few words at an address.

pub mod event_count;
pub mod mutex;

pub use event_count::EventCount;
pub use mutex::{Acquired, Mutex};
