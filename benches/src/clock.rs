//! The one clock of the load generator: it bounds runs in time. Nothing is measured with it that CPU accounting can tell better.

use std::time::Instant;

/// The time now.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "a load generator is a client: it has no loop that could hand it the time")]
pub fn now() -> Instant {
    Instant::now()
}
