//! The workers of a run over slipring: how one is started, at the beginning or in place of another.

use slipring::{ByteJoinableReceiver, Handoff, Pipe, PipeReader, Segment};

use super::counts::Work;
use super::family::Family;
use super::launch;
use crate::failure::Failure;

/// The names under which children find their handles.
pub const LINES: &str = "lines";
pub const COUNTS: &str = "counts";

/// The workers of a run over slipring, and what it takes to start one.
pub struct Staff {
    segment: Segment,
    work: Work,
    /// Whether workers hold what they have taken until its counts are sent.
    hold: bool,
    started: usize,
    /// Given to workers.
    receiver: ByteJoinableReceiver,
}

impl Staff {
    /// Nobody yet.
    pub fn new(segment: Segment, receiver: ByteJoinableReceiver, work: Work, hold: bool) -> Self {
        Self { segment, work, hold, started: 0, receiver }
    }

    /// Where the queue is.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Whether workers have taken lines that they are not done with.
    pub fn is_work_held(&self) -> bool {
        self.receiver.unfinished() > self.receiver.len()
    }

    /// Starts a worker; returns which member of the family it is, and where its counts come from.
    pub fn start_worker(&mut self, family: &mut Family) -> Result<(usize, PipeReader), Failure> {
        let (reader, writer) = Pipe::one_way(&self.segment)?;
        let mut handoff = Handoff::new(&self.segment);
        handoff.give(LINES, &self.receiver)?;
        handoff.give(COUNTS, &writer)?;
        let mut command = launch::worker("worker", self.work);
        if self.hold {
            command.arg("--hold");
        }
        let child = handoff.spawn(&mut command)?;
        self.started += 1;
        Ok((family.adopt(format!("worker {}", self.started), child)?, reader))
    }

    /// Has what the dead held go to others at once.
    pub fn reap(&self) {
        self.segment.reap();
    }
}
