//! Children by fork that pass a gate together and report.
//!
//! The parent forks while it has one thread only, so that a child may do anything. It sleeps until its children have
//! ended: it takes no CPU from them. A child that fails, or takes too long, ends the run for all.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open,
    set_parent_process_death_signal, waitpid,
};
use slipring_core::primitive::{AtomicU32, AtomicU64, CachePadded, Ordering, spin_hint};

use crate::cpu;
use crate::shared::Shared;

/// The most roles of one run.
pub const MAX_ROLES: usize = 16;
/// How long a run may take before its children are killed.
const PATIENCE: Duration = Duration::from_secs(120);
/// Looks at the gate before the CPU is given to others.
const LOOKS: u32 = 1000;

/// What a role found out.
pub type Facts = [u64; 4];

/// What became of one role.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// When it had passed the gate, in nanoseconds of the monotonic clock.
    pub began: u64,
    /// When it was done.
    pub ended: u64,
    /// What it returned.
    pub facts: Facts,
}

/// The shared words of a run.
#[repr(C)]
struct Board {
    /// How many have come to the gate.
    arrived: CachePadded<AtomicU32>,
    lines: [CachePadded<Line>; MAX_ROLES],
}

/// One role's. Written by it alone.
#[repr(C)]
struct Line {
    began: AtomicU64,
    ended: AtomicU64,
    facts: [AtomicU64; 4],
}

/// Where all roles of a run wait for each other.
#[derive(Debug)]
pub struct Gate<'a> {
    run: &'a Run,
    role: usize,
}

/// A run: its board, and how many roles it has.
#[derive(Debug)]
struct Run {
    memory: Shared,
    roles: usize,
}

impl Gate<'_> {
    /// Waits until all roles are here. Time is counted from this moment.
    pub fn pass(&self) {
        let arrived = &self.run.board().arrived;
        // ORDERING: AcqRel, pairs with the Acquire below: what each did before the gate is behind all.
        arrived.fetch_add(1, Ordering::AcqRel);
        let mut looks = 0;
        // ORDERING: Acquire, pairs with the Release above.
        while (arrived.load(Ordering::Acquire) as usize) < self.run.roles {
            looks += 1;
            if looks < LOOKS { spin_hint() } else { std::thread::yield_now() }
        }
        // ORDERING: Relaxed; read after the role's process or thread has ended.
        self.run.line(self.role).began.store(cpu::now(), Ordering::Relaxed);
    }
}

impl Run {
    fn new(roles: usize) -> Self {
        assert!((1..=MAX_ROLES).contains(&roles), "{roles} roles");
        Self { memory: Shared::new(size_of::<Board>()), roles }
    }

    fn board(&self) -> &Board {
        // SAFETY: long enough, page-aligned, and zero is a valid board; atomics, so others may write behind it.
        unsafe { self.memory.at().cast::<Board>().as_ref() }
    }

    fn line(&self, role: usize) -> &Line {
        &self.board().lines[role]
    }

    /// Plays one role where it belongs.
    fn play(
        &self,
        role: usize,
        place: Option<usize>,
        body: impl FnOnce(usize, &Gate<'_>) -> Facts,
    ) {
        if let Some(cpu) = place {
            cpu::pin(cpu);
        }
        let facts = body(role, &Gate { run: self, role });
        let line = self.line(role);
        // ORDERING: Relaxed, all; read after the role's process or thread has ended.
        line.ended.store(cpu::now(), Ordering::Relaxed);
        line.facts.iter().zip(facts).for_each(|(to, fact)| to.store(fact, Ordering::Relaxed));
    }

    fn reports(&self) -> Vec<Report> {
        let report = |role| {
            let line = self.line(role);
            // ORDERING: Relaxed, all; their writers have ended.
            let (began, ended) =
                (line.began.load(Ordering::Relaxed), line.ended.load(Ordering::Relaxed));
            assert!(began != 0 && began <= ended, "role {role} did not pass the gate");
            let facts = [0, 1, 2, 3].map(|fact| line.facts[fact].load(Ordering::Relaxed));
            Report { began, ended, facts }
        };
        (0..self.roles).map(report).collect()
    }
}

/// Runs each role in a child of its own, on the CPU that is its place. `body` is given the role's number and the gate,
/// which it has to pass once.
///
/// # Panics
///
/// If a child fails or takes too long.
pub fn run(
    places: &[Option<usize>],
    mut body: impl FnMut(usize, &Gate<'_>) -> Facts,
) -> Vec<Report> {
    let run = Run::new(places.len());
    in_children(places.len(), |role| run.play(role, places[role], &mut body));
    run.reports()
}

/// The same with threads of one child.
///
/// # Panics
///
/// As [`run`].
pub fn run_threads(
    places: &[Option<usize>],
    body: impl Fn(usize, &Gate<'_>) -> Facts + Sync,
) -> Vec<Report> {
    let run = Run::new(places.len());
    in_children(1, |_| {
        std::thread::scope(|scope| {
            for (role, place) in places.iter().enumerate() {
                let (run, body) = (&run, &body);
                scope.spawn(move || run.play(role, *place, body));
            }
        });
    });
    run.reports()
}

/// From the first of these to pass the gate until the last of them was done.
pub fn span(reports: &[Report]) -> Duration {
    let began = reports.iter().map(|report| report.began).min().unwrap_or(0);
    let ended = reports.iter().map(|report| report.ended).max().unwrap_or(0);
    Duration::from_nanos(ended - began)
}

/// Children that have not ended. Dropping it kills them.
struct Children(Vec<(Pid, OwnedFd)>);

/// Calls `body` with 0, 1 … in as many children, and waits for all.
fn in_children(count: usize, mut body: impl FnMut(usize)) {
    assert_eq!(threads(), 1, "only a process with one thread may fork here");
    let mut children = Children(Vec::new());
    for number in 0..count {
        let pid = fork(|| body(number));
        let fd = pidfd_open(pid, PidfdFlags::empty()).expect("a descriptor of the child");
        children.0.push((pid, fd));
    }
    children.join();
}

/// How many threads this process has.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc is mounted").count()
}

fn fork(child: impl FnOnce()) -> Pid {
    // SAFETY: this process has one thread, so the child inherits no lock that somebody else held.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            // Nobody is left behind by a parent that dies.
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            let ended = catch_unwind(AssertUnwindSafe(child));
            // SAFETY: ends this process without running what belongs to its parent.
            unsafe { libc::_exit(i32::from(ended.is_err())) }
        }
        pid => Pid::from_raw(pid).expect("a child's pid is positive"),
    }
}

impl Children {
    fn join(mut self) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !self.0.is_empty() {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: 0 };
            let fds = self.0.iter().map(|(_, fd)| fd.as_fd()).collect::<Vec<_>>();
            let mut ends: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            let ready = poll(&mut ends, Some(&left));
            let ended = ends.iter().position(|end| !end.revents().is_empty());
            match (ready, ended) {
                (_, Some(at)) => reap(self.0.remove(at).0),
                (Err(rustix::io::Errno::INTR), None) => {}
                (_, None) => panic!("a run took longer than {PATIENCE:?}"),
            }
        }
    }
}

/// Takes note of a child's end, which must be a good one.
fn reap(pid: Pid) {
    let status = waitpid(Some(pid), WaitOptions::empty()).expect("a child to wait for");
    let code = status.and_then(|(_, status)| status.exit_status());
    assert_eq!(code, Some(0), "a child failed: {status:?}");
}

impl Drop for Children {
    fn drop(&mut self) {
        for (pid, _) in &self.0 {
            let _ = kill_process(*pid, Signal::KILL);
            let _ = waitpid(Some(*pid), WaitOptions::empty());
        }
    }
}
