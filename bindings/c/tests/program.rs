//! A C program and a Rust one talk to each other.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use slipring::{
    ByteReceiver, ByteSender, Condvar, Event, Handoff, LockError, Mutex, Named, Pipe, QueueOptions,
    Segment,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// The library that cargo built beside this test.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let places = test.ancestors().skip(1).take(2).map(|dir| dir.join("libslipring_c.a"));
    places.into_iter().find(|path| path.is_file()).expect("cargo builds libslipring_c.a")
}

/// The C program, built once.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let out =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peer-{}", std::process::id()));
        let mut cc = Command::new("cc");
        cc.args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-O1",
            "-D_XOPEN_SOURCE=700",
            "-I",
        ]);
        cc.arg(root).arg("-o").arg(&out).arg(root.join("tests/c/peer.c")).arg(library());
        cc.args(["-lpthread", "-ldl", "-lm"]);
        assert!(cc.status().expect("a C compiler").success());
        out
    })
}

/// A running C program, killed if the test gives up on it.
struct Peer(Child, BufReader<ChildStdout>);

impl Peer {
    fn command(args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).stdout(Stdio::piped());
        command
    }

    fn of(mut child: Child) -> Self {
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    fn start(args: &[&str]) -> Self {
        Self::of(Self::command(args).spawn().unwrap())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn end(mut self) {
        let rest: Vec<_> = (&mut self.1).lines().map(Result::unwrap).collect();
        assert!(self.0.wait().unwrap().success(), "{rest:?}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn unique(what: &str) -> String {
    format!("c-{what}-{}", std::process::id())
}

#[test]
fn a_c_program_receives_from_rust_and_sends_back() {
    let (there, back) = (unique("there"), unique("back"));
    let mut tx = ByteSender::create(&there, QueueOptions::bounded(4)).unwrap();
    let mut peer = Peer::start(&["echo", &there, &back]);
    assert_eq!(peer.line(), "ready");
    let mut rx = ByteReceiver::open(&back).unwrap();
    for text in ["a", "seven77", "more than fits the small buffer", ""] {
        tx.send(text.as_bytes()).unwrap();
        assert_eq!(rx.recv_until(PATIENCE).unwrap(), text.to_uppercase().as_bytes());
    }
    let large = vec![b'x'; 3 << 20];
    tx.send(&large).unwrap();
    assert_eq!(rx.recv_until(PATIENCE).unwrap(), large.to_ascii_uppercase());
    drop(tx);
    assert_eq!(peer.line(), "done", "it was told that the last sender is gone");
    peer.end();
}

#[test]
fn messages_are_read_and_written_where_they_lie() {
    let (there, back) = (unique("views"), unique("loans"));
    let mut tx = ByteSender::create(&there, QueueOptions::bounded(4)).unwrap();
    let mut rx = ByteReceiver::create(&back, QueueOptions::bounded(4)).unwrap();
    let mut peer = Peer::start(&["in-place", &there, &back]);
    assert_eq!(peer.line(), "ready");
    for len in [1, 7, 8, 100, 100_000] {
        let text: Vec<u8> = (0..len).map(|at| at as u8).collect();
        tx.send(&text).unwrap();
        let reversed: Vec<u8> = text.into_iter().rev().collect();
        assert_eq!(rx.recv_until(PATIENCE).unwrap(), reversed);
    }
    drop(tx);
    peer.end();
}

#[test]
fn a_c_program_that_is_killed_leaves_its_lock_to_the_next_who_is_told() {
    let name = unique("lock");
    let mutex = Mutex::create(&name, ()).unwrap();
    let mut peer = Peer::start(&["hold", &name]);
    assert_eq!(peer.line(), "holding");
    assert!(mutex.try_lock().is_err());
    peer.0.kill().unwrap();
    let start = Instant::now();
    assert!(matches!(mutex.lock_until(PATIENCE), Err(LockError::OwnerDied(_))));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_c_program_has_what_a_rust_program_started_it_with() {
    let segment = Segment::create().unwrap();
    let (mut here, there) = Pipe::duplex(&segment).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("pipe", &there).unwrap();
    let mut peer = Peer::of(handoff.spawn(&mut Peer::command(&["inherited"])).unwrap());
    drop(there);
    here.send(b"hello").unwrap();
    assert_eq!(peer.line(), "answered");
    assert_eq!(here.recv_until(PATIENCE).unwrap(), b"hello");
    drop(here);
    peer.end();
}

#[test]
fn a_condition_returns_without_a_notification_when_somebody_dies() {
    let name = unique("condition");
    let condvar = Condvar::create(&name, ()).unwrap();
    let [mut waiting, mut dying] = [(); 2].map(|()| Peer::start(&["await", &name]));
    assert_eq!((waiting.line(), dying.line()), ("waiting".to_owned(), "waiting".to_owned()));
    let start = Instant::now();
    while condvar.waiters() < 2 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    dying.0.kill().unwrap();
    assert_eq!(waiting.line(), "returned 0");
    waiting.end();
}

#[test]
fn a_signal_handler_ends_waits_in_a_segment_where_that_was_asked_for() {
    let name = unique("interrupted");
    let _event = Event::create(&name, ()).unwrap();
    let mut peer = Peer::start(&["interrupted", &name]);
    let lines: Vec<_> = (&mut peer.1).lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["0 failures"]);
    peer.end();
}

#[test]
fn whatever_c_passes_wrongly_is_an_error() {
    let mut peer = Peer::start(&["misuse", &unique("misuse")]);
    let lines: Vec<_> = (&mut peer.1).lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["0 failures"]);
    peer.end();
}
