//! Killed at every step: a victim does what its scenario says, is killed by SIGKILL at a crash point, and the survivors
//! are asked whether they can go on.
//!
//! First every scenario runs to its end and tells which points it passes; a point in the sources that no scenario passes
//! is a failure. Then every scenario is run for each of its points, twice: killed at the first passing, and at a later
//! one. At last some are run with recovery switched off in the survivors: they must fail, or the checks are worth
//! nothing.
//!
//! `SLIPRING_CRASH_ONLY=TEXT` restricts the kills to scenarios and points whose names contain it.

#![cfg(feature = "crash")]

#[path = "crash/acceptor.rs"]
mod acceptor;
#[path = "crash/berth.rs"]
mod berth;
#[path = "crash/joinable.rs"]
mod joinable;
#[path = "crash/locks.rs"]
mod locks;
#[path = "crash/members.rs"]
mod members;
#[path = "crash/names.rs"]
mod names;
#[path = "crash/ordered.rs"]
mod ordered;
#[path = "crash/parcel.rs"]
mod parcel;
#[path = "crash/permits.rs"]
mod permits;
#[path = "crash/pipe.rs"]
mod pipe;
#[path = "crash/queue.rs"]
mod queue;
#[path = "crash/slots.rs"]
mod slots;
#[path = "crash/stopped.rs"]
mod stopped;
#[path = "crash/values.rs"]
mod values;
#[path = "crash/watch.rs"]
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use slipring::{
    ByteQueue, ByteReceiver, Error, Handoff, Mutex, OrRecover, Segment, SegmentOptions,
};
use slipring_core::primitive::{AtomicU64, Ordering};
use slipring_tests::log::Directory;
use slipring_tests::message::{self, Stamp};
use slipring_tests::peer::Peer;
use slipring_tests::wait_until;

/// A waiter has what a dead one held within this time.
const SOON: Duration = Duration::from_millis(200);
/// Everything else takes less than this, or hangs.
const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 5 });

/// One run of a scenario: what its victim's environment says, and where its logs are.
struct Run {
    env: Vec<(String, String)>,
    logs: Directory,
}

impl Run {
    fn victim(&self, handoff: Handoff, args: &[&str]) -> Peer {
        let args: Vec<_> = ["victim"].into_iter().chain(args.iter().copied()).collect();
        let env: Vec<_> = self.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        Peer::start_with(handoff, &args, &env)
    }

    fn log(&self) -> String {
        self.logs.log("victim").to_str().expect("a path of ASCII").to_owned()
    }
}

/// Somebody who is killed at a fixed point, before the scenario's own victim comes.
fn mess(handoff: Handoff, kind: &str, at: Option<&str>) {
    let point = at.map(|point| format!("{point}#0")).unwrap_or_default();
    let env = [("SLIPRING_CRASH_AT", point.as_str())];
    let env = if at.is_some() { &env[..] } else { &[] };
    let mut peer = Peer::start_with(handoff, &["victim", "mess", kind], env);
    if at.is_none() {
        peer.expect("held");
        peer.kill();
    }
    peer.end();
}

fn give(segment: &Segment, give: impl FnOnce(&mut Handoff) -> slipring::Result<()>) -> Handoff {
    let mut handoff = Handoff::new(segment);
    give(&mut handoff).expect("a ticket");
    handoff
}

fn new_segment() -> Segment {
    Segment::with(SegmentOptions::new().reserve(4 << 30)).expect("a segment")
}

/// What is true at the end of each scenario, when its objects are dropped: nobody dead, no block lost, and new objects
/// work.
fn check_segment(segment: &Segment) {
    wait_until("the dead to be cleaned up after", PATIENCE, || {
        segment.reap();
        segment.participants().len() == 1
    });
    let (mut tx, mut rx) = ByteQueue::bounded(segment, 2).expect("a new queue");
    for size in [1, 100, 100_000] {
        tx.send(&vec![9; size]).expect("sent");
        assert_eq!(rx.recv_until(PATIENCE).expect("received").len(), size);
    }
    drop((tx, rx));
    let mutex = Mutex::new(segment, 5_u64).expect("a new mutex");
    assert_eq!(mutex.lock().or_recover().expect("locked").get(), 5);
    assert_eq!(segment.blocks_in_use(), 0, "blocks were lost");
}

/// Receives until the last sender is gone.
fn drain(rx: &mut ByteReceiver) -> Vec<Stamp> {
    let mut all = Vec::new();
    loop {
        match rx.recv_until(PATIENCE) {
            Ok(message) => all.push(message::read(&message)),
            Err(Error::Disconnected) => return all,
            Err(error) => panic!("no end: {error}"),
        }
    }
}

/// One producer's messages without a gap: what it sent before it died.
fn assert_prefix(stamps: &[Stamp]) {
    for (at, stamp) in stamps.iter().enumerate() {
        assert_eq!(stamp.number, at as u64, "a gap or a double");
    }
}

type Scenario = (&'static str, fn(&Run));

/// All of them.
const SCENARIOS: &[&[Scenario]] = &[
    queue::SCENARIOS,
    pipe::SCENARIOS,
    slots::SCENARIOS,
    locks::SCENARIOS,
    members::SCENARIOS,
    permits::SCENARIOS,
    values::SCENARIOS,
    names::SCENARIOS,
    watch::SCENARIOS,
    parcel::SCENARIOS,
    ordered::SCENARIOS,
    joinable::SCENARIOS,
    berth::SCENARIOS,
    acceptor::SCENARIOS,
];

fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    SCENARIOS.iter().copied().flatten()
}

/// The names of all crash points in the sources.
fn points_in_sources() -> BTreeSet<String> {
    fn visit(path: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(path).expect("the sources are there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                visit(&path, names);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                for line in code {
                    let found = line.split("crash_point!(\"").skip(1);
                    names.extend(found.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
                }
            }
        }
    }
    let mut names = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    ["core/src", "shm/src"].iter().for_each(|sources| visit(&root.join(sources), &mut names));
    assert!(names.len() > 100, "only {} crash points: the search is broken", names.len());
    names
}

/// Runs a scenario once. Returns how often its processes passed each point before they died, or what went wrong.
fn run(scenario: Scenario, kill_at: Option<&str>) -> Result<BTreeMap<String, u32>, String> {
    let (name, body) = scenario;
    let logs = Directory::new(&format!("crash-{name}"));
    let trace = logs.log("trace");
    let mut env = vec![("SLIPRING_CRASH_TRACE".to_owned(), trace.to_str().unwrap().to_owned())];
    env.extend(kill_at.map(|point| ("SLIPRING_CRASH_AT".to_owned(), point.to_owned())));
    let run = Run { env, logs };
    catch_unwind(AssertUnwindSafe(|| body(&run))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
    })?;
    let mut passed = BTreeMap::new();
    for line in std::fs::read_to_string(&trace).unwrap_or_default().lines() {
        *passed.entry(line.to_owned()).or_insert(0) += 1;
    }
    Ok(passed)
}

/// The points that each scenario passes when nobody is killed.
fn survey() -> Vec<(Scenario, BTreeMap<String, u32>)> {
    let all = scenarios().map(|scenario| {
        let passed = run(*scenario, None);
        (*scenario, passed.unwrap_or_else(|error| panic!("{} without a kill: {error}", scenario.0)))
    });
    all.collect()
}

/// Surveys, a few times if need be: who comes last to a barrier, say, is another one each time.
fn survey_until_all_are_reached(
    points: &BTreeSet<String>,
) -> Vec<(Scenario, BTreeMap<String, u32>)> {
    let mut surveyed = survey();
    for _ in 0..4 {
        let reached: BTreeSet<_> = surveyed.iter().flat_map(|(_, passed)| passed.keys()).collect();
        if points.iter().all(|point| reached.contains(point)) {
            break;
        }
        for ((_, known), (_, passed)) in surveyed.iter_mut().zip(survey()) {
            passed.into_iter().for_each(|(point, count)| {
                known.entry(point).or_insert(count);
            });
        }
    }
    surveyed
}

/// What came of the kills of a scenario.
#[derive(Default)]
struct Tally {
    kills: usize,
    misses: usize,
    failures: Vec<String>,
}

/// Runs a scenario once or twice for each of its points.
fn kill_at_each(scenario: Scenario, passed: &BTreeMap<String, u32>, only: &str) -> Tally {
    let (start, mut tally) = (Instant::now(), Tally::default());
    for (point, count) in passed {
        if !scenario.0.contains(only) && !point.contains(only) {
            continue;
        }
        let later = (count / 2).min(7);
        let passings = if later > 0 { vec![0, later] } else { vec![0] };
        for passing in passings {
            match run(scenario, Some(&format!("{point}#{passing}"))) {
                Ok(hit) if hit.contains_key(point) => tally.kills += 1,
                // Another interleaving, which did not come by.
                Ok(_) => tally.misses += 1,
                Err(error) => {
                    let failure = format!("{} at {point}#{passing}: {error}", scenario.0);
                    println!("{failure}");
                    tally.failures.push(failure);
                }
            }
        }
    }
    println!("{}: {} points, {:?}", scenario.0, passed.len(), start.elapsed());
    tally
}

/// Does something with each item, with some of them at a time: most of a run is waiting.
fn in_parallel<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            done.push(f(item));
        }
        done
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn whoever_is_killed_at_whatever_step_the_others_go_on() {
    let only = std::env::var("SLIPRING_CRASH_ONLY").unwrap_or_default();
    let all = points_in_sources();
    let survey = survey_until_all_are_reached(&all);
    let reached: BTreeSet<_> = survey.iter().flat_map(|(_, passed)| passed.keys()).collect();
    let missed: Vec<_> = all.iter().filter(|point| !reached.contains(point)).collect();
    println!("{} points, {} reached", all.len(), all.len() - missed.len());
    assert!(missed.is_empty(), "no scenario reaches {missed:#?}");
    let tallies = in_parallel(&survey, |(scenario, passed)| kill_at_each(*scenario, passed, &only));
    let all_of = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let (kills, misses) = (all_of(|tally| tally.kills), all_of(|tally| tally.misses));
    let failures: Vec<_> = tallies.iter().flat_map(|tally| &tally.failures).collect();
    println!("{kills} kills, {misses} missed, {} failures", failures.len());
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(!only.is_empty() || kills >= all.len(), "only {kills} kills");
    assert!(misses * 10 <= kills, "{misses} of {kills} kills did not happen");
}

/// Recovery switched off in this process and in those that it starts: the checks above must notice. In a process of its
/// own, for the switch is read from the environment.
#[test]
fn without_recovery_the_checks_fail() {
    if std::env::var_os("SLIPRING_NO_RECOVERY").is_none() {
        let this = std::env::current_exe().unwrap();
        let status = std::process::Command::new(this)
            .args(["--exact", "without_recovery_the_checks_fail", "--nocapture"])
            .env("SLIPRING_NO_RECOVERY", "1")
            .status()
            .unwrap();
        assert!(status.success(), "see above");
        return;
    }
    let cases: &[(&str, &str)] = &[
        ("queue-send", "queue.send.in_flight#0"),
        ("queue-recv", "mpmc.pop.after_take#0"),
        ("pipe-send", "pool.alloc.owned#0"),
        ("slots-send", "spsc_slots.push.published#0"),
        ("objects", "object.create.before_publish#0"),
        ("fork", "fork.child.born#0"),
        ("parcel-receive-again", "object.take_over.held#0"),
        ("berth-give", "berth.give.held#0"),
        ("berth-board", "object.take_over.held#0"),
        ("lifo-recv", "stack.pop.after_take#0"),
        ("priority-send", "ordered.send.in_flight#0"),
        ("task-work", "mpmc.pop.after_take#0"),
        ("task-work", "joinable.recv.leased#0"),
    ];
    let passes = in_parallel(cases, |(name, point)| {
        let scenario = scenarios().find(|s| s.0 == *name).unwrap();
        run(*scenario, Some(point)).is_ok().then(|| format!("{name} at {point}"))
    });
    let passes: Vec<_> = passes.into_iter().flatten().collect();
    assert!(passes.is_empty(), "{passes:#?} pass without recovery: nothing is checked");
}
