//! What is watched beside the protocol (interfaces, scripts, files, processes) and what it does to a priority.

use std::time::{Duration, Instant};

/// How something that is watched is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Nobody knows yet: an instance waits with its start for what could be a fault. A weight counts when it is known.
    #[default]
    Unknown,
    /// An interface is up, a script succeeds, enough processes run.
    Up,
    /// The contrary.
    Down,
    /// The number in a tracked file.
    Value(i64),
}

/// The most that something watched adds to or takes from a priority.
pub const MAX_WEIGHT: i32 = 253;

/// `weight N [reverse]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// 0: being down is a fault. Positive: added while up. Negative: taken away while down. A file's number is multiplied by it.
    pub value: i32,
    /// The other way round.
    pub reverse: bool,
}

/// What the state of something watched does to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Wait,
    Fault,
    Add(i32),
}

impl Weight {
    /// `weight value`.
    pub fn new(value: i32) -> Weight {
        Weight { value, reverse: false }
    }

    pub(crate) fn effect(self, status: Status) -> Effect {
        let up = match status {
            Status::Unknown if self.value == 0 => return Effect::Wait,
            Status::Unknown => return Effect::Add(0),
            Status::Value(number) => return self.effect_of_value(number),
            Status::Up => true,
            Status::Down => false,
        };
        let sign = if self.reverse { -1 } else { 1 };
        let weight = sign * self.value.clamp(-MAX_WEIGHT, MAX_WEIGHT);
        match (self.value, up) {
            (0, _) if up == self.reverse => Effect::Fault,
            (1.., true) | (..0, false) => Effect::Add(weight),
            _ => Effect::Add(0),
        }
    }

    fn effect_of_value(self, number: i64) -> Effect {
        if self.value == 0 {
            return if (number != 0) != self.reverse { Effect::Fault } else { Effect::Add(0) };
        }
        let product = number.saturating_mul(self.value.into());
        let product = if self.reverse { product.saturating_neg() } else { product };
        if product < i64::from(-MAX_WEIGHT) {
            return Effect::Fault;
        }
        Effect::Add(i32::try_from(product.min(MAX_WEIGHT.into())).expect("between -253 and 253"))
    }
}

/// `rise` and `fall` of a script: how many results in a row change its state. The first result of all decides at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    rise: u32,
    fall: u32,
    status: Status,
    /// Results in a row against the present state.
    against: u32,
}

impl Script {
    /// Counts below 1 are taken for 1.
    pub fn new(rise: u32, fall: u32) -> Script {
        Script { rise: rise.max(1), fall: fall.max(1), status: Status::Unknown, against: 0 }
    }

    /// The same script with other numbers: what it was found to be counts until enough results say otherwise.
    #[must_use]
    pub fn going_on(self, status: Status) -> Script {
        Script { status, ..self }
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        self.status
    }

    /// How many results in a row speak against that.
    pub fn against(&self) -> u32 {
        self.against
    }

    /// A result came in. The new state, if it is one.
    pub fn result(&mut self, success: bool) -> Option<Status> {
        let new = if success { Status::Up } else { Status::Down };
        if self.status == new {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let enough = if success { self.rise } else { self.fall };
        if self.status != Status::Unknown && self.against < enough {
            return None;
        }
        (self.status, self.against) = (new, 0);
        Some(new)
    }
}

/// Delays a change: `fork_delay` and `terminate_delay` of a process, `interface_up_down_delays`. A change that is taken back within its
/// delay has not happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debounce {
    up_delay: Duration,
    down_delay: Duration,
    up: bool,
    pending: Option<Instant>,
}

impl Debounce {
    /// Starts in the given state.
    pub fn new(up: bool, up_delay: Duration, down_delay: Duration) -> Debounce {
        Debounce { up_delay, down_delay, up, pending: None }
    }

    /// The state that counts.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// What is seen. True if the state that counts changes now.
    pub fn seen(&mut self, now: Instant, up: bool) -> bool {
        if up == self.up {
            self.pending = None;
            return false;
        }
        let at = *self.pending.get_or_insert(now + if up { self.up_delay } else { self.down_delay });
        at <= now && self.handle_timeout(now)
    }

    /// When to call [`Debounce::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pending
    }

    /// True if the state that counts changes now.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.pending.is_some_and(|at| at <= now);
        if due {
            self.pending = None;
            self.up = !self.up;
        }
        due
    }
}

/// `quorum` and `quorum_max` of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// The least number of processes for success.
    pub min: u32,
    /// The greatest.
    pub max: u32,
}

impl Quorum {
    /// What a number of processes means.
    pub fn status(self, running: u32) -> Status {
        if (self.min..=self.max).contains(&running) { Status::Up } else { Status::Down }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights() {
        let effect = |value, reverse, status| Weight { value, reverse }.effect(status);
        let table = [
            (0, false, Status::Up, Effect::Add(0)),
            (0, false, Status::Down, Effect::Fault),
            (0, true, Status::Up, Effect::Fault),
            (0, true, Status::Down, Effect::Add(0)),
            (20, false, Status::Up, Effect::Add(20)),
            (20, false, Status::Down, Effect::Add(0)),
            (-20, false, Status::Up, Effect::Add(0)),
            (-20, false, Status::Down, Effect::Add(-20)),
            (20, true, Status::Up, Effect::Add(-20)),
            (20, true, Status::Down, Effect::Add(0)),
            (-20, true, Status::Down, Effect::Add(20)),
            (-20, true, Status::Up, Effect::Add(0)),
            (i32::MIN, true, Status::Down, Effect::Add(253)),
            (0, false, Status::Unknown, Effect::Wait),
            (0, true, Status::Unknown, Effect::Wait),
            (20, false, Status::Unknown, Effect::Add(0)),
            (-20, false, Status::Unknown, Effect::Add(0)),
            (-20, true, Status::Unknown, Effect::Add(0)),
            (0, false, Status::Value(0), Effect::Add(0)),
            (0, false, Status::Value(1), Effect::Fault),
            (1, false, Status::Value(-253), Effect::Add(-253)),
            (1, false, Status::Value(-254), Effect::Fault),
            (1, false, Status::Value(999), Effect::Add(253)),
            (-2, false, Status::Value(10), Effect::Add(-20)),
            (2, true, Status::Value(10), Effect::Add(-20)),
            (i32::MIN, true, Status::Value(i64::MIN), Effect::Fault),
        ];
        for (value, reverse, status, want) in table {
            assert_eq!(effect(value, reverse, status), want, "{value} {reverse} {status:?}");
        }
    }

    #[test]
    fn rise_and_fall() {
        let mut script = Script::new(2, 3);
        assert_eq!(script.result(true), Some(Status::Up));
        assert_eq!([false, false, true, false, false].map(|r| script.result(r)), [None; 5]);
        assert_eq!(script.result(false), Some(Status::Down));
        assert_eq!(script.result(true), None);
        assert_eq!(script.result(false), None);
        assert_eq!([true, true].map(|r| script.result(r)), [None, Some(Status::Up)]);
        assert_eq!(Script::new(2, 2).result(false), Some(Status::Down));
        let mut again = Script::new(1, 3).going_on(Status::Up);
        assert_eq!([true, false, false].map(|r| again.result(r)), [None; 3]);
        assert_eq!((again.against(), again.result(false)), (2, Some(Status::Down)));
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn debounce() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut link = Debounce::new(true, Duration::ZERO, Duration::from_millis(100));
        assert!(!link.seen(at(0), false));
        assert_eq!(link.poll_timeout(), Some(at(100)));
        assert!(!link.seen(at(50), true));
        assert_eq!(link.poll_timeout(), None);
        assert!(!link.seen(at(60), false));
        assert!(!link.seen(at(70), false));
        assert!(!link.handle_timeout(at(159)));
        assert!(link.handle_timeout(at(160)) && !link.is_up());
        assert!(link.seen(at(200), true) && link.is_up());
        let quorum = Quorum { min: 1, max: 2 };
        assert_eq!([0, 1, 2, 3].map(|n| quorum.status(n)), [Status::Down, Status::Up, Status::Up, Status::Down]);
    }
}
