//! What peers do with queues and pipes.

use std::path::Path;
use std::time::{Duration, Instant};

use slipring::{Batch, ByteReceiver, ByteSender, Connection, Error, PipeReader, PipeWriter, Until};
use slipring_tests::log::Log;
use slipring_tests::message::{self, Stamp};

use super::command::{Args, inherited, say, sleep_for_ever};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "produce" => produce(args),
        "produce-logged" => produce_logged(args),
        "consume" => consume(args),
        "produce-marked" => produce_marked(args),
        "consume-marked" => consume_marked(args),
        "recv-on-eof" => recv_on_eof(),
        "hold-sender" => hold_sender(),
        "hold-view" => hold_view(),
        "take-one" => take_one(),
        "wait-for-news" => wait_for_news(args),
        "blocked-send" => blocked_send(),
        "echo" => echo(),
        "pipe-send" => pipe_send(args),
        "pipe-recv" => pipe_recv(args),
        "pipe-eof" => pipe_eof(),
        "hold-pipe" => hold_pipe(),
        "pipe-fill" => pipe_fill(),
        _ => return false,
    }
    true
}

/// `produce ID COUNT SIZE`: sends so many messages to `tx`.
fn produce(args: &mut Args) {
    let (producer, count, size) = (args.number(), args.number(), args.number());
    let mut tx: ByteSender = inherited().take("tx").unwrap();
    let mut bytes = Vec::new();
    for number in 0..count {
        message::write(Stamp { producer, number }, size, &mut bytes);
        tx.send(&bytes).unwrap();
    }
}

/// `produce-logged ID FIRST SIZE LOG`: sends until killed, and logs what was sent.
fn produce_logged(args: &mut Args) {
    let (producer, first, size): (_, u64, _) = (args.number(), args.number(), args.number());
    let mut log = Log::append(Path::new(&args.text()));
    let mut tx: ByteSender = inherited().take("tx").unwrap();
    let mut bytes = Vec::new();
    for number in first.. {
        let stamp = Stamp { producer, number };
        message::write(stamp, size, &mut bytes);
        match tx.send(&bytes) {
            Ok(()) => log.write(stamp),
            Err(Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `consume LOG`: logs what it receives from `rx` until there is no more.
fn consume(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx: ByteReceiver = inherited().take("rx").unwrap();
    let mut bytes = Vec::new();
    loop {
        match rx.recv_into(&mut bytes, None::<Duration>) {
            Ok(_) => log.write(message::read(&bytes)),
            Err(Error::Disconnected | Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `produce-marked ID COUNT SIZE`: sends so many messages to `tx` in batches, every other one marked.
fn produce_marked(args: &mut Args) {
    let (producer, count, size): (_, u64, _) = (args.number(), args.number(), args.number());
    let mut tx: ByteSender = inherited().take("tx").unwrap();
    let numbers: Vec<_> = (0..count).collect();
    for numbers in numbers.chunks(5) {
        let messages = numbers.iter().map(|&number| {
            let mut bytes = Vec::new();
            message::write(Stamp { producer, number }, size, &mut bytes);
            (bytes, number % 2 == 1)
        });
        assert_eq!(tx.send_messages(messages, Until::NEVER).unwrap(), numbers.len());
    }
}

/// `consume-marked LOG`: logs what comes from `rx` until there is no more, and looks at the marks.
fn consume_marked(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx: ByteReceiver = inherited().take("rx").unwrap();
    let mut batch = Batch::new(500);
    while rx.recv_messages(&mut batch, 4, Until::NEVER).is_ok() {
        for (message, bytes) in batch.drain() {
            let stamp = match message.view {
                Some(view) => message::read(&view.to_vec()),
                None => message::read(bytes),
            };
            assert_eq!(message.marked, stamp.number % 2 == 1);
            log.write(stamp);
        }
    }
}

/// Says what ends a receive from `rx`, and when.
fn recv_on_eof() {
    let mut rx: ByteReceiver = inherited().take("rx").unwrap();
    say("waiting");
    loop {
        match rx.recv() {
            Ok(message) => say(&format!("got {}", message.len())),
            Err(error) => return say(&format!("{error:?}")),
        }
    }
}

/// Receives a message from `rx`, and has it in hand until killed.
fn hold_view() {
    let mut rx: ByteReceiver = inherited().take("rx").unwrap();
    let _view = rx.recv_view().unwrap();
    say("holding");
    sleep_for_ever();
}

/// Has `tx` until it is killed.
fn hold_sender() {
    let _tx: ByteSender = inherited().take("tx").unwrap();
    say("holding");
    sleep_for_ever();
}

/// Takes one message from `rx`.
fn take_one() {
    let mut rx: ByteReceiver = inherited().take("rx").unwrap();
    say(&format!("took {}", rx.recv().unwrap().len()));
}

/// `wait-for-news COUNT`: says for each message from `rx` that it came.
fn wait_for_news(args: &mut Args) {
    let count: u32 = args.number();
    let mut rx: ByteReceiver = inherited().take("rx").unwrap();
    say("waiting");
    for _ in 0..count {
        rx.recv().unwrap();
        say("news");
    }
}

/// Sends to `tx`, which is full, and says how that ended.
fn blocked_send() {
    let mut tx: ByteSender = inherited().take("tx").unwrap();
    say("sending");
    say(&format!("{:?}", tx.send(b"one more, which does not fit")));
}

/// Sends everything back that comes through `pipe`.
fn echo() {
    let mut pipe: Connection = inherited().take("pipe").unwrap();
    say("ready");
    loop {
        match pipe.recv() {
            Ok(message) => pipe.send(&message).unwrap(),
            Err(Error::Disconnected) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `pipe-send ID COUNT SIZE`: sends so many messages to `w`.
fn pipe_send(args: &mut Args) {
    let (producer, count, size) = (args.number(), args.number(), args.number());
    let mut writer: PipeWriter = inherited().take("w").unwrap();
    let mut bytes = Vec::new();
    for number in 0..count {
        message::write(Stamp { producer, number }, size, &mut bytes);
        if let Err(error) = writer.send(&bytes) {
            return say(&format!("{error:?}"));
        }
    }
}

/// `pipe-recv LOG`: logs what it receives from `r` until the end of file.
fn pipe_recv(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut reader: PipeReader = inherited().take("r").unwrap();
    let mut bytes = Vec::new();
    say("ready");
    loop {
        match reader.recv_into(&mut bytes, None::<Duration>) {
            Ok(_) => log.write(message::read(&bytes)),
            Err(Error::Disconnected) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Says when the end of `r` came.
fn pipe_eof() {
    let mut reader: PipeReader = inherited().take("r").unwrap();
    say("waiting");
    let start = Instant::now();
    let ended = reader.recv();
    say(&format!("{:?} {}", ended.map(|m| m.len()), start.elapsed().as_millis()));
}

/// Has both ends that it was given until it is killed.
fn hold_pipe() {
    let mut inherited = inherited();
    let _reader = inherited.take::<PipeReader>("r");
    let _writer = inherited.take::<PipeWriter>("w");
    say("holding");
    sleep_for_ever();
}

/// Sends to `w` until that ends, and says how.
fn pipe_fill() {
    let mut writer: PipeWriter = inherited().take("w").unwrap();
    loop {
        if let Err(error) = writer.send(&[7; 3000]) {
            return say(&format!("{error:?}"));
        }
    }
}
