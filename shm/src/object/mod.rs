//! What an object in a segment's arena is, whoever looks at it: its kind, its header, where its body is.
//!
//! An object lives as long as any participant has a handle of either side. Which participants do stands in the
//! object's header. How many handles each of them has is its own private affair: see [`crate::member::handle`].
//!
//! | file | what it holds |
//! |---|---|
//! | `kind.rs` | [`Kind`]: the number that stands in memory, and its name |
//! | `header.rs` | what each object begins with: who holds which side |
//! | `body.rs` | objects reserved, found, and their bodies viewed |
//! | `describe.rs` | [`ObjectKind`]: what each kind has to say to the death procedure and to observers |
//! | `about.rs` | what observers are told of an object |

mod about;
mod body;
mod describe;
mod header;
mod kind;

pub use about::Held;
pub(crate) use about::{About, tally};
pub(crate) use body::{
    SharedWords, body_at, commit_and_init, find_root, held_by, hold, reserve, words_at,
};
pub(crate) use describe::{Found, Hooks, Kinds, ObjectKind, never_leased, nothing};
pub(crate) use header::{HEADER_BYTES, ObjectHeader, RING_UNIT, ROOT, Role, header};
pub(crate) use kind::Kind;
