//! Which CPUs there are, pinning, and waiting without being a nuisance.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use slipring_core::primitive::spin_hint;

/// The CPUs that this process may use.
pub fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).expect("the CPUs of this process");
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Keeps the calling thread on `cpu`.
pub fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("a CPU of this process");
}

/// Nanoseconds of the clock that all processes share.
#[inline]
pub fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// How whoever cannot block waits: ours and rivals alike. A few pauses, twice as many each time, then the CPU is given
/// to others.
#[derive(Debug, Default)]
pub struct Patience(u32);

impl Patience {
    /// The last step of pausing.
    const LAST: u32 = 6;

    /// Waits a little; longer the next time.
    #[inline]
    pub fn wait(&mut self) {
        if self.0 > Self::LAST {
            std::thread::yield_now();
            return;
        }
        (0..1 << self.0).for_each(|_| spin_hint());
        self.0 += 1;
    }
}
