//! What a run found, as it is written to `results.json`, and whether it is complete.

use serde::{Deserialize, Serialize};

use crate::contender::Contender;
use crate::exchange::{Site, Timing};
use crate::machine::Machine;

/// All that a run found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// What was asked for.
    pub options: Options,
    /// Who took part, or should have.
    pub contenders: Vec<Entrant>,
    /// What was measured, in order: names and headings.
    pub scenarios: Vec<Heading>,
    /// Who does not fit what, and why.
    pub unfit: Vec<Verdict>,
    /// Who failed at what, and how.
    pub failures: Vec<Verdict>,
    /// Each sample, in the order in which they were taken.
    pub samples: Vec<Sample>,
}

/// How the run was asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Options {
    /// Samples of each pair.
    pub rounds: u32,
    /// Short samples, not to be relied on.
    pub quick: bool,
    /// Contenders and scenarios that were left out do not have this in their names.
    pub only: Option<String>,
    /// Samples during which others used a larger part of the machine were taken again.
    pub foreign_limit: Option<f64>,
}

/// Who takes part.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entrant {
    /// Its short name.
    pub name: String,
    /// Its name in the tables.
    pub title: String,
    /// The version of its crate, or of the kernel.
    pub version: String,
    /// Whether it is one of ours.
    pub ours: bool,
    /// Where its roles live.
    pub site: Site,
    /// Whether this build left it out.
    pub left_out: bool,
}

/// What is measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Heading {
    /// Its short name.
    pub name: String,
    /// Its heading in the tables.
    pub title: String,
    /// What to know before one reads its figures.
    pub note: String,
    /// Bytes of a message.
    pub bytes: usize,
    /// Whether messages go there and back.
    pub round_trip: bool,
}

/// A contender, a scenario, and what stands between them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The contender's name.
    pub contender: String,
    /// The scenario's name.
    pub scenario: String,
    /// What.
    pub what: String,
}

/// One sample.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// The round, from 1.
    pub round: u32,
    /// The contender's name.
    pub contender: String,
    /// The scenario's name.
    pub scenario: String,
    /// Where the two CPUs were.
    pub distance: Place,
    /// The round trip of a cache line before and after, in nanoseconds.
    pub probes: [f64; 2],
    /// The part of the machine that others used meanwhile.
    pub foreign: f64,
    /// Whether that was too much: such a sample is in no table.
    pub dropped: bool,
    /// What was found.
    #[serde(flatten)]
    pub timing: Timing,
}

/// Where the two CPUs were, by the probes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// They shared a cache, before and after.
    Near,
    /// They did not, before and after.
    Far,
    /// In between, or it changed.
    Mixed,
}

impl Report {
    /// What keeps the report from being complete: a contender of the build without a sample, or none at all.
    pub fn gaps(&self, contenders: &[Contender]) -> Vec<String> {
        let mut gaps = Vec::new();
        for Contender { name, sample, .. } in contenders {
            let entry = self.contenders.iter().find(|entrant| entrant.name == *name);
            let samples = self.samples.iter().filter(|s| s.contender == *name).count();
            match entry {
                None => gaps.push(format!("{name} has no entry")),
                Some(_) if sample.is_some() && samples == 0 => {
                    gaps.push(format!("{name} has no sample{}", self.why_not(name)));
                }
                Some(_) => {}
            }
        }
        gaps
    }

    fn why_not(&self, contender: &str) -> String {
        let failure = self.failures.iter().find(|failure| failure.contender == contender);
        failure.map_or(String::new(), |f| format!(": {}: {}", f.scenario, f.what))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::contender::ALL;
    use crate::exchange::Trips;

    /// A report of one scenario one way and one of round trips, without samples.
    pub fn empty() -> Report {
        let heading = |name: &str, round_trip| Heading {
            name: name.into(),
            title: format!("Title of {name}"),
            note: format!("Note on {name}"),
            bytes: 1 << 20,
            round_trip,
        };
        let entrant = |contender: &Contender| Entrant {
            name: contender.name.into(),
            title: contender.title.into(),
            version: "1.2.3".into(),
            ours: contender.ours,
            site: contender.site,
            left_out: false,
        };
        Report {
            machine: Machine::default(),
            options: Options { rounds: 3, quick: true, only: None, foreign_limit: None },
            contenders: ALL.iter().map(entrant).collect(),
            scenarios: vec![heading("one-way", false), heading("trips", true)],
            unfit: vec![],
            failures: vec![],
            samples: vec![],
        }
    }

    /// A sample at a distance.
    pub fn sample(contender: &str, scenario: &str, distance: Place, nanos: f64) -> Sample {
        let trips = (scenario == "trips").then_some(Trips { p50: nanos + 1.0, p99: nanos * 2.0 });
        Sample {
            round: 1,
            contender: contender.into(),
            scenario: scenario.into(),
            distance,
            probes: [100.0, 110.0],
            foreign: 0.0,
            dropped: false,
            timing: Timing { count: 10, nanos, trips },
        }
    }

    #[test]
    fn a_report_comes_back_from_its_json() {
        let mut report = empty();
        report.samples = vec![sample("slots", "trips", Place::Far, 12.5)];
        let text = serde_json::to_string_pretty(&report).expect("it can be written");
        let back: Report = serde_json::from_str(&text).expect("it can be read");
        assert_eq!(back, report);
        assert!(text.contains("\"nanos\": 12.5"), "{text}");
    }

    #[test]
    fn a_report_without_samples_lacks_every_contender() {
        let built = ALL.iter().filter(|one| one.sample.is_some()).count();
        assert_eq!(empty().gaps(&ALL).len(), built);
    }

    #[test]
    fn a_contender_that_failed_everywhere_is_a_gap_with_its_error() {
        let mut report = empty();
        let ok = |one: &Contender| sample(one.name, "one-way", Place::Mixed, 1.0);
        report.samples = ALL.iter().filter(|one| one.name != "rtrb").map(ok).collect();
        let (contender, scenario, what) = ("rtrb".into(), "trips".into(), "broken".into());
        report.failures.push(Verdict { contender, scenario, what });
        assert_eq!(report.gaps(&ALL), ["rtrb has no sample: trips: broken"]);
        report.contenders.retain(|entrant| entrant.name != "rtrb");
        assert_eq!(report.gaps(&ALL), ["rtrb has no entry"]);
    }
}
