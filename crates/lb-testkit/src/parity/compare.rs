//! Compares two outcomes facet by facet. A facet is named `client0.bytes`, `client0.end`, `server1.connections`,
//! `server1.0.bytes`, `log.count`, `log0.text`, `log0.timers`, `died`.

use super::case::Case;
use super::normal::same_timers;
use super::run::{Outcome, Seen};
use std::fmt::Write as _;

/// One facet in which two outcomes differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Its name.
    pub facet: String,
    /// What the reference gave.
    pub reference: String,
    /// What the program under test gave.
    pub ours: String,
}

impl Difference {
    /// A difference.
    pub fn new(facet: impl Into<String>, reference: String, ours: String) -> Self {
        Difference { facet: facet.into(), reference, ours }
    }
}

/// All facets that differ, those that the case does not compare left out.
pub fn differences(case: &Case, reference: &Outcome, ours: &Outcome, leisure: u32) -> Vec<Difference> {
    let mut out = Vec::new();
    for (i, (a, b)) in reference.clients.iter().zip(&ours.clients).enumerate() {
        seen(&mut out, &format!("client{i}"), a, b);
    }
    for (s, (a, b)) in reference.servers.iter().zip(&ours.servers).enumerate() {
        let name = format!("server{}", s + 1);
        if a.len() != b.len() {
            out.push(Difference::new(format!("{name}.connections"), list(a), list(b)));
        }
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            seen(&mut out, &format!("{name}.{i}"), a, b);
        }
    }
    if reference.logs.len() != ours.logs.len() {
        let text = |o: &Outcome| o.logs.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join(" | ");
        out.push(Difference::new("log.count", text(reference), text(ours)));
    }
    let slack = i64::try_from((case.slack * leisure).as_millis()).unwrap_or(i64::MAX);
    for (i, (a, b)) in reference.logs.iter().zip(&ours.logs).enumerate() {
        if a.text != b.text {
            out.push(Difference::new(format!("log{i}.text"), a.text.clone(), b.text.clone()));
        }
        if !same_timers(&a.timers, &b.timers, slack) {
            out.push(Difference::new(format!("log{i}.timers"), format!("{:?}", a.timers), format!("{:?}", b.timers)));
        }
    }
    if reference.died.is_some() != ours.died.is_some() {
        let text = |o: &Outcome| o.died.clone().unwrap_or_else(|| "runs".to_owned());
        out.push(Difference::new("died", text(reference), text(ours)));
    }
    out.retain(|d| !case.loose.iter().any(|(facet, _)| d.facet.starts_with(facet)));
    out
}

fn seen(out: &mut Vec<Difference>, name: &str, a: &Seen, b: &Seen) {
    if a.received != b.received {
        out.push(Difference::new(format!("{name}.bytes"), around(&a.received, &b.received), around(&b.received, &a.received)));
    }
    if a.end != b.end {
        out.push(Difference::new(format!("{name}.end"), format!("{:?}", a.end), format!("{:?}", b.end)));
    }
    if a.failure != b.failure {
        let text = |s: &Seen| s.failure.clone().unwrap_or_else(|| "all steps done".to_owned());
        out.push(Difference::new(format!("{name}.script"), text(a), text(b)));
    }
}

/// What a case promises about the reference itself: its number of log lines, and no step that failed.
pub fn sane(case: &Case, reference: &Outcome) -> Vec<Difference> {
    let mut out = Vec::new();
    if reference.logs.len() != case.logs && !case.loose.iter().any(|(f, _)| *f == "log") {
        out.push(Difference::new("case", format!("wrote {} log lines, the case says {}", reference.logs.len(), case.logs), String::new()));
    }
    let compared = |i: &usize| !case.loose.iter().any(|(facet, _)| *facet == format!("client{i}.script"));
    let clients = reference.clients.iter().enumerate().filter(|(i, _)| compared(i)).map(|(_, client)| client);
    let failures = clients.chain(reference.servers.iter().flatten()).filter_map(|s| s.failure.as_deref());
    for why in failures {
        if !why.contains("the connection ended first") && !why.contains("the other side closed") {
            out.push(Difference::new("case", format!("a script failed: {why}"), String::new()));
        }
    }
    out
}

/// An outcome in words.
pub fn show(case: &Case, outcome: &Outcome) -> String {
    let mut out = format!("=== {}\n", case.name);
    for (i, c) in outcome.clients.iter().enumerate() {
        let _ = writeln!(out, "  client{i}  {}", one(c));
    }
    for (s, conns) in outcome.servers.iter().enumerate() {
        for (i, c) in conns.iter().enumerate() {
            let _ = writeln!(out, "  server{}.{i} {}", s + 1, one(c));
        }
    }
    for line in &outcome.logs {
        let _ = writeln!(out, "  log      {} {:?}", line.text, line.timers);
    }
    out
}

fn one(seen: &Seen) -> String {
    let failure = seen.failure.as_ref().map(|f| format!(" FAILED {f}")).unwrap_or_default();
    format!("{:?} {}{failure}", seen.end, printable(&seen.received))
}

fn list(seen: &[Seen]) -> String {
    format!("{}: {}", seen.len(), seen.iter().map(|s| printable(&s.received)).collect::<Vec<_>>().join(" | "))
}

/// The bytes as text, the middle of long ones left out.
pub fn printable(bytes: &[u8]) -> String {
    const MOST: usize = 700;
    if bytes.len() > MOST {
        let (head, tail) = (&bytes[..MOST * 3 / 4], &bytes[bytes.len() - MOST / 4..]);
        return format!("\"{}…{}\" ({} bytes)", head.escape_ascii(), tail.escape_ascii(), bytes.len());
    }
    format!("\"{}\"", bytes.escape_ascii())
}

/// `bytes` from shortly before the place where they differ from `other`.
fn around(bytes: &[u8], other: &[u8]) -> String {
    let at = bytes.iter().zip(other).position(|(a, b)| a != b).unwrap_or(bytes.len().min(other.len()));
    if at <= 200 {
        return printable(bytes);
    }
    format!("[{} equal bytes] {}", at - 40, printable(&bytes[at - 40..]))
}
