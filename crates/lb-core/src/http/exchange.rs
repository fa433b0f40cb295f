//! One request and its response on the client's side: from the head to the log line, attempts included. The branches of an
//! exchange are all here.

use super::attempt::{self, Outcome};
use super::receive::{self, Chunks, NoBody, NoRequest};
use super::{Conn, PooledHead, answer, fields, hash_key, rules, target};
use crate::admit::{Attempts, ClientWatch, Preferred, Refused};
use crate::explain::told::Why;
use crate::proxy::{AsksFor, Backend, Frontend};
use crate::record::{Record, log_connect};
use crate::reply::ReplyTo;
use crate::rules::replies::Own;
use crate::tcp::InBackend;
use crate::timers::Step;
use lb_balance::Key;
use lb_config::{Destination, HashKey, HttpConnectionMode, LogStep, RestrictNames, RetryOn};
use lb_expr::{CaptureSide, Cause, Phase, Termination};
use lb_http::{Body, FieldId, Method, RequestFraming, Version, hop};
use lb_rt::Buffer;
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is known of the request under way, beside its head.
pub struct Request {
    /// Its framing.
    pub framing: RequestFraming,
    /// Version of the client.
    pub version: Version,
    /// The method.
    pub method: Method,
    /// What both proxies' options make of the server's connection.
    pub mode: HttpConnectionMode,
    /// How the client's connection stands for an answer.
    pub reply: ReplyTo,
    /// What has become of the body.
    pub body: Cell<BodyState>,
    /// A rule wants the server's connection closed.
    pub leaves_server: bool,
}

/// What has become of a request's body: the connection lives on only when nothing of it is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyState {
    /// Nobody has read any of it.
    Untouched,
    /// All of it has been read.
    Consumed,
    /// A part of it has been read.
    Broken,
}

/// Serves one request; true when the connection may serve another one.
pub async fn one(conn: &mut Conn) -> bool {
    let client = conn.client.clone();
    let (worker, frontend) = (client.worker(), client.frontend());
    let mut record = Record::new(client.clone(), conn.timers());
    let mut head = worker.heads.take();
    let framing = match receive::request(conn, &mut record, &mut head).await {
        Ok(framing) => framing,
        Err(none) => {
            no_request(conn, &mut record, none).await;
            return false;
        }
    };
    record.begin();
    if record.wants_line() {
        note_line(&mut record, &head);
    }
    record.count_head(&head);
    record.capture(CaptureSide::Request, &head);
    log_connect(&client);
    record.log_step(LogStep::Request);
    let backend = frontend.backend.as_ref();
    let back_mode = backend.map_or(HttpConnectionMode::KeepAlive, |b| b.settings.options.http_mode);
    let mode = frontend.settings.options.http_mode.max(back_mode);
    // A backend's httpclose closes its own side only.
    let front_mode = frontend.settings.options.http_mode;
    let keep_alive = framing.keep_alive && front_mode != HttpConnectionMode::Close && !client.has_to_leave();
    let (version, method) = (head.version(), head.method());
    let reply = ReplyTo { version, keep_alive, head: method == Method::Head, early: false };
    let body = Cell::new(if framing.body == Body::None { BodyState::Consumed } else { BodyState::Untouched });
    let mut request = Request { framing, version, method, mode, reply, body, leaves_server: false };
    if frontend.settings.monitor_uri.as_ref().is_some_and(|uri| path_and_query(head.target()) == uri.as_bytes()) {
        record.logged = true;
        worker.counters.front(frontend).intercepted.add(1);
        let fails = rules::monitor_fails(conn, &mut record, &mut head, &request);
        let status = if fails { 503 } else { 200 };
        let reuse = reply_to(conn, &mut record, &request, status, Termination::new(Cause::Local, Phase::Request)).await;
        return finish(conn, &request, reuse).await;
    }
    if let Some(rules) = frontend.settings.rules.as_deref()
        && let Some(halt) = rules::request(conn, &mut record, &mut head, &mut request, rules)
        // Boxed: it is rare, and the stream's future stays small.
        && let Some(ended) = Box::pin(rules::halted(conn, &mut record, &mut head, &mut request, rules, halt)).await
    {
        return end_by_rule(conn, &request, ended).await;
    }
    let backend = rules::route(conn, &mut record, &mut head, &request, frontend, &worker.process.topology);
    if let Some(backend) = backend.as_ref().filter(|_| frontend.settings.rules.is_some() && !request.leaves_server) {
        request.mode = front_mode.max(backend.settings.options.http_mode);
    }
    let (status, end) = match backend {
        Some(backend) if restrict_names(&mut head, frontend, backend) => {
            return forward(conn, &mut record, &mut head, &mut request, frontend, backend).await;
        }
        Some(_) => (403, Termination::new(Cause::Proxy, Phase::Request)),
        None => {
            record.timers.unmark(Step::Request);
            (503, crate::tcp::NO_BACKEND)
        }
    };
    let reuse = reply_to(conn, &mut record, &request, status, end).await;
    finish(conn, &request, reuse).await
}

/// The path of a target in any form, with its query.
pub(super) fn path_and_query(target: &[u8]) -> &[u8] {
    let Some(at) = memchr::memmem::find(target, b"://") else { return target };
    if target.starts_with(b"/") {
        return target;
    }
    match memchr::memchr(b'/', &target[at + 3..]) {
        Some(slash) => &target[at + 3 + slash..],
        None => b"/",
    }
}

/// `option http-restrict-req-hdr-names` of both proxies, the stronger one counts; false: the request is refused.
fn restrict_names(head: &mut PooledHead, frontend: &Frontend, backend: &Backend) -> bool {
    let options = [&frontend.settings.options, &backend.settings.options].map(|o| o.http_restrict_req_hdr_names);
    let plain = |name: &[u8]| name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    if options.contains(&Some(RestrictNames::Reject)) {
        return head.fields().all(|f| plain(f.name));
    }
    if options.contains(&Some(RestrictNames::Delete)) {
        head.retain(|f| plain(f.name));
    }
    true
}

/// Answers in place of a server; the body that nobody has read is taken out of the way, or the connection is closed.
async fn reply_to(conn: &mut Conn, record: &mut Record, request: &Request, status: u16, end: Termination) -> bool {
    let to = ready_to_answer(conn, request, end);
    answer::send(conn, record, status, to, end).await
}

/// Ends a request that a rule has ended; true when the connection may serve another one.
async fn end_by_rule(conn: &mut Conn, request: &Request, ended: rules::Ended) -> bool {
    match ended {
        rules::Ended::Answered(reuse) => finish(conn, request, reuse).await,
        rules::Ended::Dropped => {
            conn.input = None;
            false
        }
    }
}

/// Takes the body that nobody has read out of the way, where that can be; how the connection stands for an answer then.
pub(super) fn ready_to_answer(conn: &mut Conn, request: &Request, end: Termination) -> ReplyTo {
    if request.body.get() == BodyState::Untouched {
        request.body.set(if skip_body(conn, request) { BodyState::Consumed } else { BodyState::Broken });
    }
    let keep_alive = request.reply.keep_alive && request.body.get() == BodyState::Consumed && end.cause != Cause::ClientTimeout;
    ReplyTo { keep_alive, ..request.reply }
}

/// Drops a body that is here as a whole.
fn skip_body(conn: &mut Conn, request: &Request) -> bool {
    let Some(input) = conn.input.as_mut() else { return false };
    let len = match request.framing.body {
        Body::Length(n) if n <= input.len() as u64 => n as usize,
        Body::Chunked => match receive::chunks(input.filled()) {
            Chunks::Whole(n) => n,
            _ => return false,
        },
        _ => return false,
    };
    input.consume(len);
    true
}

/// Leaves the connection ready for the next request, or closes it.
async fn finish(conn: &mut Conn, request: &Request, reuse: bool) -> bool {
    if reuse && request.body.get() == BodyState::Consumed {
        Buffer::release_empty(&mut conn.input);
        return true;
    }
    if conn.input.is_some() || request.body.get() != BodyState::Consumed || conn.socket.maybe_readable() {
        conn.input = None;
        let worker = conn.client.worker().clone();
        answer::close_gently(&worker.rt, &conn.socket).await;
    }
    false
}

fn note_line(record: &mut Record, head: &PooledHead) {
    let limit = record.client.worker().process.tune.http_logurilen.saturating_sub(1);
    record.line.extend_from_slice(head.method_bytes());
    record.line.push(b' ');
    record.line.extend_from_slice(head.target());
    record.line.push(b' ');
    record.line.extend_from_slice(head.version().as_bytes());
    record.line.truncate(limit);
}

/// Answers and logs what never became a request.
async fn no_request(conn: &mut Conn, record: &mut Record, none: NoRequest) {
    let worker = conn.client.worker().clone();
    let options = &conn.client.frontend().settings.options;
    let to = ReplyTo { version: Version::Http11, keep_alive: false, head: false, early: true };
    if matches!(none, NoRequest::Nothing { .. }) && (conn.served != 0 || options.http_ignore_probes) {
        // Between two requests, or a probe: nobody expects a word.
        record.logged = true;
        return;
    }
    record.begin_to_count();
    let (status, end) = match none {
        NoRequest::Nothing { timeout: false } => {
            record.logged |= record.ignores_null();
            (400, Termination::new(Cause::ClientAbort, Phase::Request))
        }
        NoRequest::Nothing { timeout: true } => {
            record.logged |= record.ignores_null();
            (408, Termination::new(Cause::ClientTimeout, Phase::Request))
        }
        NoRequest::Closed => (400, Termination::new(Cause::ClientAbort, Phase::Request)),
        NoRequest::Timeout => (408, Termination::new(Cause::ClientTimeout, Phase::Request)),
        NoRequest::Bad(e) => (e.status(), Termination::new(Cause::Proxy, Phase::Request)),
    };
    answer::send(conn, record, status, to, end).await;
    conn.input = None;
    answer::close_gently(&worker.rt, &conn.socket).await;
}

/// How a request ended, before its line is written.
enum Verdict {
    /// The response, or what there was of it, has gone to the client.
    Done { reuse: bool, end: Termination },
    /// The proxy answers itself.
    Answer { status: u16, end: Termination },
    /// A rule has answered in the server's place.
    Own { own: Box<Own>, end: Termination },
}

/// Sends the request to a server of `backend` and the response back, or answers in its place.
async fn forward(
    conn: &mut Conn,
    record: &mut Record,
    head: &mut PooledHead,
    request: &mut Request,
    frontend: &Frontend,
    backend: &Arc<Backend>,
) -> bool {
    let counted = InBackend::enter(record, backend.clone());
    // Those of a listen have been gone through.
    if let Some(rules) = backend.settings.rules.as_deref().filter(|_| frontend.order != backend.order)
        && let Some(halt) = rules::request(conn, record, head, request, rules)
        && let Some(ended) = Box::pin(rules::halted(conn, record, head, request, rules, halt)).await
    {
        drop(counted);
        return end_by_rule(conn, request, ended).await;
    }
    if frontend.unique_id.is_some() {
        rules::identify(conn, record, head, request);
        identify(record, head, frontend);
    }
    prepare(conn, record, head, request, frontend, backend);
    let verdict = try_servers(conn, record, head, request, frontend, backend).await;
    drop(counted);
    let reuse = match verdict {
        Verdict::Done { reuse, end } => {
            record.note_client(&conn.socket);
            record.finish(end);
            reuse
        }
        Verdict::Answer { status, end } => reply_to(conn, record, request, status, end).await,
        Verdict::Own { own, end } => Box::pin(rules::reply(conn, record, request, *own, end)).await,
    };
    finish(conn, request, reuse).await
}

/// One server after the other, as often as the configuration allows.
async fn try_servers(
    conn: &mut Conn,
    record: &mut Record,
    head: &mut PooledHead,
    request: &mut Request,
    frontend: &Frontend,
    backend: &Arc<Backend>,
) -> Verdict {
    let client = conn.client.clone();
    let worker = client.worker();
    let abort_on_close = backend.settings.options.abortonclose;
    let key = backend.settings.balance.hash_key();
    let parameter = hash_key::in_body(head, key);
    let by_option = [frontend.settings.options.http_buffer_request, backend.settings.options.http_buffer_request];
    if request.framing.body != Body::None && (by_option.contains(&true) || parameter.is_some()) {
        if let Err(end) = buffer_body(conn, record, head, request, frontend).await {
            record.uploaded += body_so_far(conn, request).len() as u64;
            record.note_release();
            if end.cause != Cause::ClientTimeout {
                return Verdict::Done { reuse: false, end };
            }
            // As haproxy counts it: with the option the request never became one, and it was the frontend where that waits.
            if by_option.contains(&true) {
                record.timers.unmark(Step::Request);
            }
            if by_option[0] {
                record.backend = None;
            }
            return Verdict::Answer { status: 408, end };
        }
        record.mark_for_line(Step::Request);
    }
    if backend.needs_client_address.load(Ordering::Relaxed) {
        client.learn_local(&conn.socket);
    }
    if matches!(backend.settings.destination, Destination::Uri) {
        let Some(to) = target::take_address(head) else {
            record.note_refusal();
            return Verdict::Answer { status: 400, end: Termination::new(Cause::Proxy, Phase::Request) };
        };
        record.target = Some(Box::new(to));
    }
    let mut attempts = Attempts::new(record, backend);
    if backend.asks_for == AsksFor::Request
        && let Some(key) = key
    {
        match (hash_key::of(head, key), parameter) {
            _ if let HashKey::Expr(expr) = key => rules::hash_by(conn, record, head, request, expr, &mut attempts),
            (Key::None, Some(name)) => attempts.hash_by(hash_key::value(&body_so_far(conn, request), name).map_or(Key::None, Key::Bytes)),
            (key, _) => attempts.hash_by(key),
        }
    }
    let chosen = rules::use_server(conn, record, head, request, backend).map(|server| Preferred { server, bound: true });
    let wished = chosen.or_else(|| preferred(conn, backend));
    attempts.prefer(wished);
    let body = attempt::KeptBody::new(conn, request, backend);
    loop {
        let watch = ClientWatch { socket: &conn.socket, abort_on_close, abort_on_silence: false };
        let slot = match attempts.admit(&worker.rt, record, watch).await {
            Ok(slot) => slot,
            Err(refused) => {
                if let Some(told) = record.told() {
                    told.served(backend, None);
                }
                return refuse(record, &refused);
            }
        };
        if let Some(told) = record.told() {
            told.served(backend, Some((slot.server_id(), why(slot.server_id(), chosen, wished))));
        }
        let server = match attempt::server_connection(conn, record, request, &slot).await {
            Ok(server) => server,
            Err(gone @ (Refused::ClientGone(_) | Refused::Killed(..))) => return refuse(record, &gone),
            Err(failure) => {
                let watch = ClientWatch { socket: &conn.socket, abort_on_close, abort_on_silence: false };
                match attempts.again(&worker.rt, record, slot, &failure, watch).await {
                    Ok(true) => continue,
                    Ok(false) => return refuse(record, &failure),
                    Err(gone) => return refuse(record, &gone),
                }
            }
        };
        if let Some(name) = backend.settings.http_send_name_header.as_ref().filter(|_| !slot.server().implicit) {
            head.set(name.as_bytes(), slot.server().name().as_bytes());
        }
        let reused = server.uses != 0;
        match attempt::run(conn, record, head, request, &body, &slot, server).await {
            Outcome::Instead { own, end } => {
                record.note_release();
                return Verdict::Own { own, end };
            }
            Outcome::Done { reuse, end } => {
                record.note_release();
                return Verdict::Done { reuse, end };
            }
            Outcome::Failed { reason, status, end, heard } => {
                let settings = &backend.settings;
                let may = reason != RetryOn::NONE
                    && settings.retry_on.contains(reason)
                    && !record.rules().no_retry
                    && u32::from(record.retries) < record.max_retries(backend);
                if may && body.can_replay(conn, request, true) {
                    attempts.after_response(record, slot);
                    continue;
                }
                // An idle connection that the server had closed: nothing was asked of it.
                let closed = reused && !heard && reason == RetryOn::EMPTY_RESPONSE;
                if closed && body.can_replay(conn, request, request.method.is_idempotent()) {
                    attempts.keep(slot);
                    record.timers.unmark(Step::Connect);
                    continue;
                }
                record.note_release();
                // A client that repeats its request is better off than with an error.
                if status == 0 || (closed && conn.served != 0) {
                    return Verdict::Done { reuse: false, end };
                }
                return Verdict::Answer { status, end };
            }
        }
    }
}

/// `unique-id-format` and `unique-id-header`.
fn identify(record: &mut Record, head: &mut PooledHead, frontend: &Frontend) {
    let id = record.unique_id();
    // An id with bytes that no field may have is for logs alone.
    if let Some(name) = frontend.settings.unique_id_header.as_ref().filter(|_| lb_http::is_field_value(id)) {
        head.append(name.as_bytes(), id);
    }
}

/// What both sides' options change in the request.
fn prepare(conn: &Conn, record: &Record, head: &mut PooledHead, request: &mut Request, frontend: &Frontend, backend: &Backend) {
    hop::strip(head);
    if request.framing.upgrade && request.framing.body != Body::None {
        // Where the body ends and the other protocol begins, two readers could differ: no upgrade then, as with haproxy.
        head.remove_id(FieldId::Upgrade);
        request.framing.upgrade = false;
    }
    let pretend = backend.settings.options.http_pretend_keepalive;
    let close = request.mode != HttpConnectionMode::KeepAlive && !pretend;
    hop::set_request_connection(head, if close { hop::Wanted::Close } else { hop::Wanted::KeepAlive });
    fields::add_addresses(record, &conn.socket, head, frontend, backend);
}

/// `option http-buffer-request`: waits until the body is here, or the buffer is full.
async fn buffer_body(
    conn: &mut Conn,
    record: &mut Record,
    head: &mut PooledHead,
    request: &mut Request,
    frontend: &Frontend,
) -> Result<(), Termination> {
    let rt = &conn.client.worker().rt;
    let deadline = frontend.settings.timeouts.effective_http_request().map(|d| rt.now() + d);
    receive::body(conn, record, head, request, deadline, 0).await.map_err(|none| {
        let cause = if none == NoBody::Timeout { Cause::ClientTimeout } else { Cause::ClientAbort };
        Termination::new(cause, Phase::Request)
    })
}

/// What has come of a body, without its framing.
fn body_so_far<'a>(conn: &'a Conn, request: &Request) -> Cow<'a, [u8]> {
    let Some(input) = &conn.input else { return Cow::default() };
    match request.framing.body {
        Body::Length(n) => input.filled()[..input.len().min(usize::try_from(n).unwrap_or(usize::MAX))].into(),
        Body::Chunked => receive::chunk_data(input.filled()).0.into(),
        _ => Cow::default(),
    }
}

/// The server of the request before, where this one should go there too.
fn preferred(conn: &Conn, backend: &Backend) -> Option<Preferred> {
    // Only while a connection is held for this client alone: one in the pool is nobody's (as haproxy sees it).
    let bound = conn.own.as_ref()?.private;
    if !bound && !backend.settings.options.prefer_last_server {
        return None;
    }
    let last = conn.last.as_ref()?.upgrade()?;
    let same = backend.servers().get(last.id.0 as usize).filter(|s| Arc::ptr_eq(s, &last))?;
    Some(Preferred { server: same.id, bound })
}

/// Why a server is the one, for who wants it explained; it was `wished`, and by a rule if that is `by_rule`.
fn why(id: lb_balance::ServerId, by_rule: Option<Preferred>, wished: Option<Preferred>) -> Why {
    match wished {
        Some(wished) if wished.server != id => Why::Scheduler,
        Some(_) if by_rule.is_some() => Why::Rule,
        Some(_) => Why::Kept,
        None => Why::Scheduler,
    }
}

/// A request that got no server.
fn refuse(record: &mut Record, refused: &Refused) -> Verdict {
    let end = refused.termination();
    record.note_refusal();
    if let Refused::ClientGone(_) = refused {
        return Verdict::Done { reuse: false, end };
    }
    Verdict::Answer { status: 503, end }
}

/// True for a response after which nobody else may use the server's connection: its authentication is the connection's.
pub fn binds_connection(head: &lb_http::Head) -> bool {
    matches!(head.status(), 401 | 407)
        && [&b"www-authenticate"[..], b"proxy-authenticate"].into_iter().any(|name| {
            head.get_all(name).any(|v| [&b"ntlm"[..], b"nego"].into_iter().any(|s| v.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(s))))
        })
}
