//! The block pool: payload memory with owners.
//!
//! A payload too long for a descriptor lives in a block of a size class, from 64 bytes up to gigabytes. Whoever is
//! killed, a block is either still somebody's, or found and freed: the truth is the block's control word
//! ([`control`]), and everything else (bitmaps, magazines, descriptors) is a hint that is checked against it. There
//! are no pointers and no list links in shared memory.
//!
//! | file | what it holds |
//! |---|---|
//! | [`descriptor`] | the 64-bit word that travels through a ring: a few bytes, or a block and a length |
//! | [`geometry`] | size classes and where their memory lies: pure arithmetic |
//! | [`control`] | FREE, OWNED, INFLIGHT: who answers for a block |
//! | `idle` | a word: whether large blocks may lie free, and when somebody looks next |
//! | [`pool`] | allocate and free, bitmaps, magazines |
//! | [`give_back`] | the memory of large blocks that lie free goes back to the machine |
//! | [`recover`] | what the death procedure does with a dead owner's blocks |
//! | [`note`] | "I am about to take this position": a consumer's line |

pub mod control;
pub mod descriptor;
pub mod geometry;
pub mod give_back;
mod idle;
pub mod note;
pub mod pool;
pub mod recover;

pub use control::{Control, State};
pub use descriptor::{BlockRef, Descriptor, INLINE_MAX};
pub use geometry::{ClassGeometry, FRESH_BYTES, Geometry, MAX_BLOCK_LEN, MAX_CLASSES};
pub use give_back::Patience;
pub use note::{Note, NoteLine};
pub use pool::{AllocError, Backing, Magazines, Pool, Reach, Region, Returns};
pub use recover::{Lookup, Repaired};
