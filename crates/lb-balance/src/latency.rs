//! How long each server takes of late: an average that jumps up at once and comes down by and by.
//!
//! Holds: one atomic word per server; readers never wait; of two reports at the same moment one may be lost.
//! Source: peak EWMA of Twitter's Finagle.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Estimates of all servers of a policy.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// The estimate in milliseconds as an `f32` in the upper half (0: none yet), when it was made in the lower, in milliseconds.
    words: Box<[AtomicU64]>,
    /// In milliseconds: after so long an old value counts 1/e.
    decay: f64,
}

fn pack(estimate: f64, at: u32) -> u64 {
    u64::from((estimate as f32).to_bits()) << 32 | u64::from(at)
}

fn unpack(word: u64) -> (f64, u32) {
    (f32::from_bits((word >> 32) as u32).into(), word as u32)
}

/// Wraps after 49 days: only differences count.
fn millis(now: Duration) -> u32 {
    now.as_millis() as u32
}

impl Latencies {
    pub(crate) fn new(n: usize, decay: Duration) -> Self {
        let decay = (decay.as_secs_f64() * 1_000.0).max(1.0);
        Latencies { words: (0..n).map(|_| AtomicU64::new(0)).collect(), decay }
    }

    /// Forgets what is known of a server: it is new, or back.
    pub(crate) fn forget(&self, id: u32) {
        self.words[id as usize].store(0, Ordering::Relaxed);
    }

    /// A server took so long.
    pub(crate) fn observe(&self, id: u32, now: Duration, took: Duration) {
        let (now, took) = (millis(now), (took.as_secs_f64() * 1_000.0).max(f64::from(f32::MIN_POSITIVE)));
        let update = |word| {
            let (old, at) = unpack(word);
            let new = if took >= old { took } else { took + (old - took) * self.fade(at, now) };
            Some(pack(new, now))
        };
        // Without a loop: the other one's report is as good as ours.
        let word = &self.words[id as usize];
        let seen = word.load(Ordering::Relaxed);
        if let Some(new) = update(seen) {
            let _ = word.compare_exchange(seen, new, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// What one more stream has to expect of a server with so many.
    pub(crate) fn cost(&self, id: u32, load: u32, now: Duration) -> f64 {
        let (estimate, at) = unpack(self.words[id as usize].load(Ordering::Relaxed));
        match (estimate > 0.0, load) {
            (true, _) => estimate * self.fade(at, millis(now)) * (f64::from(load) + 1.0),
            // Nothing is known: it is tried, by one stream at a time.
            (false, 0) => 0.0,
            (false, _) => f64::from(f32::MAX) * f64::from(load),
        }
    }

    /// How much of a value is left after the time from `at` to `now`.
    fn fade(&self, at: u32, now: u32) -> f64 {
        // Clocks of threads may be a turn apart.
        let age = now.wrapping_sub(at).cast_signed().max(0);
        (-f64::from(age) / self.decay).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_at_once_and_falls_slowly() {
        let ms = Duration::from_millis;
        let latencies = Latencies::new(2, ms(1_000));
        assert_eq!(latencies.cost(0, 0, ms(0)), 0.0);
        assert!(latencies.cost(0, 1, ms(0)) > 1e30);
        latencies.observe(0, ms(0), ms(100));
        assert_eq!(latencies.cost(0, 0, ms(0)), 100.0);
        assert_eq!(latencies.cost(0, 2, ms(0)), 300.0);
        latencies.observe(0, ms(10), ms(400));
        assert_eq!(latencies.cost(0, 0, ms(10)), 400.0);
        latencies.observe(0, ms(110), ms(100));
        let now = latencies.cost(0, 0, ms(110));
        assert!((365.0..375.0).contains(&now), "{now}");
        // Without reports it is forgotten.
        assert!(latencies.cost(0, 0, ms(20_110)) < 0.001);
        // The clock of another thread is behind.
        assert_eq!(latencies.cost(0, 0, ms(100)), now);
        latencies.forget(0);
        assert_eq!(latencies.cost(0, 0, ms(110)), 0.0);
    }
}
