//! Workers that are killed while they work, for `--kill`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slipring::PipeReader;

use super::collect::Events;
use super::family::Family;
use super::staff::Staff;
use crate::failure::Failure;

/// How often it is looked whether a worker has taken something, and between two kills.
const TICK: Duration = Duration::from_micros(200);

/// Kills a worker whenever workers hold something, and starts another in its place, until so many were killed.
pub struct Kills {
    staff: Staff,
    /// The next one comes first.
    workers: VecDeque<usize>,
    left: usize,
    next: Instant,
}

impl Kills {
    pub fn new(staff: Staff, workers: Vec<usize>, kills: usize) -> Self {
        Self { staff, workers: workers.into(), left: kills, next: Instant::now() }
    }
}

impl Events<PipeReader> for &mut Kills {
    fn happen(&mut self, family: &mut Family) -> Result<Option<PipeReader>, Failure> {
        if self.left == 0 || Instant::now() < self.next || !self.staff.is_work_held() {
            return Ok(None);
        }
        let Some(victim) = self.workers.pop_front() else { return Ok(None) };
        self.next = Instant::now() + TICK;
        if !family.kill(victim)? {
            // It had ended; another one has what is held.
            return Ok(None);
        }
        self.left -= 1;
        self.staff.reap();
        let (worker, source) = self.staff.start_worker(family)?;
        self.workers.push_back(worker);
        Ok(Some(source))
    }

    fn next(&self) -> Option<Duration> {
        (self.left > 0).then_some(TICK)
    }
}
