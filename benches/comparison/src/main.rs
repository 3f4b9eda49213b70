//! Slipring beside other channels, in one interleaved run: tables of ratios in Markdown, and every sample as JSON.

mod contender;
mod ends;
mod exchange;
mod machine;
mod report;
mod sampling;
mod scenario;
mod statistics;
mod table;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, value_parser};

use crate::contender::Contender;
use crate::machine::Machine;
use crate::report::{Entrant, Heading, Options, Report, Verdict};
use crate::sampling::{Pair, Sampler};
use crate::scenario::Scenario;

/// Nanoseconds of a sample, and of a short one.
const LENGTH: f64 = 250e6;
const QUICK: f64 = 5e6;
/// Rounds, and rounds of a glance.
const ROUNDS: u32 = 9;
const QUICK_ROUNDS: u32 = 2;
/// The part of the machine that others may use during a sample, in percent.
const FOREIGN: f64 = 6.0;

const TEACH: &str = "\
A run calibrates first: it finds out how many messages of each channel take a quarter of a second. Then every round \
takes one sample of each channel in each scenario, in two processes (or threads) on the first two CPUs that this process \
may use. Before and after each sample a cache line goes there and back between the two CPUs: below 200 ns they are near, \
above 350 ns far. Near and far samples have tables of their own. Never compare one with the other.

A ratio is ours ÷ the rival's, of the medians at one distance: 0.20 means that ours takes a fifth of the time.

Examples (slipring-comparison, or: cargo run --release --):
  … --list                       who takes part, in what
  … --quick                      do they all run? half a minute, no figures
  … --out results                the real thing: an idle machine, five minutes
  … --only one-way-64            scenarios with this in their name
  … --only iceoryx2              one rival beside ours
  … --rounds 21                  more samples
  … check results/results.json   has every channel a sample?

Use taskset -c 2,3 for other CPUs. The README beside the source says how fair it is.";

/// Measures slipring's channels and their rivals, interleaved in one run, and prints tables of ratios in Markdown.
#[derive(Parser)]
#[command(name = "comparison", version, after_long_help = TEACH)]
struct Arguments {
    /// How many samples of each channel in each scenario [default: 9, or 2 with --quick].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Short samples, and no look at the load: do all of them run?
    #[arg(long)]
    quick: bool,
    /// Only scenarios with this in their name or, if there are none, rivals with this in theirs, beside ours.
    #[arg(long, value_name = "FILTER")]
    only: Option<String>,
    /// Where results.json and results.md go.
    #[arg(long, value_name = "DIR", default_value = "target/comparison/results")]
    out: PathBuf,
    /// Take a sample again if others used more than this part of the machine, in percent [default: 6, or any with --quick].
    #[arg(long, value_name = "PERCENT")]
    foreign: Option<f64>,
    /// Say who takes part in what, and measure nothing.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Says whether a results.json has a sample of every channel, and fails if not.
    Check {
        /// The file.
        results: PathBuf,
    },
    /// Takes one sample, and prints it as JSON: how the program runs itself.
    #[command(hide = true)]
    Sample { contender: String, scenario: String, count: u64 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.what {
        Some(What::Check { results }) => check(results),
        Some(What::Sample { contender, scenario, count }) => sample(contender, scenario, *count),
        None if arguments.list => list(),
        None => compare(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("comparison: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if !slipring_benches::probe::is_possible() {
        return Err("two CPUs are needed: one for each side of a channel".into());
    }
    let (contenders, scenarios) = chosen(arguments.only.as_deref())?;
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { QUICK_ROUNDS } else { ROUNDS });
    let foreign = arguments.foreign.or((!arguments.quick).then_some(FOREIGN));
    let options = Options {
        rounds,
        quick: arguments.quick,
        only: arguments.only.clone(),
        foreign_limit: foreign.map(|percent| percent / 100.0),
    };
    // Before the run: it would be a pity to find out behind it.
    fs::create_dir_all(&arguments.out)?;
    let mut report = prepared(options, &contenders, &scenarios);
    let length = if arguments.quick { QUICK } else { LENGTH };
    let mut sampler = Sampler::new(length, report.options.foreign_limit);
    let mut pairs = pairs(&contenders, &scenarios);
    sampler.calibrate(&mut pairs);
    (1..=rounds).for_each(|round| sampler.round(&mut pairs, round, rounds));
    (report.samples, report.failures) = (sampler.samples, sampler.failures);
    write(&report, &arguments.out)
}

/// Who takes part in what. A filter that fits scenarios chooses these; another one chooses rivals.
#[allow(clippy::type_complexity, reason = "two lists")]
fn chosen(only: Option<&str>) -> Result<(Vec<&'static Contender>, Vec<Scenario>), Box<dyn Error>> {
    let all: Vec<_> = contender::ALL.iter().collect();
    let Some(filter) = only else { return Ok((all, Scenario::ALL.to_vec())) };
    let scenarios: Vec<_> =
        Scenario::ALL.into_iter().filter(|scenario| scenario.name().contains(filter)).collect();
    if !scenarios.is_empty() {
        return Ok((all, scenarios));
    }
    let named: Vec<_> = all.iter().copied().filter(|one| one.name.contains(filter)).collect();
    if named.is_empty() {
        return Err(
            format!("no scenario and no channel has '{filter}' in its name: see --list").into()
        );
    }
    // Rivals are compared with all of ours; one of ours alone is looked at alone.
    let beside = named.iter().any(|one| !one.ours);
    let keep = |one: &&Contender| one.name.contains(filter) || (beside && one.ours);
    Ok((all.into_iter().filter(keep).collect(), Scenario::ALL.to_vec()))
}

/// The report before there are samples.
fn prepared(options: Options, contenders: &[&Contender], scenarios: &[Scenario]) -> Report {
    let machine = Machine::here();
    let entrant = |one: &&Contender| Entrant {
        name: one.name.into(),
        title: one.title.into(),
        version: machine::version(one),
        ours: one.ours,
        site: one.site,
        left_out: one.sample.is_none(),
    };
    let heading = |scenario: &Scenario| Heading {
        name: scenario.name(),
        title: scenario.title(),
        note: scenario.note().into(),
        bytes: scenario.bytes(),
        round_trip: scenario.is_round_trip(),
    };
    let unfit = scenarios.iter().flat_map(|scenario| {
        contenders.iter().filter_map(|one| {
            let what = (one.unfit)(*scenario)?.into();
            Some(Verdict { contender: one.name.into(), scenario: scenario.name(), what })
        })
    });
    Report {
        options,
        contenders: contenders.iter().map(entrant).collect(),
        scenarios: scenarios.iter().map(heading).collect(),
        unfit: unfit.collect(),
        failures: vec![],
        samples: vec![],
        machine,
    }
}

/// All that can be measured: the contenders of one scenario side by side.
fn pairs(contenders: &[&'static Contender], scenarios: &[Scenario]) -> Vec<Pair> {
    let fits = |one: &&&'static Contender, scenario| {
        one.sample.is_some() && (one.unfit)(scenario).is_none()
    };
    let of = |scenario: &Scenario| {
        let scenario = *scenario;
        let fitting = contenders.iter().filter(move |one| fits(one, scenario));
        fitting.map(move |one| Pair::new(one, scenario))
    };
    scenarios.iter().flat_map(of).collect()
}

fn write(report: &Report, out: &Path) -> Result<(), Box<dyn Error>> {
    let text = table::render(report);
    print!("{text}");
    let (json, markdown) = (out.join("results.json"), out.join("results.md"));
    fs::write(&markdown, text)?;
    fs::write(&json, serde_json::to_string_pretty(report)? + "\n")?;
    eprintln!("written: {} and {}", json.display(), markdown.display());
    Ok(())
}

fn sample(contender: &str, scenario: &str, count: u64) -> Result<(), Box<dyn Error>> {
    let contender = contender::named(contender).ok_or("there is no such channel")?;
    let scenario = Scenario::named(scenario).ok_or("there is no such scenario")?;
    let sample = contender.sample.ok_or("left out of this build")?;
    println!("{}", serde_json::to_string(&sample(scenario, count))?);
    Ok(())
}

fn check(results: &Path) -> Result<(), Box<dyn Error>> {
    let report: Report = serde_json::from_str(&fs::read_to_string(results)?)?;
    let gaps = report.gaps(&contender::ALL);
    if !gaps.is_empty() {
        return Err(format!("{}: {}", results.display(), gaps.join("; ")).into());
    }
    println!("{}: {} samples, of every channel", results.display(), report.samples.len());
    Ok(())
}

fn list() -> Result<(), Box<dyn Error>> {
    for one in &contender::ALL {
        let left_out = if one.sample.is_none() { " (left out of this build)" } else { "" };
        println!("{}: {}, {}{left_out}", one.name, one.title, machine::version(one));
        for scenario in Scenario::ALL {
            let why_not = (one.unfit)(scenario).map_or(String::new(), |why| format!(" – {why}"));
            println!("    {}{why_not}", scenario.name());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(filter: Option<&str>) -> (Vec<&'static str>, usize) {
        let (contenders, scenarios) = chosen(filter).expect("it fits something");
        (contenders.iter().map(|one| one.name).collect(), scenarios.len())
    }

    #[test]
    fn a_filter_chooses_scenarios_or_rivals_beside_ours() {
        assert_eq!(names(None).0.len(), contender::ALL.len());
        assert_eq!(names(Some("round-trip")), (names(None).0, 2));
        assert_eq!(names(Some("rtrb")).0, ["slots", "pipe", "queue", "queue-lent", "rtrb"]);
        assert_eq!(names(Some("queue-lent")).0, ["queue-lent"]);
        assert!(chosen(Some("nobody")).is_err());
    }

    #[test]
    fn the_arguments_are_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
