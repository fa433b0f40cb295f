//! Connections per second: `rate-limit sessions`, `maxconnrate`, `maxsessrate`. An accepting task takes its share of a [`Rate`]
//! before it accepts, and sleeps until there is one again. Called by listener.rs.
//!
//! Holds: a share that led to no connection is given back ([`Shares`]).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A limit on events per second, shared by all threads.
///
/// Counted as haproxy does: the events of the present second, and of those of the one before the part that has not been gone by
/// yet. So a limit of 10 lets 10 through at once, and then one every 100 ms.
#[derive(Debug)]
pub struct Rate {
    /// 0: no limit.
    limit: AtomicU32,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    /// Start of the present second; `None` before the first event.
    start: Option<Instant>,
    current: u32,
    before: u32,
}

const SECOND: Duration = Duration::from_secs(1);

impl Rate {
    /// So many events per second; 0 for no limit.
    pub fn new(limit: u32) -> Arc<Rate> {
        Arc::new(Rate { limit: AtomicU32::new(limit), window: Mutex::new(Window { start: None, current: 0, before: 0 }) })
    }

    /// The limit; 0: none.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit. Those who wait for a share look again when they had meant to.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Counts one event, unless the limit is reached: then says when to ask again.
    fn take(&self, now: Instant) -> Result<(), Instant> {
        let limit = self.limit();
        if limit == 0 {
            return Ok(());
        }
        let mut window = self.lock();
        let start = window.advance(now);
        let gone = now.saturating_duration_since(start);
        let counted = u64::from(window.current) + window.rest_of_before(gone);
        if counted < u64::from(limit) {
            window.current += 1;
            return Ok(());
        }
        let room = limit.saturating_sub(window.current);
        if room == 0 {
            return Err(start + SECOND);
        }
        // What is left of the second before has to fall below the room: before * (1 - gone) < room.
        let part = SECOND.mul_f64(f64::from(room) / f64::from(window.before.max(1)));
        Err(start + SECOND.saturating_sub(part).max(gone) + Duration::from_millis(1))
    }

    fn give_back(&self) {
        let mut window = self.lock();
        window.current = window.current.saturating_sub(1);
        if window.current == 0 && window.before == 0 {
            // A second begins with an event.
            window.start = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Moves on to the second that `now` is in; says when it began.
    fn advance(&mut self, now: Instant) -> Instant {
        let start = *self.start.get_or_insert(now);
        let seconds = now.saturating_duration_since(start).as_secs();
        if seconds == 0 {
            return start;
        }
        self.before = if seconds == 1 { self.current } else { 0 };
        self.current = 0;
        let start = start + Duration::from_secs(seconds);
        self.start = Some(start);
        start
    }

    /// Events of the second before that still count, `gone` into this one.
    fn rest_of_before(&self, gone: Duration) -> u64 {
        let left = SECOND.saturating_sub(gone).as_micros() as u64;
        u64::from(self.before) * left / SECOND.as_micros() as u64
    }
}

/// The share of each of some rates: given back on drop, unless kept.
#[derive(Debug)]
pub struct Shares<'a>(&'a [Arc<Rate>]);

impl Shares<'_> {
    /// Takes a share of each; says when to ask again where there is none.
    pub fn take(rates: &[Arc<Rate>], now: Instant) -> Result<Shares<'_>, Instant> {
        for (n, rate) in rates.iter().enumerate() {
            if let Err(at) = rate.take(now) {
                drop(Shares(&rates[..n]));
                return Err(at);
            }
        }
        Ok(Shares(rates))
    }

    /// The event has happened.
    pub fn keep(mut self) {
        self.0 = &[];
    }
}

impl Drop for Shares<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|rate| rate.give_back());
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Any moment does to count from.
mod tests {
    use super::*;

    /// When, in milliseconds from the start, events go through that are there all the time.
    fn times(limit: u32, count: usize) -> Vec<u64> {
        let rate = Rate::new(limit);
        let start = Instant::now() + SECOND;
        let mut now = start;
        (0..count)
            .map(|_| {
                while let Err(at) = rate.take(now) {
                    assert!(at > now, "waits for what has been");
                    now = at;
                }
                (now - start).as_millis() as u64
            })
            .collect()
    }

    #[test]
    fn a_burst_then_one_after_the_other() {
        assert_eq!(times(1, 3), [0, 1001, 2001]);
        let ten = times(10, 40);
        assert_eq!(ten[..10], [0; 10]);
        assert!(ten.windows(2).skip(10).all(|w| w[0] < w[1] && w[1] - w[0] <= 102), "{ten:?}");
        assert!((3_800..=4_000).contains(&ten[39]), "{ten:?}");
    }

    #[test]
    fn silence_is_not_saved_up() {
        let rate = Rate::new(5);
        let start = Instant::now();
        assert!(rate.take(start).is_ok());
        let later = start + Duration::from_secs(60);
        assert_eq!((0..10).filter(|_| rate.take(later).is_ok()).count(), 5);
    }

    #[test]
    fn what_led_to_nothing_is_given_back() {
        let (one, two) = (Rate::new(1), Rate::new(2));
        let now = Instant::now();
        let rates = [two.clone(), one];
        drop(Shares::take(&rates, now).unwrap());
        Shares::take(&rates, now).unwrap().keep();
        // The second rate refuses: nothing of the first is used up.
        assert!(Shares::take(&rates, now).is_err());
        assert!(two.take(now).is_ok());
        assert!(two.take(now).is_err());
    }

    #[test]
    fn a_second_begins_with_the_first_event() {
        let rate = Rate::new(2);
        let now = Instant::now();
        drop(Shares::take(std::slice::from_ref(&rate), now).unwrap());
        let (late, later) = (now + Duration::from_millis(999), now + Duration::from_millis(1001));
        assert!(rate.take(late).is_ok() && rate.take(later).is_ok());
        assert!(rate.take(later).is_err());
    }
}
