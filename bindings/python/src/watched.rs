//! Descriptors of a queue, for selectors and event loops.

use std::os::fd::BorrowedFd;

use slipring::{ByteJoinableReceiver, ByteJoinableSender, ByteReceiver, ByteSender, Result, Watch};

use crate::ends::{Rx, Tx};

/// One side of a queue with a descriptor.
pub enum Watched {
    Get(Watch<ByteReceiver>),
    GetTask(Watch<ByteJoinableReceiver>),
    Put(Watch<ByteSender>),
    // Far larger than the others.
    PutTask(Box<Watch<ByteJoinableSender>>),
}

macro_rules! each {
    ($self:expr, $watch:pat => $call:expr) => {
        match $self {
            Self::Get($watch) => $call,
            Self::GetTask($watch) => $call,
            Self::Put($watch) => $call,
            Self::PutTask($watch) => $call,
        }
    };
}

impl Watched {
    /// Watches for messages.
    pub fn of_rx(rx: &Rx) -> Result<Self> {
        Ok(match rx.another()? {
            Rx::Plain(rx) => Self::Get(Watch::new(rx)?),
            Rx::Tasks(rx) => Self::GetTask(Watch::new(*rx)?),
        })
    }

    /// Watches for room.
    pub fn of_tx(tx: &Tx) -> Result<Self> {
        Ok(match tx.another()? {
            Tx::Plain(tx) => Self::Put(Watch::new(tx)?),
            Tx::Tasks(tx) => Self::PutTask(Box::new(Watch::new(*tx)?)),
        })
    }

    /// Whether a call would not wait; if not, the descriptor is unreadable until that may have changed.
    pub fn ready(&mut self) -> Result<bool> {
        each!(self, watch => watch.ready())
    }

    /// The descriptor.
    pub fn as_fd(&mut self) -> Result<BorrowedFd<'_>> {
        each!(self, watch => watch.as_fd())
    }
}
