//! `Pair`: two words that can be replaced in one step (`lock cmpxchg16b`).
//!
//! The instruction is written out, not taken from a crate with a fallback: a fallback would be a lock private to one
//! process, which in shared memory is no lock at all. A CPU without the instruction is refused by [`check_cpu`].

use super::{AtomicU64, Ordering};

/// This CPU lacks the 16-byte compare-and-swap (`cmpxchg16b`) that the rings are built on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnsupportedCpu;

impl core::fmt::Display for UnsupportedCpu {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("this CPU has no 16-byte compare-and-swap (cmpxchg16b), which the rings need")
    }
}

impl core::error::Error for UnsupportedCpu {}

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "slipring runs on x86-64 only so far: core/src/primitive/pair.rs needs a 16-byte compare-and-swap"
);

/// Asks the CPU for the 16-byte compare-and-swap. Call it once before a segment is used.
///
/// # Errors
///
/// [`UnsupportedCpu`] where the instruction is missing: nothing here may be used then.
pub fn check_cpu() -> Result<(), UnsupportedCpu> {
    const CMPXCHG16B: u32 = 1 << 13;
    #[allow(unused_unsafe, reason = "a safe function in newer versions of Rust than our oldest")]
    // SAFETY: every x86-64 CPU has `cpuid`, and leaf 1 of it.
    let features = unsafe { core::arch::x86_64::__cpuid(1) };
    if features.ecx & CMPXCHG16B != 0 { Ok(()) } else { Err(UnsupportedCpu) }
}

/// Two adjacent words. Each can be loaded and compared-and-swapped alone; both can be replaced in one step.
#[cfg(not(loom))]
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Pair {
    lo: AtomicU64,
    hi: AtomicU64,
}

#[cfg(not(loom))]
impl Pair {
    /// A pair with these words.
    pub const fn new(lo: u64, hi: u64) -> Self {
        Self { lo: AtomicU64::new(lo), hi: AtomicU64::new(hi) }
    }

    /// Loads the low word.
    #[inline]
    pub fn lo(&self, order: Ordering) -> u64 {
        self.lo.load(order)
    }

    /// Loads the high word.
    #[inline]
    pub fn hi(&self, order: Ordering) -> u64 {
        self.hi.load(order)
    }

    /// Stores the low word.
    #[inline]
    pub fn store_lo(&self, value: u64, order: Ordering) {
        self.lo.store(value, order);
    }

    /// Stores the high word.
    #[inline]
    pub fn store_hi(&self, value: u64, order: Ordering) {
        self.hi.store(value, order);
    }

    /// Replaces the low word if it is `old`; the high word stays.
    #[inline]
    pub fn replace_lo(&self, old: u64, new: u64, success: Ordering) -> bool {
        // ORDERING: a failed attempt reads nothing through the word, so Relaxed.
        self.lo.compare_exchange(old, new, success, Ordering::Relaxed).is_ok()
    }

    /// Replaces both words if both are `old`. A full fence, whether it succeeds or not.
    #[inline]
    pub fn replace(&self, old: (u64, u64), new: (u64, u64)) -> bool {
        let done: u8;
        // SAFETY: `self` is 16 bytes of valid memory, aligned to 16, that is only accessed atomically.
        // SAFETY: rbx, which the compiler keeps for itself, is exchanged in and back; `self` is in rdi, not in rbx.
        // SAFETY: `check_cpu` has been asked before any shared memory is mapped.
        unsafe {
            core::arch::asm!(
                "xchg {new_lo}, rbx",
                "lock cmpxchg16b [rdi]",
                "sete sil",
                "mov rbx, {new_lo}",
                new_lo = inout(reg) new.0 => _,
                in("rdi") self,
                in("rcx") new.1,
                inout("rax") old.0 => _,
                inout("rdx") old.1 => _,
                out("sil") done,
                options(nostack),
            );
        }
        done != 0
    }
}

/// Two adjacent words. Under loom one word of 64 bits holds both, 32 bits each: models are small enough.
#[cfg(loom)]
#[derive(Debug)]
pub struct Pair(AtomicU64);

#[cfg(loom)]
impl Pair {
    /// A pair with these words.
    pub fn new(lo: u64, hi: u64) -> Self {
        Self(AtomicU64::new(pack(lo, hi)))
    }

    /// Loads the low word.
    pub fn lo(&self, order: Ordering) -> u64 {
        self.0.load(order) & u64::from(u32::MAX)
    }

    /// Loads the high word.
    pub fn hi(&self, order: Ordering) -> u64 {
        self.0.load(order) >> 32
    }

    /// Stores the low word.
    pub fn store_lo(&self, value: u64, order: Ordering) {
        while !self.replace_lo(self.lo(Ordering::Relaxed), value, order) {}
    }

    /// Stores the high word.
    pub fn store_hi(&self, value: u64, order: Ordering) {
        loop {
            let now = self.0.load(Ordering::Relaxed);
            let new = pack(now & u64::from(u32::MAX), value);
            if self.0.compare_exchange(now, new, order, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Replaces the low word if it is `old`; the high word stays.
    pub fn replace_lo(&self, old: u64, new: u64, success: Ordering) -> bool {
        loop {
            let now = self.0.load(Ordering::Relaxed);
            if now & u64::from(u32::MAX) != old {
                return false;
            }
            let next = pack(new, now >> 32);
            if self.0.compare_exchange(now, next, success, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
    }

    /// Replaces both words if both are `old`.
    pub fn replace(&self, old: (u64, u64), new: (u64, u64)) -> bool {
        let (old, new) = (pack(old.0, old.1), pack(new.0, new.1));
        self.0.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

#[cfg(loom)]
fn pack(lo: u64, hi: u64) -> u64 {
    assert!(
        lo >> 32 == 0 && hi >> 32 == 0,
        "a loom model's words must fit 32 bits: {lo:#x} {hi:#x}"
    );
    lo | hi << 32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn both_words_change_together_or_not_at_all() {
        check_cpu().unwrap();
        let pair = Pair::new(1, 2);
        assert!(!pair.replace((1, 3), (8, 9)));
        assert_eq!((pair.lo(Ordering::Relaxed), pair.hi(Ordering::Relaxed)), (1, 2));
        assert!(pair.replace((1, 2), (u64::MAX, 9)));
        assert_eq!((pair.lo(Ordering::Relaxed), pair.hi(Ordering::Relaxed)), (u64::MAX, 9));
        assert!(pair.replace_lo(u64::MAX, 0, Ordering::AcqRel));
        assert!(pair.replace((0, 9), (5, 6)));
        assert_eq!((pair.lo(Ordering::Relaxed), pair.hi(Ordering::Relaxed)), (5, 6));
    }

    #[test]
    fn two_threads_count_with_it_without_losing_one() {
        let pair = Pair::new(0, 0);
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    for _ in 0..10_000 {
                        loop {
                            let now = (pair.lo(Ordering::Relaxed), pair.hi(Ordering::Relaxed));
                            if pair.replace(now, (now.0 + 1, now.1 + 2)) {
                                break;
                            }
                        }
                    }
                });
            }
        });
        assert_eq!((pair.lo(Ordering::Relaxed), pair.hi(Ordering::Relaxed)), (20_000, 40_000));
    }
}
