//! Waiters for the unit tests of this folder.

use core::convert::Infallible;

use crate::futex::{self, Scope};
use crate::owner::OwnerId;
use crate::primitive::{AtomicU32, fence_full};
use crate::wait::Waiter;

/// Sleeps as long as it takes.
pub(super) struct Patient;

/// Gives up instead of sleeping.
pub(super) struct Hasty;

/// What [`Hasty`] stops with.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Late;

impl Waiter for Patient {
    type Stop = Infallible;

    fn scope(&self) -> Scope {
        Scope::Private
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, word: &AtomicU32, expected: u32) -> Result<(), Infallible> {
        futex::wait(word, expected, Scope::Private, None);
        Ok(())
    }

    fn fence_peers(&mut self) {
        fence_full();
    }

    fn is_dead(&mut self, _owner: OwnerId) -> bool {
        false
    }
}

impl Waiter for Hasty {
    type Stop = Late;

    fn scope(&self) -> Scope {
        Scope::Private
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, _word: &AtomicU32, _expected: u32) -> Result<(), Late> {
        Err(Late)
    }

    fn fence_peers(&mut self) {
        fence_full();
    }

    fn is_dead(&mut self, _owner: OwnerId) -> bool {
        false
    }
}
