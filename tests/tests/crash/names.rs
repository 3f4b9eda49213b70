//! Names: killed while it makes, opens, keeps and takes away what has one.

use slipring::{ByteReceiver, Error, Event, Named};
use slipring_tests::peer::Peer;

use super::{Run, Scenario, check_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[("names", names)];

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
