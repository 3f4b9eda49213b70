//! Codecs: what it costs to encode a value and to decode it, and how long the message is. The lengths are printed first.
//!
//! `cargo bench -p slipring-benches --bench codecs` measures; with `-- --test` behind it each runs once.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use slipring::codec::{Codec, Decode, Encode, MessagePack, Pod, Postcard, Reason, Rkyv};

#[derive(Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Clone)]
struct Sample {
    id: u32,
    kind: u8,
    at: u64,
    ratio: f64,
}

#[derive(Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Clone)]
struct Task {
    id: u32,
    path: String,
    args: Vec<u32>,
}

#[derive(Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Report {
    task: Task,
    samples: Vec<Sample>,
    label: Option<String>,
    end: End,
}

#[derive(Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
enum End {
    Failed { code: u8, signal: Option<u8> },
}

/// The crates as they are, beside our codecs over them: what it costs to refuse values.
struct PlainMessagePack;
struct PlainPostcard;
/// Postcard, with a check at the sender: the message is decoded, encoded again and compared.
struct CheckedPostcard;

impl Codec for PlainMessagePack {
    const NAME: &'static str = "rmp-serde";
    const ID: u8 = 1;
}

impl<T: Serialize> Encode<T> for PlainMessagePack {
    fn encode(value: &T, into: &mut Vec<u8>) -> Result<(), Reason> {
        Ok(value.serialize(&mut rmp_serde::Serializer::new(into).with_struct_map())?)
    }
}

impl<T: DeserializeOwned> Decode<T> for PlainMessagePack {
    fn decode(message: &[u8]) -> Result<T, Reason> {
        Ok(rmp_serde::from_slice(message)?)
    }
}

impl Codec for PlainPostcard {
    const NAME: &'static str = "postcard, as it is";
    const ID: u8 = 2;
}

impl<T: Serialize> Encode<T> for PlainPostcard {
    fn encode(value: &T, into: &mut Vec<u8>) -> Result<(), Reason> {
        *into = postcard::to_extend(value, std::mem::take(into))?;
        Ok(())
    }
}

impl<T: DeserializeOwned> Decode<T> for PlainPostcard {
    fn decode(message: &[u8]) -> Result<T, Reason> {
        Ok(postcard::from_bytes(message)?)
    }
}

impl Codec for CheckedPostcard {
    const NAME: &'static str = "postcard, decoded by the sender";
    const ID: u8 = 3;
}

impl<T: Serialize + DeserializeOwned> Encode<T> for CheckedPostcard {
    fn encode(value: &T, into: &mut Vec<u8>) -> Result<(), Reason> {
        Postcard::encode(value, into)?;
        let mut again = Vec::with_capacity(into.len());
        Postcard::encode(&<Postcard as Decode<T>>::decode(into)?, &mut again)?;
        if *into == again { Ok(()) } else { Err("it would arrive as another value".into()) }
    }
}

impl<T: DeserializeOwned> Decode<T> for CheckedPostcard {
    fn decode(message: &[u8]) -> Result<T, Reason> {
        Postcard::decode(message)
    }
}

fn measure<T, C: Encode<T> + Decode<T>>(c: &mut Criterion, what: &str, value: &T) {
    let mut message = Vec::new();
    C::encode(value, &mut message).expect("it can be encoded");
    println!("{what}, {}: {} bytes", C::NAME, message.len());
    let mut group = c.benchmark_group(what);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    group.sample_size(30);
    let mut buffer = Vec::new();
    group.bench_function(format!("{}, encode", C::NAME), |b| {
        b.iter(|| {
            buffer.clear();
            C::encode(black_box(value), &mut buffer).expect("it can be encoded");
            black_box(&buffer);
        });
    });
    group.bench_function(format!("{}, decode", C::NAME), |b| {
        b.iter(|| C::decode(black_box(&message)).expect("it is a value"));
    });
    group.finish();
}

macro_rules! measure {
    ($c:ident, $what:literal, $value:expr, $($codec:ident)*) => {
        $(measure::<_, $codec>($c, $what, $value);)*
    };
}

fn codecs(c: &mut Criterion) {
    let sample = Sample { id: 70_000, kind: 3, at: 1_700_000_000_000, ratio: 0.25 };
    let args = (0..10).map(|number| number * 1000).collect();
    let task = Task { id: 70_000, path: "/usr/share/dict/words".into(), args };
    let report = Report {
        task: task.clone(),
        samples: vec![sample.clone(); 4],
        label: Some("label".into()),
        end: End::Failed { code: 1, signal: None },
    };
    let at = 1_700_000_000_000_u64;
    measure!(c, "u64", &at, MessagePack PlainMessagePack Postcard PlainPostcard CheckedPostcard Rkyv Pod);
    measure!(c, "four fields", &sample, MessagePack PlainMessagePack Postcard PlainPostcard CheckedPostcard Rkyv);
    measure!(c, "string and ten numbers", &task, MessagePack PlainMessagePack Postcard PlainPostcard CheckedPostcard Rkyv);
    measure!(c, "nested", &report, MessagePack PlainMessagePack Postcard PlainPostcard CheckedPostcard Rkyv);
}

criterion_group!(benches, codecs);
criterion_main!(benches);
