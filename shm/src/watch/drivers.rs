//! Which event loops have somebody who listens for all: at most one in each, and none that ends while somebody waits.

use tokio::runtime::Id;

use super::hub::HUB;

/// A driver: in which process, on which runtime, and which one of those.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DriverName {
    generation: u64,
    runtime: Id,
    number: u64,
}

/// Those there are. A forked child's hub begins without.
pub(super) struct Drivers(Vec<DriverName>);

impl Drivers {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }
}

/// A name for a new driver on `runtime`, if it has none.
pub(crate) fn enlist(runtime: Id) -> Option<DriverName> {
    let mut hub = HUB.lock();
    if hub.drivers.0.iter().any(|driver| driver.runtime == runtime) {
        return None;
    }
    let (generation, number) = (hub.generation(), hub.number());
    let name = DriverName { generation, runtime, number };
    hub.drivers.0.push(name);
    Some(name)
}

/// The driver has ended.
pub(crate) fn delist(name: DriverName) {
    HUB.lock().drivers.0.retain(|driver| *driver != name);
}

/// Takes the driver off the list if nobody waits. Whoever begins to wait stands in a line first, and looks at the list
/// then: both under the hub's lock, as this is.
pub(crate) fn delist_if_idle(name: DriverName) -> bool {
    let mut hub = HUB.lock();
    if hub.is_idle() {
        hub.drivers.0.retain(|driver| *driver != name);
    }
    !hub.drivers.0.contains(&name)
}
