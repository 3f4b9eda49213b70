//! The two sides of every kind of channel, whichever a test is about: what sends, what receives, and what is given to a
//! peer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use slipring::handoff::Transfer;
use slipring::{
    ByteJoinableQueue, ByteJoinableReceiver, ByteLifoQueue, ByteLifoReceiver, BytePriorityQueue,
    BytePriorityReceiver, ByteQueue, ByteReceiver, ByteSender, Error, Handoff, Inherited,
    JoinableQueue, JoinableReceiver, Pipe, PipeReader, PipeWriter, Queue, Receiver, Result,
    Segment, SlotReceiver, SlotSender, Slots, Until,
};

/// Every kind of channel, and every way into a queue and a pipe.
pub const KINDS: [&str; 14] = [
    "bytes",
    "batches",
    "loans",
    "async",
    "unbounded",
    "values",
    "items",
    "tasks",
    "lifo",
    "priority",
    "slots",
    "slot-batches",
    "pipe",
    "pipe-loans",
];

/// How long an asynchronous send may wait.
const MOMENT: Duration = Duration::from_millis(1);

type Call = Box<dyn FnMut(Until) -> Result<()>>;
type Give = Box<dyn Fn(&mut Handoff)>;

/// One side of a channel.
pub struct Half {
    call: Call,
    give: Give,
}

impl std::fmt::Debug for Half {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Half")
    }
}

impl Half {
    fn new<H: Transfer + 'static>(
        name: &'static str,
        handle: H,
        mut call: impl FnMut(&mut H, Until) -> Result<()> + 'static,
    ) -> Self {
        let handle = Rc::new(RefCell::new(handle));
        let same = handle.clone();
        Self {
            call: Box::new(move |until| call(&mut handle.borrow_mut(), until)),
            give: Box::new(move |handoff| handoff.give(name, &*same.borrow()).expect("given")),
        }
    }

    /// Sends or receives one message.
    ///
    /// # Errors
    ///
    /// Those of the side.
    pub fn go(&mut self, until: impl Into<Until>) -> Result<()> {
        (self.call)(until.into())
    }

    /// For a peer.
    pub fn handoff(&self, segment: &Segment) -> Handoff {
        let mut handoff = Handoff::new(segment);
        (self.give)(&mut handoff);
        handoff
    }
}

/// A channel of a kind of [`KINDS`]: who sends, and who receives.
///
/// # Panics
///
/// For no such kind.
pub fn channel(kind: &str, segment: &Segment, capacity: u64) -> (Half, Half) {
    let made = match kind {
        "bytes" => ByteQueue::bounded(segment, capacity).map(|(tx, rx)| (bytes(tx), rx_bytes(rx))),
        "batches" => ByteQueue::bounded(segment, capacity).map(|(tx, rx)| {
            let send = |tx: &mut ByteSender, until| tx.send_batch([[7; 100]], until).map(drop);
            (Half::new("tx", tx, send), rx_bytes(rx))
        }),
        "loans" => ByteQueue::bounded(segment, capacity).map(|(tx, rx)| {
            let send = |tx: &mut ByteSender, until| {
                let loan = tx.loan(100)?;
                tx.send_loan_until(loan, until)
            };
            (Half::new("tx", tx, send), rx_bytes(rx))
        }),
        "async" => ByteQueue::bounded(segment, capacity).map(|(tx, rx)| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            // It waits for room in any case, so it is given a moment.
            let send = move |tx: &mut ByteSender, _| {
                let sent = async { tokio::time::timeout(MOMENT, tx.send_async(&[7; 100])).await };
                runtime.block_on(sent).unwrap_or(Err(Error::WouldBlock))
            };
            (Half::new("tx", tx, send), rx_bytes(rx))
        }),
        "unbounded" => ByteQueue::unbounded(segment).map(|(tx, rx)| (bytes(tx), rx_bytes(rx))),
        "values" => Queue::<u64>::bounded(segment, capacity).map(|(tx, rx)| {
            (Half::new("tx", tx, |tx, until| tx.send_until(&7, until)), rx_values(rx))
        }),
        "items" => ByteJoinableQueue::bounded(segment, capacity).map(|(tx, rx)| {
            (Half::new("tx", tx, |tx, until| tx.send_until(&[7; 100], until)), rx_items(rx))
        }),
        "tasks" => JoinableQueue::<u64>::bounded(segment, capacity).map(|(tx, rx)| {
            (Half::new("tx", tx, |tx, until| tx.send_until(&7, until)), rx_tasks(rx))
        }),
        "lifo" => ByteLifoQueue::bounded(segment, capacity).map(|(tx, rx)| {
            (Half::new("tx", tx, |tx, until| tx.send_until(&[7; 100], until)), rx_lifo(rx))
        }),
        "priority" => BytePriorityQueue::bounded(segment, capacity).map(|(tx, rx)| {
            (Half::new("tx", tx, |tx, until| tx.send_until(7, &[7; 100], until)), rx_priority(rx))
        }),
        "slots" => Slots::<u64>::new(segment, capacity).map(|(tx, rx)| {
            (Half::new("tx", tx, |tx, until| tx.send_until(&7, until)), rx_slots(rx))
        }),
        "slot-batches" => Slots::<u64>::new(segment, capacity).map(|(tx, rx)| {
            let send = |tx: &mut SlotSender<u64>, until| match tx.send_batch(&[7], until)? {
                0 => Err(Error::WouldBlock),
                _ => Ok(()),
            };
            (Half::new("tx", tx, send), rx_slots(rx))
        }),
        "pipe-loans" => Pipe::one_way(segment).map(|(rx, tx)| {
            let send = |tx: &mut PipeWriter, until| {
                let loan = tx.loan(100)?;
                tx.offer_loan(loan, until).map_err(|(_, error)| error)
            };
            (Half::new("tx", tx, send), rx_pipe(rx))
        }),
        "pipe" => Pipe::one_way(segment).map(|(rx, tx)| {
            (Half::new("tx", tx, |tx, until| tx.send_until(&[7; 8], until)), rx_pipe(rx))
        }),
        kind => panic!("{kind:?} is no kind of channel"),
    };
    made.expect("a channel")
}

/// The receiving side of such a channel, in a peer.
///
/// # Panics
///
/// If it was not given, or there is no such kind.
pub fn receiver(kind: &str, inherited: &mut Inherited) -> Half {
    match kind {
        "bytes" | "batches" | "loans" | "async" | "unbounded" => inherited.take("rx").map(rx_bytes),
        "values" => inherited.take("rx").map(rx_values),
        "items" => inherited.take("rx").map(rx_items),
        "tasks" => inherited.take("rx").map(rx_tasks),
        "lifo" => inherited.take("rx").map(rx_lifo),
        "priority" => inherited.take("rx").map(rx_priority),
        "slots" | "slot-batches" => inherited.take("rx").map(rx_slots),
        "pipe" | "pipe-loans" => inherited.take("rx").map(rx_pipe),
        kind => panic!("{kind:?} is no kind of channel"),
    }
    .expect("the peer was given a receiver")
}

fn bytes(tx: ByteSender) -> Half {
    Half::new("tx", tx, |tx, until| tx.send_until(&[7; 100], until))
}

fn rx_bytes(rx: ByteReceiver) -> Half {
    Half::new("rx", rx, |rx, until| rx.recv_until(until).map(drop))
}

fn rx_values(rx: Receiver<u64>) -> Half {
    Half::new("rx", rx, |rx, until| rx.recv_until(until).map(drop))
}

fn rx_items(rx: ByteJoinableReceiver) -> Half {
    Half::new("rx", rx, |rx, until| rx.recv_until(until)?.done())
}

fn rx_tasks(rx: JoinableReceiver<u64>) -> Half {
    Half::new("rx", rx, |rx, until| rx.recv_until(until)?.done())
}

fn rx_lifo(rx: ByteLifoReceiver) -> Half {
    Half::new("rx", rx, |rx, until| rx.recv_until(until).map(drop))
}

fn rx_priority(rx: BytePriorityReceiver) -> Half {
    Half::new("rx", rx, |rx, until| rx.recv_until(until).map(drop))
}

fn rx_slots(rx: SlotReceiver<u64>) -> Half {
    Half::new("rx", rx, |rx, until| rx.recv_until(until).map(drop))
}

fn rx_pipe(rx: PipeReader) -> Half {
    Half::new("rx", rx, |rx, until| rx.recv_until(until).map(drop))
}
