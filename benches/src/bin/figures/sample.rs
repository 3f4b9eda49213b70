//! Taking samples: interleaved, tagged, and not while others are at work.

use slipring_benches::load::Meter;
use slipring_benches::median;
use slipring_benches::probe::{Distance, probe};

use super::plan::{Measure, Row};

/// How often a sample is taken again because others were at work.
const RETRIES: u32 = 2;
/// With fewer near samples than this, far ones are shown too.
pub const ENOUGH: usize = 3;

/// What was measured of one thing.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    taken: Vec<(Distance, f64)>,
    /// How many were dropped because others were at work.
    pub dropped: usize,
}

impl Samples {
    /// How many samples were taken at this distance.
    pub fn count(&self, distance: Distance) -> usize {
        self.of(distance).count()
    }

    /// The middle one of those at this distance.
    pub fn median(&self, distance: Distance) -> Option<f64> {
        median(self.of(distance).collect())
    }

    /// The middle one of all.
    pub fn median_of_all(&self) -> Option<f64> {
        median(self.taken.iter().map(|(_, nanos)| *nanos).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    fn of(&self, distance: Distance) -> impl Iterator<Item = f64> + '_ {
        self.taken.iter().filter(move |(d, _)| *d == distance).map(|(_, nanos)| *nanos)
    }
}

/// The samples of one row: ours, and what stands beside it.
pub type Pair = [Samples; 2];

/// Takes `rounds` samples of everything; one during which others used more than `limit` of the machine does not count.
pub fn take(plan: &mut [Row], rounds: u32, limit: f64) -> Vec<Pair> {
    let mut results = vec![Pair::default(); plan.len()];
    let mut last = probe();
    for round in 1..=rounds {
        for (row, [ours, beside]) in plan.iter_mut().zip(&mut results) {
            eprintln!("round {round} of {rounds}: {}", row.what);
            add(ours, &mut row.ours, &mut last, limit);
            if let Some((_, measure)) = &mut row.beside {
                add(beside, measure, &mut last, limit);
            }
        }
    }
    results
}

/// Takes one sample. `last` is the distance at its beginning, and then at its end.
fn add(samples: &mut Samples, measure: &mut Measure, last: &mut Distance, limit: f64) {
    for _ in 0..=RETRIES {
        let meter = Meter::start();
        let nanos = measure();
        let foreign = meter.foreign();
        let before = std::mem::replace(last, probe());
        if foreign <= limit {
            return samples.taken.push((Distance::between(before, *last), nanos));
        }
    }
    samples.dropped += 1;
}
