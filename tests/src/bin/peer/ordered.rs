//! What peers do with LIFO and priority queues.

use std::path::Path;
use std::time::Duration;

use slipring::{ByteLifoSender, ByteOrderedReceiver, BytePrioritySender, Error, Inherited};
use slipring_tests::log::Log;
use slipring_tests::message::{self, MIXED, Stamp, key};

use super::{Args, inherited, say, sleep_for_ever};

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

/// A sender of either kind, whichever `tx` is.
enum Sender {
    Lifo(ByteLifoSender),
    Priority(BytePrioritySender),
}

impl Sender {
    fn take(inherited: &mut Inherited) -> Self {
        let is_lifo = inherited.names().any(|name| name == "lifo");
        if is_lifo {
            Self::Lifo(inherited.take("lifo").unwrap())
        } else {
            Self::Priority(inherited.take("priority").unwrap())
        }
    }

    fn send(&mut self, key: u64, message: &[u8]) -> slipring::Result<()> {
        match self {
            Self::Lifo(tx) => tx.send(message),
            Self::Priority(tx) => tx.send(key, message),
        }
    }
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
        match tx.send(key(stamp), &bytes) {
            Ok(()) => log.write(stamp),
            Err(Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `ordered-consume LOG`: logs what it receives from `rx` until there is no more.
fn consume(args: &mut Args) {
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx: ByteOrderedReceiver = inherited().take("rx").unwrap();
    let mut bytes = Vec::new();
    loop {
        match rx.recv_into(&mut bytes, None::<Duration>) {
            Ok(_) => log.write(message::read(&bytes)),
            Err(Error::Disconnected | Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `ordered-news COUNT`: says for each message from `rx` that it came, and at last how that ended.
fn news(args: &mut Args) {
    let count: u32 = args.number();
    let mut rx: ByteOrderedReceiver = inherited().take("rx").unwrap();
    say("waiting");
    for _ in 0..count {
        match rx.recv() {
            Ok(_) => say("news"),
            Err(error) => return say(&format!("{error:?}")),
        }
    }
}

/// Sends to a queue that is full, and says how that ended.
fn blocked_send() {
    let mut tx = Sender::take(&mut inherited());
    say("sending");
    say(&format!("{:?}", tx.send(0, b"one more, which does not fit")));
}

/// Has a sender until it is killed.
fn hold() {
    let _tx = Sender::take(&mut inherited());
    say("holding");
    sleep_for_ever();
}
