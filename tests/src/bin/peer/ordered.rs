//! What peers do with LIFO and priority queues.

use std::path::Path;

use slipring::{Error, Until};
use slipring_tests::log::Log;
use slipring_tests::message::{self, MIXED, Stamp, key};
use slipring_tests::ordered::{Receiver, Sender};

use super::command::{Args, inherited, say, sleep_for_ever};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "ordered-produce" => produce(args),
        "ordered-consume" => consume(args),
        "ordered-news" => news(args),
        "ordered-blocked-send" => blocked_send(),
        "ordered-hold" => hold(),
        _ => return false,
    }
    true
}

/// `ordered-produce ID FIRST COUNT LOG`: sends so many messages (or until killed, or closed) and logs what was sent.
fn produce(args: &mut Args) {
    let (producer, first, count): (_, u64, u64) = (args.number(), args.number(), args.number());
    let mut log = Log::append(Path::new(&args.text()));
    let mut tx = Sender::take(&mut inherited());
    let mut bytes = Vec::new();
    for number in first..first.saturating_add(count) {
        let stamp = Stamp { producer, number };
        message::write(stamp, MIXED, &mut bytes);
        match tx.send(key(stamp), &bytes, Until::NEVER) {
            Ok(()) => log.write(stamp),
            Err(Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `ordered-consume LOG`: logs what it receives until there is no more.
fn consume(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx = Receiver::take(&mut inherited());
    loop {
        match rx.stamp(Until::NEVER) {
            Ok(stamp) => log.write(stamp),
            Err(Error::Disconnected | Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `ordered-news COUNT`: says for each message that it came, and at last how that ended.
fn news(args: &mut Args) {
    let count: u32 = args.number();
    let mut rx = Receiver::take(&mut inherited());
    say("waiting");
    for _ in 0..count {
        match rx.recv(Until::NEVER) {
            Ok(_) => say("news"),
            Err(error) => return say(&format!("{error:?}")),
        }
    }
}

/// Sends to a queue that is full, and says how that ended.
fn blocked_send() {
    let mut tx = Sender::take(&mut inherited());
    say("sending");
    say(&format!("{:?}", tx.send(0, b"one more, which does not fit", Until::NEVER)));
}

/// Has a sender until it is killed.
fn hold() {
    let _tx = Sender::take(&mut inherited());
    say("holding");
    sleep_for_ever();
}
