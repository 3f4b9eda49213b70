//! The round trip of a cache line between two CPUs, which tells near ones from far ones.
//!
//! Under a hypervisor the two may lie on one cache or on two, and move while a benchmark runs: a round trip of about
//! 115 or about 560 ns, and nothing else says which. So a sample is taken between two probes and carries their tag.

use std::sync::Arc;

use slipring_core::primitive::{AtomicU64, CachePadded, Ordering};

use crate::cpu;
use crate::processes::run;
use crate::shared::Shared;
use crate::stream::{timed_parts, trips_in_parts};

/// A round trip below this is near, in nanoseconds.
const NEAR: f64 = 200.0;
/// One above this is far.
const FAR: f64 = 350.0;
/// Round trips of a probe in each of its parts.
const PART: u64 = 150;

/// How far apart the two CPUs were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Distance {
    /// They share a cache.
    Near,
    /// They do not.
    Far,
    /// In between, or it changed.
    Mixed,
}

impl Distance {
    /// What a round trip of so many nanoseconds means.
    pub fn of(nanos: f64) -> Self {
        match nanos {
            n if n < NEAR => Self::Near,
            n if n > FAR => Self::Far,
            _ => Self::Mixed,
        }
    }

    /// What held from one probe to the next.
    pub fn between(before: Self, after: Self) -> Self {
        if before == after { before } else { Self::Mixed }
    }
}

/// A line for each direction.
#[repr(C)]
struct Lines {
    there: CachePadded<AtomicU64>,
    back: CachePadded<AtomicU64>,
}

/// Whether probing is possible: it takes two CPUs.
pub fn is_possible() -> bool {
    cpu::allowed().len() >= 2
}

/// The distance now.
///
/// # Panics
///
/// On one CPU.
pub fn probe() -> Distance {
    Distance::of(nanos())
}

/// What a probe measures: nanoseconds of a short run of round trips.
///
/// # Panics
///
/// On one CPU.
pub fn nanos() -> f64 {
    round_trip(PART)
}

/// Nanoseconds of a round trip between two pinned processes: each waits for a line and writes another one, without a
/// `PAUSE`. The raw limit of every round trip through shared memory. `part` trips are a sixteenth of all.
///
/// # Panics
///
/// On one CPU: the two would wait for each other's time slice.
pub fn round_trip(part: u64) -> f64 {
    let cpus = cpu::allowed();
    assert!(cpus.len() >= 2, "a probe takes two CPUs");
    let memory = Arc::new(Shared::new(size_of::<Lines>()));
    // SAFETY: long enough, page-aligned, and zero is a valid value; atomics, which others may write.
    let lines = unsafe { memory.at().cast::<Lines>().as_ref() };
    let all = part + trips_in_parts(part);
    let reports = run(&[Some(cpus[0]), Some(cpus[1])], |role, gate| {
        if role == 0 {
            return timed_parts(part, part, gate, &mut |n| {
                // ORDERING: Release and Acquire: the lines carry nothing, but a message would need as much.
                lines.there.store(n + 1, Ordering::Release);
                // ORDERING: as above.
                while lines.back.load(Ordering::Acquire) != n + 1 {}
            });
        }
        for n in 1..=all {
            if n == part + 1 {
                gate.pass();
            }
            // ORDERING: as above.
            while lines.there.load(Ordering::Acquire) != n {}
            // ORDERING: as above.
            lines.back.store(n, Ordering::Release);
        }
        [0; 4]
    });
    reports[0].facts[0] as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::Distance;

    #[test]
    fn a_round_trip_is_near_or_far_or_neither() {
        let of = [115.0, 199.9, 250.0, 350.1, 560.0].map(Distance::of);
        use Distance::{Far, Mixed, Near};
        assert_eq!(of, [Near, Near, Mixed, Far, Far]);
        assert_eq!(Distance::between(Near, Far), Mixed);
        assert_eq!(Distance::between(Far, Far), Far);
    }
}
