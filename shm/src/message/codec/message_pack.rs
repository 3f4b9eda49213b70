//! MessagePack, with the names of fields.

use std::io::ErrorKind::UnexpectedEof;

use rmp_serde::decode::Error;
use rmp_serde::{Deserializer, Serializer};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::careful::{Flaws, serialize};
use super::known::MESSAGE_PACK;
use super::{Codec, Decode, Encode, Reason};

/// So deep may parts lie within parts: anybody may have written the message, and a thread has so much stack.
const MAX_DEPTH: usize = 256;

/// The default codec: [MessagePack](https://msgpack.org), self-describing, fields by their names. It works with serde's
/// attributes, and the two sides may know different fields of a struct.
///
/// What arrives is what was sent, or an error. MessagePack cannot tell `Some(None)` and `Some(())` from `None`: a value with one
/// of them in it is refused when it is sent. The [table](crate::codec#which-of-serdes-attributes-work) has what else does not
/// work.
///
/// The format counts as [human-readable](serde::Serializer::is_human_readable), so an address of the internet is text in a
/// message. Serde reads what is inside of `flatten`, `tag` and `untagged` as human-readable in every format; in one that is not,
/// such an address would be written in one way and read in another.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use slipring::{Queue, Segment};
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Job {
///     #[serde(skip_serializing_if = "Option::is_none")]
///     priority: Option<u8>,
///     kind: u8,
/// }
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = Queue::<Job>::bounded(&segment, 8)?;
/// sender.send(&Job { priority: None, kind: 1 })?;
/// assert_eq!(receiver.recv()?, Job { priority: None, kind: 1 });
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MessagePack;

impl Codec for MessagePack {
    const NAME: &'static str = MESSAGE_PACK.1;
    const ID: u8 = MESSAGE_PACK.0;
}

impl Flaws for MessagePack {
    const SOME_IS_ITS_VALUE: bool = true;
    const FIELDS_ARE_COUNTED: bool = false;
}

impl<T: Serialize + ?Sized> Encode<T> for MessagePack {
    #[inline]
    fn encode(value: &T, into: &mut Vec<u8>) -> Result<(), Reason> {
        let mut serializer = Serializer::new(into).with_struct_map().with_human_readable();
        Ok(serialize::<Self, _, _>(value, &mut serializer)?)
    }
}

impl<T: DeserializeOwned> Decode<T> for MessagePack {
    #[inline]
    fn decode(message: &[u8]) -> Result<T, Reason> {
        let mut deserializer = Deserializer::from_read_ref(message).with_human_readable();
        deserializer.set_max_depth(MAX_DEPTH);
        let value = T::deserialize(&mut deserializer)?;
        // The deserializer does not tell how far it came: whether it is at the end is seen by reading on.
        match IgnoredAny::deserialize(&mut deserializer) {
            Err(Error::InvalidMarkerRead(error)) if error.kind() == UnexpectedEof => Ok(value),
            _ => Err("there are bytes left over after the value".into()),
        }
    }
}
