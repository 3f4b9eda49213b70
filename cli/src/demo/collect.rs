//! Puts the workers' counts together while watching the children.

use std::os::fd::BorrowedFd;

use super::counts::Counts;
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

/// Receives all counts from all sources, until those and all children have ended.
pub fn collect<S: Source>(mut sources: Vec<S>, family: &mut Family) -> Result<Counts, Failure> {
    let (mut counts, mut unfinished) = (Counts::default(), sources.len());
    let mut message = Vec::new();
    while !(sources.is_empty() && family.has_ended()) {
        wait(&mut sources, family)?;
        family.check()?;
        let mut open = Vec::with_capacity(sources.len());
        for mut source in sources {
            let mut received = source.receive(&mut message)?;
            while received == Received::Message {
                unfinished -= usize::from(counts.merge(&message)?);
                received = source.receive(&mut message)?;
            }
            if received == Received::Nothing {
                open.push(source);
            }
        }
        sources = open;
    }
    if unfinished > 0 {
        return Err(Failure::Run("a worker ended and has not sent all of its counts".to_owned()));
    }
    Ok(counts)
}

/// Waits until a source has something or a child has ended.
fn wait<S: Source>(sources: &mut [S], family: &Family) -> Result<(), Failure> {
    let mut fds = Vec::with_capacity(sources.len());
    for source in sources {
        fds.push(source.fd()?);
    }
    poll(fds.into_iter().chain(family.pidfds()), None)?;
    Ok(())
}
