//! Values and bytes at random: a value arrives as itself, and bytes are a value or an error, in bounded memory and stack.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use slipring::codec::{Decode, Encode, Pod};
use slipring::{Error, MessagePack, Postcard, Queue, Receiver, Sender};

use crate::everywhere::segment;

/// Remembers the largest allocation of each thread.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: it is the system's, which is told all that this one is told.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: by the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static WATCHED: Watched = Watched;

/// A value with parts of all kinds, and itself.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[cfg_attr(feature = "rkyv", derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize))]
struct Flat {
    number: i64,
    text: String,
    floats: Vec<f32>,
    map: BTreeMap<u16, Option<String>>,
    choice: Choice,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[cfg_attr(feature = "rkyv", derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize))]
enum Choice {
    Unit,
    New(char),
    Tuple(u8, i128),
    Fields { a: bool, b: Option<Box<u64>> },
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Tree {
    Leaf(u8),
    Node(Vec<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    any::<u8>()
        .prop_map(Tree::Leaf)
        .prop_recursive(6, 40, 5, |inner| prop::collection::vec(inner, 0..5).prop_map(Tree::Node))
}

fn flat() -> impl Strategy<Value = Flat> {
    let choice = prop_oneof![
        Just(Choice::Unit),
        any::<char>().prop_map(Choice::New),
        any::<(u8, i128)>().prop_map(|(a, b)| Choice::Tuple(a, b)),
        any::<(bool, Option<u64>)>().prop_map(|(a, b)| Choice::Fields { a, b: b.map(Box::new) }),
    ];
    let floats = prop::collection::vec(prop::num::f32::NORMAL, 0..5);
    let map = prop::collection::btree_map(any::<u16>(), any::<Option<String>>(), 0..4);
    (any::<i64>(), any::<String>(), floats, map, choice)
        .prop_map(|(number, text, floats, map, choice)| Flat { number, text, floats, map, choice })
}

type Ends<T, C> = (Sender<T, C>, Receiver<T, C>);

fn ends<T, C: Encode<T> + Decode<T>>() -> Ends<T, C> {
    Queue::bounded(&segment(), 1).unwrap()
}

fn comes_back<T: PartialEq + Debug, C: Encode<T> + Decode<T>>(ends: &mut Ends<T, C>, value: &T) {
    ends.0.send(value).unwrap();
    assert_eq!(&ends.1.recv().unwrap(), value);
}

/// What `bytes` are, if they are a value.
fn read<T, C: Encode<T> + Decode<T>>(ends: &mut Ends<T, C>, bytes: &[u8]) -> Option<T> {
    let mut message = bytes.to_vec();
    message.push(C::ID);
    ends.0.bytes().send(&message).unwrap();
    LARGEST.set(0);
    let value = match ends.1.recv() {
        Ok(value) => Some(value),
        Err(Error::Decode(_)) => None,
        Err(error) => panic!("{error}"),
    };
    // Serde reserves a mebibyte at most for what it has not seen.
    assert!(LARGEST.get() <= (1 << 20) + 8 * message.len(), "{} bytes at once", LARGEST.get());
    value
}

/// The bytes of a value, without the id.
fn bytes_of<T, C: Encode<T> + Decode<T>>(ends: &mut Ends<T, C>, value: &T) -> Vec<u8> {
    ends.0.send(value).unwrap();
    let mut bytes = ends.1.bytes().recv().unwrap();
    assert_eq!(bytes.pop(), Some(C::ID));
    bytes
}

/// Values come back; their bytes, damaged, are something or nothing; and so are bytes that were never a value.
fn hold<T: PartialEq + Debug, C: Encode<T> + Decode<T>>(values: impl Strategy<Value = T>) {
    let ends = RefCell::new(ends::<T, C>());
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let cases = (values, damage, prop::collection::vec(any::<u8>(), 0..60));
    proptest!(|((value, damage, garbage) in cases)| {
        let ends = &mut *ends.borrow_mut();
        comes_back(ends, &value);
        let mut bytes = bytes_of(ends, &value);
        for (index, byte) in damage {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            read(ends, &bytes);
            bytes.truncate(index.index(bytes.len() + 1));
            read(ends, &bytes);
        }
        read(ends, &garbage);
    });
}

#[test]
fn any_values_and_any_bytes() {
    hold::<_, MessagePack>(flat());
    hold::<_, MessagePack>(tree());
    hold::<_, Postcard>(flat());
    hold::<_, Postcard>(tree());
    hold::<_, Pod>(any::<[u64; 3]>());
    #[cfg(feature = "rkyv")]
    hold::<_, slipring::codec::Rkyv>(flat());
}

#[test]
fn a_length_is_not_believed() {
    let most = [0xFF; 4];
    let of = |lead: u8| [&[lead], &most[..], &[1, 2, 3]].concat();
    for lead in [0xC6, 0xDB, 0xDD, 0xDF] {
        // bin, str, array and map of 4 GiB
        assert_eq!(read(&mut ends::<Vec<u64>, MessagePack>(), &of(lead)), None);
        assert_eq!(read(&mut ends::<String, MessagePack>(), &of(lead)), None);
        assert_eq!(read(&mut ends::<BTreeMap<u8, Flat>, MessagePack>(), &of(lead)), None);
        assert_eq!(read(&mut ends::<serde_json::Value, MessagePack>(), &of(lead)), None);
    }
    let postcard = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1, 2, 3];
    assert_eq!(read(&mut ends::<Vec<u64>, Postcard>(), &postcard), None);
    assert_eq!(read(&mut ends::<Vec<Flat>, Postcard>(), &postcard), None);
    assert_eq!(read(&mut ends::<String, Postcard>(), &postcard), None);
    assert_eq!(read(&mut ends::<BTreeMap<u8, Flat>, Postcard>(), &postcard), None);
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(untagged)]
enum Guessed {
    Number(u8),
    List(Vec<Guessed>),
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Chain(Option<Box<Chain>>);

/// Parts within parts within parts, in a message of a megabyte.
#[test]
fn a_message_cannot_exhaust_the_stack() {
    let deep = |unit: &[u8]| unit.repeat((1 << 20) / unit.len());
    assert_eq!(read(&mut ends::<Guessed, MessagePack>(), &deep(&[0x91])), None);
    assert_eq!(read(&mut ends::<serde_json::Value, MessagePack>(), &deep(&[0x91])), None);
    assert_eq!(read(&mut ends::<u8, MessagePack>(), &deep(&[0x91])), None);
    // {"Node": [{"Node": [ …
    assert_eq!(read(&mut ends::<Tree, MessagePack>(), &deep(b"\x81\xA4Node\x91")), None);
    assert_eq!(read(&mut ends::<Tree, Postcard>(), &deep(&[1, 1])), None);
    assert_eq!(read(&mut ends::<Chain, Postcard>(), &deep(&[1])), None);
}

#[cfg(feature = "rkyv")]
#[test]
fn an_archive_cannot_exhaust_the_stack() {
    use rkyv::{Archive, Deserialize, Serialize};

    #[derive(Archive, Serialize, Deserialize, PartialEq, Debug)]
    #[rkyv(
        serialize_bounds(
            __S: rkyv::ser::Writer + rkyv::ser::Allocator,
            __S::Error: rkyv::rancor::Source
        ),
        deserialize_bounds(__D::Error: rkyv::rancor::Source),
        bytecheck(bounds(
            __C: rkyv::validation::ArchiveContext,
            __C::Error: rkyv::rancor::Source
        ))
    )]
    struct Link(#[rkyv(omit_bounds)] Option<Box<Link>>);

    let chain = |links: usize| (0..links).fold(Link(None), |link, _| Link(Some(Box::new(link))));
    let ends = &mut ends::<Link, slipring::codec::Rkyv>();
    comes_back(ends, &chain(100));
    let bytes = bytes_of(ends, &chain(2_000));
    assert_eq!(read(ends, &bytes), None);
}

/// What a value may be deep is deep enough for what programs send.
#[test]
fn values_may_be_deep() {
    let chain = |links: usize| (0..links).fold(Tree::Leaf(1), |tree, _| Tree::Node(vec![tree]));
    comes_back(&mut ends::<Tree, MessagePack>(), &chain(100));
    comes_back(&mut ends::<Tree, Postcard>(), &chain(100));
}
