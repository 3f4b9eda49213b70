//! How a process gets in from nothing: the table of kinds, and every call that enters a segment.
//!
//! | file | what it holds |
//! |---|---|
//! | `kinds.rs` | the table of kinds: one row for each |
//! | `name.rs` | objects by name: created, opened, taken over from the dead, taken away |
//! | `name/options.rs`, `name/socket.rs` | what is said of a name; the socket beside it |
//! | `acceptor.rs`, `connect.rs` | pipes between programs that know a name |
//! | `entry.rs` | constructors: [`Segment::create`](crate::Segment::create), [`Inherited::from_env`](crate::Inherited::from_env), [`Boarding::new`](crate::Boarding::new) |

mod acceptor;
mod connect;
mod entry;
mod kinds;
pub mod name;

pub use acceptor::Acceptor;

pub(crate) use kinds::KINDS;
