//! A segment in use, scribbled over between our own operations on what is in it.

use std::fs::File;
use std::time::Duration;

use arbitrary::Arbitrary;
use slipring::{
    ByteQueue, ByteReceiver, ByteSender, Loan, Pipe, PipeOptions, PipeReader, PipeWriter, Segment,
    SegmentOptions, Until, View,
};

use crate::ops::Ops;
use crate::scribble::{Map, Scribble};

/// The smallest reserve that there is.
const RESERVE: u64 = 64 << 20;
/// Long enough to sleep once.
const SHORT: Duration = Duration::from_micros(50);

#[derive(Arbitrary, Debug)]
pub struct Input {
    asymmetric: bool,
    capacity: u8,
    ring: u8,
    class: u8,
    ops: Ops<Step>,
}

#[derive(Arbitrary, Debug)]
struct Step {
    scribble: Option<Scribble>,
    op: Op,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Send { queue: u8, len: u16, wait: bool },
    Receive { queue: u8, wait: bool },
    View { queue: u8 },
    Batch { queue: u8, count: u8 },
    Loan { less: u8 },
    SendLoan { queue: u8 },
    PipeSend { end: u8, len: u16, wait: bool },
    PipeReceive { end: u8, wait: bool },
    PipeView { end: u8 },
    PipePoll { end: u8, wait: bool },
    PipeWatch { end: u8 },
    PipeSendLoan { end: u8 },
    Look,
    CloneQueue { queue: u8 },
    ClonePipe { end: u8 },
    NewQueue { capacity: u8 },
    NewPipe,
    Close { queue: u8 },
    Drop { which: u8 },
    Reap,
    Trim,
    Attach,
    Detach,
}

/// A segment that costs little.
pub fn small_segment(asymmetric: bool) -> Segment {
    let options = SegmentOptions::new().reserve(RESERVE);
    let options = if asymmetric { options } else { options.symmetric_fences() };
    Segment::with(options).unwrap()
}

struct Rig {
    segment: Segment,
    map: Map,
    queues: Vec<(ByteSender, ByteReceiver)>,
    /// Ends of duplex pipes.
    pipes: Vec<(PipeReader, PipeWriter)>,
    loan: Option<Loan>,
    views: Vec<View>,
    /// Other participants that are this process, too.
    others: Vec<Segment>,
}

pub fn run(input: Input) {
    let segment = small_segment(input.asymmetric);
    let mut map = Map::of(File::from(segment.share_fd().unwrap()), input.class);
    // In this order: what is small lies where most is scribbled.
    let options = PipeOptions::new().ring(256 << (input.ring / 64));
    let (here, there) = Pipe::duplex_with(&segment, options).unwrap();
    let bounded = ByteQueue::bounded(&segment, u64::from(input.capacity % 5) + 1).unwrap();
    let unbounded = ByteQueue::unbounded(&segment).unwrap();
    map.survey();
    let mut rig = Rig {
        segment,
        map,
        queues: vec![bounded, unbounded],
        pipes: vec![here.split(), there.split()],
        loan: None,
        views: Vec::new(),
        others: Vec::new(),
    };
    for Step { scribble, op } in input.ops.0 {
        scribble.iter().for_each(|scribble| rig.map.apply(scribble));
        rig.apply(op);
    }
}

/// The most handles of a kind.
const MOST: usize = 6;

impl Rig {
    /// Results are not looked at: after a scribble any of them may be right.
    fn apply(&mut self, op: Op) {
        match op {
            Op::Look => self.look(),
            Op::Reap => drop(self.segment.reap()),
            Op::Trim => drop(self.segment.trim()),
            Op::Attach if self.others.len() < MOST => {
                self.others.extend(Segment::another_from_fd(&self.map.file));
            }
            Op::Detach => drop(self.others.pop()),
            Op::NewQueue { capacity } => {
                self.queues.extend(ByteQueue::bounded(&self.segment, u64::from(capacity)));
            }
            Op::NewPipe => {
                let made = Pipe::duplex_with(&self.segment, PipeOptions::new().ring(256));
                let made = made.map(|(here, there)| [here.split(), there.split()]);
                self.pipes.extend(made.into_iter().flatten());
            }
            Op::Drop { which } => self.drop_one(which),
            Op::Loan { less } => {
                let len = self.map.focus().payload as usize - usize::from(less % 16);
                let writer = self.pipes.first_mut().map(|(_, writer)| writer);
                self.loan = writer.and_then(|writer| writer.loan(len).ok());
                if let Some(loan) = &mut self.loan {
                    loan.write_at(loan.len() / 2, &vec![9; loan.len() - loan.len() / 2]);
                }
            }
            op => {
                self.on_queue(&op);
                self.on_pipe(&op);
            }
        }
        self.queues.truncate(MOST);
        self.pipes.truncate(MOST);
    }

    fn on_queue(&mut self, op: &Op) {
        let (Op::Send { queue, .. }
        | Op::Receive { queue, .. }
        | Op::View { queue }
        | Op::Batch { queue, .. }
        | Op::SendLoan { queue }
        | Op::CloneQueue { queue }
        | Op::Close { queue }) = *op
        else {
            return;
        };
        let Some(index) = usize::from(queue).checked_rem(self.queues.len()) else { return };
        let (sender, receiver) = &mut self.queues[index];
        match *op {
            Op::Send { len, wait, .. } => drop(sender.send_until(&message(len), until(wait))),
            Op::Receive { wait, .. } => drop(receiver.recv_until(until(wait))),
            Op::View { .. } => self.views.extend(receiver.recv_view_until(Until::NOW)),
            Op::Batch { count, .. } if count % 2 == 0 => {
                // Enough to have an unbounded queue grow.
                let _ =
                    sender.send_batch((0..10 * u32::from(count)).map(u32::to_le_bytes), Until::NOW);
            }
            Op::Batch { count, .. } => {
                drop(receiver.recv_batch(10 * usize::from(count), Until::NOW));
            }
            Op::SendLoan { .. } => {
                let _ = self.loan.take().map(|loan| sender.send_loan_until(loan, Until::NOW));
            }
            Op::CloneQueue { .. } => {
                let pair = (sender.try_clone(), receiver.try_clone());
                if let (Ok(sender), Ok(receiver)) = pair {
                    self.queues.push((sender, receiver));
                }
            }
            _ => sender.close(),
        }
    }

    fn on_pipe(&mut self, op: &Op) {
        let (Op::PipeSend { end, .. }
        | Op::PipeReceive { end, .. }
        | Op::PipeView { end }
        | Op::PipePoll { end, .. }
        | Op::PipeWatch { end }
        | Op::PipeSendLoan { end }
        | Op::ClonePipe { end }) = *op
        else {
            return;
        };
        let Some(index) = usize::from(end).checked_rem(self.pipes.len()) else { return };
        let (reader, writer) = &mut self.pipes[index];
        match *op {
            Op::PipeSend { len, wait, .. } => drop(writer.send_until(&message(len), until(wait))),
            Op::PipeReceive { wait, .. } => drop(reader.recv_until(until(wait))),
            Op::PipeView { .. } => self.views.extend(reader.recv_view_until(Until::NOW)),
            Op::PipePoll { wait, .. } => drop(reader.poll(until(wait))),
            Op::PipeWatch { .. } => drop(reader.as_fd().map(drop)),
            Op::PipeSendLoan { .. } => {
                let _ = self.loan.take().map(|loan| writer.send_loan_until(loan, Until::NOW));
            }
            _ => {
                let pair = (reader.try_clone(), writer.try_clone());
                if let (Ok(reader), Ok(writer)) = pair {
                    self.pipes.push((reader, writer));
                }
            }
        }
    }

    fn look(&self) {
        let segment = &self.segment;
        let _ = (segment.participants(), segment.memory(), segment.blocks_in_use());
        for (sender, receiver) in &self.queues {
            let _ = (sender.len(), sender.is_full(), receiver.is_empty(), receiver.capacity());
            let _ = format!("{sender:?} {receiver:?}");
        }
        let _ = format!("{:?} {:?}", self.pipes, self.others);
        for view in &self.views {
            let bytes = view.to_vec();
            assert_eq!(bytes.len(), view.len());
            view.read_at(bytes.len() / 2, &mut vec![0; bytes.len() - bytes.len() / 2]);
        }
    }

    fn drop_one(&mut self, which: u8) {
        let index = usize::from(which / 4);
        match which % 4 {
            0 if !self.queues.is_empty() => {
                self.queues.swap_remove(index % self.queues.len());
            }
            1 if !self.pipes.is_empty() => {
                self.pipes.swap_remove(index % self.pipes.len());
            }
            2 => drop(self.views.pop()),
            _ => self.loan = None,
        }
    }
}

fn until(wait: bool) -> Until {
    if wait { SHORT.into() } else { Until::NOW }
}

/// Inline, in the ring, in a small block, in a large one.
fn message(len: u16) -> Vec<u8> {
    vec![len as u8; usize::from(if len.is_multiple_of(4) { len } else { len % 300 })]
}
