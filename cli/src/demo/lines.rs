//! A file in batches of whole lines.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;

use crate::failure::Failure;

/// How much is read at once.
pub const READ: usize = 64 << 10;

/// A file that is read from its beginning to its end, so many times.
pub struct Input<'a> {
    path: &'a Path,
    file: File,
    left: u32,
}

impl<'a> Input<'a> {
    pub fn open(path: &'a Path, times: u32) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| Failure::of_file(path, error))?;
        Ok(Self { path, file, left: times })
    }

    /// Reads what there is, as far as it fits. 0: that was all.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        loop {
            match self.file.read(&mut into[filled..]) {
                // Its beginning is there already: as much as fits, as of a longer file.
                Ok(0) if self.left > 1 && filled < into.len() => {
                    self.left -= 1;
                    self.file.rewind().map_err(|error| Failure::of_file(self.path, error))?;
                }
                Ok(read) if self.left > 1 && filled + read < into.len() => filled += read,
                Ok(read) => return Ok(filled + read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::of_file(self.path, error)),
            }
        }
    }
}

/// Reads `file` so many times and gives `send` all of its bytes in order, whole lines at a time, as soon as they are read. Only the last
/// line may lack its end.
pub fn read_batches(
    file: &Path,
    times: u32,
    send: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut input = Input::open(file, times)?;
    batches(|into| input.read(into), send)
}

/// Behind the last end of a line.
pub fn end_of_last(lines: &[u8]) -> Option<usize> {
    memchr::memrchr(b'\n', lines).map(|at| at + 1)
}

fn batches(
    mut read: impl FnMut(&mut [u8]) -> Result<usize, Failure>,
    mut send: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut buffer = vec![0; READ];
    // The beginning of a line whose end was not read yet.
    let mut kept = 0;
    loop {
        if kept == buffer.len() {
            buffer.resize(2 * kept, 0);
        }
        let new = read(&mut buffer[kept..])?;
        let filled = kept + new;
        if new == 0 {
            return if kept == 0 { Ok(()) } else { send(&buffer[..kept]) };
        }
        kept = match end_of_last(&buffer[kept..filled]) {
            Some(end) => {
                let whole = kept + end;
                send(&buffer[..whole])?;
                buffer.copy_within(whole..filled, 0);
                filled - whole
            }
            None => filled,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent when the input comes in these pieces.
    fn sent(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut pieces, mut sent) = (pieces.iter(), Vec::new());
        let read = |into: &mut [u8]| {
            let piece = pieces.next().copied().unwrap_or_default();
            into[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        };
        let keep = |batch: &[u8]| {
            sent.push(batch.to_vec());
            Ok(())
        };
        batches(read, keep).unwrap();
        sent
    }

    #[test]
    fn a_batch_ends_where_a_line_does() {
        assert_eq!(sent(&[]), Vec::<Vec<u8>>::new());
        assert_eq!(sent(&[b"one\ntwo\nthr", b"ee", b"\n"]), [&b"one\ntwo\n"[..], b"three\n"]);
        assert_eq!(sent(&[b"\n", b"\n\n"]), [&b"\n"[..], b"\n\n"]);
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(sent(&[b"one\ntwo"]), [&b"one\n"[..], b"two"]);
        assert_eq!(sent(&[b"one"]), [b"one"]);
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_one_batch() {
        let piece = vec![b'x'; READ];
        assert_eq!(sent(&[&piece, &piece, &piece]), [vec![b'x'; 3 * READ]]);
    }
}
