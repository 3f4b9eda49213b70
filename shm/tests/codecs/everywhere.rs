//! A value through each kind of channel.

use std::fmt::Debug;

use slipring::codec::{Decode, Encode};
use slipring::{
    Error, JoinableQueue, LifoQueue, Pipe, PriorityQueue, Queue, Result, Segment, SegmentOptions,
    Until,
};

pub fn segment() -> Segment {
    Segment::with(SegmentOptions::new().reserve(1 << 30)).unwrap()
}

/// What each kind of channel delivers of `value`.
pub fn deliver<C, T>(codec: C, value: &T) -> Vec<(&'static str, Result<T>)>
where
    C: Encode<T> + Decode<T> + Copy,
{
    let segment = segment();
    let (mut tx, mut rx) = Queue::<T, C>::bounded(&segment, 2).unwrap();
    let queue = tx.send(value).and_then(|()| rx.try_recv());
    let batch =
        tx.send_batch([value], Until::NOW).and_then(|_| rx.recv_batch(2, Until::NOW)?.remove(0));
    let (mut tx, mut rx) = JoinableQueue::<T, C>::bounded(&segment, 2).unwrap();
    let joinable = tx.send(value).and_then(|()| rx.try_recv()?.into_done());
    let (mut tx, mut rx) = LifoQueue::<T, C>::bounded(&segment, 2).unwrap();
    let lifo = tx.send(value).and_then(|()| rx.try_recv());
    let (mut tx, mut rx) = PriorityQueue::<T, C>::bounded(&segment, 2).unwrap();
    let priority = tx.send(1, value).and_then(|()| Ok(rx.recv_keyed_until(Until::NOW)?.1));
    let (mut reader, mut writer) = Pipe::one_way(&segment).unwrap();
    let pipe =
        writer.send_value_as(codec, value).and_then(|()| reader.recv_value_as(codec, Until::NOW));
    vec![
        ("queue", queue),
        ("batch", batch),
        ("joinable", joinable),
        ("lifo", lifo),
        ("priority", priority),
        ("pipe", pipe),
    ]
}

/// `value` arrives as itself.
#[track_caller]
pub fn arrives<C, T>(codec: C, value: T)
where
    C: Encode<T> + Decode<T> + Copy,
    T: PartialEq + Debug,
{
    for (channel, delivered) in deliver(codec, &value) {
        let delivered =
            delivered.unwrap_or_else(|e| panic!("{channel} {}: {value:?}: {e}", C::NAME));
        assert_eq!(delivered, value, "{channel} {}", C::NAME);
    }
}

/// `value` is refused when it is sent, with a text that has `word` in it.
#[track_caller]
pub fn refused<C, T>(codec: C, value: T, word: &str)
where
    C: Encode<T> + Decode<T> + Copy,
    T: Debug,
{
    for (channel, delivered) in deliver(codec, &value) {
        match delivered {
            Err(Error::Encode(text)) if text.contains(word) => {}
            other => panic!("{channel} {}: {value:?}: {other:?}", C::NAME),
        }
    }
}

/// `value` is an error to its receiver.
#[track_caller]
pub fn no_value<C, T>(codec: C, value: T)
where
    C: Encode<T> + Decode<T> + Copy,
    T: Debug,
{
    for (channel, delivered) in deliver(codec, &value) {
        let is_error = matches!(delivered, Err(Error::Decode(_)));
        assert!(is_error, "{channel} {}: {value:?}: {delivered:?}", C::NAME);
    }
}
