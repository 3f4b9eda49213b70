//! Large frames through a bounded queue between two processes: how many a second, and what memory stays behind a burst.
//!
//! ```text
//! frames stream CAPACITY SECONDS [MIB]   frames a second, and the CPU time of both processes for each
//! frames burst [MIB]                     twelve frames through a queue of four, then committed bytes over time
//! ```
//!
//! To compare two builds, run both in turn, nine times or more, and compare medians.

use std::time::{Duration, Instant};

use slipring::{ByteQueue, Segment};
use slipring_benches::processes::{run, span};

const MIB: usize = 1 << 20;
const BURST: usize = 12;

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse::<u64>().ok());
    let size = |at| number(at).unwrap_or(8) as usize * MIB;
    match (args.first().map(String::as_str), number(1), number(2)) {
        (Some("stream"), Some(capacity), Some(seconds)) => stream(capacity, seconds, size(3)),
        (Some("burst"), _, _) => burst(number(1).unwrap_or(64) as usize * MIB),
        _ => eprintln!("frames stream CAPACITY SECONDS [MIB] | frames burst [MIB]"),
    }
}

/// The sender writes each frame whole and the receiver copies it out, as `send` and `recv_into` do.
fn stream(capacity: u64, seconds: u64, size: usize) {
    let segment = Segment::create().expect("a segment");
    let mut ends = ByteQueue::bounded(&segment, capacity).map(Some).expect("a queue");
    let reports = run(&[None, None], |role, gate| {
        let (mut tx, mut rx) = ends.take().expect("a fork of its own");
        let mut frame = vec![7; size];
        if role == 0 {
            drop(rx);
            gate.pass();
            let start = Instant::now();
            let mut sent = 0_u64;
            while start.elapsed() < Duration::from_secs(seconds) {
                tx.send(&frame).expect("sent");
                sent += 1;
            }
            // The parent has the handles of both sides: nobody else hears of this one's end.
            tx.send(&[]).expect("sent");
            return [sent, cpu_micros(), 0, 0];
        }
        drop(tx);
        gate.pass();
        let mut taken = 0;
        while rx.recv_into(&mut frame, None::<Duration>).expect("received") > 0 {
            taken += 1;
        }
        [taken, cpu_micros(), 0, 0]
    });
    let frames = reports[1].facts[0];
    assert_eq!(frames, reports[0].facts[0], "frames were lost");
    let cpu = (reports[0].facts[1] + reports[1].facts[1]) / frames;
    let rate = frames as f64 / span(&reports).as_secs_f64();
    println!("{rate:.2} frames/s, {cpu} us of CPU a frame, {frames} frames");
}

/// One process, then nobody but a receiver that waits.
fn burst(size: usize) {
    let segment = Segment::create().expect("a segment");
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 4).expect("a queue");
    let committed = |what: &str| {
        println!("{what:>12} {:8.1} MiB", segment.memory().committed as f64 / MIB as f64);
    };
    committed("before");
    let (frame, mut buffer) = (vec![7; size], Vec::new());
    for sent in 0..BURST {
        if sent >= 4 {
            rx.recv_into(&mut buffer, None::<Duration>).expect("received");
        }
        tx.send(&frame).expect("sent");
    }
    while rx.try_recv().is_ok() {}
    let start = Instant::now();
    committed("at its end");
    for _ in 0..12 {
        let _ = rx.recv_until(Duration::from_millis(100));
        committed(&format!("{} ms", start.elapsed().as_millis()));
    }
}

/// CPU time of this process, with the kernel's part.
fn cpu_micros() -> u64 {
    // SAFETY: zero is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` may be written to.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    micros(usage.ru_utime) + micros(usage.ru_stime)
}
