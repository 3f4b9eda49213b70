//! What every kind of queue has in the same words: its constructors, and how its handles travel and are found by name.

use crate::member::Handle;
use crate::object::Role;
use crate::{Error, Result};

/// The constructors of a queue of bytes and of one of values, and what makes their four handles `Transfer`, `Named` and,
/// inside of a pipe's message, serde's.
///
/// Each constructor comes with what it says of itself. The queue of bytes brings
/// `create(&Segment, options, [Role; N]) -> Result<[Handle; N]>`, its two handles `from_handle(Handle) -> Result<Self>`,
/// which refuses a handle of another side, and `handle(&self) -> &Handle`. Those for values are made by
/// [`values!`](super::typed).
macro_rules! queues {
    ($(
        $kind:ident, $options:ident;
        $bytes:ident($byte_sender:ident, $byte_receiver:ident) {
            bounded: $bytes_bounded:literal;
            $(unbounded: $bytes_unbounded:literal;)?
        }
        $values:ident($sender:ident, $receiver:ident) {
            bounded: $values_bounded:literal;
            $(unbounded: $values_unbounded:literal;)?
        }
    )*) => {$(
        impl $bytes {
            $crate::queue::family::constructors! {
                $bytes, $options => ($byte_sender, $byte_receiver);
                bounded: $bytes_bounded;
                $(unbounded: $bytes_unbounded;)?
                with |segment, options| {
                    let [tx, rx] = Self::create(segment, options, $crate::object::Role::ALL)?;
                    Ok(($byte_sender::from_handle(tx)?, $byte_receiver::from_handle(rx)?))
                }
            }

            /// The sender of a new queue that nobody receives from yet.
            fn sender_alone(
                segment: &$crate::Segment,
                options: &$options,
            ) -> $crate::Result<$byte_sender> {
                let [tx] = Self::create(segment, *options, [$crate::object::Role::First])?;
                $byte_sender::from_handle(tx)
            }

            /// The receiver of a new queue that nobody sends to yet.
            fn receiver_alone(
                segment: &$crate::Segment,
                options: &$options,
            ) -> $crate::Result<$byte_receiver> {
                let [rx] = Self::create(segment, *options, [$crate::object::Role::Second])?;
                $byte_receiver::from_handle(rx)
            }
        }

        impl<T, C: $crate::codec::Encode<T> + $crate::codec::Decode<T>> $values<T, C> {
            $crate::queue::family::constructors! {
                $values, $options => ($sender<T, C>, $receiver<T, C>);
                bounded: $values_bounded;
                $(unbounded: $values_unbounded;)?
                with |segment, options| {
                    let (sender, receiver) = $bytes::with(segment, options)?;
                    Ok(($sender::new(sender), $receiver::new(receiver)))
                }
            }
        }

        impl<T, C> std::fmt::Debug for $values<T, C> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($values))
            }
        }

        $crate::travel::parcel::enclosed::transfer! {
            () $byte_sender, $kind, Self::handle, Self::from_handle;
            () $byte_receiver, $kind, Self::handle, Self::from_handle;
            (T, C: $crate::codec::Encode<T>) $sender<T, C>, $kind, |s| s.bytes_ref().handle(),
                |handle| Ok(Self::new($byte_sender::from_handle(handle)?));
            (T, C: $crate::codec::Decode<T>) $receiver<T, C>, $kind, |r| r.bytes_ref().handle(),
                |handle| Ok(Self::new($byte_receiver::from_handle(handle)?));
        }

        $crate::member::ticket::named! {
            () $byte_sender, $kind, First, $options, $bytes::sender_alone, Self::from_handle;
            () $byte_receiver, $kind, Second, $options, $bytes::receiver_alone, Self::from_handle;
            (T, C: $crate::codec::Encode<T>) $sender<T, C>, $kind, First, $options,
                |segment, options| Ok(Self::new($bytes::sender_alone(segment, options)?)),
                |handle| Ok(Self::new($byte_sender::from_handle(handle)?));
            (T, C: $crate::codec::Decode<T>) $receiver<T, C>, $kind, Second, $options,
                |segment, options| Ok(Self::new($bytes::receiver_alone(segment, options)?)),
                |handle| Ok(Self::new($byte_receiver::from_handle(handle)?));
        }
    )*};
}
pub(crate) use queues;

/// The constructors of `$queue`, which give handles of type `$pair`.
macro_rules! constructors {
    (
        $queue:ident, $options:ident => $pair:ty;
        bounded: $bounded:literal;
        $(unbounded: $unbounded:literal;)?
        with |$segment:ident, $made_to:ident| $with:block
    ) => {
        #[doc = $bounded]
        ///
        /// # Errors
        ///
        /// [`Error::Capacity`](crate::Error::Capacity), no memory.
        pub fn bounded(segment: &$crate::Segment, capacity: u64) -> $crate::Result<$pair> {
            Self::with(segment, $options::bounded(capacity))
        }

        $(
            #[doc = $unbounded]
            ///
            /// # Errors
            ///
            /// No memory.
            pub fn unbounded(segment: &$crate::Segment) -> $crate::Result<$pair> {
                Self::with(segment, $options::unbounded())
            }
        )?

        /// A queue made to measure.
        ///
        /// # Errors
        ///
        #[doc = concat!("As [`", stringify!($queue), "::bounded`].")]
        pub fn with(
            $segment: &$crate::Segment,
            $made_to: $options,
        ) -> $crate::Result<$pair> $with
    };
}
pub(crate) use constructors;

/// A sender's ticket makes no receiver: `names` are those of the first and of the second side.
pub(crate) fn expect_role(handle: &Handle, role: Role, names: [&'static str; 2]) -> Result<()> {
    let name = |role| match role {
        Role::First => names[0],
        Role::Second => names[1],
    };
    if handle.role() == role {
        return Ok(());
    }
    Err(Error::WrongKind { wanted: name(role), found: name(handle.role()) })
}
