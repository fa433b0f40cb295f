//! From the wall clock to a log line's timestamp. Holds: the C library is asked for the zone at most once per quarter of
//! an hour, the finest step at which any zone changes its offset.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use lb_expr::Timestamp;

/// Seconds for which an offset is kept: every zone's changes fall on a multiple of it.
const STEP: i64 = 900;

/// One thread's cache of the local offset.
#[derive(Debug)]
pub struct LocalTime {
    /// Which quarter hour the offset is for, and the offset.
    cached: Cell<(i64, i32)>,
}

impl Default for LocalTime {
    fn default() -> Self {
        Self { cached: Cell::new((i64::MIN, 0)) }
    }
}

impl LocalTime {
    /// The moment `wall` with the local offset in force then. Moments before 1970 count as 1970.
    pub fn timestamp(&self, wall: SystemTime) -> Timestamp {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let step = unix_secs.div_euclid(STEP);
        let (known, mut offset) = self.cached.get();
        if known != step {
            offset = lb_sys::localtime::utc_offset(unix_secs);
            self.cached.set((step, offset));
        }
        Timestamp { unix_secs, micros: since.subsec_micros(), utc_offset_secs: offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn follows_the_clock_in_both_directions() {
        let zone = LocalTime::default();
        for secs in [1_795_232_690u64, 1_795_232_691, 5, 1_795_240_000] {
            let t = zone.timestamp(UNIX_EPOCH + Duration::new(secs, 123_456_789));
            assert_eq!((t.unix_secs, t.micros), (secs as i64, 123_456));
            assert_eq!(t.utc_offset_secs, lb_sys::localtime::utc_offset(secs as i64));
        }
        let before = zone.timestamp(UNIX_EPOCH - Duration::from_secs(9));
        assert_eq!(before.unix_secs, 0);
    }
}
