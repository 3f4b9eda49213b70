//! How values become messages, and messages values again.
//!
//! The codec is the second parameter of a queue of values and of its handles: `Queue<T>` is `Queue<T, MessagePack>`, and
//! `Queue::<T, Postcard>::bounded(…)` makes a queue with another codec. A pipe is told the codec by the call:
//! [`send_value_as`](crate::PipeWriter::send_value_as). Both sides use the same codec. A message that another codec made is
//! [`Error::Decode`](crate::Error::Decode) to its receiver, and never another value.
//!
//! | codec | its values | a message is |
//! |---|---|---|
//! | [`MessagePack`], the default | any serde type | self-describing: fields by their names |
//! | [`Postcard`] | serde types of a fixed shape | as short as can be: neither names nor types |
//! | [`Pod`] | plain bytes, [`bytemuck::Pod`] | the memory of the value |
//! | `Rkyv`, with the feature `rkyv` | what derives rkyv's traits | rkyv's archive |
//!
//! # Which of serde's attributes work
//!
//! A format without names and types cannot tell that a field was left out: it would read the next field in its place. So the
//! codec decides which attributes work. *Refused* means [`Error::Encode`](crate::Error::Encode) to the sender: nothing was sent.
//! *No value* means [`Error::Decode`](crate::Error::Decode) to the receiver.
//!
//! | attribute, or type | [`MessagePack`] | [`Postcard`] |
//! |---|---|---|
//! | `rename`, `rename_all`, `transparent`, `from`, `into`, `with` | yes | yes |
//! | `skip`: the receiver has the default | yes | yes |
//! | `skip_serializing_if` of an `Option`, or with `default` | yes | refused when the field is left out |
//! | `skip_serializing_if` of another type, without `default` | no value when the field was left out | refused then |
//! | `skip_serializing` without `skip_deserializing`, with `default` | yes | **another value may arrive** |
//! | `skip_serializing` without `skip_deserializing`, without `default` | no value | **another value may arrive** |
//! | `default` and `alias`, for sides that know different fields | yes | **another value may arrive** |
//! | `flatten` | yes | refused |
//! | `untagged`; `tag`, with `content` and without | yes | no value |
//! | `Option<Option<T>>`, `Option<()>` | refused if it is `Some(None)` or `Some(())` | yes |
//! | `i128` and `u128` | yes; no value inside of `flatten`, `tag` or `untagged` | yes |
//! | `serde_json::Value` and the like | yes | no value |
//! | parts within parts within parts | 256 deep; else no value | as deep as 512 KiB of stack allow; else no value |
//! | handles, in a pipe made for them | yes | yes |
//!
//! With `untagged` the first variant that fits arrives, in every codec. That is serde's rule: it cannot tell a variant from an
//! earlier one that looks the same, as a `char` looks like a `String` of one character.
//!
//! # A codec of one's own
//!
//! [`Codec`], [`Encode`] and [`Decode`] can be implemented for any type.
//!
//! ```
//! use slipring::codec::{Codec, Decode, Encode, Reason};
//! use slipring::{Queue, Segment};
//!
//! struct Text;
//!
//! impl Codec for Text {
//!     const NAME: &'static str = "text";
//!     const ID: u8 = 1;
//! }
//!
//! impl<T: std::fmt::Display> Encode<T> for Text {
//!     fn encode(value: &T, into: &mut Vec<u8>) -> Result<(), Reason> {
//!         into.extend_from_slice(value.to_string().as_bytes());
//!         Ok(())
//!     }
//! }
//!
//! impl<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>> Decode<T> for Text {
//!     fn decode(message: &[u8]) -> Result<T, Reason> {
//!         Ok(std::str::from_utf8(message)?.parse()?)
//!     }
//! }
//!
//! let segment = Segment::create()?;
//! let (mut sender, mut receiver) = Queue::<u32, Text>::bounded(&segment, 8)?;
//! sender.send(&42)?;
//! assert_eq!(receiver.bytes().recv()?, b"42\x01");
//! sender.send(&43)?;
//! assert_eq!(receiver.recv()?, 43);
//! # Ok::<(), slipring::Error>(())
//! ```
//!
//! # What a message looks like
//!
//! What the codec wrote, and then one byte: the codec's [`ID`](Codec::ID). This byte is all that tells codecs apart: nothing
//! in the segment says which codec a queue has. A program that sends such messages as bytes has to append it.
//!
//! | file | what it holds |
//! |---|---|
//! | `message_pack.rs`, `postcard.rs`, `pod.rs`, `rkyv.rs` | a codec each |
//! | `known.rs` | their ids |
//! | `careful.rs` | a serializer that refuses what a format would deliver as another value |
//! | `refusal.rs` | why it was refused |

mod careful;
pub(super) mod known;
mod message_pack;
mod pod;
mod postcard;
pub(super) mod refusal;
#[cfg(feature = "rkyv")]
mod rkyv;

pub use message_pack::MessagePack;
pub use pod::Pod;
pub use postcard::Postcard;
#[cfg(feature = "rkyv")]
pub use rkyv::Rkyv;

/// Why a value cannot be encoded, or bytes are none: the text of [`Error::Encode`](crate::Error::Encode) or
/// [`Error::Decode`](crate::Error::Decode).
///
/// ```
/// use slipring::codec::{Codec, Encode, Reason};
///
/// struct Even;
///
/// impl Codec for Even {
///     const NAME: &'static str = "even";
///     const ID: u8 = 2;
/// }
///
/// impl Encode<u8> for Even {
///     fn encode(value: &u8, into: &mut Vec<u8>) -> Result<(), Reason> {
///         if value % 2 == 1 {
///             return Err("the number is odd".into());
///         }
///         into.push(*value);
///         Ok(())
///     }
/// }
///
/// assert_eq!(Even::encode(&7, &mut Vec::new()).unwrap_err().to_string(), "the number is odd");
/// ```
pub type Reason = Box<dyn std::error::Error + Send + Sync>;

/// A way to make messages of values and values of messages: a type without a value of its own. See the [module](self).
///
/// ```
/// use slipring::codec::{Codec, Pod};
/// use slipring::{MessagePack, Postcard};
///
/// /// What both sides must have in common.
/// fn codec<C: Codec>() -> (&'static str, u8) {
///     (C::NAME, C::ID)
/// }
///
/// assert_ne!(codec::<MessagePack>(), codec::<Postcard>());
/// assert!(codec::<Pod>().1 >= 0xC0, "one of this crate");
/// ```
pub trait Codec {
    /// What error messages call it.
    const NAME: &'static str;

    /// The last byte of each of its messages. By it a receiver knows that the sender used the same codec. The ids from 0xC0 on
    /// are this crate's; choose a smaller one.
    const ID: u8;
}

/// A codec that makes messages of `T`.
///
/// ```
/// use slipring::codec::{Encode, Reason};
/// use slipring::{MessagePack, Postcard};
///
/// /// How many bytes a message would have.
/// fn bytes<C: Encode<T>, T>(value: &T) -> Result<usize, Reason> {
///     let mut message = Vec::new();
///     C::encode(value, &mut message)?;
///     Ok(message.len())
/// }
///
/// let words = vec!["one".to_owned(), "two".to_owned()];
/// assert!(bytes::<Postcard, _>(&words)? <= bytes::<MessagePack, _>(&words)?);
/// # Ok::<(), slipring::codec::Reason>(())
/// ```
pub trait Encode<T: ?Sized>: Codec {
    /// Appends the message that `value` is to `into`, which is empty.
    ///
    /// # Errors
    ///
    /// Why there is none. What was appended meanwhile is not sent.
    fn encode(value: &T, into: &mut Vec<u8>) -> Result<(), Reason>;
}

/// A codec that makes `T` of messages.
///
/// ```
/// use slipring::codec::{Decode, Pod, Reason};
///
/// fn number(message: &[u8]) -> Result<u32, Reason> {
///     Pod::decode(message)
/// }
///
/// assert_eq!(number(&7_u32.to_ne_bytes())?, 7);
/// assert!(number(b"more bytes than four").is_err());
/// # Ok::<(), slipring::codec::Reason>(())
/// ```
pub trait Decode<T>: Codec {
    /// The value that `message` is, all of it. Anybody may have written the message: whatever is in it, this does not panic,
    /// and allocates little more than its length.
    ///
    /// # Errors
    ///
    /// Why it is none.
    fn decode(message: &[u8]) -> Result<T, Reason>;
}
