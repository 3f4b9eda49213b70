//! How long victims wait, and what they send.

use std::time::Duration;

use slipring_tests::message::{self, MIXED, Stamp};

pub const SHORT: Duration = Duration::from_millis(20);
pub const LONG: Duration = Duration::from_secs(20);

/// The next message of this process.
pub fn next(number: &mut u64, bytes: &mut Vec<u8>) {
    message::write(Stamp { producer: 0, number: *number }, MIXED, bytes);
    *number += 1;
}
