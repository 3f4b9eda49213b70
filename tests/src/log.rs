//! Logs of stamps: written with one system call each, so that what was logged is there after a SIGKILL.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use slipring_core::primitive::{AtomicU32, Ordering};

use crate::message::Stamp;

/// A log that is being written.
#[derive(Debug)]
pub struct Log {
    file: File,
}

impl Log {
    /// Appends to the log at `path`, which is made if need be.
    pub fn append(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self { file: file.expect("a log file") }
    }

    /// Writes one entry.
    pub fn write(&mut self, stamp: Stamp) {
        let mut entry = [0; 16];
        entry[..4].copy_from_slice(&stamp.producer.to_le_bytes());
        entry[8..].copy_from_slice(&stamp.number.to_le_bytes());
        self.file.write_all(&entry).expect("the log is written");
    }
}

/// The entries of a log, complete ones only.
pub fn read(path: &Path) -> Vec<Stamp> {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        file.read_to_end(&mut bytes).expect("the log is read");
    }
    let entry = |entry: &[u8]| Stamp {
        producer: u32::from_le_bytes(entry[..4].try_into().expect("four bytes")),
        number: u64::from_le_bytes(entry[8..].try_into().expect("eight bytes")),
    };
    bytes.chunks_exact(16).map(entry).collect()
}

/// How many entries a log has.
pub fn len(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len() / 16)
}

/// A directory for a test's logs, removed with it.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// An empty directory with this name in its own: no other has the same, in other tests of this process or elsewhere.
    pub fn new(name: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        // ORDERING: Relaxed; each gets another number, and nothing else matters.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let unique = format!("slipring-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory for logs");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of one log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Checks what consumers saw: each in the order of each producer, nothing twice. Returns all of it.
pub fn check_received(logs: &[Vec<Stamp>]) -> HashSet<Stamp> {
    let mut all = HashSet::new();
    for (consumer, log) in logs.iter().enumerate() {
        let mut last = HashMap::new();
        for stamp in log {
            assert!(all.insert(*stamp), "{stamp:?} came twice");
            let before = last.insert(stamp.producer, stamp.number);
            assert!(
                before.is_none_or(|before| before < stamp.number),
                "consumer {consumer} got {stamp:?} after number {before:?}"
            );
        }
    }
    all
}
