//! Serde's attributes and types, one by one: what the table of the module `codec` says.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slipring::{MessagePack, Postcard};

use crate::everywhere::{arrives, no_value, refused};

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Job {
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    kind: u8,
    args: Vec<u8>,
}

#[test]
fn a_field_that_is_left_out() {
    let job = |priority| Job { priority, kind: 1, args: vec![5, 0] };
    arrives(MessagePack, job(None));
    arrives(MessagePack, job(Some(3)));
    arrives(Postcard, job(Some(3)));
    refused(Postcard, job(None), "`priority`");
    // Wherever it is.
    arrives(MessagePack, (1, Some(vec![job(None)])));
    refused(Postcard, (1, Some(vec![job(None)])), "`priority`");
}

#[test]
fn a_field_that_is_left_out_and_has_a_default() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    enum Event {
        Tagged {
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            tags: Vec<u8>,
            at: u64,
        },
    }
    arrives(MessagePack, Event::Tagged { tags: vec![], at: 9 });
    arrives(Postcard, Event::Tagged { tags: vec![1], at: 9 });
    refused(Postcard, Event::Tagged { tags: vec![], at: 9 }, "`tags`");
}

#[test]
fn a_field_that_is_left_out_and_cannot_be_without() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Wrong {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tags: Vec<u8>,
        at: u64,
    }
    no_value(MessagePack, Wrong { tags: vec![], at: 9 });
    refused(Postcard, Wrong { tags: vec![], at: 9 }, "`tags`");
}

#[test]
fn a_field_that_is_never_sent() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Cached {
        #[serde(skip)]
        cache: u32,
        kind: u8,
    }
    arrives(MessagePack, Cached { cache: 0, kind: 1 });
    arrives(Postcard, Cached { cache: 0, kind: 1 });

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct OneSided {
        #[serde(skip_serializing)]
        cache: u8,
        kind: u8,
    }
    no_value(MessagePack, OneSided { cache: 0, kind: 1 });
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Point {
    x: i32,
    y: f32,
    label: Option<char>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Address {
    ip: IpAddr,
    patience: Duration,
}

const POINT: Point = Point { x: -5, y: 1.1, label: None };

#[test]
fn flatten() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Named {
        name: String,
        #[serde(flatten)]
        point: Point,
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Rest {
        name: String,
        #[serde(flatten)]
        address: Address,
        #[serde(flatten)]
        rest: BTreeMap<String, u64>,
    }
    let named = || Named { name: "n".into(), point: POINT };
    arrives(MessagePack, named());
    refused(Postcard, named(), "");
    let address = Address { ip: [127, 0, 0, 1].into(), patience: Duration::from_millis(1500) };
    arrives(MessagePack, Rest { name: "n".into(), address, rest: [("a".into(), 1 << 60)].into() });
}

#[test]
fn enums_with_a_tag_or_without() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Negative(i64),
        Text(String),
        Pair { a: u8, b: u8 },
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(tag = "t")]
    enum Tagged {
        Fields { x: u8 },
        New(Point),
        Unit,
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(tag = "t", content = "c")]
    enum Beside {
        Fields { x: u8 },
        Tuple(u8, u8),
        New(Point),
        Unit,
    }
    use Untagged::{Negative, Number, Pair, Text};
    for value in [Number(u64::MAX), Negative(-7), Text("7".into()), Pair { a: 1, b: 2 }] {
        arrives(MessagePack, value);
    }
    for value in [Tagged::Fields { x: 1 }, Tagged::New(POINT), Tagged::Unit] {
        arrives(MessagePack, value);
    }
    for value in [Beside::Fields { x: 1 }, Beside::Tuple(1, 2), Beside::New(POINT), Beside::Unit] {
        arrives(MessagePack, value);
    }
    no_value(Postcard, Number(7));
    no_value(Postcard, Pair { a: 1, b: 2 });
    no_value(Postcard, Tagged::Fields { x: 1 });
    no_value(Postcard, Beside::Fields { x: 1 });
    no_value(Postcard, Beside::Unit);
}

#[test]
fn names_and_defaults() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(rename_all = "camelCase")]
    struct Renamed {
        #[serde(rename = "type")]
        kind: u8,
        long_name: String,
        #[serde(with = "seconds")]
        patience: Duration,
        inner: Transparent,
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(transparent)]
    struct Transparent(u8);
    mod seconds {
        use serde::{Deserialize, Deserializer, Serializer};
        use std::time::Duration;
        pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_u64(value.as_secs())
        }
        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
            u64::deserialize(from).map(Duration::from_secs)
        }
    }
    let value = || Renamed {
        kind: 1,
        long_name: "n".into(),
        patience: Duration::from_secs(3),
        inner: Transparent(4),
    };
    arrives(MessagePack, value());
    arrives(Postcard, value());
}

#[test]
fn nothing_in_an_option() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Unit;
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Wrapped(Option<u8>);
    for value in [None, Some(Some(1_u8))] {
        arrives(MessagePack, value);
    }
    for value in [None, Some(None), Some(Some(1_u8))] {
        arrives(Postcard, value);
    }
    arrives(Postcard, Some(()));
    arrives(MessagePack, Some(Unit));
    arrives(MessagePack, (Some(vec![None, Some(1_u8)]), None::<()>));
    refused(MessagePack, Some(None::<u8>), "Some(None)");
    refused(MessagePack, Some(Some(None::<u8>)), "Some(None)");
    refused(MessagePack, Some(()), "Some(())");
    refused(MessagePack, Some(Wrapped(None)), "Some(None)");
    refused(MessagePack, BTreeMap::from([(1, vec![Some(Box::new(None::<u8>))])]), "Some(None)");
    refused(MessagePack, Some(serde_json::Value::Null), "Some(None)");
}

#[test]
fn values_of_all_types() {
    #[derive(Serialize, Deserialize, PartialEq, PartialOrd, Eq, Ord, Hash, Debug)]
    enum What {
        Unit,
        New(u32),
        Tuple(u8, String),
        Fields { a: u8, b: Option<u8> },
    }
    macro_rules! both {
        ($($value:expr),* $(,)?) => {$(
            arrives(MessagePack, $value);
            arrives(Postcard, $value);
        )*};
    }
    both! {
        (),
        (u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX),
        (i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN),
        (5_i128, 5_u128, -1_i64, true),
        ('a', 'é', '\u{10FFFF}'),
        (1.1_f32, -0.0_f64, f64::INFINITY, f64::MIN_POSITIVE, f32::MAX),
        (String::new(), "é".to_owned(), std::ffi::CString::new(vec![1, 255]).unwrap()),
        (Vec::<u8>::new(), vec![1_u8, 2, 200], vec![(), ()], [7_u16; 3]),
        HashMap::from([(1_u32, 2_u8), (3, 4)]),
        HashMap::from([((1_u8, 2_i8), 2_u8)]),
        BTreeMap::from([(None, 1_u8), (Some(3_u8), 2)]),
        BTreeMap::from([(What::Unit, 1), (What::New(3), 2), (What::Fields { a: 1, b: None }, 4)]),
        vec![What::Unit, What::New(1), What::Tuple(1, "x".into()), What::Fields { a: 1, b: Some(2) }],
        (Ok::<(), String>(()), Err::<u8, String>("no".into())),
        (IpAddr::from([127, 0, 0, 1]), Duration::from_nanos(1_500_000_001)),
        (std::time::UNIX_EPOCH + Duration::from_nanos(1), std::path::PathBuf::from("/x")),
    }
    let json = serde_json::json!({"a": [1, -2, 1.5, null, "x", {"b": true}]});
    arrives(MessagePack, json.clone());
    no_value(Postcard, json);
}

#[test]
fn big_numbers_where_serde_has_to_look_before_it_knows() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Big {
        big: u128,
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Flat {
        #[serde(flatten)]
        big: Big,
    }
    no_value(MessagePack, Flat { big: Big { big: 1 << 100 } });
}

#[test]
fn sides_may_know_different_fields() {
    #[derive(Serialize)]
    struct Old {
        id: u32,
        gone: String,
    }
    #[derive(Deserialize, PartialEq, Debug)]
    struct New {
        #[serde(default)]
        added: bool,
        #[serde(alias = "id")]
        number: u32,
    }
    let (mut reader, mut writer) = slipring::Pipe::one_way(&crate::everywhere::segment()).unwrap();
    writer.send_value(&Old { id: 7, gone: "x".into() }).unwrap();
    let new: New = reader.recv_value(slipring::Until::NOW).unwrap();
    assert_eq!(new, New { added: false, number: 7 });
}
