//! How long operations wait, and how many handles there are.

use std::time::Duration;

use slipring::Until;

/// Long enough to sleep once.
pub const SHORT: Duration = Duration::from_micros(50);
/// The most handles of a kind.
pub const MOST: usize = 6;

pub fn until(wait: bool) -> Until {
    if wait { SHORT.into() } else { Until::NOW }
}
