//! The kernel's channels of bytes: what everybody has.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::net::UnixStream;

use crate::message::{read, stamp};
use crate::stream::{Put, Take};

/// Writes messages of one size.
pub struct Writer<W> {
    to: W,
    message: Vec<u8>,
}

/// Reads them.
pub struct Reader<R> {
    from: R,
    message: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Messages of `size` bytes to `to`.
    pub fn new(to: W, size: usize) -> Self {
        Self { to, message: vec![0; size] }
    }
}

impl<R: Read> Reader<R> {
    /// Messages of `size` bytes from `from`.
    pub fn new(from: R, size: usize) -> Self {
        Self { from, message: vec![0; size] }
    }
}

/// A pipe for messages of `size` bytes.
pub fn pipe(size: usize) -> (Writer<PipeWriter>, Reader<PipeReader>) {
    let (from, to) = std::io::pipe().expect("a pipe");
    (Writer::new(to, size), Reader::new(from, size))
}

/// A pair of stream sockets for messages of `size` bytes.
pub fn socket_pair(size: usize) -> (Writer<UnixStream>, Reader<UnixStream>) {
    let (from, to) = UnixStream::pair().expect("a pair of sockets");
    (Writer::new(to, size), Reader::new(from, size))
}

impl<W: Write> Put for Writer<W> {
    fn put(&mut self, number: u64) {
        stamp(&mut self.message, number);
        self.to.write_all(&self.message).expect("the reader lives");
    }
}

impl<R: Read> Take for Reader<R> {
    fn take(&mut self) -> u64 {
        self.from.read_exact(&mut self.message).expect("the writer lives");
        read(&self.message)
    }
}
