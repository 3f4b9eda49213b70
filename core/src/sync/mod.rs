//! Locks and signals: one file each, all state in a few words at an address.
//!
//! | file | what it holds |
//! |---|---|
//! | [`event_count`] | how a sleeper is woken: the protocol that loses no wake-up |
//! | [`bell`] | a doorbell byte in a socket |
//! | [`mutex`] | a robust mutex in one word |
//! | [`reentrant`] | a robust mutex that its holder may lock again |
//! | [`semaphore`] | permits that are nobody's |
//! | [`permits`] | permits with owners |
//! | [`event`] | a flag to wait for |
//! | [`condvar`] | a condition to wait for while a lock is open |
//! | [`barrier`] | a place where a fixed number of parties meet |
//! | `testing.rs` | waiters for the unit tests |

pub mod barrier;
pub mod bell;
pub mod condvar;
pub mod event;
pub mod event_count;
pub mod mutex;
pub mod permits;
pub mod reentrant;
pub mod semaphore;

pub use barrier::{Arrived, Barrier, BarrierError, Broken, Turn};
pub use bell::{Bell, Hushed};
pub use condvar::{Condvar, Release, Ticket, Waited};
pub use event::{Event, Moment};
pub use event_count::EventCount;
pub use mutex::{Acquired, Mutex};
pub use permits::{MAX_OWNED_PERMITS, Permits, PermitsHead};
pub use reentrant::{LockError, NotOwner, ReentrantMutex, TooDeep};
pub use semaphore::{OverLimit, Semaphore};

#[cfg(all(test, not(loom)))]
mod testing;
