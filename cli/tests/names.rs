//! `ls`, `inspect`, `clean` and `top` as users run them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use slipring::{
    BoundedSemaphore, ByteReceiver, ByteSender, Mutex, Name, Named, OrRecover, QueueOptions,
};

/// Set in a copy of this program that is to hold a lock of this name until it is killed.
const HOLD: &str = "SLIPRING_TEST_HOLD";

/// Set in a copy that has a directory of names to itself.
const ALONE: &str = "SLIPRING_TEST_ALONE";

fn unique(what: &str) -> String {
    format!("cli-{what}-{}", std::process::id())
}

fn slipring(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&text(&slipring(args))).unwrap()
}

/// Not a test of its own: what `holder` starts.
#[test]
fn hold_a_lock_until_killed() {
    let Ok(name) = std::env::var(HOLD) else { return };
    let mutex = Mutex::open_or_create(&name, 0_u64).unwrap();
    let _guard = mutex.lock().or_recover().unwrap();
    println!("holding");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

/// A process that holds a lock of this name.
fn holder(name: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "hold_a_lock_until_killed", "--nocapture"]).env(HOLD, name);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holding")));
    child
}

#[test]
fn ls_shows_each_name_with_what_is_in_it() {
    let (jobs, lock) = (unique("ls-jobs"), unique("ls-lock"));
    let mut tx = ByteSender::create(&jobs, QueueOptions::bounded(10)).unwrap();
    tx.send(b"one").unwrap();
    let _lock = BoundedSemaphore::create(Name::new(&lock).mode(0o660), 2).unwrap();
    let shown = text(&slipring(&["ls"]));
    let line = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line(&jobs).contains("queue") && line(&jobs).contains("1 of 10"), "{shown}");
    assert!(line(&jobs).contains("1 + 0") && line(&jobs).contains("0600"), "{shown}");
    assert!(line(&lock).contains("semaphore") && line(&lock).contains("0660"), "{shown}");
    let all = json(&["ls", "--json"]);
    let found = all.as_array().unwrap().iter().find(|entry| entry["name"] == jobs.as_str());
    assert_eq!((&found.unwrap()["depth"], &found.unwrap()["capacity"]), (&1.into(), &10.into()));
}

#[test]
fn inspect_names_who_holds_the_lock_and_who_is_dead() {
    let name = unique("inspect");
    let mutex = Mutex::create(&name, 0_u64).unwrap();
    let mut child = holder(&name);
    let shown = text(&slipring(&["inspect", &name]));
    let held = format!("process {} holds the lock", child.id());
    assert!(shown.contains(&held) && shown.contains("2 attached, 0 dead"), "{shown}");
    child.kill().unwrap();
    child.wait().unwrap();
    let seen = json(&["inspect", &name, "--json"]);
    assert_eq!(seen["objects"][0]["held"][0]["dead"], true, "{seen}");
    let dead: Vec<_> =
        seen["participants"].as_array().unwrap().iter().filter(|p| p["dead"] == true).collect();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["pid"], child.id());
    assert!(mutex.lock().or_recover().is_ok(), "looking has changed nothing");
}

/// Whether this process has a directory of names to itself. If not, the test is run in a copy of this program that has: in a
/// directory of all, any process that makes a name takes away what the dead left.
fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let directory = slipring::name::directory().join(unique("alone"));
    std::fs::create_dir(&directory).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env(ALONE, "1").env("SLIPRING_DIR", &directory);
    let output = command.output().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    text(&output);
    false
}

#[test]
fn clean_takes_away_what_only_the_dead_had_and_leaves_the_rest() {
    if !is_alone("clean_takes_away_what_only_the_dead_had_and_leaves_the_rest") {
        return;
    }
    let (dead, used, kept) = (unique("clean-dead"), unique("clean-used"), unique("clean-kept"));
    let mutex = Mutex::create(&used, 0_u64).unwrap();
    drop(ByteSender::create(Name::new(&kept).persist(), QueueOptions::unbounded()).unwrap());
    let mut children = [holder(&dead), holder(&used)];
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let did = text(&slipring(&["clean", &dead, &used, &kept]));
    let [one, two] = children.map(|child| child.id());
    assert!(did.contains(&format!("{dead}: cleaned up after process {one}, removed")), "{did}");
    assert!(
        did.contains(&format!("{used}: cleaned up after process {two}; others go on")),
        "{did}"
    );
    assert!(!did.contains(&kept), "{did}");
    assert!(mutex.lock().or_recover().is_ok());
    assert!(ByteReceiver::open(&kept).is_ok());
    assert_eq!(text(&slipring(&["clean", &used])), "nothing to clean\n");
    let gone = slipring(&["clean", &dead]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("nothing is called"));
    assert!(text(&slipring(&["clean", "--force", &kept])).contains("taken away"));
    assert!(ByteReceiver::open(&kept).is_err());
}

#[test]
fn what_cannot_be_looked_at_is_a_sentence() {
    let none = slipring(&["inspect", &unique("none")]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("nothing is called"));
    let top = slipring(&["top"]);
    assert_eq!(top.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&top.stderr).contains("needs a terminal"));
    let bad = slipring(&["top", "--interval", "0"]);
    assert_eq!(bad.status.code(), Some(2));
}
