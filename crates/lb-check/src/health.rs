//! The health of one server: rise and fall, maintenance and drain.
//!
//! A server's health is a number from 0 to `rise + fall - 1`; from `rise` on it is up. A success while it is down adds one; a failure while it
//! is down takes all away. A success while it is up gives full health; a failure takes one away, and at `rise` the server goes down. A new
//! server stands at `rise`: up, with one failure to go. Holds: all of this as HAProxy 2.6 was seen to count.

use crate::passive::OnError;
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

/// `init-state`: what is believed of a server at the start and after maintenance (manual of 3.1, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Initial {
    /// Up; it takes `fall` failures to go down.
    FullyUp,
    /// Up, with one failure to go.
    #[default]
    Up,
    /// Down, with one success to go.
    Down,
    /// Down; it takes `rise` successes to come up.
    FullyDown,
}

/// A change that others must hear of (and that is logged: [`crate::report::server_lines`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// A check or the operator brought the server down.
    Down,
    /// A check or the operator brought the server up.
    Up,
    /// It finishes what it has and takes nothing new (`set server … health stopping`, a conditional check).
    Stopping,
    /// It goes into maintenance.
    MaintBegins {
        /// It was up before.
        was_up: bool,
    },
    /// It comes out of maintenance, and is perhaps drained.
    MaintEnds {
        /// The maintenance was that of the server that it tracks.
        inherited: bool,
    },
    /// One reason for its maintenance has gone, the other remains ([`Health::is_forced_maint`]).
    MaintRemains,
    /// It is drained.
    DrainBegins,
    /// It is no longer drained.
    DrainEnds,
    /// One reason for the drain came or went, another remains ([`Health::is_forced_drain`]).
    DrainRemains,
}

/// What an operator, or a server's agent, wants.
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
    /// `set server … agent up`.
    AgentUp,
    /// `set server … agent down`.
    AgentDown,
}

/// What a verdict changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// The server went up or down.
    pub transition: Option<Transition>,
    /// Status or health changed: worth a line with `option log-health-checks` ([`crate::report::check_line`]).
    pub noticed: bool,
}

/// What a server that is tracked hands down to those that track it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lead {
    up: bool,
    stopping: bool,
    admin: Modes,
}

/// What an operator wants of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Modes {
    maint: bool,
    drain: bool,
}

/// What a server's agent has said. Its rise and fall are 1.
#[derive(Debug, Clone, Copy)]
struct AgentHealth {
    enabled: bool,
    well: bool,
    status: Status,
}

/// The health of one server.
#[derive(Debug, Clone)]
pub struct Health {
    spec: HealthSpec,
    initial: Initial,
    /// It is checked, so that its level counts.
    checked: bool,
    level: u32,
    status: Status,
    agent: Option<AgentHealth>,
    up: bool,
    stopping: bool,
    forced: Modes,
    /// From the server that it tracks.
    inherited: Modes,
    /// State of that server; up for one that tracks none.
    lead: (bool, bool),
    failed_checks: u64,
    downs: u64,
}

impl Health {
    /// Of a server that was just configured: up, with one failure to go.
    pub fn new(spec: HealthSpec) -> Health {
        let spec = HealthSpec { rise: spec.rise.max(1), fall: spec.fall.max(1), ..spec };
        Health {
            spec,
            initial: Initial::Up,
            checked: true,
            level: spec.rise,
            status: Status::Initial,
            agent: None,
            up: true,
            stopping: false,
            forced: Modes::default(),
            inherited: Modes::default(),
            lead: (true, false),
            failed_checks: 0,
            downs: 0,
        }
    }

    /// The same with the keyword `disabled`: in maintenance from the start, and nothing is logged for it.
    pub fn new_disabled(spec: HealthSpec) -> Health {
        Health { forced: Modes { maint: true, drain: false }, ..Health::new(spec) }
    }

    /// `init-state`, now and after each maintenance.
    pub fn starting(mut self, initial: Initial) -> Health {
        self.initial = initial;
        self.level = self.initial_level();
        self.up = self.level >= self.spec.rise;
        self
    }

    /// With an agent, which is thought to say that all is well.
    pub fn with_agent(mut self) -> Health {
        self.agent = Some(AgentHealth { enabled: true, well: true, status: Status::Initial });
        self
    }

    /// Whether its checks run (they are configured, and no operator has stopped them): only then their level has a say.
    pub fn set_checked(&mut self, on: bool) {
        self.checked = on;
    }

    /// Whether its agent is asked (`enable agent`, `disable agent`).
    pub fn set_agent_enabled(&mut self, on: bool) {
        if let Some(agent) = &mut self.agent {
            agent.enabled = on;
        }
    }

    /// The end of a check. Ignored in maintenance.
    pub fn apply(&mut self, verdict: &Verdict) -> Applied {
        if self.in_maintenance() {
            return Applied::default();
        }
        let mut noticed = self.status != verdict.status;
        self.status = verdict.status;
        let transition = match verdict.status.outcome() {
            Outcome::Neutral => return Applied::default(),
            Outcome::Failed => {
                if self.level > 0 {
                    noticed = true;
                    self.failed_checks += 1;
                    self.level = if self.level > self.spec.rise { self.level - 1 } else { 0 };
                }
                if self.level == 0 { self.goes_down() } else { None }
            }
            passed => {
                if self.level < self.full() {
                    noticed = true;
                    self.level += 1;
                    if self.level >= self.spec.rise {
                        self.level = self.full();
                    }
                }
                if self.checks_agree() { self.comes_up(passed == Outcome::Conditional) } else { None }
            }
        };
        Applied { transition, noticed }
    }

    /// What its agent has said of its state. Only [`Status::L7Sts`] brings a server down: an agent that cannot be asked says nothing.
    pub fn apply_agent(&mut self, verdict: &Verdict) -> Applied {
        let maintenance = self.in_maintenance();
        let Some(agent) = self.agent.as_mut().filter(|agent| agent.enabled) else { return Applied::default() };
        let mut noticed = agent.status != verdict.status;
        agent.status = verdict.status;
        let transition = match verdict.status.outcome() {
            Outcome::Neutral => return Applied::default(),
            Outcome::Failed if verdict.status != Status::L7Sts => None,
            Outcome::Failed => {
                noticed |= agent.well;
                agent.well = false;
                if maintenance { None } else { self.goes_down() }
            }
            _ => {
                noticed |= !agent.well;
                agent.well = true;
                // An agent does not end what a conditional check or the operator has begun.
                let stopping = self.up && self.stopping;
                if maintenance || stopping || !self.checks_agree() || !self.lead.0 { None } else { self.comes_up(false) }
            }
        };
        Applied { transition, noticed }
    }

    /// Too many errors in a row were seen in its traffic (`observe`): what `on-error` makes of that. `verdict` tells them.
    pub fn apply_errors(&mut self, mode: OnError, verdict: &Verdict) -> Applied {
        match mode {
            OnError::Fastinter => return Applied::default(),
            OnError::FailCheck => {}
            OnError::SuddenDeath => self.level = self.level.min(self.spec.rise + 1),
            OnError::MarkDown => self.level = self.level.min(self.spec.rise),
        }
        self.apply(verdict)
    }

    /// What an operator wants done; what changed by it, if anything did.
    pub fn admin(&mut self, wish: Admin) -> Option<Transition> {
        let was_maint = self.in_maintenance();
        match wish {
            Admin::Maint if std::mem::replace(&mut self.forced.maint, true) || was_maint => None,
            Admin::Maint => Some(Transition::MaintBegins { was_up: self.up }),
            Admin::Ready => {
                let drained = std::mem::take(&mut self.forced.drain);
                if std::mem::take(&mut self.forced.maint) {
                    return Some(self.leave_forced_maintenance());
                }
                let visible = drained && !was_maint;
                visible.then_some(if self.inherited.drain { Transition::DrainRemains } else { Transition::DrainEnds })
            }
            Admin::Drain => {
                let newly = !std::mem::replace(&mut self.forced.drain, true);
                if std::mem::take(&mut self.forced.maint) {
                    return Some(self.leave_forced_maintenance());
                }
                let visible = newly && !was_maint;
                visible.then_some(if self.inherited.drain { Transition::DrainRemains } else { Transition::DrainBegins })
            }
            Admin::AgentUp | Admin::AgentDown => {
                let well = wish == Admin::AgentUp;
                if let Some(agent) = &mut self.agent {
                    agent.well = well;
                }
                match well {
                    _ if was_maint => None,
                    // It takes the word for it, whatever checks say.
                    true => self.comes_up(false),
                    false => self.goes_down(),
                }
            }
            _ if was_maint => None,
            Admin::ForceUp | Admin::ForceStopping => {
                self.level = self.full();
                self.comes_up(wish == Admin::ForceStopping)
            }
            Admin::ForceDown => {
                self.level = 0;
                self.goes_down()
            }
        }
    }

    /// What those that track this server are told.
    pub fn lead(&self) -> Lead {
        let admin = Modes { maint: self.in_maintenance(), drain: self.in_drain() };
        Lead { up: self.up, stopping: self.stopping, admin }
    }

    /// The server that this one tracks is so now: what changes by it, in order.
    pub fn follow(&mut self, lead: Lead) -> Vec<Transition> {
        let mut changes = Vec::new();
        let had = std::mem::replace(&mut self.inherited.drain, lead.admin.drain);
        if had != lead.admin.drain && !self.in_maintenance() {
            changes.push(match (self.forced.drain, lead.admin.drain) {
                (true, _) => Transition::DrainRemains,
                (false, true) => Transition::DrainBegins,
                (false, false) => Transition::DrainEnds,
            });
        }
        let moved = std::mem::replace(&mut self.lead, (lead.up, lead.stopping)) != self.lead;
        let was_maint = self.in_maintenance();
        let had = std::mem::replace(&mut self.inherited.maint, lead.admin.maint);
        match (had, lead.admin.maint) {
            (false, true) if !was_maint => changes.push(Transition::MaintBegins { was_up: self.up }),
            (true, false) if self.forced.maint => changes.push(Transition::MaintRemains),
            (true, false) => changes.push(self.end_maintenance(true)),
            _ => {}
        }
        // Only a change counts: what its own agent has said since the last one stands.
        if moved && !self.in_maintenance() {
            changes.extend(if lead.up { self.comes_up(lead.stopping) } else { self.goes_down() });
        }
        changes
    }

    /// As [`Health::follow`] before anything runs: nothing has changed by it.
    pub fn begin_as(&mut self, lead: Lead) {
        let downs = self.downs;
        self.follow(lead);
        self.downs = downs;
    }

    /// How long to wait from the end of a check to the next, by what is known now. To be passed through
    /// [`crate::spread_interval`] where `spread-checks` is set.
    pub fn interval(&self) -> Duration {
        if self.level == 0 {
            self.spec.downinter.unwrap_or(self.spec.inter)
        } else if self.level == self.full() {
            self.spec.inter
        } else {
            self.spec.fastinter.unwrap_or(self.spec.inter)
        }
    }

    /// Whether it is up; maintenance and drain do not count.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Whether the scheduler may give it work: up, not stopping, and neither in maintenance nor drained.
    pub fn takes_new(&self) -> bool {
        self.up && !self.stopping && !self.in_maintenance() && !self.in_drain()
    }

    /// Whether streams that belong to it may still go there: up and not in maintenance.
    pub fn takes_own(&self) -> bool {
        self.up && !self.in_maintenance()
    }

    /// Whether it is in maintenance; it is not checked then.
    pub fn in_maintenance(&self) -> bool {
        self.forced.maint || self.inherited.maint
    }

    /// Whether it is in maintenance by itself.
    pub fn is_forced_maint(&self) -> bool {
        self.forced.maint
    }

    /// Whether the server that it tracks is in maintenance.
    pub fn is_inherited_maint(&self) -> bool {
        self.inherited.maint
    }

    /// Whether it is drained.
    pub fn in_drain(&self) -> bool {
        self.forced.drain || self.inherited.drain
    }

    /// Whether it is drained by itself.
    pub fn is_forced_drain(&self) -> bool {
        self.forced.drain
    }

    /// Whether the server that it tracks is drained.
    pub fn is_inherited_drain(&self) -> bool {
        self.inherited.drain
    }

    /// Whether it only finishes what it has: a conditional check or the operator said so.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Its health, 0 to `rise + fall - 1` (statistics: check_health).
    pub fn level(&self) -> u32 {
        self.level
    }

    /// The status of its last check (statistics: check_status).
    pub fn status(&self) -> Status {
        self.status
    }

    /// Its agent, while that is asked: the status of the last answer, and whether the server is well by it (statistics: agent_status,
    /// agent_health).
    pub fn agent(&self) -> Option<(Status, bool)> {
        self.agent.filter(|agent| agent.enabled).map(|agent| (agent.status, agent.well))
    }

    /// What its health is counted by.
    pub fn spec(&self) -> &HealthSpec {
        &self.spec
    }

    /// Failed checks of a server that was not wholly down (statistics: chkfail).
    pub fn failed_checks(&self) -> u64 {
        self.failed_checks
    }

    /// How often it went down other than for maintenance.
    pub fn downs(&self) -> u64 {
        self.downs
    }

    /// `2/3` of a log line: how far from down, or how far on the way up.
    pub fn progress(&self) -> (u32, u32) {
        if self.level >= self.spec.rise { (self.level - self.spec.rise + 1, self.spec.fall) } else { (self.level, self.spec.rise) }
    }

    /// The status column of the statistics: `UP`, `UP 1/3`, `DOWN (agent)`, `NOLB`, `MAINT`, `no check`. `checked` is the server whose
    /// checks and agent count for this one: itself, or the one at the end of the chain that it tracks.
    pub fn shown(&self, checked: &Health) -> String {
        if self.in_maintenance() {
            return "MAINT".into();
        }
        let by_agent = checked.agent.is_some_and(|agent| agent.enabled);
        let word = match (self.up, self.stopping) {
            (false, _) if by_agent && checked.agent.is_some_and(|agent| !agent.well) => return "DOWN (agent)".into(),
            (false, _) if checked.level == 0 => return "DOWN".into(),
            (false, _) => "DOWN",
            (true, true) => "NOLB",
            (true, false) if self.in_drain() && by_agent => return "DRAIN (agent)".into(),
            (true, false) if self.in_drain() => "DRAIN",
            (true, false) if !checked.checked => return "no check".into(),
            (true, false) => "UP",
        };
        // Without checks nothing is on its way up or down.
        if !checked.checked || (self.up && checked.level == checked.full()) {
            return word.into();
        }
        let (done, of) = match self.up {
            // What an operator has brought up against its checks is less than at the edge.
            true => (i64::from(checked.level) - i64::from(checked.spec.rise) + 1, checked.spec.fall),
            false => (checked.level.into(), checked.spec.rise),
        };
        format!("{word} {done}/{of}")
    }

    /// Neither checks nor agent are against its being up.
    fn checks_agree(&self) -> bool {
        (!self.checked || self.level >= self.spec.rise) && self.agent_agrees()
    }

    fn agent_agrees(&self) -> bool {
        self.agent.is_none_or(|agent| agent.well || !agent.enabled)
    }

    fn goes_down(&mut self) -> Option<Transition> {
        if !self.up {
            return None;
        }
        self.downs += 1;
        (self.up, self.stopping) = (false, false);
        Some(Transition::Down)
    }

    fn comes_up(&mut self, stopping: bool) -> Option<Transition> {
        let changed = !self.up || self.stopping != stopping;
        (self.up, self.stopping) = (true, stopping);
        changed.then_some(if stopping { Transition::Stopping } else { Transition::Up })
    }

    fn leave_forced_maintenance(&mut self) -> Transition {
        if self.inherited.maint { Transition::MaintRemains } else { self.end_maintenance(false) }
    }

    fn end_maintenance(&mut self, inherited: bool) -> Transition {
        // Maintenance takes all health away, and only checks bring some back.
        self.level = if self.checked { self.initial_level() } else { 0 };
        self.up = self.checks_agree() && self.lead.0;
        self.stopping = self.up && self.lead.1;
        Transition::MaintEnds { inherited }
    }

    fn initial_level(&self) -> u32 {
        match self.initial {
            Initial::FullyUp => self.full(),
            Initial::Up => self.spec.rise,
            Initial::Down => self.spec.rise - 1,
            Initial::FullyDown => 0,
        }
    }

    fn full(&self) -> u32 {
        self.spec.rise + self.spec.fall - 1
    }
}

impl fmt::Display for Health {
    /// The status column of the statistics of a server that tracks none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(self))
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
        assert_eq!(health.admin(Admin::Ready), Some(Transition::MaintEnds { inherited: false }));
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
        let mut unchecked = Health::new_disabled(HealthSpec::default());
        unchecked.set_checked(false);
        assert_eq!(unchecked.to_string(), "MAINT");
        unchecked.admin(Admin::Ready);
        assert_eq!((unchecked.to_string(), unchecked.level()), ("no check".into(), 0));
        assert!(unchecked.takes_new());
    }
}
