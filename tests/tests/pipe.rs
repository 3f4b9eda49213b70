//! Pipes between processes: any size, ends, kills, several processes at one end, event loops.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use slipring::{Error, Handoff, Pipe, PipeReader, PipeWriter, Segment};
use slipring_tests::log::{self, Directory};
use slipring_tests::message::MIXED;
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{Random, segment, wait_until};

fn with_r(segment: &Segment, reader: &PipeReader) -> Handoff {
    let mut handoff = Handoff::new(segment);
    handoff.give("r", reader).unwrap();
    handoff
}

fn with_w(segment: &Segment, writer: &PipeWriter) -> Handoff {
    let mut handoff = Handoff::new(segment);
    handoff.give("w", writer).unwrap();
    handoff
}

fn readable_within(fd: &impl AsFd, wait: Duration) -> bool {
    let mut watched = [PollFd::new(fd, PollFlags::IN)];
    let wait = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos() as i64 };
    poll(&mut watched, Some(&wait)).unwrap() > 0
}

#[test]
fn messages_of_every_size_come_back_from_another_process() {
    let segment = segment();
    let (mut here, there) = Pipe::duplex(&segment).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("pipe", &there).unwrap();
    let echo = Peer::start(handoff, &["echo"]);
    drop(there);
    echo.expect("ready");
    let sizes = (0..70).chain([4095, 4096, 4097, 65_535, 65_536, 1 << 20, 100 << 20]);
    for size in sizes {
        let message: Vec<u8> = (0..size).map(|at: u32| (at ^ at >> 8) as u8).collect();
        here.send(&message).unwrap();
        assert!(here.recv_until(PATIENCE).unwrap() == message, "{size} bytes");
    }
    drop(here);
    echo.join();
    wait_until("all blocks to be given back", PATIENCE, || {
        segment.reap();
        segment.blocks_in_use() == 0
    });
}

#[test]
fn several_processes_at_both_ends_tear_nothing() {
    let segment = segment();
    let (reader, writer) = Pipe::one_way(&segment).unwrap();
    let logs = Directory::new("pipe-ends");
    let path = |c: usize| logs.log(&c.to_string());
    let readers: Vec<_> = (0..3)
        .map(|c| {
            let args = ["pipe-recv", path(c).to_str().unwrap()].map(str::to_owned);
            Peer::start(with_r(&segment, &reader), &[&args[0], &args[1]])
        })
        .collect();
    let size = MIXED.to_string();
    let writers: Vec<_> = (0..3)
        .map(|p: i32| {
            let id = p.to_string();
            Peer::start(with_w(&segment, &writer), &["pipe-send", &id, "3000", &size])
        })
        .collect();
    drop((reader, writer));
    writers.into_iter().for_each(Peer::join);
    readers.into_iter().for_each(Peer::join);
    let received: Vec<_> = (0..3).map(|c| log::read(&path(c))).collect();
    assert_eq!(log::check_received(&received).len(), 9000);
}

#[test]
fn killed_readers_and_writers_of_a_shared_end_wedge_nobody() {
    let segment = segment();
    let (reader, writer) = Pipe::one_way(&segment).unwrap();
    let logs = Directory::new("pipe-kills");
    let mut random = Random::new(std::process::id().into());
    let mut paths = Vec::new();
    let mut start_reader = || {
        let path = logs.log(&paths.len().to_string());
        let peer = Peer::start(with_r(&segment, &reader), &["pipe-recv", path.to_str().unwrap()]);
        paths.push(path);
        peer
    };
    let size = MIXED.to_string();
    let start_writer = |id: u32| {
        let id = id.to_string();
        Peer::start(with_w(&segment, &writer), &["pipe-send", &id, "100000000", &size])
    };
    let mut readers = [start_reader(), start_reader()];
    let mut writers = [start_writer(0), start_writer(1)];
    for round in 0..40 {
        std::thread::sleep(Duration::from_micros(500 + random.below(60_000)));
        let which = random.below(2) as usize;
        if round % 2 == 0 {
            readers[which].kill();
            readers[which] = start_reader();
        } else {
            writers[which].kill();
            writers[which] = start_writer(round + 2);
        }
    }
    writers.iter_mut().for_each(Peer::kill);
    drop((reader, writer));
    for reader in readers {
        reader.join();
    }
    let received: Vec<_> = paths.iter().map(|path| log::read(path)).collect();
    assert!(log::check_received(&received).len() > 200);
    wait_until("all blocks to be given back", PATIENCE, || {
        segment.reap();
        segment.blocks_in_use() == 0 && segment.participants().len() == 1
    });
}

#[test]
fn the_end_of_file_comes_at_once_by_close_and_by_sigkill() {
    for how in ["close", "kill", "zombie"] {
        let segment = segment();
        let (reader, writer) = Pipe::one_way(&segment).unwrap();
        let eof = Peer::start(with_r(&segment, &reader), &["pipe-eof"]);
        let mut holder = Peer::start(with_w(&segment, &writer), &["hold-pipe"]);
        eof.expect("waiting");
        holder.expect("holding");
        drop((reader, writer));
        assert_eq!(eof.line_within(Duration::from_millis(120)), None, "{how}");
        let start = Instant::now();
        match how {
            "zombie" => holder.kill_and_leave(),
            _ => holder.kill(),
        }
        let line = eof.line();
        assert!(line.starts_with("Err(Disconnected)"), "{how} {line}");
        assert!(start.elapsed() < Duration::from_millis(40), "{how} {:?}", start.elapsed());
    }
}

#[test]
fn a_sender_learns_of_the_readers_death_however_long_it_has_waited() {
    for blocked_for in [100, 700, 1300] {
        let segment = segment();
        let (reader, mut writer) = Pipe::one_way(&segment).unwrap();
        let mut holder = Peer::start(with_r(&segment, &reader), &["hold-pipe"]);
        holder.expect("holding");
        let blocked = Peer::start(with_w(&segment, &writer), &["pipe-fill"]);
        drop(reader);
        let full = blocked.line_within(Duration::from_millis(blocked_for));
        assert_eq!(full, None, "the ring is full");
        let start = Instant::now();
        holder.kill();
        blocked.expect("Disconnected");
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
        assert!(matches!(writer.send(b"?"), Err(Error::Disconnected)));
    }
}

#[test]
fn an_event_loop_sees_messages_and_the_end_from_another_process() {
    let segment = segment();
    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    let size = MIXED.to_string();
    let sender = Peer::start(with_w(&segment, &writer), &["pipe-send", "0", "3000", &size]);
    drop(writer);
    let (mut received, mut idle) = (0, 0);
    loop {
        assert!(
            readable_within(&reader.as_fd().unwrap(), Duration::from_millis(999)),
            "{received}"
        );
        match reader.try_recv() {
            Ok(message) => {
                slipring_tests::message::read(&message);
                received += 1;
            }
            Err(Error::WouldBlock) => idle += 1,
            Err(Error::Disconnected) => break,
            Err(error) => panic!("{error}"),
        }
        assert!(idle < 3000, "readable with nothing there, again and again");
    }
    assert_eq!(received, 3000);
    sender.join();
}

#[test]
fn a_watched_pipe_is_readable_exactly_while_something_is_there() {
    let segment = segment();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    writer.send(b"sent before anybody watched").unwrap();
    let now = Duration::ZERO;
    for _ in 0..3 {
        assert!(readable_within(&reader.as_fd().unwrap(), now));
        writer.send(b"another").unwrap();
        reader.recv().unwrap();
        assert!(readable_within(&reader.as_fd().unwrap(), now), "one is left");
        reader.recv().unwrap();
        assert!(!readable_within(&reader.as_fd().unwrap(), now), "none is left");
        writer.send(b"and again").unwrap();
    }
    let mut holder = Peer::start(with_w(&segment, &writer), &["hold-pipe"]);
    holder.expect("holding");
    drop(writer);
    reader.recv().unwrap();
    assert!(!readable_within(&reader.as_fd().unwrap(), now));
    holder.kill();
    assert!(readable_within(&reader.as_fd().unwrap(), Duration::from_millis(500)), "the end");
    assert!(matches!(reader.try_recv(), Err(Error::Disconnected)));
    assert!(reader.poll(now).unwrap(), "the end can be received");
}

#[test]
fn poll_keeps_its_deadline_and_ends_with_a_message() {
    let segment = segment();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    let start = Instant::now();
    assert!(!reader.poll(Duration::from_millis(80)).unwrap());
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_millis(80) && waited < Duration::from_millis(120),
        "{waited:?}"
    );
    writer.send(b"x").unwrap();
    assert!(reader.poll(PATIENCE).unwrap() && reader.poll(Duration::ZERO).unwrap());
    assert_eq!(reader.recv().unwrap(), b"x");
}
