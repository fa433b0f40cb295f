//! The processor's time of a thread, for tests of how much work something is: what others do on a busy machine does not count.
//! Needs nothing else of this crate: crates that cannot depend on it take the file by its path.

use std::time::{Duration, Instant};

/// What the calling thread spends on `work`, by the kernel's account; by the clock where the kernel keeps none.
#[allow(clippy::disallowed_methods)]
pub fn spent(work: impl FnOnce()) -> Duration {
    let begun = (account(), Instant::now());
    work();
    match (begun.0, account()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => begun.1.elapsed(),
    }
}

/// The first number: nanoseconds on a processor.
fn account() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
