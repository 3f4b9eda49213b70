//! The reference that `benches/put_get.sh` compares `put` and `get` with: copies the standard input to the standard output
//! line by line, as a program does that has to deal with each line by itself. It reads through a buffer of 128 KiB and
//! writes each line, with its end, with one system call.

use std::io::{BufRead, BufReader, Result, stdin, stdout};
use std::os::fd::AsFd;

fn main() -> Result<()> {
    let mut input = BufReader::with_capacity(
        128 << 10,
        std::fs::File::from(stdin().as_fd().try_clone_to_owned()?),
    );
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(stdout(), rest)?..];
        }
        line.clear();
    }
    Ok(())
}
