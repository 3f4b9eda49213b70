//! How the threads of a model wait.

use slipring_core::futex::{self, Scope};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, fence_full};
use slipring_core::wait::Waiter;

/// Sleeps for ever on the (modelled) futex; holds the given participants for dead.
pub struct Patient<'a> {
    pub dead: &'a [OwnerId],
}

impl Patient<'_> {
    pub fn new() -> Self {
        Patient { dead: &[] }
    }
}

impl Waiter for Patient<'_> {
    type Stop = core::convert::Infallible;

    fn scope(&self) -> Scope {
        Scope::Private
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, word: &AtomicU32, expected: u32) -> Result<(), Self::Stop> {
        futex::wait(word, expected, Scope::Private, None);
        Ok(())
    }

    fn fence_peers(&mut self) {
        fence_full();
    }

    fn is_dead(&mut self, owner: OwnerId) -> bool {
        self.dead.contains(&owner)
    }
}

/// Sleeps once, then gives up.
pub struct Impatient;

impl Waiter for Impatient {
    type Stop = ();

    fn scope(&self) -> Scope {
        Scope::Private
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, word: &AtomicU32, expected: u32) -> Result<(), ()> {
        futex::wait(word, expected, Scope::Private, None);
        Err(())
    }

    fn fence_peers(&mut self) {}

    fn is_dead(&mut self, _owner: OwnerId) -> bool {
        false
    }
}
