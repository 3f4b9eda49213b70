//! What victims do with LIFO and priority queues.

use std::path::Path;

use slipring::{
    ByteLifoQueue, ByteLifoSender, ByteOrderedReceiver, BytePriorityQueue, BytePrioritySender,
    Until,
};
use slipring_tests::log::Log;
use slipring_tests::message::{self, MIXED, Stamp, key};

use super::super::{Args, inherited};
use super::LONG;

/// Runs the victim called `name` if it is one of these.
pub fn run(name: &str, args: &mut Args) -> bool {
    match name {
        "lifo-send" => lifo_send(args),
        "priority-send" => priority_send(args),
        "ordered-recv" => recv(args),
        "ordered-objects" => objects(),
        _ => return false,
    }
    true
}

/// Sends so many messages, in each of the ways that there are.
fn send(count: u64, mut send: impl FnMut(u64, &[u8], Until) -> slipring::Result<()>) {
    let mut bytes = Vec::new();
    for number in 0..count {
        let stamp = Stamp { producer: 0, number };
        message::write(stamp, MIXED, &mut bytes);
        match number % 3 {
            0 => send(key(stamp), &bytes, Until::NEVER).unwrap(),
            1 => send(key(stamp), &bytes, LONG.into()).unwrap(),
            _ => {
                if send(key(stamp), &bytes, Until::NOW).is_err() {
                    send(key(stamp), &bytes, Until::NEVER).unwrap();
                }
            }
        }
    }
}

/// `victim lifo-send COUNT`
fn lifo_send(args: &mut Args) {
    let mut tx: ByteLifoSender = inherited().take("tx").unwrap();
    send(args.number(), |_, bytes, until| tx.send_until(bytes, until));
}

/// `victim priority-send COUNT`
fn priority_send(args: &mut Args) {
    let mut tx: BytePrioritySender = inherited().take("tx").unwrap();
    send(args.number(), |key, bytes, until| tx.send_until(key, bytes, until));
}

/// `victim ordered-recv COUNT LOG`
fn recv(args: &mut Args) {
    let count: u64 = args.number();
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx: ByteOrderedReceiver = inherited().take("rx").unwrap();
    let mut bytes = Vec::new();
    for round in 0..count {
        match round % 3 {
            0 => rx.recv_into(&mut bytes, LONG).map(drop).unwrap(),
            1 => bytes = rx.try_recv().or_else(|_| rx.recv_until(LONG)).unwrap(),
            _ => {
                rx = rx.try_clone().unwrap();
                rx.recv_keyed_into(&mut bytes, LONG).map(drop).unwrap();
            }
        }
        log.write(message::read(&bytes));
    }
}

/// Makes queues, and ends them with something in them.
fn objects() {
    let segment = inherited().segment().clone();
    for capacity in [3, 50] {
        let (mut lifo, lifo_rx) = ByteLifoQueue::bounded(&segment, capacity).unwrap();
        let (mut priority, priority_rx) = BytePriorityQueue::bounded(&segment, capacity).unwrap();
        for message in [&b"something that is left in a block"[..], b"x", &[7; 5000]] {
            lifo.send(message).unwrap();
            priority.send(message.len() as u64, message).unwrap();
        }
        lifo.close();
        drop((lifo_rx, priority, lifo, priority_rx));
    }
}
