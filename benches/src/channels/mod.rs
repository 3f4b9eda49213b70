//! Ends of a stream: our rings and channels, the kernel's, and a rival's.
//!
//! | module | what it holds |
//! |---|---|
//! | [`rings`] | the rings of `slipring_core`, in memory that children share |
//! | [`ours`] | slot rings, queues and pipes of `slipring` |
//! | [`asynchronous`] | a queue, received from in tokio tasks |
//! | [`kernel`] | pipes and socket pairs |
//! | [`rival`] | crossbeam's `ArrayQueue`, between threads |

pub mod asynchronous;
pub mod kernel;
pub mod ours;
pub mod rings;
pub mod rival;
