//! Values whose memory is the message.

use bytemuck::{AnyBitPattern, NoUninit};

use super::known::POD;
use super::{Codec, Decode, Encode, Reason};

/// The memory of the value is the message: for [`bytemuck::Pod`] types, and whatever else is
/// [`NoUninit`] to its sender and [`AnyBitPattern`] to its receiver. Nothing is cheaper.
///
/// A message of another length is an error. Of the same length any bytes are a value: both sides must mean the same type.
///
/// ```
/// use slipring::codec::Pod;
/// use slipring::{Queue, Segment};
///
/// #[derive(Clone, Copy, PartialEq, Debug, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C)]
/// struct Sample {
///     at: u64,
///     volts: f64,
/// }
///
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = Queue::<Sample, Pod>::bounded(&segment, 8)?;
/// sender.send(&Sample { at: 1, volts: 0.5 })?;
/// assert_eq!(receiver.recv()?, Sample { at: 1, volts: 0.5 });
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pod;

impl Codec for Pod {
    const NAME: &'static str = POD.1;
    const ID: u8 = POD.0;
}

impl<T: NoUninit> Encode<T> for Pod {
    #[inline]
    fn encode(value: &T, into: &mut Vec<u8>) -> Result<(), Reason> {
        into.extend_from_slice(bytemuck::bytes_of(value));
        Ok(())
    }
}

impl<T: AnyBitPattern> Decode<T> for Pod {
    #[inline]
    fn decode(message: &[u8]) -> Result<T, Reason> {
        let wrong =
            || format!("it has {} bytes, and the type has {}", message.len(), size_of::<T>());
        bytemuck::try_pod_read_unaligned(message).map_err(|_| wrong().into())
    }
}
