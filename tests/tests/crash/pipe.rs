//! Pipes: whoever is killed in its turn, at the bell or before its byte, the others and their event loops go on.

use std::path::Path;
use std::time::{Duration, Instant};

use slipring::{Error, Pipe, PipeOptions, PipeReader, PipeWriter, Segment};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::{self, MIXED, Stamp};
use slipring_tests::peer::Peer;

use super::{PATIENCE, Run, SOON, Scenario, assert_prefix, check_segment, give, mess, new_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[
    ("pipe-send", send),
    ("pipe-send-after-lock", send_after_lock),
    ("pipe-send-after-commit", send_after_commit),
    ("pipe-send-after-ring", send_after_ring),
    ("pipe-recv", recv),
    ("pipe-recv-after-death", recv_after_death),
    ("pipe-recv-before-byte", recv_before_byte),
    ("pipe-recv-in-the-gap", recv_in_the_gap),
];

/// Whether an event loop sees something to receive.
fn is_readable(reader: &mut PipeReader, wait: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let fd = reader.as_fd().unwrap();
    let wait = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos() as i64 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&wait)).unwrap() > 0
}

/// Reads through a descriptor that is watched, as an event loop does.
fn watch_pipe(reader: &mut PipeReader) -> Vec<Stamp> {
    let (mut all, start) = (Vec::new(), Instant::now());
    loop {
        assert!(start.elapsed() < PATIENCE, "no end of the pipe");
        let ready = is_readable(reader, Duration::from_millis(100));
        match reader.try_recv() {
            Ok(message) => {
                let late = !ready && start.elapsed() > SOON;
                assert!(!late || all.is_empty(), "a message that the descriptor did not show");
                all.push(message::read(&message));
            }
            Err(Error::WouldBlock) => {}
            Err(Error::Disconnected) => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

fn send(run: &Run) {
    let segment = new_segment();
    let options = PipeOptions::new().ring(4096);
    let (mut reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
    writer.room_fd().unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("w", &writer)), &["pipe-send"]);
    let stamps = std::thread::scope(|scope| {
        let readings = scope.spawn(|| {
            let all = watch_pipe(&mut reader);
            drop(reader);
            all
        });
        victim.end();
        // The turn of a dead sender is had soon.
        let start = Instant::now();
        let mut bytes = Vec::new();
        message::write(Stamp { producer: 1, number: 0 }, 64, &mut bytes);
        writer.send_until(&bytes, PATIENCE).unwrap();
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        drop(writer);
        readings.join().unwrap()
    });
    let last = stamps.last().copied();
    assert_eq!(last, Some(Stamp { producer: 1, number: 0 }), "the survivor's message came");
    assert_prefix(&stamps[..stamps.len() - 1]);
    check_segment(&segment);
}

/// The one before died in its turn, or on its way to the bell.
fn send_after_death(run: &Run, at: &str) {
    let segment = new_segment();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    reader.as_fd().unwrap();
    mess(give(&segment, |h| h.give("w", &writer)), "piper", Some(at));
    run.victim(give(&segment, |h| h.give("w", &writer)), &["pipe-send"]).end();
    writer.send_until(&[1; 50_000], PATIENCE).unwrap();
    assert!(is_readable(&mut reader, SOON), "messages, and an event loop sees none");
    drop(writer);
    let mut stamps = Vec::new();
    loop {
        match reader.recv_until(PATIENCE) {
            // Ours and the first one's are not stamped.
            Ok(message) if message.len() == 50_000 => {}
            Ok(message) => stamps.push(message::read(&message)),
            Err(Error::Disconnected) => break,
            Err(error) => panic!("no end: {error}"),
        }
    }
    assert_prefix(&stamps);
    drop(reader);
    check_segment(&segment);
}

fn send_after_lock(run: &Run) {
    send_after_death(run, "pipe.send.locked");
}

fn send_after_commit(run: &Run) {
    send_after_death(run, "spsc_records.commit.published");
}

fn send_after_ring(run: &Run) {
    send_after_death(run, "bell.ring.rung");
}

fn recv_from(run: &Run, before: impl FnOnce(&Segment, &PipeReader, &PipeWriter)) {
    const SENT: u64 = 100;
    let segment = new_segment();
    let options = PipeOptions::new().ring(4096);
    let (mut reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
    writer.room_fd().unwrap();
    before(&segment, &reader, &writer);
    let args = ["pipe-recv", &run.log()];
    let mut victim = run.victim(give(&segment, |h| h.give("r", &reader)), &args);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut bytes = Vec::new();
            for number in 0..SENT {
                message::write(Stamp { producer: 1, number }, MIXED, &mut bytes);
                writer.send_until(&bytes, PATIENCE).unwrap();
                if number % 9 == 0 {
                    // Time for the reader to go to sleep.
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            drop(writer);
        });
        victim.end();
        let here = watch_pipe(&mut reader);
        sender.join().unwrap();
        let there = log::read(Path::new(&run.log()));
        let got = log::check_received(&[there, here]).len();
        assert!(got + 1 >= SENT as usize, "{got} of {SENT} came");
    });
    drop(reader);
    check_segment(&segment);
}

fn recv(run: &Run) {
    recv_from(run, |_, _, _| {});
}

/// A reader died between the bell and its byte.
fn recv_after_death(run: &Run) {
    recv_from(run, |segment, reader, _| {
        let env = [("SLIPRING_CRASH_AT", "bell.hush.cleared#0")];
        let handoff = give(segment, |h| h.give("r", reader));
        let log = run.logs.log("first");
        let args = ["victim", "pipe-recv", log.to_str().unwrap()];
        Peer::start_with(handoff, &args, &env).end();
    });
}

/// A sender is held up between the bell and its byte; the reader finds the bell rung and no byte.
fn recv_before_byte(run: &Run) {
    let segment = new_segment();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    reader.as_fd().unwrap();
    let handoff = give(&segment, |h| h.give("w", &writer));
    let env = [("SLIPRING_DELAY_AT", "bell.ring.before_byte#0")];
    let mut sender = Peer::start_with(handoff, &["pipe-send", "1", "20", "64"], &env);
    let args = ["pipe-recv", &run.log()];
    let mut victim = run.victim(give(&segment, |h| h.give("r", &reader)), &args);
    drop(writer);
    sender.end();
    victim.end();
    let here = watch_pipe(&mut reader);
    let there = log::read(Path::new(&run.log()));
    assert!(log::check_received(&[there, here]).len() >= 19);
    drop(reader);
    check_segment(&segment);
}

/// The reader is held up after it cleared the bell, and a message comes.
fn recv_in_the_gap(run: &Run) {
    let mut env = run.env.clone();
    env.push(("SLIPRING_DELAY_AT".into(), "bell.hush.cleared#1".into()));
    let run = Run { env, logs: Directory::new(&format!("gap-{:?}", std::thread::current().id())) };
    let segment = new_segment();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    let args = ["pipe-recv", &run.log()];
    let mut victim = run.victim(give(&segment, |h| h.give("r", &reader)), &args);
    let mut bytes = Vec::new();
    for number in 0..60 {
        message::write(Stamp { producer: 1, number }, 64, &mut bytes);
        writer.send(&bytes).unwrap();
        std::thread::sleep(Duration::from_millis(10));
        if victim.has_ended() {
            break;
        }
    }
    drop(writer);
    victim.end();
    let here = watch_pipe(&mut reader);
    let there = log::read(Path::new(&run.log()));
    log::check_received(&[there, here]);
    drop(reader);
    check_segment(&segment);
}
