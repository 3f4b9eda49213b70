//! Who listens for all in an event loop: at most one in each, and none that ends while somebody waits.

use tokio::runtime::Id;

use super::drivers::DriverName;
use super::hub::HUB;

/// A name for a new driver on `runtime`, if it has none.
pub(crate) fn enlist(runtime: Id) -> Option<DriverName> {
    let mut hub = HUB.lock();
    if hub.drivers.has_one_on(runtime) {
        return None;
    }
    let (generation, number) = (hub.generation(), hub.number());
    let name = DriverName { generation, runtime, number };
    hub.drivers.add(name);
    Some(name)
}

/// The driver has ended.
pub(crate) fn delist(name: DriverName) {
    HUB.lock().drivers.remove(name);
}

/// Takes the driver off the list if nobody waits. Whoever begins to wait stands in a line first, and looks at the list
/// then: both under the hub's lock, as this is.
pub(crate) fn delist_if_idle(name: DriverName) -> bool {
    let mut hub = HUB.lock();
    if hub.is_idle() {
        hub.drivers.remove(name);
    }
    !hub.drivers.contains(name)
}
