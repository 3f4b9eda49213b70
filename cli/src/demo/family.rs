//! The children of a run. None is left behind: all are ended and reaped when this goes.

use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::failure::Failure;

/// How long to look for the cause when a child ended because it was left alone.
const GRACE: Duration = Duration::from_secs(1);

/// The children of a run.
#[derive(Debug, Default)]
pub struct Family {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: String,
    child: Child,
    /// Readable when the child has ended.
    pidfd: OwnedFd,
    status: Option<ExitStatus>,
    /// It was killed on purpose.
    killed: bool,
}

impl Family {
    /// Takes care of `child`, called `name` in messages. Returns which member it is.
    pub fn adopt(&mut self, name: String, mut child: Child) -> Result<usize, Failure> {
        match open_pidfd(&child) {
            Ok(pidfd) => {
                self.members.push(Member { name, child, pidfd, status: None, killed: false });
                Ok(self.members.len() - 1)
            }
            Err(error) => {
                end(&mut child);
                Err(Failure::Run(format!("cannot watch {name}: {error}")))
            }
        }
    }

    /// Kills a member with SIGKILL, on purpose. `false` if it had ended by itself.
    pub fn kill(&mut self, member: usize) -> Result<bool, Failure> {
        let member = &mut self.members[member];
        member.status = member.child.try_wait()?;
        if member.status.is_some() {
            return Ok(false);
        }
        member.child.kill()?;
        let status = member.child.wait()?;
        member.killed = status.signal() == Some(Signal::KILL.as_raw());
        member.status = Some(status);
        Ok(member.killed)
    }

    /// How many were killed on purpose.
    pub fn killed(&self) -> usize {
        self.members.iter().filter(|member| member.killed).count()
    }

    /// Whether all children have ended.
    pub fn has_ended(&self) -> bool {
        self.living().next().is_none()
    }

    /// Descriptors that become readable when a child has ended.
    pub fn pidfds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.living().map(|member| member.pidfd.as_fd())
    }

    /// Reaps who has ended. An error if anybody failed, which says who and how.
    pub fn check(&mut self) -> Result<(), Failure> {
        self.reap()?;
        if self.members.iter().all(|member| !member.has_failed()) {
            return Ok(());
        }
        let deadline = Instant::now() + GRACE;
        while !self.members.iter().any(Member::is_cause) && self.wait_until(deadline)? {
            self.reap()?;
        }
        Err(self.failure())
    }

    fn living(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.status.is_none())
    }

    fn living_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.members.iter_mut().filter(|member| member.status.is_none())
    }

    fn reap(&mut self) -> Result<(), Failure> {
        for member in self.living_mut() {
            member.status = member.child.try_wait()?;
        }
        Ok(())
    }

    /// Waits until one more child has ended. `false` if none has by the deadline, or there is none.
    fn wait_until(&self, deadline: Instant) -> Result<bool, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        Ok(!self.has_ended() && !left.is_zero() && poll(self.pidfds(), Some(left))?)
    }

    /// What to say of those who failed: of the cause, or else of all.
    fn failure(&self) -> Failure {
        let known = self.members.iter().any(Member::is_cause);
        let mut text = String::new();
        let failed = self.members.iter().filter(|member| member.has_failed());
        for member in failed.filter(|member| member.is_cause() || !known) {
            let separator = if text.is_empty() { "" } else { "; " };
            let _ = write!(text, "{separator}{}", member.describe());
        }
        Failure::Run(text)
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // All of them before any is waited for, so that none has time to miss the others.
        for member in self.living_mut() {
            // Fails only for one that was reaped.
            let _ = member.child.kill();
        }
        self.living_mut().for_each(|member| end(&mut member.child));
    }
}

impl Member {
    fn has_failed(&self) -> bool {
        !self.killed && self.status.is_some_and(|status| !status.success())
    }

    /// Whether it failed by itself, and not because others are gone.
    fn is_cause(&self) -> bool {
        let alone = i32::from(Failure::ALONE);
        self.has_failed() && self.status.and_then(|status| status.code()) != Some(alone)
    }

    /// Who it is and how it ended.
    fn describe(&self) -> String {
        let who = format!("{} (pid {})", self.name, self.child.id());
        let Some(status) = self.status else { return format!("{who} runs") };
        // "signal: 9 (SIGKILL)", "exit status: 1"
        let how = status.to_string().replacen(": ", " ", 1);
        let verb = if status.signal().is_some() { "was killed by" } else { "ended with" };
        format!("{who} {verb} {how}")
    }
}

fn open_pidfd(child: &Child) -> rustix::io::Result<OwnedFd> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty())
}

/// Kills the child, which may have ended already, and reaps it.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits until one of the descriptors is readable or at its end. `false` if the time is over.
pub fn poll<'a>(
    fds: impl Iterator<Item = BorrowedFd<'a>>,
    timeout: Option<Duration>,
) -> Result<bool, Failure> {
    let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let timeout = timeout.and_then(|duration| Timespec::try_from(duration).ok());
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        // The caller looks again.
        Err(Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
