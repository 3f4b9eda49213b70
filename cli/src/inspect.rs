//! `slipring inspect`: everything about one name.

use std::fmt::Write as _;

use serde::Serialize;
use slipring::observe::{ObjectSeen, Observer, Seen};

use crate::failure::Failure;
use crate::help::laid_out;
use crate::{print, quote, seen, users};

/// Show all there is to know of one named object.
///
/// What it is, what is in it, who has handles, who holds what, who sleeps on it, who is dead. Looking changes nothing and
/// disturbs nobody.
#[derive(clap::Args)]
#[command(after_help = laid_out(AFTER_HELP))]
pub struct Options {
    /// The name.
    name: String,
    /// Print one JSON object instead: sizes in bytes, times in seconds.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  slipring inspect jobs
  slipring inspect jobs --json | jq '.participants[] | select(.dead)'

Who waits is what the kernel tells of threads that sleep on the object's words; for processes of other users and in other \
containers it does not tell. Locks do not look at the clock, so since when one is held is known for leases only; for \
everybody it is known since when they are attached.

Exit codes:
  0  done, also where whoever read the output has closed it
  1  there is no such name, it may not be looked at, or the output cannot be written
  2  wrong usage";

/// The JSON object, and what the text is made from.
#[derive(Serialize)]
struct Report {
    name: String,
    uid: u32,
    mode: String,
    persists: bool,
    reserve: u64,
    committed: u64,
    /// `null` where there is no limit.
    budget: Option<u64>,
    objects: Vec<Object>,
    participants: Vec<Process>,
}

#[derive(Serialize)]
struct Object {
    kind: &'static str,
    root: bool,
    state: String,
    depth: Option<u64>,
    capacity: Option<u64>,
    sent: Option<u64>,
    held: Vec<Held>,
}

#[derive(Serialize)]
struct Held {
    /// `null` for somebody who is no longer there.
    pid: Option<u32>,
    dead: bool,
    what: String,
    seconds: Option<f64>,
}

#[derive(Serialize)]
struct Process {
    pid: u32,
    pid_namespace: u64,
    command: Option<String>,
    attached_seconds: f64,
    dead: bool,
    embryo: bool,
    /// "sends to", "receives from", "has": which sides of which objects, by their place in `objects`.
    has: Vec<String>,
    /// Threads that sleep, and on which object.
    waits: Vec<(u32, usize)>,
}

/// Shows it.
pub fn run(options: &Options) -> Result<(), Failure> {
    let seen = Observer::open(&options.name)?.look();
    let report = report(&options.name, &seen);
    if options.json { print::json(&report) } else { print::text(&render(&report)) }
}

fn report(name: &str, seen: &Seen) -> Report {
    let processes = (0..seen.participants.len()).map(|at| process(seen, at));
    Report {
        name: name.to_owned(),
        uid: seen.uid,
        mode: format!("{:04o}", seen.mode),
        persists: seen.persists,
        reserve: seen.memory.reserve,
        committed: seen.memory.committed,
        budget: Some(seen.memory.budget).filter(|budget| *budget != u64::MAX),
        objects: seen.objects.iter().map(|object| describe(seen, object)).collect(),
        participants: processes.collect(),
    }
}

fn describe(seen: &Seen, object: &ObjectSeen) -> Object {
    let held = object.held.iter().map(|held| {
        let who = held.participant.and_then(|at| seen.participants.get(at));
        Held {
            pid: who.map(|who| who.pid),
            dead: who.is_none_or(|who| who.is_dead),
            what: held.what.clone(),
            seconds: held.since.map(seconds_since),
        }
    });
    Object {
        kind: object.kind,
        root: object.is_root,
        state: object.state.clone(),
        depth: object.depth,
        capacity: object.capacity,
        sent: object.sent,
        held: held.collect(),
    }
}

fn process(seen: &Seen, at: usize) -> Process {
    let who = &seen.participants[at];
    let mut has = Vec::new();
    for (index, object) in seen.objects.iter().enumerate() {
        let (first, second) = match object.kind {
            "pipe" => ("has the first end of", "has the second end of"),
            "barrier" => ("has", "has been at"),
            _ if object.depth.is_some() => ("sends to", "receives from"),
            _ => ("has", "has"),
        };
        let what =
            if seen.objects.len() > 1 { format!("{} {index}", object.kind) } else { "it".into() };
        has.extend(object.first.contains(&at).then(|| format!("{first} {what}")));
        has.extend(object.second.contains(&at).then(|| format!("{second} {what}")));
    }
    let waits = seen.waiting.iter().filter(|waiting| waiting.participant == at);
    Process {
        pid: who.pid,
        pid_namespace: who.pid_namespace,
        command: if who.is_dead { None } else { command(who.pid, who.pid_namespace) },
        attached_seconds: seconds_since(who.joined),
        dead: who.is_dead,
        embryo: who.is_embryo,
        has,
        waits: waits.map(|waiting| (waiting.thread, waiting.object)).collect(),
    }
}

/// What a process is called, where its pid means something here.
fn command(pid: u32, namespace: u64) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let here = std::fs::metadata("/proc/self/ns/pid").ok()?.ino();
    (here == namespace).then_some(())?;
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned())
}

fn seconds_since(nanos: u64) -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = now.tv_sec as f64 + now.tv_nsec as f64 / 1e9;
    (now - nanos as f64 / 1e9).max(0.0)
}

fn render(report: &Report) -> String {
    let mut text = String::new();
    let stays = if report.persists { ", stays when nobody has it" } else { "" };
    let (name, user) = (quote::word(&report.name), users::shown(report.uid));
    let _ = writeln!(text, "{name}: user {user}, mode {}{stays}", report.mode);
    let committed = seen::bytes(report.committed);
    let budget = report
        .budget
        .map_or("no limit".into(), |budget| format!("{} allowed", seen::bytes(budget)));
    let _ = writeln!(
        text,
        "memory: {committed} used, {budget}, {} of address space",
        seen::bytes(report.reserve)
    );
    for (index, object) in report.objects.iter().enumerate() {
        render_object(&mut text, index, object, report.objects.len() > 1);
    }
    if report.objects.is_empty() {
        text.push_str("it has ended: whoever opens it finds nothing\n");
    }
    let living = report.participants.iter().filter(|process| !process.dead).count();
    let _ = writeln!(text, "{living} attached, {} dead", report.participants.len() - living);
    report.participants.iter().for_each(|process| render_process(&mut text, process));
    text
}

fn render_object(text: &mut String, index: usize, object: &Object, numbered: bool) {
    let number = if numbered { format!("{index}: ") } else { String::new() };
    let _ = write!(text, "{number}{}, {}", object.kind, object.state);
    if object.depth.is_some() {
        let _ = write!(text, ": {} messages", seen::depth(object.depth, object.capacity));
    }
    if let Some(sent) = object.sent {
        let _ = write!(text, ", {sent} sent so far");
    }
    text.push('\n');
    for held in &object.held {
        let who = held.pid.map_or("somebody gone".into(), |pid| format!("process {pid}"));
        let dead = if held.dead { ", who is dead," } else { "" };
        let since = held.seconds.map(|s| format!(" for {s:.1} s")).unwrap_or_default();
        let _ = writeln!(text, "  {who}{dead} holds {}{since}", held.what);
    }
}

fn render_process(text: &mut String, process: &Process) {
    let command = process.command.as_ref();
    let command = command.map(|name| format!(" ({})", quote::word(name))).unwrap_or_default();
    let state = match (process.dead, process.embryo) {
        (true, _) => "dead, was attached",
        (_, true) => "about to start, prepared",
        _ => "attached",
    };
    let _ = write!(
        text,
        "  process {}{command}: {state} {:.1} s ago",
        process.pid, process.attached_seconds
    );
    for has in &process.has {
        let _ = write!(text, ", {has}");
    }
    for (thread, object) in &process.waits {
        let _ = write!(text, "; thread {thread} sleeps on object {object}");
    }
    text.push('\n');
}
