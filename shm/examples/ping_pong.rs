//! Two processes send a message to and fro through a duplex pipe, and one of them measures how long that takes.
//!
//! `cargo run --release --example ping_pong`

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use slipring::{Connection, Error, Handoff, Inherited, Pipe, Result, Segment, Until};

/// How long each size is measured at most, and how often.
const TIME: Duration = Duration::from_millis(200);
const ROUNDS: usize = 10_000;

fn main() -> Result<()> {
    // This program starts itself as the other end: that is handed something.
    match Inherited::from_env() {
        Ok(mut inherited) => pong(&mut inherited.take("pipe")?),
        Err(Error::NotInherited(_)) => ping(),
        Err(error) => Err(error),
    }
}

fn ping() -> Result<()> {
    let segment = Segment::create()?;
    let (mut here, there) = Pipe::duplex(&segment)?;
    let mut handoff = Handoff::new(&segment);
    handoff.give("pipe", &there)?;
    let program = env::current_exe().expect("this program has a path");
    let mut child = handoff.spawn(&mut Command::new(program))?;
    // The child has it. If we kept it too, the child's end would not be known here.
    drop(there);

    println!("{:>9} {:>8} {:>12} {:>12}", "bytes", "rounds", "best", "median");
    for size in [8, 1 << 10, 1 << 20] {
        let times = round_trips(&mut here, size)?;
        let (best, median) = (times[0], times[times.len() / 2]);
        println!("{size:>9} {:>8} {best:>12.1?} {median:>12.1?}", times.len());
    }
    // End of file for the child.
    drop(here);
    assert!(child.wait().is_ok_and(|status| status.success()));
    Ok(())
}

/// How long it takes for a message of `size` bytes to come back, in ascending order.
fn round_trips(pipe: &mut Connection, size: usize) -> Result<Vec<Duration>> {
    let (message, mut answer) = (vec![b'x'; size], Vec::new());
    let (begin, mut times) = (Instant::now(), Vec::with_capacity(ROUNDS));
    while times.is_empty() || (times.len() < ROUNDS && begin.elapsed() < TIME) {
        let start = Instant::now();
        pipe.send(&message)?;
        pipe.recv_into(&mut answer, Until::NEVER)?;
        times.push(start.elapsed());
        assert!(answer == message);
    }
    times.sort_unstable();
    Ok(times)
}

fn pong(pipe: &mut Connection) -> Result<()> {
    let mut message = Vec::new();
    loop {
        match pipe.recv_into(&mut message, Until::NEVER) {
            Ok(_) => pipe.send(&message)?,
            Err(Error::Disconnected) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
