//! Frontends, backends, listens. Source: manual 4.

use super::{
    Affinity, BackendTarget, Balance, Bind, Captures, CheckKind, EmailAlert, FileBytes, Hash, IpNet, LogFormatText, LogSteps, LogTarget,
    ProxyIndex, Reply, Rules, Server, ServerAddress, Source, Span,
};
use std::sync::Arc;
use std::time::Duration;

/// One `frontend`, `backend` or `listen` section, `defaults` applied.
///
/// A value that its kind has no use for (servers of a frontend, binds of a backend) is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// Name; a frontend and a backend may share one.
    pub name: String,
    /// Which sides it has.
    pub kind: ProxyKind,
    /// `id`, unique among all proxies.
    pub id: u32,
    /// The file gives the `id`.
    pub has_own_id: bool,
    /// `mode`.
    pub mode: Mode,
    /// `disabled`: neither listens nor serves.
    pub disabled: bool,
    /// `description`.
    pub description: Option<String>,

    /// Listening addresses.
    pub binds: Vec<Bind>,
    /// `default_backend`; for a listen without one, itself when it has servers. `None`: 503 for each request.
    pub default_backend: Option<ProxyIndex>,
    /// `maxconn`: connections at once of a frontend; `None`: the process's.
    pub maxconn: Option<u32>,
    /// `backlog`; `None`: `maxconn`.
    pub backlog: Option<u32>,
    /// `rate-limit sessions`: new connections per second; `None`: no limit.
    pub rate_limit_sessions: Option<u32>,
    /// `monitor-uri`: requests for it get 200 without any backend.
    pub monitor_uri: Option<String>,
    /// `monitor-net`, `mode health`: connections that are answered at once and closed.
    pub probes: Option<Probes>,

    /// Servers in the order of the file.
    pub servers: Vec<Server>,
    /// Where traffic goes: to the servers, unless one of `dispatch`, `option transparent`, `option http_proxy` stands in their place.
    pub destination: Destination,
    /// `balance`.
    pub balance: Balance,
    /// `hash-type`.
    pub hash_type: Hash,
    /// `hash-balance-factor`: percent of the average load; 0: no limit.
    pub hash_balance_factor: u32,
    /// `hash-preserve-affinity`.
    pub hash_preserve_affinity: Affinity,
    /// `fullconn`; see [`super::Config::fullconn`].
    pub fullconn: Option<u32>,
    /// `retries`: further attempts after a failed connection.
    pub retries: u32,
    /// `option redispatch [N]`: when an attempt may go to another server; `None`: never.
    pub redispatch: Option<Redispatch>,
    /// `retry-on`.
    pub retry_on: RetryOn,
    /// `http-reuse`.
    pub http_reuse: HttpReuse,
    /// `max-keep-alive-queue`; `None`: no limit.
    pub max_keep_alive_queue: Option<u32>,
    /// `http-send-name-header`: name of the field that carries the server's name.
    pub http_send_name_header: Option<String>,
    /// `source` of the backend.
    pub source: Option<Source>,
    /// How servers with `check` are checked.
    pub check: CheckKind,
    /// `email-alert`: mails about its servers.
    pub email_alert: Option<Box<EmailAlert>>,

    /// All `timeout` values.
    pub timeouts: Timeouts,
    /// All `option` switches.
    pub options: Options,

    /// `log` targets, `log global` already replaced by those of `global`.
    pub logs: Vec<LogTarget>,
    /// `log-tag`; `None`: the one of `global`.
    pub log_tag: Option<String>,
    /// Format of the lines.
    pub log_format: LogFormatText,
    /// `log-format-sd`: structured data of lines in the format rfc5424.
    pub log_format_sd: Option<LogFormatText>,
    /// `error-log-format`: the format of lines about what never became a request.
    pub error_log_format: Option<LogFormatText>,
    /// `log-steps`
    pub log_steps: LogSteps,
    /// `unique-id-format`
    pub unique_id_format: Option<LogFormatText>,
    /// What is captured for lines.
    pub captures: Captures,
    /// `unique-id-header`
    pub unique_id_header: Option<String>,
    /// `errorfile`, `errorloc*`: in place of the built-in replies. At most one per status.
    pub error_replies: Vec<ErrorReply>,

    /// ACLs and rules; `None`: there are none.
    pub rules: Option<Box<Rules>>,

    /// Where the section starts.
    pub span: Span,
}

impl Proxy {
    /// An empty proxy with the defaults of a section without any line.
    pub fn new(name: impl Into<String>, kind: ProxyKind) -> Self {
        Self {
            name: name.into(),
            kind,
            id: 0,
            has_own_id: false,
            mode: Mode::Tcp,
            disabled: false,
            description: None,
            binds: Vec::new(),
            default_backend: None,
            maxconn: None,
            backlog: None,
            rate_limit_sessions: None,
            monitor_uri: None,
            probes: None,
            servers: Vec::new(),
            destination: Destination::Servers,
            balance: Balance::RoundRobin,
            hash_type: Hash::map(),
            hash_balance_factor: 0,
            hash_preserve_affinity: Affinity::Always,
            fullconn: None,
            retries: 3,
            redispatch: None,
            retry_on: RetryOn::default(),
            http_reuse: HttpReuse::Safe,
            max_keep_alive_queue: None,
            http_send_name_header: None,
            source: None,
            check: CheckKind::Connect,
            email_alert: None,
            timeouts: Timeouts::default(),
            options: Options::default(),
            logs: Vec::new(),
            log_tag: None,
            log_format: LogFormatText::default(),
            log_format_sd: None,
            error_log_format: None,
            log_steps: LogSteps::default(),
            unique_id_format: None,
            captures: Captures::default(),
            unique_id_header: None,
            error_replies: Vec::new(),
            rules: None,
            span: Span::default(),
        }
    }

    /// Its rules, to add to.
    pub fn rules_mut(&mut self) -> &mut Rules {
        self.rules.get_or_insert_default()
    }

    /// Whether a line of it names this backend.
    pub fn leads_to(&self, backend: ProxyIndex) -> bool {
        let rules = self.rules.as_deref().map(|rules| rules.use_backend.as_slice()).unwrap_or_default();
        self.default_backend == Some(backend) || rules.iter().any(|rule| rule.target == BackendTarget::Fixed(backend))
    }

    /// The configured reply for a status, if any.
    pub fn error_reply(&self, status: u16) -> Option<&ErrorReply> {
        self.error_replies.iter().find(|reply| reply.status == status)
    }

    /// Every log format that it has: of lines, of structured data, of errors, of ids.
    pub fn log_formats_mut(&mut self) -> impl Iterator<Item = &mut LogFormatText> {
        let others = [&mut self.log_format_sd, &mut self.error_log_format, &mut self.unique_id_format];
        std::iter::once(&mut self.log_format).chain(others.into_iter().flatten())
    }
}

/// Connections that ask nothing but whether somebody is there. They are neither read nor logged. Source: the manuals up
/// to haproxy 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probes {
    /// Clients that send them; `None`: all, which is `mode health`.
    pub from: Option<IpNet>,
    /// What they get before the connection is closed.
    pub answer: &'static [u8],
}

impl Probes {
    /// The answer in `mode health`.
    pub const OK: &'static [u8] = b"OK\n";
    /// The answer in mode http, and with `option httpchk`.
    pub const HTTP_OK: &'static [u8] = b"HTTP/1.0 200 OK\r\n\r\n";
}

/// Which sides a proxy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /// Accepts connections.
    Frontend,
    /// Has servers.
    Backend,
    /// Both.
    Listen,
}

impl ProxyKind {
    /// Frontend or listen.
    pub fn is_frontend(self) -> bool {
        self != Self::Backend
    }

    /// Backend or listen.
    pub fn is_backend(self) -> bool {
        self != Self::Frontend
    }

    /// The word that starts the section.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Listen => "listen",
        }
    }
}

/// `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Bytes.
    Tcp,
    /// Requests.
    Http,
}

impl Mode {
    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
        }
    }
}

/// All timeouts of a proxy; `None` (also written 0) means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// `timeout connect`
    pub connect: Option<Duration>,
    /// `timeout client`
    pub client: Option<Duration>,
    /// `timeout server`
    pub server: Option<Duration>,
    /// `timeout client-fin`
    pub client_fin: Option<Duration>,
    /// `timeout server-fin`
    pub server_fin: Option<Duration>,
    /// `timeout tunnel`
    pub tunnel: Option<Duration>,
    /// `timeout queue`: see [`Timeouts::effective_queue`]
    pub queue: Option<Duration>,
    /// `timeout http-request`: see [`Timeouts::effective_http_request`]
    pub http_request: Option<Duration>,
    /// `timeout http-keep-alive`: see [`Timeouts::effective_http_keep_alive`]
    pub http_keep_alive: Option<Duration>,
    /// `timeout check`: time for a check's answer once it is connected
    pub check: Option<Duration>,
    /// `timeout tarpit`: see [`Timeouts::effective_tarpit`]
    pub tarpit: Option<Duration>,
}

impl Timeouts {
    /// Wait in a queue: `timeout queue`, else `timeout connect`.
    pub fn effective_queue(&self) -> Option<Duration> {
        self.queue.or(self.connect)
    }

    /// Wait of a tarpitted client: `timeout tarpit`, else `timeout connect`.
    pub fn effective_tarpit(&self) -> Option<Duration> {
        self.tarpit.or(self.connect)
    }

    /// Time for a complete request head: `timeout http-request`, else `timeout client`.
    pub fn effective_http_request(&self) -> Option<Duration> {
        self.http_request.or(self.client)
    }

    /// Wait for the next request: `timeout http-keep-alive`, else `timeout http-request`, else `timeout client`.
    pub fn effective_http_keep_alive(&self) -> Option<Duration> {
        self.http_keep_alive.or(self.http_request).or(self.client)
    }
}

/// The `option` switches (and the keywords that belong to one of them).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `option http-keep-alive`, `http-server-close`, `httpclose`; the stronger one of frontend and backend counts.
    pub http_mode: HttpConnectionMode,
    /// `option forwardfor`
    pub forwardfor: Option<ForwardFor>,
    /// `option originalto`
    pub originalto: Option<OriginalTo>,
    /// `option forwarded` of a backend
    pub forwarded: Option<Forwarded>,
    /// `option splice-auto`
    pub splice_auto: bool,
    /// `option splice-request`
    pub splice_request: bool,
    /// `option splice-response`
    pub splice_response: bool,
    /// `option clitcpka` (also set by `option tcpka` in a frontend)
    pub client_keepalive: Option<TcpKeepAlive>,
    /// `option srvtcpka` (also set by `option tcpka` in a backend)
    pub server_keepalive: Option<TcpKeepAlive>,
    /// `option nolinger` towards clients (frontend) or servers (backend)
    pub nolinger: bool,
    /// `option tcp-smart-accept`; `None`: not said, which is on in mode http
    pub tcp_smart_accept: Option<bool>,
    /// `option tcp-smart-connect`
    pub tcp_smart_connect: bool,
    /// `option abortonclose`
    pub abortonclose: bool,
    /// `option http-buffer-request`
    pub http_buffer_request: bool,
    /// `option http-use-proxy-header`: a client whose target is no path is asked for its password as by a proxy.
    pub http_use_proxy_header: bool,
    /// `option http-ignore-probes`
    pub http_ignore_probes: bool,
    /// `option accept-invalid-http-request`, `option accept-unsafe-violations-in-http-request`
    pub accept_invalid_http_request: bool,
    /// `option accept-invalid-http-response`, `option accept-unsafe-violations-in-http-response`
    pub accept_invalid_http_response: bool,
    /// `option http-no-delay`
    pub http_no_delay: bool,
    /// `option h1-case-adjust-bogus-client`
    pub h1_case_adjust_bogus_client: bool,
    /// `option h1-case-adjust-bogus-server`
    pub h1_case_adjust_bogus_server: bool,
    /// `option http-drop-request-trailers`
    pub http_drop_request_trailers: bool,
    /// `option http-drop-response-trailers`
    pub http_drop_response_trailers: bool,
    /// `option http-pretend-keepalive`
    pub http_pretend_keepalive: bool,
    /// `option http-restrict-req-hdr-names`; `None`: not said, which is [`RestrictNames::Preserve`]
    pub http_restrict_req_hdr_names: Option<RestrictNames>,
    /// `option independent-streams`
    pub independent_streams: bool,
    /// `option idle-close-on-response`
    pub idle_close_on_response: bool,
    /// `option prefer-last-server`
    pub prefer_last_server: bool,
    /// `option allbackups`
    pub allbackups: bool,
    /// `option dontlognull`
    pub dontlognull: bool,
    /// `option dontlog-normal`
    pub dontlog_normal: bool,
    /// `option logasap`
    pub logasap: bool,
    /// `option log-separate-errors`
    pub log_separate_errors: bool,
    /// `option log-health-checks`
    pub log_health_checks: bool,
    /// `option contstats`
    pub contstats: bool,
    /// `option socket-stats`
    pub socket_stats: bool,
}

/// What happens to the two connections after a response. Ordered: of frontend and backend the greater one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpConnectionMode {
    /// Both stay open (the default).
    #[default]
    KeepAlive,
    /// The server's is closed, the client's stays.
    ServerClose,
    /// Both are closed.
    Close,
}

/// `option forwardfor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardFor {
    /// Clients of this network get no field.
    pub except: Option<IpNet>,
    /// Name of the field.
    pub header: String,
    /// Only when the request has none yet.
    pub if_none: bool,
}

impl Default for ForwardFor {
    fn default() -> Self {
        Self { except: None, header: Self::DEFAULT_HEADER.into(), if_none: false }
    }
}

impl ForwardFor {
    /// Name of the field where `header` is not given.
    pub const DEFAULT_HEADER: &'static str = "X-Forwarded-For";
}

/// `option originalto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalTo {
    /// Clients that connected to this network get no field.
    pub except: Option<IpNet>,
    /// Name of the field.
    pub header: String,
}

impl OriginalTo {
    /// Name of the field where `header` is not given.
    pub const DEFAULT_HEADER: &'static str = "X-Original-To";
}

/// `option forwarded`: which parameters of RFC 7239 a request gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// `proto`
    pub proto: bool,
    /// `host`
    pub host: bool,
    /// `by`: the address that the client connected to.
    pub by: bool,
    /// `by_port`
    pub by_port: bool,
    /// `for`: the client's address.
    pub r#for: bool,
    /// `for_port`
    pub for_port: bool,
}

/// TCP keep-alive with its kernel settings; `None` leaves the system's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpKeepAlive {
    /// `clitcpka-cnt`, `srvtcpka-cnt`: probes until the connection is dropped.
    pub count: Option<u32>,
    /// `clitcpka-idle`, `srvtcpka-idle`: idle time before the first probe, whole seconds.
    pub idle: Option<Duration>,
    /// `clitcpka-intvl`, `srvtcpka-intvl`: time between probes, whole seconds.
    pub interval: Option<Duration>,
}

/// `option http-restrict-req-hdr-names`: what happens to names with bytes other than `[a-zA-Z0-9-]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestrictNames {
    /// Nothing.
    Preserve,
    /// Such fields are removed.
    Delete,
    /// 403.
    Reject,
}

/// Where a backend's traffic goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the server that `balance` chooses.
    Servers,
    /// `dispatch`: to this address.
    Dispatch(ServerAddress),
    /// `option transparent`: where the client wanted to go.
    Transparent,
    /// `option http_proxy`: to the IP address in the request's absolute URI.
    Uri,
}

/// `option redispatch [N]`. Source: manual 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Redispatch {
    /// `N` > 0: every Nth retry.
    Every(u32),
    /// `N` < 0: the Nth retry counted from the last one (1 is the last; the default).
    BeforeLast(u32),
}

/// `http-reuse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpReuse {
    /// Only within one client connection.
    Never,
    /// A client connection's first request gets a new one (the default).
    Safe,
    /// As safe, but first requests may take one that has been reused before.
    Aggressive,
    /// Always.
    Always,
}

/// `retry-on`: a set of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetryOn(u32);

impl RetryOn {
    /// `none`
    pub const NONE: Self = Self(0);
    /// `conn-failure` (the default)
    pub const CONN_FAILURE: Self = Self(1);
    /// `empty-response`
    pub const EMPTY_RESPONSE: Self = Self(1 << 1);
    /// `junk-response`
    pub const JUNK_RESPONSE: Self = Self(1 << 2);
    /// `response-timeout`
    pub const RESPONSE_TIMEOUT: Self = Self(1 << 3);
    /// `0rtt-rejected`
    pub const EARLY_DATA_REJECTED: Self = Self(1 << 4);
    const FIRST_STATUS: u32 = 5;
    /// The statuses that may be given.
    pub const STATUSES: [u16; 10] = [401, 403, 404, 408, 425, 500, 501, 502, 503, 504];

    /// The set with one status; `None` when the status is not one of [`Self::STATUSES`].
    pub fn status(status: u16) -> Option<Self> {
        let position = (0u32..).zip(Self::STATUSES).find(|(_, known)| *known == status)?.0;
        Some(Self(1 << (Self::FIRST_STATUS + position)))
    }

    /// `all-retryable-errors`: conn-failure, empty-response, junk-response, response-timeout, 0rtt-rejected, 500, 502, 503, 504.
    pub fn all_retryable() -> Self {
        [500, 502, 503, 504].into_iter().filter_map(Self::status).fold(
            Self::CONN_FAILURE | Self::EMPTY_RESPONSE | Self::JUNK_RESPONSE | Self::RESPONSE_TIMEOUT | Self::EARLY_DATA_REJECTED,
            |set, one| set | one,
        )
    }

    /// True when every reason of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when a response with this status is to be retried.
    pub fn contains_status(self, status: u16) -> bool {
        Self::status(status).is_some_and(|one| self.contains(one))
    }

    /// True when there is a reason beyond a failed connection, so that the request must be kept.
    pub fn needs_request(self) -> bool {
        self.0 & !Self::CONN_FAILURE.0 != 0
    }
}

impl Default for RetryOn {
    fn default() -> Self {
        Self::CONN_FAILURE
    }
}

impl std::ops::BitOr for RetryOn {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A reply in place of a built-in one.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorReply {
    /// The status it stands for.
    pub status: u16,
    /// What goes out.
    pub kind: ErrorReplyKind,
    /// Where it was set.
    pub span: Span,
}

/// What goes out in place of a built-in reply.
#[derive(Clone, Debug, PartialEq)]
pub enum ErrorReplyKind {
    /// `errorfile`: these bytes (a whole response), then the connection is closed where they do not frame a body.
    /// Empty bytes (`/dev/null`): the connection is closed without a word.
    File(FileBytes),
    /// `errorloc`, `errorloc302`, `errorloc303`: a redirect.
    Location {
        /// 302 or 303.
        status: u16,
        /// Value of `Location`.
        url: String,
    },
    /// `http-error`: made when it is sent.
    Made(Arc<Reply>),
}
