//! A segment: one sparse file that several processes map, with a header that is checked before anything else is read.
//!
//! The file is a memfd (no name, sealed against shrinking) or a file that the caller made. Its whole reserve is mapped
//! once and for ever, or in pieces that are mapped when they are used; memory is paid for chunk by chunk, before it is touched, so that a full machine is an error and
//! never a SIGBUS. `docs/layout.md` draws the file.
//!
//! | file | subject |
//! |---|---|
//! | `options.rs` | how large, how much of it may be used |
//! | `geometry.rs` | where each region is: arithmetic without memory |
//! | `header.rs` | the first page, its check, the layout fingerprint |
//! | `commit_map.rs` | one bit per chunk: which are paid for |
//! | `mapping.rs` | the mapped file: create, attach, commit, give back |
//! | `give_back.rs` | when blocks that lie free give their memory back |
//! | `regions.rs` | the regions of a mapped segment, viewed |
//! | `name_file.rs` | where the file of a name lies, and how it is taken away |
//! | `reopen.rs` | the segment's descriptor, where the program has closed it |
//! | `wake_hook.rs` | what a wake-up of sleepers in this memory does for processes that watch |

mod commit_map;
mod geometry;
mod give_back;
mod header;
mod mapping;
mod name_file;
mod options;
mod regions;
mod reopen;
pub(crate) mod wake_hook;

pub(crate) use geometry::Region;
pub use header::ABI_VERSION;
pub(crate) use header::{BASE_LAYOUT, fold};
pub(crate) use mapping::{Mapping, is_segment};
pub use name_file::directory;
pub(crate) use name_file::{PREFIX, means, path_of, socket_of, take_away, unlink_if_its};
pub(crate) use options::named_reserve;
pub use options::{DEFAULT_RESERVE, NAMED_RESERVE, SegmentOptions, map_in_pieces};
pub(crate) use regions::{LOCK_BASE, Regions, lock_error};
