//! Archives of rkyv.

use std::num::NonZeroUsize;

use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::api::{access_with_context, deserialize_using};
use rkyv::bytecheck::CheckBytes;
use rkyv::de::Pool;
use rkyv::rancor::Error;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::validation::shared::SharedValidator;
use rkyv::{Archive, Deserialize, Serialize};

use super::known::RKYV;
use super::{Codec, Decode, Encode, Reason};

/// So deep may parts lie within parts: anybody may have written the message, and a thread has so much stack.
const MAX_DEPTH: usize = 512;

/// An archive of [rkyv](https://docs.rs/rkyv), for types that derive its `Archive`, `Serialize` and `Deserialize`. Each message
/// is checked before it is read. Serde and its attributes have no part in it.
///
/// Both sides must mean the same type: an archive has neither names nor types.
///
/// ```
/// use slipring::codec::Rkyv;
/// use slipring::{Queue, Segment};
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, PartialEq, Debug)]
/// struct Task {
///     id: u32,
///     path: String,
/// }
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = Queue::<Task, Rkyv>::bounded(&segment, 8)?;
/// sender.send(&Task { id: 1, path: "/etc/passwd".into() })?;
/// assert_eq!(receiver.recv()?, Task { id: 1, path: "/etc/passwd".into() });
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rkyv;

impl Codec for Rkyv {
    const NAME: &'static str = RKYV.1;
    const ID: u8 = RKYV.0;
}

impl<T> Encode<T> for Rkyv
where
    T: for<'a> Serialize<HighSerializer<Vec<u8>, ArenaHandle<'a>, Error>>,
{
    #[inline]
    fn encode(value: &T, into: &mut Vec<u8>) -> Result<(), Reason> {
        // Its positions count from the buffer's start, so that must be empty.
        *into = rkyv::api::high::to_bytes_in(value, std::mem::take(into))?;
        Ok(())
    }
}

impl<T> Decode<T> for Rkyv
where
    T: Archive<
        Archived: for<'a> CheckBytes<HighValidator<'a, Error>>
                      + Deserialize<T, HighDeserializer<Error>>,
    >,
{
    #[inline]
    fn decode(message: &[u8]) -> Result<T, Reason> {
        // A message lies anywhere, and an archive where its types may.
        let mut aligned = AlignedVec::<16>::with_capacity(message.len());
        aligned.extend_from_slice(message);
        let bytes = ArchiveValidator::with_max_depth(&aligned, NonZeroUsize::new(MAX_DEPTH));
        let mut validator = Validator::new(bytes, SharedValidator::new());
        let archived = access_with_context::<T::Archived, _, Error>(&aligned, &mut validator)?;
        Ok(deserialize_using(archived, &mut Pool::new())?)
    }
}
