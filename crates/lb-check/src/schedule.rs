//! When checks run: spread over the interval at the start, and shaken a little afterwards.
//!
//! Holds: as HAProxy 2.6 was seen to do it; without `max-spread-checks` the starts of n alike servers are inter/n apart.

use std::time::Duration;

/// Servers with a shorter interval than this have no say in how far apart the starts of the others are.
const LONG_INTERVAL: Duration = Duration::from_secs(1);

/// How long after the process began each server's first check starts. `intervals` are those of all checked servers of the process in the
/// order of the configuration ([`crate::Health::interval`] of the new servers); `max_spread` is `max-spread-checks`.
pub fn start_offsets(intervals: &[Duration], max_spread: Option<Duration>) -> Vec<Duration> {
    let shortest = intervals.iter().copied().filter(|&i| i >= LONG_INTERVAL).min().unwrap_or_default();
    let count = u32::try_from(intervals.len()).unwrap_or(u32::MAX);
    let offset = |(place, &interval): (usize, &Duration)| {
        let mut span = shortest.max(interval);
        if let Some(max) = max_spread {
            span = span.min(max);
        }
        // In nanoseconds of 128 bits: neither a large interval nor many servers overflow.
        let nanos = span.as_nanos() * place as u128 / u128::from(count.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    };
    intervals.iter().enumerate().map(offset).collect()
}

/// `spread-checks`: the interval, longer or shorter by at most `percent` (0 to 50) of itself. `random` is any number, evenly drawn.
pub fn spread_interval(interval: Duration, percent: u32, random: u32) -> Duration {
    let range = interval * percent.min(50) / 100;
    let nanos = 2 * range.as_nanos() * u128::from(random) / u128::from(u32::MAX);
    interval - range + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(intervals: &[u64], max: Option<u64>) -> Vec<u128> {
        let intervals: Vec<_> = intervals.iter().map(|&ms| Duration::from_millis(ms)).collect();
        start_offsets(&intervals, max.map(Duration::from_millis)).iter().map(Duration::as_millis).collect()
    }

    /// Starts seen from haproxy 2.6.12.
    #[test]
    fn starts_as_haproxys() {
        assert_eq!(offsets(&[2000; 4], None), [0, 500, 1000, 1500]);
        assert_eq!(offsets(&[400; 4], None), [0, 100, 200, 300]);
        assert_eq!(offsets(&[2000, 3000, 1000, 1500], None), [0, 750, 500, 1125]);
        assert_eq!(offsets(&[2000, 400, 400, 2000], None), [0, 500, 1000, 1500]);
        assert_eq!(offsets(&[2000, 500, 4000], None), [0, 666, 2666]);
        assert_eq!(offsets(&[2000; 4], Some(500)), [0, 125, 250, 375]);
        assert_eq!(offsets(&[3000, 2000], None), [0, 1000]);
        assert_eq!(offsets(&[400, 1000], None), [0, 500]);
        assert!(offsets(&[], None).is_empty());
    }

    #[test]
    fn shaken_evenly_within_the_percentage() {
        let s = Duration::from_secs(1);
        assert_eq!(spread_interval(s, 0, 12345), s);
        assert_eq!(spread_interval(s, 20, 0), s * 8 / 10);
        assert_eq!(spread_interval(s, 20, u32::MAX), s * 12 / 10);
        assert_eq!(spread_interval(s, 90, u32::MAX), s * 15 / 10);
    }
}
