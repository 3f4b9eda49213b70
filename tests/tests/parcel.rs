//! Handles on their way: through sockets to unrelated processes, and inside of values through pipes.

use std::io::{IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use slipring::{
    ByteQueue, ByteReceiver, ByteSender, Connection, Error, Event, Handoff, Inherited, Mutex,
    OrRecover, Pipe, PipeOptions, PipeReader, PipeWriter, Queue, Segment, Sender, Until,
};
use slipring_tests::log::Directory;
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{segment, wait_until};

const MOMENT: Duration = Duration::from_millis(150);
/// Long for anything that does not hang, on a machine that is busy.
const SOON: Duration = Duration::from_secs(2);

fn with_tx(segment: &Segment, tx: &ByteSender) -> Handoff {
    let mut handoff = Handoff::new(segment);
    handoff.give("tx", tx).unwrap();
    handoff
}

/// Both kinds of connected sockets.
fn pairs() -> [(OwnedFd, OwnedFd); 2] {
    let pair = |kind| {
        rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
    };
    [pair(SocketType::STREAM), pair(SocketType::SEQPACKET)]
}

fn assert_alone(segment: &Segment) {
    wait_until("nobody to be left", PATIENCE, || {
        segment.reap();
        segment.participants().len() == 1
    });
}

/// A process that takes no part in any segment and does something with a parcel, once it is told to.
struct Server {
    peer: Peer,
    path: PathBuf,
    _directory: Directory,
}

impl Server {
    fn start(what: &str) -> Self {
        let directory = Directory::new(&format!("parcel-{what}"));
        let path = directory.log("socket");
        let peer = Peer::alone(&["parcel-serve", path.to_str().unwrap(), what]);
        peer.expect("listening");
        Self { peer, path, _directory: directory }
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).unwrap()
    }

    fn go(&self) {
        UnixStream::connect(format!("{}.go", self.path.display())).unwrap();
    }
}

/// What lies in a socket, as somebody sees it who knows nothing of parcels.
fn raw_receive(socket: &OwnedFd) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut bytes = vec![0; 1 << 16];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = rustix::net::recvmsg(socket, &mut parts, &mut control, flags).unwrap();
    let fds = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let fds = fds.collect();
    bytes.truncate(got.bytes);
    (bytes, fds)
}

fn raw_send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    let parts = [IoSlice::new(bytes)];
    let sent = rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::empty()).unwrap();
    assert_eq!(sent, bytes.len());
}

#[test]
fn a_sender_on_its_way_to_an_unrelated_process_keeps_its_queue_open() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let server = Server::start("send");
    let socket = server.connect();
    with_tx(&segment, &tx).send(&socket).unwrap();
    drop((tx, socket));
    assert!(matches!(rx.recv_until(MOMENT), Err(Error::TimedOut)), "it is on its way");
    server.go();
    assert_eq!(rx.recv_until(PATIENCE).unwrap(), b"beside 1", "it is one participant");
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    server.peer.join();
    assert_alone(&segment);
}

#[test]
fn whoever_sent_handles_may_end_before_anybody_receives_them() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let directory = Directory::new("parcel-sent");
    let path = directory.log("socket");
    let listener = UnixListener::bind(&path).unwrap();
    Peer::start(with_tx(&segment, &tx), &["parcel-send", path.to_str().unwrap()]).join();
    drop(tx);
    assert!(matches!(rx.recv_until(MOMENT), Err(Error::TimedOut)));
    let (socket, _) = listener.accept().unwrap();
    let mut parcel = Inherited::receive(&socket).unwrap();
    assert_alone(&segment);
    let mut tx: ByteSender = parcel.take("tx").unwrap();
    tx.send(b"still there").unwrap();
    assert_eq!(rx.recv().unwrap(), b"still there");
    drop((tx, parcel));
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    assert!(matches!(Inherited::receive(&socket), Err(Error::Disconnected)));
}

#[test]
fn what_nobody_receives_is_given_back() {
    for (here, there) in pairs() {
        let segment = segment();
        let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
        with_tx(&segment, &tx).send(&here).unwrap();
        drop(tx);
        assert!(matches!(rx.recv_until(MOMENT), Err(Error::TimedOut)));
        drop((here, there));
        let start = Instant::now();
        assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        assert_alone(&segment);
    }
    // And where the other end is a process that is killed with it unread, or with it in its hands.
    for what in ["leave", "hold"] {
        let segment = segment();
        let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
        let mut server = Server::start(what);
        let socket = server.connect();
        with_tx(&segment, &tx).send(&socket).unwrap();
        drop(tx);
        server.go();
        if what == "hold" {
            server.peer.expect("holding");
            assert!(matches!(rx.recv_until(MOMENT), Err(Error::TimedOut)));
            server.peer.kill_and_leave();
        }
        assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)), "{what}");
        server.peer.end();
        assert_alone(&segment);
    }
}

#[test]
fn a_process_that_takes_part_already_stays_one_participant() {
    for (here, there) in pairs() {
        let segment = segment();
        let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
        let (mut one, two) = Pipe::duplex(&segment).unwrap();
        let mut handoff = with_tx(&segment, &tx);
        handoff.give("pipe", &two).unwrap();
        handoff.give("event", &Event::new(&segment).unwrap()).unwrap();
        handoff.send(&here).unwrap();
        drop((tx, two));
        assert_eq!(segment.participants().len(), 2, "this process, and who is on the way");
        let mut parcel = Inherited::receive(&there).unwrap();
        assert_eq!(segment.participants().len(), 1);
        assert_eq!(parcel.names().count(), 3);
        assert!(matches!(parcel.take::<Event>("tx"), Err(Error::WrongKind { .. })));
        parcel.take::<Event>("event").unwrap().set().unwrap();
        let mut two: Connection = parcel.take("pipe").unwrap();
        two.send(b"words").unwrap();
        assert_eq!(one.recv().unwrap(), b"words");
        drop((two, parcel));
        assert!(matches!(one.recv_until(PATIENCE), Err(Error::Disconnected)));
        assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    }
}

#[test]
fn handles_of_another_segment_are_not_given() {
    let (one, two) = (segment(), segment());
    let (tx, _rx) = ByteQueue::bounded(&two, 4).unwrap();
    assert!(matches!(Handoff::new(&one).give("tx", &tx), Err(Error::NoSuchObject)));
}

#[test]
fn what_was_taken_cannot_be_taken_again() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let (here, there) = pairs().into_iter().next_back().unwrap();
    with_tx(&segment, &tx).send(&here).unwrap();
    drop(tx);
    let (bytes, fds) = raw_receive(&there);
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    // To a process that joins, twice.
    let server = Server::start("twice");
    let socket = server.connect();
    raw_send(&socket, &bytes, &borrowed);
    raw_send(&socket, &bytes, &borrowed);
    server.go();
    let line = server.peer.line();
    assert!(line.starts_with(r#"["tx"] Err(NotInherited("#), "{line}");
    server.peer.join();
    // And to one that takes part already.
    raw_send(&here, &bytes, &borrowed);
    assert!(matches!(Inherited::receive(&there), Err(Error::NotInherited(_))));
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    assert_alone(&segment);
}

#[test]
fn a_copy_of_the_proof_that_somebody_kept_keeps_nobody_alive() {
    let segment = segment();
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let (here, there) = pairs().into_iter().next_back().unwrap();
    with_tx(&segment, &tx).send(&here).unwrap();
    drop(tx);
    let (bytes, fds) = raw_receive(&there);
    let mut server = Server::start("hold");
    raw_send(server.connect(), &bytes, &fds.iter().map(AsFd::as_fd).collect::<Vec<_>>());
    server.go();
    server.peer.expect("holding");
    assert!(matches!(rx.recv_until(MOMENT), Err(Error::TimedOut)));
    server.peer.kill_and_leave();
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    drop(fds);
}

#[test]
fn a_process_without_room_for_the_descriptors_is_told_so_and_keeps_none() {
    let segment = segment();
    let mut handoff = Handoff::new(&segment);
    let mut ends = Vec::new();
    for index in 0..20 {
        let (reader, writer) = Pipe::one_way(&segment).unwrap();
        handoff.give(&format!("pipe-{index}"), &writer).unwrap();
        ends.push(reader);
    }
    let server = Server::start("few");
    let socket = server.connect();
    handoff.send(&socket).unwrap();
    server.go();
    let line = server.peer.line();
    assert!(line.starts_with("Err(NotInherited(") && line.contains("too many"), "{line}");
    for reader in &mut ends {
        assert!(matches!(reader.recv_until(PATIENCE), Err(Error::Disconnected)));
    }
    server.peer.join();
    assert_alone(&segment);
}

/// Sends something that is no parcel, with a socket, and returns what the receiver says: the socket is closed then.
fn garbage(bytes: &[u8], segments: &[BorrowedFd<'_>]) -> Error {
    let (here, there) = pairs().into_iter().next_back().unwrap();
    let (mine, theirs) = UnixStream::pair().unwrap();
    let fds: Vec<_> = segments.iter().copied().chain([theirs.as_fd()]).collect();
    raw_send(&here, bytes, &fds);
    drop(theirs);
    let error = Inherited::receive_until(&there, PATIENCE).unwrap_err();
    (&mine).write_all(b"?").expect_err("the descriptor that came was closed");
    error
}

#[test]
fn garbage_is_an_error_and_its_descriptors_are_closed() {
    let segment = segment();
    let (tx, _rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let (here, there) = pairs().into_iter().next_back().unwrap();
    with_tx(&segment, &tx).send(&here).unwrap();
    let (good, fds) = raw_receive(&there);
    let proof = [fds[0].as_fd()];
    let patched = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let cut = &good[..good.len() - 1];
    let cases = [&b"hello"[..], &[7; 100], cut, &good[..31], &[good.clone(), vec![b'1']].concat()];
    for (index, bytes) in cases.iter().enumerate() {
        let error = garbage(bytes, &proof);
        assert!(matches!(error, Error::NotInherited(_)), "{index}: {error}");
    }
    // Magic, version, lengths, and counts: two descriptors go with each of these.
    for (at, byte) in [(0, 1), (8, 9), (12, 1), (15, 255), (16, 1), (16, 3), (18, 1), (20, 1)] {
        let error = garbage(&patched(at, byte), &proof);
        assert!(matches!(error, Error::NotInherited(_)), "byte {at}: {error}");
    }
    // The right number of descriptors, and a text that does not name all of them, or others.
    let error = garbage(&patched(16, 2), &proof);
    assert!(matches!(error, Error::NotInherited(_)), "{error}");
    let error = garbage(&patched(32, b'7'), &[]);
    assert!(matches!(error, Error::NotInherited(_)), "{error}");
    let error = garbage(&patched(32, 0xff), &[]);
    assert!(matches!(error, Error::NotInherited(_)), "{error}");
    // Its one descriptor is a socket, or another segment.
    assert!(matches!(garbage(&good, &[]), Error::NotASegment { .. }));
    let other = slipring_tests::segment();
    raw_send(&here, &good, &[other.share_fd().unwrap().as_fd()]);
    assert!(matches!(Inherited::receive(&there), Err(Error::NotInherited(_))));
    assert_eq!(other.participants().len(), 1);
    // A stream that ends in the middle, and one that is none of ours.
    let (mut here, there) = UnixStream::pair().unwrap();
    here.write_all(cut).unwrap();
    drop(here);
    assert!(matches!(Inherited::receive(&there), Err(Error::NotInherited(_))));
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(matches!(Inherited::receive(&file), Err(Error::Io { .. })));
    // After all of that it can still be received.
    let (here, there) = UnixStream::pair().unwrap();
    raw_send(&here, &good, &proof);
    let mut parcel = Inherited::receive(&there).unwrap();
    assert!(parcel.take::<ByteSender>("tx").is_ok());
}

#[test]
fn more_descriptors_than_a_message_holds_are_an_error_and_fewer_are_not() {
    let segment = segment();
    let (here, there) = UnixStream::pair().unwrap();
    let mut ends = Vec::new();
    for count in [300, 100] {
        let mut handoff = Handoff::new(&segment);
        for index in 0..count {
            let (reader, writer) = Pipe::one_way(&segment).unwrap();
            handoff.give(&format!("pipe-{index}"), &writer).unwrap();
            ends.push(reader);
        }
        let sent = handoff.send(&here);
        if count == 300 {
            let error = sent.unwrap_err();
            assert!(matches!(error, Error::Capacity { wanted: 301, max: 253, .. }), "{error}");
            assert_eq!(segment.participants().len(), 1);
            ends.clear();
        } else {
            sent.unwrap();
        }
    }
    let mut parcel = Inherited::receive(&there).unwrap();
    for (index, reader) in ends.iter_mut().enumerate() {
        let mut writer: PipeWriter = parcel.take(&format!("pipe-{index}")).unwrap();
        writer.send(&[index as u8]).unwrap();
        assert_eq!(reader.recv().unwrap(), [index as u8]);
        drop(writer);
        assert!(matches!(reader.try_recv(), Err(Error::Disconnected)));
    }
}

#[test]
fn a_receiver_keeps_its_deadline_and_so_does_a_sender() {
    let (here, there) = UnixStream::pair().unwrap();
    assert!(matches!(Inherited::receive_until(&there, Until::NOW), Err(Error::WouldBlock)));
    let start = Instant::now();
    assert!(matches!(Inherited::receive_until(&there, MOMENT), Err(Error::TimedOut)));
    assert!(start.elapsed() >= MOMENT && start.elapsed() < SOON);
    here.set_nonblocking(true).unwrap();
    while (&here).write(&[0; 4096]).is_ok() {}
    let segment = segment();
    let (tx, _rx) = ByteQueue::bounded(&segment, 4).unwrap();
    let now = with_tx(&segment, &tx).send_until(&here, Until::NOW);
    assert!(matches!(now, Err(Error::WouldBlock)), "{now:?}");
    let start = Instant::now();
    let late = with_tx(&segment, &tx).send_until(&here, MOMENT);
    assert!(matches!(late, Err(Error::TimedOut)), "{late:?}");
    assert!(start.elapsed() >= MOMENT && start.elapsed() < SOON);
    assert_eq!(segment.participants().len(), 1, "what was not sent is on no way");
    drop(there);
    let gone = with_tx(&segment, &tx).send(&here);
    assert!(matches!(gone, Err(Error::Disconnected)), "{gone:?}");
}

fn for_handles(segment: &Segment) -> (PipeReader, PipeWriter) {
    Pipe::one_way_with(segment, PipeOptions::new().handles(true)).unwrap()
}

#[test]
fn handles_go_to_another_process_and_back_inside_of_values() {
    let (segment, other) = (segment(), slipring_tests::segment());
    let (mut here, there) = Pipe::duplex_with(&segment, PipeOptions::new().handles(true)).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("pipe", &there).unwrap();
    let server = Peer::start(handoff, &["value-serve"]);
    drop(there);
    server.expect("ready");
    // An end of a pipe, as part of a value.
    for word in ["one", "two", "three"] {
        let (mut answers, answer_to) = Pipe::one_way(&segment).unwrap();
        here.send_value(&(word, Some(answer_to))).unwrap();
        assert_eq!(answers.recv_until(PATIENCE).unwrap(), word.as_bytes());
        assert!(matches!(answers.recv_until(PATIENCE), Err(Error::Disconnected)));
    }
    // Handles of two segments, one of which the other process does not know.
    let count = Mutex::new(&segment, 5_u64).unwrap();
    let (mut tx, rx) = ByteQueue::bounded(&other, 4).unwrap();
    tx.send(b"seven..").unwrap();
    here.send_value(&("count", None::<PipeWriter>)).unwrap();
    here.send_value(&(&count, &rx)).unwrap();
    drop((count, rx));
    let (count, mut rx): (Mutex<u64>, ByteReceiver) = here.recv_value(PATIENCE).unwrap();
    assert_eq!(count.lock().or_recover().unwrap().get(), 12);
    tx.send(b"and back").unwrap();
    assert_eq!(rx.recv().unwrap(), b"and back");
    drop(here);
    server.join();
    assert_alone(&segment);
    assert_alone(&other);
}

#[test]
fn a_handle_in_a_message_that_nobody_receives_is_given_back() {
    let segment = segment();
    let (mut reader, mut writer) = for_handles(&segment);
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    writer.send_value(&(1_u8, &tx)).unwrap();
    writer.send_value(&(2_u8, &tx)).unwrap();
    drop(tx);
    assert!(matches!(rx.recv_until(MOMENT), Err(Error::TimedOut)));
    // As bytes: no handles.
    reader.recv().unwrap();
    let (number, tx): (u8, ByteSender) = reader.recv_value(PATIENCE).unwrap();
    assert_eq!(number, 2);
    drop(tx);
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    writer.send_value(&(3_u8, tx)).unwrap();
    assert!(matches!(rx.recv_until(MOMENT), Err(Error::TimedOut)));
    drop((reader, writer));
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    assert_alone(&segment);
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn whoever_waits_for_an_answer_to_what_nobody_read_hears_that_none_will_come() {
    let segment = segment();
    let options = PipeOptions::new().handles(true);
    // The client keeps its end, as clients do.
    let (server, mut client) = for_handles(&segment);
    let (mut answers, answer_to) = Pipe::one_way(&segment).unwrap();
    client.send_value(&answer_to).unwrap();
    drop((server, answer_to));
    assert!(matches!(answers.recv_until(PATIENCE), Err(Error::Disconnected)));

    let (mut client, server) = Pipe::duplex_with(&segment, options).unwrap();
    let (answer_to, mut answers) = ByteQueue::bounded(&segment, 4).unwrap();
    client.send_value(&answer_to).unwrap();
    drop(answer_to);
    let (reader, writer) = server.split();
    drop(reader);
    // What is left may become a whole end again.
    assert!(matches!(answers.recv_until(MOMENT), Err(Error::TimedOut)));
    drop(writer);
    assert!(matches!(answers.recv_until(PATIENCE), Err(Error::Disconnected)));
    assert!(matches!(client.recv_until(PATIENCE), Err(Error::Disconnected)));
    assert_alone(&segment);
}

#[test]
fn a_value_of_another_shape_gives_its_handles_back() {
    let segment = segment();
    let (mut reader, mut writer) = for_handles(&segment);
    let (tx, mut rx) = ByteQueue::bounded(&segment, 4).unwrap();
    writer.send_value(&tx).unwrap();
    drop(tx);
    let wrong = reader.recv_value::<Event>(PATIENCE);
    assert!(matches!(wrong, Err(Error::WrongKind { .. })), "{wrong:?}");
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    writer.send_value(&7_u32).unwrap();
    let none = reader.recv_value::<Event>(PATIENCE);
    assert!(matches!(&none, Err(Error::Decode(text)) if text.contains("handle")), "{none:?}");
}

#[test]
fn elsewhere_a_handle_in_a_value_is_an_error_that_says_where_it_can_be() {
    let segment = segment();
    let (tx, _rx) = Queue::<u32>::bounded(&segment, 4).unwrap();
    let (mut of_senders, _rx) = Queue::<Sender<u32>>::bounded(&segment, 4).unwrap();
    let (_reader, mut plain) = Pipe::one_way(&segment).unwrap();
    for error in [of_senders.send(&tx).unwrap_err(), plain.send_value(&tx).unwrap_err()] {
        let Error::Encode(text) = &error else { panic!("{error}") };
        assert!(text.contains("PipeOptions::handles"), "{text}");
    }
    assert_eq!(segment.participants().len(), 1);
}

#[test]
fn a_pipe_whose_handles_nobody_receives_holds_its_sender_back_until_its_deadline() {
    let segment = segment();
    let options = PipeOptions::new().handles(true).ring(1 << 20);
    let (mut reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
    let event = Event::new(&segment).unwrap();
    let mut sent = 0_u32;
    let error = loop {
        match writer.send_value_until(&(sent, &event), MOMENT) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    // Where sockets hold more than is usual, the places in the segment run out first.
    let full = matches!(error, Error::TimedOut | Error::TooManyParticipants { .. });
    assert!(full && sent > 10, "{error} after {sent}");
    for number in 0..sent {
        let (found, event): (u32, Event) = reader.recv_value(PATIENCE).unwrap();
        assert_eq!(found, number);
        event.set().unwrap();
    }
    writer.send_value(&(sent, &event)).unwrap();
    assert_eq!(reader.recv_value::<(u32, Event)>(PATIENCE).unwrap().0, sent);
    assert_alone(&segment);
}
