//! What a run was on, and which versions took part.

use std::fs::read_to_string;

use serde::{Deserialize, Serialize};

use crate::contender::Contender;

/// The versions that this program was built with.
const LOCK: &str = include_str!("../Cargo.lock");

/// The machine.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The model of its CPUs.
    pub cpu: String,
    /// The CPUs that the process may use. The first two take part.
    pub cpus: Vec<usize>,
    /// The kernel's release.
    pub kernel: String,
    /// Of all memory, in KiB.
    pub memory_kib: u64,
    /// When the run began, in seconds since 1970.
    pub began: u64,
}

impl Machine {
    /// This one, now.
    pub fn here() -> Self {
        let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
        let memory =
            field(&meminfo, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            cpu: field(&cpuinfo, "model name").unwrap_or("unknown").into(),
            cpus: slipring_benches::cpu::allowed(),
            kernel: read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
            memory_kib: memory.unwrap_or(0),
            began: now.as_secs(),
        }
    }
}

/// The value of the first line `name: value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value =
        |line: &'a str| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim());
    text.lines().find_map(value)
}

/// The version of a contender's crate; the kernel's is the machine's.
pub fn version(contender: &Contender) -> String {
    match contender.package {
        Some(package) => locked(LOCK, package).unwrap_or("unknown").into(),
        None => "Linux".into(),
    }
}

/// The version of a package in a lock file.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, behind) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    behind.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::ALL;

    #[test]
    fn a_field_is_what_stands_behind_its_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2: fast\nmodel name\t: Other\n";
        assert_eq!(field(text, "model name"), Some("Some CPU @ 2: fast"));
        assert_eq!(field("MemTotal:       123 kB", "MemTotal"), Some("123 kB"));
        assert_eq!(field(text, "flags"), None);
    }

    #[test]
    fn every_crate_that_takes_part_has_a_version() {
        for contender in &ALL {
            assert_ne!(version(contender), "unknown", "{}", contender.name);
        }
        assert_eq!(locked(LOCK, "rtr"), None);
    }
}
