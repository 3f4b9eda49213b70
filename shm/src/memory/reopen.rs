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

use super::name_file::path_of;
use super::regions::Regions;
use crate::error::{Error, Result};
use crate::sys::{file, process};

/// Opens the segment's file again.
///
/// # Errors
///
/// [`Error::DescriptorsClosed`].
#[cold]
pub(super) fn regain(regions: &Regions) -> Result<BorrowedFd<'_>> {
    let held = regions.mapping.file();
    let found = by_name(regions).or_else(|| by_own_map(regions)).or_else(|| by_peers(regions));
    if let Some(file) = found {
        held.replace(file);
    }
    held.get().ok_or(Error::DescriptorsClosed)
}

/// What a path leads to, if that is the segment's file.
fn open(regions: &Regions, path: &Path) -> Option<OwnedFd> {
    let file = file::open(path).ok()?;
    regions.mapping.file().is_same_file(file.as_fd()).then_some(file)
}

fn by_name(regions: &Regions) -> Option<OwnedFd> {
    let name = regions.mapping.header().name()?;
    open(regions, &path_of(&name).ok()?)
}

fn by_own_map(regions: &Regions) -> Option<OwnedFd> {
    let first = regions.mapping.ptr(0, 1).ok()?.addr().get();
    let (start, end) = process::map_at(first)?;
    open(regions, &PathBuf::from(format!("/proc/self/map_files/{start:x}-{end:x}")))
}

fn by_peers(regions: &Regions) -> Option<OwnedFd> {
    let namespace = process::pid_namespace().ok()?;
    let peers = regions.participants().map(|(_, record)| record.identity());
    let near = peers.filter(|peer| peer.pid_namespace == namespace && peer.pid != process::pid());
    // Each look at a process costs as many calls as it has descriptors.
    near.take(MAX_PEERS).find_map(|peer| {
        let folder = PathBuf::from(format!("/proc/{}/fd", peer.pid));
        let all = std::fs::read_dir(folder).ok()?;
        all.flatten().take(MAX_DESCRIPTORS).find_map(|entry| {
            let leads_here = std::fs::metadata(entry.path())
                .is_ok_and(|meta| regions.mapping.file().is_file(file::identity_of(&meta)));
            if leads_here { open(regions, &entry.path()) } else { None }
        })
    })
}

/// So many other participants are asked.
const MAX_PEERS: usize = 16;
/// So many descriptors of each are looked at.
const MAX_DESCRIPTORS: usize = 4096;
