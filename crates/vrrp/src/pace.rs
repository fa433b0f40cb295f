//! Bounds how often something is done that a peer can cause.

use std::time::{Duration, Instant};

/// Lets one through per spacing, and counts the others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    next: Option<Instant>,
    held_back: u64,
}

impl Pace {
    /// How many were held back since the last that went through, if this one goes through.
    pub fn take(&mut self, now: Instant, spacing: Duration) -> Option<u64> {
        if self.next.is_some_and(|next| now < next) {
            self.held_back += 1;
            return None;
        }
        self.next = Some(now + spacing);
        Some(std::mem::take(&mut self.held_back))
    }
}
