//! What this process does with its port: stream, round trip.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::peer::{ANSWER, PLAIN, Pinned, Role, command, with_stack};
use super::port::{Play, Port, with_peer};
use super::setup::Setup;
use crate::failure::Failure;

/// So many messages, or bytes of them, go before time is counted.
const WARM: usize = 2000;
const WARM_BYTES: usize = 16 << 20;
/// So many bytes are sent between two looks at the clock.
const BURST_BYTES: usize = 64 << 10;
/// Round trips are recorded up to this long, with three digits.
const LONGEST: u64 = 60_000_000_000;

/// Nanoseconds.
pub type Times = Histogram<u64>;

/// No times yet.
pub fn no_times() -> Result<Times, Failure> {
    Histogram::new_with_bounds(1, LONGEST, 3).map_err(|error| Failure::Run(error.to_string()))
}

/// Sends one way for so long; returns messages per second.
pub fn stream(setup: &Setup, time: Duration) -> Result<f64, Failure> {
    at_this_end(setup, Role::Sink, Stream { size: setup.size, time })
}

/// Sends back and forth for so long; returns how long each took.
pub fn round_trips(setup: &Setup, time: Duration) -> Result<Times, Failure> {
    at_this_end(setup, Role::Echo, RoundTrips { size: setup.size, time })
}

fn at_this_end<P: Play<Out: Send> + Send>(
    setup: &Setup,
    role: Role,
    play: P,
) -> Result<P::Out, Failure> {
    let command = command(setup, role);
    let play = Pinned { cpu: setup.cpus.map(|[ours, _]| ours), play };
    let done = with_stack(|| with_peer(setup, command, play));
    done.map_err(|failure| match failure {
        Failure::Alone => {
            Failure::Run(format!("{}: the other process ended", setup.channel.name()))
        }
        other => other,
    })
}

fn warm(size: usize) -> usize {
    (WARM_BYTES / size).clamp(10, WARM)
}

struct Stream {
    size: usize,
    time: Duration,
}

impl Play for Stream {
    type Out = f64;

    fn play(self, mut port: impl Port) -> Result<f64, Failure> {
        let (mut plain, mut last) = (vec![0; self.size], vec![0; self.size]);
        (plain[0], last[0]) = (PLAIN, ANSWER);
        for _ in 0..warm(self.size) {
            port.send(&plain)?;
        }
        port.send(&last)?;
        port.recv()?;
        let burst = (BURST_BYTES / self.size).clamp(1, 1024) as u64;
        let (mut sent, start) = (1, Instant::now());
        while start.elapsed() < self.time {
            for _ in 0..burst {
                port.send(&plain)?;
            }
            sent += burst;
        }
        port.send(&last)?;
        port.recv()?;
        Ok(sent as f64 / start.elapsed().as_secs_f64())
    }
}

struct RoundTrips {
    size: usize,
    time: Duration,
}

impl Play for RoundTrips {
    type Out = Times;

    fn play(self, mut port: impl Port) -> Result<Times, Failure> {
        let message = vec![PLAIN; self.size];
        for _ in 0..warm(self.size) / 10 {
            port.send(&message)?;
            port.recv()?;
        }
        let mut times = no_times()?;
        let (start, mut before) = (Instant::now(), Duration::ZERO);
        while before < self.time || times.is_empty() {
            port.send(&message)?;
            port.recv()?;
            let now = start.elapsed();
            times.saturating_record((now - before).as_nanos() as u64);
            before = now;
        }
        Ok(times)
    }
}
