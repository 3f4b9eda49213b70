//! Slot rings, pipes and queues of `slipring`, between processes.

use slipring::{ByteQueue, ByteReceiver, ByteSender, SpinPolicy};
use slipring_benches::channels::ours::{self, segment};
use slipring_benches::message::stamp;
use slipring_benches::stream::{Put, Take};

use super::read_all;
use crate::exchange::{Site, Timing, answerer, asker, one_way, round_trips};
use crate::scenario::Scenario;

/// One sample of a slot ring: values, up to 1 KiB.
pub fn slots(scenario: Scenario, count: u64) -> Timing {
    match scenario.bytes() {
        8 => slots_of::<1>(scenario, count),
        64 => slots_of::<8>(scenario, count),
        1024 => slots_of::<128>(scenario, count),
        bytes => panic!("no slots of {bytes} bytes"),
    }
}

fn slots_of<const W: usize>(scenario: Scenario, count: u64) -> Timing {
    let segment = segment(spin(scenario));
    sample(scenario, count, || ours::slots::<W>(&segment, scenario.capacity() as u64))
}

/// One sample of a pipe: records in its ring, long ones in blocks.
pub fn pipe(scenario: Scenario, count: u64) -> Timing {
    let segment = segment(spin(scenario));
    sample(scenario, count, || ours::pipe(&segment, scenario.bytes()))
}

/// One sample of a queue: each message is copied into a block and out of it.
pub fn queue(scenario: Scenario, count: u64) -> Timing {
    let segment = segment(spin(scenario));
    let capacity = scenario.capacity() as u64;
    sample(scenario, count, || ours::queue(&segment, capacity, scenario.bytes()))
}

/// One sample of a queue whose receiver reads each message where it lies.
pub fn lent(scenario: Scenario, count: u64) -> Timing {
    let segment = segment(spin(scenario));
    let (capacity, size) = (scenario.capacity() as u64, scenario.bytes());
    sample(scenario, count, || {
        let (sender, receiver) = ByteQueue::bounded(&segment, capacity).expect("a queue");
        (LoanPut { sender, message: vec![0; size] }, ViewTake(receiver))
    })
}

/// As is the default, unless the scenario says how to wait.
fn spin(scenario: Scenario) -> SpinPolicy {
    match scenario {
        Scenario::OneWay(_) => SpinPolicy::Adaptive,
        Scenario::Spinning => SpinPolicy::Forever,
        Scenario::Blocking => SpinPolicy::Never,
    }
}

fn sample<P: Put + Send, T: Take + Send>(
    scenario: Scenario,
    count: u64,
    channel: impl Fn() -> (P, T),
) -> Timing {
    let (put, take) = channel();
    if !scenario.is_round_trip() {
        return one_way(Site::Processes, scenario.amount(count), || put, || take);
    }
    let (put_back, take_back) = channel();
    let ask = || asker(put, take_back);
    round_trips(Site::Processes, count, ask, || answerer(take, put_back))
}

/// Copies a message into a block and sends that.
struct LoanPut {
    sender: ByteSender,
    message: Vec<u8>,
}

/// Reads a message in its block.
struct ViewTake(ByteReceiver);

impl Put for LoanPut {
    #[inline]
    fn put(&mut self, number: u64) {
        stamp(&mut self.message, number);
        let mut loan = self.sender.loan(self.message.len()).expect("a block");
        loan.write_at(0, &self.message);
        self.sender.send_loan(loan).expect("a receiver lives");
    }
}

impl Take for ViewTake {
    #[inline]
    fn take(&mut self) -> u64 {
        let view = self.0.recv_view().expect("a sender lives");
        // SAFETY: the two processes of a sample are this program, and neither writes to a block that it has sent.
        read_all(unsafe { view.as_slice() })
    }
}
