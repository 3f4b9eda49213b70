//! What victims do with LIFO and priority queues.

use std::path::Path;

use slipring::{ByteLifoQueue, BytePriorityQueue, Until};
use slipring_tests::log::Log;
use slipring_tests::message::{self, MIXED, Stamp, key};
use slipring_tests::ordered::{Receiver, Sender};

use super::common::LONG;
use crate::command::{Args, inherited};

/// Runs the victim called `name` if it is one of these.
pub fn run(name: &str, args: &mut Args) -> bool {
    match name {
        "ordered-send" => send(args),
        "ordered-recv" => recv(args),
        "ordered-objects" => objects(),
        _ => return false,
    }
    true
}

/// `victim ordered-send COUNT`: in each of the ways that there are.
fn send(args: &mut Args) {
    let mut tx = Sender::take(&mut inherited());
    let mut bytes = Vec::new();
    for number in 0..args.number() {
        let stamp = Stamp { producer: 0, number };
        message::write(stamp, MIXED, &mut bytes);
        let until = [Until::NEVER, LONG.into(), Until::NOW][number as usize % 3];
        let sent = tx.send(key(stamp), &bytes, until);
        sent.or_else(|_| tx.send(key(stamp), &bytes, Until::NEVER)).unwrap();
        if number % 8 == 0 {
            tx = tx.another();
        }
    }
}

/// `victim ordered-recv COUNT LOG`
fn recv(args: &mut Args) {
    let count: u64 = args.number();
    let mut log = Log::append(Path::new(&args.text()));
    let mut rx = Receiver::take(&mut inherited());
    for round in 0..count {
        match round % 3 {
            0 => log.write(rx.stamp(LONG).unwrap()),
            1 => log.write(rx.stamp(Until::NOW).or_else(|_| rx.stamp(LONG)).unwrap()),
            _ => {
                rx = rx.another();
                log.write(message::read(&rx.recv(LONG).unwrap()));
            }
        }
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
