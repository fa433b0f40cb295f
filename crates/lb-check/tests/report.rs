//! The log lines that haproxy 2.6.12 sent to a syslog receiver, beside ours for the same events.

use lb_check::report::{Cause, Checker, Counts, Level, Line, Server, check_line, no_server_line, server_lines};
use lb_check::{Admin, Health, HealthSpec, Status, Transition, Verdict};
use std::time::Duration;

const S: Server<'_> = Server { backend: "b", name: "s", backup: false, no_share: false, tracks: None };
const K: Server<'_> = Server { backend: "b", name: "k", backup: true, no_share: false, tracks: None };

fn verdict(status: Status, code: Option<u32>, info: &[u8], ms: u64) -> Verdict {
    Verdict { status, code, info: info.into(), duration: Duration::from_millis(ms) }
}

fn ok() -> Verdict {
    verdict(Status::L7Ok, Some(200), b"", 0)
}

fn oops() -> Verdict {
    verdict(Status::L7Sts, Some(500), b"Oops", 0)
}

fn counts(active: usize, backup: usize) -> Counts {
    Counts { active, backup, ..Counts::default() }
}

#[track_caller]
fn same(lines: &[Line], expected: &[(Level, &str)]) {
    let lines: Vec<_> = lines.iter().map(|l| (l.level, l.text.as_str())).collect();
    assert_eq!(lines, expected);
}

/// Applies a verdict and returns the lines as a proxy logs them.
fn log(server: Server<'_>, health: &mut Health, verdict: &Verdict, log_checks: bool, counts: Counts) -> Vec<Line> {
    let applied = health.apply(verdict);
    let mut lines = Vec::new();
    if log_checks && applied.noticed {
        lines.push(check_line(server, health, verdict, Checker::Health));
    }
    if let Some(transition) = applied.transition {
        let cause = if log_checks { Cause::LoggedCheck } else { Cause::Check(verdict) };
        lines.extend(server_lines(server, health, transition, cause, counts));
    }
    lines
}

#[test]
fn down_and_up() {
    let mut health = Health::new(HealthSpec { fall: 1, rise: 1, ..HealthSpec::default() });
    let refused = verdict(Status::L4Con, None, b"Connection refused", 0);
    same(
        &log(S, &mut health, &refused, false, counts(0, 0)),
        &[(
            Level::Alert,
            "Server b/s is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms. \
             0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
        )],
    );
    assert_eq!(no_server_line("backend", "b"), Line { level: Level::Emerg, text: "backend b has no server available!".into() });
    same(
        &log(S, &mut health, &ok(), false, counts(2, 0)),
        &[(
            Level::Notice,
            "Server b/s is UP, reason: Layer7 check passed, code: 200, check duration: 0ms. 2 active and 0 backup servers online. \
             0 sessions requeued, 0 total in queue.",
        )],
    );
    same(
        &log(S, &mut health, &oops(), false, counts(0, 2)),
        &[(
            Level::Alert,
            "Server b/s is DOWN, reason: Layer7 wrong status, code: 500, info: \"Oops\", check duration: 0ms. 0 active and 2 backup \
             servers left. Running on backup. 0 sessions active, 0 requeued, 0 remaining in queue.",
        )],
    );
    let mut backup = Health::new(HealthSpec { fall: 1, ..HealthSpec::default() });
    same(
        &log(K, &mut backup, &oops(), false, counts(0, 1)),
        &[(
            Level::Alert,
            "Backup Server b/k is DOWN, reason: Layer7 wrong status, code: 500, info: \"Oops\", check duration: 0ms. 0 active and 1 \
             backup servers left. Running on backup. 0 sessions active, 0 requeued, 0 remaining in queue.",
        )],
    );
}

#[test]
fn health_lines() {
    let mut health = Health::new(HealthSpec::default());
    let step =
        |health: &mut Health, v: &Verdict| log(S, health, v, true, counts(1, 0)).into_iter().map(|l| l.text).collect::<Vec<_>>().join("\n");
    let failed = "Health check for server b/s failed, reason: ";
    let wrong = format!("{failed}Layer7 wrong status, code: 500, info: \"Oops\", check duration: 0ms, status: ");
    let passed = "Health check for server b/s succeeded, reason: Layer7 check passed, code: 200, check duration: 0ms, status: ";
    assert_eq!(step(&mut health, &ok()), format!("{passed}3/3 UP."));
    assert_eq!(step(&mut health, &ok()), "");
    assert_eq!(step(&mut health, &oops()), format!("{wrong}2/3 UP."));
    assert_eq!(step(&mut health, &oops()), format!("{wrong}1/3 UP."));
    assert_eq!(
        step(&mut health, &oops()),
        format!(
            "{wrong}0/2 DOWN.\nServer b/s is DOWN. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
        )
    );
    assert_eq!(step(&mut health, &oops()), "");
    let junk = verdict(Status::L7Rsp, None, b"", 0);
    assert_eq!(step(&mut health, &junk), format!("{failed}Layer7 invalid response, check duration: 0ms, status: 0/2 DOWN."));
    assert_eq!(step(&mut health, &ok()), format!("{passed}1/2 DOWN."));
    assert_eq!(
        step(&mut health, &ok()),
        format!("{passed}3/3 UP.\nServer b/s is UP. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.")
    );
    let odd = verdict(Status::L7Sts, Some(500), b"a\x01\x02b\xff\t\"q\" \\ c", 3);
    assert_eq!(
        check_line(S, &health, &odd, Checker::Health).text,
        format!("{failed}Layer7 wrong status, code: 500, info: \"a<01><02>b<FF><09><22>q<22> \\ c\", check duration: 3ms, status: 3/3 UP.")
    );
    let no_share = Server { no_share: true, ..S };
    assert!(check_line(no_share, &health, &ok(), Checker::Health).text.ends_with("status: 3/3 DRAIN."));
    let slow = verdict(Status::L7Tout, None, b"", 301);
    let once = HealthSpec { fall: 1, rise: 1, ..HealthSpec::default() };
    let mut health = Health::new(once);
    health.apply(&slow);
    let line = check_line(K, &health, &slow, Checker::Health);
    assert_eq!(line.level, Level::Notice);
    assert_eq!(line.text, "Health check for backup server b/k failed, reason: Layer7 timeout, check duration: 301ms, status: 0/1 DOWN.");
}

#[test]
fn operators() {
    let mut health = Health::new(HealthSpec::default());
    health.apply(&ok());
    let act = |health: &mut Health, wish: Admin, counts: Counts| {
        let transition = health.admin(wish).expect("a change");
        server_lines(S, health, transition, Cause::Cli, counts)
    };
    let left = "1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.";
    let online = "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.";
    let one = counts(1, 0);
    same(&act(&mut health, Admin::Maint, one), &[(Level::Alert, &*format!("Server b/s is going DOWN for maintenance. {left}"))]);
    same(&act(&mut health, Admin::Ready, one), &[(Level::Notice, "Server b/s is UP/READY (leaving forced maintenance).")]);
    same(&act(&mut health, Admin::Drain, one), &[(Level::Notice, &*format!("Server b/s enters drain state. {online}"))]);
    same(&act(&mut health, Admin::Maint, one), &[(Level::Notice, &*format!("Server b/s is going DOWN for maintenance. {left}"))]);
    let remains = (Level::Notice, "Server b/s remains in forced drain mode.");
    same(&act(&mut health, Admin::Drain, one), &[(Level::Notice, "Server b/s is UP/DRAIN (leaving forced maintenance)."), remains]);
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.extend(log(S, &mut health, &oops(), false, one));
    }
    let why = "reason: Layer7 wrong status, code: 500, info: \"Oops\", check duration: 0ms";
    same(&lines, &[(Level::Notice, &*format!("Server b/s is DOWN, {why}. {left}")), remains]);
    same(&act(&mut health, Admin::Ready, one), &[(Level::Notice, "Server b/s is DOWN (leaving forced drain).")]);
    same(&act(&mut health, Admin::Drain, one), &[(Level::Notice, &*format!("Server b/s enters drain state. {left}"))]);
    health.admin(Admin::Ready);
    same(&act(&mut health, Admin::Maint, one), &[(Level::Notice, "Server b/s was DOWN and now enters maintenance.")]);
    health.admin(Admin::Ready);
    same(&act(&mut health, Admin::ForceDown, one), &[(Level::Alert, &*format!("Server b/s is DOWN, changed from CLI. {left}"))]);
    health.admin(Admin::ForceUp);
    same(&act(&mut health, Admin::ForceStopping, one), &[(Level::Notice, &*format!("Server b/s is stopping, changed from CLI. {online}"))]);
    let applied = health.apply(&ok());
    assert_eq!(applied.transition, Some(Transition::Up));
    health.admin(Admin::Drain);
    same(&act(&mut health, Admin::Ready, one), &[(Level::Notice, "Server b/s is UP (leaving forced drain).")]);
}
