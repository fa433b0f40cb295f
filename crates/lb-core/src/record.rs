//! What is remembered of a stream for its log line, and the line itself: written once, at the latest when the record is dropped,
//! so that a killed or panicked stream leaves its line too.

use crate::client::Client;
use crate::log::{LogIdentity, LogSinks, Logger, SinkError};
use crate::proxy::{Backend, Server};
use crate::timers::{Step, Timers};
use lb_config::{Config, Level, LogFormatKind, Mode};
use lb_expr::{Cause, Field, LogFormat, LogSource, LogValue, Phase, Termination, Timestamp};
use lb_http::Head;
use lb_sys::Addr;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a frontend logs.
pub struct FrontendLog {
    logger: Logger,
    /// `None`: the short line, written at the accept.
    format: Option<LogFormat>,
    http: bool,
    dontlognull: bool,
    dontlog_normal: bool,
    separate_errors: bool,
    asap: bool,
    lines: AtomicU64,
}

impl FrontendLog {
    /// True when its lines show where the client connected to.
    pub fn wants_local(&self) -> bool {
        self.format.as_ref().is_none_or(|f| f.uses(Field::FrontendIp) || f.uses(Field::FrontendPort))
    }
}

/// Where messages about a proxy's servers go.
pub struct ProxyLog {
    logger: Logger,
}

impl ProxyLog {
    /// Sends one message.
    pub fn send(&self, level: Level, at: Timestamp, text: &str) {
        self.logger.send(level, at, text.as_bytes());
    }
}

/// Makes loggers; targets that several proxies name share their sockets.
#[derive(Default)]
pub struct Loggers {
    sinks: LogSinks,
    errors: Vec<SinkError>,
}

impl Loggers {
    /// None yet.
    pub fn new() -> Loggers {
        Loggers::default()
    }

    /// Targets that could not be opened.
    pub fn take_errors(&mut self) -> Vec<SinkError> {
        std::mem::take(&mut self.errors)
    }

    /// The sockets and queues of all loggers.
    pub fn sinks(&self) -> &LogSinks {
        &self.sinks
    }

    fn logger(&mut self, config: &Config, proxy: &lb_config::Proxy) -> Option<Logger> {
        if proxy.logs.is_empty() {
            return None;
        }
        let hostname = match &config.global.log_send_hostname {
            None => None,
            Some(None) => Some(lb_sys::process::host_name()),
            Some(Some(name)) => Some(name.clone()),
        };
        let tag = proxy.log_tag.clone().or_else(|| config.global.log_tag.clone()).unwrap_or_else(|| "haproxy".into());
        let identity = LogIdentity { tag, pid: std::process::id(), hostname };
        match Logger::new(&proxy.logs, &identity, &self.sinks) {
            Ok(logger) => Some(logger),
            Err(e) => {
                self.errors.push(e);
                None
            }
        }
    }

    /// What a frontend needs; `None` without `log` lines.
    pub fn frontend(&mut self, config: &Config, proxy: &lb_config::Proxy) -> Option<FrontendLog> {
        let logger = self.logger(config, proxy)?;
        let format = match proxy.log_format.kind {
            LogFormatKind::Default => None,
            _ => Some(LogFormat::compile(&proxy.log_format.text).expect("compiled once already when the configuration was read")),
        };
        Some(FrontendLog {
            logger,
            format,
            http: proxy.mode == Mode::Http,
            dontlognull: proxy.options.dontlognull,
            dontlog_normal: proxy.options.dontlog_normal,
            separate_errors: proxy.options.log_separate_errors,
            asap: proxy.options.logasap,
            lines: AtomicU64::new(0),
        })
    }

    /// What a backend needs; `None` without `log` lines.
    pub fn proxy(&mut self, config: &Config, proxy: &lb_config::Proxy) -> Option<ProxyLog> {
        Some(ProxyLog { logger: self.logger(config, proxy)? })
    }
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
    /// Bytes from the client.
    pub uploaded: u64,
    /// Bytes to the client.
    pub downloaded: u64,
    /// Status sent to the client; 0: none.
    pub status: u16,
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
    /// Stands in place of the server's name.
    pub applet: Option<&'static str>,
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
            downloaded: 0,
            status: 0,
            retries: 0,
            redispatched: false,
            server_queue: 0,
            backend_queue: 0,
            left: None,
            end: Termination::NORMAL,
            logged,
            applet: None,
        }
    }

    /// True when the request line will be shown.
    pub fn wants_line(&self) -> bool {
        !self.logged
    }

    /// Notes a step as reached now, if a line will show it.
    #[inline]
    pub fn mark(&mut self, step: Step) {
        if self.logged {
            return;
        }
        self.timers.mark(step, self.client.worker().rt.now());
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

    /// As [`Record::note_release`] for a stream that holds no place at a server.
    pub fn note_refusal(&mut self) {
        let server = self.served();
        let backend = self.backend.as_ref().map_or(0, |b| b.current.load(Ordering::Relaxed));
        self.left = Some((server, backend.saturating_sub(1)));
    }

    /// Ends the stream, writes its line.
    pub fn finish(&mut self, end: Termination) {
        self.end = end;
        self.mark(Step::End);
        self.write();
    }

    /// `option logasap`: writes the line when the response's head is there.
    pub fn response_began(&mut self) {
        if self.client.frontend().log.as_ref().is_some_and(|l| l.asap) && !self.logged {
            self.end = Termination::NORMAL;
            self.mark(Step::End);
            self.write();
        }
    }

    /// What the stream was about, by the steps that it has reached.
    fn phase(&mut self) -> Phase {
        let mut reached = |step| self.timers.reached(step);
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

    fn is_normal(&self) -> bool {
        self.end.is_normal() && self.retries == 0 && !self.redispatched && self.status < 500
    }

    fn write(&mut self) {
        if std::mem::replace(&mut self.logged, true) {
            return;
        }
        let client = self.client.clone();
        let Some(log) = &client.frontend().log else { return };
        // The short line was written when the connection came in.
        let Some(format) = &log.format else { return };
        if (log.dontlognull && !log.http && self.uploaded == 0) || (log.dontlog_normal && self.is_normal()) {
            return;
        }
        let level = if log.separate_errors && !self.is_normal() { Level::Err } else { Level::Info };
        let at = client.worker().timestamp();
        log.logger.log(level, at, format, self);
        log.lines.fetch_add(1, Ordering::Relaxed);
    }

    /// True when the line will show where the client connected to.
    pub fn wants_local(&self) -> bool {
        self.client.frontend().log.as_ref().is_some_and(|l| l.wants_local())
    }

    /// `option dontlognull` is on.
    pub fn ignores_null(&self) -> bool {
        self.client.frontend().log.as_ref().is_some_and(|l| l.dontlognull)
    }

    /// The moment so many milliseconds after the accept.
    fn date(&self, after: u64) -> Timestamp {
        let worker = self.client.worker();
        let ago = worker.rt.now().saturating_duration_since(self.timers.accept);
        worker.local_time.timestamp(worker.rt.wall() - ago + Duration::from_millis(after))
    }
}

/// A stream that nobody has ended: the process ends and takes it along, or a bug has.
impl Drop for Record {
    fn drop(&mut self) {
        if self.logged {
            return;
        }
        let killed = self.client.worker().process.ended();
        // A connection that has asked for nothing yet is worth no word when it is closed so.
        if killed && self.client.serves_http() && !self.timers.reached(Step::FirstByte) {
            return;
        }
        let cause = if killed { Cause::Killed } else { Cause::Internal };
        let phase = self.phase();
        self.finish(Termination::new(cause, phase));
    }
}

/// What `%B` counts for a response's head. haproxy counts its own representation of it, not what goes over the wire: the
/// words of the start line and 20 bytes, the fields without their punctuation, one byte for the end (observed).
pub fn counted_size(head: &Head) -> u64 {
    const START_LINE: usize = 20 + "HTTP/1.1".len() + "200".len();
    let fields: usize = head.fields().map(|f| f.name.len() + f.value.len()).sum();
    (START_LINE + head.reason().len() + fields + 1) as u64
}

/// Writes the line of a frontend without a format, when a connection comes in.
pub fn log_connect(client: &Rc<Client>) {
    let Some(log) = client.frontend().log.as_ref().filter(|l| l.format.is_none() && !l.dontlognull) else { return };
    let mut record = Record::new(client.clone(), Timers::new(client.accepted));
    record.logged = true;
    log.lines.fetch_add(1, Ordering::Relaxed);
    let at = client.worker().timestamp();
    log.logger.log_with(Level::Info, at, |limit, out| lb_expr::write_connect(&record, log.http, limit, out));
}

/// Writes the line of a connection that failed before it had a stream.
pub fn log_connection_error(client: &Rc<Client>, message: &str) {
    // As haproxy: a frontend that names no format says nothing of such connections.
    let Some(log) = client.frontend().log.as_ref().filter(|l| l.format.is_some()) else { return };
    let mut record = Record::new(client.clone(), Timers::new(client.accepted));
    record.logged = true;
    log.lines.fetch_add(1, Ordering::Relaxed);
    let at = client.worker().timestamp();
    let level = if log.separate_errors { Level::Err } else { Level::Info };
    log.logger.log_with(level, at, |limit, out| lb_expr::write_connection_error(&record, message, limit, out));
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
        let Some(log) = &frontend.log else { return LogValue::Missing };
        let t = &self.timers;
        let at_least = |v| if log.asap { LogValue::AtLeast(v) } else { LogValue::Int(v) };
        let count = |n: u32| LogValue::Int(i64::from(n));
        match field {
            Field::AcceptDate => LogValue::Time(self.date(0)),
            Field::RequestDate => LogValue::Time(self.date(t.request_date())),
            Field::BytesRead => at_least(self.downloaded as i64),
            Field::BytesUploaded => LogValue::Int(self.uploaded as i64),
            Field::Status => LogValue::Int(if self.status == 0 && log.http { -1 } else { i64::from(self.status) }),
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
            Field::ClientIp => ip_of(Some(&client.peer)),
            Field::ClientPort => port_of(Some(&client.peer), i64::from(client.place.listener_id)),
            Field::FrontendName => frontend.name().into(),
            Field::FrontendTls => LogValue::Flag(false),
            Field::FrontendIp => ip_of(client.local()),
            Field::FrontendPort => port_of(client.local(), i64::from(client.place.listener_id)),
            Field::LogCounter => LogValue::Int(log.lines.load(Ordering::Relaxed) as i64),
            Field::RequestCaptures | Field::ResponseCaptures => LogValue::Captures(0),
            Field::Pid => LogValue::Int(i64::from(std::process::id())),
            Field::RequestLine if self.line.is_empty() => LogValue::Missing,
            Field::RequestLine => LogValue::Text(&self.line),
            Field::RequestCounter => LogValue::Int(client.worker().process.streams.load(Ordering::Relaxed) as i64),
            Field::Hostname => LogValue::Text(client.worker().process.host_name.as_bytes()),
            Field::Termination => LogValue::Termination(self.end),
            Field::ListenerName => LogValue::Text(client.place.listener_name.as_bytes()),
            Field::RequestCookie
            | Field::ResponseCookie
            | Field::UniqueId
            | Field::BackendSourceIp
            | Field::BackendSourcePort
            | Field::TlsCipher
            | Field::TlsVersion => LogValue::Missing,
        }
    }
}

impl Record {
    /// Streams at the server now.
    fn served(&self) -> u32 {
        self.server.as_ref().filter(|s| !s.implicit).map_or(0, |s| s.served.load(Ordering::Relaxed))
    }

    /// Where the server is for this stream.
    fn server_addr(&self) -> Option<Addr> {
        if let Some(target) = &self.target {
            return Some(Addr::Ip(**target));
        }
        self.server.as_ref()?.address(|| self.client.local().cloned())
    }
}
