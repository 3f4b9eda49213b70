//! How a process gets in from nothing: the table of kinds, and every call that enters a segment.
//!
//! | file | what it holds |
//! |---|---|
//! | `kinds.rs` | the table of kinds: one row for each |
//! | `entry.rs` | constructors: [`Segment::create`](crate::Segment::create), [`Inherited::from_env`](crate::Inherited::from_env), [`Boarding::new`](crate::Boarding::new) |

mod entry;
mod kinds;

pub(crate) use kinds::KINDS;
