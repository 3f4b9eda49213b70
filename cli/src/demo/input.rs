//! The files, before anything starts.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::failure::Failure;
use crate::quote;

/// Checks that all files can be read; returns the first that is not a regular file.
pub fn check(files: &[PathBuf]) -> Result<Option<&Path>, Failure> {
    let mut special = None;
    for file in files {
        let regular = is_regular(file)
            .map_err(|error| Failure::Usage(format!("{}: {error}", quote::path(file))))?;
        if !regular {
            special = special.or(Some(file.as_path()));
        }
    }
    Ok(special)
}

/// Whether the file is a regular one. A special one is not opened: that might wait, or be seen by somebody.
fn is_regular(file: &Path) -> io::Result<bool> {
    let kind = fs::metadata(file)?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if kind.is_file() {
        File::open(file)?;
    } else {
        rustix::fs::access(file, Access::READ_OK)?;
    }
    Ok(kind.is_file())
}

/// Reads all files once, so that they are in memory.
pub fn warm(files: &[PathBuf]) -> Result<(), Failure> {
    for file in files {
        let read = File::open(file).and_then(|mut open| io::copy(&mut open, &mut io::sink()));
        read.map_err(|error| Failure::of_file(file, error))?;
    }
    Ok(())
}

/// Whether `file` is this process's standard input, under whatever name.
pub fn is_stdin(file: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let stdin = identity(Path::new("/dev/stdin"));
    stdin.is_some() && identity(file) == stdin
}
