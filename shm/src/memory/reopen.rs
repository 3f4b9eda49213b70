//! The segment's descriptor, opened again where the program has closed it.
//!
//! The mapping is still there, and knows which file it is of. Three roads lead to that file; what is found is the same file
//! by device and inode, or it is not used.
//!
//! | road | when it is open |
//! |---|---|
//! | the name | the segment has one, and it still means this file |
//! | `/proc/self/map_files` | this process is privileged (`CAP_CHECKPOINT_RESTORE`, or root) |
//! | `/proc/PID/fd` of another participant | one lives that belongs to the same user, in the same pid namespace, and kept its own |

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use slipring_core::member::Identity;

use super::mapping::Mapping;
use super::name_file::path_of;
use crate::error::{Error, Result};
use crate::sys::{file, process};

/// Opens the segment's file again. `participants` are those of the segment.
///
/// # Errors
///
/// [`Error::DescriptorsClosed`].
#[cold]
pub(super) fn regain(
    mapping: &Mapping,
    participants: impl Iterator<Item = Identity>,
) -> Result<BorrowedFd<'_>> {
    let held = mapping.file();
    let found = by_name(mapping)
        .or_else(|| by_own_map(mapping))
        .or_else(|| by_peers(mapping, participants));
    if let Some(file) = found {
        held.replace(file);
    }
    held.get().ok_or(Error::DescriptorsClosed)
}

/// What a path leads to, if that is the segment's file.
fn open(mapping: &Mapping, path: &Path) -> Option<OwnedFd> {
    let file = file::open(path).ok()?;
    mapping.file().is_same_file(file.as_fd()).then_some(file)
}

fn by_name(mapping: &Mapping) -> Option<OwnedFd> {
    let name = mapping.header().name()?;
    open(mapping, &path_of(&name).ok()?)
}

fn by_own_map(mapping: &Mapping) -> Option<OwnedFd> {
    let first = mapping.ptr(0, 1).ok()?.addr().get();
    let (start, end) = process::map_at(first)?;
    open(mapping, &PathBuf::from(format!("/proc/self/map_files/{start:x}-{end:x}")))
}

fn by_peers(mapping: &Mapping, peers: impl Iterator<Item = Identity>) -> Option<OwnedFd> {
    let namespace = process::pid_namespace().ok()?;
    let near = peers.filter(|peer| peer.pid_namespace == namespace && peer.pid != process::pid());
    // Each look at a process costs as many calls as it has descriptors.
    near.take(MAX_PEERS).find_map(|peer| {
        let folder = PathBuf::from(format!("/proc/{}/fd", peer.pid));
        let all = std::fs::read_dir(folder).ok()?;
        all.flatten().take(MAX_DESCRIPTORS).find_map(|entry| {
            let leads_here = std::fs::metadata(entry.path())
                .is_ok_and(|meta| mapping.file().is_file(file::identity_of(&meta)));
            if leads_here { open(mapping, &entry.path()) } else { None }
        })
    })
}

/// So many other participants are asked.
const MAX_PEERS: usize = 16;
/// So many descriptors of each are looked at.
const MAX_DESCRIPTORS: usize = 4096;
