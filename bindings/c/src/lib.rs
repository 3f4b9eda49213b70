//! The C interface of slipring. `slipring.h` beside this crate is made from it.
//!
//! Every call takes handles, which are numbers; checks all that it is given; and returns a status. A wrong handle, a NULL,
//! a length that is none are errors. What cannot be checked is the C programmer's word: that a pointer which is not NULL
//! points to as many bytes as stated.
//!
//! A handle may be used from any thread, by one at a time for messages (another gets `SLIPRING_E_BUSY`; `slipring_clone` gives it
//! one of its own), by all at once for locks. A child of `fork` has all handles of its parent, and goes on with them.
//!
//! | file | what it holds |
//! |---|---|
//! | `status.rs` | codes and sentences |
//! | `table.rs` | handles |
//! | `args.rs` | what C passes, checked |
//! | `segment.rs` | segments; handles in general |
//! | `named.rs` | objects by name, and what is made in a segment |
//! | `message.rs` | send and receive, for queues and pipes alike |
//! | `lock.rs` | locks, semaphores, events, conditions, barriers |

mod args;
mod lock;
mod message;
mod named;
mod segment;
mod status;
mod table;

pub use args::{SLIPRING_FOREVER, slipring_name_options};
pub use lock::*;
pub use message::*;
pub use named::*;
pub use segment::*;
pub use status::{slipring_last_error, slipring_status, slipring_strerror, slipring_version};
pub use table::slipring_handle;
