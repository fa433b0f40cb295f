//! One attempt of a request at a server: get a connection, send the request, read the response, forward it. Both directions
//! move at once from the first byte of the request's body, since a server may answer early.

use super::exchange::{BodyState, Request, binds_connection};
use super::receive::{Chunks, chunks};
use super::{Conn, PooledHead, answer, rules};
use crate::admit::{self, ClientWatch, Refused};
use crate::outgoing::write_proxy_header;
use crate::pool::{self, ServerConn};
use crate::proxy::Backend;
use crate::pump::{Broken, Flow, Framing, SpliceMode, Waits};
use crate::queue::Slot;
use crate::record::Record;
use crate::record::counted_size;
use crate::relay::{Relay, TunnelTimeouts};
use crate::rules::replies::Own;
use crate::timers::Step;
use crate::watched;
use lb_check::Sign;
use lb_config::{HttpConnectionMode, HttpReuse, LogStep, RetryOn};
use lb_expr::{CaptureSide, Cause, Phase, Termination};
use lb_http::chunk::{self, Trailers};
use lb_http::h1::{Decoded, Decoder, Encoder, ResponseTo};
use lb_http::{Body, FieldId, ResponseFraming, Version, hop};
use lb_rt::{Buffer, Socket};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How an attempt ended.
pub enum Outcome {
    /// The response went to the client, or as much of it as there was.
    Done {
        /// The client's connection may serve another request.
        reuse: bool,
        /// How it ended.
        end: Termination,
    },
    /// A rule has refused the response: this goes to the client in its place.
    Instead {
        /// What goes to the client.
        own: Box<Own>,
        /// How it ends.
        end: Termination,
    },
    /// Nothing has gone to the client.
    Failed {
        /// Which word of `retry-on` this is.
        reason: RetryOn,
        /// What to answer; 0: nothing.
        status: u16,
        /// How the stream ends unless it is tried again.
        end: Termination,
        /// The server has said something.
        heard: bool,
    },
}

/// The request's body, for the case that it has to be sent once more.
pub struct KeptBody {
    none: bool,
    bytes: Option<Vec<u8>>,
}

impl KeptBody {
    /// Copies the body if all of it is here and another attempt may need it.
    pub fn new(conn: &Conn, request: &Request, backend: &Backend) -> KeptBody {
        let none = request.framing.body == Body::None;
        let wanted = !none && (backend.settings.retry_on.needs_request() || request.mode == HttpConnectionMode::KeepAlive);
        let input = conn.input.as_ref().filter(|_| wanted).map(|b| b.filled());
        let whole = input.filter(|b| match request.framing.body {
            Body::Length(n) => b.len() as u64 >= n,
            _ => matches!(chunks(b), Chunks::Whole(_)),
        });
        KeptBody { none, bytes: whole.map(<[u8]>::to_vec) }
    }

    /// True when the request can be sent once more.
    pub fn possible(&self) -> bool {
        self.none || self.bytes.is_some()
    }

    /// True when the request may (`allowed`) and can be sent once more; its body is in place again then.
    pub fn can_replay(&self, conn: &mut Conn, request: &Request, allowed: bool) -> bool {
        if !allowed {
            return false;
        }
        if let Some(bytes) = &self.bytes {
            let mut buffer = conn.client.worker().rt.buffers().take();
            let all = buffer.append(bytes) == bytes.len();
            conn.input = Some(buffer);
            request.body.set(BodyState::Untouched);
            return all;
        }
        self.none
    }
}

/// A connection to the slot's server: an idle one where `http-reuse` allows that, else a new one.
pub async fn server_connection(conn: &mut Conn, record: &mut Record, request: &Request, slot: &Slot) -> Result<Box<ServerConn>, Refused> {
    if let Some(kept) = take_kept(conn, record, request, slot) {
        note_reuse(record, slot, &kept);
        return Ok(kept);
    }
    let worker = conn.client.worker().clone();
    if let Some(uses) = may_share(conn, record, request, slot)
        && worker.pools.may_ask(slot.server())
        // Boxed: it is rare, and the stream's future stays small.
        && let Some(mut kept) = Box::pin(pool::from_others(&worker, slot.server(), uses)).await
    {
        kept.socket.set_meter(worker.counters.back_wire(slot.backend()));
        note_reuse(record, slot, &kept);
        return Ok(kept);
    }
    let abort_on_close = record.backend.as_ref().is_some_and(|b| b.settings.options.abortonclose);
    let watch = ClientWatch { socket: &conn.socket, abort_on_close, abort_on_silence: false };
    let moves = slot.server().moves();
    let mut socket = admit::connect(&worker.rt, record, slot, watch).await?;
    socket.set_meter(worker.counters.back_wire(slot.backend()));
    let mut server = ServerConn::new(socket, slot.server(), moves);
    server.once = record.rules().marks_server();
    Ok(server)
}

#[inline]
fn note_reuse(record: &mut Record, slot: &Slot, kept: &ServerConn) {
    record.mark(Step::Connect);
    record.note_source(&kept.socket);
    record.log_step(LogStep::Connect);
    record.attempts(slot.server(), true);
}

fn take_kept(conn: &mut Conn, record: &Record, request: &Request, slot: &Slot) -> Option<Box<ServerConn>> {
    let server = slot.server();
    if let Some(own) = conn.own.take().filter(|_| !record.rules().marks_server())
        && own.pool_index == server.pool_index
        && own.moves == server.moves()
        && own.is_silent()
    {
        return Some(own);
    }
    let uses = may_share(conn, record, request, slot)?;
    conn.client.worker().pools.take(server, uses)
}

/// How many requests an idle connection must have carried that this one may use; `None`: it may use none.
fn may_share(conn: &Conn, record: &Record, request: &Request, slot: &Slot) -> Option<u32> {
    let server = slot.server();
    if request.mode != HttpConnectionMode::KeepAlive || server.per_client.load(Ordering::Relaxed) || record.rules().marks_server() {
        return None;
    }
    let reuse = record.backend.as_ref().map_or(HttpReuse::Never, |b| b.reuse());
    let first = conn.served == 0;
    match reuse {
        HttpReuse::Never => None,
        HttpReuse::Safe if first => None,
        // A first request may have a connection that has proved to carry more than one.
        HttpReuse::Aggressive if first => Some(2),
        _ => Some(1),
    }
}

/// What waiting for a response's head led to.
enum Waited {
    Head {
        framing: ResponseFraming,
    },
    Closed {
        heard: bool,
    },
    Junk,
    ServerTimeout,
    ClientTimeout,
    ClientGone,
    BadChunk,
    /// By an operator, or because of a server.
    Killed(Cause),
}

/// The state of one attempt that is on its way.
struct Attempt<'a> {
    conn: &'a Conn,
    server: &'a Socket,
    up: Flow,
    up_done: bool,
    /// The server takes no more of the request; it may still answer.
    up_refused: bool,
    input: Option<Buffer>,
    decoder: Decoder,
    client_seen: Instant,
    server_seen: Instant,
    client_timeout: Option<Duration>,
    server_timeout: Option<Duration>,
    abort_on_close: bool,
    /// `option independent-streams` of the backend: a server that takes the request does not count as alive for that.
    independent: bool,
    /// The request asked for a WebSocket.
    websocket: bool,
}

/// False for a 101 that does not say what it switches to, or that accepts a WebSocket without the words for it.
fn may_switch(head: &PooledHead, websocket: bool) -> bool {
    head.status() != 101 || (head.has(FieldId::Upgrade) && (!websocket || head.get(b"sec-websocket-accept").is_some()))
}

impl Attempt<'_> {
    /// Moves the request on; an answer when that ends the attempt.
    fn poll_up(&mut self) -> Option<Waited> {
        if self.up_done {
            let watch = ClientWatch { socket: &self.conn.socket, abort_on_close: self.abort_on_close, abort_on_silence: false };
            return watch.poll_gone().is_ready().then_some(Waited::ClientGone);
        }
        let worker = self.conn.client.worker();
        let polled = self.up.poll(&worker.rt, &worker.outs, &self.conn.socket, self.server);
        let activity = self.up.take_activity();
        if activity.read {
            self.client_seen = worker.rt.now();
        }
        if activity.wrote && !self.independent {
            self.server_seen = worker.rt.now();
        }
        match polled {
            Poll::Pending => None,
            Poll::Ready(Ok(())) => {
                self.up_done = true;
                None
            }
            Poll::Ready(Err(Broken::Sink(_))) => {
                (self.up_done, self.up_refused) = (true, true);
                None
            }
            Poll::Ready(Err(Broken::Chunk(_))) => Some(Waited::BadChunk),
            Poll::Ready(Err(Broken::Source(_) | Broken::Truncated)) => Some(Waited::ClientGone),
        }
    }

    /// What it means that no head has come.
    #[cold]
    fn failure(&self, waited: &Waited) -> Outcome {
        match waited {
            Waited::Closed { heard: true } => failed(RetryOn::JUNK_RESPONSE, 502, Cause::ServerAbort, Phase::Headers, true),
            Waited::Closed { heard: false } => failed(RetryOn::EMPTY_RESPONSE, 502, Cause::ServerAbort, Phase::Headers, false),
            Waited::Junk | Waited::Head { .. } => failed(RetryOn::JUNK_RESPONSE, 502, Cause::Proxy, Phase::Headers, true),
            // The server does not even take the request.
            Waited::ServerTimeout if !self.up_done && self.up.waits() == Waits::Sink => {
                failed(RetryOn::NONE, 0, Cause::ServerTimeout, Phase::Data, false)
            }
            // The client has stopped in its body.
            Waited::ServerTimeout if !self.up_done => failed(RetryOn::NONE, 504, Cause::ServerTimeout, Phase::Headers, false),
            Waited::ServerTimeout => failed(RetryOn::RESPONSE_TIMEOUT, 504, Cause::ServerTimeout, Phase::Headers, false),
            Waited::Killed(cause) => failed(RetryOn::NONE, 502, *cause, Phase::Headers, false),
            Waited::ClientTimeout => failed(RetryOn::NONE, 0, Cause::ClientTimeout, Phase::Data, false),
            Waited::BadChunk => failed(RetryOn::NONE, 400, Cause::Proxy, Phase::Headers, false),
            Waited::ClientGone if self.up_done && !self.conn.socket.is_broken() => {
                failed(RetryOn::NONE, 400, Cause::ClientAbort, Phase::Headers, false)
            }
            Waited::ClientGone => failed(RetryOn::NONE, 0, Cause::ClientAbort, Phase::Data, false),
        }
    }

    /// What it tells of the server's health. `reused`: the connection may have been closed before anything was asked of it.
    #[cold]
    fn sign(&self, waited: &Waited, status: u16, reused: bool) -> Option<Sign> {
        match waited {
            Waited::Head { .. } => Some(Sign::of_status(status)),
            Waited::Closed { heard: false } if reused => None,
            Waited::Closed { .. } if self.server.is_broken() => Some(Sign::ReadError),
            Waited::Closed { .. } => Some(Sign::Closed),
            Waited::Junk => Some(Sign::BadHead),
            Waited::ServerTimeout => Some(Sign::ReadTimeout),
            Waited::ClientTimeout | Waited::ClientGone | Waited::BadChunk | Waited::Killed(_) => None,
        }
    }

    /// Due when the client, or else the server, has been silent for too long.
    fn poll_silence(&self, client: bool) -> Poll<Termination> {
        let (seen, limit, cause) = match client {
            true => (self.client_seen, self.client_timeout, Cause::ClientTimeout),
            false => (self.server_seen, self.server_timeout, Cause::ServerTimeout),
        };
        if let Some(cause) = self.conn.client.killed.get() {
            return Poll::Ready(Termination::new(cause, Phase::Data));
        }
        self.conn.client.worker().rt.poll_deadline(limit.map(|d| seen + d)).map(|()| Termination::new(cause, Phase::Data))
    }

    fn poll_head(&mut self, backend: &Backend, to: ResponseTo, head: &mut PooledHead) -> Poll<Waited> {
        if let Some(end) = self.poll_up() {
            return Poll::Ready(end);
        }
        let rt = &self.conn.client.worker().rt;
        loop {
            if let Some(input) = self.input.as_mut().filter(|b| !b.is_empty()) {
                match self.decoder.decode_response(input.filled(), &backend.limits, to, head) {
                    Ok(Decoded::Complete { consumed, framing }) => {
                        input.consume(consumed);
                        self.server_seen = rt.now();
                        if framing.body == Body::Chunked && chunks(input.filled()) == Chunks::Bad || !may_switch(head, self.websocket) {
                            return Poll::Ready(Waited::Junk);
                        }
                        return Poll::Ready(Waited::Head { framing });
                    }
                    Ok(Decoded::Partial) => {}
                    Err(_) => return Poll::Ready(Waited::Junk),
                }
            }
            match self.server.poll_readable() {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => return Poll::Ready(Waited::Closed { heard: false }),
                Poll::Ready(Ok(())) => {}
            }
            let input = self.input.get_or_insert_with(|| rt.buffers().take());
            if input.spare().is_empty() {
                input.compact();
            }
            match self.server.poll_read(input.spare()) {
                Poll::Pending => break,
                Poll::Ready(Ok(n)) if n != 0 => {
                    // A head has `timeout server` as a whole, however it drips.
                    input.commit(n);
                }
                Poll::Ready(_) => return Poll::Ready(Waited::Closed { heard: !input.is_empty() }),
            }
        }
        Buffer::release_empty(&mut self.input);
        if let Some(cause) = self.conn.client.killed.get() {
            return Poll::Ready(Waited::Killed(cause));
        }
        // While the answer is waited for, `timeout server` alone counts, even when the client stops in its body: haproxy 2.6
        // then answers with 504 and logs `sH`. Without one it is the client's, and ends the stream without a word (`cD`; both
        // observed).
        let stops = !self.up_done && self.up.waits() == Waits::Source;
        let (seen, limit, end) = match self.server_timeout {
            None if stops => (self.client_seen, self.client_timeout, Waited::ClientTimeout),
            limit => (self.server_seen, limit, Waited::ServerTimeout),
        };
        rt.poll_deadline(limit.map(|d| seen + d)).map(|()| end)
    }

    /// Takes the rest of a request whose response is complete already.
    fn poll_rest(&mut self) -> Poll<Termination> {
        if !self.up_done && self.poll_up().is_some() {
            return Poll::Ready(Termination::new(Cause::ClientAbort, Phase::Data));
        }
        if self.up_done {
            return Poll::Ready(Termination::NORMAL);
        }
        self.poll_silence(self.up.waits() == Waits::Source)
    }

    /// Forwards the response's body, and what is left of the request's.
    fn poll_body(&mut self, down: &mut Flow) -> Poll<Termination> {
        let gone = match self.poll_up() {
            Some(Waited::ClientGone | Waited::BadChunk) if !self.up_done => true,
            // A client that has only closed its side may still read; one that has reset the connection does not.
            Some(Waited::ClientGone) => self.conn.socket.is_broken(),
            _ => false,
        };
        if gone {
            return Poll::Ready(Termination::new(Cause::ClientAbort, Phase::Data));
        }
        let worker = self.conn.client.worker();
        let polled = down.poll(&worker.rt, &worker.outs, self.server, &self.conn.socket);
        let activity = down.take_activity();
        if activity.read {
            self.server_seen = worker.rt.now();
        }
        if activity.wrote {
            self.client_seen = worker.rt.now();
        }
        match polled {
            Poll::Ready(Ok(())) => return Poll::Ready(Termination::NORMAL),
            Poll::Ready(Err(Broken::Sink(_))) => return Poll::Ready(Termination::new(Cause::ClientAbort, Phase::Data)),
            // A malformed chunk among them: haproxy 2.6 logs `SD` (observed).
            Poll::Ready(Err(_)) => return Poll::Ready(Termination::new(Cause::ServerAbort, Phase::Data)),
            Poll::Pending => {}
        }
        self.poll_silence(down.waits() == Waits::Sink)
    }
}

/// A response's body on its way: what has come of it is in the record, however the stream ends.
struct Download<'a> {
    flow: Flow,
    record: &'a mut Record,
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        self.record.downloaded += self.flow.payload;
    }
}

fn framing_of(body: Body, max_trailers: usize, dechunk: bool, trailers: &Trailers) -> Framing {
    match body {
        Body::None => Framing::None,
        Body::Length(n) => Framing::Length(n),
        Body::Chunked if dechunk => Framing::Dechunked(Box::new(chunk::Decoder::new(max_trailers, 101))),
        Body::Chunked => Framing::Chunked(Box::new(chunk::Decoder::new(max_trailers, 101).trailers_to(trailers.clone()))),
        Body::UntilClose | Body::Tunnel => Framing::UntilClose,
    }
}

const fn failed(reason: RetryOn, status: u16, cause: Cause, phase: Phase, heard: bool) -> Outcome {
    Outcome::Failed { reason, status, end: Termination::new(cause, phase), heard }
}

/// Sends the request, forwards the response.
pub async fn run(
    conn: &mut Conn,
    record: &mut Record,
    head: &PooledHead,
    request: &Request,
    replay: &KeptBody,
    slot: &Slot,
    mut server: Box<ServerConn>,
) -> Outcome {
    let client = conn.client.clone();
    let worker = client.worker();
    let frontend = client.frontend();
    let backend = slot.backend();
    let sent = backend.wants_latency.then(|| worker.rt.now());
    let splice = if worker.process.splice { SpliceMode::Auto } else { SpliceMode::Off };
    let body = if request.framing.body == Body::None { None } else { conn.input.take() };
    let (client_timeout, server_timeout) = rules::timeouts(record.rules(), frontend, backend);
    // Flows are large: each is made where it stays.
    let mut attempt = Attempt {
        conn,
        server: &server.socket,
        up: Flow::new(framing_of(request.framing.body, frontend.limits.max_head, false, &backend.spelling.trailers), splice),
        up_done: false,
        up_refused: false,
        input: None,
        decoder: Decoder::new(),
        client_seen: worker.rt.now(),
        server_seen: worker.rt.now(),
        client_timeout,
        server_timeout,
        abort_on_close: backend.settings.options.abortonclose,
        independent: backend.settings.options.independent_streams,
        websocket: request.framing.upgrade && head.get_id(FieldId::Upgrade).is_some_and(|v| v.eq_ignore_ascii_case(b"websocket")),
    };
    let out = attempt.up.out(&worker.outs);
    if let Some(kind) = slot.server().settings.send_proxy.as_ref().filter(|_| server.uses == 0) {
        write_proxy_header(kind, record, out);
    }
    let at = out.len();
    Encoder::new().encode_request(head, out);
    backend.spelling.apply(&mut out[at..]);
    attempt.up.set_input(body);
    let mut response = worker.heads.take();
    let to = ResponseTo::request(request.method, &request.framing);
    let waited = loop {
        let waited = poll_fn(|_| attempt.poll_head(backend, to, &mut response)).await;
        let Waited::Head { framing } = waited else { break waited };
        if !framing.interim {
            break Waited::Head { framing };
        }
        record.answered(slot.server(), response.status());
        if request.version == Version::Http11 && !answer::interim(attempt.conn, record, &response).await {
            break Waited::ClientGone;
        }
        response.clear();
    };
    if slot.server().watched.observes()
        && let Some(sign) = attempt.sign(&waited, response.status(), server.uses != 0)
    {
        watched::note(worker, backend, slot.server(), sign);
    }
    let Waited::Head { framing } = waited else {
        let failure = attempt.failure(&waited);
        record.note_body(attempt.up.payload);
        let Attempt { mut up, up_done, up_refused, .. } = attempt;
        settle_body(conn, request, &mut up, up_done && !up_refused);
        return failure;
    };
    record.mark(Step::Response);
    if let Some(sent) = sent {
        let now = worker.rt.now();
        backend.note_latency(slot.server_id(), now, now.saturating_duration_since(sent));
    }
    record.status = response.status();
    record.server_status = record.status;
    record.server_version = Some(response.version());
    if let Some(reason) = RetryOn::status(response.status()).filter(|r| backend.settings.retry_on.contains(*r)) {
        // Forwarded after all when no attempt is left.
        if u32::from(record.retries) < record.max_retries(backend) && !record.rules().no_retry && replay.possible() {
            record.answered(slot.server(), response.status());
            let Attempt { mut up, up_done, .. } = attempt;
            settle_body(conn, request, &mut up, up_done);
            return failed(reason, response.status(), Cause::ServerAbort, Phase::Headers, true);
        }
    }
    let counted = counted_size(&response);
    record.capture(CaptureSide::Response, &response);
    let private = binds_connection(&response);
    hop::strip(&mut response);
    let mut closes = false;
    if rules::any_for_responses(frontend, backend) {
        let body = (framing.body, attempt.input.as_ref());
        let responded = Box::pin(rules::response(attempt.conn, record, head, (&mut response, counted), body, backend)).await;
        let (own, end) = match responded {
            rules::Responded::Pass { close } => {
                closes = close;
                (None, Termination::NORMAL)
            }
            rules::Responded::Instead(own, end) => (Some(own), end),
            rules::Responded::Nothing(end) => (None, end),
        };
        if own.is_some() || !end.is_normal() {
            record.note_body(attempt.up.payload);
            let Attempt { mut up, up_done, up_refused, input, .. } = attempt;
            settle_body(conn, request, &mut up, up_done && !up_refused);
            let whole =
                up_done && !up_refused && is_all(framing.body, input.as_ref()) && record.status != 0 && end.cause != Cause::ServerAbort;
            if whole && !is_doubtful(request) && framing.keep_alive && request.mode == HttpConnectionMode::KeepAlive {
                server.uses = server.uses.saturating_add(1);
                server.private |= private;
                keep(conn, slot, backend, server);
            }
            return match own {
                Some(own) => Outcome::Instead { own: Box::new(own), end },
                None => Outcome::Done { reuse: false, end },
            };
        }
    }
    record.downloaded += counted;
    // A rule's status may have no body, and what the server sends then goes nowhere.
    let bodiless = framing.body != Body::None && rules::has_no_body(response.status()) && framing.body != Body::Tunnel;
    if bodiless {
        // Counted, as haproxy has it, and not sent.
        record.downloaded += rules::body_here(framing.body, attempt.input.as_ref()).0.len() as u64;
    }
    // What is here as a whole is out of the way; the rest of a longer one would have to be waited for.
    let skipped = bodiless && is_all(framing.body, attempt.input.as_ref());
    if skipped {
        attempt.input = None;
    }
    let dechunk = hop::fit_version(&mut response, &framing, request.version);
    let keep_client = request.reply.keep_alive && !closes && !dechunk && framing.body != Body::UntilClose && !conn.client.has_to_leave();
    if framing.body != Body::Tunnel {
        hop::set_response_connection(&mut response, if keep_client { hop::Wanted::KeepAlive } else { hop::Wanted::Close }, request.version);
    }
    let mut down = Download {
        flow: Flow::new(
            framing_of(if bodiless { Body::None } else { framing.body }, backend.limits.max_head, dechunk, &frontend.spelling.trailers),
            splice,
        ),
        record: &mut *record,
    };
    let out = down.flow.out(&worker.outs);
    Encoder::new().encode_response(&response, out);
    frontend.spelling.apply(out);
    drop(response);
    let here = || match rules::body_here(framing.body, attempt.input.as_ref()) {
        _ if bodiless => 0,
        (body, whole, _) => body.len() as u64 + u64::from(whole && framing.body == Body::Chunked),
    };
    down.record.response_began(here);
    down.flow.set_input(attempt.input.take());
    if framing.body == Body::Tunnel {
        let head_len = down.flow.out(&worker.outs).len() as u64;
        let Attempt { up, .. } = attempt;
        request.body.set(BodyState::Consumed);
        let flow = std::mem::replace(&mut down.flow, Flow::new(Framing::None, SpliceMode::Off));
        drop(down);
        record.downloaded = record.downloaded.saturating_sub(head_len);
        let end = tunnel(conn, record, up, flow, &server.socket, backend).await;
        return Outcome::Done { reuse: false, end };
    }
    let mut end = poll_fn(|_| attempt.poll_body(&mut down.flow)).await;
    if end.is_normal() && !attempt.up_done {
        end = poll_fn(|_| attempt.poll_rest()).await;
    }
    let Attempt { mut up, up_done, up_refused, .. } = attempt;
    worker.count_bytes(&up, &down.flow);
    let silent = down.flow.take_input().is_none();
    drop(down);
    record.note_body(up.payload);
    let whole = end.is_normal() && up_done && !up_refused;
    settle_body(conn, request, &mut up, up_done && !up_refused);
    if whole
        && !is_doubtful(request)
        && framing.keep_alive
        && request.mode == HttpConnectionMode::KeepAlive
        && silent
        && (skipped || !bodiless)
    {
        server.uses = server.uses.saturating_add(1);
        // No later answer makes an authenticated connection anybody's again.
        server.private |= private;
        keep(conn, slot, backend, server);
    }
    if !end.is_normal() && framing.body == Body::UntilClose {
        // Only a reset tells the client that this was not all.
        conn.socket.reset_on_close();
    }
    Outcome::Done { reuse: whole && keep_client, end }
}

/// A server of HTTP/1.0 may have read a chunked body as something else.
fn is_doubtful(request: &Request) -> bool {
    request.version == Version::Http10 && request.framing.body == Body::Chunked
}

/// Whether what has been read is a response's body and nothing else.
fn is_all(body: Body, input: Option<&Buffer>) -> bool {
    let bytes = input.map(Buffer::filled).unwrap_or_default();
    match body {
        Body::None => bytes.is_empty(),
        Body::Length(n) => bytes.len() as u64 == n,
        Body::Chunked => chunks(bytes) == Chunks::Whole(bytes.len()),
        _ => false,
    }
}

/// Puts a server connection where the next request finds it.
fn keep(conn: &mut Conn, slot: &Slot, backend: &Backend, kept: Box<ServerConn>) {
    let private = kept.private;
    let server = slot.server();
    if kept.once || conn.client.worker().process.stopping() || server.settings.max_reuse.is_some_and(|max| kept.uses > max) {
        return;
    }
    if private || backend.reuse() == HttpReuse::Never || server.per_client.load(Ordering::Relaxed) {
        conn.last = Some(Arc::downgrade(server));
        conn.own = Some(kept);
    } else {
        let worker = conn.client.worker();
        worker.pools.put(&worker.rt, server, kept);
    }
}

/// Leaves what the client has sent beyond the request where the next one begins.
fn settle_body(conn: &mut Conn, request: &Request, up: &mut Flow, consumed: bool) {
    if request.framing.body != Body::None {
        conn.input = up.take_input();
        request.body.set(if consumed { BodyState::Consumed } else { BodyState::Broken });
    }
}

/// What an Upgrade or a CONNECT leads to: bytes both ways until both sides are done.
async fn tunnel(conn: &mut Conn, record: &mut Record, mut up: Flow, down: Flow, server: &Socket, backend: &Backend) -> Termination {
    let worker = conn.client.worker().clone();
    up.set_framing(Framing::UntilClose);
    if conn.input.is_some() {
        up.set_input(conn.input.take());
    }
    let timeouts = TunnelTimeouts::new(&conn.client.frontend().settings, &backend.settings);
    let mut relay = Relay::new(up, down, timeouts, worker.rt.now());
    let end = poll_fn(|_| match relay.poll(&worker.rt, &worker.outs, &conn.socket, server) {
        Poll::Pending => conn.client.killed.get().map_or(Poll::Pending, |cause| Poll::Ready(Termination::new(cause, Phase::Data))),
        polled => polled,
    })
    .await;
    record.uploaded += relay.up.sent;
    record.downloaded += relay.down.sent;
    worker.count_bytes(&relay.up, &relay.down);
    end
}
