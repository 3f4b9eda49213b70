//! Puts the workers' counts together while watching the children.

use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::counts::{Commit, Counts, Part, Span};
use super::family::{Family, poll};
use crate::failure::Failure;

/// Where a worker's messages come from.
pub trait Source {
    /// A descriptor that is readable while `receive` would find something.
    fn fd(&mut self) -> Result<BorrowedFd<'_>, Failure>;

    /// Takes the next message, without waiting.
    fn receive(&mut self, message: &mut Vec<u8>) -> Result<Received, Failure>;
}

/// What came from a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// A message.
    Message,
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

/// What happens to the workers meanwhile.
pub trait Events<S> {
    /// Called now and then. A worker that was started is where further counts come from.
    fn happen(&mut self, family: &mut Family) -> Result<Option<S>, Failure>;

    /// How soon it is to be called again; `None`: when something else has happened.
    fn next(&self) -> Option<Duration>;
}

/// Nothing does.
pub struct Undisturbed;

impl<S> Events<S> for Undisturbed {
    fn happen(&mut self, _: &mut Family) -> Result<Option<S>, Failure> {
        Ok(None)
    }

    fn next(&self) -> Option<Duration> {
        None
    }
}

/// All that was counted.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    pub counts: Counts,
    /// From the first batch that was taken to the last.
    pub span: Span,
    /// Batches that came back from a worker that was killed, and were taken again.
    pub again: u64,
}

/// A worker, as seen from here.
struct Worker<S> {
    source: S,
    /// Messages of words that no commit has come for.
    staged: Vec<Vec<u8>>,
}

/// Receives all counts from all sources, until those and all children have ended.
pub fn collect<S: Source>(
    sources: Vec<S>,
    family: &mut Family,
    mut events: impl Events<S>,
) -> Result<Outcome, Failure> {
    let of_source = |source| Worker { source, staged: Vec::new() };
    let mut workers: Vec<_> = sources.into_iter().map(of_source).collect();
    let (mut total, mut unfinished) = (Total::default(), workers.len());
    let mut message = Vec::new();
    while !(workers.is_empty() && family.has_ended()) {
        wait(&mut workers, family, events.next())?;
        family.check()?;
        let mut open = Vec::with_capacity(workers.len());
        for mut worker in workers {
            let mut received = worker.source.receive(&mut message)?;
            while received == Received::Message {
                unfinished -= usize::from(total.take(&message, &mut worker.staged)?);
                received = worker.source.receive(&mut message)?;
            }
            if received == Received::Nothing {
                open.push(worker);
            }
        }
        workers = open;
        if let Some(source) = events.happen(family)? {
            unfinished += 1;
            workers.push(of_source(source));
        }
    }
    if unfinished > family.killed() {
        return Err(Failure::Run("a worker ended and has not sent all of its counts".to_owned()));
    }
    Ok(total.outcome)
}

/// What has come so far.
#[derive(Default)]
struct Total {
    outcome: Outcome,
    /// The batches in it.
    batches: HashSet<u64>,
}

impl Total {
    /// Takes a message from a worker, of which these were staged. Returns whether that was its last.
    fn take(&mut self, message: &[u8], staged: &mut Vec<Vec<u8>>) -> Result<bool, Failure> {
        match Part::of(message)? {
            Part::Words(words) => staged.push(words.to_vec()),
            Part::Commit(commit) => self.commit(&commit, std::mem::take(staged))?,
            Part::End(span) => {
                self.outcome.span = self.outcome.span.join(span);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn commit(&mut self, commit: &Commit, staged: Vec<Vec<u8>>) -> Result<(), Failure> {
        self.outcome.again += u64::from(commit.again);
        let known = commit.batches.iter().filter(|batch| !self.batches.insert(**batch)).count();
        if known == 0 {
            self.outcome.counts.merge_commit(commit);
            return staged.iter().try_for_each(|words| self.outcome.counts.merge_words(words));
        }
        // Its first worker was killed after it had sent the counts, and before it said that it was done.
        if commit.again && commit.batches.len() == 1 {
            return Ok(());
        }
        Err(Failure::Run("some lines were counted twice".to_owned()))
    }
}

/// Waits until a source has something or a child has ended, or for so long.
fn wait<S: Source>(
    workers: &mut [Worker<S>],
    family: &Family,
    timeout: Option<Duration>,
) -> Result<(), Failure> {
    let mut fds = Vec::with_capacity(workers.len());
    for worker in workers {
        fds.push(worker.source.fd()?);
    }
    poll(fds.into_iter().chain(family.pidfds()), timeout)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::counts::Work;

    /// What a worker sends that has counted these lines of these batches.
    fn messages(lines: &[u8], batches: &[u64], again: bool) -> Vec<Vec<u8>> {
        let (mut counts, mut messages) = (Counts::default(), Vec::new());
        counts.add_lines(lines, Work::Count);
        let keep = |message: &[u8]| {
            messages.push(message.to_vec());
            Ok(())
        };
        counts.commit(batches.to_vec(), again, keep).unwrap();
        messages
    }

    fn take_all(total: &mut Total, messages: &[Vec<u8>], staged: &mut Vec<Vec<u8>>) {
        messages.iter().for_each(|message| assert!(!total.take(message, staged).unwrap()));
    }

    #[test]
    fn what_was_not_committed_does_not_count() {
        let (mut total, mut killed, mut next) = (Total::default(), Vec::new(), Vec::new());
        let lost = messages(b"one two\n", &[1], false);
        take_all(&mut total, &lost[..lost.len() - 1], &mut killed);
        take_all(&mut total, &messages(b"one two\n", &[1], true), &mut next);
        assert_eq!((total.outcome.counts.total(), total.outcome.again), (2, 1));
    }

    #[test]
    fn a_batch_that_was_committed_and_comes_again_counts_once() {
        let (mut total, mut staged) = (Total::default(), Vec::new());
        take_all(&mut total, &messages(b"one\ntwo two\n", &[1, 2], false), &mut staged);
        take_all(&mut total, &messages(b"two two\n", &[2], true), &mut staged);
        assert_eq!((total.outcome.counts.total(), total.outcome.counts.lines()), (3, 2));
        assert_eq!(total.outcome.again, 1);
        // That no worker sends.
        let wrong = messages(b"two two\nthree\n", &[2, 3], false);
        assert!(wrong.iter().any(|message| total.take(message, &mut staged).is_err()));
    }
}
