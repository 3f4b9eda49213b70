//! Which event loops have somebody who listens for all. The list itself: the hub keeps it, `enlist.rs` changes it.

use tokio::runtime::Id;

/// A driver: in which process, on which runtime, and which one of those.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DriverName {
    pub(super) generation: u64,
    pub(super) runtime: Id,
    pub(super) number: u64,
}

/// Those there are: at most one on each runtime. A forked child's hub begins without.
pub(super) struct Drivers(Vec<DriverName>);

impl Drivers {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn has_one_on(&self, runtime: Id) -> bool {
        self.0.iter().any(|driver| driver.runtime == runtime)
    }

    pub(super) fn contains(&self, name: DriverName) -> bool {
        self.0.contains(&name)
    }

    pub(super) fn add(&mut self, name: DriverName) {
        self.0.push(name);
    }

    pub(super) fn remove(&mut self, name: DriverName) {
        self.0.retain(|driver| *driver != name);
    }
}
