//! The crash build's hook: a peer that is killed, stopped or held up at a step that its environment names, and tells
//! which steps it passed.

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
    use std::time::Duration;

    use rustix::process::Signal;
    use slipring_core::crash_point;
    use slipring_core::primitive::{AtomicU32, Ordering};

    /// A point, and how many times it is passed before it counts.
    struct Target {
        name: String,
        after: u32,
        passed: AtomicU32,
    }

    impl Target {
        /// From `NAME#AFTER`.
        fn parse(text: &str) -> Self {
            let (name, after) = text.split_once('#').expect("NAME#AFTER");
            let after = after.parse().expect("a number behind #");
            Self { name: name.to_owned(), after, passed: AtomicU32::new(0) }
        }

        fn is_now(&self, name: &str) -> bool {
            self.name == name && self.passed.fetch_add(1, Ordering::Relaxed) == self.after
        }
    }

    static KILL: OnceLock<Target> = OnceLock::new();
    static STOP: OnceLock<Target> = OnceLock::new();
    static DELAY: OnceLock<Target> = OnceLock::new();
    static TRACE: OnceLock<String> = OnceLock::new();
    /// Long enough for another process to run into the gap.
    const GAP: Duration = Duration::from_millis(150);

    pub fn arm() {
        let cells = [
            ("SLIPRING_CRASH_AT", &KILL),
            ("SLIPRING_STOP_AT", &STOP),
            ("SLIPRING_DELAY_AT", &DELAY),
        ];
        for (variable, cell) in cells {
            if let Ok(target) = std::env::var(variable) {
                let _ = cell.set(Target::parse(&target));
            }
        }
        if let Ok(path) = std::env::var("SLIPRING_CRASH_TRACE") {
            let _ = TRACE.set(path);
        }
        crash_point::set_hook(hit);
    }

    fn hit(name: &'static str) {
        if KILL.get().is_none() {
            note(name);
        }
        if DELAY.get().is_some_and(|target| target.is_now(name)) {
            std::thread::sleep(GAP);
        }
        if KILL.get().is_some_and(|target| target.is_now(name)) {
            note(name);
            signal_self(Signal::KILL);
        }
        if STOP.get().is_some_and(|target| target.is_now(name)) {
            signal_self(Signal::STOP);
        }
    }

    fn signal_self(signal: Signal) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    }

    /// Leaves the name in the trace, with one system call.
    fn note(name: &str) {
        if let Some(path) = TRACE.get()
            && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
        {
            let _ = file.write_all(format!("{name}\n").as_bytes());
        }
    }
}
