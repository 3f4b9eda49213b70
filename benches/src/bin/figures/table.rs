//! The table.

use slipring_benches::probe::Distance;

use super::plan::{Row, Target};
use super::sample::{ENOUGH, Pair, Samples};

/// What was measured on.
pub fn machine(rounds: u32, quick: bool) {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown CPU", |(_, model)| model);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = slipring_benches::cpu::allowed().len();
    let length = if quick { "short samples, not to be relied on" } else { "full samples" };
    println!("{cpus} × {model}, Linux {}; {rounds} rounds, {length}.\n", kernel.trim());
}

/// All rows.
pub fn figures(plan: &[Row], results: &[Pair]) {
    let head = ["what", "ours", "beside it", "", "ratio", "target", "met", "near", "far"];
    println!("| {} |", head.join(" | "));
    println!("|---|--:|--:|---|--:|--:|---|---|---|");
    for (row, pair) in plan.iter().zip(results) {
        println!("| {} |", cells(row, pair).join(" | "));
    }
    println!();
}

fn cells(row: &Row, pair: &Pair) -> [String; 9] {
    let [ours, beside] = pair.each_ref().map(|samples| median(row, samples));
    let ratio = ours.zip(beside).map(|(ours, beside)| ours / beside);
    let met = match row.target {
        Target::Nanos(most) => ours.map(|ours| ours <= most),
        Target::Ratio(most) => ratio.map(|ratio| ratio <= most),
        Target::None => None,
    };
    [
        row.what.clone(),
        time(ours),
        time(beside),
        row.beside.as_ref().map_or("", |(name, _)| name).into(),
        ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
        target(row.target),
        met.map_or("", |met| if met { "yes" } else { "**no**" }).into(),
        counts(row, pair),
        far(row, pair),
    ]
}

/// Of the near samples, where it matters where they were taken.
fn median(row: &Row, samples: &Samples) -> Option<f64> {
    if row.placed { samples.median(Distance::Near) } else { samples.median_of_all() }
}

/// How many samples count: of ours, of the other, and how many were dropped.
fn counts(row: &Row, pair: &Pair) -> String {
    let near = |s: &Samples| if row.placed { s.count(Distance::Near) } else { s.len() };
    let [ours, beside] = pair.each_ref().map(near);
    let dropped = pair.iter().map(|samples| samples.dropped).sum::<usize>();
    let beside = if row.beside.is_some() { format!(" / {beside}") } else { String::new() };
    let dropped = if dropped > 0 { format!(", {dropped} dropped") } else { String::new() };
    format!("{ours}{beside}{dropped}")
}

/// The far medians, where there are too few near samples.
fn far(row: &Row, pair: &Pair) -> String {
    let compared = if row.beside.is_some() { &pair[..] } else { &pair[..1] };
    if !row.placed || compared.iter().all(|samples| samples.count(Distance::Near) >= ENOUGH) {
        return String::new();
    }
    let [ours, beside] = pair.each_ref().map(|samples| samples.median(Distance::Far));
    let ratio = ours.zip(beside).map(|(ours, beside)| format!(", ratio {:.2}", ours / beside));
    let counts = pair.each_ref().map(|samples| samples.count(Distance::Far));
    let (ratio, [ours_count, beside_count]) = (ratio.unwrap_or_default(), counts);
    format!("{} / {}{ratio} ({ours_count} / {beside_count})", time(ours), time(beside))
}

/// Three digits, with a unit.
fn time(nanos: Option<f64>) -> String {
    match nanos {
        None => "–".into(),
        Some(n) if n >= 1e6 => format!("{:.2} ms", n / 1e6),
        Some(n) if n >= 1e4 => format!("{:.1} µs", n / 1e3),
        Some(n) if n >= 1e3 => format!("{:.2} µs", n / 1e3),
        Some(n) if n >= 100.0 => format!("{n:.0} ns"),
        Some(n) => format!("{n:.1} ns"),
    }
}

fn target(target: Target) -> String {
    match target {
        Target::Nanos(most) => format!("≤ {most} ns"),
        Target::Ratio(most) => format!("≤ {most} ×"),
        Target::None => String::new(),
    }
}
