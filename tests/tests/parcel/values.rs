//! Handles inside of values, through pipes.

use slipring::{
    ByteQueue, ByteReceiver, ByteSender, Error, Event, Handoff, Mutex, OrRecover, Pipe,
    PipeOptions, PipeReader, PipeWriter, Queue, Segment, Sender,
};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::segment;

use super::{MOMENT, assert_alone};

fn for_handles(segment: &Segment) -> (PipeReader, PipeWriter) {
    Pipe::one_way_with(segment, PipeOptions::new().handles(true)).unwrap()
}

#[test]
fn handles_go_to_another_process_and_back_inside_of_values() {
    let (segment, other) = (segment(), segment());
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
