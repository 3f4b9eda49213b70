//! Which process this is, what forks it, and how many CPUs it has.

use std::io;

use rustix::process::Resource;

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

/// Which threads of a process sleep on a futex in the file with this inode, and at which offset of it. Empty where the
/// kernel does not tell this user.
pub(crate) fn futex_waits(pid: u32, inode: u64) -> Vec<(u32, u64)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let maps: Vec<_> = maps.lines().filter_map(|line| parse_map(line, inode)).collect();
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let waits = threads.flatten().filter_map(|thread| {
        let id = thread.file_name().to_str()?.parse().ok()?;
        let call = std::fs::read_to_string(thread.path().join("syscall")).ok()?;
        let address = parse_futex_wait(&call)?;
        let (start, _, offset) = maps.iter().find(|(s, e, _)| (*s..*e).contains(&address))?;
        Some((id, address - start + offset))
    });
    waits.collect()
}

/// `START-END PERMISSIONS OFFSET DEVICE INODE …` of `/proc/PID/maps`, where the inode is the one looked for.
fn parse_map(line: &str, inode: u64) -> Option<(u64, u64, u64)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let offset = words.nth(1)?;
    let found: u64 = words.nth(1)?.parse().ok()?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    (found == inode).then_some(())?;
    Some((hex(start)?, hex(end)?, hex(offset)?))
}

/// `NUMBER 0xADDRESS 0xOPERATION …` of `/proc/PID/task/TID/syscall`, where it is a wait on a futex.
fn parse_futex_wait(call: &str) -> Option<u64> {
    let mut words = call.split_ascii_whitespace();
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let number: i64 = words.next()?.parse().ok()?;
    let (address, operation) = (hex(words.next()?)?, hex(words.next()?)?);
    let command = i32::try_from(operation).ok()? & libc::FUTEX_CMD_MASK;
    let is_wait = command == libc::FUTEX_WAIT || command == libc::FUTEX_WAIT_BITSET;
    (number == libc::SYS_futex && is_wait).then_some(address)
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

/// The most address space that this process may have (`ulimit -v`), where there is a limit, and about how much it has then.
pub(crate) fn address_space() -> (Option<u64>, u64) {
    let Some(limit) = rustix::process::getrlimit(Resource::As).current else { return (None, 0) };
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').next().and_then(|pages| pages.parse().ok()).unwrap_or(0);
    (Some(limit), pages * rustix::param::page_size() as u64)
}

/// Where the mapping begins and ends that `address` lies in, as `/proc/self/maps` says.
pub(crate) fn map_at(address: usize) -> Option<(usize, usize)> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let ranges = maps.lines().filter_map(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
    });
    ranges.into_iter().find(|(start, end)| (*start..*end).contains(&address))
}

/// The inode of the file that is mapped at an address, and which of its bytes is there.
pub(crate) fn mapped_file_at(address: usize) -> Option<(u64, u64)> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        // 7f00-7f10 rw-s 00000000 00:01 1234 /memfd:slipring (deleted)
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        if !(start..usize::from_str_radix(end, 16).ok()?).contains(&address) {
            return None;
        }
        let offset = u64::from_str_radix(words.nth(1)?, 16).ok()?;
        Some((words.nth(1)?.parse().ok()?, offset + (address - start) as u64))
    })
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
    fn a_wait_is_found_in_what_the_kernel_tells() {
        let map = "7f00-8f00 rw-s 00010000 00:19 1234 /dev/shm/slipring.x y";
        assert_eq!(parse_map(map, 1234), Some((0x7f00, 0x8f00, 0x10000)));
        assert_eq!(parse_map(map, 1235), None);
        assert_eq!(parse_map("7f00-8f00", 1234), None);
        assert_eq!(parse_futex_wait("202 0x7f10 0x89 0x0 0x0 0x0 0x0 0x0 0x0"), Some(0x7f10));
        for other in
            ["running", "", "202 0x7f10 0x1 0x0", "0 0x7f10 0x0", "202 7 0x0", "-1 0x7 0x0"]
        {
            assert_eq!(parse_futex_wait(other), None, "{other}");
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
