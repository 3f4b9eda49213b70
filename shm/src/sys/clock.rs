//! `CLOCK_MONOTONIC` in nanoseconds, and deadlines on it.

use std::time::Duration;

pub(crate) use slipring_core::futex::Deadline;

/// Nanoseconds since the clock's start. The same clock in every process of the machine.
pub(crate) fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The same clock as it stood at its last tick, 1 to 10 ms ago: it is read in a few nanoseconds, whatever the machine's clock is.
pub(crate) fn coarse() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The same in milliseconds; the number comes again after 49 days.
pub(crate) fn coarse_millis() -> u32 {
    (coarse() / 1_000_000) as u32
}

/// The instant `wait` from now; the far end of the clock where that is beyond it.
pub(crate) fn deadline_in(wait: Duration) -> Deadline {
    deadline_at(now(), wait)
}

/// The instant `wait` after `now`, saturating.
pub(crate) fn deadline_at(now: u64, wait: Duration) -> Deadline {
    let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    Deadline { nanos: now.saturating_add(wait) }
}

/// What is left until `deadline`; zero when it has passed.
pub(crate) fn remaining(deadline: Deadline) -> Duration {
    Duration::from_nanos(deadline.nanos.saturating_sub(now()))
}

/// Sleeps until then, or until a signal handler has run.
pub(crate) fn sleep_until(deadline: Deadline) -> std::io::Result<()> {
    let rest = remaining(deadline);
    let tv_sec = i64::try_from(rest.as_secs()).unwrap_or(i64::MAX);
    let rest = rustix::thread::Timespec { tv_sec, tv_nsec: rest.subsec_nanos().into() };
    match rustix::thread::nanosleep(&rest) {
        rustix::thread::NanosleepRelativeResult::Ok => Ok(()),
        rustix::thread::NanosleepRelativeResult::Interrupted(_) => {
            Err(std::io::ErrorKind::Interrupted.into())
        }
        rustix::thread::NanosleepRelativeResult::Err(error) => Err(error.into()),
    }
}

/// Whether `deadline` has passed.
pub(crate) fn has_passed(deadline: Deadline) -> bool {
    deadline.nanos <= now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_does_not_run_backwards() {
        let first = now();
        assert!(first > 0 && now() >= first);
        let coarse = coarse();
        assert!(coarse <= now() && now() - coarse < 1_000_000_000);
    }

    #[test]
    fn a_deadline_saturates_and_counts_down_to_zero() {
        assert_eq!(deadline_at(5, Duration::MAX).nanos, u64::MAX);
        assert_eq!(deadline_at(u64::MAX, Duration::from_nanos(1)).nanos, u64::MAX);
        assert_eq!(deadline_at(5, Duration::from_nanos(6)).nanos, 11);
        assert_eq!(remaining(Deadline { nanos: 1 }), Duration::ZERO);
        assert!(has_passed(Deadline { nanos: 1 }));
        assert!(!has_passed(deadline_in(Duration::from_secs(60))));
        assert!(remaining(deadline_in(Duration::from_secs(60))) > Duration::from_secs(50));
    }
}
