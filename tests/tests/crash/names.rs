//! Names: killed while it makes, opens, keeps and takes away what has one.

use slipring::{ByteReceiver, Error, Event, Named};
use slipring_tests::peer::Peer;

use super::{PATIENCE, Run, Scenario, check_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[("names", names), ("left", left)];

/// Whoever comes next finds the name free, or can make it so.
fn names(run: &Run) {
    let name = format!("crash-{}-{:?}", std::process::id(), std::thread::current().id());
    let env: Vec<_> = run.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut victim = Peer::alone_with(&["victim-names", &name], &env);
    victim.end();
    match ByteReceiver::open(&name) {
        // It died while the name was to stay.
        Ok(rx) => drop((rx, slipring::unlink(&name).unwrap())),
        Err(error) => assert!(matches!(error, Error::NoSuchName { .. }), "{error}"),
    }
    let event = Event::create(&name, ()).unwrap();
    check_segment(&event.segment());
    drop(event);
    assert!(!slipring::name::names().unwrap().contains(&name));
}

/// Killed while it takes away what another one left, socket and name: the next one does the rest.
fn left(run: &Run) {
    let text = format!("crash-left-{}-{:?}", std::process::id(), std::thread::current().id());
    let directory = slipring::name::directory().join(text);
    std::fs::create_dir_all(&directory).unwrap();
    let mut env: Vec<_> = run.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let here = ("SLIPRING_DIR", directory.to_str().unwrap());
    env.extend([here, ("SLIPRING_TAKE_LEFT", "1")]);
    let mut dead = Peer::alone_with(&["accept-none", "dead"], &[here]);
    dead.expect("created");
    dead.kill();
    Peer::alone_with(&["victim-left", "own"], &env).end();
    let next = Peer::alone_with(&["name-create", "next"], &[here, ("SLIPRING_TAKE_LEFT", "1")]);
    assert_eq!(next.line_within(PATIENCE).as_deref(), Some("created"));
    let files = std::fs::read_dir(&directory).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["slipring.next"]);
    std::fs::remove_dir_all(&directory).unwrap();
}
