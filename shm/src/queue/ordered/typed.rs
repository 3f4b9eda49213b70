//! The four sides for values.

use super::receiver::{ByteLifoReceiver, BytePriorityReceiver};
use super::sender::{ByteLifoSender, BytePrioritySender};
use crate::Result;
use crate::codec::Decode;
use crate::message::decode;
use crate::queue::typed::values;
use crate::wait::Until;

values! {
    /// Sends values to a LIFO queue, encoded with `C`. See [`LifoQueue`](super::LifoQueue).
    LifoSender(fn(T)) over ByteLifoSender, send_values("Sends");
}

values! {
    /// Sends values to a priority queue, encoded with `C`. See [`PriorityQueue`](super::PriorityQueue).
    PrioritySender(fn(T)) over BytePrioritySender, send_values("Sends", key: u64, "; the smallest `key` goes first");
}

values! {
    /// Receives values from a LIFO queue, decoded with `C`. See [`LifoQueue`](super::LifoQueue).
    LifoReceiver(fn() -> T) over ByteLifoReceiver, receive_values("The first value");
}

values! {
    /// Receives values from a priority queue, decoded with `C`. See [`PriorityQueue`](super::PriorityQueue).
    PriorityReceiver(fn() -> T) over BytePriorityReceiver, receive_values("The first value");
}

impl<T, C: Decode<T>> PriorityReceiver<T, C> {
    /// The first value and the key with which it was sent, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// As [`PriorityReceiver::recv_until`].
    pub fn recv_keyed_until(&mut self, until: impl Into<Until>) -> Result<(u64, T)> {
        let key = self.bytes.recv_keyed_into(&mut self.buffer, until)?;
        Ok((key, decode::<C, T>(&self.buffer)?))
    }
}

/// What these tell beyond what all handles for values do.
macro_rules! tell {
    ($($values:ident: $($what:ident)*;)*) => {$(
        impl<T, C> $values<T, C> {
            $(tell! { @ $what })*
        }
    )*};
    (@ is_full) => {
        /// Whether a send would wait now.
        pub fn is_full(&self) -> bool {
            self.bytes.is_full()
        }
    };
    (@ capacity) => {
        /// The most messages that the queue holds.
        pub fn capacity(&self) -> u64 {
            self.bytes.capacity()
        }
    };
}

tell! {
    LifoSender: capacity;
    PrioritySender: capacity;
    LifoReceiver: is_full capacity;
    PriorityReceiver: is_full capacity;
}
