//! `crash_point!("mpmc.push.after_publish")`: a place between two steps that touch shared memory.
//!
//! It compiles to nothing outside the crash build (feature `_crash`). There, a test harness installs a hook with
//! `set_hook` and kills or stops the process at any point by name, so that recovery is tested at every step and
//! not only where random kills happen to land. Names are unique: `file.operation.step`.

/// Marks a step at which the process may be killed by the crash harness.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "_crash")]
        $crate::crash_point::hit($name)
    };
}

#[cfg(feature = "_crash")]
mod build {
    use crate::primitive::HookCell;

    static HOOK: HookCell<&'static str> = HookCell::new();

    /// Installs the function that is called with the name of each point reached. One per process; later calls win.
    pub fn set_hook(hook: fn(&'static str)) {
        HOOK.set(hook);
    }

    /// Reports that `name` was reached. Use the macro.
    #[inline(never)]
    pub fn hit(name: &'static str) {
        if let Some(hook) = HOOK.get() {
            hook(name);
        }
    }
}

#[cfg(feature = "_crash")]
pub use build::{hit, set_hook};
