//! Messages one way, and round trips, over anything that takes and gives messages.
//!
//! Every run begins with messages that are not timed: they touch the memory first. Then all pass the gate, and time is
//! counted until the last consumer has the last message. Order and sum of what came are checked.

use std::time::Duration;

use crate::cpu;
use crate::message::{MAX_PRODUCERS, Tally, number, sum_of};
use crate::processes::{Facts, Gate, Report, run, run_threads, span};

/// Where messages go in.
pub trait Put {
    /// Puts the message with this number in, waiting for room.
    fn put(&mut self, number: u64);
}

/// Where messages come out.
pub trait Take {
    /// The number of the next message, waiting for it. The message was copied, and checked to be whole.
    fn take(&mut self) -> u64;
}

/// How many there are of each side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Topology {
    producers: usize,
    consumers: usize,
}

impl Topology {
    /// One producer, one consumer, each on a CPU of its own.
    pub const ONE: Self = Self { producers: 1, consumers: 1 };
    /// Two and two, wherever the kernel puts them.
    pub const TWO: Self = Self { producers: 2, consumers: 2 };
    /// Four and four, wherever the kernel puts them.
    pub const FOUR: Self = Self { producers: 4, consumers: 4 };
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ONE, Self::TWO, Self::FOUR];

    /// "2p2c", say.
    pub fn name(self) -> String {
        format!("{}p{}c", self.producers, self.consumers)
    }

    /// Consumers first. Two roles are pinned where there are two CPUs; more are not.
    fn places(self) -> Vec<Option<usize>> {
        let roles = self.producers + self.consumers;
        let cpus = cpu::allowed();
        let pinned = roles == 2 && cpus.len() >= 2;
        (0..roles).map(|role| pinned.then(|| cpus[role])).collect()
    }
}

/// How many messages: `warm` of them before time is counted.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Before the gate.
    pub warm: u64,
    /// Behind it.
    pub count: u64,
}

impl Amount {
    /// So many for each of `sides`, at least as many in all.
    fn each(self, sides: usize) -> (u64, u64) {
        let share = |all: u64| all.div_ceil(sides as u64);
        (share(self.warm), share(self.count))
    }

    /// Shared out evenly among producers and among consumers.
    fn even(self, topology: Topology) -> Self {
        let unit = (topology.producers * topology.consumers) as u64;
        let up = |all: u64| all.next_multiple_of(unit);
        Self { warm: up(self.warm), count: up(self.count) }
    }
}

/// Messages that were timed, and how long they took.
#[derive(Clone, Copy, Debug)]
pub struct Streamed {
    /// How many; the amount that was asked for, shared out evenly.
    pub messages: u64,
    /// From the gate to the last message.
    pub elapsed: Duration,
}

impl Streamed {
    /// Nanoseconds for each message.
    pub fn nanos(&self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.messages as f64
    }

    /// How long `count` messages would have taken at that rate.
    pub fn time_of(&self, count: u64) -> Duration {
        self.elapsed.mul_f64(count as f64 / self.messages as f64)
    }
}

/// Streams messages between processes: each uses its copy of the end that it needs.
pub fn between_processes(
    topology: Topology,
    amount: Amount,
    put: &mut impl Put,
    take: &mut impl Take,
) -> Streamed {
    let amount = amount.even(topology);
    let reports =
        run(&topology.places(), |role, gate| match role.checked_sub(topology.consumers) {
            None => consume(take, gate, amount.each(topology.consumers)),
            Some(producer) => produce(put, producer, gate, amount.each(topology.producers)),
        });
    checked(topology, amount, &reports)
}

/// Streams messages between threads of one process, which share the ends by cloning them.
pub fn between_threads(
    topology: Topology,
    amount: Amount,
    put: &(impl Put + Clone + Sync),
    take: &(impl Take + Clone + Sync),
) -> Streamed {
    let amount = amount.even(topology);
    let reports =
        run_threads(&topology.places(), |role, gate| match role.checked_sub(topology.consumers) {
            None => consume(&mut take.clone(), gate, amount.each(topology.consumers)),
            Some(producer) => {
                produce(&mut put.clone(), producer, gate, amount.each(topology.producers))
            }
        });
    checked(topology, amount, &reports)
}

fn produce(
    put: &mut impl Put,
    producer: usize,
    gate: &Gate<'_>,
    (warm, count): (u64, u64),
) -> Facts {
    (0..warm).for_each(|n| put.put(number(producer, n)));
    gate.pass();
    (warm..warm + count).for_each(|n| put.put(number(producer, n)));
    [0; 4]
}

fn consume(take: &mut impl Take, gate: &Gate<'_>, (warm, count): (u64, u64)) -> Facts {
    let mut tally = Tally::default();
    (0..warm).for_each(|_| tally.add(take.take()));
    gate.pass();
    (0..count).for_each(|_| tally.add(take.take()));
    [tally.count, tally.sum, 0, 0]
}

/// Nothing lost, nothing twice; order was checked by each consumer.
fn checked(topology: Topology, amount: Amount, reports: &[Report]) -> Streamed {
    assert!(topology.producers <= MAX_PRODUCERS, "{} producers", topology.producers);
    let consumers = &reports[..topology.consumers];
    let total = |fact: usize| consumers.iter().map(|r| r.facts[fact]).fold(0, u64::wrapping_add);
    let all = amount.warm + amount.count;
    assert_eq!(total(0), all, "messages that came");
    let wanted = sum_of(topology.producers, all / topology.producers as u64);
    assert_eq!(total(1), wanted, "the sum of their numbers");
    Streamed { messages: amount.count, elapsed: span(consumers) }
}

/// Parts of a run of round trips: the middle one's rate is quoted, so that one interruption does not count.
const PARTS: u64 = 16;

/// Round trips that were timed.
#[derive(Clone, Copy, Debug)]
pub struct Trips {
    /// All of them together.
    pub elapsed: Duration,
    /// Nanoseconds for each, in the middle one of several parts.
    pub nanos: f64,
}

/// Round trips between two pinned processes, the first of which counts the time. `there` and `back` carry one message
/// at a time.
pub fn round_trips(
    trips: u64,
    there: (&mut impl Put, &mut impl Take),
    back: (&mut impl Put, &mut impl Take),
) -> Trips {
    let ((put_there, take_there), (put_back, take_back)) = (there, back);
    let (warm, part) = (trips.div_ceil(10).min(1000), trips.div_ceil(PARTS));
    let reports = run(&Topology::ONE.places(), |role, gate| {
        if role == 0 {
            let mut trip = |n| {
                put_there.put(n);
                assert_eq!(take_back.take(), n, "the answer to another message");
            };
            timed_parts(warm, part, gate, &mut trip)
        } else {
            let mut echo = |_: u64| {
                let n = take_there.take();
                put_back.put(n);
            };
            (0..warm).for_each(&mut echo);
            gate.pass();
            (0..part * PARTS).for_each(echo);
            [0; 4]
        }
    });
    let elapsed = span(&reports[..1]);
    let scale = trips as f64 / (part * PARTS) as f64;
    Trips { elapsed: elapsed.mul_f64(scale), nanos: reports[0].facts[0] as f64 / 1000.0 }
}

/// Makes round trips, and says how many picoseconds one took in the middle one of several parts.
pub fn timed_parts(warm: u64, part: u64, gate: &Gate<'_>, trip: &mut impl FnMut(u64)) -> Facts {
    (0..warm).for_each(&mut *trip);
    gate.pass();
    let mut parts = [0; PARTS as usize];
    let mut next = warm;
    for taken in &mut parts {
        let began = cpu::now();
        (next..next + part).for_each(&mut *trip);
        next += part;
        *taken = (cpu::now() - began) * 1000 / part;
    }
    parts.sort_unstable();
    [parts[parts.len() / 2], 0, 0, 0]
}

/// How many trips [`timed_parts`] makes behind the gate in parts of `part`.
pub const fn trips_in_parts(part: u64) -> u64 {
    part * PARTS
}
