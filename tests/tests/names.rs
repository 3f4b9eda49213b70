//! Names among unrelated processes: races, deaths, takeovers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use slipring::name::names;
use slipring::{
    BoundedSemaphore, ByteReceiver, ByteSender, Error, Mutex, Named, OrRecover, QueueOptions,
};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, wait_until};

/// A name that no other test has.
fn unique(what: &str) -> String {
    format!("test-{what}-{}", std::process::id())
}

/// Fifty that open or create one name, of whom ten are killed meanwhile. Returns what the others found.
fn crowd(name: &str, random: &mut Random) -> (Vec<Peer>, BTreeSet<String>) {
    let mut peers: Vec<_> = (0..50).map(|_| Peer::alone(&["name-find", name])).collect();
    for _ in 0..10 {
        let victim = random.below(peers.len() as u64) as usize;
        peers.swap_remove(victim).kill();
        std::thread::sleep(Duration::from_micros(random.below(2000)));
    }
    let found = peers.iter().map(Peer::line).collect();
    (peers, found)
}

#[test]
fn of_fifty_that_come_at_once_all_that_live_have_the_same_object() {
    let (name, mut random) = (unique("crowd"), Random::new(7));
    let mut before = BTreeSet::new();
    for round in 0..4 {
        let (mut peers, found) = crowd(&name, &mut random);
        assert_eq!(found.len(), 1, "round {round}: {found:?}");
        let found = found.into_iter().next().unwrap();
        assert!(found.starts_with("found "), "{found}");
        // What the dead left is nobody's: each crowd makes its own.
        assert!(before.insert(found), "round {round}: the last crowd's object was had again");
        // Killed all at once, so that nobody cleans up.
        peers.iter_mut().for_each(Peer::kill_and_leave);
        peers.iter_mut().for_each(Peer::kill);
    }
    let error = Mutex::<u64>::open(&name).unwrap_err();
    assert!(matches!(error, Error::NoSuchName { .. }), "{error}");
    assert!(!names().unwrap().contains(&name), "and whoever looks takes it away");
}

#[test]
fn of_fifty_creators_one_succeeds_and_the_others_are_told() {
    let name = unique("creators");
    let peers: Vec<_> = (0..50).map(|_| Peer::alone(&["name-create", &name])).collect();
    let mut lines: Vec<_> = peers.iter().map(Peer::line).collect();
    lines.sort();
    assert_eq!(lines.iter().filter(|line| *line == "created").count(), 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "taken").count(), 49, "{lines:?}");
    drop(peers);
    drop(Mutex::create(&name, 5_u64).expect("a name left by the dead is taken over"));
    assert!(!names().unwrap().contains(&name));
}

#[test]
fn unrelated_programs_meet_in_a_queue_and_learn_of_each_others_end() {
    let name = unique("meet");
    let mut rx = ByteReceiver::create(&name, QueueOptions::bounded(3)).unwrap();
    let peers: Vec<_> = (0..3).map(|_| Peer::alone(&["name-send", &name, "100"])).collect();
    let mut counts = [0_u32; 100];
    let mut came = 0;
    while came < 300 {
        match rx.recv_until(PATIENCE) {
            Ok(message) => {
                counts[u32::from_le_bytes(message.try_into().unwrap()) as usize] += 1;
                came += 1;
            }
            // One has gone before another came.
            Err(Error::Disconnected) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(counts, [3; 100]);
    peers.into_iter().for_each(Peer::join);
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    Peer::alone(&["name-send", &name, "3"]).join();
    assert_eq!(rx.recv_batch(9, PATIENCE).unwrap().len(), 3, "another one came and went");
}

#[test]
fn the_last_one_to_be_killed_leaves_a_name_that_is_free_for_the_next() {
    let name = unique("killed");
    let mut peer = Peer::alone(&["name-find", &name]);
    peer.line();
    let mutex = Mutex::<u64>::open(&name).unwrap();
    peer.kill();
    assert_eq!(mutex.lock().or_recover().unwrap().get(), u64::from(peer.pid().as_raw_pid() as u32));
    drop(mutex);
    assert!(!names().unwrap().contains(&name), "the last one that lives takes it away");
    let mut peer = Peer::alone(&["name-find", &name]);
    peer.line();
    peer.kill();
    assert!(matches!(ByteSender::open(&name), Err(Error::NoSuchName { .. })), "of another kind");
    let semaphore = BoundedSemaphore::create(&name, 2).unwrap();
    semaphore.acquire().unwrap();
}

#[test]
fn a_name_lives_as_long_as_a_forked_or_started_child_has_its_object() {
    let name = unique("child");
    let tx = ByteSender::create(&name, QueueOptions::bounded(3)).unwrap();
    let mut handoff = slipring::Handoff::new(&tx.segment());
    handoff.give("tx", &tx).unwrap();
    let mut peer = Peer::start(handoff, &["hold-sender"]);
    peer.expect("holding");
    drop(tx);
    drop(ByteReceiver::open(&name).expect("the child has it"));
    peer.kill();
    let start = Instant::now();
    wait_until("the name to go", PATIENCE, || ByteReceiver::open(&name).is_err());
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_process_that_opens_a_name_often_takes_part_once() {
    let peer = Peer::alone(&["name-open-often", &unique("often"), "2000"]);
    peer.expect("1 of 1 is me");
    peer.expect("inner lock: Ok(2)");
    peer.join();
}

#[test]
fn threads_that_open_a_name_at_the_same_moment_are_one_participant() {
    let name = unique("threads");
    let mutex = Mutex::create(&name, 0_u64).unwrap();
    let peer = Peer::alone(&["name-open-in-threads", &name, "200"]);
    peer.expect("opened true, at most 2 participants");
    peer.join();
    assert_eq!(mutex.lock().or_recover().unwrap().get(), 8 * 200);
    assert_eq!(mutex.segment().participants().len(), 1, "each time it left in good order");
}

#[test]
fn a_forked_child_that_opens_what_it_has_stays_one_participant() {
    let peer = Peer::alone(&["name-open-in-child", &unique("forked")]);
    peer.expect("1 of 2 is me");
    peer.expect("2 in it");
    peer.join();
}

/// A directory for names that is this test's, removed when the test is done with it.
struct Directory(PathBuf);

impl Directory {
    fn new(what: &str) -> Self {
        let path = slipring::name::directory().join(unique(what));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn peer(&self, args: &[&str]) -> Peer {
        Peer::alone_with(args, &[("SLIPRING_DIR", self.0.to_str().unwrap())])
    }

    /// What lies in it, sockets included.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_forked_children_had_and_never_used_goes_with_the_next_name() {
    let directory = Directory::new("left");
    let peer = directory.peer(&["name-left-to-children", "x"]);
    peer.expect("dropped");
    assert_eq!(directory.files(), [""; 0]);
}

#[test]
fn what_a_forked_child_has_stays_until_it_ends() {
    let directory = Directory::new("inherited");
    let peer = directory.peer(&["name-inherited", "x"]);
    peer.expect("used");
    assert_eq!(directory.files(), [""; 0]);
}

#[test]
fn a_program_that_makes_a_name_takes_away_those_of_the_dead_and_no_others() {
    let directory = Directory::new("others");
    let make = |name: &str| directory.peer(&["name-create", name]);
    let alive = make("alive");
    alive.expect("created");
    let mut dying = ["dead", "of-another-version", "of-another-user"].map(make);
    dying.iter().for_each(|peer| peer.expect("created"));
    directory.peer(&["name-create-to-stay", "stays"]).join();
    dying.iter_mut().for_each(Peer::kill);
    let version = directory.0.join("slipring.of-another-version");
    let file = std::fs::File::options().write(true).open(version).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, &77_u32.to_ne_bytes(), 8).unwrap();
    std::fs::write(directory.0.join("slipring.no-segment"), "something else").unwrap();
    let mut left =
        vec!["alive", "new", "no-segment", "of-another-user", "of-another-version", "stays"];
    let foreign = directory.0.join("slipring.of-another-user");
    if std::os::unix::fs::chown(foreign, Some(12345), None).is_err() {
        left.retain(|name| *name != "of-another-user");
    }
    let new = make("new");
    new.expect("created");
    let left: Vec<_> = left.into_iter().map(|name| format!("slipring.{name}")).collect();
    assert_eq!(directory.files(), left);
}

#[test]
fn a_process_can_have_a_thousand_named_objects() {
    let directory = Directory::new("thousand");
    for address_space in ["0", "64"] {
        let peer = directory.peer(&["name-many", "1000", address_space, "0"]);
        peer.expect("1000 made");
        peer.expect("dropped");
        peer.join();
        assert_eq!(directory.files(), [""; 0]);
    }
}

#[test]
fn where_a_limit_is_reached_the_error_says_which() {
    let directory = Directory::new("limits");
    for (files, mib, word) in [("40", "1000000", "`ulimit -n`"), ("1024", "2000", "`ulimit -v`")] {
        let peer = directory.peer(&["name-until-refused", files, mib]);
        let (error, count) = (peer.line(), peer.line());
        assert!(error.contains(word), "{error}");
        assert!(count.parse::<u32>().unwrap() > 20, "{count} before {error}");
        peer.join();
    }
    assert_eq!(directory.files(), [""; 0]);
}

#[test]
fn a_process_with_a_thousand_named_objects_can_fork() {
    let directory = Directory::new("thousand-forked");
    let peer = directory.peer(&["name-many", "1000", "0", "1"]);
    peer.expect("1000 made");
    peer.expect("dropped");
    peer.join();
    assert_eq!(directory.files(), [""; 0]);
}

#[test]
fn without_a_directory_for_names_the_error_says_what_to_do() {
    let peer = Peer::alone_with(&["name-create", "x"], &[("SLIPRING_DIR", "/nonexistent")]);
    let line = peer.line();
    assert!(line.starts_with("error NoNames") && line.contains("/nonexistent"), "{line}");
    let peer = Peer::alone_with(&["name-create", "x"], &[("SLIPRING_DIR", "/proc")]);
    assert!(peer.line().starts_with("error NoNames"));
}
