//! The rings of `slipring_core`: in one thread, and between processes.
//!
//! `cargo bench -p slipring-benches --bench rings` measures; with `-- --test` behind it each runs once.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slipring_benches::channels::rings::{descriptors, records, slots};
use slipring_benches::raw;
use slipring_benches::stream::{Amount, Put, Take, Topology, between_processes};

/// Slots of the rings.
const CAPACITY: u64 = 1024;
/// Bytes of the rings of records.
const BYTES: usize = 1 << 20;

/// One message in and out again, by one thread.
fn in_one_thread(c: &mut Criterion) {
    let mut group = c.benchmark_group("one thread, put and take");
    let mut bench = |name: &str, bytes: u64, (mut put, mut take): (Box<dyn Put>, Box<dyn Take>)| {
        let mut number = 0;
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(name, |b| {
            b.iter(|| {
                put.put(number);
                assert_eq!(take.take(), number);
                number += 1;
            });
        });
    };
    bench("slots, 8 B", 8, boxed(slots::<1>(CAPACITY)));
    bench("slots, 64 B slot", 56, boxed(slots::<7>(CAPACITY)));
    bench("slots, 1 KiB", 1024, boxed(slots::<128>(CAPACITY)));
    bench("records, 8 B", 8, boxed(records(BYTES, 8)));
    bench("records, 64 B", 64, boxed(records(BYTES, 64)));
    bench("records, 1 KiB", 1024, boxed(records(BYTES, 1024)));
    bench("mpmc, 8 B", 8, boxed(descriptors(CAPACITY)));
    group.finish();
}

fn boxed((put, take): (impl Put + 'static, impl Take + 'static)) -> (Box<dyn Put>, Box<dyn Take>) {
    (Box::new(put), Box::new(take))
}

/// From one pinned process to another.
fn one_to_one(c: &mut Criterion) {
    stream(c, "slots, 8 B", Topology::ONE, || slots::<1>(CAPACITY));
    stream(c, "slots, 64 B slot", Topology::ONE, || slots::<7>(CAPACITY));
    stream(c, "slots, 1 KiB", Topology::ONE, || slots::<128>(CAPACITY));
    stream(c, "records, 8 B", Topology::ONE, || records(BYTES, 8));
    stream(c, "records, 64 B", Topology::ONE, || records(BYTES, 64));
    stream(c, "records, 1 KiB", Topology::ONE, || records(BYTES, 1024));
    stream(c, "raw limit, 64 B slot", Topology::ONE, raw::ring);
}

/// Between processes, as many of one kind as of the other.
fn many_to_many(c: &mut Criterion) {
    for topology in Topology::ALL {
        stream(c, "mpmc, 8 B", topology, || descriptors(CAPACITY));
    }
}

fn stream<P: Put, T: Take>(
    c: &mut Criterion,
    name: &str,
    topology: Topology,
    make: impl Fn() -> (P, T),
) {
    let mut group = c.benchmark_group("processes, per message");
    group.sample_size(20).throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new(name, topology.name()), |b| {
        b.iter_custom(|count| {
            let (mut put, mut take) = make();
            let amount = Amount { warm: 2 * CAPACITY, count };
            between_processes(topology, amount, &mut put, &mut take).time_of(count)
        });
    });
    group.finish();
}

criterion_group!(benches, in_one_thread, one_to_one, many_to_many);
criterion_main!(benches);
