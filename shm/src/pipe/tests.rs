//! What pipes promise within one process; what they promise between processes is in the package `tests`.

use std::time::Duration;

use super::*;
use crate::SegmentOptions;
use crate::wait::Until;

fn segment() -> Segment {
    Segment::with(SegmentOptions::new().reserve(4 << 30)).unwrap()
}

#[test]
fn rings_that_cannot_be_are_refused() {
    let segment = segment();
    for ring in [0, 255, 257, 1000, 1 << 29] {
        let error = Pipe::duplex_with(&segment, PipeOptions::new().ring(ring)).unwrap_err();
        assert!(matches!(error, Error::Capacity { .. }), "{ring}: {error}");
    }
}

#[test]
fn the_smallest_ring_passes_messages_of_any_size() {
    let segment = segment();
    let options = PipeOptions::new().ring(256);
    let (mut reader, mut writer) = Pipe::one_way_with(&segment, options).unwrap();
    for len in (0..300).chain([5000, 1 << 20]) {
        writer.send(&vec![len as u8; len]).unwrap();
        assert_eq!(reader.recv().unwrap(), vec![len as u8; len]);
    }
    drop((reader, writer));
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_lagging_reader_holds_its_writer_back_whatever_the_size() {
    let segment = segment();
    for len in [10, 4000, 100_000, 4 << 20] {
        let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
        let sent = (0..100_000).take_while(|_| writer.try_send(&vec![1; len]).is_ok()).count();
        assert!((3..100_000).contains(&sent), "{sent} of {len} bytes");
        assert!(matches!(writer.try_send(&vec![1; len]), Err(Error::WouldBlock)));
        let short = Duration::from_millis(5);
        assert!(matches!(writer.send_until(&vec![1; len], short), Err(Error::TimedOut)));
        for _ in 0..sent {
            assert_eq!(reader.recv().unwrap().len(), len);
        }
        writer.send(&vec![1; len]).unwrap();
    }
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_message_that_is_no_value_is_an_error_and_the_next_one_comes() {
    let segment = segment();
    let (mut here, mut there) = Pipe::duplex(&segment).unwrap();
    here.send(b"\xff\xff\xff").unwrap();
    here.send_value(&"a word").unwrap();
    let never = Until::NEVER;
    assert!(matches!(there.recv_value::<String>(never), Err(Error::Decode(_))));
    assert_eq!(there.recv_value::<String>(never).unwrap(), "a word");
}

#[test]
fn the_end_comes_when_both_halves_are_gone() {
    let segment = segment();
    let (here, mut there) = Pipe::duplex(&segment).unwrap();
    let (reader, mut writer) = here.split();
    let copy = reader.try_clone().unwrap();
    drop(reader);
    writer.send(b"the last words").unwrap();
    drop(writer);
    assert_eq!(there.recv().unwrap(), b"the last words");
    assert!(matches!(there.try_recv(), Err(Error::WouldBlock)), "a half is left");
    drop(copy);
    assert!(matches!(there.try_recv(), Err(Error::Disconnected)));
}

#[test]
fn views_of_pipes_keep_their_message_and_nothing_else() {
    let segment = segment();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    writer.send(&[1; 100]).unwrap();
    writer.send(&[2; 100_000]).unwrap();
    let (short, long) = (reader.recv_view().unwrap(), reader.recv_view().unwrap());
    drop((reader, writer));
    assert_eq!((short.to_vec(), long.to_vec()), (vec![1; 100], vec![2; 100_000]));
    assert_eq!(segment.blocks_in_use(), 1);
    drop(long);
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_descriptor_is_readable_while_a_message_is_there_whoever_takes_it() {
    fn is_readable(reader: &mut PipeReader) -> bool {
        let fd = reader.as_fd().unwrap();
        let now = Some(crate::sys::clock::Deadline { nanos: 1 });
        socket::wait_readable(fd, now).unwrap() == socket::Ready::Readable
    }
    let segment = segment();
    let (mut one, mut writer) = Pipe::one_way(&segment).unwrap();
    let mut three = one.try_clone().unwrap();
    // One that came and went before anybody watched leaves nothing to be seen.
    writer.send(b"early").unwrap();
    three.recv().unwrap();
    assert!(!is_readable(&mut one));
    let (mut one, mut writer) = Pipe::one_way(&segment).unwrap();
    writer.send(b"before anybody watches").unwrap();
    let (mut three, first) = (one.try_clone().unwrap(), is_readable(&mut one));
    assert!(first && is_readable(&mut three));
    three.recv().unwrap();
    assert!(!is_readable(&mut one) && !is_readable(&mut three));
    for len in [3, 5000] {
        writer.send(&vec![1; len]).unwrap();
        writer.send(&vec![1; len]).unwrap();
        one.recv().unwrap();
        assert!(is_readable(&mut one) && is_readable(&mut three));
        three.try_recv().unwrap();
        assert!(!is_readable(&mut one) && !is_readable(&mut three));
    }
}

#[test]
fn messages_up_to_a_length_are_copied_and_longer_ones_are_views() {
    let segment = Segment::create().unwrap();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    let mut buffer = b"old".to_vec();
    for (len, is_view) in [(0, false), (5, false), (50_000, false), (50_001, true)] {
        let bytes = vec![len as u8; len];
        writer.send(&bytes).unwrap();
        let message = reader.recv_message(&mut buffer, 50_000, Until::NOW).unwrap();
        assert!(!message.marked && message.lease.is_none());
        assert_eq!(message.view.is_some(), is_view, "{len}");
        assert_eq!(message.view.map_or(buffer.clone(), |view| view.to_vec()), bytes);
    }
    drop((reader, writer));
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_handle_that_was_abandoned_does_not_count() {
    let segment = Segment::create().unwrap();
    let (reader, mut writer) = Pipe::one_way(&segment).unwrap();
    let lent = Box::into_raw(Box::new(reader.try_clone().unwrap()));
    drop(reader);
    writer.send(b"somebody has it").unwrap();
    // SAFETY: nobody else knows it, and it is forgotten.
    unsafe { crate::PipeReader::abandon(lent) };
    assert!(matches!(writer.send(b"?"), Err(Error::Disconnected)));
    assert!(matches!(writer.probe(), Err(Error::Disconnected)));

    let (mut reader, writer) = Pipe::one_way(&segment).unwrap();
    let lent = Box::into_raw(Box::new(writer.try_clone().unwrap()));
    assert!(writer.probe().is_ok() && reader.is_empty());
    drop(writer);
    // SAFETY: as above.
    unsafe { crate::PipeWriter::abandon(lent) };
    assert!(matches!(reader.recv(), Err(Error::Disconnected)));
}

#[test]
fn a_loan_that_is_offered_in_vain_stays_and_goes_once() {
    let segment = Segment::create().unwrap();
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    while writer.try_send(&[7; 4000]).is_ok() {}
    while writer.try_send(&[]).is_ok() {}
    let mut loan = writer.loan(100_000).unwrap();
    loan.write_at(99_999, b"!");
    let (loan, error) = writer.offer_loan(loan, Until::NOW).unwrap_err();
    assert!(matches!(error, Error::WouldBlock));
    let foreign = Pipe::one_way(&Segment::create().unwrap()).unwrap().1.loan(1).unwrap();
    let (_, error) = writer.offer_loan(foreign, Until::NOW).unwrap_err();
    assert!(matches!(error, Error::ForeignLoan));
    while reader.try_recv().is_ok() {}
    writer.offer_loan(loan, Until::NOW).unwrap();
    let found = reader.try_recv().unwrap();
    assert_eq!((found.len(), found[99_999]), (100_000, b'!'));
    assert!(reader.is_empty());
    assert_eq!(segment.blocks_in_use(), 0);
}
