//! `agent-check`: a helper beside a server that tells in a line what its share, limit and state should be (manual 5.2).
//!
//! [`AgentCheck`] connects, sends `agent-send`, and reads up to the first line end; [`Answer`] is what the line says. Its effects on share
//! and limit may fail, which is told in the verdict: so whoever drives it applies an answer first and asks for [`Answer::verdict`] then.
//! Holds: at most [`MAX_LINE`] bytes are kept, and none between runs; words, precedence and texts as HAProxy 2.6 was seen to have them.

use crate::check::{Action, Destination, Event};
use crate::health::Admin;
use crate::status::{Status, SystemError, Verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that a line may have. What is longer counts as a line without an end.
pub const MAX_LINE: usize = 4096;
/// Bytes of a text that is kept for logs and statistics.
const MAX_INFO: usize = 127;

/// How an agent is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSpec {
    /// `agent-send`; empty: nothing is sent.
    pub send: Arc<[u8]>,
    /// `agent-inter`: also how long all of it may take where `timeout check` does not say otherwise.
    pub inter: Duration,
    /// `timeout connect` of the backend. Counts only together with `timeout check`.
    pub timeout_connect: Option<Duration>,
    /// `timeout check`
    pub timeout_check: Option<Duration>,
}

/// The line of an agent, taken apart. Of several words for the same the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// `ready`, `drain`, `maint`.
    pub admin: Option<Admin>,
    /// `75%`, as it was written.
    pub weight: Option<String>,
    /// What stands behind `maxconn:`.
    pub maxconn: Option<String>,
    /// `up`, or `down`, `fail`, `stopped`: the word, and whether it is the first one.
    health: Option<(String, bool)>,
    /// Behind `#`.
    description: String,
    /// The first word that is none of these.
    unknown: Option<String>,
}

impl Answer {
    /// What a line says.
    pub fn read(line: &[u8]) -> Answer {
        let mut answer = Answer::default();
        // What is no UTF-8 is shown in logs as what it is in Latin-1, so that no byte gets lost.
        let line: String = line.iter().map(|b| char::from(*b)).collect();
        let is_gap = |c: char| matches!(c, ' ' | '\t' | ',');
        let mut rest = line.trim_start_matches(is_gap);
        while !rest.is_empty() {
            if let Some(description) = rest.strip_prefix('#') {
                answer.description = description.trim_start_matches(is_gap).to_owned();
                break;
            }
            let (word, behind) = rest.split_at(rest.find(is_gap).unwrap_or(rest.len()));
            answer.take(word);
            rest = behind.trim_start_matches(is_gap);
        }
        answer
    }

    fn take(&mut self, word: &str) {
        match word.to_ascii_lowercase().as_str() {
            "ready" => self.admin = Some(Admin::Ready),
            "drain" => self.admin = Some(Admin::Drain),
            "maint" => self.admin = Some(Admin::Maint),
            "up" => self.health = Some((word.to_owned(), true)),
            "down" | "fail" | "stopped" => self.health = Some((word.to_owned(), false)),
            lower if lower.starts_with("maxconn:") => self.maxconn = Some(word["maxconn:".len()..].to_owned()),
            lower if lower.contains('%') && lower.starts_with(|c: char| c.is_ascii_digit()) => self.weight = Some(word.to_owned()),
            _ => drop(self.unknown.get_or_insert_with(|| word.to_owned())),
        }
    }

    /// What it comes to. `warning`: why share or limit could not be what it said.
    pub fn verdict(&self, warning: Option<&str>, duration: Duration) -> Verdict {
        let unknown = self.unknown.as_deref();
        let (status, info) = match (&self.health, unknown, warning) {
            (Some((word, well)), ..) => {
                // Of a server that is down its own description matters, of one that is up the errors of the agent.
                let own = Some(self.description.as_str()).filter(|text| !text.is_empty());
                let text = if *well { unknown.or(warning).or(own) } else { own.or(unknown).or(warning) };
                let text = text.map_or_else(String::new, |text| format!(" ({text})"));
                (if *well { Status::L7Ok } else { Status::L7Sts }, format!("via agent : {word}{text}"))
            }
            (None, Some(word), _) => (Status::Checked, format!("agent reports an error : {word}")),
            (None, None, Some(warning)) => (Status::Checked, format!("agent warns : {warning}")),
            (None, None, None) => (Status::Checked, String::new()),
        };
        let info: Vec<u8> = info.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).take(MAX_INFO).collect();
        let code = (status != Status::Checked).then_some(0);
        Verdict { status, code, info: info.into(), duration }
    }
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A line came.
    Line(Answer, Duration),
    /// None came.
    Failed(Verdict),
}

/// The questions to one server's agent, as [`crate::Check`] has them; it ends with `Done`, whose verdict [`AgentCheck::reply`] explains.
#[derive(Debug)]
pub struct AgentCheck {
    spec: Arc<AgentSpec>,
    run: Option<Run>,
    reply: Option<Reply>,
}

#[derive(Debug)]
struct Run {
    started: Instant,
    deadline: Instant,
    connected: bool,
    line: Vec<u8>,
}

impl AgentCheck {
    /// One that waits for its first [`Event::Start`].
    pub fn new(spec: Arc<AgentSpec>) -> AgentCheck {
        AgentCheck { spec, run: None, reply: None }
    }

    /// From now on the agent is asked so: the run that is under way goes on as it began.
    pub fn set_spec(&mut self, spec: Arc<AgentSpec>) {
        self.spec = spec;
    }

    /// When to deliver [`Event::Timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        self.run.as_ref().map(|run| run.deadline)
    }

    /// What the last run came to; once.
    pub fn reply(&mut self) -> Option<Reply> {
        self.reply.take()
    }

    /// What happened, and what to do about it, appended to `out`.
    pub fn handle(&mut self, now: Instant, event: Event<'_>, out: &mut Vec<Action>) {
        let Some(run) = &mut self.run else {
            if let Event::Start = event {
                let spec = &self.spec;
                let time = match (spec.timeout_check, spec.timeout_connect) {
                    (Some(_), Some(connect)) => connect.min(spec.inter),
                    _ => spec.inter,
                };
                self.run = Some(Run { started: now, deadline: now + time, connected: false, line: Vec::new() });
                out.push(Action::Connect(Destination { own: true, ..Destination::default() }));
            }
            return;
        };
        let took = now.saturating_duration_since(run.started);
        let failed = |status, info: String| {
            let info = info.into_bytes().into();
            Reply::Failed(Verdict { status, code: None, info, duration: took })
        };
        let line = |line: &[u8]| Reply::Line(Answer::read(line), took);
        let mut open = true;
        let reply = match event {
            Event::Connected if !run.connected => {
                run.connected = true;
                if let Some(time) = self.spec.timeout_check {
                    run.deadline = run.deadline.max(now + time);
                }
                if !self.spec.send.is_empty() {
                    out.push(Action::Send(self.spec.send.clone()));
                }
                return;
            }
            Event::Data(bytes) => {
                let before = run.line.len();
                run.line.extend_from_slice(&bytes[..bytes.len().min(MAX_LINE - before)]);
                match run.line[before..].iter().position(|b| matches!(b, b'\r' | b'\n')) {
                    Some(end) => line(&run.line[..before + end]),
                    None if run.line.len() == MAX_LINE => incomplete(took),
                    None => return,
                }
            }
            Event::Eof if run.line.is_empty() => {
                // The number is that of haproxy's own step.
                let step = if self.spec.send.is_empty() { 1 } else { 2 };
                failed(Status::L7Rsp, format!("TCPCHK got an empty response at step {step}"))
            }
            Event::Eof => incomplete(took),
            Event::ConnectFailed(error) | Event::CannotConnect(error) => {
                open = false;
                failed(connect_status(error), error.to_string())
            }
            Event::CannotBind(error) => {
                open = false;
                failed(Status::L4Con, format!("Can't bind to source address ({error})"))
            }
            Event::Failed(error) => failed(Status::SockErr, error.to_string()),
            Event::Timeout if now >= run.deadline => failed(if run.connected { Status::L7Tout } else { Status::L4Tout }, String::new()),
            _ => return,
        };
        if open {
            out.push(Action::Close { cleanly: false });
        }
        self.run = None;
        let verdict = match &reply {
            Reply::Line(answer, took) => answer.verdict(None, *took),
            Reply::Failed(verdict) => verdict.clone(),
        };
        self.reply = Some(reply);
        out.push(Action::Done(verdict));
    }
}

fn incomplete(duration: Duration) -> Reply {
    let info = b"Ignoring incomplete line from agent"[..].into();
    Reply::Failed(Verdict { status: Status::Checked, code: None, info, duration })
}

/// Whether it is the network that fails, or the socket itself.
fn connect_status(error: SystemError) -> Status {
    const NETWORK: [i32; 4] = [101, 110, 111, 113];
    if NETWORK.contains(&error.0) { Status::L4Con } else { Status::SockErr }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn said(line: &str) -> (Status, String) {
        let verdict = Answer::read(line.as_bytes()).verdict(None, MS);
        (verdict.status, String::from_utf8_lossy(&verdict.info).into_owned())
    }

    /// Lines and what haproxy 2.6.12 had in `agent_status` and `last_agt` for them.
    #[test]
    fn lines_as_haproxy_reads_them() {
        use Status::{Checked, L7Ok, L7Sts};
        for (line, status, info) in [
            ("up", L7Ok, "via agent : up"),
            ("UP", L7Ok, "via agent : UP"),
            ("down", L7Sts, "via agent : down"),
            ("fail", L7Sts, "via agent : fail"),
            ("stopped # gone", L7Sts, "via agent : stopped (gone)"),
            ("fail#it broke, yes", Checked, "agent reports an error : fail#it"),
            ("up#fine", Checked, "agent reports an error : up#fine"),
            ("stop", Checked, "agent reports an error : stop"),
            ("up bogus", L7Ok, "via agent : up (bogus)"),
            ("down bogus # gone  away ", L7Sts, "via agent : down (gone  away )"),
            ("bogus foo", Checked, "agent reports an error : bogus"),
            ("up down", L7Sts, "via agent : down"),
            ("down up", L7Ok, "via agent : up"),
            ("up,,,# a,b\tc", L7Ok, "via agent : up (a,b\tc)"),
            ("up #", L7Ok, "via agent : up"),
            ("#x y", Checked, ""),
            ("-5%", Checked, "agent reports an error : -5%"),
            (" \t up", L7Ok, "via agent : up"),
            ("", Checked, ""),
            ("75%", Checked, ""),
        ] {
            assert_eq!(said(line), (status, info.to_owned()), "{line:?}");
        }
        assert_eq!(said(&format!("down # {}", "z".repeat(300))).1.len(), 127);
        assert_eq!(Answer::read(b"down # a\xffb").verdict(None, MS).info[..], b"via agent : down (a\xffb)"[..]);
    }

    #[test]
    fn words_for_share_limit_and_administration() {
        let read = |line: &str| {
            let answer = Answer::read(line.as_bytes());
            (answer.admin, answer.weight, answer.maxconn)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(read("50%,drain\tup"), (Some(Admin::Drain), text("50%"), None));
        assert_eq!(read("maint ready 50% 60%"), (Some(Admin::Ready), text("60%"), None));
        assert_eq!(read("MaxConn:7 DRAIN"), (Some(Admin::Drain), None, text("7")));
        assert_eq!(read("maxconn: 5%% 55%x"), (None, text("55%x"), text("")));
        // An error of share or limit is told where there is nothing that matters more.
        let with = |line: &str| {
            let verdict = Answer::read(line.as_bytes()).verdict(Some("static"), MS);
            String::from_utf8_lossy(&verdict.info).into_owned()
        };
        assert_eq!(with("50%"), "agent warns : static");
        assert_eq!(with("up 77% # fine"), "via agent : up (static)");
        assert_eq!(with("up bogus maxconn:x"), "via agent : up (bogus)");
        assert_eq!(with("down # fine"), "via agent : down (fine)");
        assert_eq!(with("50% bogus"), "agent reports an error : bogus");
    }

    fn spec(send: &str) -> Arc<AgentSpec> {
        AgentSpec { send: send.as_bytes().into(), inter: 300 * MS, timeout_connect: None, timeout_check: None }.into()
    }

    /// Runs events at milliseconds since the start, and returns what was done and what came of it.
    fn run(send: &str, events: &[(u32, Event<'_>)]) -> (Vec<Action>, Option<Reply>) {
        let start = Instant::now();
        let mut check = AgentCheck::new(spec(send));
        let mut out = Vec::new();
        check.handle(start, Event::Start, &mut out);
        for &(at, event) in events {
            check.handle(start + at * MS, event, &mut out);
        }
        let reply = check.reply();
        assert_eq!(check.deadline().is_none(), reply.is_some());
        (out, reply)
    }

    fn failure(send: &str, events: &[(u32, Event<'_>)]) -> (Status, String) {
        let (_, Some(Reply::Failed(verdict))) = run(send, events) else { panic!() };
        (verdict.status, String::from_utf8_lossy(&verdict.info).into_owned())
    }

    #[test]
    fn a_run() {
        let connected = (1, Event::Connected);
        let (out, reply) = run("hello\n", &[connected, (2, Event::Data(b"dr")), (7, Event::Data(b"ain\rup\n")), (8, Event::Eof)]);
        let sent = Action::Send(b"hello\n"[..].into());
        let done = Verdict { status: Status::Checked, code: None, info: Box::default(), duration: 7 * MS };
        let connect = Action::Connect(Destination { own: true, ..Destination::default() });
        assert_eq!(out, [connect.clone(), sent, Action::Close { cleanly: false }, Action::Done(done)]);
        assert_eq!(reply, Some(Reply::Line(Answer { admin: Some(Admin::Drain), ..Answer::default() }, 7 * MS)));
        assert_eq!(run("", &[connected]).0, [connect], "nothing to send");
        assert_eq!(failure("", &[connected, (2, Event::Data(b"up")), (3, Event::Eof)]).0, Status::Checked);
        let long = [b'x'; 2 * MAX_LINE];
        assert_eq!(failure("", &[connected, (2, Event::Data(&long))]).1, "Ignoring incomplete line from agent");
        assert_eq!(failure("a", &[connected, (2, Event::Eof)]), (Status::L7Rsp, "TCPCHK got an empty response at step 2".into()));
        assert_eq!(failure("", &[connected, (300, Event::Timeout)]), (Status::L7Tout, String::new()));
        assert_eq!(failure("", &[(300, Event::Timeout)]), (Status::L4Tout, String::new()));
        assert_eq!(failure("", &[(0, Event::ConnectFailed(SystemError(111)))]), (Status::L4Con, "Connection refused".into()));
    }

    /// Any bytes in any pieces: a reply comes once, and the line is kept within its limit.
    #[test]
    fn hostile_bytes() {
        let mut state = 9u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32
        };
        for _ in 0..200 {
            let pieces: Vec<Vec<u8>> = (0..next() % 20)
                .map(|_| (0..next() % 600).map(|_| b"up down#%:,\t maxcon129\xff\0"[(next() % 25) as usize % 24]).collect())
                .collect();
            let mut events = vec![(0, Event::Connected)];
            events.extend(pieces.iter().map(|piece| (1, Event::Data(piece))));
            events.push((2, Event::Eof));
            let (out, reply) = run("", &events);
            assert_eq!(out.iter().filter(|a| matches!(a, Action::Done(_))).count(), 1);
            assert!(reply.is_some());
        }
    }
}
