//! Taking samples: each in a process of its own, interleaved over all contenders, between two probes.

use std::process::Command;

use slipring_benches::load::Meter;
use slipring_benches::probe::{self, Distance};

use crate::contender::Contender;
use crate::exchange::Timing;
use crate::report::{Place, Sample, Verdict};
use crate::scenario::Scenario;
use crate::statistics::next_count;

/// How often a sample is taken again because others were at work.
const RETRIES: u32 = 2;
/// Messages of the first calibrating sample.
const FIRST: u64 = 64;
/// The most calibrating samples of a pair: each is at most a hundred times as long as the one before.
const CALIBRATIONS: u32 = 4;

/// A contender in a scenario.
pub struct Pair {
    contender: &'static Contender,
    scenario: Scenario,
    /// Messages of a sample, once that is known.
    count: u64,
    /// It failed, and is not asked again.
    failed: bool,
}

impl Pair {
    /// Not calibrated yet.
    pub fn new(contender: &'static Contender, scenario: Scenario) -> Self {
        Self { contender, scenario, count: FIRST, failed: false }
    }

    fn name(&self) -> String {
        format!("{}: {}", self.scenario.name(), self.contender.name)
    }
}

/// How samples are taken.
pub struct Sampler {
    /// How long a sample should take, in nanoseconds.
    pub length: f64,
    /// The part of the machine that others may use meanwhile; more than that, and it is taken again.
    pub foreign_limit: Option<f64>,
    /// The last probe.
    last: f64,
    /// What was found.
    pub samples: Vec<Sample>,
    /// Who failed.
    pub failures: Vec<Verdict>,
}

impl Sampler {
    /// With samples of so many nanoseconds.
    pub fn new(length: f64, foreign_limit: Option<f64>) -> Self {
        let last = probe::nanos();
        Self { length, foreign_limit, last, samples: vec![], failures: vec![] }
    }

    /// Finds out how many messages each pair passes in a sample.
    pub fn calibrate(&mut self, pairs: &mut [Pair]) {
        for pair in pairs {
            eprintln!("calibrating {}", pair.name());
            for _ in 0..CALIBRATIONS {
                let Some(timing) = self.ask(pair) else { break };
                let elapsed = timing.nanos * timing.count as f64;
                pair.count = next_count(timing.count, elapsed, self.length);
                if elapsed * 10.0 > self.length {
                    break;
                }
            }
        }
    }

    /// Takes one sample of every pair. Who begins changes from round to round.
    pub fn round(&mut self, pairs: &mut [Pair], round: u32, rounds: u32) {
        let count = pairs.len();
        for at in 0..count {
            let pair = &mut pairs[(at + round as usize) % count];
            if !pair.failed {
                eprintln!("round {round} of {rounds}: {}", pair.name());
                self.add(pair, round);
            }
        }
    }

    fn add(&mut self, pair: &mut Pair, round: u32) {
        for attempt in 0..=RETRIES {
            let meter = Meter::start();
            let Some(timing) = self.ask(pair) else { return };
            let foreign = meter.foreign();
            let probes = [self.last, probe::nanos()];
            self.last = probes[1];
            let dropped = self.foreign_limit.is_some_and(|limit| foreign > limit);
            if dropped && attempt < RETRIES {
                continue;
            }
            self.samples.push(Sample {
                round,
                contender: pair.contender.name.into(),
                scenario: pair.scenario.name(),
                distance: place(probes),
                probes,
                foreign,
                dropped,
                timing,
            });
            return;
        }
    }

    /// One sample, or a note of the failure.
    fn ask(&mut self, pair: &mut Pair) -> Option<Timing> {
        let outcome = in_process(pair.contender, pair.scenario, pair.count);
        outcome.map_err(|what| self.note(pair, what)).ok()
    }

    fn note(&mut self, pair: &mut Pair, what: String) {
        eprintln!("{} failed: {what}", pair.name());
        pair.failed = true;
        let contender = pair.contender.name.into();
        self.failures.push(Verdict { contender, scenario: pair.scenario.name(), what });
    }
}

/// Where the CPUs were, from two probes.
fn place(probes: [f64; 2]) -> Place {
    let [before, after] = probes.map(Distance::of);
    match Distance::between(before, after) {
        Distance::Near => Place::Near,
        Distance::Far => Place::Far,
        Distance::Mixed => Place::Mixed,
    }
}

/// Takes a sample in a process of its own: what fails or hangs there leaves nothing behind here.
fn in_process(contender: &Contender, scenario: Scenario, count: u64) -> Result<Timing, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let arguments = ["sample", contender.name, &scenario.name(), &count.to_string()];
    let output = Command::new(program).args(arguments).output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(first_panic(&String::from_utf8_lossy(&output.stderr))
            .unwrap_or_else(|| format!("the process of the sample: {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("no result: {error}"))
}

/// The message of the first panic: the others follow from it.
fn first_panic(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines();
    lines.find(|line| line.contains(" panicked at "))?;
    lines.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_sample_is_the_message_of_its_first_panic() {
        let stderr = "a warning\nthread 'main' (1) panicked at src/a.rs:1:2:\nno room\nnote: run with\n\
                      thread 'main' (2) panicked at src/b.rs:1:2:\na child failed\n";
        assert_eq!(first_panic(stderr).as_deref(), Some("no room"));
        assert_eq!(first_panic("killed"), None);
    }

    #[test]
    fn a_sample_is_near_or_far_if_both_probes_agree() {
        let places = [[100.0, 120.0], [500.0, 600.0], [100.0, 600.0], [250.0, 250.0]].map(place);
        assert_eq!(places, [Place::Near, Place::Far, Place::Mixed, Place::Mixed]);
    }
}
