//! Deadlines, conditions and named signals. Holds: no wait in this crate is without an end.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a condition may take on a slow machine before the test gives up: two minutes, or `LB_TEST_PATIENCE` (seconds).
pub fn patience() -> Duration {
    let secs = std::env::var("LB_TEST_PATIENCE").ok().and_then(|v| v.parse().ok()).unwrap_or(120);
    Duration::from_secs(secs)
}

/// A point in time after which a wait is over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline `d` from now.
    pub fn after(d: Duration) -> Self {
        Deadline(Instant::now() + d)
    }

    /// The usual one: [`patience`] from now.
    pub fn patient() -> Self {
        Self::after(patience())
    }

    /// What is left, `None` when it has passed.
    pub fn left(&self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())
    }

    /// Whether it has passed.
    pub fn passed(&self) -> bool {
        self.left().is_none()
    }
}

/// Asks `condition` every few milliseconds until it holds; false when `limit` has passed without.
pub fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Deadline::after(limit);
    let mut pause = Duration::from_micros(500);
    loop {
        if condition() {
            return true;
        }
        if deadline.passed() {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Like [`until`] with the usual patience; panics with `what` when it never came true.
#[track_caller]
pub fn must(what: &str, condition: impl FnMut() -> bool) {
    assert!(until(patience(), condition), "waited {:?} in vain: {what}", patience());
}

/// Named signals by which the scripts of one world wait for each other. A signal stays raised.
#[derive(Debug, Default)]
pub struct Signals {
    raised: Mutex<BTreeSet<String>>,
    changed: Condvar,
}

impl Signals {
    /// Raises `name`.
    pub fn raise(&self, name: &str) {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        self.changed.notify_all();
    }

    /// Waits until `name` is raised; false when the deadline passed first.
    pub fn wait(&self, name: &str, deadline: Deadline) -> bool {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        while !raised.contains(name) {
            let Some(left) = deadline.left() else { return false };
            raised = self.changed.wait_timeout(raised, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_wakes_and_stays() {
        let signals = Signals::default();
        std::thread::scope(|s| {
            s.spawn(|| assert!(signals.wait("a", Deadline::patient())));
            signals.raise("a");
        });
        assert!(signals.wait("a", Deadline::after(Duration::ZERO)));
        assert!(!signals.wait("b", Deadline::after(Duration::from_millis(5))));
    }

    #[test]
    fn until_gives_up() {
        assert!(!until(Duration::from_millis(5), || false));
        assert!(until(Duration::ZERO, || true));
    }
}
