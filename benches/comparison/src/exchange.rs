//! One sample: two roles, pinned to two CPUs, in two processes or in two threads of one.
//!
//! The consumer, or the one who asks, is role 0 and counts the time, from the gate to its last message. Ends are made
//! in the role that uses them and dropped there, after the clock has stopped.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use slipring_benches::cpu;
use slipring_benches::message::{Tally, sum_of};
use slipring_benches::processes::{Facts, Gate, Report, run, run_threads};
use slipring_benches::stream::{Amount, Put, Take, timed_parts, trips_in_parts};

use crate::statistics::percentile;

/// Where the two roles live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Site {
    /// In two processes.
    Processes,
    /// In two threads of one process: all that the rival can do.
    Threads,
}

/// What one sample found.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// Messages, or round trips, that were timed.
    pub count: u64,
    /// Nanoseconds for each of them. Of round trips: in the middle one of sixteen parts.
    pub nanos: f64,
    /// Of round trips, which were then timed one by one.
    pub trips: Option<Trips>,
}

/// Percentiles of round trips within one sample. Reading the clock is in them: 20 to 30 ns.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trips {
    /// Nanoseconds that half of them took at most.
    pub p50: f64,
    /// Nanoseconds that 99 of 100 took at most.
    pub p99: f64,
}

/// Streams messages from role 1 to role 0.
///
/// # Panics
///
/// If a message is lost, torn, doubled or out of order, or a role fails.
pub fn one_way<P: Put, T: Take>(
    site: Site,
    amount: Amount,
    put: impl FnOnce() -> P + Send,
    take: impl FnOnce() -> T + Send,
) -> Timing {
    let consume = |gate: &Gate<'_>| {
        let mut take = take();
        let mut tally = Tally::default();
        (0..amount.warm).for_each(|_| tally.add(take.take()));
        gate.pass();
        let began = cpu::now();
        (0..amount.count).for_each(|_| tally.add(take.take()));
        [tally.count, tally.sum, cpu::now() - began, 0]
    };
    let produce = |gate: &Gate<'_>| {
        let mut put = put();
        (0..amount.warm).for_each(|number| put.put(number));
        gate.pass();
        (amount.warm..amount.warm + amount.count).for_each(|number| put.put(number));
        [0; 4]
    };
    let [count, sum, elapsed, _] = play(site, consume, produce)[0].facts;
    let all = amount.warm + amount.count;
    assert_eq!(
        (count, sum),
        (all, sum_of(1, all)),
        "messages that came, and the sum of their numbers"
    );
    Timing { count: amount.count, nanos: elapsed as f64 / amount.count as f64, trips: None }
}

/// Makes round trips: role 0 asks, role 1 answers. Each is given as what makes one trip with the message of a number.
///
/// # Panics
///
/// If a role fails.
pub fn round_trips<Ask: FnMut(u64), Answer: FnMut()>(
    site: Site,
    trips: u64,
    ask: impl FnOnce() -> Ask + Send,
    answer: impl FnOnce() -> Answer + Send,
) -> Timing {
    let (warm, part) = (trips.div_ceil(10).min(1000), trips.div_ceil(trips_in_parts(1)));
    let together = trips_in_parts(part);
    let alone = together.clamp(100, 100_000);
    let ask = |gate: &Gate<'_>| {
        let mut trip = ask();
        let [picos, ..] = timed_parts(warm, part, gate, &mut trip);
        let each = timed_alone(warm + together, alone, &mut trip);
        [picos, percentile(&each, 50.0) as u64, percentile(&each, 99.0) as u64, 0]
    };
    let answer = |gate: &Gate<'_>| {
        let mut answer = answer();
        (0..warm).for_each(|_| answer());
        gate.pass();
        (0..together + alone).for_each(|_| answer());
        [0; 4]
    };
    let [picos, p50, p99, _] = play(site, ask, answer)[0].facts;
    let trips = Trips { p50: p50 as f64, p99: p99 as f64 };
    Timing { count: together, nanos: picos as f64 / 1000.0, trips: Some(trips) }
}

/// One who asks through one channel and is answered through another.
pub fn asker(mut put: impl Put, mut take: impl Take) -> impl FnMut(u64) {
    move |number| {
        put.put(number);
        assert_eq!(take.take(), number, "the answer to another message");
    }
}

/// One who answers.
pub fn answerer(mut take: impl Take, mut put: impl Put) -> impl FnMut() {
    move || put.put(take.take())
}

/// Nanoseconds of each of `count` trips. The clock is read once for each.
fn timed_alone(first: u64, count: u64, trip: &mut impl FnMut(u64)) -> Vec<f64> {
    let mut times = vec![1.0; count as usize];
    let mut last = cpu::now();
    for (number, time) in (first..).zip(&mut times) {
        trip(number);
        let now = cpu::now();
        *time = (now - last) as f64;
        last = now;
    }
    times
}

/// Plays two roles on the first two CPUs.
fn play(
    site: Site,
    zero: impl FnOnce(&Gate<'_>) -> Facts + Send,
    one: impl FnOnce(&Gate<'_>) -> Facts + Send,
) -> Vec<Report> {
    let places = cpu::allowed().into_iter().take(2).map(Some).collect::<Vec<_>>();
    let roles = (Mutex::new(Some(zero)), Mutex::new(Some(one)));
    let body = |role: usize, gate: &Gate<'_>| {
        if role == 0 { once(&roles.0)(gate) } else { once(&roles.1)(gate) }
    };
    match site {
        Site::Processes => run(&places, body),
        Site::Threads => run_threads(&places, body),
    }
}

/// What a role does, which is done once.
fn once<T>(role: &Mutex<Option<T>>) -> T {
    role.lock().expect("no role fails here").take().expect("each role is played once")
}
