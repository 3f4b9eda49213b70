//! What peers do with one side of a channel, of whatever kind.

use slipring::{ByteJoinableReceiver, Named, Until};
use slipring_tests::halves;

use super::command::{Args, inherited, say, sleep_for_ever};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "side-takes" => takes(args),
        "side-held" => held(),
        "side-dropped" => dropped(args),
        "side-works" => works(args),
        _ => return false,
    }
    true
}

/// `side-takes KIND COUNT`: takes so many messages from `rx`, says so, and waits to be killed.
fn takes(args: &mut Args) {
    let (kind, count) = (args.text(), args.number::<u64>());
    let mut rx = halves::receiver(&kind, &mut inherited());
    for _ in 0..count {
        rx.go(Until::NEVER).unwrap();
    }
    say("took all");
    // One more that does not come: the side is asleep, as that of a living receiver is.
    let _ = rx.go(Until::NEVER);
    sleep_for_ever();
}

/// Has what it was given until it is killed.
fn held() {
    let _inherited = inherited();
    say("holding");
    sleep_for_ever();
}

/// `side-dropped KIND`: drops `rx`, and goes on living.
fn dropped(args: &mut Args) {
    drop(halves::receiver(&args.text(), &mut inherited()));
    say("dropped");
    sleep_for_ever();
}

/// `side-works NAME COUNT`: finishes so many tasks of the queue with this name, says so, and waits to be killed.
fn works(args: &mut Args) {
    let (name, count) = (args.text(), args.number::<u64>());
    let mut rx = ByteJoinableReceiver::open(name.as_str()).unwrap();
    for _ in 0..count {
        rx.recv().unwrap().done().unwrap();
    }
    say("worked");
    sleep_for_ever();
}
