//! Algorithms that live at an address: rings, locks and a block pool for memory that several processes map.
//!
//! Everything here works on memory that it is given. Nothing here allocates, opens a file, knows a name or asks who
//! is alive: addresses, capacities and an `is_dead(OwnerId)` predicate come from the caller (the crate `slipring`).
//! All shared state is position-independent, so two processes may map it at different addresses.
//!
//! | module | what it holds | progress |
//! |---|---|---|
//! | [`ring::spsc_slots`] | one producer, one consumer, fixed-size slots | wait-free |
//! | [`ring::spsc_records`] | one producer, one consumer, byte records in place | wait-free |
//! | [`ring::mpmc`] | many to many, 64-bit descriptors | lock-free, one CAS per step |
//! | [`ring::stack`] | many to many, last in first out | lock-free, one CAS per step |
//! | [`ring::heap`] | many to many, the smallest key first | one at a time, under a robust lock |
//! | [`ring::leases`] | who works at which item of a queue | lock-free |
//! | [`block`] | payload memory with owners | lock-free |
//! | [`sync`] | mutex, reentrant mutex, semaphore, event, condition, barrier, event count | blocking, robust |
//! | [`bytes`] | bytes that anybody reads and writes at any time | wait-free reads, lock-free writes |
//! | [`member`] | who is attached, and which handles they hold | wait-free reads |
//! | [`directory`] | which objects there are, and where | changed under the caller's lock, read at any time |
//! | [`owner`] | a participant in one of its lives, as a number | |
//! | [`futex`], [`wait`] | sleeping on a word; what a blocked algorithm asks of its surroundings | |
//! | [`primitive`] | the machine's atomics, or loom's | |
//! | [`mod@crash_point`] | where a test may stop a process | |
//!
//! # Platform
//!
//! Linux on x86-64 with `cmpxchg16b` (every x86-64-v2 machine): [`primitive::check_cpu`] tells.
#![no_std]

#[cfg(any(test, loom))]
extern crate std;

pub mod primitive;
#[macro_use]
pub mod crash_point;
pub mod futex;
pub mod owner;
pub mod wait;

pub mod block;
pub mod bytes;
pub mod directory;
pub mod member;
pub mod ring;
pub mod sync;
