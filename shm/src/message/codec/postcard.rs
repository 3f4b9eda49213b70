//! Postcard: neither names nor types.

use postcard::Deserializer;
use postcard::de_flavors::Flavor as Source;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::careful::{Flaws, Refuses};
use super::known::POSTCARD;
use super::refusal::{Refusal, refuse};
use super::{Codec, Decode, Encode, Reason};

/// [Postcard](https://docs.rs/postcard): short and fast, not self-describing. A message is about half as long as
/// [`MessagePack`](super::MessagePack)'s.
///
/// It is for types of a fixed shape: both sides have the same fields in the same order, and each is always sent. A value of which
/// a field is left out by `skip_serializing_if` is refused when it is sent; the
/// [table](crate::codec#which-of-serdes-attributes-work) has the rest.
///
/// **Do not use it** with a field that has `skip_serializing` and not `skip_deserializing`, nor with a `Serialize` by hand that
/// writes other things than its `Deserialize` reads. The codec cannot see this, and another value may arrive.
///
/// ```
/// use slipring::codec::Postcard;
/// use slipring::{Queue, Segment};
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = Queue::<(u32, Option<Option<u8>>), Postcard>::bounded(&segment, 8)?;
/// sender.send(&(7, Some(None)))?;
/// assert_eq!(receiver.recv()?, (7, Some(None)));
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Postcard;

impl Codec for Postcard {
    const NAME: &'static str = POSTCARD.1;
    const ID: u8 = POSTCARD.0;
}

impl Flaws for Postcard {
    const SOME_IS_ITS_VALUE: bool = false;
    const FIELDS_ARE_COUNTED: bool = true;
}

impl<T: Serialize + ?Sized> Encode<T> for Postcard {
    #[inline]
    fn encode(value: &T, into: &mut Vec<u8>) -> Result<(), Reason> {
        let value = Refuses::<Self, T>::new(value);
        Ok(postcard::serialize_with_flavor(&value, Appended(into))?)
    }
}

impl<T: DeserializeOwned> Decode<T> for Postcard {
    #[inline]
    fn decode(message: &[u8]) -> Result<T, Reason> {
        let mut deserializer = Deserializer::from_flavor(Shallow::new(message));
        let value = T::deserialize(&mut deserializer)?;
        let rest = deserializer.finalize()?;
        if rest.is_empty() {
            return Ok(value);
        }
        Err(format!("{} of its {} bytes are left over", rest.len(), message.len()).into())
    }
}

/// What is written is appended to a vector. (Postcard's own way to append goes byte by byte.)
struct Appended<'a>(&'a mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// So much of its stack a thread spends on a value: more than any value needs whose type does not contain itself.
const STACK: usize = 512 << 10;

/// So many bytes may be read one by one between two looks at the stack: as many levels fit into what is left of it.
const BETWEEN_LOOKS: usize = 32;

/// What is left of a message, read by a thread that does not run out of stack. A type that contains itself may need only one byte
/// for a level, and a message is as long as its sender likes. Each level reads at least one byte by itself.
struct Shallow<'de> {
    bytes: &'de [u8],
    /// When so many bytes are left, the thread looks at its stack.
    look_at: usize,
    /// Where the stack was when reading began.
    began: usize,
}

impl<'de> Shallow<'de> {
    #[inline]
    fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, look_at: bytes.len().saturating_sub(BETWEEN_LOOKS), began: stack() }
    }

    /// Refuses to go deeper than this.
    #[cold]
    fn look(&mut self) -> postcard::Result<()> {
        self.look_at = self.bytes.len().saturating_sub(BETWEEN_LOOKS);
        if self.began.saturating_sub(stack()) > STACK {
            refuse(Refusal::TooDeep);
            return Err(postcard::Error::DeserializeUnexpectedEnd);
        }
        Ok(())
    }
}

/// About where the stack is.
#[inline(never)]
fn stack() -> usize {
    let here = 0_u8;
    (&raw const here).addr()
}

impl<'de> Source<'de> for Shallow<'de> {
    type Remainder = &'de [u8];
    type Source = &'de [u8];

    #[inline]
    fn pop(&mut self) -> postcard::Result<u8> {
        if self.bytes.len() <= self.look_at {
            self.look()?;
        }
        let (first, rest) =
            self.bytes.split_first().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.bytes = rest;
        Ok(*first)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len())
    }

    #[inline]
    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'de [u8]> {
        let taken = self.bytes.split_at_checked(count);
        let (taken, rest) = taken.ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<&'de [u8]> {
        Ok(self.bytes)
    }
}
