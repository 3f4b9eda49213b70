//! Which process this is, what forks it, and how many CPUs it has.

use std::io;

/// Pid in this process's own pid namespace.
pub(crate) fn pid() -> u32 {
    rustix::process::getpid().as_raw_nonzero().get().cast_unsigned()
}

/// Inode of this process's pid namespace: pids compare only where it is equal.
pub(crate) fn pid_namespace() -> io::Result<u64> {
    Ok(rustix::fs::stat("/proc/self/ns/pid")?.st_ino)
}

/// When this process started, in clock ticks since boot: with the pid it names a process for good.
pub(crate) fn start_time() -> io::Result<u64> {
    let stat = std::fs::read("/proc/self/stat")?;
    parse_start_time(&stat).ok_or_else(|| io::Error::other("/proc/self/stat has no field 22"))
}

/// Field 22. Field 2 is the command in parentheses and may hold anything, so counting starts at the last `)`.
fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let after = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let text = std::str::from_utf8(&stat[after..]).ok()?;
    // The first word after the command is field 3.
    text.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// A handler of [`at_fork`]. It runs in the thread that forks, the child's one before that thread does anything else.
pub(crate) type ForkHandler = unsafe extern "C" fn();

/// Has `prepare` called before each fork of this process, `parent` and `child` after it. There is no way to
/// unregister, so call it once. `vfork` and `posix_spawn` run no handlers.
pub(crate) fn at_fork(
    prepare: ForkHandler,
    parent: ForkHandler,
    child: ForkHandler,
) -> io::Result<()> {
    // SAFETY: the three are functions of this program, which is never unloaded while it can fork.
    match unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// How many CPUs this thread may run on; at least 1.
pub(crate) fn cpu_count() -> u32 {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipring_core::primitive::{AtomicU32, Ordering};

    #[test]
    fn this_process_is_known_by_pid_namespace_and_start() {
        assert_eq!(pid(), std::process::id());
        assert!(pid_namespace().unwrap() > 0);
        assert!(start_time().unwrap() > 0);
    }

    #[test]
    fn the_start_is_found_whatever_the_command_is_called() {
        let fields = "S 1 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 777 9 9";
        for command in ["(a)", "(a b)", "(:) S 1 2)", "(()"] {
            let stat = format!("42 {command} {fields}");
            assert_eq!(parse_start_time(stat.as_bytes()), Some(777), "{command}");
        }
        for bad in ["", "42 (a", "42 (a) S 1", "42 (a) S 1 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 x"] {
            assert_eq!(parse_start_time(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_cpus_are_counted() {
        assert!(cpu_count() >= 1);
        assert!(cpu_count() <= 4096);
    }

    #[test]
    fn handlers_run_around_a_fork() {
        static STEPS: AtomicU32 = AtomicU32::new(0);
        unsafe extern "C" fn prepare() {
            STEPS.fetch_or(1, Ordering::Relaxed);
        }
        unsafe extern "C" fn parent() {
            STEPS.fetch_or(2, Ordering::Relaxed);
        }
        unsafe extern "C" fn child() {
            STEPS.fetch_or(4, Ordering::Relaxed);
        }
        at_fork(prepare, parent, child).unwrap();
        // SAFETY: the child does nothing but leave.
        let forked = unsafe { libc::fork() };
        if forked == 0 {
            let code = STEPS.load(Ordering::Relaxed) as i32;
            // SAFETY: leaves at once, without running anything of the parent's.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: `status` is a valid place; `forked` is a child of ours.
        assert_eq!(unsafe { libc::waitpid(forked, &raw mut status, 0) }, forked);
        assert!(libc::WIFEXITED(status));
        assert_eq!(libc::WEXITSTATUS(status) & 5, 5, "prepare and child ran");
        assert_eq!(STEPS.load(Ordering::Relaxed) & 3, 3, "prepare and parent ran");
    }
}
