//! What each channel has beyond sending and receiving; handles; codecs that differ.

use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};
use slipring::codec::{Codec, Decode, Encode, Pod, Reason};
use slipring::{
    Error, Event, Handoff, Inherited, JoinableOptions, JoinableQueue, MessagePack, Named, Pipe,
    PipeOptions, Postcard, Queue, QueueOptions, Receiver, Segment, Sender, Until,
};

use crate::everywhere::{arrives, refused, segment};

#[test]
fn plain_memory() {
    arrives(Pod, [1_u64, u64::MAX]);
    arrives(Pod, ());
    arrives(Pod, -1.5_f32);
    let name = unique("pod");
    let mut tx = Sender::<u64, Pod>::create(name.as_str(), QueueOptions::bounded(2)).unwrap();
    tx.send(&7).unwrap();
    let error = Receiver::<u32, Pod>::open(name.as_str()).unwrap().recv().unwrap_err();
    assert!(error.to_string().contains("8 bytes, and the type has 4"), "{error}");
}

#[cfg(feature = "rkyv")]
#[test]
fn archives() {
    use rkyv::{Archive, Deserialize, Serialize};

    #[derive(Archive, Serialize, Deserialize, PartialEq, Debug)]
    struct Task {
        id: u128,
        path: String,
        args: Vec<Option<Option<u32>>>,
        more: Option<Box<(u64, std::collections::BTreeMap<String, char>)>>,
    }
    let more = Some(Box::new((7, [("é".into(), 'é')].into())));
    let args = vec![None, Some(None), Some(Some(1))];
    arrives(
        slipring::codec::Rkyv,
        Task { id: u128::MAX, path: "/a rather long path".into(), args, more },
    );
    arrives(slipring::codec::Rkyv, 1_u8);
    arrives(slipring::codec::Rkyv, ());
}

fn unique(what: &str) -> String {
    format!("test-codec-{what}-{}", std::process::id())
}

/// What a receiver that decodes with `D` says of a value that was encoded with `E`, in a queue that both find by its name.
fn mismatch<E: Encode<i32>, D: Decode<i32>>() -> String {
    let name = unique(&format!("{}-{}", E::NAME, D::NAME));
    let mut tx = Sender::<i32, E>::create(name.as_str(), QueueOptions::bounded(2)).unwrap();
    let mut rx = Receiver::<i32, D>::open(name.as_str()).unwrap();
    tx.send(&-1).unwrap();
    let received = rx.recv();
    assert!(matches!(received, Err(Error::Decode(_))), "{received:?}");
    received.unwrap_err().to_string()
}

#[test]
fn sides_with_different_codecs_are_told() {
    let text = mismatch::<Postcard, MessagePack>();
    assert!(
        text.contains("encoded with postcard, and this side decodes with MessagePack"),
        "{text}"
    );
    let text = mismatch::<MessagePack, Postcard>();
    assert!(
        text.contains("encoded with MessagePack, and this side decodes with postcard"),
        "{text}"
    );
    assert!(mismatch::<MessagePack, Pod>().contains("with MessagePack"));
    assert!(mismatch::<Pod, Mine>().contains("with Pod"));
    assert!(mismatch::<Mine, Pod>().contains("0x09, is the id of no codec"));
}

#[test]
fn bytes_that_nobody_encoded_are_no_value() {
    let (mut tx, mut rx) = Queue::<i32>::bounded(&segment(), 4).unwrap();
    for bytes in [&b""[..], b"\x07", b"hello\n", b"\xc1", b"\x07\x07\xc1"] {
        tx.bytes().send(bytes).unwrap();
        assert!(matches!(rx.recv(), Err(Error::Decode(_))), "{bytes:?}");
    }
    tx.bytes().send(b"\x07\xc1").unwrap();
    assert_eq!(rx.recv().unwrap(), 7);
}

#[test]
fn a_codec_of_ones_own() {
    arrives(Mine, -7);
    refused(Mine, 13, "unlucky");
}

#[test]
fn dead_letters_and_leases() {
    fn all<C: Encode<String> + Decode<String>>() {
        let options = JoinableOptions::bounded(4).max_deliveries(Some(1));
        let (mut tx, mut rx) = JoinableQueue::<String, C>::with(&segment(), options).unwrap();
        for text in ["one", "two"] {
            tx.send(&text.to_owned()).unwrap();
            assert_eq!(*rx.recv().unwrap(), text);
        }
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
        assert_eq!(rx.take_dead_letter().unwrap().unwrap().message, "one");
        assert_eq!(tx.take_dead_letter().unwrap().unwrap().message, "two");
    }
    all::<MessagePack>();
    all::<Postcard>();
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn tasks() {
    let (mut tx, mut rx) = Queue::<(u8, String), Postcard>::bounded(&segment(), 4).unwrap();
    tx.send_async(&(1, "one".into())).await.unwrap();
    assert_eq!(rx.recv_async().await.unwrap(), (1, "one".to_owned()));
}

#[test]
fn handles_keep_their_codec_on_their_way_and_by_name() {
    let segment = segment();
    let (mut tx, rx) = Queue::<u32, Postcard>::bounded(&segment, 4).unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("rx", &rx).unwrap();
    handoff.send(&here).unwrap();
    let mut rx: Receiver<u32, Postcard> = Inherited::receive(&there).unwrap().take("rx").unwrap();
    tx.send(&7).unwrap();
    assert_eq!(rx.recv().unwrap(), 7);

    let name = unique("named");
    let mut rx =
        Receiver::<u32, Postcard>::create(name.as_str(), QueueOptions::bounded(2)).unwrap();
    Sender::<u32, Postcard>::open(name.as_str()).unwrap().send(&8).unwrap();
    assert_eq!(rx.recv().unwrap(), 8);
}

/// Asks, and says where the answer goes.
#[derive(Serialize, Deserialize)]
struct Request {
    question: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Event>,
    answer_to: Sender<u64, Postcard>,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    number: u8,
    done: Event,
}

fn pipe(segment: &Segment) -> (slipring::PipeReader, slipring::PipeWriter) {
    Pipe::one_way_with(segment, PipeOptions::new().handles(true)).unwrap()
}

#[test]
fn handles_are_parts_of_values_with_any_serde_codec() {
    let segment = segment();
    let (mut reader, mut writer) = pipe(&segment);
    let (answer_to, mut answers) = Queue::<u64, Postcard>::bounded(&segment, 1).unwrap();
    let event = Event::new(&segment).unwrap();
    for done in [None, Some(&event)] {
        #[derive(Serialize)]
        struct Asked<'a> {
            question: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            done: Option<&'a Event>,
            answer_to: &'a Sender<u64, Postcard>,
        }
        let asked = Asked { question: "2 + 2", done, answer_to: &answer_to };
        writer.send_value(&asked).unwrap();
        let mut request: Request = reader.recv_value(Until::NOW).unwrap();
        assert_eq!((request.question.as_str(), request.done.is_some()), ("2 + 2", done.is_some()));
        request.answer_to.send(&4).unwrap();
        assert_eq!(answers.recv().unwrap(), 4);
    }

    let sent = Plain { number: 5, done: Event::new(&segment).unwrap() };
    writer.send_value_as(Postcard, &sent).unwrap();
    let received: Plain = reader.recv_value_as(Postcard, Until::NOW).unwrap();
    received.done.set().unwrap();
    assert!(sent.done.is_set() && received.number == 5);

    // The handles of a value that is none to its receiver are given back.
    writer.send_value_as(Postcard, &sent).unwrap();
    assert!(matches!(reader.recv_value::<Plain>(Until::NOW), Err(Error::Decode(_))));
}

#[test]
fn flatten_and_untagged_hold_handles_as_well() {
    #[derive(Serialize, Deserialize)]
    struct Around {
        number: u8,
        #[serde(flatten)]
        plain: Within,
    }
    #[derive(Serialize, Deserialize)]
    struct Within {
        event: Event,
    }
    let segment = segment();
    let (mut reader, mut writer) = pipe(&segment);
    let sent = Around { number: 1, plain: Within { event: Event::new(&segment).unwrap() } };
    writer.send_value(&sent).unwrap();
    let received: Around = reader.recv_value(Until::NOW).unwrap();
    received.plain.event.set().unwrap();
    assert!(sent.plain.event.is_set() && received.number == 1);
}

#[test]
fn a_handle_in_a_queue_is_refused_with_the_reason() {
    refused_handle::<MessagePack>();
    refused_handle::<Postcard>();
}

fn refused_handle<C: Encode<Plain> + Decode<Plain>>() {
    let segment = segment();
    let (mut tx, _rx) = Queue::<Plain, C>::bounded(&segment, 1).unwrap();
    let error = tx.send(&Plain { number: 1, done: Event::new(&segment).unwrap() }).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("PipeOptions::handles(true)"), "{} {text}", C::NAME);
}

/// A codec whose id is nobody's.
#[derive(Clone, Copy)]
struct Mine;

impl Codec for Mine {
    const NAME: &'static str = "mine";
    const ID: u8 = 9;
}

impl Encode<i32> for Mine {
    fn encode(value: &i32, into: &mut Vec<u8>) -> std::result::Result<(), Reason> {
        if *value == 13 {
            return Err("13 is unlucky".into());
        }
        into.extend(value.to_le_bytes());
        Ok(())
    }
}

impl Decode<i32> for Mine {
    fn decode(message: &[u8]) -> std::result::Result<i32, Reason> {
        Ok(i32::from_le_bytes(message.try_into()?))
    }
}
