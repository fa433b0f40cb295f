//! What is remembered of a stream for its log line, and the line itself: written once, at the latest when the record is dropped,
//! so that a killed or panicked stream leaves its line too.

use crate::capture::Captured;
use crate::client::Client;
use crate::context::View;
use crate::explain::told::Told;
use crate::log::Words;
use crate::loggers::FrontendLog;
use crate::proxy::{Backend, Server};
use crate::rules::Spoken;
use crate::timers::{Step, Timers};
use crate::variables::{self, Variables};
use lb_config::{Level, LogStep, Mode, Reply, Span};
use lb_expr::{CaptureSide, Cause, Field, LogSource, LogValue, Phase, Termination, Timestamp};
use lb_http::{FieldId, Head, Version};
use lb_rt::Socket;
use lb_sys::Addr;
use lb_sys::socket::TcpInfo;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest id that `unique-id-format` makes; the rest is cut off (observed on haproxy 2.6.12).
const MAX_UNIQUE_ID: usize = 127;

/// Why a connection ended before it had a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Its number in the manual's table of `fc_err_str`.
    pub code: u8,
    /// What haproxy calls it.
    pub text: &'static str,
}

impl Fault {
    /// Its name in the manual's table of `fc_err_str`; empty for one that no connection of a client meets here.
    pub fn name(&self) -> &'static str {
        const FIRST: u8 = 11;
        const NAMES: [&str; 13] = [
            "PRX_EMPTY",
            "PRX_ABORT",
            "PRX_TIMEOUT",
            "PRX_TRUNCATED",
            "PRX_NOT_HDR",
            "PRX_BAD_HDR",
            "PRX_BAD_PROTO",
            "CIP_EMPTY",
            "CIP_ABORT",
            "CIP_TIMEOUT",
            "CIP_TRUNCATED",
            "CIP_BAD_MAGIC",
            "CIP_BAD_PROTO",
        ];
        self.code.checked_sub(FIRST).and_then(|n| NAMES.get(usize::from(n))).copied().unwrap_or_default()
    }
}

/// What rules have made of a stream.
#[derive(Clone, Debug, Default)]
pub struct RuleState {
    /// `set-log-level`; `Some(None)`: no line.
    pub log_level: Option<Option<Level>>,
    /// A rule has ended the stream: it counts as that, and not as a fault of somebody.
    pub ended: bool,
    /// `strict-mode off`
    pub lenient: bool,
    /// `disable-l7-retry`
    pub no_retry: bool,
    /// `set-retries`
    pub retries: Option<u32>,
    /// `set-priority-class`
    pub priority_class: i16,
    /// `set-priority-offset`, in milliseconds.
    pub priority_offset: i32,
    /// `set-timeout server`
    pub timeout_server: Option<Duration>,
    /// `set-timeout tunnel`
    pub timeout_tunnel: Option<Duration>,
    /// `set-timeout client`
    pub timeout_client: Option<Duration>,
    /// `set-src`
    pub source: Option<SocketAddr>,
    /// `set-dst`
    pub destination: Option<SocketAddr>,
    /// `set-bc-mark`
    pub server_mark: Option<u32>,
    /// `set-bc-tos`
    pub server_tos: Option<u8>,
    /// `reqallow`
    pub allowed: bool,
    /// `reqsetbe`: the place among the backends that such lines name.
    pub line_backend: Option<usize>,
    /// Where the last rule stands that ended a list, if somebody asks.
    pub last_rule: Option<Span>,
    /// What an embedder's action answers.
    pub reply: Option<Box<Reply>>,
}

impl RuleState {
    /// Packets to the server are marked: the connection is made for this stream, and is nobody's after it.
    pub fn marks_server(&self) -> bool {
        self.server_mark.is_some() || self.server_tos.is_some()
    }
}

/// What they make of a stream without any.
const NO_RULES: RuleState = RuleState {
    log_level: None,
    ended: false,
    lenient: false,
    no_retry: false,
    retries: None,
    priority_class: 0,
    priority_offset: 0,
    timeout_server: None,
    timeout_tunnel: None,
    timeout_client: None,
    source: None,
    destination: None,
    server_mark: None,
    server_tos: None,
    allowed: false,
    line_backend: None,
    last_rule: None,
    reply: None,
};

/// What only some configurations remember of a stream.
#[derive(Default)]
struct Extra {
    /// Own address towards the server.
    source: Option<Addr>,
    fault: Option<Fault>,
    /// What the kernel knew of the client's connection at its end.
    client_tcp: Option<TcpInfo>,
    /// Of the request and of the response.
    captured: [Captured; 2],
    rules: RuleState,
    /// What is told of the stream, which a rule wants explained.
    told: Option<Box<Told>>,
}

/// One stream, as its log line sees it.
pub struct Record {
    /// The client's connection.
    pub client: Rc<Client>,
    /// When the stream reached its steps.
    pub timers: Timers,
    /// The backend, once chosen.
    pub backend: Option<Arc<Backend>>,
    /// The server, once chosen.
    pub server: Option<Arc<Server>>,
    /// Where to connect to, if the request says so.
    pub target: Option<Box<SocketAddr>>,
    /// Request line as received; empty: none was read.
    pub line: Vec<u8>,
    /// Bytes from the client, heads as haproxy counts them.
    pub uploaded: u64,
    /// Those of the request's head, as haproxy counts them.
    pub head_bytes: u32,
    /// Bytes to the client, heads as haproxy counts them.
    pub downloaded: u64,
    /// Status sent to the client; 0: none.
    pub status: u16,
    /// Status that the server sent; 0: none.
    pub server_status: u16,
    /// Version that the server has answered with.
    pub server_version: Option<Version>,
    /// Further connection attempts.
    pub retries: u16,
    /// The last attempt went to another server than the first.
    pub redispatched: bool,
    /// Streams ahead in the server's queue.
    pub server_queue: u32,
    /// Streams ahead in the backend's queue.
    pub backend_queue: u32,
    /// Streams that remained at the server and in the backend when this one gave back its places.
    left: Option<(u32, u32)>,
    /// How it ended.
    pub end: Termination,
    /// The line was written, or there is none to write.
    pub logged: bool,
    /// The step of the line that is being written.
    origin: LogStep,
    /// Stands in place of the server's name.
    pub applet: Option<&'static str>,
    /// It has become a stream: a connection in mode tcp, a request whose head was complete in mode http.
    is_stream: bool,
    /// Number of the stream in the process: `%rt`, of 32 bits as in haproxy.
    number: u32,
    /// Polls of the task before it became a stream.
    calls_before: u32,
    extra: Option<Box<Extra>>,
    /// There is a request, or what should have been one: it counts in statistics.
    begun: bool,
    /// The scheduler has chosen the server anew: counts with the next attempt.
    pub(crate) newly_chosen: bool,
    /// How it ended is known.
    finished: bool,
    /// Variables of the transaction, its request, its response.
    pub variables: Variables,
    unique_id: OnceCell<Box<[u8]>>,
    /// It is being made, or there.
    makes_id: Cell<bool>,
}

impl Record {
    /// A record that begins with `timers`.
    pub fn new(client: Rc<Client>, timers: Timers) -> Record {
        let logged = client.frontend().log.is_none();
        let mut timers = timers;
        if timers.accept == client.accepted && client.ready != client.accepted {
            timers.mark(Step::Handshake, client.ready);
        }
        Record {
            client,
            timers,
            backend: None,
            server: None,
            target: None,
            line: Vec::new(),
            uploaded: 0,
            head_bytes: 0,
            downloaded: 0,
            status: 0,
            server_status: 0,
            server_version: None,
            retries: 0,
            redispatched: false,
            server_queue: 0,
            backend_queue: 0,
            left: None,
            end: Termination::NORMAL,
            logged,
            origin: LogStep::Close,
            applet: None,
            is_stream: false,
            calls_before: 0,
            number: 0,
            extra: None,
            begun: false,
            newly_chosen: false,
            finished: false,
            variables: Variables::default(),
            unique_id: OnceCell::new(),
            makes_id: Cell::new(false),
        }
    }

    /// A stream begins: it gets its number.
    pub fn begin(&mut self) {
        self.is_stream = true;
        self.take_number();
        self.begin_to_count();
        let worker = self.client.worker();
        self.client.begin_stream(u64::from(self.number) + 1, worker.rt.nanos());
        self.calls_before = worker.rt.polls().wrapping_sub(1);
        self.log_step(LogStep::Accept);
    }

    /// It is a stream, and not what only should have become one.
    pub(crate) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Calls of its task since it became a stream, the present one included; `None`: it is none.
    pub(crate) fn calls(&self) -> Option<u32> {
        self.is_stream.then(|| self.client.worker().rt.polls().wrapping_sub(self.calls_before))
    }

    /// There is a request, or what should have been one.
    pub fn begin_to_count(&mut self) {
        self.begun = true;
        let front = self.client.worker().counters.front(self.client.frontend());
        front.requests.add(1);
        front.open.add(1);
    }

    /// Observed: what never became a stream gets its number from its line, whether that says anything or not, and structured data
    /// takes one, too, if only the `-` that there is without a format for it.
    fn take_number_of_error(&mut self, log: &FrontendLog) {
        if self.client.frontend().settings.log_format_sd.is_some() || log.logger.shows_structured_data() {
            self.take_number();
        }
        self.take_number();
    }

    fn take_number(&mut self) {
        self.number = self.client.worker().process.streams.fetch_add(1, Ordering::Relaxed) as u32;
    }

    /// True when the request line will be shown, or may be: in a log line, an id, a format of a rule.
    pub fn wants_line(&self) -> bool {
        !self.logged || self.client.frontend().unique_id.is_some() || self.client.worker().process.topology.uses.line
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Own address towards the server, if it was noted.
    pub(crate) fn source(&self) -> Option<&Addr> {
        self.extra.as_deref()?.source.as_ref()
    }

    /// Why there is no stream.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.extra.as_deref()?.fault
    }

    /// The stream's id by `unique-id-format`, made at the first call; empty without one.
    pub fn unique_id(&self) -> &[u8] {
        self.unique_id_in(&View::of_stream(self))
    }

    /// The same, with all that is at hand for the samples of its format.
    pub fn unique_id_in(&self, view: &View<'_>) -> &[u8] {
        let Some(format) = &self.client.frontend().unique_id else { return b"" };
        // An id that names itself in its format is empty there.
        if self.unique_id.get().is_none() && !self.makes_id.replace(true) {
            let mut id = Vec::new();
            let scratch = self.client.worker().scratches.lend();
            format.write(&Spoken::of_request(view, &scratch), MAX_UNIQUE_ID, &mut id);
            // Cannot fail: nobody else makes it meanwhile.
            let _ = self.unique_id.set(id.into());
        }
        self.unique_id.get().map_or(b"", |id| id)
    }

    /// A request begins: counts its head.
    pub fn count_head(&mut self, head: &Head) {
        let words = head.method_bytes().len() + head.target().len() + head.version().as_bytes().len();
        self.head_bytes = counted(words, head) as u32;
        self.uploaded = u64::from(self.head_bytes);
    }

    /// What rules have made of the stream.
    pub fn rules(&self) -> &RuleState {
        self.extra.as_deref().map_or(const { &NO_RULES }, |extra| &extra.rules)
    }

    /// The same, to change.
    pub fn rules_mut(&mut self) -> &mut RuleState {
        &mut self.extra().rules
    }

    /// From here on it is told what rules do with the stream: for tools, or for the log.
    pub fn explain(&mut self, json: bool) {
        self.extra().told.get_or_insert_default().json = json;
    }

    /// What is told of the stream; `None`: it is not to be explained.
    #[inline]
    pub fn told(&mut self) -> Option<&mut Told> {
        self.extra.as_deref_mut()?.told.as_deref_mut()
    }

    /// The same, at its end.
    pub fn take_told(&mut self) -> Option<Told> {
        self.extra.as_deref_mut()?.told.take().map(|told| *told)
    }

    /// The client's address, or what rules made of it.
    pub fn peer(&self) -> Cow<'_, Addr> {
        self.rules().source.map_or(Cow::Borrowed(&self.client.peer), |source| Cow::Owned(Addr::Ip(source)))
    }

    /// The address that the client connected to, as far as it is known, or what rules made of it.
    pub fn local(&self) -> Option<Cow<'_, Addr>> {
        match self.rules().destination {
            Some(destination) => Some(Cow::Owned(Addr::Ip(destination))),
            None => self.client.local().map(Cow::Borrowed),
        }
    }

    /// `retries` of the backend, or what a rule made of it.
    pub fn max_retries(&self, backend: &Backend) -> u32 {
        self.rules().retries.unwrap_or(backend.settings.retries)
    }

    /// Keeps a value in a slot of the frontend's captures.
    pub fn fill_capture(&mut self, side: CaptureSide, slot: usize, value: &[u8]) {
        let client = self.client.clone();
        let wanted = &client.frontend().settings.captures;
        let slots = if side == CaptureSide::Request { &wanted.request } else { &wanted.response };
        if let Some(wanted) = slots.get(slot) {
            self.extra().captured[usize::from(side == CaptureSide::Response)].fill(slot, wanted.len, value);
        }
    }

    /// `do-log`: a line now, whatever comes at the end.
    pub fn log_now(&mut self, step: LogStep) {
        let (logged, end) = (self.logged, self.end);
        self.logged = false;
        self.write(step);
        (self.logged, self.end) = (logged, end);
    }

    /// What an attempt has sent of the request's body.
    pub fn note_body(&mut self, bytes: u64) {
        self.uploaded = u64::from(self.head_bytes) + bytes;
    }

    /// Captures what the frontend wants of a request or a response, if a line will show it.
    #[inline]
    pub fn capture(&mut self, side: CaptureSide, head: &Head) {
        if self.client.frontend().captures {
            self.capture_now(side, head);
        }
    }

    #[cold]
    fn capture_now(&mut self, side: CaptureSide, head: &Head) {
        let client = self.client.clone();
        let wanted = &client.frontend().settings.captures;
        let request = side == CaptureSide::Request;
        let slots = if request { &wanted.request } else { &wanted.response };
        self.extra().captured[usize::from(!request)].take(slots, wanted.cookie.as_ref(), head, request);
    }

    /// Notes the own address of a connection to the server, if a line will show it.
    #[inline]
    pub fn note_source(&mut self, server: &Socket) {
        if self.client.worker().process.topology.uses.server_source || self.client.frontend().log.as_ref().is_some_and(|l| l.wants_source) {
            self.extra().source = server.local_addr().ok();
        }
    }

    /// Notes what the kernel knows of the client's connection, if a line may show it.
    #[inline]
    pub fn note_client(&mut self, socket: &Socket) {
        if self.client.worker().process.topology.uses.client_tcp && self.client.frontend().log.as_ref().is_some_and(|log| log.has_samples) {
            self.extra().client_tcp = socket.tcp_info();
        }
    }

    /// That, as far as it was noted.
    pub(crate) fn client_tcp(&self) -> Option<&TcpInfo> {
        self.extra.as_deref()?.client_tcp.as_ref()
    }

    /// Notes a step as reached now.
    #[inline]
    pub fn mark(&mut self, step: Step) {
        self.timers.mark(step, self.client.worker().rt.nanos());
    }

    /// Notes a step as reached now, if a line will show it.
    #[inline]
    pub fn mark_for_line(&mut self, step: Step) {
        if self.wants_line() {
            self.mark(step);
        }
    }

    /// Notes a step as reached now, unless it was before.
    pub fn mark_first(&mut self, step: Step) {
        if !self.timers.reached(step) {
            self.mark(step);
        }
    }

    /// To be called while the places at server and backend are still held: what the line counts is who remains, not who
    /// gets the place next.
    pub fn note_release(&mut self) {
        let server = self.served();
        let backend = self.backend.as_ref().map_or(0, |b| b.current.load(Ordering::Relaxed));
        self.left = Some((server.saturating_sub(1), backend.saturating_sub(1)));
    }

    /// Whether that has been noted.
    pub fn has_left(&self) -> bool {
        self.left.is_some()
    }

    /// As [`Record::note_release`] for a stream that holds no place at a server.
    pub fn note_refusal(&mut self) {
        let server = self.served();
        let backend = self.backend.as_ref().map_or(0, |b| b.current.load(Ordering::Relaxed));
        self.left = Some((server, backend.saturating_sub(1)));
    }

    /// Ends the stream, writes its line.
    pub fn finish(&mut self, end: Termination) {
        self.end = end;
        self.finished = true;
        self.mark(Step::End);
        if !self.logged {
            self.write(LogStep::Close);
        }
        if let Some(told) = self.take_told() {
            self.write_told(told);
        }
    }

    /// The message of the action `explain`, on one line.
    #[cold]
    fn write_told(&mut self, told: Told) {
        let client = self.client.clone();
        let (Some(log), Some(level)) = (&client.frontend().log, self.level(Level::Info)) else { return };
        let (at, json) = (client.worker().timestamp(), told.json);
        let peer = match &*self.peer() {
            Addr::Ip(addr) => addr.to_string(),
            _ => "unix".to_owned(),
        };
        let line = String::from_utf8_lossy(&self.line);
        let begin = format!("explain {peer} \"{line}\" | {}", self.status);
        let members = serde_json::json!({ "client": peer, "line": line, "status": self.status });
        let explanation = told.explanation(client.frontend().name(), self.backend.as_ref().map(|backend| backend.name()));
        let place = |span: Span| client.worker().process.topology.place(span);
        log.logger.log_with(level, at, |limit, out| {
            out.extend_from_slice(explanation.one_line((&begin, members), json, limit, place).as_bytes());
            out.truncate(limit);
        });
    }

    /// Writes a line that has nothing to wait for when the response's head is there, and `here` bytes of its body with it.
    pub fn response_began(&mut self, here: impl FnOnce() -> u64) {
        let http = self.client.serves_http();
        if http {
            self.log_step(LogStep::Response);
        }
        if self.client.frontend().log.as_ref().is_some_and(|l| l.early) && !self.logged {
            self.end = Termination::NORMAL;
            self.mark(Step::End);
            // Observed: they count in this line already.
            let head = self.downloaded;
            self.downloaded += here();
            self.write(if http { LogStep::Response } else { LogStep::Connect });
            self.downloaded = head;
        }
    }

    /// `log-steps`: writes a line, if it is to be written at this step.
    #[inline]
    pub fn log_step(&mut self, step: LogStep) {
        if self.client.frontend().log.as_ref().is_some_and(|log| log.steps.contains(step)) {
            self.write_step(step);
        }
    }

    /// The line of a step before the end: what is not known yet is shown as for a stream that got no further.
    #[cold]
    fn write_step(&mut self, step: LogStep) {
        let client = self.client.clone();
        let Some(log) = &client.frontend().log else { return };
        if self.logged {
            return;
        }
        let words = match &log.format {
            Some(format) => Words::Format(format),
            None if log.logger.has_profiles() => Words::Nothing,
            None => return,
        };
        let Some(level) = self.level(Level::Info) else { return };
        if client.frontend().unique_id.is_some() {
            self.unique_id();
        }
        self.mark(Step::End);
        self.origin = step;
        let said = log.logger.log_step(step, level, client.worker().timestamp(), words, log.structured.as_ref(), self);
        self.timers.unmark(Step::End);
        log.count(said);
    }

    /// The level of a line, which rules may have changed; `None`: there is to be none.
    fn level(&self, usual: Level) -> Option<Level> {
        self.rules().log_level.unwrap_or(Some(usual))
    }

    /// What the stream was about, by the steps that it has reached.
    fn phase(&mut self) -> Phase {
        let reached = |step| self.timers.reached(step);
        if reached(Step::Response) {
            Phase::Data
        } else if reached(Step::Connect) {
            Phase::Headers
        } else if reached(Step::Queue) {
            Phase::Connect
        } else if self.backend.is_some() {
            Phase::Queue
        } else {
            Phase::Request
        }
    }

    pub(crate) fn is_normal(&self) -> bool {
        self.end.is_normal() && self.retries == 0 && !self.redispatched && self.status < 500
    }

    /// The one line of a stream, or of what never became one.
    fn write(&mut self, step: LogStep) {
        if std::mem::replace(&mut self.logged, true) {
            return;
        }
        let client = self.client.clone();
        let Some(log) = &client.frontend().log else { return };
        if !self.is_stream {
            self.take_number_of_error(log);
        }
        let words = match &log.error_format {
            Some(format) if !self.is_stream => Words::Format(format),
            // Without a format the short line was written when the stream began.
            _ => match &log.format {
                Some(format) => Words::Format(format),
                None if log.logger.has_profiles() => Words::Nothing,
                None => return,
            },
        };
        let step = if self.is_stream { step } else { LogStep::Error };
        if step == LogStep::Close && !log.ends() {
            return;
        }
        if (log.dontlognull && client.frontend().settings.mode == Mode::Tcp && self.uploaded == 0)
            || (log.dontlog_normal && self.is_normal())
        {
            return;
        }
        self.origin = step;
        if self.is_stream && client.frontend().unique_id.is_some() {
            self.unique_id();
        }
        let usual = if log.separate_errors && !self.is_normal() { Level::Err } else { Level::Info };
        let Some(level) = self.level(usual) else { return };
        let at = client.worker().timestamp();
        let structured = log.structured.as_ref();
        let said = if log.has_samples {
            let scratch = client.worker().scratches.lend();
            let view = View::of_stream(self);
            log.logger.log_step(step, level, at, words, structured, &Spoken::at_log(&view, &scratch))
        } else {
            log.logger.log_step(step, level, at, words, structured, self)
        };
        log.count(said);
    }

    /// A stream that nobody has ended: the process ends and takes it along, or a bug has.
    fn end_unfinished(&mut self) {
        if self.finished {
            return;
        }
        let killed = self.client.worker().process.ended();
        // A connection that has asked for nothing yet is worth no word when it is closed so.
        if killed && self.client.serves_http() && !self.timers.reached(Step::FirstByte) {
            return;
        }
        let ended = self.client.killed.get();
        let cause = ended.unwrap_or(if killed { Cause::Killed } else { Cause::Internal });
        let phase = match self.phase() {
            // As haproxy has it for a relay.
            Phase::Data if ended.is_some() && !self.client.serves_http() => Phase::Done,
            phase => phase,
        };
        self.finish(Termination::new(cause, phase));
    }

    /// `option dontlognull` is on.
    pub fn ignores_null(&self) -> bool {
        self.client.frontend().log.as_ref().is_some_and(|l| l.dontlognull)
    }

    /// The moment so many milliseconds after the accept.
    fn date(&self, after: u64) -> Timestamp {
        let worker = self.client.worker();
        let ago = Duration::from_nanos(worker.rt.nanos().saturating_sub(self.timers.accept));
        worker.local_time.timestamp(worker.rt.wall() - ago + Duration::from_millis(after))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.end_unfinished();
        variables::leave(&self.client.worker().process.variables, &self.variables);
        if self.begun {
            self.count();
            self.client.end_stream();
        }
    }
}

/// What `%B` counts for a response's head, `%U` for a request's. haproxy counts its own representation of it, not what goes
/// over the wire: the words of the start line and 20 bytes, the fields without their punctuation, one byte for the end
/// (observed).
fn counted(words: usize, head: &Head) -> u64 {
    let fields = head.fields_len_without(FieldId::Connection) + head.get_all_id(FieldId::Connection).map(counted_connection).sum::<usize>();
    (20 + words + fields + 1) as u64
}

/// What haproxy says of keeping and closing a connection stands elsewhere than in its fields.
fn counted_connection(value: &[u8]) -> usize {
    let tokens = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    let kept = tokens.filter(|t| !t.eq_ignore_ascii_case(b"close") && !t.eq_ignore_ascii_case(b"keep-alive"));
    let (count, bytes) = kept.fold((0, 0), |(count, bytes), token| (count + 1, bytes + token.len()));
    if count == 0 { 0 } else { "connection".len() + bytes + 2 * (count - 1) }
}

/// What `%B` counts for a response's head.
pub fn counted_size(head: &Head) -> u64 {
    counted("HTTP/1.1".len() + "200".len() + head.reason().len(), head)
}

/// Writes the line of a frontend without a format, when a stream begins.
#[inline]
pub fn log_connect(client: &Rc<Client>) {
    if let Some(log) = client.frontend().log.as_ref().filter(|l| l.format.is_none()) {
        log_connect_to(client, log);
    }
}

#[cold]
fn log_connect_to(client: &Rc<Client>, log: &FrontendLog) {
    let mut record = Record::new(client.clone(), Timers::new(client.accepted));
    record.logged = true;
    let at = client.worker().timestamp();
    let http = client.frontend().settings.mode == Mode::Http;
    log.logger.log_with(Level::Info, at, |limit, out| lb_expr::write_connect(&record, http, limit, out));
}

/// Writes the line of a connection that failed before it had a stream.
pub fn log_connection_error(client: &Rc<Client>, fault: Fault) {
    let Some(log) = &client.frontend().log else { return };
    let mut record = Record::new(client.clone(), Timers::new(client.accepted));
    record.logged = true;
    let at = client.worker().timestamp();
    let level = if log.separate_errors { Level::Err } else { Level::Info };
    if log.error_format.is_some() || log.logger.has_profiles() {
        // Observed: the times of a request that came and went at once.
        record.timers.mark(Step::FirstByte, client.accepted);
        record.timers.mark(Step::End, client.accepted);
        record.end = Termination::new(Cause::Proxy, Phase::Request);
        record.extra().fault = Some(fault);
        record.origin = LogStep::Error;
        record.take_number_of_error(log);
    }
    let fixed = |limit: usize, out: &mut Vec<u8>| lb_expr::write_connection_error(&record, fault.text, limit, out);
    let words = match &log.error_format {
        Some(format) => Words::Format(format),
        None if log.tells_errors => Words::Fixed(&fixed),
        None if log.logger.has_profiles() => Words::Nothing,
        None => return,
    };
    let structured = log.structured.as_ref();
    let said = if log.has_samples {
        let scratch = client.worker().scratches.lend();
        let view = View::of_stream(&record);
        log.logger.log_step(LogStep::Error, level, at, words, structured, &Spoken::at_log(&view, &scratch))
    } else {
        log.logger.log_step(LogStep::Error, level, at, words, structured, &record)
    };
    // Observed: lines of fixed words do not count.
    log.count(said && !matches!(words, Words::Fixed(_)));
}

fn ip_of(addr: Option<&Addr>) -> LogValue<'static> {
    match addr {
        Some(Addr::Ip(a)) => LogValue::Ip(a.ip()),
        Some(_) => LogValue::Text(b"unix"),
        None => LogValue::Missing,
    }
}

fn port_of(addr: Option<&Addr>, listener: i64) -> LogValue<'static> {
    match addr {
        Some(Addr::Ip(a)) => LogValue::Int(i64::from(a.port())),
        Some(_) => LogValue::Int(listener),
        None => LogValue::Missing,
    }
}

impl LogSource for Record {
    fn value(&self, field: Field) -> LogValue<'_> {
        let client = &*self.client;
        let frontend = client.frontend();
        let t = &self.timers;
        let extra = self.extra.as_deref();
        let at_least = |v| if frontend.log.as_ref().is_some_and(|l| l.asap) { LogValue::AtLeast(v) } else { LogValue::Int(v) };
        let count = |n: u32| LogValue::Int(i64::from(n));
        match field {
            Field::AcceptDate => LogValue::Time(self.date(0)),
            Field::RequestDate => LogValue::Time(self.date(t.request_date())),
            Field::BytesRead => at_least(self.downloaded as i64),
            Field::BytesUploaded => LogValue::Int(self.uploaded as i64),
            Field::Status if self.status != 0 => LogValue::Int(i64::from(self.status)),
            Field::Status => {
                let none = frontend.settings.mode == Mode::Http && extra.is_none_or(|e| e.fault.is_none());
                LogValue::Int(if none { -1 } else { 0 })
            }
            Field::TimeActive => at_least(t.active()),
            Field::TimeConnect => LogValue::Int(t.connect()),
            Field::TimeData => LogValue::Int(t.data()),
            Field::TimeHandshake => LogValue::Int(t.handshake()),
            Field::TimeIdle => LogValue::Int(t.idle()),
            Field::TimeQuery => LogValue::Int(t.query()),
            Field::TimeRequest => LogValue::Int(t.request()),
            Field::TimeResponse => LogValue::Int(t.response()),
            Field::TimeTotal => at_least(t.total()),
            Field::TimeUser => at_least(t.total() - t.idle().max(0)),
            Field::TimeQueue => LogValue::Int(t.queued()),
            Field::ActConn => count(client.worker().process.gate.current()),
            Field::FrontendConn => count(frontend.gate.current()),
            Field::BackendConn if let Some((_, backend)) = self.left => count(backend),
            Field::ServerConn if let Some((server, _)) = self.left => count(server),
            Field::BackendConn => count(self.backend.as_ref().map_or(0, |b| b.current.load(Ordering::Relaxed))),
            Field::ServerConn => count(self.served()),
            Field::Retries if self.redispatched => LogValue::AtLeast(i64::from(self.retries)),
            Field::Retries => LogValue::Int(i64::from(self.retries)),
            Field::ServerQueue => count(self.server_queue),
            Field::BackendQueue => count(self.backend_queue),
            Field::BackendName => self.backend.as_ref().map_or(frontend.name(), |b| b.name()).into(),
            Field::ServerName => match (self.applet, &self.server) {
                (Some(applet), _) => applet.into(),
                (None, Some(server)) => server.name().into(),
                (None, None) => LogValue::Missing,
            },
            Field::ServerIp => ip_of(self.server_addr().as_ref()),
            Field::ServerPort => port_of(self.server_addr().as_ref(), 0),
            Field::ClientIp => ip_of(Some(&self.peer())),
            Field::ClientPort => port_of(Some(&self.peer()), i64::from(client.place.listener_id)),
            Field::FrontendName => frontend.name().into(),
            Field::FrontendTls => LogValue::Flag(false),
            Field::FrontendIp => ip_of(self.local().as_deref()),
            Field::FrontendPort => port_of(self.local().as_deref(), i64::from(client.place.listener_id)),
            Field::LogOrigin => self.origin.origin().into(),
            Field::LogCounter => LogValue::Int(frontend.log.as_ref().map_or(0, |l| l.lines.load(Ordering::Relaxed)) as i64),
            // A message that never was has no captures at all.
            Field::RequestCaptures | Field::ResponseCaptures if !self.is_stream => LogValue::Captures(0),
            Field::RequestCaptures => LogValue::Captures(frontend.settings.captures.request.len()),
            Field::ResponseCaptures => LogValue::Captures(frontend.settings.captures.response.len()),
            Field::Pid => LogValue::Int(i64::from(std::process::id())),
            Field::RequestLine if self.line.is_empty() => LogValue::Missing,
            Field::RequestLine => LogValue::Text(&self.line),
            Field::RequestCounter => LogValue::Int(i64::from(self.number)),
            Field::Hostname => LogValue::Text(client.worker().process.host_name.as_bytes()),
            Field::Termination => LogValue::Termination(self.end),
            Field::ListenerName => LogValue::Text(client.place.listener_name.as_bytes()),
            Field::RequestCookie => text_or_missing(extra.and_then(|e| e.captured[0].cookie())),
            Field::ResponseCookie => text_or_missing(extra.and_then(|e| e.captured[1].cookie())),
            Field::UniqueId => text_or_missing(self.unique_id.get().map(|id| &**id)),
            Field::BackendSourceIp => ip_of(extra.and_then(|e| e.source.as_ref())),
            Field::BackendSourcePort => port_of(extra.and_then(|e| e.source.as_ref()), 0),
            Field::ConnectionError => LogValue::Int(extra.and_then(|e| e.fault).map_or(0, |f| i64::from(f.code))),
            Field::ConnectionErrorText => extra.and_then(|e| e.fault).map_or("Success", |f| f.text).into(),
            Field::TlsCipher | Field::TlsVersion => LogValue::Missing,
        }
    }

    fn capture(&self, side: CaptureSide, slot: usize) -> Option<&[u8]> {
        self.extra.as_deref()?.captured[usize::from(side == CaptureSide::Response)].slot(slot)
    }
}

fn text_or_missing(text: Option<&[u8]>) -> LogValue<'_> {
    text.map_or(LogValue::Missing, LogValue::Text)
}

impl Record {
    /// Streams at the server now.
    fn served(&self) -> u32 {
        self.server.as_ref().filter(|s| !s.implicit).map_or(0, |s| s.served.load(Ordering::Relaxed))
    }

    /// Where the server is for this stream.
    pub(crate) fn server_addr(&self) -> Option<Addr> {
        if let Some(target) = &self.target {
            return Some(Addr::Ip(**target));
        }
        self.server.as_ref()?.address(|| self.client.local().cloned())
    }
}
