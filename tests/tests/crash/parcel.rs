//! Whoever sends handles, or receives them, is killed: they are where they were sent, or given back.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use slipring::{
    ByteQueue, ByteReceiver, ByteSender, Error, Handoff, Inherited, Pipe, PipeOptions, Segment,
};

use super::{PATIENCE, Run, Scenario, check_segment, give, new_segment};
use slipring_tests::log::Directory;
use slipring_tests::peer::Peer;

/// See the module.
pub const SCENARIOS: &[Scenario] = &[
    ("parcel-send", send),
    ("parcel-receive", receive),
    ("parcel-receive-again", receive_again),
    ("enclose-send", enclose_send),
    ("enclose-recv", enclose_recv),
];

/// Somewhere to listen, for as long as the directory is there.
fn listen() -> (UnixListener, PathBuf, Directory) {
    let directory = Directory::new("crash-socket");
    let path = directory.log("socket");
    (UnixListener::bind(&path).unwrap(), path, directory)
}

/// Receives until nobody has the other side any more.
fn drain(rx: &mut ByteReceiver) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match rx.recv_until(PATIENCE) {
            Ok(message) => all.push(message),
            Err(Error::Disconnected) => return all,
            Err(error) => panic!("no end: {error}"),
        }
    }
}

fn send(run: &Run) {
    let segment = new_segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    let (listener, path, _directory) = listen();
    listener.set_nonblocking(true).unwrap();
    let args = ["parcel-send", path.to_str().unwrap()];
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &args);
    drop(tx);
    victim.end();
    // Nobody, if it was killed before it came.
    let mut received = 0;
    if let Ok((socket, _)) = listener.accept() {
        while let Ok(mut parcel) = Inherited::receive_until(&socket, PATIENCE) {
            let mut tx: ByteSender = parcel.take("tx").unwrap();
            tx.send(b"received").unwrap();
            received += 1;
        }
    }
    assert_eq!(drain(&mut rx).len(), received);
    drop(rx);
    check_segment(&segment);
}

/// Sends a victim three senders; how it takes part at first is the caller's affair.
fn send_to(segment: &Segment, start: impl FnOnce(&str) -> Peer) {
    let (tx, mut rx) = ByteQueue::bounded(segment, 8).unwrap();
    let (listener, path, _directory) = listen();
    listener.set_nonblocking(true).unwrap();
    let mut victim = start(path.to_str().unwrap());
    let socket = loop {
        match listener.accept() {
            Ok((socket, _)) => break Some(socket),
            Err(_) if victim.has_ended() => break None,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(1)),
        }
    };
    for socket in [&socket; 3].into_iter().flatten() {
        let mut handoff = Handoff::new(segment);
        handoff.give("tx", &tx).unwrap();
        match handoff.send_until(socket, PATIENCE) {
            Ok(()) | Err(Error::Disconnected) => {}
            Err(error) => panic!("{error}"),
        }
    }
    drop(tx);
    victim.end();
    drop((socket, listener));
    assert!(drain(&mut rx).len() <= 3);
    drop(rx);
    check_segment(segment);
}

/// By a process that joins because of it.
fn receive(run: &Run) {
    let env: Vec<_> = run.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    send_to(&new_segment(), |path| Peer::alone_with(&["victim", "parcel-receive", path], &env));
}

/// By a process that takes part already.
fn receive_again(run: &Run) {
    let segment = new_segment();
    let handoff = Handoff::new(&segment);
    send_to(&segment, |path| run.victim(handoff, &["parcel-receive", path]));
}

fn enclose_send(run: &Run) {
    let segment = new_segment();
    let options = PipeOptions::new().handles(true);
    let (mut reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 8).unwrap();
    let handoff = give(&segment, |h| {
        h.give("w", &writer)?;
        h.give("tx", &tx)
    });
    let mut victim = run.victim(handoff, &["enclose-send"]);
    victim.end();
    // What it left on the way to a message that never came keeps nobody from sending.
    writer.send_value_until(&(99_u32, &tx), PATIENCE).unwrap();
    drop((writer, tx));
    let mut numbers = Vec::new();
    loop {
        match reader.recv_value::<(u32, ByteSender)>(PATIENCE) {
            Ok((number, mut tx)) => {
                tx.send(b"received").unwrap();
                numbers.push(number);
            }
            Err(Error::Disconnected) => break,
            Err(error) => panic!("after {numbers:?}: {error}"),
        }
    }
    assert_eq!(numbers.pop(), Some(99));
    assert!(numbers.iter().copied().eq(0..numbers.len() as u32), "{numbers:?}");
    assert_eq!(drain(&mut rx).len(), numbers.len() + 1);
    drop((reader, rx));
    check_segment(&segment);
}

fn enclose_recv(run: &Run) {
    const SENT: u32 = 10;
    let segment = new_segment();
    let options = PipeOptions::new().handles(true);
    let (mut reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 32).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("r", &reader)), &["enclose-recv"]);
    for number in 0..SENT {
        writer.send_value_until(&(number, &tx), PATIENCE).unwrap();
    }
    drop((writer, tx));
    victim.end();
    let mut here = Vec::new();
    loop {
        match reader.recv_value::<(u32, ByteSender)>(PATIENCE) {
            Ok((number, mut tx)) => {
                tx.send(b"here").unwrap();
                here.push(number);
            }
            Err(Error::Disconnected) => break,
            Err(error) => panic!("after {here:?}: {error}"),
        }
    }
    assert!(here.len() >= 4 && here.ends_with(&[SENT - 1]), "{here:?}");
    assert!(here.windows(2).all(|two| two[0] + 1 == two[1]), "a gap or a double: {here:?}");
    let sent_on = drain(&mut rx);
    assert_eq!(sent_on.iter().filter(|message| *message == b"here").count(), here.len());
    drop((reader, rx));
    check_segment(&segment);
}
