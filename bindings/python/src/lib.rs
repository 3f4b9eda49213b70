//! The native half of slipring's Python package: thin classes over the engine's handles. What users see is in the
//! modules beside it, which are named as those of `multiprocessing`.
//!
//! | file | what it holds |
//! |---|---|
//! | `family.rs` | the segment that a family of processes shares |
//! | `queue.rs` | the class of queues |
//! | `many.rs`, `watched.rs`, `passage.rs` | queues: many objects at once, descriptors, the way to another process |
//! | `loaned.rs` | arrays that are made where they are read |
//! | `channel.rs`, `ends.rs` | what a queue is in one process |
//! | `refusal.rs` | why a call on a queue did nothing |
//! | `codec/` | what objects look like as messages |
//! | `blocking.rs` | waiting without the interpreter's lock, with deadlines and signals |
//! | `attached.rs` | state that is only touched with the interpreter's lock held |
//! | `handles.rs` | handles for several threads, and for a fork in the middle of it |
//! | `connection/` | ends of pipes |
//! | `error.rs` | what an error of the engine is in Python |
//! | `lock.rs`, `rlock.rs`, `semaphore.rs`, `bounded.rs`, `event.rs`, `condition.rs`, `barrier.rs` | the classes of these names |
//! | `synchronized.rs` | what they have in common |
//! | `acquired.rs` | what locks and semaphores have in common |
//! | `shared.rs`, `wrappers.rs`, `number.rs` | memory for ctypes objects, and locks around them |
//! | `hot.rs` | the methods that programs call most |
//! | `overridden.rs` | methods that a subclass has others in the place of |
//! | `shown.rs` | attributes that a program's own may take the place of |
//! | `any_lock.rs` | a lock of whatever class, for those that use one |
//! | `transfer.rs` | objects on their way to another process |

mod acquired;
mod any_lock;
mod attached;
mod barrier;
mod blocking;
mod bounded;
mod channel;
mod codec;
mod condition;
mod connection;
mod ends;
mod error;
mod event;
mod family;
mod handles;
mod hot;
mod loaned;
mod lock;
mod many;
mod number;
mod overridden;
mod passage;
mod queue;
mod refusal;
mod rlock;
mod semaphore;
mod shared;
mod shown;
mod synchronized;
mod transfer;
mod watched;
mod wrappers;

use pyo3::prelude::*;

/// What slipring's modules are built on. Private: import `slipring`.
// Handles are shared between threads under the interpreter's lock: without that lock they would race.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::barrier::Barrier;
    #[pymodule_export]
    use super::bounded::BoundedSemaphore;
    #[pymodule_export]
    use super::codec::{Beside, decode_message, encode_message};
    #[pymodule_export]
    use super::condition::{Condition, Count, Waiters};
    #[pymodule_export]
    use super::connection::{Connection, pipe};
    #[pymodule_export]
    use super::error::SegmentError;
    #[pymodule_export]
    use super::event::Event;
    #[pymodule_export]
    use super::family::{leave_permits, participants, reap, segment_memory, trim, version};
    #[pymodule_export]
    use super::lock::Lock;
    #[pymodule_export]
    use super::passage::Passage;
    #[pymodule_export]
    use super::queue::Queue;
    #[pymodule_export]
    use super::rlock::RLock;
    #[pymodule_export]
    use super::semaphore::Semaphore;
    #[pymodule_export]
    use super::shared::Block;
    #[pymodule_export]
    use super::shown::Shown;
    #[pymodule_export]
    use super::transfer::{Berths, Boarded, Ticket};
    #[pymodule_export]
    use super::wrappers::{Synchronized, SynchronizedArray, SynchronizedBase, SynchronizedString};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // Programs limit their address space, workers above all.
        slipring::segment::map_in_pieces();
        super::hot::install(module.py())?;
        super::shown::install(module.py())
    }
}
