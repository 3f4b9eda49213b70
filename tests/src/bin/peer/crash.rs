//! The crash build's hook: a peer that is killed, or stopped, at a step that its environment names.

/// Installs the hook where the environment asks for it; nothing in other builds.
pub fn arm() {
    #[cfg(feature = "crash")]
    build::arm();
}

#[cfg(feature = "crash")]
mod build {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::sync::OnceLock;

    use slipring_core::crash_point;
    use slipring_core::primitive::{AtomicU32, Ordering};

    /// Which point, and how many times it is passed before it counts.
    static TARGET: OnceLock<(String, u32)> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    static TRACE: OnceLock<String> = OnceLock::new();

    pub fn arm() {
        if let Ok(target) = std::env::var("SLIPRING_CRASH_AT") {
            let (name, after) = target.split_once('#').unwrap_or((&target, "0"));
            let _ = TARGET.set((name.to_owned(), after.parse().unwrap_or(0)));
        }
        if let Ok(path) = std::env::var("SLIPRING_CRASH_TRACE") {
            let _ = TRACE.set(path);
        }
        crash_point::set_hook(hit);
    }

    fn hit(name: &'static str) {
        if let Some(path) = TRACE.get()
            && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
        {
            let _ = file.write_all(format!("{name}\n").as_bytes());
        }
        if let Some((target, after)) = TARGET.get()
            && target == name
            && PASSED.fetch_add(1, Ordering::Relaxed) == *after
        {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    }
}
