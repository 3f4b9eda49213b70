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
    ///
    /// ```
    /// use slipring::{LifoQueue, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut free, mut wanted) = LifoQueue::<u32>::bounded(&segment, 3)?;
    /// // Numbers of free buffers: the one that was used last is still in the cache.
    /// for buffer in [0, 1, 2] {
    ///     free.send(&buffer)?;
    /// }
    /// assert!(free.is_full() && free.capacity() == 3);
    /// let warm = wanted.recv()?;
    /// assert_eq!(warm, 2);
    /// free.send(&warm)?;
    /// # Ok::<(), slipring::Error>(())
    /// ```
    LifoSender(fn(T)) over ByteLifoSender, send_values("Sends");
}

values! {
    /// Sends values to a priority queue, encoded with `C`. See [`PriorityQueue`](super::PriorityQueue).
    ///
    /// ```
    /// use slipring::{PriorityQueue, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut alarms, mut desk) = PriorityQueue::<String>::bounded(&segment, 10)?;
    /// alarms.send(2, &"lamp 3 is dark".to_owned())?;
    /// alarms.send(1, &"door 7 is open".to_owned())?;
    /// alarms.send(1, &"door 9 is open".to_owned())?;
    /// // The smallest key first; of equal keys, what came first.
    /// assert_eq!([desk.recv()?, desk.recv()?], ["door 7 is open", "door 9 is open"]);
    /// assert_eq!(alarms.len(), 1);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    PrioritySender(fn(T)) over BytePrioritySender, send_values("Sends", key: u64, "; the smallest `key` goes first");
}

values! {
    /// Receives values from a LIFO queue, decoded with `C`. See [`LifoQueue`](super::LifoQueue).
    ///
    /// ```
    /// use slipring::{Error, LifoQueue, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut positions, mut latest) = LifoQueue::<[f32; 2]>::bounded(&segment, 100)?;
    /// positions.send(&[0.0, 1.0])?;
    /// positions.send(&[0.5, 1.5])?;
    /// // The newest position. The older ones are of no use any more.
    /// assert_eq!(latest.recv()?, [0.5, 1.5]);
    /// while latest.try_recv().is_ok() {}
    /// assert!(latest.is_empty());
    /// # Ok::<(), slipring::Error>(())
    /// ```
    LifoReceiver(fn() -> T) over ByteLifoReceiver, receive_values("The first value");
}

values! {
    /// Receives values from a priority queue, decoded with `C`. See [`PriorityQueue`](super::PriorityQueue).
    ///
    /// ```
    /// use slipring::{PriorityQueue, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut timers, mut next) = PriorityQueue::<String>::bounded(&segment, 10)?;
    /// timers.send(1730, &"close the shop".to_owned())?;
    /// timers.send(900, &"open the shop".to_owned())?;
    /// let (time, what) = next.recv_keyed_until(Until::NOW)?;
    /// assert_eq!((time, what.as_str()), (900, "open the shop"));
    /// assert_eq!(next.recv()?, "close the shop");
    /// # Ok::<(), slipring::Error>(())
    /// ```
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
