//! Pipes between programs that know nothing of each other but a name: many at once, killed at any time.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use slipring::name::{clean, directory, names};
use slipring::observe::Observer;
use slipring::{
    Acceptor, ByteReceiver, ByteSender, Connection, Error, Event, Handoff, Name, Named, Pipe,
    PipeOptions, QueueOptions, Until,
};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, segment, sockets_without_a_name, wait_until};

/// Nothing that is not waited for takes longer.
const SOON: Duration = Duration::from_secs(1);

/// A name that no other test has.
fn unique(what: &str) -> String {
    format!("test-accept-{what}-{}", std::process::id())
}

fn acceptor(name: &str) -> Acceptor {
    Acceptor::create(name, PipeOptions::new()).unwrap()
}

/// The file of a name, and its socket.
fn files(name: &str) -> [PathBuf; 2] {
    let file = directory().join(format!("slipring.{name}"));
    let inode = std::fs::symlink_metadata(&file).unwrap().ino();
    [file, directory().join(format!("slipring-socket.{inode}"))]
}

fn are_gone(files: &[PathBuf; 2]) -> bool {
    files.iter().all(|file| !file.exists())
}

/// Whether somebody waits to be accepted.
fn somebody_waits(acceptor: &Acceptor) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&acceptor.as_fd(), PollFlags::IN)], Some(&now)).unwrap() > 0
}

/// Whether it sleeps in a call of `poll`: it has connected, and waits.
fn polls(peer: &Peer) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{}/syscall", peer.pid().as_raw_pid()));
    call.is_ok_and(|call| call.starts_with("7 ") || call.starts_with("271 "))
}

fn connect(name: &str, message: &str, patience: Duration) -> Peer {
    Peer::alone(&["connect", name, message, &patience.as_millis().to_string()])
}

/// What a server answers to `message`.
fn answer(peer: &Peer, message: &str) -> u32 {
    let line = peer.line();
    let (pid, back) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
    assert_eq!(back, message, "another one's answer");
    pid.parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn of_fifty_that_connect_at_once_and_are_killed_all_that_live_are_answered() {
    let (name, mut random) = (unique("crowd"), Random::new(3));
    let mut server = Peer::alone(&["accept", &name, "0"]);
    server.line();
    let files = files(&name);
    for round in 0..2 {
        let text = |number: usize| format!("{round}-{number}");
        let mut peers: Vec<_> = (0..50).map(|n| (n, connect(&name, &text(n), PATIENCE))).collect();
        for _ in 0..10 {
            let victim = random.below(peers.len() as u64) as usize;
            peers.swap_remove(victim).1.kill();
        }
        for (number, peer) in &peers {
            assert_eq!(answer(peer, &text(*number)), server.pid().as_raw_pid() as u32);
        }
    }
    server.kill();
    assert!(matches!(Pipe::connect(&name), Err(Error::NoSuchName { .. })));
    assert!(are_gone(&files), "{files:?}");
}

#[test]
fn without_an_acceptor_there_is_no_such_name_and_with_one_it_is_waited_for() {
    let name = unique("none");
    let none = connect(&name, "hello", PATIENCE);
    assert!(none.line().starts_with("error NoSuchName"));
    let acceptor = acceptor(&name);
    let start = Instant::now();
    assert!(
        connect(&name, "hello", Duration::from_millis(30)).line().starts_with("error TimedOut")
    );
    assert!(start.elapsed() < SOON);
    assert!(matches!(Pipe::connect_until(&name, Until::NOW), Err(Error::WouldBlock)));
    // Those have gone.
    let short = Duration::from_millis(30);
    assert!(matches!(acceptor.accept_until(short), Err(Error::TimedOut)));
    assert!(matches!(acceptor.try_accept(), Err(Error::WouldBlock)));
    assert!(!somebody_waits(&acceptor));
    let patient = connect(&name, "hello", PATIENCE);
    wait_until("somebody to connect", PATIENCE, || somebody_waits(&acceptor));
    let mut connection = acceptor.try_accept().unwrap();
    assert_eq!(connection.recv().unwrap(), b"hello");
    connection.send(b"1 hello").unwrap();
    assert_eq!(answer(&patient, "hello"), 1);
    assert!(matches!(connection.recv(), Err(Error::Disconnected)), "end of file");
}

#[test]
fn those_who_wait_are_told_when_the_acceptor_is_killed() {
    let name = unique("killed");
    let mut server = Peer::alone(&["accept-none", &name]);
    server.expect("created");
    let files = files(&name);
    let waiting: Vec<_> = (0..5).map(|_| connect(&name, "hello", PATIENCE)).collect();
    wait_until("all to connect", PATIENCE, || waiting.iter().all(polls));
    let start = Instant::now();
    server.kill();
    for peer in &waiting {
        let line = peer.line();
        assert!(line.starts_with("error NoSuchName"), "{line}");
    }
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(are_gone(&files), "those who saw it took both away: {files:?}");
}

#[test]
fn those_who_wait_come_to_the_next_acceptor() {
    let name = unique("next");
    let mut servers: Vec<_> = (0..4).map(|_| Peer::alone(&["accept", &name, "0"])).collect();
    let words: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    for _ in 0..3 {
        let askers: Vec<_> =
            words.iter().map(|word| Peer::alone(&["connect-often", &name, word])).collect();
        // Whichever of them has the name now is killed in the middle of it.
        let at = loop {
            let ready = |peer: &Peer| peer.line_within(Duration::from_millis(5)).is_some();
            if let Some(at) = servers.iter().position(ready) {
                break at;
            }
        };
        servers.swap_remove(at).kill();
        for (asker, word) in askers.iter().zip(&words) {
            answer(asker, word);
        }
    }
    drop(servers);
    assert!(matches!(Pipe::connect(&name), Err(Error::NoSuchName { .. })));
    assert!(!names().unwrap().contains(&name));
}

#[test]
fn forked_children_accept_beside_their_parent_and_after_it() {
    let name = unique("fork");
    let server = Peer::alone(&["accept", &name, "2"]);
    let lines: Vec<_> = (0..5).map(|_| server.line()).collect();
    let children: Vec<i32> =
        lines.iter().filter_map(|line| line.strip_prefix("child ")?.parse().ok()).collect();
    assert_eq!(children.len(), 2, "{lines:?}");
    let files = files(&name);
    let ask = || answer(&connect(&name, "hello", PATIENCE), "hello") as i32;
    let parent = server.pid().as_raw_pid();
    let mut seen = BTreeSet::new();
    wait_until("each to accept somebody", PATIENCE, || {
        seen.insert(ask());
        seen.len() == 3
    });
    assert_eq!(seen, children.iter().copied().chain([parent]).collect());
    kill_process(Pid::from_raw(children[0]).unwrap(), Signal::KILL).unwrap();
    for _ in 0..5 {
        assert!(ask() != children[0]);
    }
    assert!(!are_gone(&files));
    // The other child dies with its parent.
    drop(server);
    wait_until("the last one to be seen dead", PATIENCE, || {
        matches!(Pipe::connect_until(&name, SOON), Err(Error::NoSuchName { .. }))
    });
    assert!(are_gone(&files), "{files:?}");
}

#[test]
fn an_acceptor_is_handed_to_a_program_and_sent_in_a_value() {
    let name = unique("given");
    let acceptor = acceptor(&name);
    let mut handoff = Handoff::new(&acceptor.segment());
    handoff.give("acceptor", &acceptor).unwrap();
    let mut started = Peer::start(handoff, &["accept-given"]);
    started.line();

    let segment = segment();
    let options = PipeOptions::new().handles(true);
    let (reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("pipe", &reader).unwrap();
    let mut running = Peer::start(handoff, &["accept-enclosed"]);
    writer.send_value(&acceptor).unwrap();
    running.line();
    drop(acceptor);

    let mut seen = BTreeSet::new();
    wait_until("each to accept somebody", PATIENCE, || {
        seen.insert(answer(&connect(&name, "hello", PATIENCE), "hello"));
        seen.len() == 2
    });
    started.kill();
    let pid = running.pid().as_raw_pid() as u32;
    assert_eq!(answer(&connect(&name, "hello", PATIENCE), "hello"), pid);
    running.kill();
    assert!(matches!(Pipe::connect(&name), Err(Error::NoSuchName { .. })));
}

#[test]
fn the_dead_who_wait_are_passed_over_and_the_stopped_hold_nobody_up() {
    let name = unique("stopped");
    let acceptor = acceptor(&name);
    let mut dead: Vec<_> = (0..3).map(|_| connect(&name, "dead", PATIENCE)).collect();
    wait_until("them to connect", PATIENCE, || dead.iter().all(polls));
    dead.iter_mut().for_each(Peer::kill);
    let stopped = connect(&name, "stopped", PATIENCE);
    wait_until("one more to connect", PATIENCE, || polls(&stopped));
    stopped.signal(Signal::STOP);
    wait_until("it to be stopped", PATIENCE, || stopped.is_stopped());
    let start = Instant::now();
    let mut to_stopped = acceptor.accept_until(PATIENCE).unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let other = connect(&name, "other", PATIENCE);
    let mut to_other = acceptor.accept_until(PATIENCE).unwrap();
    assert_eq!(to_other.recv_until(PATIENCE).unwrap(), b"other");
    to_other.send(b"2 other").unwrap();
    answer(&other, "other");
    assert!(matches!(to_stopped.try_recv(), Err(Error::WouldBlock)));
    stopped.signal(Signal::CONT);
    assert_eq!(to_stopped.recv_until(PATIENCE).unwrap(), b"stopped");
    drop(to_stopped);
    assert!(stopped.line().starts_with("error Disconnected"));
}

#[test]
fn connections_outlive_the_acceptor_and_end_with_their_ends() {
    let name = unique("outlive");
    let acceptor = acceptor(&name);
    let mut peers: Vec<_> = (0..2).map(|_| Peer::alone(&["connect-and-stay", &name])).collect();
    let mut ends: Vec<Connection> =
        (0..2).map(|_| acceptor.accept_until(PATIENCE).unwrap()).collect();
    peers.iter().for_each(|peer| peer.expect("connected"));
    let (segment, files) = (acceptor.segment(), files(&name));
    drop(acceptor);
    assert!(are_gone(&files), "{files:?}");
    for end in &mut ends {
        end.send(b"still here").unwrap();
    }
    let said = format!("Ok({:?})", b"still here");
    peers.iter().for_each(|peer| peer.expect(&said));
    peers.iter_mut().for_each(Peer::kill);
    for end in &mut ends {
        assert!(matches!(end.recv_until(PATIENCE), Err(Error::Disconnected)));
        wait_until("a broken pipe", PATIENCE, || {
            matches!(end.send(b"?"), Err(Error::Disconnected))
        });
    }
    drop(ends);
    wait_until("the dead to be cleaned up after", PATIENCE, || {
        segment.reap();
        segment.participants().len() == 1
    });
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn what_the_dead_left_is_taken_over_or_cleaned_away_with_its_socket() {
    let name = unique("left");
    for next in ["create", "clean", "unlink", "observe"] {
        let mut server = Peer::alone(&["accept-none", &name]);
        server.expect("created");
        let before = files(&name);
        server.kill();
        // Other tests make names meanwhile, and take away what they find of the dead.
        let is_gone = |error| matches!(error, Error::NoSuchName { .. });
        match next {
            "create" => drop(acceptor(&name)),
            "clean" => assert!(clean(&name).map_or_else(is_gone, |cleaned| cleaned.is_gone)),
            "unlink" => assert!(slipring::unlink(&name).map_or_else(is_gone, |()| true)),
            _ => drop(Event::create(&name, ()).unwrap()),
        }
        assert!(are_gone(&before), "{next}: {before:?}");
    }
}

#[test]
fn of_many_who_want_to_accept_one_has_the_name() {
    let name = unique("many");
    let peers: Vec<_> = (0..20).map(|_| Peer::alone(&["accept-none", &name])).collect();
    let lines: Vec<_> = peers.iter().map(Peer::line).collect();
    assert_eq!(lines.iter().filter(|line| *line == "created").count(), 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "taken").count(), 19, "{lines:?}");
    drop(peers);
    let ours = acceptor(&name);
    assert!(matches!(Acceptor::create(&name, PipeOptions::new()), Err(Error::NameTaken { .. })));
    drop(ours);
    assert_eq!(sockets_without_a_name(), Vec::<PathBuf>::new());
}

#[test]
fn a_name_that_is_unlinked_is_found_by_nobody_and_its_pipes_go_on() {
    let name = unique("unlinked");
    let first = acceptor(&name);
    let peer = Peer::alone(&["connect-and-stay", &name]);
    let mut end = first.accept_until(PATIENCE).unwrap();
    peer.expect("connected");
    let before = files(&name);
    slipring::unlink(&name).unwrap();
    assert!(are_gone(&before), "{before:?}");
    assert!(connect(&name, "hello", PATIENCE).line().starts_with("error NoSuchName"));
    let second = acceptor(&name);
    let after = files(&name);
    drop(first);
    assert!(!are_gone(&after), "the successor's");
    end.send(b"bye").unwrap();
    peer.expect(&format!("Ok({:?})", b"bye"));
    drop(second);
    assert!(are_gone(&after), "{after:?}");
}

#[test]
fn a_name_of_another_kind_and_a_name_that_can_be_none_are_errors_that_say_so() {
    let name = unique("kind");
    let queue = ByteSender::create(&name, QueueOptions::bounded(1)).unwrap();
    let line = connect(&name, "hello", PATIENCE).line();
    assert!(line.contains("WrongKind") && line.contains("queue"), "{line}");
    assert!(matches!(Acceptor::create(&name, PipeOptions::new()), Err(Error::NameTaken { .. })));
    drop(queue);
    let _acceptor = acceptor(&name);
    let error = ByteReceiver::open(&name).unwrap_err();
    assert!(matches!(error, Error::WrongKind { found: "acceptor", .. }), "{error}");

    let long = "x".repeat(129);
    for bad in ["", "a/b", "a\0b", &long] {
        assert!(matches!(Pipe::connect(bad), Err(Error::BadName { .. })), "{bad:?}");
        let created = Acceptor::create(bad, PipeOptions::new());
        assert!(matches!(created, Err(Error::BadName { .. })), "{bad:?}");
    }
    let stays = unique("stays");
    let created = Acceptor::create(Name::new(&stays).persist(), PipeOptions::new());
    assert!(matches!(created, Err(Error::BadName { why }) if why.contains("persist")));
    let created = Acceptor::create(&stays, PipeOptions::new().ring(1000));
    assert!(matches!(created, Err(Error::Capacity { .. })));
    assert!(!names().unwrap().contains(&stays));
    for directory in ["/nonexistent", "/proc"] {
        let peer = Peer::alone_with(&["accept-none", "x"], &[("SLIPRING_DIR", directory)]);
        let line = peer.line();
        assert!(line.starts_with("error NoNames") && line.contains(directory), "{line}");
    }
}

#[test]
fn the_longest_name_and_one_that_looks_like_a_socket_are_names_as_any() {
    let longest = format!("{:-<128}", unique("long"));
    for name in [longest, unique("x.sock"), format!("{}.-socket.7", unique("x"))] {
        let acceptor = acceptor(&name);
        let peer = Peer::alone(&["connect-and-stay", &name]);
        acceptor.accept_until(PATIENCE).unwrap().send(b"hello").unwrap();
        peer.expect("connected");
        peer.expect(&format!("Ok({:?})", b"hello"));
        let ours: Vec<_> = names().unwrap();
        assert_eq!(ours.iter().filter(|known| known.contains(name.as_str())).count(), 1);
        assert!(!ours.iter().any(|known| known.starts_with("socket.")));
        let files = files(&name);
        drop(acceptor);
        assert!(are_gone(&files), "{files:?}");
    }
}

#[test]
fn the_mode_of_the_name_says_who_may_connect() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can become somebody else");
        return;
    }
    let ask = |name: &str| Peer::alone(&["connect-as", "12345", name, "hello", "10000"]);
    let closed = unique("closed");
    let _closed = acceptor(&closed);
    let line = ask(&closed).line();
    assert!(line.starts_with("error NotPermitted"), "{line}");
    let open = unique("open");
    let acceptor = Acceptor::create(Name::new(&open).mode(0o666), PipeOptions::new()).unwrap();
    let peer = ask(&open);
    let mut connection = acceptor.accept_until(PATIENCE).unwrap();
    assert_eq!(connection.recv_until(PATIENCE).unwrap(), b"hello");
    connection.send(b"1 hello").unwrap();
    assert_eq!(answer(&peer, "hello"), 1);
    let modes = files(&open).map(|file| std::fs::symlink_metadata(file).unwrap().mode() & 0o7777);
    assert_eq!(modes, [0o666; 2]);
}

#[test]
fn somebody_elses_socket_is_not_trusted() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can become somebody else");
        return;
    }
    let name = unique("squat");
    let acceptor = acceptor(&name);
    let [_, socket] = files(&name);
    std::fs::remove_file(&socket).unwrap();
    let peer = Peer::alone(&["squat", "12345", socket.to_str().unwrap()]);
    peer.expect("listening");
    let error = Pipe::connect(&name).unwrap_err();
    assert!(matches!(error, Error::ForeignOwner { uid: 12345, .. }), "{error}");
    drop(acceptor);
    assert!(!socket.exists(), "root may take it away");
}

#[test]
fn an_observer_sees_how_many_were_accepted_and_that_pipes_are_made_as_asked() {
    let name = unique("seen");
    let options = PipeOptions::new().ring(4096).max_message(10);
    let acceptor = Acceptor::create(&name, options).unwrap();
    let peer = Peer::alone(&["connect-and-stay", &name]);
    let mut connection = acceptor.accept_until(PATIENCE).unwrap();
    assert!(matches!(connection.send(&[0; 11]), Err(Error::TooLong { max: 10, .. })));
    peer.expect("connected");
    let seen = Observer::open(&name).unwrap().look();
    let root = &seen.objects[0];
    assert_eq!((root.kind, root.is_root, &*root.state), ("acceptor", true, "listens; 1 accepted"));
    assert_eq!((root.first.len(), seen.objects[1].kind), (1, "pipe"));
    assert_eq!((seen.objects[1].first.len(), seen.objects[1].second.len()), (1, 1));
}
