//! The log lines about checks and states, byte for byte as HAProxy 2.6 was seen to write them.
//!
//! Holds: what comes from a server (reason phrases) is escaped, so that a line stays one line. The texts have no line end and no
//! syslog header; [`Line::level`] says at which level they are sent.

use crate::health::{Health, Transition};
use crate::status::{Outcome, Status, Verdict};
use std::fmt::Write as _;

/// Severity of a log line (RFC 5424 §6.2.1), as far as these lines use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// 0: nobody serves any more.
    Emerg = 0,
    /// 1: a server was lost.
    Alert = 1,
    /// 5: good to know.
    Notice = 5,
}

/// One line to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// At which level.
    pub level: Level,
    /// The text.
    pub text: String,
}

/// Whose line it is.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// Name of the backend.
    pub backend: &'a str,
    /// Name of the server.
    pub name: &'a str,
    /// Whether it is a backup server.
    pub backup: bool,
    /// Whether its weight is 0: it takes what belongs to it and nothing else.
    pub no_share: bool,
    /// The server that it tracks: backend and name.
    pub tracks: Option<(&'a str, &'a str)>,
}

/// The backend and the server after the change.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Usable servers that are no backup.
    pub active: usize,
    /// Usable backup servers.
    pub backup: usize,
    /// Streams that the server has.
    pub sessions: usize,
    /// Streams that were taken from the server's queue to be given to another server.
    pub requeued: usize,
    /// Streams that are left in the backend's queue.
    pub queued: usize,
}

/// What brought a change about.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    /// A check, whose verdict is told.
    Check(&'a Verdict),
    /// A check whose verdict has its own line already (`option log-health-checks`).
    LoggedCheck,
    /// An operator.
    Cli,
    /// The server that it tracks.
    Follows,
}

/// Who has made a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checker {
    /// The proxy.
    Health,
    /// The server's agent.
    Agent,
}

/// The lines for a change of a server's state; `health` is the server's after the change.
pub fn server_lines(server: Server<'_>, health: &Health, transition: Transition, cause: Cause<'_>, counts: Counts) -> Vec<Line> {
    let mut text = subject(server);
    let up = health.is_up();
    // HAProxy cries out for a server that took work until now, not for one that was drained already.
    let lost = if health.in_drain() { Level::Notice } else { Level::Alert };
    let level = match transition {
        Transition::Down => {
            text.push_str("is DOWN");
            push_cause(&mut text, server, cause);
            push_left(&mut text, counts);
            lost
        }
        Transition::Up | Transition::Stopping => {
            text.push_str(if transition == Transition::Up { "is UP" } else { "is stopping" });
            push_cause(&mut text, server, cause);
            push_online(&mut text, counts);
            Level::Notice
        }
        Transition::MaintBegins { was_up: true } => {
            text.push_str("is going DOWN for maintenance");
            push_via_if(&mut text, server, cause);
            push_left(&mut text, counts);
            lost
        }
        Transition::MaintBegins { was_up: false } => {
            text.push_str("was DOWN and now enters maintenance");
            push_via_if(&mut text, server, cause);
            text.push('.');
            Level::Notice
        }
        Transition::MaintEnds { inherited } => {
            let state = if up { "UP" } else { "DOWN" };
            let mode = if health.in_drain() { "DRAIN" } else { "READY" };
            let which = if inherited { "" } else { "forced " };
            let _ = write!(text, "is {state}/{mode} (leaving {which}maintenance).");
            Level::Notice
        }
        Transition::MaintRemains => {
            if health.is_forced_maint() {
                text.push_str("remains in forced maintenance.");
            } else {
                text.push_str("is leaving forced maintenance but remains in maintenance");
                push_via(&mut text, server);
                text.push('.');
            }
            Level::Notice
        }
        Transition::DrainBegins => {
            text.push_str("enters drain state");
            push_via_if(&mut text, server, cause);
            if up {
                push_online(&mut text, counts)
            } else {
                push_left(&mut text, counts)
            }
            Level::Notice
        }
        Transition::DrainRemains => {
            push_drain(&mut text, health, server);
            Level::Notice
        }
        Transition::DrainEnds => {
            text.push_str(if up { "is UP (leaving forced drain)." } else { "is DOWN (leaving forced drain)." });
            Level::Notice
        }
    };
    let mut lines = vec![Line { level, text }];
    if health.in_drain() && matches!(transition, Transition::Up | Transition::Down | Transition::Stopping | Transition::MaintEnds { .. }) {
        let mut text = subject(server);
        push_drain(&mut text, health, server);
        lines.push(Line { level: Level::Notice, text });
    }
    lines
}

/// The line of `option log-health-checks`, for a verdict that [`crate::Applied::noticed`] points out.
/// `by`: whose verdict it is.
pub fn check_line(server: Server<'_>, health: &Health, verdict: &Verdict, by: Checker) -> Line {
    let result = match verdict.status.outcome() {
        Outcome::Conditional => "conditionally succeeded",
        Outcome::Passed => "succeeded",
        Outcome::Failed | Outcome::Neutral => "failed",
    };
    let kind = if server.backup { "backup server" } else { "server" };
    let who = if by == Checker::Agent { "Agent" } else { "Health" };
    let mut text = format!("{who} check for {kind} {}/{} {result}", server.backend, server.name);
    push_verdict(&mut text, verdict);
    // The state is that which this check knows.
    let (done, of, well) = match by {
        Checker::Agent => {
            let well = health.agent().is_none_or(|(_, well)| well);
            (u32::from(well), 1, well)
        }
        Checker::Health => {
            let (done, of) = health.progress();
            (done, of, health.level() >= health.spec().rise)
        }
    };
    let state = match well {
        true if server.no_share => "DRAIN",
        true => "UP",
        false => "DOWN",
    };
    let _ = write!(text, ", status: {done}/{of} {state}.");
    Line { level: Level::Notice, text }
}

/// The line that follows when the last usable server of a backend was lost. `kind`: what haproxy calls it, `proxy` if it is a frontend too.
pub fn no_server_line(kind: &str, backend: &str) -> Line {
    Line { level: Level::Emerg, text: format!("{kind} {backend} has no server available!") }
}

fn subject(server: Server<'_>) -> String {
    format!("{}erver {}/{} ", if server.backup { "Backup S" } else { "S" }, server.backend, server.name)
}

fn push_via(text: &mut String, server: Server<'_>) {
    if let Some((backend, name)) = server.tracks {
        let _ = write!(text, " via {backend}/{name}");
    }
}

fn push_via_if(text: &mut String, server: Server<'_>, cause: Cause<'_>) {
    if let Cause::Follows = cause {
        push_via(text, server);
    }
}

fn push_drain(text: &mut String, health: &Health, server: Server<'_>) {
    if health.is_forced_drain() {
        text.push_str("remains in forced drain mode.");
    } else {
        text.push_str("is leaving forced drain but remains in drain mode");
        push_via(text, server);
        text.push('.');
    }
}

fn push_cause(text: &mut String, server: Server<'_>, cause: Cause<'_>) {
    match cause {
        Cause::Check(verdict) => push_verdict(text, verdict),
        Cause::LoggedCheck => {}
        Cause::Cli => text.push_str(", changed from CLI"),
        Cause::Follows => push_via(text, server),
    }
}

/// `, reason: …, code: …, info: "…", check duration: …ms`
fn push_verdict(text: &mut String, verdict: &Verdict) {
    let _ = write!(text, ", reason: {}", verdict.status.description());
    if let Some(code) = verdict.code {
        // haproxy's codes have a sign, which those of a program that a signal has ended show.
        let _ = write!(text, ", code: {}", code.cast_signed());
    }
    if !verdict.info.is_empty() {
        text.push_str(", info: \"");
        push_escaped(text, &verdict.info);
        text.push('"');
    }
    // Errors that were counted took no time of their own.
    if verdict.status != Status::Hana {
        let _ = write!(text, ", check duration: {}ms", verdict.duration.as_millis());
    }
}

/// Bytes that are no printable ASCII, and quotes, as `<XX>`.
fn push_escaped(text: &mut String, bytes: &[u8]) {
    for &b in bytes {
        if (b' '..=b'~').contains(&b) && b != b'"' {
            text.push(char::from(b));
        } else {
            let _ = write!(text, "<{b:02X}>");
        }
    }
}

fn push_left(text: &mut String, c: Counts) {
    let on_backup = if c.active == 0 && c.backup > 0 { " Running on backup." } else { "" };
    let _ = write!(
        text,
        ". {} active and {} backup servers left.{on_backup} {} sessions active, {} requeued, {} remaining in queue.",
        c.active, c.backup, c.sessions, c.requeued, c.queued
    );
}

fn push_online(text: &mut String, c: Counts) {
    let on_backup = if c.active == 0 && c.backup > 0 { " Running on backup." } else { "" };
    let _ = write!(
        text,
        ". {} active and {} backup servers online.{on_backup} {} sessions requeued, {} total in queue.",
        c.active, c.backup, c.requeued, c.queued
    );
}
