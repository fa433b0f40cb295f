//! Rules at work: goes through a list, asks conditions, does what actions say. Called by session.rs, tcp.rs and http/exchange with
//! what they have in their hands.
//!
//! Holds: nothing is awaited here. What ends the list or has to wait is given back by its place in the list, and the caller, which owns
//! the sockets, does it; what it is given next goes on behind that place.

mod edits;
mod lines;
pub mod replies;
pub mod stream;
mod target;

use crate::admit::Attempts;
use crate::client::Client;
use crate::context::View;
use crate::explain::told::{self, Told};
use crate::record::Record;
use bumpalo::Bump;
use lb_balance::Key;
use lb_config::{Action, LineEdit, Rule, Span, TimeValue};
use lb_expr::acl::{Condition, Verdict};
use lb_expr::sample::{Bytes, Context, Cx, Expr, Side, Type, Value};
use lb_expr::{CaptureSide, Field, LogFormat, LogSource, LogValue};
use lb_http::Head;
use lb_rt::Socket;
use lb_sys::socket::SockOpt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one format's output in a rule: a buffer of haproxy's default size.
const FORMAT_LIMIT: usize = 16_384;

/// What rules work on at one moment of a stream's life.
pub struct Stage<'s> {
    /// The client's connection.
    pub client: &'s Client,
    /// Its socket.
    pub socket: &'s Socket,
    /// The stream; `None` before there is one.
    pub record: Option<&'s mut Record>,
    /// The request's head, while it may be changed.
    pub request: Option<&'s mut Head>,
    /// The response's head, while it may be changed.
    pub response: Option<&'s mut Head>,
    /// The request's head when it has been sent.
    pub sent_request: Option<&'s Head>,
    /// What is here of the body in the rules' direction.
    pub body: Bytes<'s>,
    /// In mode tcp: what has come from the client.
    pub from_client: Bytes<'s>,
    /// In mode tcp: what has come from the server.
    pub from_server: Bytes<'s>,
    /// The direction of the rules.
    pub side: Side,
    /// Nothing more will come that could decide a condition.
    pub last: bool,
    /// Requests that came before on the connection.
    pub served: u32,
    /// What rules make of the connection while there is no stream.
    pub session: SessionState,
}

/// What rules make of a connection before it has a stream.
#[derive(Clone, Copy, Default)]
pub struct SessionState {
    /// `set-src`, `set-src-port`
    pub source: Option<SocketAddr>,
    /// `set-dst`, `set-dst-port`
    pub destination: Option<SocketAddr>,
    /// `expect-proxy`
    pub expects_proxy: bool,
    /// `expect-netscaler-cip`
    pub expects_netscaler: bool,
}

impl Stage<'_> {
    /// A stage with nothing but the connection.
    pub fn new<'s>(client: &'s Client, socket: &'s Socket, side: Side) -> Stage<'s> {
        Stage {
            client,
            socket,
            record: None,
            request: None,
            response: None,
            sent_request: None,
            body: Bytes::default(),
            from_client: Bytes::default(),
            from_server: Bytes::default(),
            side,
            last: true,
            served: 0,
            session: SessionState::default(),
        }
    }

    /// As expressions see it.
    pub fn view(&self) -> View<'_> {
        let request = self.side == Side::Request;
        View {
            client: self.client,
            socket: Some(self.socket),
            server_socket: None,
            record: self.record.as_deref(),
            request: self.request.as_deref().or(self.sent_request),
            response: self.response.as_deref(),
            request_body: if request { self.body } else { Bytes::default() },
            response_body: if request { Bytes::default() } else { self.body },
            from_client: self.from_client,
            from_server: self.from_server,
            served: self.served,
            session: self.session,
        }
    }

    fn cx<'a>(&self, view: &'a View<'a>, scratch: &'a Bump) -> Cx<'a> {
        Cx { source: view, scratch, side: self.side, last: self.last }
    }

    /// Whether a condition holds now; what is not known yet counts as not.
    pub fn holds(&self, condition: Option<&Condition>) -> bool {
        let Some(condition) = condition else { return true };
        let scratch = self.client.worker().scratches.lend();
        let view = self.view();
        condition.eval(Cx { last: true, ..self.cx(&view, &scratch) }) == Verdict::Pass
    }

    /// The place of the first line whose condition holds now; what is not known yet counts as not.
    pub fn first<'c>(&mut self, mut choices: impl Iterator<Item = Choice<'c>>) -> Option<usize> {
        if self.told().is_some() {
            return told::first(choices, self);
        }
        let scratch = self.client.worker().scratches.lend();
        let view = self.view();
        let cx = Cx { last: true, ..self.cx(&view, &scratch) };
        choices.position(|choice| choice.condition.is_none_or(|condition| condition.eval(cx) == Verdict::Pass))
    }

    /// What is told of the stream, if it is to be explained.
    #[inline]
    pub fn told(&mut self) -> Option<&mut Told> {
        self.record.as_deref_mut()?.told()
    }

    /// The head that rules of this direction change.
    pub fn head(&self) -> Option<&Head> {
        match self.side {
            Side::Request => self.request.as_deref(),
            Side::Response => self.response.as_deref(),
        }
    }

    /// Hashes by the value that an expression has now; without one the stream takes turns.
    pub fn hash_by(&self, expr: &Expr, attempts: &mut Attempts<'_>) {
        let scratch = self.client.worker().scratches.lend();
        let view = self.view();
        let value = value_of(expr, Type::Bin, Cx { last: true, ..self.cx(&view, &scratch) });
        attempts.hash_by(value.and_then(|value| value.bytes()).map_or(Key::None, Key::Bytes));
    }

    /// What a format says now.
    pub fn format(&self, format: &LogFormat, out: &mut Vec<u8>) {
        if let Some(text) = format.constant() {
            return out.extend_from_slice(text);
        }
        if format.uses(Field::FrontendIp) || format.uses(Field::FrontendPort) {
            self.client.learn_local(self.socket);
        }
        let scratch = self.client.worker().scratches.lend();
        let view = self.view();
        format.write(&Spoken { cx: self.cx(&view, &scratch), view: &view }, FORMAT_LIMIT, out);
    }
}

/// A view in the form that formats want.
pub struct Spoken<'a> {
    view: &'a View<'a>,
    cx: Cx<'a>,
}

impl<'a> Spoken<'a> {
    /// What is said of a request.
    pub fn of_request(view: &'a View<'a>, scratch: &'a Bump) -> Self {
        Self { view, cx: Cx { source: view, scratch, side: Side::Request, last: true } }
    }

    /// What a log line shows of a stream.
    pub fn at_log(view: &'a View<'a>, scratch: &'a Bump) -> Self {
        Self { view, cx: Cx { source: view, scratch, side: Side::Response, last: true } }
    }
}

impl LogSource for Spoken<'_> {
    fn value(&self, field: Field) -> LogValue<'_> {
        self.view.value(field)
    }

    fn capture(&self, side: CaptureSide, slot: usize) -> Option<&[u8]> {
        LogSource::capture(self.view, side, slot)
    }

    fn samples(&self) -> Option<Cx<'_>> {
        Some(self.cx)
    }
}

/// A line that chooses a backend or a server.
#[derive(Clone, Copy)]
pub struct Choice<'c> {
    /// `None`: it always does.
    pub condition: Option<&'c Condition>,
    /// The line as it was read.
    pub text: &'c str,
    /// Where it stands.
    pub span: Span,
}

/// Where going through a list has led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To its end, or to `allow`.
    Pass {
        /// A rule said so.
        allowed: bool,
    },
    /// To a rule that ends the message's way: by its place.
    End(usize),
    /// To a rule that has to wait for something: by its place; go on behind it.
    Wait(usize),
    /// To a rule whose condition is not known yet: by its place; go on there when more has come.
    NeedMore(usize),
    /// An edit failed, in strict mode.
    Failed,
    /// A target that `normalize-uri` cannot read, or a line that an old rule has made unreadable.
    Unreadable,
}

/// Goes through `list` from the rule at `from`.
pub fn run(list: &[Arc<Rule>], from: usize, stage: &mut Stage<'_>) -> Step {
    let step = if stage.told().is_some() { told::run(list, from, stage) } else { walk(list, from, stage) };
    keep_late_captures(stage);
    step
}

/// Puts what converters captured into the record.
fn keep_late_captures(stage: &mut Stage<'_>) {
    let mut late = stage.client.worker().late_captures.borrow_mut();
    if late.is_empty() {
        return;
    }
    for (side, slot, value) in late.drain(..) {
        if let Some(record) = stage.record.as_deref_mut() {
            record.fill_capture(side, slot, &value);
        }
    }
}

fn walk(list: &[Arc<Rule>], from: usize, stage: &mut Stage<'_>) -> Step {
    let worker = stage.client.worker().clone();
    let scratch = worker.scratches.lend();
    let mut at = from;
    while let Some(found) = next(list, at, stage, &scratch) {
        let rule = match found {
            Ok(place) => {
                at = place;
                &list[place]
            }
            Err(place) => return Step::NeedMore(place),
        };
        if let Some(step) = act(rule, at, stage, &scratch) {
            return step;
        }
        at += 1;
        if matches!(rule.action, Action::Explain { .. }) {
            return told::run(list, at, stage);
        }
    }
    Step::Pass { allowed: false }
}

/// Does what a rule says whose condition holds; `at` is its place. `None`: the next one is to be asked.
#[inline]
pub fn act(rule: &Rule, at: usize, stage: &mut Stage<'_>, scratch: &Bump) -> Option<Step> {
    match &rule.action {
        Action::Accept => {
            note_last(rule, stage);
            Some(Step::Pass { allowed: true })
        }
        Action::Reject
        | Action::Close
        | Action::SilentDrop { .. }
        | Action::Deny(_)
        | Action::Tarpit(_)
        | Action::Return(_)
        | Action::Auth { .. } => {
            note_last(rule, stage);
            Some(Step::End(at))
        }
        Action::Redirect(redirect) => {
            if redirect.ignore_empty && replies::is_empty(redirect, stage) {
                return None;
            }
            note_last(rule, stage);
            Some(Step::End(at))
        }
        Action::Lines(rule_of_lines) => match lines::apply(rule_of_lines, stage) {
            lines::Outcome::Next => None,
            lines::Outcome::Skip => Some(Step::Pass { allowed: true }),
            lines::Outcome::End => {
                note_last(rule, stage);
                Some(Step::End(at))
            }
            lines::Outcome::Unreadable => Some(Step::Unreadable),
        },
        Action::WaitForBody { .. } | Action::Pause(_) | Action::EarlyHint { .. } => Some(Step::Wait(at)),
        Action::SetVar(set) => {
            let view = stage.view();
            let cx = stage.cx(&view, scratch);
            set.apply(&Spoken { view: &view, cx }, cx);
            None
        }
        Action::UnsetVar(variable) => {
            stage.view().set_variable(*variable, None);
            None
        }
        Action::Custom(action) => {
            let wishes = {
                let view = stage.view();
                action.run(stage.cx(&view, scratch))
            };
            if !edits::grant(&wishes.edits, stage) && edits::is_strict(stage) {
                return Some(Step::Failed);
            }
            let reply = wishes.end?;
            note_last(rule, stage);
            if let Some(record) = stage.record.as_deref_mut() {
                record.rules_mut().reply = Some(Box::new(reply));
            }
            Some(Step::End(at))
        }
        action => {
            if edits::apply(action, stage, scratch) {
                return None;
            }
            // As haproxy: a target that cannot be read is the client's fault, strict or not.
            if matches!(action, Action::Line(LineEdit::Normalize(_))) {
                return Some(Step::Unreadable);
            }
            edits::is_strict(stage).then_some(Step::Failed)
        }
    }
}

/// Whether what ended a message is an answer in place of a server and no refusal.
pub fn is_answer(action: &Action, record: &Record) -> bool {
    match action {
        Action::Return(_) | Action::Redirect(_) => true,
        Action::Custom(_) => record.rules().reply.as_ref().is_some_and(|reply| reply.status < 400),
        _ => false,
    }
}

/// Notes where a rule stands that ends a list, if somebody asks.
fn note_last(rule: &Rule, stage: &mut Stage<'_>) {
    if stage.client.worker().process.topology.uses.last_rule
        && let Some(record) = &mut stage.record
    {
        record.rules_mut().last_rule = Some(rule.span);
    }
}

/// The next rule from `at` whose condition holds and that does more than set variables; those are set on the way.
fn next(list: &[Arc<Rule>], at: usize, stage: &Stage<'_>, scratch: &Bump) -> Option<Result<usize, usize>> {
    let view = stage.view();
    let cx = stage.cx(&view, scratch);
    for (n, rule) in list.iter().enumerate().skip(at) {
        if let Some(condition) = &rule.condition {
            match condition.eval(cx) {
                Verdict::Pass => {}
                Verdict::Fail => continue,
                Verdict::NeedMore => return Some(Err(n)),
            }
        }
        match &rule.action {
            Action::SetVar(set) => set.apply(&Spoken { view: &view, cx }, cx),
            Action::UnsetVar(variable) => {
                view.set_variable(*variable, None);
            }
            Action::Nothing => {}
            _ => return Some(Ok(n)),
        }
    }
    None
}

/// The time that a rule gives; `None`: its expression has no value.
pub fn duration(value: &TimeValue, stage: &Stage<'_>) -> Option<Duration> {
    let scratch = stage.client.worker().scratches.lend();
    edits::duration(value, stage, &scratch)
}

/// Sees to it that the client is not told when its connection is closed: the kernel forgets it, or where it may not, the reset does not
/// get farther than `ttl` routers.
pub fn vanish(socket: &Socket, ttl: Option<u8>) {
    // What the client has sent is confirmed first: sent once more, it would meet nobody and be answered by a reset.
    let _ = socket.apply(&SockOpt::QuickAck(true));
    if ttl.is_none() && socket.apply(&SockOpt::Repair).is_ok() {
        return;
    }
    // A connection without either is reset as any other.
    let _ = socket.apply(&SockOpt::Ttl(ttl.unwrap_or(1)));
    socket.reset_on_close();
}

/// What an expression is worth now, as `kind`.
fn value_of<'a>(expr: &'a Expr, kind: Type, cx: Cx<'a>) -> Option<Value<'a>> {
    expr.eval_as(kind, cx).value()
}
