//! One request and its response on the client's side: from the head to the log line, attempts included. The branches of an
//! exchange are all here.

use super::attempt::{self, Outcome};
use super::receive::{self, NoRequest};
use super::{Conn, PooledHead, answer};
use crate::admit::{Attempts, ClientWatch, Refused};
use crate::proxy::{Backend, Frontend};
use crate::record::Record;
use crate::reply::ReplyTo;
use crate::tcp::InBackend;
use crate::timers::Step;
use lb_config::{HttpConnectionMode, RetryOn};
use lb_expr::{Cause, Phase, Termination};
use lb_http::h1::ErrorKind;
use lb_http::{Body, Method, RequestFraming, Version, hop};
use lb_sys::Addr;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// What is known of the request under way, beside its head.
pub struct Request {
    /// Its framing.
    pub framing: RequestFraming,
    /// Version of the client.
    pub version: Version,
    /// The method.
    pub method: Method,
    /// What both proxies' options make of the two connections.
    pub mode: HttpConnectionMode,
    /// The request asked for an upgrade and may get one.
    pub reply: ReplyTo,
}

/// Serves one request; true when the connection may serve another one.
pub async fn one(conn: &mut Conn) -> bool {
    let worker = conn.client.worker().clone();
    let mut record = Record::new(conn.client.clone(), conn.timers());
    let mut head = worker.heads.take();
    let framing = match receive::request(conn, &mut record, &mut head).await {
        Ok(framing) => framing,
        Err(none) => {
            no_request(conn, &mut record, none).await;
            return false;
        }
    };
    let frontend = conn.client.frontend().clone();
    frontend.requests.fetch_add(1, Ordering::Relaxed);
    worker.process.streams.fetch_add(1, Ordering::Relaxed);
    if record.wants_line() {
        note_line(&mut record, &head);
    }
    let backend = frontend.backend.clone();
    let back_mode = backend.as_ref().map_or(HttpConnectionMode::KeepAlive, |b| b.settings.options.http_mode);
    let mode = frontend.settings.options.http_mode.max(back_mode);
    let keep_alive = framing.keep_alive && mode != HttpConnectionMode::Close && !worker.process.stopping();
    let (version, method) = (head.version(), head.method());
    let reply = ReplyTo { version, keep_alive, head: method == Method::Head, early: false };
    let request = Request { framing, version, method, mode, reply };
    if frontend.settings.monitor_uri.as_ref().is_some_and(|uri| head.target() == uri.as_bytes()) {
        record.logged = true;
        let reuse = answer::send(conn, &mut record, 200, request.reply, Termination::new(Cause::Local, Phase::Request)).await;
        return finish(conn, &request, reuse).await;
    }
    let reuse = match backend {
        Some(backend) => forward(conn, &mut record, &mut head, &request, &frontend, backend).await,
        None => answer::send(conn, &mut record, 503, request.reply, crate::tcp::NO_BACKEND).await,
    };
    finish(conn, &request, reuse).await
}

/// Leaves the connection ready for the next request, or closes it. A body that nobody read may be in the way.
async fn finish(conn: &mut Conn, request: &Request, reuse: bool) -> bool {
    let worker = conn.client.worker().clone();
    let unread = request.framing.body != Body::None && conn.input.is_some();
    if reuse && !unread {
        conn.input = conn.input.take().filter(|b| !b.is_empty());
        return true;
    }
    if conn.input.is_some() || request.framing.body != Body::None || conn.socket.maybe_readable() {
        conn.input = None;
        answer::close_gently(&worker.rt, &conn.socket).await;
    }
    false
}

fn note_line(record: &mut Record, head: &PooledHead) {
    record.line.extend_from_slice(head.method_bytes());
    record.line.push(b' ');
    record.line.extend_from_slice(head.target());
    record.line.push(b' ');
    record.line.extend_from_slice(head.version().as_bytes());
}

/// Answers and logs what never became a request.
async fn no_request(conn: &mut Conn, record: &mut Record, none: NoRequest) {
    let worker = conn.client.worker().clone();
    let options = &conn.client.frontend().settings.options;
    let to = ReplyTo { version: Version::Http11, keep_alive: false, head: false, early: true };
    let (status, end) = match none {
        // Between two requests, or a probe: nobody expects a word.
        NoRequest::Nothing { .. } if conn.served != 0 || options.http_ignore_probes => {
            record.logged = true;
            return;
        }
        NoRequest::Nothing { timeout: false } => {
            record.logged |= record.ignores_null();
            (0, Termination::new(Cause::ClientAbort, Phase::Request))
        }
        NoRequest::Nothing { timeout: true } => {
            record.logged |= record.ignores_null();
            (408, Termination::new(Cause::ClientTimeout, Phase::Request))
        }
        NoRequest::Closed => (400, Termination::new(Cause::ClientAbort, Phase::Request)),
        NoRequest::Timeout => (408, Termination::new(Cause::ClientTimeout, Phase::Request)),
        NoRequest::Bad(e) => {
            if e.kind == ErrorKind::H2Preface {
                worker.process.report("a client speaks HTTP/2 on a port that speaks HTTP/1: answered with 400");
            }
            (e.status(), Termination::new(Cause::Proxy, Phase::Request))
        }
    };
    if status == 0 {
        record.status = 400;
        return record.finish(end);
    }
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
}

/// Sends the request to a server of `backend` and the response back, or answers in its place.
async fn forward(
    conn: &mut Conn,
    record: &mut Record,
    head: &mut PooledHead,
    request: &Request,
    frontend: &Arc<Frontend>,
    backend: Arc<Backend>,
) -> bool {
    let counted = InBackend::new(backend.clone());
    record.backend = Some(backend.clone());
    prepare(conn, head, request, frontend, &backend);
    let verdict = try_servers(conn, record, head, request, frontend, &backend).await;
    // The line counts those that remain.
    drop(counted);
    match verdict {
        Verdict::Done { reuse, end } => {
            record.finish(end);
            reuse
        }
        Verdict::Answer { status, end } => {
            let reply = ReplyTo { keep_alive: request.reply.keep_alive && end.cause != Cause::ClientTimeout, ..request.reply };
            answer::send(conn, record, status, reply, end).await
        }
    }
}

/// One server after the other, as often as the configuration allows.
async fn try_servers(
    conn: &mut Conn,
    record: &mut Record,
    head: &mut PooledHead,
    request: &Request,
    frontend: &Arc<Frontend>,
    backend: &Arc<Backend>,
) -> Verdict {
    let client = conn.client.clone();
    let worker = client.worker().clone();
    let abort_on_close = backend.settings.options.abortonclose;
    if (frontend.settings.options.http_buffer_request || backend.settings.options.http_buffer_request)
        && let Err(end) = buffer_body(conn, request, frontend).await
    {
        return Verdict::Answer { status: if end.cause == Cause::ClientTimeout { 408 } else { 400 }, end };
    }
    if backend.servers().iter().any(|s| s.needs_client_address()) {
        client.learn_local(&conn.socket);
    }
    let mut attempts = Attempts::new(record, backend.clone());
    let body = attempt::KeptBody::new(conn, request, backend);
    loop {
        let watch = ClientWatch { socket: &conn.socket, abort_on_close };
        let slot = match attempts.admit(&worker.rt, record, watch).await {
            Ok(slot) => slot,
            Err(refused) => return refuse(record, &refused),
        };
        let server = match attempt::server_connection(conn, record, request, &slot).await {
            Ok(server) => server,
            Err(gone @ Refused::ClientGone(_)) => return refuse(record, &gone),
            Err(failure) => {
                let watch = ClientWatch { socket: &conn.socket, abort_on_close };
                match attempts.again(&worker.rt, record, slot, &failure, watch).await {
                    Ok(true) => continue,
                    Ok(false) => return refuse(record, &failure),
                    Err(gone) => return refuse(record, &gone),
                }
            }
        };
        if let Some(name) = &backend.settings.http_send_name_header {
            head.set(name.as_bytes(), slot.server().name().as_bytes());
        }
        let reused = server.reused();
        match attempt::run(conn, record, head, request, &slot, server).await {
            Outcome::Done { reuse, end } => return Verdict::Done { reuse, end },
            // An idle connection that the server had closed: nothing was asked of it.
            Outcome::Failed { heard: false, reason: RetryOn::EMPTY_RESPONSE, .. }
                if reused && body.can_replay(conn, request.method.is_idempotent()) =>
            {
                attempts.keep(slot);
                record.timers.unmark(Step::Connect);
            }
            Outcome::Failed { reason, status, end, .. } => {
                let settings = &backend.settings;
                let may = reason != RetryOn::NONE && settings.retry_on.contains(reason) && u32::from(record.retries) < settings.retries;
                if may && body.can_replay(conn, true) {
                    attempts.after_response(record, slot);
                    continue;
                }
                // On a connection that turns out closed, a client that repeats its request is better off than with an error.
                if status == 0 || (reused && reason == RetryOn::EMPTY_RESPONSE && conn.served != 0) {
                    return Verdict::Done { reuse: false, end };
                }
                return Verdict::Answer { status, end };
            }
        }
    }
}

/// What both sides' options change in the request.
fn prepare(conn: &Conn, head: &mut PooledHead, request: &Request, frontend: &Frontend, backend: &Backend) {
    hop::strip(head);
    let pretend = backend.settings.options.http_pretend_keepalive;
    let close = request.mode != HttpConnectionMode::KeepAlive && !pretend;
    hop::set_request_connection(head, if close { hop::Wanted::Close } else { hop::Wanted::KeepAlive });
    let (front, back) = (&frontend.settings.options.forwardfor, &backend.settings.options.forwardfor);
    let Some(option) = back.as_ref().or(front.as_ref()) else { return };
    let Addr::Ip(peer) = &conn.client.peer else { return };
    let excepted = [front, back].into_iter().flatten().any(|o| o.except.is_some_and(|net| net.contains(peer.ip())));
    let name = option.header.as_bytes();
    let if_none = [front, back].into_iter().flatten().all(|o| o.if_none);
    if !excepted && !(if_none && head.get(name).is_some()) {
        hop::append_forwarded_for(head, name, peer.ip());
    }
}

/// `option http-buffer-request`: waits until the body is here, or the buffer is full.
async fn buffer_body(conn: &mut Conn, request: &Request, frontend: &Frontend) -> Result<(), Termination> {
    let rt = conn.client.worker().rt.clone();
    let deadline = frontend.settings.timeouts.effective_http_request().map(|d| rt.now() + d);
    if request.framing.body == Body::None || request.framing.expect_continue {
        return Ok(());
    }
    loop {
        let input = conn.input.get_or_insert_with(|| rt.buffers().take());
        let whole = match request.framing.body {
            Body::Length(n) => input.len() as u64 >= n,
            _ => attempt::chunks_complete(input.filled()),
        };
        input.compact();
        if whole || input.spare().is_empty() {
            return Ok(());
        }
        let read = poll_fn(|_| match conn.socket.poll_read(input.spare()) {
            Poll::Ready(read) => Poll::Ready(Some(read.unwrap_or(0))),
            Poll::Pending => rt.poll_deadline(deadline).map(|()| None),
        });
        match read.await {
            None => return Err(Termination::new(Cause::ClientTimeout, Phase::Data)),
            Some(0) => return Err(Termination::new(Cause::ClientAbort, Phase::Data)),
            Some(n) => input.commit(n),
        }
    }
}

/// A request that got no server.
fn refuse(record: &mut Record, refused: &Refused) -> Verdict {
    let end = refused.termination();
    if let Refused::ClientGone(_) = refused {
        record.status = 400;
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

