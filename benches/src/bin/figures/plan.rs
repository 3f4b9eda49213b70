//! What is measured, beside what, and the target.

use slipring::{Mutex, SpinPolicy};
use slipring_benches::alone::{Lending, PthreadMutex, lock_and_unlock, nanos_of, nanos_of_opening};
use slipring_benches::channels::{asynchronous, kernel, ours, rings, rival};
use slipring_benches::stream::{
    Amount, Put, Take, Topology, between_processes, between_threads, round_trips,
};
use slipring_benches::{probe, raw};

/// What a figure should be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Target {
    /// At most so many nanoseconds.
    Nanos(f64),
    /// At most so many times the figure beside it.
    Ratio(f64),
    /// Shown for comparison only.
    None,
}

/// Takes one sample, in nanoseconds.
pub type Measure = Box<dyn FnMut() -> f64>;

/// One row of the table.
pub struct Row {
    /// What is measured.
    pub what: String,
    /// Ours.
    pub ours: Measure,
    /// The raw limit or the rival, and what it is.
    pub beside: Option<(&'static str, Measure)>,
    /// What ours should be.
    pub target: Target,
    /// Whether two CPUs take part, so that it matters how far apart they are.
    pub placed: bool,
}

/// How long samples are.
#[derive(Clone, Copy)]
struct Scale {
    /// Counts are divided by this.
    divisor: u64,
}

impl Scale {
    /// So many in a sample of full length.
    fn of(self, count: u64) -> u64 {
        (count / self.divisor).max(16)
    }

    /// So many to be timed, two laps of the ring before.
    fn amount(self, count: u64, capacity: u64) -> Amount {
        Amount { warm: 2 * capacity, count: self.of(count) }
    }
}

/// Slots of rings for small messages.
const CAPACITY: u64 = 1024;

/// All rows. Samples take some 200 ms each, a tenth of that if `quick`.
pub fn plan(quick: bool) -> Vec<Row> {
    let scale = Scale { divisor: if quick { 10 } else { 1 } };
    let mut rows = vec![one_way(scale), one_way_two_lines(scale), spinning(scale)];
    rows.extend(Topology::ALL.map(|topology| descriptors(topology, scale)));
    rows.extend(Topology::ALL.map(|topology| queue(topology, scale)));
    rows.extend([64 << 10, 1 << 20, 16 << 20].map(|size| lending(size, scale)));
    rows.push(mutex(scale));
    rows.push(opening(scale));
    rows.push(blocking(scale));
    rows.push(in_a_task(scale));
    rows.extend([64, 1 << 20].map(|size| pipe_beside_pipe(size, scale)));
    rows.extend([64, 1 << 20].map(|size| pipe_beside_sockets(size, scale)));
    rows
}

fn size_name(size: usize) -> String {
    match size {
        s if s >= 1 << 20 => format!("{} MiB", s >> 20),
        s if s >= 1 << 10 => format!("{} KiB", s >> 10),
        s => format!("{s} B"),
    }
}

/// A row about two or more CPUs.
fn row(
    what: impl Into<String>,
    ours: impl FnMut() -> f64 + 'static,
    beside: (&'static str, Measure),
    target: Target,
) -> Row {
    let ours = Box::new(ours);
    Row { what: what.into(), ours, beside: Some(beside), target, placed: true }
}

fn streamed(topology: Topology, amount: Amount, (mut put, mut take): (impl Put, impl Take)) -> f64 {
    between_processes(topology, amount, &mut put, &mut take).nanos()
}

fn one_way(scale: Scale) -> Row {
    let amount = scale.amount(20_000_000, CAPACITY);
    let ours = move || {
        let segment = ours::segment(SpinPolicy::Adaptive);
        streamed(Topology::ONE, amount, ours::slots::<7>(&segment, CAPACITY))
    };
    let raw = move || streamed(Topology::ONE, amount, raw::ring());
    let what = "Slots, 64 B slot (56 B of payload), one by one, able to block, per message";
    row(what, ours, ("raw ring, never blocks", Box::new(raw)), Target::Nanos(6.0))
}

fn one_way_two_lines(scale: Scale) -> Row {
    let amount = scale.amount(10_000_000, CAPACITY);
    let ours = move || {
        let segment = ours::segment(SpinPolicy::Adaptive);
        streamed(Topology::ONE, amount, ours::slots::<8>(&segment, CAPACITY))
    };
    let core = move || streamed(Topology::ONE, amount, rings::slots::<8>(CAPACITY));
    let what = "Slots, 64 B of payload (two lines), one by one, able to block, per message";
    row(what, ours, ("core ring, never blocks", Box::new(core)), Target::None)
}

fn spinning(scale: Scale) -> Row {
    let trips = scale.of(800_000);
    let ours = move || slots_round_trip(SpinPolicy::Forever, trips);
    let raw = move || probe::round_trip(trips / 16);
    let what = "Slots, round trip of 64 B slots, spinning";
    row(what, ours, ("raw: two cache lines, no PAUSE", Box::new(raw)), Target::Ratio(1.2))
}

fn slots_round_trip(spin: SpinPolicy, trips: u64) -> f64 {
    let segment = ours::segment(spin);
    let (mut put_there, mut take_there) = ours::slots::<7>(&segment, 16);
    let (mut put_back, mut take_back) = ours::slots::<7>(&segment, 16);
    let there = (&mut put_there, &mut take_there);
    round_trips(trips, there, (&mut put_back, &mut take_back)).nanos
}

fn descriptors(topology: Topology, scale: Scale) -> Row {
    let amount = scale.amount(6_000_000, CAPACITY);
    let ours = move || streamed(topology, amount, rings::descriptors(CAPACITY));
    let rival = move || {
        let (put, take) = rival::array::<u64>(CAPACITY as usize);
        between_threads(topology, amount, &put, &take).nanos()
    };
    let what = format!("core mpmc ring, 8 B descriptors, {}, per message", topology.name());
    row(what, ours, ("ArrayQueue<u64>, threads", Box::new(rival)), Target::Ratio(1.0))
}

fn queue(topology: Topology, scale: Scale) -> Row {
    let amount = scale.amount(4_000_000, CAPACITY);
    let ours = move || {
        let segment = ours::segment(SpinPolicy::Adaptive);
        streamed(topology, amount, ours::queue(&segment, CAPACITY, 64))
    };
    let rival = move || {
        let (put, take) = rival::array::<[u8; 64]>(CAPACITY as usize);
        between_threads(topology, amount, &put, &take).nanos()
    };
    let what = format!("Queue, 64 B, {}, per message", topology.name());
    // Alone against one peer a block costs more than a copy by value: that one is shown for comparison.
    let target = if topology == Topology::ONE { Target::None } else { Target::Ratio(1.0) };
    row(what, ours, ("ArrayQueue<[u8; 64]>, threads", Box::new(rival)), target)
}

fn lending(size: usize, scale: Scale) -> Row {
    let count = scale.of(2_000_000);
    let ours = move || {
        let segment = ours::segment(SpinPolicy::Adaptive);
        let mut lending = Lending::new(&segment, size);
        nanos_of(count, |_| lending.go_round())
    };
    let what = format!("loan, send, view, release of {} untouched, one process", size_name(size));
    Row { what, ours: Box::new(ours), beside: None, target: Target::Nanos(80.0), placed: false }
}

fn mutex(scale: Scale) -> Row {
    let count = scale.of(15_000_000);
    let ours = move || {
        let segment = ours::segment(SpinPolicy::Adaptive);
        let mutex = Mutex::new(&segment, 0_u64).expect("a mutex");
        nanos_of(count, |_| lock_and_unlock(&mutex))
    };
    let rival = move || {
        let mutex = PthreadMutex::new();
        nanos_of(count, |_| mutex.lock_and_unlock())
    };
    Row {
        what: "Mutex, uncontended, lock and unlock".into(),
        ours: Box::new(ours),
        beside: Some(("pthread mutex, robust, between processes", Box::new(rival))),
        target: Target::Nanos(12.0),
        placed: false,
    }
}

fn opening(scale: Scale) -> Row {
    let count = scale.of(2_000);
    Row {
        what: "a queue opened by name, by a process that has others open".into(),
        ours: Box::new(move || nanos_of_opening(count)),
        beside: None,
        target: Target::Nanos(50_000.0),
        placed: false,
    }
}

fn in_a_task(scale: Scale) -> Row {
    let trips = scale.of(4_000);
    let ours = move || {
        let segment = ours::segment(SpinPolicy::Never);
        let queue = || asynchronous::queue(&segment, 16, 64);
        pipe_round_trip(trips, queue(), queue())
    };
    let futex = move || {
        let segment = ours::segment(SpinPolicy::Never);
        pipe_round_trip(trips, ours::queue(&segment, 16, 64), ours::queue(&segment, 16, 64))
    };
    let what = "Queue, round trip of 64 B, received in tokio tasks, sleeping each time";
    row(what, ours, ("blocking receivers (futex)", Box::new(futex)), Target::Ratio(1.3))
}

fn blocking(scale: Scale) -> Row {
    let trips = scale.of(4_000);
    let ours = move || {
        let segment = ours::segment(SpinPolicy::Never);
        pipe_round_trip(trips, ours::pipe(&segment, 64), ours::pipe(&segment, 64))
    };
    let kernel = move || pipe_round_trip(trips, kernel::pipe(64), kernel::pipe(64));
    let what = "Pipe, round trip of 64 B, sleeping each time";
    row(what, ours, ("kernel pipe", Box::new(kernel)), Target::None)
}

fn pipe_round_trip<P: Put, T: Take>(trips: u64, mut there: (P, T), mut back: (P, T)) -> f64 {
    round_trips(trips, (&mut there.0, &mut there.1), (&mut back.0, &mut back.1)).nanos
}

fn our_pipe(size: usize, scale: Scale) -> impl FnMut() -> f64 + 'static {
    let amount = pipe_amount(size, scale, 6_000_000, 6_000);
    move || {
        let segment = ours::segment(SpinPolicy::Adaptive);
        streamed(Topology::ONE, amount, ours::pipe(&segment, size))
    }
}

/// Long messages take longer.
fn pipe_amount(size: usize, scale: Scale, short: u64, long: u64) -> Amount {
    if size < 1 << 20 { scale.amount(short, CAPACITY) } else { scale.amount(long, 16) }
}

fn pipe_beside_pipe(size: usize, scale: Scale) -> Row {
    let amount = pipe_amount(size, scale, 700_000, 300);
    let kernel = move || streamed(Topology::ONE, amount, kernel::pipe(size));
    let what = format!("Pipe, {}, per message", size_name(size));
    row(what, our_pipe(size, scale), ("kernel pipe", Box::new(kernel)), Target::None)
}

fn pipe_beside_sockets(size: usize, scale: Scale) -> Row {
    let amount = pipe_amount(size, scale, 300_000, 2_000);
    let kernel = move || streamed(Topology::ONE, amount, kernel::socket_pair(size));
    let what = format!("Pipe, {}, per message, again", size_name(size));
    row(what, our_pipe(size, scale), ("socket pair", Box::new(kernel)), Target::None)
}
