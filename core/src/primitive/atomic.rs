//! Layout-transparent atomic words.
#![allow(clippy::disallowed_types, reason = "the one place that names the machine's atomics")]

#[cfg(not(loom))]
use core::sync::atomic as imp;
#[cfg(loom)]
use loom::sync::atomic as imp;

pub use core::sync::atomic::Ordering;

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name(imp::$name);

        impl $name {
            /// A word with this value.
            #[cfg(not(loom))]
            #[inline]
            pub const fn new(value: $int) -> Self {
                Self(imp::$name::new(value))
            }

            /// A word with this value.
            #[cfg(loom)]
            pub fn new(value: $int) -> Self {
                Self(imp::$name::new(value))
            }

            /// Atomic load.
            #[inline]
            pub fn load(&self, order: Ordering) -> $int {
                self.0.load(order)
            }

            /// Atomic store.
            #[inline]
            pub fn store(&self, value: $int, order: Ordering) {
                self.0.store(value, order);
            }

            /// Stores `value`, returns what was there.
            #[inline]
            pub fn swap(&self, value: $int, order: Ordering) -> $int {
                self.0.swap(value, order)
            }

            /// Stores `new` if the word is `current`; returns what was there, `Ok` if it was stored.
            ///
            /// # Errors
            ///
            /// The value found, where it was not `current`.
            #[inline]
            pub fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                self.0.compare_exchange(current, new, success, failure)
            }

            /// Adds, wrapping; returns the old value.
            #[inline]
            pub fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                self.0.fetch_add(value, order)
            }

            /// Subtracts, wrapping; returns the old value.
            #[inline]
            pub fn fetch_sub(&self, value: $int, order: Ordering) -> $int {
                self.0.fetch_sub(value, order)
            }

            /// Bitwise or; returns the old value.
            #[inline]
            pub fn fetch_or(&self, value: $int, order: Ordering) -> $int {
                self.0.fetch_or(value, order)
            }

            /// Bitwise and; returns the old value.
            #[inline]
            pub fn fetch_and(&self, value: $int, order: Ordering) -> $int {
                self.0.fetch_and(value, order)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                // ORDERING: Relaxed; a glance for a human, nothing is read through it.
                core::fmt::Debug::fmt(&self.load(Ordering::Relaxed), f)
            }
        }
    };
}

word! {
    /// Four bytes of shared memory, always read and written atomically. Also the size of a futex.
    AtomicU32, u32
}
word! {
    /// Eight bytes of shared memory, always read and written atomically.
    AtomicU64, u64
}

#[cfg(not(loom))]
impl AtomicU32 {
    /// The machine's own type, for the futex calls.
    #[inline]
    pub(crate) fn machine(&self) -> &core::sync::atomic::AtomicU32 {
        &self.0
    }
}

/// A process-private place for a function, set once: a test harness's, or the one that rings. Not for shared memory.
pub struct HookCell<A>(core::sync::atomic::AtomicPtr<()>, core::marker::PhantomData<fn(A)>);

impl<A> HookCell<A> {
    /// No function yet.
    #[allow(clippy::new_without_default, reason = "const, for statics")]
    pub const fn new() -> Self {
        let none = core::sync::atomic::AtomicPtr::new(core::ptr::null_mut());
        Self(none, core::marker::PhantomData)
    }

    /// Sets the function.
    pub fn set(&self, hook: fn(A)) {
        // ORDERING: Release, pairs with the Acquire in `get`: what the installer prepared is seen by the hook.
        self.0.store(hook as *mut (), Ordering::Release);
    }

    /// The function, if one was set.
    pub fn get(&self) -> Option<fn(A)> {
        // ORDERING: Acquire, pairs with the Release in `set`.
        let hook = self.0.load(Ordering::Acquire);
        // SAFETY: a non-null value was made from exactly this function type in `set`.
        (!hook.is_null()).then(|| unsafe { core::mem::transmute::<*mut (), fn(A)>(hook) })
    }
}
