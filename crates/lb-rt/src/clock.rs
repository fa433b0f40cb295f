//! The clock for a loop that is not of this crate: the election thread of `vrrpd`, which waits on raw sockets and netlink only.

use std::time::{Instant, SystemTime};

/// The time now. To be read once per turn of the loop, and handed down.
#[allow(clippy::disallowed_methods)] // this crate is the one that reads clocks
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock: for lines of a log and for what people read, never for a timer.
#[allow(clippy::disallowed_methods)] // as above
pub fn wall() -> SystemTime {
    SystemTime::now()
}
