//! The one shim for the machine: atomics, fences, cells and the 16-byte compare-and-swap.
//!
//! Nothing else in the workspace names `core::sync::atomic`; a clippy rule refuses it. Under `--cfg loom` the same
//! names are loom's, so that every interleaving of a small model can be tried.
//!
//! The types are layout-transparent: an [`AtomicU32`] is four bytes of shared memory.
//!
//! | file | what it holds |
//! |---|---|
//! | `atomic.rs` | atomic words |
//! | `cell.rs` | plain memory between two atomic words |
//! | `pair.rs` | two words that are replaced in one step |

mod atomic;
mod cell;
mod pair;

pub use atomic::{AtomicU32, AtomicU64, HookCell, Ordering};
pub use cell::DataCell;
pub use crossbeam_utils::CachePadded;
pub use pair::{Pair, UnsupportedCpu, check_cpu};

#[cfg(not(loom))]
use core::sync::atomic as imp;
#[cfg(loom)]
use loom::sync::atomic as imp;

/// Who pays for the store→load fence between "I published" and "does somebody sleep?".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FenceMode {
    /// The waker executes a full fence each time (31–35 ns per message between two cores).
    Symmetric,
    /// The waker has a compiler barrier only; whoever is about to sleep makes the kernel fence every running
    /// process of the segment ([`crate::wait::Waiter::fence_peers`]).
    Asymmetric,
}

/// A full fence.
#[inline]
#[cfg_attr(not(loom), allow(clippy::disallowed_methods, reason = "this is the shim"))]
pub fn fence_full() {
    imp::fence(Ordering::SeqCst);
}

/// The waker's side of the rendezvous "publish, then look for sleepers", where the publication was a plain store.
#[inline]
pub fn fence_light(mode: FenceMode) {
    #[cfg(not(loom))]
    #[allow(clippy::disallowed_methods, reason = "this is the shim")]
    match mode {
        FenceMode::Symmetric => imp::fence(Ordering::SeqCst),
        FenceMode::Asymmetric => imp::compiler_fence(Ordering::SeqCst),
    }
    // loom has no membarrier: both sides fence in the model, which is what the kernel makes of it.
    #[cfg(loom)]
    {
        let _ = mode;
        imp::fence(Ordering::SeqCst);
    }
}

/// The waker's side where the publication was a locked read-modify-write: on x86-64 that instruction is the fence
/// already, so only the compiler must be kept from moving the load above it.
#[inline]
pub fn fence_after_rmw() {
    #[cfg(not(loom))]
    #[allow(clippy::disallowed_methods, reason = "this is the shim")]
    imp::compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    imp::fence(Ordering::SeqCst);
}

/// Tells the CPU that this is a spin loop (`PAUSE`, about 25 ns here); under loom, lets another thread run.
#[inline]
pub fn spin_hint() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
