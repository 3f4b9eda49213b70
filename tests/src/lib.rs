//! What tests between processes need: peers that are started, watched and killed, messages that show what became of
//! them, and logs that outlive their writers.
//!
//! | module | what it holds |
//! |---|---|
//! | [`peer`] | a process running the program `peer`, killed when the test is done with it |
//! | [`berth`] | programs that are started with a berth, by somebody who knows nothing of it |
//! | [`halves`] | the two sides of every kind of channel, whichever a test is about |
//! | [`message`] | messages that say who sent them and prove that they are whole |
//! | [`log`] | what a process saw, readable after its death |
//! | [`ordered`] | LIFO and priority queues, whichever a test is about |

pub mod berth;
pub mod halves;
pub mod log;
pub mod message;
pub mod ordered;
pub mod peer;

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Waits until `condition` holds, looking every millisecond. Panics with `what` after `patience`.
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < patience, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The middle one of several measurements.
pub fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

/// A segment that costs little address space, so that many tests can have one at a time.
pub fn segment() -> slipring::Segment {
    let options = slipring::SegmentOptions::new().reserve(8 << 30);
    slipring::Segment::with(options).expect("a segment")
}

/// Sockets beside names that are not there: nobody would take them away.
pub fn sockets_without_a_name() -> Vec<PathBuf> {
    let files = |prefix: &str| {
        let entries = std::fs::read_dir(slipring::name::directory()).expect("names are kept");
        let paths = entries.flatten().map(|entry| entry.path());
        let has_prefix = |path: &PathBuf| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|n| n.starts_with(prefix))
        };
        paths.filter(has_prefix).collect::<Vec<_>>()
    };
    let sockets = files("slipring-socket.");
    let inode = |path: &PathBuf| std::fs::symlink_metadata(path).ok().map(|meta| meta.ino());
    let names: Vec<_> = files("slipring.").iter().filter_map(inode).collect();
    let is_of = |socket: &PathBuf, inode: &u64| {
        socket.extension().is_some_and(|number| number.to_str() == Some(&inode.to_string()))
    };
    // One that has gone meanwhile went with its name.
    let without = |socket: &PathBuf| {
        !names.iter().any(|inode| is_of(socket, inode)) && inode(socket).is_some()
    };
    sockets.into_iter().filter(without).collect()
}

/// Numbers that look random and are the same for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Any seed will do.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % bound
    }
}

/// The programs of the guide and of the README compile and do what they say.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/guide/src/introduction.md")]
    mod introduction {}
    #[doc = include_str!("../../docs/guide/src/tour.md")]
    mod tour {}
    #[doc = include_str!("../../docs/guide/src/choosing.md")]
    mod choosing {}
    #[doc = include_str!("../../docs/guide/src/values.md")]
    mod values {}
    #[doc = include_str!("../../docs/guide/src/crashes.md")]
    mod crashes {}
    #[doc = include_str!("../../docs/guide/src/handing-over.md")]
    mod handing_over {}
    #[doc = include_str!("../../docs/guide/src/memory.md")]
    mod memory {}
    #[doc = include_str!("../../docs/guide/src/permissions.md")]
    mod permissions {}
    #[doc = include_str!("../../docs/guide/src/waiting.md")]
    mod waiting {}
}
