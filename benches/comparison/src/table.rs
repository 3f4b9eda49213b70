//! The report as tables in Markdown: one for each scenario and distance, with the ratio of each of ours to each rival.

use std::fmt::Write;

use crate::exchange::Site;
use crate::report::{Entrant, Heading, Place, Report, Sample};
use crate::statistics::percentile;

/// From this size on a table says how many bytes went through.
const LARGE: usize = 64 << 10;
/// A contender's error is cut here.
const ERROR: usize = 160;

/// The whole report.
pub fn render(report: &Report) -> String {
    let mut text = head(report);
    for scenario in &report.scenarios {
        let _ = writeln!(text, "## {}\n\n{}\n", scenario.title, scenario.note);
        for (place, name) in [(Place::Near, "Near"), (Place::Far, "Far"), (Place::Mixed, "Mixed")] {
            let rows = rows(report, scenario, place);
            if !rows.is_empty() {
                let _ = writeln!(text, "{name}:\n\n{}", table(report, scenario, place, &rows));
            }
        }
        text += &absent(report, scenario);
    }
    text
}

fn head(report: &Report) -> String {
    let machine = &report.machine;
    let length = if report.options.quick { "Short samples: not to be relied on. " } else { "" };
    let versions: Vec<_> =
        report.contenders.iter().map(|one| format!("{} {}", one.title, one.version)).collect();
    format!(
        "# Slipring beside other channels\n\n{} CPUs, {}, Linux {}; {} rounds. {length}\
         A ratio is ours ÷ the rival's, of two medians of time at the same distance: below 1, ours is faster.\n\n\
         Versions: {}.\n\n",
        machine.cpus.len(),
        machine.cpu,
        machine.kernel,
        report.options.rounds,
        versions.join(", "),
    )
}

/// A contender with samples at one distance.
struct Row<'a> {
    entrant: &'a Entrant,
    samples: Vec<&'a Sample>,
    median: f64,
}

fn rows<'a>(report: &'a Report, scenario: &Heading, place: Place) -> Vec<Row<'a>> {
    let counts = |s: &&Sample| s.scenario == scenario.name && s.distance == place && !s.dropped;
    let row = |entrant: &'a Entrant| {
        let its = |s: &&Sample| s.contender == entrant.name && counts(s);
        let samples: Vec<_> = report.samples.iter().filter(its).collect();
        let median = percentile(&nanos(&samples), 50.0);
        (!samples.is_empty()).then_some(Row { entrant, samples, median })
    };
    report.contenders.iter().filter_map(row).collect()
}

fn nanos(samples: &[&Sample]) -> Vec<f64> {
    samples.iter().map(|sample| sample.timing.nanos).collect()
}

fn table(report: &Report, scenario: &Heading, place: Place, rows: &[Row<'_>]) -> String {
    let ours: Vec<_> = rows.iter().filter(|row| row.entrant.ours).collect();
    // Mixed samples are shown, and compared with nothing.
    let ours = if place == Place::Mixed { vec![] } else { ours };
    let unit = if scenario.round_trip { "per trip" } else { "per message" };
    let mut columns =
        vec!["channel".to_string(), "between".into(), unit.into(), "p99 of rounds".into()];
    if scenario.round_trip {
        columns.extend(["trip p50".into(), "trip p99".into()]);
    } else if scenario.bytes >= LARGE {
        columns.push("MB/s".into());
    }
    columns.extend(ours.iter().map(|our| format!("{} ÷ it", our.entrant.title)));
    columns.push("samples".into());
    let mut text = line(&columns);
    text += &format!("|---|---|{}\n", "--:|".repeat(columns.len() - 2));
    for row in rows {
        text += &line(&cells(report, scenario, row, &ours));
    }
    text
}

fn cells(report: &Report, scenario: &Heading, row: &Row<'_>, ours: &[&Row<'_>]) -> Vec<String> {
    let site = match row.entrant.site {
        Site::Processes => "processes",
        Site::Threads => "threads",
    };
    let p99 = percentile(&nanos(&row.samples), 99.0);
    let mut cells = vec![row.entrant.title.clone(), site.into(), time(row.median), time(p99)];
    if scenario.round_trip {
        let trips = row.samples.iter().filter_map(|sample| sample.timing.trips);
        let (p50, p99): (Vec<_>, Vec<_>) = trips.map(|trips| (trips.p50, trips.p99)).unzip();
        cells.extend([p50, p99].map(|all| time(percentile(&all, 50.0))));
    } else if scenario.bytes >= LARGE {
        cells.push(format!("{:.0}", scenario.bytes as f64 / row.median * 1000.0));
    }
    cells.extend(ours.iter().map(|our| match row.entrant.ours {
        true => String::new(),
        false => ratio(our.median / row.median),
    }));
    cells.push(format!("{} of {}", row.samples.len(), report.options.rounds));
    cells
}

/// Who is in no table of a scenario, and why.
fn absent(report: &Report, scenario: &Heading) -> String {
    let mut text = String::new();
    for entrant in &report.contenders {
        let about = |v: &&crate::report::Verdict| {
            v.contender == entrant.name && v.scenario == scenario.name
        };
        let unfit = report.unfit.iter().find(about).map(|v| v.what.clone());
        let failed =
            report.failures.iter().find(about).map(|v| format!("**failed**: {}", cut(&v.what)));
        let samples = report
            .samples
            .iter()
            .filter(|s| s.contender == entrant.name && s.scenario == scenario.name);
        let dropped = samples.filter(|sample| sample.dropped).count();
        let dropped =
            (dropped > 0).then(|| format!("{dropped} samples dropped: others used the machine"));
        let left_out = entrant.left_out.then(|| "left out of this build".to_string());
        if let Some(why) = left_out.or(unfit).or(failed).or(dropped) {
            let _ = writeln!(text, "* {}: {why}", entrant.title);
        }
    }
    if text.is_empty() { text } else { text + "\n" }
}

/// One line, and not a long one.
fn cut(error: &str) -> String {
    let words = error.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/");
    if words.chars().count() <= ERROR {
        return words;
    }
    words.chars().take(ERROR).chain(['…']).collect()
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Three digits, with a unit.
fn time(nanos: f64) -> String {
    match nanos {
        n if n.is_nan() => "–".into(),
        n if n >= 1e6 => format!("{:.2} ms", n / 1e6),
        n if n >= 1e4 => format!("{:.1} µs", n / 1e3),
        n if n >= 1e3 => format!("{:.2} µs", n / 1e3),
        n if n >= 100.0 => format!("{n:.0} ns"),
        n => format!("{n:.1} ns"),
    }
}

fn ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;
    use crate::report::tests::{empty, sample};

    fn line_of<'a>(text: &'a str, title: &str) -> &'a str {
        let start = format!("| {title} |");
        text.lines().find(|line| line.starts_with(&start)).expect("a line of its own")
    }

    #[test]
    fn a_ratio_is_ours_by_the_rivals_median_at_the_same_distance() {
        let mut report = empty();
        for nanos in [10.0, 20.0, 30.0] {
            report.samples.push(sample("pipe", "one-way", Place::Near, nanos));
            report.samples.push(sample("rtrb", "one-way", Place::Near, nanos * 2.0));
            report.samples.push(sample("rtrb", "one-way", Place::Far, 1.0));
        }
        let text = render(&report);
        let (near, far) = text.split_once("Far:").expect("both distances");
        assert_eq!(
            line_of(near, "rtrb"),
            "| rtrb | threads | 40.0 ns | 60.0 ns | 26214400 | 0.50 | 3 of 3 |"
        );
        assert_eq!(
            line_of(near, "Pipe"),
            "| Pipe | processes | 20.0 ns | 30.0 ns | 52428800 |  | 3 of 3 |"
        );
        assert_eq!(
            line_of(far, "rtrb"),
            "| rtrb | threads | 1.0 ns | 1.0 ns | 1048576000 | 3 of 3 |"
        );
    }

    #[test]
    fn round_trips_show_their_percentiles() {
        let mut report = empty();
        report.samples.push(sample("slots", "trips", Place::Near, 100.0));
        report.samples.push(sample("os-pipe", "trips", Place::Near, 40_000.0));
        let text = render(&report);
        assert!(text.contains("| trip p50 | trip p99 | Slots ÷ it |"), "{text}");
        assert_eq!(
            line_of(&text, "OS pipe"),
            "| OS pipe | processes | 40.0 µs | 40.0 µs | 40.0 µs | 80.0 µs | 0.003 | 1 of 3 |"
        );
    }

    #[test]
    fn mixed_samples_are_shown_without_a_ratio_and_dropped_ones_not_at_all() {
        let mut report = empty();
        report.samples.push(sample("slots", "one-way", Place::Mixed, 5.0));
        report.samples.push(sample("rtrb", "one-way", Place::Mixed, 5.0));
        let mut dropped = sample("queue", "one-way", Place::Near, 5.0);
        dropped.dropped = true;
        report.samples.push(dropped);
        let text = render(&report);
        assert!(
            text.contains("Mixed:") && !text.contains("Near:") && !text.contains("÷ it"),
            "{text}"
        );
        assert!(text.contains("* Queue: 1 samples dropped"), "{text}");
    }

    #[test]
    fn who_is_absent_is_named_with_the_reason() {
        let mut report = empty();
        let verdict = |contender: &str, what: &str| Verdict {
            contender: contender.into(),
            scenario: "trips".into(),
            what: what.into(),
        };
        report.unfit.push(verdict("rtrb", "cannot block"));
        report.failures.push(verdict("iceoryx2", &format!("no\n|memory {}", "x".repeat(500))));
        let text = render(&report);
        assert!(text.contains("* rtrb: cannot block\n"), "{text}");
        assert!(
            text.contains("* iceoryx2 publish-subscribe: **failed**: no /memory xxx"),
            "{text}"
        );
        let error = text.lines().find(|line| line.contains("**failed**")).expect("its line");
        assert!(error.chars().count() < 220, "{error}");
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        let times = [4.25, 99.94, 123.4, 4_567.0, 45_670.0, 4_567_000.0, f64::NAN].map(time);
        let wanted = ["4.2 ns", "99.9 ns", "123 ns", "4.57 µs", "45.7 µs", "4.57 ms", "–"];
        assert_eq!(times, wanted);
    }
}
