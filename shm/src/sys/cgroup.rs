//! The memory limit that the kernel will kill this process for.
//!
//! `fallocate` does not protect from it: a process over its cgroup's limit is killed and gets no error. So a segment's
//! budget is held against the limit when it is made.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the hierarchies are mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// Version 1 writes "no limit" as the largest multiple of a page; nothing real is so large.
const UNLIMITED: u64 = 1 << 62;
/// Deeper paths than this are not walked.
const MAX_DEPTH: usize = 64;

/// The least memory limit of this process's cgroup and those above it, in bytes. `None`: no limit, or none readable.
pub(crate) fn memory_limit() -> Option<u64> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    limit_under(Path::new(MOUNT), &membership)
}

/// As [`memory_limit`], for the lines of a `/proc/PID/cgroup` and hierarchies mounted below `mount`.
fn limit_under(mount: &Path, membership: &str) -> Option<u64> {
    let mut least = None;
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (roots, file): (&[PathBuf], _) = if controllers.is_empty() {
            (&[mount.to_path_buf(), mount.join("unified")], "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (&[mount.join("memory"), mount.join(controllers)], "memory.limit_in_bytes")
        } else {
            continue;
        };
        for root in roots {
            least = least.into_iter().chain(least_upwards(root, path, file)).min();
        }
    }
    least
}

/// The least number in `file` of the directory `root/path` and of those above it, up to `root`. A path that leads out
/// of this cgroup namespace (`/../x`) is not walked; the namespace's root is what can be read.
fn least_upwards(root: &Path, path: &str, file: &str) -> Option<u64> {
    let outside = path.split('/').any(|part| part == "..");
    let mut at = if outside { Path::new("") } else { Path::new(path.trim_start_matches('/')) };
    let mut least = None;
    for _ in 0..MAX_DEPTH {
        least = least.into_iter().chain(read_limit(&root.join(at).join(file))).min();
        match at.parent() {
            Some(above) => at = above,
            None => break,
        }
    }
    least
}

fn read_limit(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    // "max" is no number.
    text.trim().parse().ok().filter(|&limit| limit < UNLIMITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up mount with these files, removed at the end.
    struct Mount(PathBuf);

    impl Mount {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let mount = Self(
                std::env::temp_dir().join(format!("slipring-cgroup-{name}-{}", std::process::id())),
            );
            for (path, text) in files {
                let path = mount.0.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            mount
        }
    }

    impl Drop for Mount {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let mount = Mount::new(
            "v2",
            &[("a/b/memory.max", "max\n"), ("a/memory.max", "4096\n"), ("memory.max", "8192\n")],
        );
        assert_eq!(limit_under(&mount.0, "0::/a/b\n"), Some(4096));
        assert_eq!(limit_under(&mount.0, "0::/\n"), Some(8192));
        assert_eq!(limit_under(&mount.0, "0::/not/here\n"), Some(8192));
        assert_eq!(limit_under(&mount.0, "0::/../other\n"), Some(8192));
    }

    #[test]
    fn version_one_has_a_hierarchy_of_its_own() {
        let mount = Mount::new(
            "v1",
            &[
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/x/memory.limit_in_bytes", "1048576\n"),
            ],
        );
        assert_eq!(limit_under(&mount.0, "9:cpu:/y\n4:memory:/x\n0::/\n"), Some(1_048_576));
        assert_eq!(limit_under(&mount.0, "4:memory:/\n"), None);
    }

    #[test]
    fn nonsense_is_no_limit() {
        let mount = Mount::new("none", &[("memory.max", "lots")]);
        for lines in ["", "x", "0:", "0::", "0::/a\n:::", "\0"] {
            assert_eq!(limit_under(&mount.0, lines), None, "{lines:?}");
        }
        // Whatever this machine says, it is no error and not absurd.
        assert!(memory_limit().is_none_or(|limit| limit > 1 << 20 && limit < UNLIMITED));
    }
}
