//! The peer of the tests between processes: does what its arguments say with the handles that it was given, and prints
//! what came of it, one fact a line.

#[path = "peer/acceptor.rs"]
mod acceptor;
#[path = "peer/berths.rs"]
mod berths;
#[path = "peer/channels.rs"]
mod channels;
#[path = "peer/command.rs"]
mod command;
#[path = "peer/crash.rs"]
mod crash;
#[path = "peer/descriptors.rs"]
mod descriptors;
#[path = "peer/forks.rs"]
mod forks;
#[path = "peer/locks.rs"]
mod locks;
#[path = "peer/misc.rs"]
mod misc;
#[path = "peer/names.rs"]
mod names;
#[path = "peer/ordered.rs"]
mod ordered;
#[path = "peer/parcels.rs"]
mod parcels;
#[path = "peer/permits.rs"]
mod permits;
#[path = "peer/sides.rs"]
mod sides;
#[path = "peer/tasks.rs"]
mod tasks;
#[path = "peer/values.rs"]
mod values;
#[path = "peer/victims.rs"]
mod victims;
#[path = "peer/watchers.rs"]
mod watchers;

use command::Args;

fn main() {
    // Nobody is left behind by a test that dies. One whose parent is to die ends by itself.
    if std::env::var_os(berths::ORPHAN).is_none() {
        let kill = Some(rustix::process::Signal::KILL);
        let _ = rustix::process::set_parent_process_death_signal(kill);
    }
    crash::arm();
    let mut words = std::env::args().skip(1).collect::<Vec<_>>();
    assert!(!words.is_empty(), "say what to do");
    let command = words.remove(0);
    let mut args = Args::new(words);
    let known = acceptor::run(&command, &mut args)
        || berths::run(&command, &mut args)
        || channels::run(&command, &mut args)
        || descriptors::run(&command, &mut args)
        || forks::run(&command, &mut args)
        || locks::run(&command, &mut args)
        || misc::run(&command, &mut args)
        || names::run(&command, &mut args)
        || parcels::run(&command, &mut args)
        || permits::run(&command, &mut args)
        || sides::run(&command, &mut args)
        || values::run(&command, &mut args)
        || ordered::run(&command, &mut args)
        || tasks::run(&command, &mut args)
        || victims::run(&command, &mut args)
        || watchers::run(&command, &mut args);
    assert!(known, "{command:?} is no command of the peer");
}
