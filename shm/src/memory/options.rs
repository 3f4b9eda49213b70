//! How a segment is to be made.

/// Address space of a segment unless told otherwise: 128 GiB, which cost nothing until they are used.
pub const DEFAULT_RESERVE: u64 = 128 << 30;

/// How large a segment may grow, and how much memory it may take.
///
/// ```
/// use slipring::{Segment, SegmentOptions};
///
/// let options = SegmentOptions::new().reserve(1 << 30).budget(64 << 20);
/// let segment = Segment::with(options)?;
/// assert!(segment.memory().committed < 1 << 20);
/// assert_eq!(segment.memory().budget, 64 << 20);
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SegmentOptions {
    reserve: Option<u64>,
    budget: Option<u64>,
    symmetric: bool,
}

impl SegmentOptions {
    /// [`DEFAULT_RESERVE`], no budget but the cgroup's limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Address space in bytes, rounded up to whole chunks. It is never enlarged later. A default reserve is halved where
    /// address space is rationed (`ulimit -v`); one asked for here is not.
    #[must_use]
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = Some(bytes);
        self
    }

    /// The most memory that the segment may take, in bytes. The memory limit of the creator's cgroup counts too,
    /// where it is lower.
    #[must_use]
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = Some(bytes);
        self
    }

    /// Has wakers fence, even where the kernel could have sleepers do it for them. Slower by some 25 ns per message;
    /// for processes whose seccomp filter forbids `membarrier`.
    #[must_use]
    pub fn symmetric_fences(mut self) -> Self {
        self.symmetric = true;
        self
    }

    /// The reserve asked for, and whether it was asked for.
    pub(crate) fn wanted_reserve(&self) -> (u64, bool) {
        (self.reserve.unwrap_or(DEFAULT_RESERVE), self.reserve.is_some())
    }

    /// The lower of the budget and `limit`; `u64::MAX` means none.
    pub(crate) fn budget_under(&self, limit: Option<u64>) -> u64 {
        self.budget.unwrap_or(u64::MAX).min(limit.unwrap_or(u64::MAX))
    }

    /// Whether wakers are to fence.
    pub(crate) fn wants_symmetric(&self) -> bool {
        self.symmetric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_of_budget_and_limit_counts() {
        let options = SegmentOptions::new();
        assert_eq!(options.budget_under(None), u64::MAX);
        assert_eq!(options.budget_under(Some(5)), 5);
        assert_eq!(options.budget(4).budget_under(Some(5)), 4);
        assert_eq!(options.budget(6).budget_under(Some(5)), 5);
    }
}
