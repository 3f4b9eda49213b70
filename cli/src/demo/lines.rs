//! A file in batches of whole lines.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::failure::Failure;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// Reads `file` and gives `send` all of its bytes in order, whole lines at a time, as soon as they are read. Only the last
/// line may lack its end.
pub fn read_batches(
    file: &Path,
    send: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut input = File::open(file).map_err(|error| Failure::of_file(file, error))?;
    batches(|into| read(&mut input, into).map_err(|e| Failure::of_file(file, e)), send)
}

fn read(input: &mut File, into: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match input.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn batches(
    mut read: impl FnMut(&mut [u8]) -> Result<usize, Failure>,
    mut send: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
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
        let last_end = buffer[kept..filled].iter().rposition(|byte| *byte == b'\n');
        kept = match last_end {
            Some(at) => {
                let whole = kept + at + 1;
                send(&buffer[..whole])?;
                buffer.copy_within(whole..filled, 0);
                filled - whole
            }
            None => filled,
        };
    }
}

/// The lines of a batch, each with its end.
pub fn lines(batch: &[u8]) -> impl Iterator<Item = &[u8]> {
    batch.split_inclusive(|byte| *byte == b'\n')
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
        let piece = vec![b'x'; CHUNK];
        assert_eq!(sent(&[&piece, &piece, &piece]), [vec![b'x'; 3 * CHUNK]]);
    }

    #[test]
    fn a_line_keeps_its_end() {
        let all: Vec<_> = lines(b"a\r\n\nb").collect();
        assert_eq!(all, [&b"a\r\n"[..], b"\n", b"b"]);
    }
}
