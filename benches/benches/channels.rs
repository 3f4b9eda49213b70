//! Queues and pipes: copies of all sizes, blocks that nobody touches, and round trips.
//!
//! `cargo bench -p slipring-benches --bench channels` measures; with `-- --test` behind it each runs once.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slipring::SpinPolicy;
use slipring_benches::alone::Lending;
use slipring_benches::channels::ours::{pipe, queue, segment, slots};
use slipring_benches::stream::{Amount, Put, Take, Topology, between_processes, round_trips};

/// The sizes that are copied, and how many messages of each a queue holds.
const SIZES: [(&str, usize, u64); 5] = [
    ("7 B", 7, 1024),
    ("64 B", 64, 1024),
    ("1 KiB", 1 << 10, 1024),
    ("64 KiB", 64 << 10, 64),
    ("1 MiB", 1 << 20, 8),
];

/// Copied in by one process and out by another.
fn copies(c: &mut Criterion) {
    for (name, size, capacity) in SIZES {
        let amount = |count| Amount { warm: 2 * capacity, count };
        stream(c, ("queue", name, size), Topology::ONE, amount, || {
            queue(&segment(SpinPolicy::Adaptive), capacity, size)
        });
        stream(c, ("pipe", name, size), Topology::ONE, amount, || {
            pipe(&segment(SpinPolicy::Adaptive), size)
        });
    }
    for topology in [Topology::TWO, Topology::FOUR] {
        let amount = |count| Amount { warm: 2048, count };
        stream(c, ("queue", "64 B", 64), topology, amount, || {
            queue(&segment(SpinPolicy::Adaptive), 1024, 64)
        });
    }
}

fn stream<P: Put, T: Take>(
    c: &mut Criterion,
    (kind, name, size): (&str, &str, usize),
    topology: Topology,
    amount: impl Fn(u64) -> Amount,
    make: impl Fn() -> (P, T),
) {
    let mut group = c.benchmark_group(format!("processes, {kind}, per message"));
    group.sample_size(20).throughput(Throughput::Bytes(size as u64));
    group.bench_function(BenchmarkId::new(name, topology.name()), |b| {
        b.iter_custom(|count| {
            let (mut put, mut take) = make();
            let streamed = between_processes(topology, amount(count), &mut put, &mut take);
            streamed.time_of(count)
        });
    });
    group.finish();
}

/// Loan, send, view, release: the bytes stay where they are.
fn untouched(c: &mut Criterion) {
    let mut group = c.benchmark_group("one process, loan to release, untouched");
    for (name, size) in [("64 KiB", 64 << 10), ("1 MiB", 1 << 20), ("16 MiB", 16 << 20)] {
        let mut lending = Lending::new(&segment(SpinPolicy::Adaptive), size);
        group.bench_function(name, |b| b.iter(|| lending.go_round()));
    }
    group.finish();
}

/// There and back between two pinned processes, spinning all the time or sleeping each time.
fn trips(c: &mut Criterion) {
    for (name, spin) in [("spinning", SpinPolicy::Forever), ("blocking", SpinPolicy::Never)] {
        trip(c, &format!("slots, 64 B slot, {name}"), || {
            let segment = segment(spin);
            [slots::<7>(&segment, 16), slots::<7>(&segment, 16)]
        });
        trip(c, &format!("queue, 64 B, {name}"), || {
            let segment = segment(spin);
            [queue(&segment, 16, 64), queue(&segment, 16, 64)]
        });
        trip(c, &format!("pipe, 64 B, {name}"), || {
            let segment = segment(spin);
            [pipe(&segment, 64), pipe(&segment, 64)]
        });
    }
}

fn trip<P: Put, T: Take>(c: &mut Criterion, name: &str, make: impl Fn() -> [(P, T); 2]) {
    let mut group = c.benchmark_group("processes, round trip");
    group.sample_size(20);
    group.bench_function(name, |b| {
        b.iter_custom(|count| {
            let [mut there, mut back] = make();
            let (there, back) = ((&mut there.0, &mut there.1), (&mut back.0, &mut back.1));
            round_trips(count, there, back).elapsed
        });
    });
    group.finish();
}

criterion_group!(benches, copies, untouched, trips);
criterion_main!(benches);
