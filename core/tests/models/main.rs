//! Models: each algorithm of this crate in every interleaving. One program, so that all processors have something to do to the end.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --profile quick -p slipring-core --target-dir target/loom --test models`
#![cfg(loom)]

mod loom_barrier;
mod loom_bell;
mod loom_blocks;
mod loom_bytes;
mod loom_condvar;
mod loom_event;
mod loom_event_count;
mod loom_give_back;
mod loom_heap;
mod loom_leases;
mod loom_mpmc;
mod loom_mutex;
mod loom_permits;
mod loom_reentrant;
mod loom_semaphore;
mod loom_spsc_records;
mod loom_spsc_slots;
mod loom_stack;
mod loom_watch;
#[path = "../support/memory.rs"]
mod memory;
mod one_block;
mod waiter;
