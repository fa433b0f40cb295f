//! Slow start: what a server that came up may take, while it warms up (manual section 5.2, `slowstart`). The caller has the clock and
//! sets the weights.
//!
//! Holds: steps are HAProxy's: whole seconds, sixteenths of the weight, the duration rounded up to whole seconds.

use crate::Weight;
use std::time::Duration;

/// How long a server warms up.
///
/// ```
/// use lb_balance::{SlowStart, Weight};
/// use std::time::Duration;
/// let warm = SlowStart::new(Duration::from_secs(10));
/// let weight = |secs| warm.weight(Weight::units(100), Duration::from_secs(secs)).as_sixteenths() / 16;
/// assert_eq!([weight(0), weight(2), weight(9), weight(10)], [6, 25, 93, 100]);
/// assert_eq!(warm.limit(50, Duration::from_secs(5)), 25);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowStart {
    seconds: u64,
}

impl SlowStart {
    /// [`SlowStart::weight`] and [`SlowStart::limit`] have a new value this often, and never in between.
    pub const STEP: Duration = Duration::from_secs(1);

    /// Of this duration; no time at all is no slow start.
    pub fn new(duration: Duration) -> Self {
        SlowStart { seconds: duration.as_secs() + u64::from(duration.subsec_nanos() != 0) }
    }

    /// Whether a server that came up so long ago still warms up.
    pub fn is_warming(self, since: Duration) -> bool {
        since.as_secs() < self.seconds
    }

    /// The weight of a server that came up so long ago: 1/16 of the full one at first. For [`crate::Policy::set_weight`].
    pub fn weight(self, full: Weight, since: Duration) -> Weight {
        if !self.is_warming(since) {
            return full;
        }
        let scale = u64::from(Weight::SCALE);
        let share = (scale * since.as_secs() + self.seconds) / self.seconds;
        Weight::sixteenths((u64::from(full.as_sixteenths()) * share).div_ceil(scale) as u16)
    }

    /// Streams that it takes at once, of `full` later: at least 1, in whole percent.
    pub fn limit(self, full: u32, since: Duration) -> u32 {
        if !self.is_warming(since) {
            return full;
        }
        let percent = 100 * since.as_secs() / self.seconds;
        (u64::from(full) * percent / 100).max(1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Percent of the full weight as Debian's haproxy 2.6 showed them second by second, for `slowstart 10s`, `2500ms` and `32s`.
    #[test]
    fn steps_as_haproxys() {
        let seen = [
            (10_000, &[6, 12, 25, 31, 43, 56, 62, 75, 81, 93, 100][..]),
            (2_500, &[6, 37, 68, 100]),
            (32_000, &[6, 6, 12, 12, 18, 18, 25]),
        ];
        for (duration, percents) in seen {
            let warm = SlowStart::new(Duration::from_millis(duration));
            for (second, percent) in (0..).zip(percents) {
                let weight = warm.weight(Weight::units(100), Duration::from_millis(1_000 * second + 999));
                assert_eq!(weight.as_sixteenths() / 16, *percent, "{duration} ms, second {second}");
            }
        }
    }
}
