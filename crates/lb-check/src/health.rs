//! The health of one server: rise and fall, maintenance and drain.
//!
//! A server's health is a number from 0 to `rise + fall - 1`; from `rise` on it is up. A success while it is down adds one; a failure while it
//! is down takes all away. A success while it is up gives full health; a failure takes one away, and at `rise` the server goes down. A new
//! server stands at `rise`: up, with one failure to go. Holds: all of this as HAProxy 2.6 was seen to count.

use crate::status::{Outcome, Status, Verdict};
use std::fmt;
use std::time::Duration;

/// How health is counted and how often it is checked (server keywords of the manual, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthSpec {
    /// Successes that bring a server up, at least 1 (0 is read as 1).
    pub rise: u32,
    /// Failures that bring a server down, at least 1 (0 is read as 1).
    pub fall: u32,
    /// Between checks.
    pub inter: Duration,
    /// Between checks on the way up or down, and before the first result.
    pub fastinter: Option<Duration>,
    /// Between checks while the server is down.
    pub downinter: Option<Duration>,
}

impl Default for HealthSpec {
    /// rise 2, fall 3, inter 2s.
    fn default() -> Self {
        HealthSpec { rise: 2, fall: 3, inter: Duration::from_secs(2), fastinter: None, downinter: None }
    }
}

/// A change that others must hear of (and that is logged: [`crate::report::server_lines`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// A check or the operator brought the server down.
    Down,
    /// A check or the operator brought the server up.
    Up,
    /// The operator lets it finish what it has (`set server … health stopping`).
    Stopping,
    /// It goes into maintenance.
    MaintBegins {
        /// It was up before.
        was_up: bool,
    },
    /// It comes out of maintenance, up with one failure to go, and perhaps drained.
    MaintEnds,
    /// It is drained.
    DrainBegins,
    /// It is no longer drained.
    DrainEnds,
}

/// What an operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// `disable server`, `set server … state maint`.
    Maint,
    /// `set server … state drain`.
    Drain,
    /// `enable server`, `set server … state ready`.
    Ready,
    /// `set server … health up`.
    ForceUp,
    /// `set server … health stopping`.
    ForceStopping,
    /// `set server … health down`.
    ForceDown,
}

/// What a verdict changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// The server went up or down.
    pub transition: Option<Transition>,
    /// Status or health changed: worth a line with `option log-health-checks` ([`crate::report::check_line`]).
    pub noticed: bool,
}

/// The health of one server.
#[derive(Debug, Clone)]
pub struct Health {
    spec: HealthSpec,
    health: u32,
    status: Status,
    maint: bool,
    drain: bool,
    stopping: bool,
    failed_checks: u64,
    downs: u64,
}

impl Health {
    /// Of a server that was just configured: up, with one failure to go.
    pub fn new(spec: HealthSpec) -> Health {
        let spec = HealthSpec { rise: spec.rise.max(1), fall: spec.fall.max(1), ..spec };
        Health { spec, health: spec.rise, status: Status::Initial, maint: false, drain: false, stopping: false, failed_checks: 0, downs: 0 }
    }

    /// The same with the keyword `disabled`: in maintenance from the start, and nothing is logged for it.
    pub fn new_disabled(spec: HealthSpec) -> Health {
        Health { maint: true, ..Health::new(spec) }
    }

    /// The end of a check. Ignored in maintenance.
    pub fn apply(&mut self, verdict: &Verdict) -> Applied {
        if self.maint {
            return Applied::default();
        }
        let mut noticed = self.status != verdict.status;
        self.status = verdict.status;
        let was_up = self.is_up();
        let was_stopping = self.stopping;
        match verdict.status.outcome() {
            Outcome::Neutral => return Applied::default(),
            Outcome::Failed if self.health > 0 => {
                noticed = true;
                self.failed_checks += 1;
                self.health = if self.health > self.spec.rise { self.health - 1 } else { 0 };
            }
            Outcome::Failed => {}
            Outcome::Passed | Outcome::Conditional => {
                if self.health < self.full() {
                    noticed = true;
                    self.health += 1;
                    if self.is_up() {
                        self.health = self.full();
                    }
                }
                if self.is_up() {
                    self.stopping = verdict.status.outcome() == Outcome::Conditional;
                }
            }
        }
        let transition = match (was_up, self.is_up()) {
            (true, false) => {
                self.downs += 1;
                self.stopping = false;
                Some(Transition::Down)
            }
            (false, true) if self.stopping => Some(Transition::Stopping),
            (false, true) => Some(Transition::Up),
            (true, true) if was_stopping && !self.stopping => Some(Transition::Up),
            (true, true) if !was_stopping && self.stopping => Some(Transition::Stopping),
            _ => None,
        };
        Applied { transition, noticed }
    }

    /// What an operator wants done; what changed by it, if anything did.
    pub fn admin(&mut self, wish: Admin) -> Option<Transition> {
        match wish {
            Admin::Maint if self.maint => None,
            Admin::Maint => {
                self.maint = true;
                Some(Transition::MaintBegins { was_up: self.is_up() })
            }
            Admin::Ready if self.maint => {
                self.drain = false;
                Some(self.end_maintenance())
            }
            Admin::Ready => std::mem::take(&mut self.drain).then_some(Transition::DrainEnds),
            Admin::Drain if self.maint => {
                self.drain = true;
                Some(self.end_maintenance())
            }
            Admin::Drain if self.drain => None,
            Admin::Drain => {
                self.drain = true;
                Some(Transition::DrainBegins)
            }
            Admin::ForceUp | Admin::ForceStopping | Admin::ForceDown if self.maint => None,
            Admin::ForceUp => {
                let changed = !self.is_up() || self.stopping;
                self.health = self.full();
                self.stopping = false;
                changed.then_some(Transition::Up)
            }
            Admin::ForceStopping => {
                let changed = !self.is_up() || !self.stopping;
                self.health = self.full();
                self.stopping = true;
                changed.then_some(Transition::Stopping)
            }
            Admin::ForceDown => {
                let changed = self.is_up();
                self.health = 0;
                self.stopping = false;
                changed.then_some(Transition::Down)
            }
        }
    }

    /// How long to wait from the end of a check to the next, by what is known now. To be passed through
    /// [`crate::spread_interval`] where `spread-checks` is set.
    pub fn interval(&self) -> Duration {
        if self.health == 0 {
            self.spec.downinter.unwrap_or(self.spec.inter)
        } else if self.health == self.full() {
            self.spec.inter
        } else {
            self.spec.fastinter.unwrap_or(self.spec.inter)
        }
    }

    /// Whether the checks find it up; maintenance and drain do not count.
    pub fn is_up(&self) -> bool {
        self.health >= self.spec.rise
    }

    /// Whether the scheduler may give it work: up, not stopping, and neither in maintenance nor drained.
    pub fn takes_new(&self) -> bool {
        self.is_up() && !self.stopping && !self.maint && !self.drain
    }

    /// Whether streams that belong to it may still go there: up and not in maintenance.
    pub fn takes_own(&self) -> bool {
        self.is_up() && !self.maint
    }

    /// Whether it is in maintenance; it is not checked then.
    pub fn in_maintenance(&self) -> bool {
        self.maint
    }

    /// Whether it is drained.
    pub fn in_drain(&self) -> bool {
        self.drain
    }

    /// Whether it only finishes what it has: a conditional check or the operator said so.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Its health, 0 to `rise + fall - 1` (statistics: check_health).
    pub fn level(&self) -> u32 {
        self.health
    }

    /// The status of its last check (statistics: check_status).
    pub fn status(&self) -> Status {
        self.status
    }

    /// What its health is counted by.
    pub fn spec(&self) -> &HealthSpec {
        &self.spec
    }

    /// Failed checks of a server that was not wholly down (statistics: chkfail).
    pub fn failed_checks(&self) -> u64 {
        self.failed_checks
    }

    /// How often checks brought it down (statistics: chkdown).
    pub fn downs(&self) -> u64 {
        self.downs
    }

    /// `2/3` of a log line: how far from down, or how far on the way up.
    pub fn progress(&self) -> (u32, u32) {
        if self.is_up() { (self.health - self.spec.rise + 1, self.spec.fall) } else { (self.health, self.spec.rise) }
    }

    fn end_maintenance(&mut self) -> Transition {
        self.maint = false;
        self.stopping = false;
        self.health = self.spec.rise;
        Transition::MaintEnds
    }

    fn full(&self) -> u32 {
        self.spec.rise + self.spec.fall - 1
    }
}

impl fmt::Display for Health {
    /// The status column of the statistics: `UP`, `UP 1/3`, `DOWN`, `DOWN 1/2`, `NOLB`, `DRAIN`, `MAINT`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, of) = self.progress();
        let word = match (self.maint, self.is_up(), self.drain, self.stopping) {
            (true, ..) => return f.write_str("MAINT"),
            (_, false, ..) => "DOWN",
            (_, _, true, _) => "DRAIN",
            (_, _, _, true) => "NOLB",
            _ => "UP",
        };
        f.write_str(word)?;
        let steady = if self.is_up() { self.health == self.full() } else { self.health == 0 };
        if steady { Ok(()) } else { write!(f, " {done}/{of}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(passed: bool) -> Verdict {
        let status = if passed { Status::L7Ok } else { Status::L7Sts };
        Verdict { status, code: Some(if passed { 200 } else { 500 }), info: Box::default(), duration: Duration::ZERO }
    }

    /// Plays `+` and `-` and returns the changes of the status column, `*` where a log line is due.
    fn play(spec: HealthSpec, plan: &str) -> String {
        let mut health = Health::new(spec);
        let mut seen = vec![health.to_string()];
        for c in plan.chars() {
            let applied = health.apply(&verdict(c == '+'));
            let mark = match applied.transition {
                Some(Transition::Up) => "^",
                Some(Transition::Down) => "v",
                None => "",
                other => panic!("{other:?}"),
            };
            seen.push(format!("{health}{mark}{}", if applied.noticed { "*" } else { "" }));
        }
        seen.join(" | ")
    }

    /// States, transitions and health lines as haproxy 2.6.12 showed them for these results (rise 2, fall 3).
    #[test]
    fn counts_as_haproxy() {
        let spec = HealthSpec::default();
        assert_eq!(play(spec, "+++---+++"), "UP 1/3 | UP* | UP | UP | UP 2/3* | UP 1/3* | DOWNv* | DOWN 1/2* | UP^* | UP");
        assert_eq!(play(spec, "---++"), "UP 1/3 | DOWNv* | DOWN | DOWN | DOWN 1/2* | UP^*");
        assert_eq!(play(spec, "++-++--+"), "UP 1/3 | UP* | UP | UP 2/3* | UP* | UP | UP 2/3* | UP 1/3* | UP*");
        assert_eq!(play(spec, "-+-+"), "UP 1/3 | DOWNv* | DOWN 1/2* | DOWN* | DOWN 1/2*");
        let one = HealthSpec { rise: 0, fall: 0, ..spec };
        assert_eq!(play(one, "+-+"), "UP | UP* | DOWNv* | UP^*");
    }

    #[test]
    fn intervals_by_state() {
        let ms = Duration::from_millis;
        let spec = HealthSpec { rise: 3, fall: 3, inter: ms(300), fastinter: Some(ms(100)), downinter: Some(ms(500)) };
        let mut health = Health::new(spec);
        assert_eq!(health.interval(), ms(100), "yet unchecked");
        let mut gaps = Vec::new();
        for c in "++----++++".chars() {
            health.apply(&verdict(c == '+'));
            gaps.push(health.interval().as_millis());
        }
        // The pauses that haproxy 2.6.12 made after these results.
        assert_eq!(gaps, [300, 300, 100, 100, 500, 500, 100, 100, 300, 300]);
        let plain = Health::new(HealthSpec { fastinter: None, downinter: None, ..spec });
        assert_eq!(plain.interval(), ms(300));
    }

    #[test]
    fn operators() {
        let mut health = Health::new(HealthSpec::default());
        health.apply(&verdict(true));
        assert_eq!(health.admin(Admin::Maint), Some(Transition::MaintBegins { was_up: true }));
        assert_eq!(health.admin(Admin::Maint), None);
        assert_eq!(health.to_string(), "MAINT");
        assert_eq!(health.apply(&verdict(false)), Applied::default());
        assert_eq!(health.admin(Admin::ForceUp), None);
        assert_eq!(health.admin(Admin::Ready), Some(Transition::MaintEnds));
        assert_eq!(health.to_string(), "UP 1/3");
        health.apply(&verdict(true));
        assert_eq!(health.admin(Admin::Drain), Some(Transition::DrainBegins));
        assert!(!health.takes_new() && health.takes_own());
        assert_eq!(health.to_string(), "DRAIN");
        for _ in 0..3 {
            health.apply(&verdict(false));
        }
        assert_eq!(health.to_string(), "DOWN");
        assert_eq!(health.admin(Admin::Ready), Some(Transition::DrainEnds));
        assert_eq!(health.admin(Admin::Maint), Some(Transition::MaintBegins { was_up: false }));
        health.admin(Admin::Ready);
        assert_eq!(health.admin(Admin::ForceDown), Some(Transition::Down));
        assert_eq!(health.admin(Admin::ForceUp), Some(Transition::Up));
        assert_eq!(health.admin(Admin::ForceStopping), Some(Transition::Stopping));
        assert_eq!(health.to_string(), "NOLB");
        assert_eq!(health.apply(&verdict(true)).transition, Some(Transition::Up));
        assert_eq!(health.admin(Admin::ForceUp), None);
        assert_eq!(Health::new_disabled(HealthSpec::default()).to_string(), "MAINT");
    }
}
