//! How a segment is to be made.

use std::ffi::{OsStr, OsString};
use std::io;

use super::geometry::MIN_RESERVE;
use crate::error::{Error, Result};
use crate::sys::pieces;

/// Address space of a segment unless told otherwise: 128 GiB, which cost nothing until they are used.
pub const DEFAULT_RESERVE: u64 = 128 << 30;
/// The variable that says something else: a number of bytes, or of units of 1024, 1024² or 1024³ with K, M or G behind it.
const VARIABLE: &str = "SLIPRING_RESERVE";

/// Address space of a named segment unless told otherwise: 32 GiB, so that a process can have a thousand of them. Where its
/// address space is rationed (`ulimit -v`), it is less: a part of what is left when there is room for others.
pub const NAMED_RESERVE: u64 = 32 << 30;

/// So many segments of one process are to find room where address space is rationed.
const AT_ONCE: u64 = 1024;

/// The reserve of a named segment in a process that has `count` segments, has used so much of its address space, and may
/// use `limit`.
pub(crate) fn named_reserve(limit: Option<u64>, used: u64, count: u64) -> u64 {
    let Some(limit) = limit else { return NAMED_RESERVE };
    // What the smallest take that are to come; they cannot keep more than half.
    let one = MIN_RESERVE.min(limit / 2 / AT_ONCE);
    let others = one * AT_ONCE.saturating_sub(count);
    let spare = limit.saturating_sub(used).saturating_sub(others);
    (spare / 8).clamp(MIN_RESERVE, NAMED_RESERVE)
}

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

/// From now on segments that this process makes or opens take address space as they use it, and not their whole reserve at
/// once: for programs that live under a limit of it (`ulimit -v`, RLIMIT_AS), or give themselves one. Those that are mapped
/// already stay as they are. In Python it is always so.
///
/// What takes more of a segment needs its descriptor then. A program that has closed it ([`Error::DescriptorsClosed`]) goes on
/// with what was used before.
///
/// ```
/// use slipring::{ByteQueue, Segment, segment};
///
/// segment::map_in_pieces();
/// let segment = Segment::create()?;
/// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 4)?;
/// sender.send(&[7; 10_000_000])?;
/// assert_eq!(receiver.recv()?.len(), 10_000_000);
/// # Ok::<(), slipring::Error>(())
/// ```
pub fn map_in_pieces() {
    pieces::map_in_pieces();
}

impl SegmentOptions {
    /// [`DEFAULT_RESERVE`], or [`NAMED_RESERVE`] for what has a name, or what the variable `SLIPRING_RESERVE` says (`4G`,
    /// `512M`, bytes); no budget but the cgroup's limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Address space in bytes, rounded up to whole chunks. It is never enlarged later. A default reserve is halved where
    /// address space or the size of files is rationed (`ulimit -v`, `ulimit -f`); one asked for here is not.
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

    /// The reserve of a segment that has `default` unless told otherwise, and whether it was asked for.
    pub(crate) fn wanted_reserve(&self, default: u64) -> Result<(u64, bool)> {
        match self.reserve {
            Some(bytes) => Ok((bytes, true)),
            None => Ok((variable_or(default, std::env::var_os(VARIABLE))?, false)),
        }
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

/// The reserve that the variable says, or `default` where it is not set.
fn variable_or(default: u64, variable: Option<OsString>) -> Result<u64> {
    let Some(text) = variable.filter(|text| !text.is_empty()) else { return Ok(default) };
    bytes_of(&text).ok_or(Error::Io {
        op: "understand the variable SLIPRING_RESERVE; give it a number of bytes, or one with K, M or G behind it",
        source: io::ErrorKind::InvalidInput.into(),
    })
}

fn bytes_of(text: &OsStr) -> Option<u64> {
    let text = text.to_str()?;
    let (number, shift) = match text.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reserves of so many named segments, made one after the other.
    fn reserves(limit: u64, count: u64) -> Vec<u64> {
        let mut used = 200 << 20;
        let one = |n| {
            let reserve = named_reserve(Some(limit), used, n);
            used += reserve + 4096;
            reserve
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn where_address_space_is_rationed_the_first_have_much_and_a_thousand_have_room() {
        assert_eq!(named_reserve(None, 0, 5000), NAMED_RESERVE);
        for limit in [64_u64 << 30, 100 << 30, 1 << 40, 1 << 46] {
            let all = reserves(limit, 1000);
            assert!(all[0] >= 3 << 30 && all.iter().all(|reserve| *reserve >= MIN_RESERVE));
            assert!(all.iter().sum::<u64>() + (300 << 20) < limit, "{limit}");
        }
        for limit in [1_u64 << 30, 4 << 30, 16 << 30] {
            let half_of_smallest = limit / 2 / MIN_RESERVE;
            let all = reserves(limit, half_of_smallest);
            assert!(all.iter().sum::<u64>() < limit, "{limit}");
            assert!(limit == 1 << 30 || all[0] >= limit / 24, "{limit}: {}", all[0]);
        }
        assert_eq!(named_reserve(Some(1 << 20), 1 << 30, 0), MIN_RESERVE);
    }

    #[test]
    fn the_default_reserve_is_what_the_variable_says() {
        let said = |text: &str| variable_or(DEFAULT_RESERVE, Some(text.into()));
        assert_eq!(variable_or(5, None).unwrap(), 5);
        assert_eq!(said("").unwrap(), DEFAULT_RESERVE, "empty is as good as none");
        assert_eq!(said("67108864").unwrap(), 64 << 20);
        assert_eq!((said("512M").unwrap(), said("4g").unwrap()), (512 << 20, 4 << 30));
        assert_eq!(said("70000K").unwrap(), 70000 << 10);
        for bad in ["G", "-1", "1.5G", "4GiB", "4 G", "99999999999G", "größe"] {
            let error = said(bad).unwrap_err().to_string();
            assert!(error.contains("SLIPRING_RESERVE") && error.contains("K, M or G"), "{error}");
        }
    }

    #[test]
    fn the_lower_of_budget_and_limit_counts() {
        let options = SegmentOptions::new();
        assert_eq!(options.budget_under(None), u64::MAX);
        assert_eq!(options.budget_under(Some(5)), 5);
        assert_eq!(options.budget(4).budget_under(Some(5)), 4);
        assert_eq!(options.budget(6).budget_under(Some(5)), 5);
    }
}
