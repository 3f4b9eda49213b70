//! This process in a segment: its attachment, its handles, what a fork does to them, and what stands for a handle on its
//! way to another process.
//!
//! | file | what it holds |
//! |---|---|
//! | `recovery_lock.rs` | the lock under which objects are made and ended, and the dead are buried |
//! | `attachment.rs` | who this process is in a segment, and which handles it has; who is dead |
//! | `fork.rs` | fork handlers: the child's place is prepared before the fork |
//! | `leftovers.rs` | names that only the dead have |
//! | `segment.rs` | [`Segment`](segment::Segment): what users hold |
//! | `handle.rs` | handles of objects: made, opened, counted, ended |
//! | `lookout.rs` | whether anybody living has the other side, for calls that never wait |
//! | `ticket.rs` | [`Ticket`](ticket::Ticket), and what a handle has to know of itself to travel or to have a name |

pub(crate) mod attachment;
pub(crate) mod fork;
pub(crate) mod handle;
pub(crate) mod leftovers;
pub(crate) mod lookout;
pub(crate) mod recovery_lock;
pub mod segment;
pub(crate) mod ticket;

pub(crate) use attachment::{Attachment, Wait};
pub(crate) use handle::Handle;
pub(crate) use lookout::Lookout;
