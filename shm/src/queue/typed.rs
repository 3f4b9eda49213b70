//! Handles for values: each is one for bytes and a buffer, in which values are encoded and decoded.
//!
//! All kinds of queues make theirs with the macros here. A macro and not one generic type, so that `Sender<T>` has a page,
//! and a name in error messages, of its own.

use super::receiver::ByteReceiver;
use super::sender::ByteSender;
use crate::Result;
use crate::codec::{Decode, Encode};
use crate::message::{decode, encode};
use crate::wait::Until;

/// A handle for values: the type, and what it has on both sides and in every kind of queue.
///
/// `$of` is `fn(T)` for one that takes values and `fn() -> T` for one that gives them; `$by` is [`send_values!`] or
/// [`receive_values!`]. The texts are about `bytes`, `len` and `try_clone`; without them, those of a queue of messages.
macro_rules! values {
    ($(#[$doc:meta])* $values:ident($of:ty) over $bytes:ident, $by:ident($($words:tt)*);) => {
        $crate::queue::typed::values! {
            $(#[$doc])*
            $values($of) over $bytes, $by($($words)*);
            bytes: "The same handle, for messages as bytes.";
            len: "How many messages are in the queue: exact if nobody is at work meanwhile.";
            try_clone: "Another handle, for another thread.";
        }
    };
    (
        $(#[$doc:meta])* $values:ident($of:ty) over $bytes:ident $(, $by:ident($($words:tt)*))?;
        bytes: $same:literal;
        len: $len:literal;
        try_clone: $another:literal;
    ) => {
        $(#[$doc])*
        pub struct $values<T, C = $crate::codec::MessagePack> {
            bytes: $bytes,
            buffer: Vec<u8>,
            of: std::marker::PhantomData<($of, fn(C))>,
        }

        $($crate::queue::typed::$by! { $values over $bytes, $($words)* })?

        impl<T, C> $values<T, C> {
            pub(crate) fn new(bytes: $bytes) -> Self {
                Self { bytes, buffer: Vec::new(), of: std::marker::PhantomData }
            }

            #[doc = $same]
            pub fn bytes(&mut self) -> &mut $bytes {
                &mut self.bytes
            }

            #[doc = $len]
            pub fn len(&self) -> u64 {
                self.bytes.len()
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.bytes.is_empty()
            }

            /// Whether this handle goes on while nobody has the other side. Off at first. See
            #[doc = concat!("[`", stringify!($bytes), "::set_patient`].")]
            pub fn set_patient(&mut self, on: bool) {
                self.bytes.set_patient(on);
            }

            /// Closes the queue for everybody: sends fail, receivers get what is there and then
            /// [`Error::Closed`](crate::Error::Closed). A send that is under way in another process may still succeed, and
            /// go unread.
            pub fn close(&self) {
                self.bytes.close();
            }

            #[doc = $another]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($bytes), "::try_clone`].")]
            pub fn try_clone(&self) -> $crate::Result<Self> {
                Ok(Self::new(self.bytes.try_clone()?))
            }

            /// The handle for bytes below, to look at.
            pub(crate) fn bytes_ref(&self) -> &$bytes {
                &self.bytes
            }
        }

        impl<T, C> std::fmt::Debug for $values<T, C> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($values)).field(&self.bytes).finish()
            }
        }
    };
}
pub(crate) use values;

/// How values are sent, with a key that goes before each if there is one. `$sends` is the verb.
macro_rules! send_values {
    ($values:ident over $bytes:ident, $sends:literal $(, $key:ident: $key_type:ty, $by_key:literal)?) => {
        impl<T, C: $crate::codec::Encode<T>> $values<T, C> {
            #[doc = concat!($sends, " `value`, waiting for room for as long as it takes", $($by_key,)? ".")]
            ///
            /// # Errors
            ///
            #[doc = concat!("[`Error::Encode`](crate::Error::Encode), and as [`", stringify!($bytes), "::send`].")]
            pub fn send(&mut self, $($key: $key_type,)? value: &T) -> $crate::Result<()> {
                self.send_until($($key,)? value, $crate::Until::NEVER)
            }

            #[doc = concat!($sends, " `value` if that takes no waiting.")]
            ///
            /// # Errors
            ///
            /// [`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is full, and as
            #[doc = concat!("[`", stringify!($values), "::send`].")]
            pub fn try_send(&mut self, $($key: $key_type,)? value: &T) -> $crate::Result<()> {
                self.send_until($($key,)? value, $crate::Until::NOW)
            }

            #[doc = concat!($sends, " `value`, waiting for room until a deadline.")]
            ///
            /// # Errors
            ///
            /// [`Error::TimedOut`](crate::Error::TimedOut), and as
            #[doc = concat!("[`", stringify!($values), "::send`].")]
            pub fn send_until(
                &mut self,
                $($key: $key_type,)?
                value: &T,
                until: impl Into<$crate::Until>,
            ) -> $crate::Result<()> {
                $crate::message::encode::<C, T>(value, &mut self.buffer)?;
                self.bytes.send_until($($key,)? &self.buffer, until)
            }
        }

        impl<T, C> $values<T, C> {
            /// Whether a send would wait now.
            pub fn is_full(&self) -> bool {
                self.bytes.is_full()
            }
        }
    };
}
pub(crate) use send_values;

/// How values are received. `$first` is which value comes.
macro_rules! receive_values {
    ($values:ident over $bytes:ident, $first:literal) => {
        impl<T, C: $crate::codec::Decode<T>> $values<T, C> {
            #[doc = concat!($first, ", waiting for one for as long as it takes.")]
            ///
            /// # Errors
            ///
            /// [`Error::Decode`](crate::Error::Decode) for a message that is no `T`, which is taken all the same; and as
            #[doc = concat!("[`", stringify!($bytes), "::recv`].")]
            pub fn recv(&mut self) -> $crate::Result<T> {
                self.recv_until($crate::Until::NEVER)
            }

            #[doc = concat!($first, ", if there is one.")]
            ///
            /// # Errors
            ///
            /// [`Error::WouldBlock`](crate::Error::WouldBlock) when the queue is empty, and as
            #[doc = concat!("[`", stringify!($values), "::recv`].")]
            pub fn try_recv(&mut self) -> $crate::Result<T> {
                self.recv_until($crate::Until::NOW)
            }

            #[doc = concat!($first, ", waiting for one until a deadline.")]
            ///
            /// # Errors
            ///
            /// [`Error::TimedOut`](crate::Error::TimedOut), and as
            #[doc = concat!("[`", stringify!($values), "::recv`].")]
            pub fn recv_until(&mut self, until: impl Into<$crate::Until>) -> $crate::Result<T> {
                self.bytes.recv_into(&mut self.buffer, until)?;
                $crate::message::decode::<C, T>(&self.buffer)
            }
        }
    };
}
pub(crate) use receive_values;

values! {
    /// Sends values to a queue, encoded with `C`. See [`Queue`](super::Queue).
    ///
    /// ```
    /// use slipring::{Error, Queue, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = Queue::<(u32, String)>::bounded(&segment, 2)?;
    /// let jobs = [(1, "crop".to_owned()), (2, "turn".to_owned()), (3, "save".to_owned())];
    /// // As many as there is room for, in one step.
    /// assert_eq!(sender.send_batch(&jobs, Until::NOW)?, 2);
    /// assert!(matches!(sender.try_send(&jobs[2]), Err(Error::WouldBlock)));
    /// assert_eq!(receiver.recv()?.1, "crop");
    /// sender.send(&jobs[2])?;
    /// assert!(sender.is_full());
    /// # Ok::<(), slipring::Error>(())
    /// ```
    Sender(fn(T)) over ByteSender, send_values("Sends");
}

values! {
    /// Receives values from a queue, decoded with `C`. See [`Queue`](super::Queue).
    ///
    /// ```
    /// use std::time::Duration;
    /// use slipring::{Error, Queue, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = Queue::<f64>::unbounded(&segment)?;
    /// let none = receiver.recv_until(Duration::from_millis(1));
    /// assert!(matches!(none, Err(Error::TimedOut)));
    ///
    /// for sample in [0.5, 1.5, 2.5] {
    ///     sender.send(&sample)?;
    /// }
    /// drop(sender);
    /// let first_two: Result<Vec<f64>, Error> = receiver.recv_batch(2, Until::NOW)?.into_iter().collect();
    /// assert_eq!(first_two?, [0.5, 1.5]);
    /// assert_eq!(receiver.recv()?, 2.5);
    /// assert!(matches!(receiver.recv(), Err(Error::Disconnected)), "nobody sends any more");
    /// # Ok::<(), Error>(())
    /// ```
    Receiver(fn() -> T) over ByteReceiver, receive_values("The oldest value");
}

impl<T, C: Encode<T>> Sender<T, C> {
    /// Sends several values, and wakes receivers once for all of them. Returns how many were sent before the deadline.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_until`], where not even the first was sent.
    pub fn send_batch<'a>(
        &mut self,
        values: impl IntoIterator<Item = &'a T>,
        until: impl Into<Until>,
    ) -> Result<usize>
    where
        T: 'a,
    {
        let encoded = values.into_iter().map(|value| {
            let mut bytes = Vec::new();
            encode::<C, T>(value, &mut bytes).map(|()| bytes)
        });
        let encoded: Vec<_> = encoded.collect::<Result<_>>()?;
        self.bytes.send_batch(encoded, until)
    }
}

impl<T, C: Decode<T>> Receiver<T, C> {
    /// Takes up to `max` values, waiting for the first one only. A message that is no `T` is an error in its place.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv_until`], where there was not even one.
    pub fn recv_batch(&mut self, max: usize, until: impl Into<Until>) -> Result<Vec<Result<T>>> {
        let mut values = Vec::new();
        self.bytes.recv_each(max, until, |message| values.push(decode::<C, T>(message)))?;
        Ok(values)
    }
}
