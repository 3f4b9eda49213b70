//! Handles of LIFO and priority queues, whichever a test is about.

use std::time::Duration;

use slipring::{
    ByteLifoQueue, ByteLifoReceiver, ByteLifoSender, BytePriorityQueue, BytePriorityReceiver,
    BytePrioritySender, Handoff, Inherited, Result, Segment, Until,
};

use crate::message::{self, Stamp, key};

/// Both kinds.
pub const KINDS: [Kind; 2] = [Kind::Lifo, Kind::Priority];

/// Which kind of queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Last in, first out.
    Lifo,
    /// The smallest key first.
    Priority,
}

/// A sender of either kind.
#[derive(Debug)]
pub enum Sender {
    /// Of a LIFO queue: keys go unsaid.
    Lifo(ByteLifoSender),
    /// Of a priority queue.
    Priority(BytePrioritySender),
}

/// A receiver of either kind.
#[derive(Debug)]
pub enum Receiver {
    /// Of a LIFO queue.
    Lifo(ByteLifoReceiver),
    /// Of a priority queue.
    Priority(BytePriorityReceiver),
}

/// A queue.
pub fn queue(kind: Kind, segment: &Segment, capacity: u64) -> (Sender, Receiver) {
    match kind {
        Kind::Lifo => {
            let (tx, rx) = ByteLifoQueue::bounded(segment, capacity).expect("a queue");
            (Sender::Lifo(tx), Receiver::Lifo(rx))
        }
        Kind::Priority => {
            let (tx, rx) = BytePriorityQueue::bounded(segment, capacity).expect("a queue");
            (Sender::Priority(tx), Receiver::Priority(rx))
        }
    }
}

/// The stamps in the order in which a queue gives them that was filled with them in this order.
pub fn sorted(kind: Kind, mut stamps: Vec<Stamp>) -> Vec<Stamp> {
    match kind {
        Kind::Lifo => stamps.reverse(),
        // Stable: equal keys stay in order.
        Kind::Priority => stamps.sort_by_key(|stamp| key(*stamp)),
    }
    stamps
}

impl Sender {
    /// The one that a peer was given.
    pub fn take(inherited: &mut Inherited) -> Self {
        let is_lifo = inherited.names().any(|name| name == "lifo-tx");
        if is_lifo {
            Self::Lifo(inherited.take("lifo-tx").expect("a sender"))
        } else {
            Self::Priority(inherited.take("priority-tx").expect("a sender"))
        }
    }

    /// What gives it to a peer.
    pub fn handoff(&self, segment: &Segment) -> Handoff {
        let mut handoff = Handoff::new(segment);
        match self {
            Self::Lifo(tx) => handoff.give("lifo-tx", tx).expect("a ticket"),
            Self::Priority(tx) => handoff.give("priority-tx", tx).expect("a ticket"),
        }
        handoff
    }

    /// Sends a message.
    pub fn send(&mut self, key: u64, message: &[u8], until: impl Into<Until>) -> Result<()> {
        match self {
            Self::Lifo(tx) => tx.send_until(message, until),
            Self::Priority(tx) => tx.send_until(key, message, until),
        }
    }

    /// Another one.
    pub fn another(&self) -> Self {
        match self {
            Self::Lifo(tx) => Self::Lifo(tx.try_clone().expect("a handle")),
            Self::Priority(tx) => Self::Priority(tx.try_clone().expect("a handle")),
        }
    }
}

impl Receiver {
    /// The one that a peer was given.
    pub fn take(inherited: &mut Inherited) -> Self {
        let is_lifo = inherited.names().any(|name| name == "lifo-rx");
        if is_lifo {
            Self::Lifo(inherited.take("lifo-rx").expect("a receiver"))
        } else {
            Self::Priority(inherited.take("priority-rx").expect("a receiver"))
        }
    }

    /// What gives it to a peer.
    pub fn handoff(&self, segment: &Segment) -> Handoff {
        let mut handoff = Handoff::new(segment);
        match self {
            Self::Lifo(rx) => handoff.give("lifo-rx", rx).expect("a ticket"),
            Self::Priority(rx) => handoff.give("priority-rx", rx).expect("a ticket"),
        }
        handoff
    }

    /// Receives a message.
    pub fn recv(&mut self, until: impl Into<Until>) -> Result<Vec<u8>> {
        match self {
            Self::Lifo(rx) => rx.recv_until(until),
            Self::Priority(rx) => rx.recv_until(until),
        }
    }

    /// Receives a stamped message, which must be whole and have the key of its stamp.
    pub fn stamp(&mut self, until: impl Into<Until>) -> Result<Stamp> {
        let mut bytes = Vec::new();
        match self {
            Self::Lifo(rx) => rx.recv_into(&mut bytes, until).map(|_| message::read(&bytes)),
            Self::Priority(rx) => rx.recv_keyed_into(&mut bytes, until).map(|found| {
                let stamp = message::read(&bytes);
                assert_eq!(found, key(stamp), "{stamp:?} with another's key");
                stamp
            }),
        }
    }

    /// What is there, in order, without waiting for more for long.
    pub fn rest(&mut self) -> Vec<Stamp> {
        std::iter::from_fn(|| self.stamp(Duration::from_millis(60)).ok()).collect()
    }

    /// Another one.
    pub fn another(&self) -> Self {
        match self {
            Self::Lifo(rx) => Self::Lifo(rx.try_clone().expect("a handle")),
            Self::Priority(rx) => Self::Priority(rx.try_clone().expect("a handle")),
        }
    }

    /// How many messages are in the queue.
    pub fn len(&self) -> u64 {
        match self {
            Self::Lifo(rx) => rx.len(),
            Self::Priority(rx) => rx.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes the queue.
    pub fn close(&self) {
        match self {
            Self::Lifo(rx) => rx.close(),
            Self::Priority(rx) => rx.close(),
        }
    }
}
