//! How often the kernel is entered while nobody sleeps: this program under strace, with messages and without.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use slipring::SpinPolicy;
use slipring_benches::channels::ours;
use slipring_benches::stream::{Amount, Put, Take, Topology, between_processes};

use super::channel::Channel;

/// What is counted: the calls by which processes sleep, wake and fence.
const COUNTED: [&str; 8] =
    ["futex", "poll", "ppoll", "sendto", "sendmsg", "recvfrom", "recvmsg", "membarrier"];
/// Messages of the exchange.
const MESSAGES: u64 = 1_000_000;

/// Calls by name.
type Calls = BTreeMap<String, u64>;

/// Passes so many messages of 64 bytes from one process to another, both of which spin for ever.
pub fn exchange(channel: Channel, messages: u64) {
    let segment = ours::segment(SpinPolicy::Forever);
    match channel {
        Channel::Slots => pass(messages, ours::slots::<7>(&segment, 1024)),
        Channel::Queue => pass(messages, ours::queue(&segment, 1024, 64)),
        Channel::Pipe => pass(messages, ours::pipe(&segment, 64)),
    }
}

fn pass(count: u64, (mut put, mut take): (impl Put, impl Take)) {
    between_processes(Topology::ONE, Amount { warm: 0, count }, &mut put, &mut take);
}

/// The counts of all channels.
pub fn table() {
    println!("| 1 000 000 messages, 1p1c, both sides spinning | {} |", COUNTED.join(" | "));
    println!("|---|{}", "--:|".repeat(COUNTED.len()));
    for channel in Channel::value_variants() {
        let counts = match (count(*channel, MESSAGES), count(*channel, 0)) {
            (Some(with), Some(without)) => COUNTED.map(|call| more(&with, &without, call)),
            // Not there, or not allowed to trace.
            _ => COUNTED.map(|_| "no strace".to_owned()),
        };
        println!("| {channel:?}, system calls | {} |", counts.join(" | "));
    }
    println!();
}

fn more(with: &Calls, without: &Calls, call: &str) -> String {
    let calls = |all: &Calls| all.get(call).copied().unwrap_or(0) as i64;
    (calls(with) - calls(without)).to_string()
}

/// The calls of this program and its children while they pass so many messages.
fn count(channel: Channel, messages: u64) -> Option<Calls> {
    let report = std::env::temp_dir().join(format!("slipring-figures-{}", std::process::id()));
    let name = channel.to_possible_value()?.get_name().to_owned();
    let status = Command::new("strace")
        .args(["-c", "-f", "-o"])
        .arg(&report)
        .arg(std::env::current_exe().ok()?)
        .args(["exchange", &name, &messages.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    let calls = status.is_ok_and(|status| status.success()).then(|| read(&report)).flatten();
    let _ = std::fs::remove_file(&report);
    calls
}

fn read(report: &Path) -> Option<Calls> {
    Some(parse(&std::fs::read_to_string(report).ok()?))
}

/// The lines of `strace -c`: share, seconds, microseconds a call, calls, maybe errors, name.
fn parse(report: &str) -> Calls {
    let call = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let calls = words.get(3)?.parse().ok()?;
        Some(((*words.last()?).to_owned(), calls))
    };
    report.lines().filter_map(call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_errors_and_without() {
        let calls = parse(
            "% time     seconds  usecs/call     calls    errors syscall\n\
             ------ ----------- ----------- --------- --------- ----------------\n\
              60.00    0.000500           5       100         7 futex\n\
              40.00    0.000300           3       101           poll\n\
             ------ ----------- ----------- --------- --------- ----------------\n\
             100.00    0.000800           3       201         7 total\n",
        );
        assert_eq!((calls["futex"], calls["poll"]), (100, 101));
    }
}
