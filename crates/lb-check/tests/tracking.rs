//! Servers that track another one: what the two are by turns, and the lines, as haproxy 2.6.12 wrote them (the counts are zeros here).

use lb_check::report::{Cause, Counts, Server, server_lines};
use lb_check::{Admin, Health, HealthSpec, Status, Verdict};
use std::time::Duration;

/// A leader `a/s` and a follower `b/t`.
struct Pair {
    leader: Health,
    follower: Health,
}

const LEADER: Server<'_> = Server { backend: "a", name: "s", backup: false, no_share: false, tracks: None };
const FOLLOWER: Server<'_> = Server { backend: "b", name: "t", backup: false, no_share: false, tracks: Some(("a", "s")) };

impl Pair {
    fn new() -> Pair {
        let mut follower = Health::new(HealthSpec::default());
        follower.set_checked(false);
        Pair { leader: Health::new(HealthSpec { rise: 1, fall: 1, ..HealthSpec::default() }), follower }
    }

    /// The lines of a change, without counts.
    fn lines(server: Server<'_>, health: &Health, transition: lb_check::Transition, cause: Cause<'_>) -> Vec<String> {
        let lines = server_lines(server, health, transition, cause, Counts::default());
        lines.into_iter().map(|line| line.text.split(". 0 active").next().unwrap_or_default().to_owned()).collect()
    }

    fn follow(&mut self, mut lines: Vec<String>) -> Vec<String> {
        for transition in self.follower.follow(self.leader.lead()) {
            lines.extend(Self::lines(FOLLOWER, &self.follower, transition, Cause::Follows));
        }
        lines
    }

    fn lead(&mut self, wish: Admin) -> Vec<String> {
        let lines = self.leader.admin(wish).map(|t| Self::lines(LEADER, &self.leader, t, Cause::Cli)).unwrap_or_default();
        self.follow(lines)
    }

    fn own(&mut self, wish: Admin) -> Vec<String> {
        self.follower.admin(wish).map(|t| Self::lines(FOLLOWER, &self.follower, t, Cause::Cli)).unwrap_or_default()
    }
}

#[test]
fn maintenance_and_drain() {
    let mut pair = Pair::new();
    assert_eq!(pair.own(Admin::Maint), ["Server b/t is going DOWN for maintenance"]);
    assert_eq!(pair.lead(Admin::Maint), ["Server a/s is going DOWN for maintenance"]);
    assert_eq!(pair.own(Admin::Ready), ["Server b/t is leaving forced maintenance but remains in maintenance via a/s."]);
    assert_eq!(
        pair.lead(Admin::Ready),
        ["Server a/s is UP/READY (leaving forced maintenance).", "Server b/t is UP/READY (leaving maintenance)."]
    );
    assert_eq!(pair.own(Admin::Drain), ["Server b/t enters drain state"]);
    assert_eq!(pair.lead(Admin::Drain), ["Server a/s enters drain state", "Server b/t remains in forced drain mode."]);
    assert_eq!(pair.own(Admin::Ready), ["Server b/t is leaving forced drain but remains in drain mode via a/s."]);
    assert_eq!(pair.own(Admin::Drain), ["Server b/t remains in forced drain mode."]);
    assert_eq!(pair.lead(Admin::Ready), ["Server a/s is UP (leaving forced drain).", "Server b/t remains in forced drain mode."]);
    assert_eq!(pair.own(Admin::Ready), ["Server b/t is UP (leaving forced drain)."]);
    assert_eq!(pair.lead(Admin::ForceDown), ["Server a/s is DOWN, changed from CLI", "Server b/t is DOWN via a/s"]);
    assert_eq!(pair.own(Admin::Maint), ["Server b/t was DOWN and now enters maintenance."]);
    assert_eq!(pair.own(Admin::Ready), ["Server b/t is DOWN/READY (leaving forced maintenance)."]);
    assert_eq!(
        pair.lead(Admin::Maint),
        ["Server a/s was DOWN and now enters maintenance.", "Server b/t was DOWN and now enters maintenance via a/s."]
    );
    assert_eq!(
        pair.lead(Admin::Drain),
        [
            "Server a/s is UP/DRAIN (leaving forced maintenance).",
            "Server a/s remains in forced drain mode.",
            "Server b/t is UP/DRAIN (leaving maintenance).",
            "Server b/t is leaving forced drain but remains in drain mode via a/s."
        ]
    );
}

#[test]
fn states_and_an_agent_of_its_own() {
    let mut pair = Pair::new();
    pair.follower = pair.follower.with_agent();
    assert_eq!(pair.lead(Admin::ForceStopping), ["Server a/s is stopping, changed from CLI", "Server b/t is stopping via a/s"]);
    assert_eq!(pair.follower.shown(&pair.leader), "NOLB");
    pair.lead(Admin::ForceUp);
    let said = |status| Verdict { status, code: Some(0), info: Box::default(), duration: Duration::ZERO };
    assert!(pair.follower.apply_agent(&said(Status::L7Sts)).transition.is_some());
    assert_eq!(pair.follow(Vec::new()), [""; 0], "nothing has changed with its leader");
    assert_eq!(pair.follower.shown(&pair.leader), "DOWN 1/1");
    assert_eq!(pair.lead(Admin::Maint)[1], "Server b/t was DOWN and now enters maintenance via a/s.");
    assert_eq!(pair.lead(Admin::Ready)[1], "Server b/t is DOWN/READY (leaving maintenance).");
    assert!(pair.follower.apply_agent(&said(Status::L7Ok)).transition.is_some());
    // A leader that is down is stronger than the agent.
    pair.lead(Admin::ForceDown);
    assert!(pair.follower.apply_agent(&said(Status::L7Ok)).transition.is_none());
    // One that comes up is, too, until the agent speaks again.
    pair.follower.apply_agent(&said(Status::L7Sts));
    assert_eq!(pair.lead(Admin::ForceUp)[1], "Server b/t is UP via a/s");
}

#[test]
fn initial_states() {
    use lb_check::Initial::{Down, FullyDown, FullyUp, Up};
    let spec = HealthSpec::default();
    let passed = Verdict { status: Status::L4Ok, code: None, info: Box::default(), duration: Duration::ZERO };
    let failed = Verdict { status: Status::L4Con, ..passed.clone() };
    // Checks until it is down, and until it is up.
    for (initial, shown, fails, passes) in
        [(FullyUp, "UP", 3, 0), (Up, "UP 1/3", 1, 0), (Down, "DOWN 1/2", 0, 1), (FullyDown, "DOWN", 0, 2)]
    {
        let health = Health::new(spec).starting(initial);
        assert_eq!(health.to_string(), shown);
        let count = |verdict: &Verdict, up: bool| {
            let mut health = health.clone();
            let mut count = 0;
            while health.is_up() != up {
                health.apply(verdict);
                count += 1;
            }
            count
        };
        assert_eq!((count(&failed, false), count(&passed, true)), (fails, passes), "{initial:?}");
        let mut health = Health::new(spec).starting(initial);
        health.apply(&passed);
        health.admin(Admin::Maint);
        health.admin(Admin::Ready);
        assert_eq!(health.to_string(), shown, "after maintenance");
    }
}

#[test]
fn errors_of_traffic() {
    use lb_check::OnError::{FailCheck, Fastinter, MarkDown, SuddenDeath};
    let errors = lb_check::errors_verdict(3, lb_check::Sign::NotConnected);
    let passed = Verdict { status: Status::L4Ok, code: None, info: Box::default(), duration: Duration::ZERO };
    for (mode, levels) in [(Fastinter, [4, 4, 4]), (FailCheck, [3, 2, 0]), (SuddenDeath, [2, 0, 0]), (MarkDown, [0, 0, 0])] {
        let mut health = Health::new(HealthSpec::default());
        health.apply(&passed);
        let seen = [0; 3].map(|_| {
            health.apply_errors(mode, &errors);
            health.level()
        });
        assert_eq!(seen, levels, "{mode:?}");
    }
}
