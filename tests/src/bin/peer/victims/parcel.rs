//! Victims that send handles and receive them.

use std::os::unix::net::UnixStream;

use slipring::{
    ByteQueue, ByteSender, Handoff, Inherited, Pipe, PipeOptions, PipeReader, PipeWriter, Until,
};

use super::common::LONG;
use crate::command::{Args, inherited};

/// `victim parcel-send PATH`: sends a sender to whoever listens there, three times, and once into a pair of its own.
pub fn send(args: &mut Args) {
    let mut inherited = inherited();
    let tx: ByteSender = inherited.take("tx").unwrap();
    let socket = UnixStream::connect(args.text()).unwrap();
    let (unread, end) = UnixStream::pair().unwrap();
    for to in [&socket, &unread, &socket, &socket] {
        let mut handoff = Handoff::new(inherited.segment());
        handoff.give("tx", &tx).unwrap();
        handoff.send_until(to, LONG).unwrap();
    }
    drop(end);
    let mut handoff = Handoff::new(inherited.segment());
    handoff.give("tx", &tx).unwrap();
    handoff.send(&unread).expect_err("nobody has the other end");
}

/// `victim parcel-receive PATH`: receives senders from whoever listens there, and uses them. With what it was given, it takes
/// part already.
pub fn receive(args: &mut Args) {
    let _part = Inherited::from_env();
    let socket = UnixStream::connect(args.text()).unwrap();
    for _ in 0..3 {
        let mut parcel = Inherited::receive_until(&socket, LONG).unwrap();
        let mut tx: ByteSender = parcel.take("tx").unwrap();
        tx.send(b"received").unwrap();
        drop(tx);
        drop(parcel);
    }
}

/// Sends values with handles in them through a pipe.
pub fn enclose_send() {
    let mut inherited = inherited();
    let mut writer: PipeWriter = inherited.take("w").unwrap();
    let tx: ByteSender = inherited.take("tx").unwrap();
    for number in 0..6_u32 {
        writer.send_value_until(&(number, &tx), LONG).unwrap();
    }
    // One that is ended with something in it.
    let options = PipeOptions::new().handles(true);
    let (reader, mut own) = Pipe::one_way_with(inherited.segment(), options).unwrap();
    let (other, _rx) = ByteQueue::bounded(inherited.segment(), 1).unwrap();
    own.send_value(&(7_u32, &other)).unwrap();
    drop((reader, own));
}

/// Receives values with handles in them, and uses those.
pub fn enclose_recv() {
    let mut reader: PipeReader = inherited().take("r").unwrap();
    for round in 0..6 {
        if round == 3 {
            // As bytes: the handle is given back.
            reader.recv_until(LONG).unwrap();
            continue;
        }
        let (number, mut tx): (u32, ByteSender) = reader.recv_value(LONG).unwrap();
        tx.send_until(&number.to_le_bytes(), Until::NOW).unwrap();
    }
}
