//! The two sides of a queue, with leases or without.

use slipring::{
    Batch, ByteJoinableQueue, ByteJoinableReceiver, ByteJoinableSender, ByteQueue, ByteReceiver,
    ByteSender, DeadLetter, Error, JoinableOptions, Loan, Message, Named, QueueOptions, Result,
    Segment, Until,
};

/// What puts.
#[expect(clippy::large_enum_variant, reason = "there are few, and the usual one is the large one")]
pub enum Tx {
    Plain(ByteSender),
    Tasks(Box<ByteJoinableSender>),
}

/// What gets.
#[expect(clippy::large_enum_variant, reason = "there are few, and the usual one is the large one")]
pub enum Rx {
    Plain(ByteReceiver),
    Tasks(Box<ByteJoinableReceiver>),
}

/// How a queue is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many items it holds; `None`: as many as there is memory for.
    pub capacity: Option<u64>,
    /// With leases: how often an item may be delivered, and how many may be in somebody's hands.
    pub tasks: Option<(Option<u32>, u32)>,
}

macro_rules! either {
    ($self:expr, $end:pat => $call:expr) => {
        match $self {
            Self::Plain($end) => $call,
            Self::Tasks($end) => $call,
        }
    };
}

impl Shape {
    fn plain(self) -> QueueOptions {
        self.capacity.map_or_else(QueueOptions::unbounded, QueueOptions::bounded)
    }

    fn with_leases(self, deliveries: Option<u32>, leases: u32) -> JoinableOptions {
        let options =
            self.capacity.map_or_else(JoinableOptions::unbounded, JoinableOptions::bounded);
        options.max_deliveries(deliveries).max_leases(leases)
    }

    /// Makes a queue in `segment`.
    pub fn make(self, segment: &Segment) -> Result<(Tx, Rx)> {
        Ok(match self.tasks {
            None => {
                let (tx, rx) = ByteQueue::with(segment, self.plain())?;
                (Tx::Plain(tx), Rx::Plain(rx))
            }
            Some((deliveries, leases)) => {
                let options = self.with_leases(deliveries, leases);
                let (tx, rx) = ByteJoinableQueue::with(segment, options)?;
                (Tx::Tasks(tx.into()), Rx::Tasks(rx.into()))
            }
        })
    }

    /// The queue with this name, made if there is none.
    pub fn open(self, name: &str) -> Result<(Tx, Rx)> {
        // The receiver of the very queue that the sender has, whatever becomes of the name meanwhile.
        Ok(match self.tasks {
            None => {
                let tx = ByteSender::open_or_create(name, self.plain())?;
                let rx = ByteReceiver::root(&segment_of(&tx))?;
                (Tx::Plain(tx), Rx::Plain(rx))
            }
            Some((deliveries, leases)) => {
                let options = self.with_leases(deliveries, leases);
                let tx = ByteJoinableSender::open_or_create(name, options)?;
                let rx = ByteJoinableReceiver::root(&segment_of(&tx))?;
                (Tx::Tasks(tx.into()), Rx::Tasks(rx.into()))
            }
        })
    }
}

fn segment_of(named: &impl Named) -> Segment {
    let segment = named.segment();
    segment.set_interruptible(true);
    segment
}

impl Tx {
    /// Sends a copy of `message`.
    #[inline]
    pub fn send(&mut self, message: &[u8], marked: bool, until: Until) -> Result<()> {
        either!(self, tx => tx.send_message(message, marked, until))
    }

    /// Sends copies of several messages, and says how many.
    pub fn send_many<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (&'a [u8], bool)>,
        until: Until,
    ) -> Result<usize> {
        either!(self, tx => tx.send_messages(messages, until))
    }

    /// Memory for a message of so many bytes.
    pub fn loan(&mut self, len: usize) -> Result<Loan> {
        either!(self, tx => tx.loan(len))
    }

    /// Sends a loan; one that is not sent comes back.
    pub fn offer(&mut self, loan: Loan, until: Until) -> std::result::Result<(), (Loan, Error)> {
        either!(self, tx => tx.offer_loan(loan, until))
    }

    /// Whether a send would wait.
    pub fn is_full(&self) -> bool {
        either!(self, tx => tx.is_full())
    }

    /// How many messages it holds; `None`: any number.
    pub fn capacity(&self) -> Option<u64> {
        either!(self, tx => tx.capacity())
    }

    /// One more, for another thread.
    pub fn another(&self) -> Result<Self> {
        Ok(match self {
            Self::Plain(tx) => Self::Plain(tx.try_clone()?),
            Self::Tasks(tx) => Self::Tasks(tx.try_clone()?.into()),
        })
    }

    /// Waits until all items are finished.
    pub fn join(&mut self, until: Until) -> Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tasks(tx) => tx.join_until(until),
        }
    }
}

impl Rx {
    /// The oldest message: in `buffer`, or where it lies if it is longer than `max_copy`.
    #[inline]
    pub fn recv(&mut self, buffer: &mut Vec<u8>, max_copy: usize, until: Until) -> Result<Message> {
        match self {
            Self::Plain(rx) => rx.recv_message(buffer, max_copy, until),
            // An item stays where it is until it is done: it is copied, however long.
            Self::Tasks(rx) => rx.recv_message(buffer, until),
        }
    }

    /// Up to `max` messages, waiting for the first one only.
    pub fn recv_many(&mut self, batch: &mut Batch, max: usize, until: Until) -> Result<usize> {
        either!(self, rx => rx.recv_messages(batch, max, until))
    }

    /// How many items wait.
    pub fn len(&self) -> u64 {
        either!(self, rx => rx.len())
    }

    /// One more, for another thread.
    pub fn another(&self) -> Result<Self> {
        Ok(match self {
            Self::Plain(rx) => Self::Plain(rx.try_clone()?),
            Self::Tasks(rx) => Self::Tasks(rx.try_clone()?.into()),
        })
    }

    /// Finishes the lease with this number.
    pub fn done(&mut self, lease: u64) -> Result<()> {
        match self {
            Self::Plain(_) => Err(Error::NotYourLease),
            Self::Tasks(rx) => rx.task_done(lease),
        }
    }

    /// Finishes the oldest lease of this process.
    pub fn done_oldest(&mut self) -> Result<()> {
        match self {
            Self::Plain(_) => Err(Error::NotYourLease),
            Self::Tasks(rx) => rx.task_done_oldest(),
        }
    }

    /// Finishes an item of another process, or one that nobody has taken yet.
    pub fn done_any(&mut self) -> Result<()> {
        match self {
            Self::Plain(_) => Err(Error::NotYourLease),
            Self::Tasks(rx) => rx.task_done_of_any(),
        }
    }

    /// How many items are not finished.
    pub fn unfinished(&self) -> u64 {
        match self {
            Self::Plain(rx) => rx.len(),
            Self::Tasks(rx) => rx.unfinished(),
        }
    }

    /// Takes the oldest item out that came back too often.
    pub fn take_dead_letter(&mut self) -> Result<Option<DeadLetter<Vec<u8>>>> {
        match self {
            Self::Plain(_) => Ok(None),
            Self::Tasks(rx) => rx.take_dead_letter(),
        }
    }
}
