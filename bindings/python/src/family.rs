//! The segment in which a family of processes has its objects: a process, what it forked and what it spawned.
//!
//! It is made when the first object is. A forked child has its parent's; a spawned one takes the segment of the first
//! object that it is given. So ten thousand locks take one descriptor, and nothing has a name that could be left behind.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use slipring::{BoundedSemaphore, Segment};

use crate::error::raise;

static FAMILY: PyOnceLock<Segment> = PyOnceLock::new();

/// The family's segment, made where there is none yet.
pub fn segment(py: Python<'_>) -> PyResult<&'static Segment> {
    FAMILY.get_or_try_init(py, || {
        let segment = Segment::create().map_err(raise)?;
        segment.set_interruptible(true);
        Ok(segment)
    })
}

/// A segment of which this process was given an object: the family's, where it has none yet.
pub fn join(py: Python<'_>, segment: &Segment) {
    segment.set_interruptible(true);
    // Where there is one, it stays.
    let _ = FAMILY.get_or_init(py, || segment.clone());
}

/// The version of the engine.
#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// `(pid, is_dead)` of each process that takes part in the family's segment.
#[pyfunction]
pub fn participants(py: Python<'_>) -> PyResult<Vec<(u32, bool)>> {
    let everybody = segment(py)?.participants();
    Ok(everybody.iter().map(|one| (one.pid, one.is_dead)).collect())
}

/// How long `reap` waits for another process that repairs.
const PATIENCE: Duration = Duration::from_millis(200);

/// Looks for dead processes and repairs what they left; how many there were. If another process is at it, this waits for
/// that one a little. Blocked calls do this by themselves.
#[pyfunction]
pub fn reap(py: Python<'_>) -> PyResult<usize> {
    let segment = segment(py)?;
    Ok(py.detach(|| {
        let (mut buried, start) = (segment.reap(), Instant::now());
        while segment.participants().iter().any(|one| one.is_dead) && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
            buried += segment.reap();
        }
        buried
    }))
}

/// This process ends in good order: places of bounded semaphores that it holds stay taken, until somebody releases them.
#[pyfunction]
pub fn leave_permits(py: Python<'_>) -> PyResult<u32> {
    FAMILY.get(py).map_or(Ok(0), |segment| BoundedSemaphore::leave_all(segment).map_err(raise))
}

/// Gives the memory of long messages that were received back to the machine at once; about how many bytes that were. 0 where
/// there is no segment yet.
#[pyfunction]
pub fn trim(py: Python<'_>) -> PyResult<u64> {
    let Some(segment) = FAMILY.get(py) else { return Ok(0) };
    py.detach(|| segment.trim()).map_err(raise)
}

/// `(reserved, committed, budget)` bytes of the family's segment; the budget is None where there is none.
#[pyfunction]
pub fn segment_memory(py: Python<'_>) -> PyResult<(u64, u64, Option<u64>)> {
    let memory = segment(py)?.memory();
    Ok((memory.reserve, memory.committed, (memory.budget != u64::MAX).then_some(memory.budget)))
}
