//! Random sequences of operations on queues between threads, each step compared with a queue that is plainly right, and
//! with a count of the values that there are.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;
use slipring::local::{Queue, Receiver, SendError, Sender};
use slipring::{Error, Until};

/// The copies of the `Arc` are the values that there are.
struct Counted {
    number: u64,
    _alive: Arc<()>,
}

#[derive(Clone, Debug)]
enum Step {
    Send,
    SendBatch(usize),
    Receive(usize),
    Clone,
    DropClone,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => Just(Step::Send),
        12 => Just(Step::Receive(1)),
        8 => (0..90_usize).prop_map(Step::SendBatch),
        8 => (0..90_usize).prop_map(Step::Receive),
        4 => Just(Step::Clone),
        4 => Just(Step::DropClone),
        1 => Just(Step::Close),
    ]
}

/// The queue, and beside it one that is plainly right.
struct Model {
    senders: Vec<Sender<Counted>>,
    receivers: Vec<Receiver<Counted>>,
    right: VecDeque<u64>,
    capacity: usize,
    closed: bool,
    next: u64,
    alive: Arc<()>,
}

/// A handle, each time another one.
fn pick<H>(handles: &mut [H], by: u64) -> &mut H {
    let count = handles.len();
    &mut handles[by as usize % count]
}

impl Model {
    fn new(capacity: Option<usize>) -> Self {
        let (tx, rx) = match capacity {
            Some(capacity) => Queue::bounded(capacity as u64).unwrap(),
            None => Queue::unbounded().unwrap(),
        };
        Self {
            senders: vec![tx],
            receivers: vec![rx],
            right: VecDeque::new(),
            capacity: capacity.unwrap_or(usize::MAX),
            closed: false,
            next: 0,
            alive: Arc::new(()),
        }
    }

    fn value(&mut self) -> Counted {
        self.next += 1;
        Counted { number: self.next, _alive: self.alive.clone() }
    }

    fn room(&self) -> usize {
        self.capacity - self.right.len()
    }

    fn send(&mut self) {
        let (room, value) = (self.room(), self.value());
        let number = value.number;
        match pick(&mut self.senders, number).try_send(value) {
            Ok(()) => {
                assert!(!self.closed && room > 0);
                self.right.push_back(number);
            }
            Err(SendError { value, error }) => {
                assert_eq!(value.number, number);
                match error {
                    Error::Closed => assert!(self.closed),
                    Error::WouldBlock => assert!(!self.closed && room == 0),
                    other => panic!("{other}"),
                }
            }
        }
    }

    fn send_batch(&mut self, count: usize) {
        let mut values: Vec<_> = (0..count).map(|_| self.value()).collect();
        let numbers: Vec<_> = values.iter().map(|v| v.number).collect();
        let fit = if self.closed { 0 } else { self.room().min(count) };
        match pick(&mut self.senders, self.next).send_batch(&mut values, Until::NOW) {
            Ok(sent) => assert_eq!(sent, fit),
            Err(Error::Closed) => assert!(self.closed),
            Err(Error::WouldBlock) => assert!(!self.closed && fit == 0),
            Err(other) => panic!("{other}"),
        }
        self.right.extend(&numbers[..fit]);
        assert!(
            values.iter().map(|v| v.number).eq(numbers[fit..].iter().copied()),
            "the rest stays"
        );
    }

    fn receive(&mut self, max: usize) {
        match pick(&mut self.receivers, self.next).recv_batch(max, Until::NOW) {
            Ok(values) => {
                let right: Vec<_> = self.right.drain(..max.min(self.right.len())).collect();
                assert!(values.iter().map(|v| v.number).eq(right));
            }
            Err(Error::Closed) => assert!(self.closed && self.right.is_empty()),
            Err(Error::WouldBlock) => assert!(!self.closed && self.right.is_empty()),
            Err(other) => panic!("{other}"),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send => self.send(),
            Step::SendBatch(count) => self.send_batch(count),
            Step::Receive(max) => self.receive(max),
            Step::Clone => {
                self.senders.push(self.senders[0].clone());
                self.receivers.push(self.receivers[0].try_clone().unwrap());
            }
            // One of each stays.
            Step::DropClone => {
                self.senders.truncate((self.senders.len() - 1).max(1));
                self.receivers.truncate((self.receivers.len() - 1).max(1));
            }
            Step::Close => {
                self.receivers[0].close();
                self.closed = true;
            }
        }
        self.check();
    }

    fn check(&self) {
        let len = self.right.len();
        assert_eq!(Arc::strong_count(&self.alive), 1 + len, "values that were dropped or lost");
        for receiver in &self.receivers {
            assert_eq!((receiver.len() as usize, receiver.is_empty()), (len, len == 0));
        }
        for sender in &self.senders {
            assert_eq!((sender.len() as usize, sender.is_full()), (len, len == self.capacity));
        }
    }

    /// All handles go, and with them the values that are left.
    fn end(self) {
        drop((self.senders, self.receivers));
        assert_eq!(Arc::strong_count(&self.alive), 1);
    }
}

fn run(capacity: Option<usize>, steps: Vec<Step>) {
    let mut model = Model::new(capacity);
    steps.into_iter().for_each(|step| model.run(step));
    model.end();
}

proptest! {
    #[test]
    fn a_bounded_queue_is_a_queue(
        capacity in 1..40_usize,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        run(Some(capacity), steps);
    }

    #[test]
    fn an_unbounded_queue_is_a_queue(steps in prop::collection::vec(step(), 1..120)) {
        run(None, steps);
    }
}
