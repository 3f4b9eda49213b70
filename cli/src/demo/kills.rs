//! Workers that are killed while they work, for `--kill`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slipring::PipeReader;

use super::collect::Events;
use super::family::Family;
use super::over_slipring::Run;
use crate::failure::Failure;

/// How often it is looked whether a worker has taken something, and between two kills.
const TICK: Duration = Duration::from_micros(200);

/// Kills a worker whenever workers hold something, and starts another in its place, until so many were killed.
pub struct Kills {
    run: Run,
    /// The next one comes first.
    workers: VecDeque<usize>,
    left: usize,
    next: Instant,
}

impl Kills {
    pub fn new(run: Run, workers: Vec<usize>, kills: usize) -> Self {
        Self { run, workers: workers.into(), left: kills, next: Instant::now() }
    }

    /// Whether workers have taken lines that they are not done with.
    fn is_work_held(&self) -> bool {
        self.run.receiver.unfinished() > self.run.receiver.len()
    }
}

impl Events<PipeReader> for &mut Kills {
    fn happen(&mut self, family: &mut Family) -> Result<Option<PipeReader>, Failure> {
        if self.left == 0 || Instant::now() < self.next || !self.is_work_held() {
            return Ok(None);
        }
        let Some(victim) = self.workers.pop_front() else { return Ok(None) };
        self.next = Instant::now() + TICK;
        if !family.kill(victim)? {
            // It had ended; another one has what is held.
            return Ok(None);
        }
        self.left -= 1;
        self.run.reap();
        let (worker, source) = self.run.start_worker(family)?;
        self.workers.push_back(worker);
        Ok(Some(source))
    }

    fn next(&self) -> Option<Duration> {
        (self.left > 0).then_some(TICK)
    }
}
