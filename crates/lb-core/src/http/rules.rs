//! Rules on the way of a request: lists of the frontend, the choice of the backend, lists of the backend, and those of responses. Called
//! by exchange and attempt; waits for what rules wait for, answers what rules answer.
//!
//! Holds: without rules nothing of this is entered.

use super::exchange::{BodyState, Request};
use super::receive::{self, NoBody};
use super::{Conn, answer};
use crate::admit::Attempts;
use crate::proxy::{Backend, Frontend, Topology};
use crate::record::{Record, RuleState};
use crate::rules::replies::{self, Own};
use crate::rules::{self, Choice, Stage, Step};
use crate::timers::Step as Reached;
use lb_config::{Action, BackendTarget, HttpConnectionMode, Rule, Rules, ServerTarget, UseBackend, UseServer};
use lb_expr::sample::{Bytes, Expr, Scope, Side};
use lb_expr::{Cause, Phase, Termination};
use lb_http::{Body, FieldId, Head, Method, Version};
use lb_rt::Buffer;
use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// How rules have ended a request.
pub enum Ended {
    /// It has been answered; true: the connection may serve another one.
    Answered(bool),
    /// The connection is to be closed without an answer.
    Dropped,
}

/// What a body's bytes are without their framing, as far as they are here.
pub(super) fn body_here<'b>(framing: Body, input: Option<&'b Buffer>) -> (Cow<'b, [u8]>, bool, Option<u64>) {
    let bytes = input.map(Buffer::filled).unwrap_or_default();
    match framing {
        Body::None => (Cow::Borrowed(&[]), true, None),
        Body::Length(n) => {
            let here = bytes.len().min(usize::try_from(n).unwrap_or(usize::MAX));
            (Cow::Borrowed(&bytes[..here]), here as u64 == n, Some(n))
        }
        Body::Chunked => {
            let (body, whole) = receive::chunk_data(bytes);
            (Cow::Owned(body), whole, None)
        }
        _ => (Cow::Borrowed(bytes), false, None),
    }
}

/// Calls `work` with the stage of a request's rules.
fn at_request<T>(conn: &Conn, record: &mut Record, head: &mut Head, request: &Request, work: impl FnOnce(&mut Stage<'_>) -> T) -> T {
    let (body, whole, announced) = body_here(request.framing.body, conn.input.as_ref());
    let mut stage = Stage {
        record: Some(record),
        request: Some(head),
        body: Bytes { bytes: &body, whole, announced },
        served: conn.served,
        ..Stage::new(&conn.client, &conn.socket, Side::Request)
    };
    work(&mut stage)
}

/// Where the rules of a request have come to a halt.
pub struct Halt {
    /// Which of those of [`Rules::of_requests`].
    list: usize,
    step: Step,
}

/// Goes through the lists of a proxy for a request. `None`: it goes on, else [`halted`] knows how.
pub fn request(conn: &Conn, record: &mut Record, head: &mut Head, request: &mut Request, rules: &Rules) -> Option<Halt> {
    go_through(conn, record, head, request, rules, (0, 0))
}

/// The same from a rule of one of the lists on.
fn go_through(
    conn: &Conn,
    record: &mut Record,
    head: &mut Head,
    request: &mut Request,
    rules: &Rules,
    (first, mut at): (usize, usize),
) -> Option<Halt> {
    for (n, list) in rules.of_requests().into_iter().enumerate().skip(first) {
        if at < list.len() {
            match at_request(conn, record, head, request, |stage| rules::run(list, at, stage)) {
                Step::Pass { .. } | Step::NeedMore(_) => {}
                step => return Some(Halt { list: n, step }),
            }
        }
        at = 0;
    }
    note_edits(head, request);
    None
}

/// Does what rules have come to a halt for, and goes on behind it. `None`: the request goes on.
pub async fn halted(
    conn: &mut Conn,
    record: &mut Record,
    head: &mut Head,
    request: &mut Request,
    rules: &Rules,
    mut halt: Halt,
) -> Option<Ended> {
    loop {
        let list = rules.of_requests()[halt.list];
        let next = match halt.step {
            Step::Pass { .. } | Step::NeedMore(_) => return None,
            Step::Failed => return Some(failed(conn, record, request, 500).await),
            Step::Unreadable => {
                record.timers.unmark(Reached::Request);
                return Some(failed(conn, record, request, 400).await);
            }
            Step::End(n) => {
                // To haproxy the contents that a frontend's rules look at are no request yet.
                if std::ptr::eq(list, &rules.content) && record.backend.is_none() {
                    record.line.clear();
                }
                return Some(end(conn, record, head, request, list[n].action.last()).await);
            }
            Step::Wait(n) => match wait(conn, record, head, request, &list[n..]).await {
                Ok(done) => n + done,
                Err(end) => return Some(end),
            },
        };
        halt = go_through(conn, record, head, request, rules, (halt.list, next))?;
    }
}

/// Rules may have changed what decides of framing: that stays as it was received.
fn note_edits(head: &mut Head, request: &mut Request) {
    request.method = head.method();
    // HTTP/1.0 has no chunks.
    if request.framing.body == Body::Chunked {
        head.set_version(request.version);
    }
    if request.framing.keep_alive && head.has_token(FieldId::Connection, b"close") {
        request.mode = HttpConnectionMode::Close;
        request.leaves_server = true;
    }
    keep_framing(head, request.framing.body);
    if request.framing.expect_continue && !head.has(FieldId::Expect) {
        request.framing.expect_continue = false;
    }
    if request.framing.upgrade && !head.has(FieldId::Upgrade) {
        request.framing.upgrade = false;
    }
}

/// Gives a head the framing fields that its body has.
pub fn keep_framing(head: &mut Head, body: Body) {
    match body {
        Body::Length(n) => {
            head.remove_id(FieldId::TransferEncoding);
            let text = n.to_string();
            if !head.get_all_id(FieldId::ContentLength).eq([text.as_bytes()]) {
                head.remove_id(FieldId::ContentLength);
                head.append(b"content-length", text.as_bytes());
            }
        }
        Body::Chunked => {
            head.remove_id(FieldId::ContentLength);
            if !head.has(FieldId::TransferEncoding) {
                head.append(b"transfer-encoding", b"chunked");
            }
        }
        _ => {
            head.remove_id(FieldId::TransferEncoding);
            if head.get_all_id(FieldId::ContentLength).any(|length| length != b"0") {
                head.remove_id(FieldId::ContentLength);
            }
        }
    }
}

/// How a request ends by an edit that failed.
async fn failed(conn: &mut Conn, record: &mut Record, request: &Request, status: u16) -> Ended {
    let end = Termination::new(Cause::Proxy, Phase::Request);
    let own = Own { logged: Some(status), ..Own::page(pages(conn, record).iter().copied(), status) };
    if let Some(told) = record.told() {
        told.answered(Some(&own.head));
    }
    Ended::Answered(reply(conn, record, request, own, end).await)
}

fn pages<'p>(conn: &'p Conn, record: &'p Record) -> Vec<&'p crate::reply::ErrorPages> {
    record.backend.iter().map(|backend| &backend.errors).chain([&conn.client.frontend().errors]).collect()
}

/// A stream that ends in its backend's rules counts there no longer when its line is written.
fn leaves_backend(record: &mut Record) {
    if record.backend.is_some() && !record.has_left() {
        record.note_refusal();
    }
}

/// Does what ends a request.
async fn end(conn: &mut Conn, record: &mut Record, head: &mut Head, request: &Request, action: &Action) -> Ended {
    leaves_backend(record);
    record.rules_mut().ended = true;
    let refused = Termination::new(Cause::Proxy, Phase::Request);
    let end = match action {
        Action::Auth { .. } => Termination::new(Cause::Local, Phase::Request),
        action if rules::is_answer(action, record) => Termination::new(Cause::Local, Phase::Request),
        Action::Tarpit(_) => {
            tarpit(conn).await;
            // As haproxy counts it: the request never came to its end, and waited.
            record.timers.unmark(Reached::Request);
            record.mark(Reached::Queue);
            Termination::new(Cause::Proxy, Phase::Tarpit)
        }
        _ => refused,
    };
    let made = {
        let (client, backend) = (conn.client.clone(), record.backend.clone());
        let pages = || backend.iter().map(|backend| &backend.errors).chain([&client.frontend().errors]);
        at_request(conn, record, head, request, |stage| replies::made(action, stage, pages()))
    };
    if let Some(told) = record.told() {
        told.answered(made.as_ref().map(|own| &own.head));
    }
    let worker = conn.client.worker().clone();
    let counters = worker.counters.front(conn.client.frontend());
    let backend = record.backend.clone();
    let denied = || {
        counters.denied_requests.add(1);
        if let Some(backend) = &backend {
            worker.counters.back(backend).denied_requests.add(1);
        }
    };
    match (action, made) {
        (_, Some(own)) => {
            if rules::is_answer(action, record) {
                counters.intercepted.add(1);
            } else {
                denied();
            }
            Ended::Answered(reply(conn, record, request, own, end).await)
        }
        (Action::SilentDrop { ttl }, None) => {
            denied();
            record.timers.unmark(Reached::Request);
            crate::rules::vanish(&conn.socket, *ttl);
            record.finish(refused);
            Ended::Dropped
        }
        (_, None) => {
            denied();
            record.timers.unmark(Reached::Request);
            record.finish(refused);
            Ended::Dropped
        }
    }
}

/// Holds a request for `timeout tarpit`, whether its client waits or not, as haproxy does.
async fn tarpit(conn: &Conn) {
    let rt = &conn.client.worker().rt;
    let timeouts = &conn.client.frontend().settings.timeouts;
    // As haproxy: `timeout connect` stands in for it.
    let until = rt.now() + timeouts.tarpit.or(timeouts.connect).unwrap_or(Duration::ZERO);
    poll_fn(|_| rt.poll_deadline(Some(until))).await;
}

/// Answers a request in place of a server; the body that nobody has read is taken out of the way, or the connection is closed.
pub async fn reply(conn: &mut Conn, record: &mut Record, request: &Request, mut own: Own, end: Termination) -> bool {
    leaves_backend(record);
    // As haproxy: who is sent elsewhere with a body shall not send the next request behind it.
    own.close |= own.redirects && request.framing.body != Body::None;
    let to = super::exchange::ready_to_answer(conn, request, end);
    answer::send_own(conn, record, own, to, end).await
}

/// Waits for what the first of these rules waits for; gives how many are done then.
async fn wait(conn: &mut Conn, record: &mut Record, head: &mut Head, request: &mut Request, list: &[Arc<Rule>]) -> Result<usize, Ended> {
    match &list[0].action {
        Action::Pause(time) => {
            let time = at_request(conn, record, head, request, |stage| rules::duration(time, stage));
            pause(conn, time.unwrap_or(Duration::ZERO)).await;
            Ok(1)
        }
        Action::EarlyHint { .. } => {
            let (hints, done) = at_request(conn, record, head, request, |stage| hints(stage, list));
            if request.version == Version::Http11 && !hints.is_empty() && !answer::interim(conn, record, &hints).await {
                leaves_backend(record);
                record.finish(Termination::new(Cause::ClientAbort, Phase::Request));
                return Err(Ended::Dropped);
            }
            Ok(done)
        }
        Action::WaitForBody { time, at_least } => wait_for_body(conn, record, head, request, *time, *at_least).await.map(|()| 1),
        _ => Ok(1),
    }
}

/// The fields of `early-hint` rules that follow each other, as one 103; and how many rules that are. The condition of the first one holds,
/// the others have none: one that has begins another 103, as in haproxy.
fn hints(stage: &Stage<'_>, list: &[Arc<Rule>]) -> (Head, usize) {
    let mut hints = Head::new();
    hints.start_response(Version::Http11, 103, b"Early Hints");
    let mut text = Vec::new();
    let mut done = 0;
    for rule in list {
        let Action::EarlyHint { name, value } = &rule.action else { break };
        if done > 0 && rule.condition.is_some() {
            break;
        }
        text.clear();
        stage.format(value, &mut text);
        if lb_http::is_field_value(&text) {
            hints.append(name.to_ascii_lowercase().as_bytes(), &text);
        }
        done += 1;
    }
    (hints, done)
}

/// Lets time pass, as long as the client waits.
pub async fn pause(conn: &Conn, time: Duration) {
    let rt = &conn.client.worker().rt;
    let until = rt.now() + time;
    poll_fn(|_| {
        if conn.socket.is_broken() {
            return Poll::Ready(());
        }
        conn.socket.wait_for_event();
        rt.poll_deadline(Some(until))
    })
    .await;
}

/// `wait-for-body`: until enough of it is here, or all of it, or the buffer is full, or the time is over.
async fn wait_for_body(
    conn: &mut Conn,
    record: &mut Record,
    head: &mut Head,
    request: &mut Request,
    time: Duration,
    at_least: u64,
) -> Result<(), Ended> {
    if request.framing.body == Body::None {
        return Ok(());
    }
    let deadline = conn.client.worker().rt.now() + time;
    match receive::body(conn, record, head, request, Some(deadline), at_least).await {
        Ok(()) => Ok(()),
        Err(NoBody::Timeout) => {
            let end = Termination::new(Cause::ClientTimeout, Phase::Request);
            let own = Own { logged: Some(408), ..Own::page(pages(conn, record).iter().copied(), 408) };
            request.body.set(BodyState::Broken);
            record.timers.unmark(Reached::Request);
            Err(Ended::Answered(reply(conn, record, request, own, end).await))
        }
        Err(NoBody::Gone) => {
            // haproxy goes on, and finds that the client is gone where the request would get its server.
            if record.backend.is_none() {
                record.backend = conn.client.frontend().backend.clone();
            }
            leaves_backend(record);
            record.finish(Termination::new(Cause::ClientAbort, Phase::Request));
            Err(Ended::Dropped)
        }
    }
}

/// `monitor fail`: whether one of its conditions holds.
pub fn monitor_fails(conn: &Conn, record: &mut Record, head: &mut Head, request: &Request) -> bool {
    let frontend = conn.client.frontend().clone();
    let Some(rules) = frontend.settings.rules.as_deref().filter(|rules| !rules.monitor_fail.is_empty()) else { return false };
    at_request(conn, record, head, request, |stage| rules.monitor_fail.iter().any(|when| stage.holds(Some(&when.condition))))
}

/// The backend that `use_backend` lines choose, else the default one.
pub fn route<'t>(
    conn: &Conn,
    record: &mut Record,
    head: &mut Head,
    request: &Request,
    frontend: &'t Frontend,
    topology: &'t Topology,
) -> Option<&'t Arc<Backend>> {
    match frontend.settings.rules.as_deref() {
        Some(rules) if rules.backends().next().is_some() => {
            at_request(conn, record, head, request, |stage| choose_backend(rules, stage, frontend, topology))
        }
        _ => {
            if let Some(told) = record.told() {
                told.switched(None);
            }
            frontend.backend.as_ref()
        }
    }
}

/// The same, in any mode.
pub fn choose_backend<'r, 't>(
    rules: &'r Rules,
    stage: &mut Stage<'_>,
    frontend: &'t Frontend,
    topology: &'t Topology,
) -> Option<&'t Arc<Backend>> {
    let by_line = stage.record.as_deref().and_then(|record| record.rules().line_backend).and_then(|at| rules.line_backends.get(at));
    let choice = |rule: &'r UseBackend| Choice { condition: rule.condition.as_ref(), text: &rule.text, span: rule.span };
    let chosen = by_line.or_else(|| stage.first(rules.use_backend.iter().map(choice)).map(|at| &rules.use_backend[at]));
    if let Some(told) = stage.told() {
        told.switched(chosen.map(|rule| rule.span));
    }
    match chosen.map(|rule| &rule.target) {
        Some(BackendTarget::Fixed(index)) => topology.backend_of(*index),
        Some(BackendTarget::Computed(format)) => {
            let mut name = Vec::new();
            stage.format(format, &mut name);
            // As haproxy: a name that there is none of ends the search.
            let found = std::str::from_utf8(&name).ok().and_then(|name| topology.backend_named(name));
            found.or(frontend.backend.as_ref())
        }
        Some(BackendTarget::Name(_)) | None => frontend.backend.as_ref(),
    }
}

/// The server that `use-server` lines choose.
pub fn use_server(conn: &Conn, record: &mut Record, head: &mut Head, request: &Request, backend: &Backend) -> Option<lb_balance::ServerId> {
    let rules = backend.settings.rules.as_deref().filter(|rules| !rules.use_server.is_empty())?;
    at_request(conn, record, head, request, |stage| choose_server(rules, stage, backend))
}

/// The same, in any mode.
pub fn choose_server<'r>(rules: &'r Rules, stage: &mut Stage<'_>, backend: &Backend) -> Option<lb_balance::ServerId> {
    let mut name = Vec::new();
    let mut rest = &rules.use_server[..];
    let choice = |rule: &'r UseServer| Choice { condition: rule.condition.as_ref(), text: &rule.text, span: rule.span };
    while let Some(at) = stage.first(rest.iter().map(choice)) {
        let rule = &rest[at];
        rest = &rest[at + 1..];
        let server = match &rule.target {
            ServerTarget::Fixed(place) => backend.servers().get(*place),
            ServerTarget::Computed(format) => {
                name.clear();
                stage.format(format, &mut name);
                backend.servers().iter().find(|server| server.name().as_bytes() == name)
            }
            ServerTarget::Name(_) => None,
        };
        // One that is down leaves the choice to the rules behind it.
        if let Some(server) = server.filter(|server| server.usable()) {
            return Some(server.id);
        }
    }
    None
}

/// Makes the request's id, with the request at hand.
pub fn identify(conn: &Conn, record: &mut Record, head: &mut Head, request: &Request) {
    at_request(conn, record, head, request, |stage| {
        let view = stage.view();
        view.record.map(|record| record.unique_id_in(&view).len());
    });
}

/// `balance hash <expression>`.
pub fn hash_by(conn: &Conn, record: &mut Record, head: &mut Head, request: &Request, expr: &Expr, attempts: &mut Attempts<'_>) {
    at_request(conn, record, head, request, |stage| stage.hash_by(expr, attempts));
}

/// What rules have made of a response.
pub enum Responded {
    /// It goes on.
    Pass {
        /// The client's connection is to be closed behind it.
        close: bool,
    },
    /// This goes to the client in its place.
    Instead(Own, Termination),
    /// Nothing goes to the client.
    Nothing(Termination),
}

/// Whether anything has to be gone through for responses on this way.
pub fn any_for_responses(frontend: &Frontend, backend: &Backend) -> bool {
    let any = |rules: Option<&Rules>| {
        rules.is_some_and(|rules| !rules.after_response.is_empty() || rules.of_responses().iter().any(|list| !list.is_empty()))
    };
    any(frontend.settings.rules.as_deref()) || any(backend.settings.rules.as_deref())
}

/// The rules of the backend, then those of the frontend; those of a `listen` once.
fn of_both<'r>(frontend: &'r Frontend, backend: &'r Backend) -> impl Iterator<Item = &'r Rules> {
    let front = frontend.settings.rules.as_deref().filter(|_| frontend.order != backend.order);
    backend.settings.rules.as_deref().into_iter().chain(front)
}

/// The lists of responses of the proxy's own: those of the backend, once there is one, then those of the frontend.
pub fn after_lists<'r>(frontend: &'r Frontend, backend: Option<&'r Backend>) -> Vec<&'r [Arc<Rule>]> {
    let list = |rules: &'r Rules| rules.after_response.as_slice();
    let lists: Vec<_> = match backend {
        Some(backend) => of_both(frontend, backend).map(list).collect(),
        None => frontend.settings.rules.as_deref().into_iter().map(list).collect(),
    };
    lists.into_iter().filter(|list| !list.is_empty()).collect()
}

/// Goes through `http-response` and `http-after-response` for a server's response, whose head counts as `counted` bytes.
pub async fn response(
    conn: &Conn,
    record: &mut Record,
    request_head: &Head,
    (head, counted): (&mut Head, u64),
    body: (Body, Option<&Buffer>),
    backend: &Backend,
) -> Responded {
    let client = conn.client.clone();
    let frontend = client.frontend();
    record.variables.end(Scope::Request);
    for list in of_both(frontend, backend).flat_map(Rules::of_responses) {
        let mut at = 0;
        while at < list.len() {
            let step = at_response(conn, record, request_head, head, body, |stage| rules::run(list, at, stage));
            match step {
                Step::Pass { .. } | Step::NeedMore(_) => break,
                Step::Failed | Step::Unreadable => {
                    // A line that an old rule has spoiled is answered as if the server had sent it.
                    let status = if step == Step::Failed { 500 } else { 502 };
                    let own = Own { logged: Some(status), ..Own::page(pages(conn, record).iter().copied(), status) };
                    return Responded::Instead(own, Termination::new(Cause::Proxy, Phase::Headers));
                }
                Step::End(n) => {
                    record.downloaded += counted;
                    return ended(conn, record, request_head, head, body, list[n].action.last());
                }
                Step::Wait(n) => {
                    if let Action::Pause(time) = &list[n].action {
                        let time = at_response(conn, record, request_head, head, body, |stage| rules::duration(time, stage));
                        pause(conn, time.unwrap_or(Duration::ZERO)).await;
                    }
                    at = n + 1;
                }
            }
        }
    }
    let lists = after_lists(frontend, Some(backend));
    at_response(conn, record, request_head, head, body, |stage| replies::after_response(&lists, stage));
    let close = head.has_token(FieldId::Connection, b"close");
    head.remove_id(FieldId::Connection);
    if body.0 == Body::None && has_no_body(record.server_status) && request_head.method() != Method::Head {
        // What a length here would announce does not come.
        keep_framing(head, Body::Length(0));
    }
    keep_framing_of_response(head, body.0);
    record.status = head.status();
    Responded::Pass { close }
}

/// Rules may not change how long a response is, but for a status that has no body.
fn keep_framing_of_response(head: &mut Head, body: Body) {
    if has_no_body(head.status()) {
        head.remove_id(FieldId::TransferEncoding);
        if head.status() != 304 {
            head.remove_id(FieldId::ContentLength);
        }
        return;
    }
    match body {
        Body::Length(_) | Body::Chunked => keep_framing(head, body),
        // Without a body here a length may stand for what GET would give.
        Body::None => {}
        _ => {
            head.remove_id(FieldId::ContentLength);
            head.remove_id(FieldId::TransferEncoding);
        }
    }
}

/// RFC 9110 section 6.4.1: responses that end with their head.
pub fn has_no_body(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

fn at_response<T>(
    conn: &Conn,
    record: &mut Record,
    request_head: &Head,
    head: &mut Head,
    (framing, input): (Body, Option<&Buffer>),
    work: impl FnOnce(&mut Stage<'_>) -> T,
) -> T {
    let (body, whole, announced) = body_here(framing, input);
    let mut stage = Stage {
        record: Some(record),
        response: Some(head),
        sent_request: Some(request_head),
        body: Bytes { bytes: &body, whole, announced },
        served: conn.served,
        ..Stage::new(&conn.client, &conn.socket, Side::Response)
    };
    work(&mut stage)
}

fn ended(
    conn: &Conn,
    record: &mut Record,
    request_head: &Head,
    head: &mut Head,
    body: (Body, Option<&Buffer>),
    action: &Action,
) -> Responded {
    let (client, backend) = (conn.client.clone(), record.backend.clone());
    let pages = || backend.iter().map(|backend| &backend.errors).chain([&client.frontend().errors]);
    let made = at_response(conn, record, request_head, head, body, |stage| replies::made(action, stage, pages()));
    if let Some(told) = record.told() {
        told.answered(made.as_ref().map(|own| &own.head));
    }
    // What is here of the response counts for haproxy, the end of chunks as one.
    let (here, whole, _) = body_here(body.0, body.1);
    record.downloaded += here.len() as u64 + u64::from(body.0 == Body::Chunked && whole);
    record.timers.unmark(Reached::Response);
    record.rules_mut().ended = true;
    let counters = client.worker().counters.front(client.frontend());
    let local = rules::is_answer(action, record);
    if !local {
        counters.denied_responses.add(1);
        if let Some(backend) = &backend {
            client.worker().counters.back(backend).denied_responses.add(1);
        }
        if let Some(server) = &record.server {
            client.worker().counters.server(server).denied_responses.add(1);
        }
    }
    match (made, action) {
        (Some(own), _) => {
            let cause = if local { Cause::Local } else { Cause::Proxy };
            Responded::Instead(own, Termination::new(cause, Phase::Headers))
        }
        (None, Action::SilentDrop { ttl }) => {
            crate::rules::vanish(&conn.socket, *ttl);
            Responded::Nothing(Termination::new(Cause::Proxy, Phase::Request))
        }
        // What a rule takes for no answer is none.
        (None, Action::Close) => {
            record.downloaded = 0;
            let own = Own { logged: Some(502), hangs_up: true, ..Own::page(pages(), 502) };
            Responded::Instead(own, Termination::new(Cause::ServerAbort, Phase::Headers))
        }
        (None, _) => {
            (record.status, record.downloaded) = (0, 0);
            Responded::Nothing(Termination::new(Cause::Proxy, Phase::Data))
        }
    }
}

/// An answer by `http-error`, for a request whose head is no longer at hand.
pub fn make(conn: &Conn, record: &mut Record, reply: &Arc<lb_config::Reply>) -> Own {
    let stage = Stage { record: Some(record), served: conn.served, ..Stage::new(&conn.client, &conn.socket, Side::Response) };
    replies::of_format(reply, &stage)
}

/// Goes through `http-after-response` for a response of the proxy's own.
pub fn after_own(conn: &Conn, record: &mut Record, head: &mut Head) {
    let (client, backend) = (conn.client.clone(), record.backend.clone());
    let lists = after_lists(client.frontend(), backend.as_deref());
    if lists.is_empty() {
        return;
    }
    let mut stage =
        Stage { record: Some(record), response: Some(head), served: conn.served, ..Stage::new(&conn.client, &conn.socket, Side::Response) };
    replies::after_response(&lists, &mut stage);
}

/// `timeout` of the client and of the server, as rules have them for this stream.
pub fn timeouts(rules: &RuleState, frontend: &Frontend, backend: &Backend) -> (Option<Duration>, Option<Duration>) {
    (rules.timeout_client.or(frontend.settings.timeouts.client), rules.timeout_server.or(backend.settings.timeouts.server))
}
