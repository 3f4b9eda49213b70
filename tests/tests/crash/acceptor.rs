//! Whoever accepts or connects is killed: the others come to an end, and the name to its next owner.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use slipring::name::names;
use slipring::{Acceptor, Error, Pipe, PipeOptions};

use super::{PATIENCE, Run, Scenario, check_segment};
use slipring_tests::peer::Peer;
use slipring_tests::sockets_without_a_name;

/// See the module.
pub const SCENARIOS: &[Scenario] = &[
    ("accept", accept),
    ("accept-after-death", accept_after_death),
    ("connect", connect),
    ("connect-before-it-listens", connect_before_it_listens),
    ("connect-after-it-listened", connect_after_it_listened),
];

const MESSAGE: &[u8] = b"one that is longer than nothing";

fn unique(what: &str) -> String {
    format!("crash-{what}-{}-{:?}", std::process::id(), std::thread::current().id())
}

fn victim(run: &Run, args: &[&str]) -> Peer {
    let env: Vec<_> = run.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let args: Vec<_> = ["victim"].into_iter().chain(args.iter().copied()).collect();
    Peer::alone_with(&args, &env)
}

/// Somebody who takes the name and is killed at a fixed point.
fn dead_acceptor(name: &str, point: &str) {
    let env = [("SLIPRING_CRASH_AT", point)];
    Peer::alone_with(&["victim", "accept", name, "1", "1"], &env).end();
    assert!(names().unwrap().contains(&name.to_owned()), "it was not killed at {point}");
}

/// Whoever comes next has the name, and is connected to; afterwards nothing is left.
fn check_name(name: &str) {
    let acceptor = Acceptor::create(name, PipeOptions::new()).unwrap();
    std::thread::scope(|scope| {
        let accepting = scope.spawn(|| acceptor.accept_until(PATIENCE));
        let mut there = Pipe::connect_until(name, PATIENCE).unwrap();
        let mut here = accepting.join().unwrap().unwrap();
        there.send(MESSAGE).unwrap();
        assert_eq!(here.recv_until(PATIENCE).unwrap(), MESSAGE);
    });
    check_segment(&acceptor.segment());
    drop(acceptor);
    assert!(!names().unwrap().contains(&name.to_owned()));
    assert_eq!(sockets_without_a_name(), Vec::<PathBuf>::new());
}

/// Asks whoever accepts, until `victim` has ended. Nothing takes longer than a killed one needs to be noticed.
fn ask_until_it_ends(name: &str, victim: &mut Peer) {
    while !victim.has_ended() {
        let start = Instant::now();
        let asked = Pipe::connect_until(name, PATIENCE).and_then(|mut connection| {
            connection.send(MESSAGE)?;
            connection.recv_until(PATIENCE)
        });
        match asked {
            Ok(answer) => assert_eq!(answer, MESSAGE),
            Err(Error::NoSuchName { .. }) => std::thread::sleep(Duration::from_micros(300)),
            Err(Error::Disconnected) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    }
}

fn accept(run: &Run) {
    let name = unique("accept");
    let mut victim = victim(run, &["accept", &name, "3", "2"]);
    ask_until_it_ends(&name, &mut victim);
    check_name(&name);
}

/// The victim takes the name over from a dead one.
fn accept_after_death(run: &Run) {
    let name = unique("after");
    dead_acceptor(&name, "socket.listen.bound#0");
    let mut victim = victim(run, &["accept", &name, "1", "1"]);
    ask_until_it_ends(&name, &mut victim);
    check_name(&name);
}

fn connect(run: &Run) {
    let name = unique("connect");
    let acceptor = Acceptor::create(&name, PipeOptions::new()).unwrap();
    let mut victim = victim(run, &["connect", &name, "3"]);
    while !victim.has_ended() {
        match acceptor.accept_until(Duration::from_millis(20)) {
            Ok(mut connection) => match connection.recv_until(PATIENCE) {
                Ok(message) => drop(connection.send(&message)),
                Err(error) => assert!(matches!(error, Error::Disconnected), "{error}"),
            },
            Err(error) => assert!(matches!(error, Error::TimedOut), "{error}"),
        }
    }
    check_segment(&acceptor.segment());
    drop(acceptor);
    check_name(&name);
}

/// The victim finds only a dead one's leavings, and takes them away.
fn connect_to_the_dead(run: &Run, point: &str) {
    let name = unique("dead");
    dead_acceptor(&name, point);
    let mut victim = victim(run, &["connect", &name, "1"]);
    victim.end();
    check_name(&name);
}

fn connect_before_it_listens(run: &Run) {
    connect_to_the_dead(run, "socket.listen.access#0");
}

fn connect_after_it_listened(run: &Run) {
    connect_to_the_dead(run, "acceptor.create.listens#0");
}
