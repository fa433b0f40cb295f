//! What is told of a stream while its rules are gone through: which ACLs were asked with which value, what each rule changed, why the
//! backend, why the server. Called by rules, which come here only for a stream that is to be explained.
//!
//! Holds: a rule does here what it does anywhere ([`rules::act`]), and its condition is decided once. What is kept is bounded:
//! [`MAX_RULES`], [`MAX_LINES`], [`MAX_SERVERS`], [`MAX_TEXT`].

use super::{Asked, Candidate, Explained, Explanation, Switch};
use crate::proxy::{Backend, Server, ServerState};
use crate::rules::{self, Choice, Stage, Step};
use lb_balance::ServerId;
use lb_config::{Action, Rule, Span};
use lb_expr::acl::{Condition, Verdict};
use lb_expr::lines;
use lb_expr::sample::{Bump, Context, Cx, Value};
use lb_http::{Head, h1};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Rules that are told of for one stream; those behind them are only counted.
pub const MAX_RULES: usize = 256;
/// Lines of one ACL whose values are shown.
pub const MAX_LINES: usize = 16;
/// Servers that are told of, beside the one that is taken.
pub const MAX_SERVERS: usize = 1000;
/// Bytes of one value or edit that are shown.
pub const MAX_TEXT: usize = 512;

/// What has been told of one stream.
#[derive(Clone, Debug, Default)]
pub struct Told {
    rules: Vec<Explained>,
    /// Rules beyond [`MAX_RULES`].
    more: usize,
    switch: Switch,
    servers: Vec<Candidate>,
    /// Servers that had a turn before the one that is chosen now.
    tried: Vec<ServerId>,
    chosen: Option<ServerId>,
    answer: Option<String>,
    /// As JSON and not as text.
    pub json: bool,
}

/// Why a server is the one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// A `use-server` line names it.
    Rule,
    /// The client's request before went there, over a connection that is kept for it.
    Kept,
    /// The scheduler takes it.
    Scheduler,
}

impl Told {
    fn push(&mut self, rule: Explained) {
        if self.rules.len() < MAX_RULES { self.rules.push(rule) } else { self.more += 1 }
    }

    /// Notes which `use_backend` line has chosen; `None`: there was none, and the default backend is the one.
    pub fn switched(&mut self, line: Option<Span>) {
        self.switch = line.map_or(Switch::Default, Switch::Line);
    }

    /// Notes the answer that a rule gives in place of a server; `None`: there is none, and the connection is closed.
    pub fn answered(&mut self, head: Option<&Head>) {
        let text = match head {
            Some(head) => {
                let mut out = Vec::new();
                h1::Encoder::new().encode_response(head, &mut out);
                String::from_utf8_lossy(&out).trim_end().to_owned()
            }
            None => "nothing: the connection is closed".to_owned(),
        };
        if let Some(rule) = self.rules.last_mut().filter(|_| self.more == 0) {
            rule.effects.push(format!("answers {}", text.lines().next().unwrap_or_default()));
        }
        self.answer = Some(text);
    }

    /// Notes which server a stream has got, or that it got none, and how it stands with the others.
    pub fn served(&mut self, backend: &Backend, chosen: Option<(ServerId, Why)>) {
        self.tried.extend(self.chosen);
        self.chosen = chosen.map(|(id, _)| id);
        self.servers = candidates(backend, chosen, &self.tried);
    }

    /// The whole of it; `frontend` and `backend` are those of the stream.
    pub fn explanation(self, frontend: &str, backend: Option<&str>) -> Explanation {
        Explanation {
            frontend: frontend.to_owned(),
            rules: self.rules,
            more: self.more,
            backend: backend.map(str::to_owned),
            switch: self.switch,
            servers: self.servers,
            answer: self.answer,
            request: None,
        }
    }
}

/// As [`rules::run`], and tells.
pub fn run(list: &[Arc<Rule>], from: usize, stage: &mut Stage<'_>) -> Step {
    let worker = stage.client.worker().clone();
    let scratch = worker.scratches.lend();
    for (at, rule) in list.iter().enumerate().skip(from) {
        let (asked, verdict) = ask(rule.condition.as_ref(), stage, &scratch);
        if verdict == Verdict::NeedMore {
            return Step::NeedMore(at);
        }
        let applies = verdict == Verdict::Pass;
        let mut explained = Explained { span: rule.span, text: shown(&rule.text), asked, applies, effects: Vec::new() };
        let mut step = None;
        if applies {
            let before = stage.head().cloned();
            let finds_nothing = match (&rule.action, &before) {
                (Action::Lines(of_old), Some(head)) => !lines::matches(&of_old.regex, head),
                _ => false,
            };
            step = rules::act(rule, at, stage, &scratch);
            if let (Some(before), Some(after)) = (before, stage.head()) {
                explained.effects = changes(&before, after);
            }
            if finds_nothing {
                explained.effects.push("no line is what it looks for".to_owned());
            }
            explained.effects.extend(effect(&rule.action, step, stage, &scratch));
        }
        if let Some(told) = stage.told() {
            told.push(explained);
        }
        if let Some(step) = step {
            return step;
        }
    }
    Step::Pass { allowed: false }
}

/// What a rule has done beside edits of the head.
fn effect(action: &Action, step: Option<Step>, stage: &Stage<'_>, scratch: &Bump) -> Option<String> {
    match step {
        Some(Step::Pass { .. }) => Some("the rest of these rules is not asked".to_owned()),
        Some(Step::Wait(_)) => Some("waits".to_owned()),
        Some(Step::Failed) => Some("cannot be done".to_owned()),
        Some(Step::Unreadable) => Some("the target cannot be read".to_owned()),
        Some(Step::End(_) | Step::NeedMore(_)) => None,
        None => {
            let Action::SetVar(set) = action else { return None };
            let value = stage.view().variable(set.variable, scratch);
            Some(format!("the variable is {}", value.map_or("not set".to_owned(), |value| format!("'{}'", text(value, scratch)))))
        }
    }
}

/// The first of the lines whose condition holds, each of them told.
pub fn first<'c>(choices: impl Iterator<Item = Choice<'c>>, stage: &mut Stage<'_>) -> Option<usize> {
    let worker = stage.client.worker().clone();
    let scratch = worker.scratches.lend();
    for (at, choice) in choices.enumerate() {
        let last = std::mem::replace(&mut stage.last, true);
        let (asked, verdict) = ask(choice.condition, stage, &scratch);
        stage.last = last;
        let applies = verdict == Verdict::Pass;
        if let Some(told) = stage.told() {
            told.push(Explained { span: choice.span, text: shown(choice.text), asked, applies, effects: Vec::new() });
        }
        if applies {
            return Some(at);
        }
    }
    None
}

fn ask(condition: Option<&Condition>, stage: &Stage<'_>, scratch: &Bump) -> (Vec<Asked>, Verdict) {
    let Some(condition) = condition else { return (Vec::new(), Verdict::Pass) };
    let view = stage.view();
    let cx = Cx { source: &view, scratch, side: stage.side, last: stage.last };
    let mut asked = Vec::new();
    let verdict = condition.decide(|term| {
        // What is shown is what was asked, and nothing is asked twice: some samples are another thing the second time.
        let mut values: Vec<(String, Option<String>)> = Vec::new();
        let verdict = term.watch(cx, |line, value| {
            if values.len() < MAX_LINES {
                values.push((line.expr().text().to_owned(), value.map(|value| text(value, scratch))));
            }
        });
        let name = term.acl().name().map(str::to_owned);
        let name = name.unwrap_or_else(|| values.first().map(|(text, _)| format!("{{ {text} }}")).unwrap_or_default());
        let matched = (verdict == Verdict::Pass) != term.negated();
        asked.push(Asked { acl: name, negated: term.negated(), values, matched });
        verdict
    });
    (asked, verdict)
}

fn text(value: Value<'_>, scratch: &Bump) -> String {
    bounded(String::from_utf8_lossy(value.to_text(scratch)).into_owned())
}

/// At most [`MAX_TEXT`] bytes, on one line.
fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    shown(&text)
}

/// Words as one reads them.
fn shown(text: &str) -> String {
    let one = |c: char| match c {
        '\u{1f}' => " ".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// What an edit has done to a head.
fn changes(before: &Head, after: &Head) -> Vec<String> {
    let mut list = Vec::new();
    let text = |bytes: &[u8]| bounded(String::from_utf8_lossy(bytes).into_owned());
    if before.method_bytes() != after.method_bytes() {
        list.push(format!("method {} -> {}", text(before.method_bytes()), text(after.method_bytes())));
    }
    if before.target() != after.target() {
        list.push(format!("target {} -> {}", text(before.target()), text(after.target())));
    }
    if before.status() != after.status() {
        list.push(format!("status {} -> {}", before.status(), after.status()));
    }
    let lines =
        |head: &Head| head.fields().map(|f| format!("{}: {}", text(f.name).to_ascii_lowercase(), text(f.value))).collect::<Vec<_>>();
    let (old, mut new) = (lines(before), lines(after));
    for line in old {
        match new.iter().position(|known| *known == line) {
            Some(at) => drop(new.remove(at)),
            None => list.push(format!("- {line}")),
        }
    }
    list.extend(new.into_iter().map(|line| format!("+ {line}")));
    list
}

/// The servers of a backend, which one is taken, and how it stands with the others.
pub fn candidates(backend: &Backend, chosen: Option<(ServerId, Why)>, tried: &[ServerId]) -> Vec<Candidate> {
    let (active, _) = backend.usable();
    let told_of =
        |(n, server): &(usize, &Arc<Server>)| !server.implicit && (*n < MAX_SERVERS || chosen.is_some_and(|(id, _)| id == server.id));
    let list = backend.servers().iter().enumerate().filter(told_of).map(|(_, server)| {
        let weight = server.weight.load(Ordering::Relaxed);
        let why_chosen = chosen.filter(|(id, _)| *id == server.id).map(|(_, why)| why);
        let why = match (why_chosen, server.state()) {
            (Some(Why::Rule), _) => "a 'use-server' rule names it".to_owned(),
            (Some(Why::Kept), _) => "the client's connection to it is kept".to_owned(),
            (Some(Why::Scheduler), _) => format!("'balance {}' takes it", crate::stats::rows::algorithm(&backend.settings.balance)),
            (None, _) if tried.contains(&server.id) => "it was tried before".to_owned(),
            (None, ServerState::Maintenance) => "it is disabled".to_owned(),
            (None, ServerState::Down) => "it is down".to_owned(),
            (None, ServerState::Drain) => "it takes no new clients".to_owned(),
            (None, ServerState::Up) if weight == 0 => "its weight is 0".to_owned(),
            (None, ServerState::Up) if server.settings.backup && active != 0 => "it is a backup, and others are there".to_owned(),
            (None, ServerState::Up) if !server.has_room(backend) => "it has as many streams as it may have".to_owned(),
            (None, ServerState::Up) if chosen.is_none() => "it was not come to".to_owned(),
            (None, ServerState::Up) => "another one is taken".to_owned(),
        };
        Candidate { name: server.name().to_owned(), chosen: why_chosen.is_some(), why }
    });
    list.collect()
}
