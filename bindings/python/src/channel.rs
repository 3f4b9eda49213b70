//! What a queue is in one process: its two sides, and spare ones for threads that wait.
//!
//! Whatever does not wait uses the one pair of sides, with the interpreter's lock held. A thread that waits, or copies
//! much, takes another pair and gives the lock up; so no thread holds up another, and a process that is forked meanwhile
//! finds the first pair as it should be.

use std::collections::VecDeque;

use pyo3::prelude::*;
use slipring::{Batch, Loan, Message, Until};

use crate::attached::Attached;
use crate::blocking::{self, Deadline};
use crate::codec::{Encoded, LONG, MAX_COPY};
use crate::ends::{Rx, Tx};
use crate::refusal::{Refusal, Side};
use crate::watched::Watched;

/// The state of one queue object.
pub struct Channel {
    pub tx: Tx,
    pub rx: Rx,
    spare_tx: Vec<Tx>,
    spare_rx: Vec<Rx>,
    /// Where short messages are copied to. It keeps its capacity.
    buffer: Vec<u8>,
    /// Leases that this object's `get` took, the oldest first. Some may be a forking parent's.
    pub leases: VecDeque<u64>,
    pub closed: bool,
    /// Whether anything was ever put by this process.
    pub used: bool,
    /// What several messages are received into. It keeps its capacity.
    pub batch: Option<Batch>,
    /// Descriptors, once somebody has asked for them.
    pub watched_rx: Option<Watched>,
    pub watched_tx: Option<Watched>,
}

impl Channel {
    pub fn new((tx, rx): (Tx, Rx)) -> Self {
        Self {
            tx,
            rx,
            spare_tx: Vec::new(),
            spare_rx: Vec::new(),
            buffer: Vec::new(),
            leases: VecDeque::new(),
            closed: false,
            used: false,
            batch: None,
            watched_rx: None,
            watched_tx: None,
        }
    }
}

/// Where a channel is kept: there is none until its object is initialised.
pub type Place = Attached<Option<Box<Channel>>>;

/// A message that was taken, with the bytes of one that was copied.
pub type Taken = (Message, Vec<u8>);

/// Calls `f` with the channel if it may be used.
#[inline]
pub fn with<R>(
    py: Python<'_>,
    place: &Place,
    f: impl FnOnce(&mut Channel) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    place.with(py, |channel| match channel {
        Some(channel) if !channel.closed => f(channel),
        Some(_) => Err(Refusal::Closed),
        None => Err(Refusal::Unmade),
    })
}

/// Puts a message. `deadline` is asked only where it must wait.
#[inline]
pub fn put(
    py: Python<'_>,
    place: &Place,
    message: &Encoded<'_>,
    deadline: impl FnOnce() -> PyResult<Deadline>,
) -> Result<(), Refusal> {
    let marked = message.is_marked();
    let Some(bytes) = message.as_slice().filter(|bytes| bytes.len() <= LONG) else {
        return put_pieces(py, place, message, deadline()?);
    };
    let sent = with(py, place, |channel| {
        channel.used = true;
        Ok(channel.tx.send(bytes, marked, Until::NOW)?)
    });
    match sent {
        Err(Refusal::NotNow) => {}
        sent => return sent,
    }
    let deadline = deadline()?;
    if deadline == Deadline::Now {
        return Err(Refusal::NotNow);
    }
    with_spare_tx(py, place, |tx| {
        blocking::wait(py, deadline, |until| tx.send(bytes, marked, until))
    })
}

/// Puts a message that is written straight into a block.
fn put_pieces(
    py: Python<'_>,
    place: &Place,
    message: &Encoded<'_>,
    deadline: Deadline,
) -> Result<(), Refusal> {
    let is_full = with(py, place, |channel| {
        channel.used = true;
        Ok(channel.tx.is_full())
    });
    if is_full? && deadline == Deadline::Now {
        return Err(Refusal::NotNow);
    }
    let (spans, marked) = (message.spans(), message.is_marked());
    let fill = |tx: &mut Tx| -> slipring::Result<Loan> {
        let mut loan = tx.loan(spans.len())?;
        // SAFETY: the loan is as long as the message, and nobody's memory but ours; `message` lives.
        unsafe { spans.write(loan.as_mut_ptr()) };
        loan.set_marked(marked);
        Ok(loan)
    };
    let mut loan = None;
    if spans.len() <= LONG {
        let sent = with(py, place, |channel| {
            let filled = fill(&mut channel.tx)?;
            Ok(offer(&mut channel.tx, &mut loan, filled, Until::NOW)?)
        });
        match sent {
            Err(Refusal::NotNow) if deadline != Deadline::Now => {}
            sent => return sent,
        }
    }
    with_spare_tx(py, place, |tx| {
        blocking::wait(py, deadline, |until| {
            let filled = loan.take().map_or_else(|| fill(tx), Ok)?;
            offer(tx, &mut loan, filled, until)
        })
    })
}

/// Sends `loan`, or puts it `aside` to be sent later.
pub fn offer(
    tx: &mut Tx,
    aside: &mut Option<Loan>,
    loan: Loan,
    until: Until,
) -> slipring::Result<()> {
    tx.offer(loan, until).map_err(|(loan, error)| {
        *aside = Some(loan);
        error
    })
}

/// Calls `wait` with a sending side that no other thread uses.
pub fn with_spare_tx<R>(
    py: Python<'_>,
    place: &Place,
    wait: impl FnOnce(&mut Tx) -> PyResult<Option<R>>,
) -> Result<R, Refusal> {
    let mut tx = with(py, place, |channel| match channel.spare_tx.pop() {
        Some(tx) => Ok(tx),
        None => Ok(channel.tx.another()?),
    })?;
    let done = wait(&mut tx);
    place.with(py, |channel| {
        if let Some(channel) = channel {
            channel.spare_tx.push(tx);
        }
    });
    done?.ok_or(Refusal::NotNow)
}

/// Calls `wait` with a receiving side that no other thread uses.
pub fn with_spare_rx<R>(
    py: Python<'_>,
    place: &Place,
    wait: impl FnOnce(&mut Rx) -> PyResult<Option<R>>,
) -> Result<R, Refusal> {
    let mut rx = with(py, place, |channel| match channel.spare_rx.pop() {
        Some(rx) => Ok(rx),
        None => Ok(channel.rx.another()?),
    })?;
    let done = wait(&mut rx);
    place.with(py, |channel| {
        if let Some(channel) = channel {
            channel.spare_rx.push(rx);
        }
    });
    done?.ok_or(Refusal::NotNow)
}

/// Takes the oldest message. `deadline` is asked only where it must wait.
#[inline]
pub fn get(
    py: Python<'_>,
    place: &Place,
    deadline: impl FnOnce() -> PyResult<Deadline>,
) -> Result<Taken, Refusal> {
    let taken = with(py, place, |channel| {
        let mut buffer = std::mem::take(&mut channel.buffer);
        match channel.rx.recv(&mut buffer, MAX_COPY, Until::NOW) {
            Ok(message) => {
                channel.leases.extend(message.lease);
                Ok((message, buffer))
            }
            Err(error) => {
                channel.buffer = buffer;
                Err(error.into())
            }
        }
    });
    match taken {
        Err(Refusal::NotNow) => get_slow(py, place, deadline()?),
        taken => taken,
    }
}

#[cold]
fn get_slow(py: Python<'_>, place: &Place, deadline: Deadline) -> Result<Taken, Refusal> {
    if deadline == Deadline::Now {
        return Err(Refusal::NotNow);
    }
    let mut buffer = Vec::new();
    let message = with_spare_rx(py, place, |rx| {
        blocking::wait(py, deadline, |until| rx.recv(&mut buffer, MAX_COPY, until))
    })?;
    if message.lease.is_some() {
        place.with(py, |channel| {
            if let Some(channel) = channel {
                channel.leases.extend(message.lease);
            }
        });
    }
    Ok((message, buffer))
}

/// Gives the buffer of a message that was decoded back, for the next one.
#[inline]
pub fn give_back(py: Python<'_>, place: &Place, buffer: Vec<u8>) {
    if buffer.capacity() <= LONG {
        place.with(py, |channel| {
            if let Some(channel) = channel {
                channel.buffer = buffer;
            }
        });
    }
}

/// Calls `f` with what watches a side, made when it is wanted for the first time.
pub fn watched<R>(
    py: Python<'_>,
    place: &Place,
    side: Side,
    f: impl FnOnce(&mut Watched) -> slipring::Result<R>,
) -> Result<R, Refusal> {
    with(py, place, |channel| {
        let watched = match side {
            Side::Get => &mut channel.watched_rx,
            Side::Put => &mut channel.watched_tx,
        };
        if watched.is_none() {
            *watched = Some(match side {
                Side::Get => Watched::of_rx(&channel.rx)?,
                Side::Put => Watched::of_tx(&channel.tx)?,
            });
        }
        let Some(watched) = watched else { return Err(Refusal::Closed) };
        Ok(f(watched)?)
    })
}
