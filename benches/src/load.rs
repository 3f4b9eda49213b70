//! How much of the machine others used while a sample was taken: the busy time of `/proc/stat` less our own.

use std::time::{Duration, Instant};

/// What `/proc/stat` counts in.
const TICK: Duration = Duration::from_millis(10);

/// What was used when the sample began.
#[derive(Debug)]
pub struct Meter {
    busy: Duration,
    own: Duration,
    began: Instant,
    cpus: u32,
}

impl Meter {
    /// The sample begins.
    pub fn start() -> Self {
        let (busy, cpus) = machine();
        Self { busy, own: own(), began: Instant::now(), cpus }
    }

    /// The part of the machine, 0 to 1, that others have used since. A tick in doubt is not counted.
    pub fn foreign(&self) -> f64 {
        let used = machine().0.saturating_sub(self.busy);
        let others = used.saturating_sub(own().saturating_sub(self.own)).saturating_sub(TICK);
        others.as_secs_f64() / self.began.elapsed().as_secs_f64() / f64::from(self.cpus)
    }
}

/// What all processes have used, and how many CPUs there are.
fn machine() -> (Duration, u32) {
    let stat = std::fs::read_to_string("/proc/stat").expect("/proc is mounted");
    let cpus = stat.lines().filter(|line| line.starts_with("cpu")).count().saturating_sub(1);
    (busy(stat.lines().next().unwrap_or("")), (cpus as u32).max(1))
}

/// The busy time of a line of `/proc/stat`: all but idle and waiting for a disk; guests are counted as users already.
fn busy(line: &str) -> Duration {
    let ticks = line.split_whitespace().skip(1).map(|word| word.parse::<u32>().unwrap_or(0));
    let busy = ticks.enumerate().filter(|(at, _)| !matches!(at, 3 | 4 | 8..));
    TICK * busy.map(|(_, ticks)| ticks).sum::<u32>()
}

/// What this process and its children that ended have used.
fn own() -> Duration {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(|who| usage(who).cpu).iter().sum()
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time, in user code and in the kernel.
    pub cpu: Duration,
    /// How often it went to sleep.
    pub sleeps: u64,
}

/// What the calling process has used.
pub fn usage_of_self() -> Usage {
    usage(libc::RUSAGE_SELF)
}

fn usage(who: libc::c_int) -> Usage {
    // SAFETY: a struct of integers: zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place.
    let failed = unsafe { libc::getrusage(who, &raw mut usage) };
    assert_eq!(failed, 0, "getrusage of {who}");
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
    };
    Usage { cpu: time(usage.ru_utime) + time(usage.ru_stime), sleeps: usage.ru_nvcsw as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_and_guests_are_not_busy_time() {
        let line = "cpu  100 20 30 99999 888 1 2 3 50 60";
        assert_eq!(busy(line), TICK * (100 + 20 + 30 + 1 + 2 + 3));
    }

    #[test]
    fn our_own_work_is_not_foreign() {
        let before = usage_of_self().cpu;
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(20) {}
        assert!(usage_of_self().cpu > before);
    }
}
