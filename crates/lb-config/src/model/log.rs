//! Where log lines go and in which shape. Source: manual 3.1 and 4.2 `log`, 8.1, 8.2.

use super::{Span, UnixAddress};
use std::net::SocketAddr;
use std::ops::RangeInclusive;

/// One `log` line: a destination and what may go there.
#[derive(Clone, Debug, PartialEq)]
pub struct LogTarget {
    /// Destination.
    pub address: LogAddress,
    /// Shape of the header before the message.
    pub format: LogTransportFormat,
    /// Syslog facility.
    pub facility: Facility,
    /// Lines that are less important than this are not sent.
    pub level: Level,
    /// Lines that are more important than this are sent as this (`minlevel`).
    pub min_level: Level,
    /// Longest line in bytes, header included and without a final LF; 80 to 65535.
    pub max_len: usize,
    /// `format` was given.
    pub format_given: bool,
    /// Send only some lines of each round (`sample`).
    pub sample: Option<LogSample>,
    /// `profile`: the section that has formats for its lines; it exists.
    pub profile: Option<String>,
    /// Where the line stands.
    pub span: Span,
}

impl LogTarget {
    /// Longest line where `len` is not given (manual: 1024).
    pub const DEFAULT_MAX_LEN: usize = 1024;

    /// A target with the defaults of a `log <address> <facility>` line.
    pub fn new(address: LogAddress, facility: Facility) -> Self {
        Self {
            address,
            format: LogTransportFormat::Local,
            facility,
            level: Level::Debug,
            min_level: Level::Emerg,
            max_len: Self::DEFAULT_MAX_LEN,
            format_given: false,
            sample: None,
            profile: None,
            span: Span::default(),
        }
    }
}

/// Destination of log lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogAddress {
    /// A datagram to a syslog server (port 514 where none was given).
    Udp(SocketAddr),
    /// A datagram to a UNIX socket, such as `/dev/log`.
    Unix(UnixAddress),
    /// Standard output, one line each.
    Stdout,
    /// Standard error, one line each.
    Stderr,
    /// An inherited file descriptor, one line each.
    Fd(i32),
    /// The ring of that name.
    Ring(String),
}

/// Header of a line (`format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogTransportFormat {
    /// As RFC 3164 without the host name: where no format is given, unless `log-send-hostname` is.
    Local,
    /// RFC 3164, with "localhost" where `log-send-hostname` is not given.
    Rfc3164,
    /// RFC 5424.
    Rfc5424,
    /// `<N>` and the message.
    Priority,
    /// `<N>`, tag, pid and the message.
    Short,
    /// Date, tag, pid and the message.
    Timed,
    /// Date in ISO form and the message.
    Iso,
    /// The message alone.
    Raw,
}

impl LogTransportFormat {
    /// Every format with its word in the configuration.
    pub const ALL: [(&'static str, Self); 8] = [
        ("local", Self::Local),
        ("rfc3164", Self::Rfc3164),
        ("rfc5424", Self::Rfc5424),
        ("priority", Self::Priority),
        ("short", Self::Short),
        ("timed", Self::Timed),
        ("iso", Self::Iso),
        ("raw", Self::Raw),
    ];
}

/// Syslog severity, most important first. Source: manual 8.1, RFC 5424 §6.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// 0
    Emerg = 0,
    /// 1
    Alert = 1,
    /// 2
    Crit = 2,
    /// 3
    Err = 3,
    /// 4
    Warning = 4,
    /// 5
    Notice = 5,
    /// 6
    Info = 6,
    /// 7
    Debug = 7,
}

impl Level {
    /// Every level with its word in the configuration, most important first.
    pub const ALL: [(&'static str, Self); 8] = [
        ("emerg", Self::Emerg),
        ("alert", Self::Alert),
        ("crit", Self::Crit),
        ("err", Self::Err),
        ("warning", Self::Warning),
        ("notice", Self::Notice),
        ("info", Self::Info),
        ("debug", Self::Debug),
    ];
}

/// Syslog facility. The number is [`Facility::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Facility(u8);

impl Facility {
    /// The words of the manual, in the order of their numbers.
    pub const NAMES: [&'static str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp", "audit", "alert",
        "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];

    /// `local0`, the usual choice.
    pub const LOCAL0: Self = Self(16);

    /// The facility of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().zip(0u8..).find(|(known, _)| **known == name).map(|(_, code)| Self(code))
    }

    /// 0 to 23; a line's priority is `code * 8 + level`.
    pub fn code(self) -> u8 {
        self.0
    }

    /// The word of the manual.
    pub fn name(self) -> &'static str {
        Self::NAMES[usize::from(self.0)]
    }
}

/// `sample <ranges>:<size>`: of each `size` lines only those whose number (from 1) is in a range go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSample {
    /// Ranges in increasing order, not overlapping, each within `1..=size`.
    pub ranges: Vec<RangeInclusive<u32>>,
    /// Length of a round, at least 1.
    pub size: u32,
}

/// When a line is written: the steps of `log-steps`, and what formats of a `log-profile` are for. Source: manual of 3.1, 4.2 and 8.3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogStep {
    /// The connection, or the request on it, has become a stream.
    Accept,
    /// The request's head is complete; mode http.
    Request,
    /// There is a connection to a server.
    Connect,
    /// The response's head is complete; mode http.
    Response,
    /// The end.
    Close,
    /// What never became a stream: lines that `error-log-format` is for.
    Error,
    /// `do-log` in `tcp-request connection`.
    DoConnection,
    /// `do-log` in `tcp-request session`.
    DoSession,
    /// `do-log` in `tcp-request content`.
    DoContent,
    /// `do-log` in `tcp-response content`.
    DoAnswer,
    /// `do-log` in `http-request`.
    DoRequest,
    /// `do-log` in `http-response`.
    DoResponse,
    /// `do-log` in `http-after-response`.
    DoAfterResponse,
}

impl LogStep {
    /// Of a `do-log`, by the rules that it stands in.
    pub fn of_rules(set: super::RuleSet) -> Self {
        use super::RuleSet;
        match set {
            RuleSet::Connection => Self::DoConnection,
            RuleSet::Session => Self::DoSession,
            RuleSet::Content => Self::DoContent,
            RuleSet::Answer => Self::DoAnswer,
            RuleSet::Block | RuleSet::Request | RuleSet::RequestLines | RuleSet::RequestAdds | RuleSet::Redirect => Self::DoRequest,
            RuleSet::Response | RuleSet::ResponseLines | RuleSet::ResponseAdds => Self::DoResponse,
            RuleSet::AfterResponse => Self::DoAfterResponse,
        }
    }

    /// What `%OG` shows of it, as haproxy 3.1 calls it.
    pub const fn origin(self) -> &'static str {
        match self {
            Self::Accept => "txn_accept",
            Self::Request => "txn_request",
            Self::Connect => "txn_connect",
            Self::Response => "txn_response",
            Self::Close => "txn_close",
            Self::Error => "sess_error",
            Self::DoConnection => "tcp-req-conn",
            Self::DoSession => "tcp-req-sess",
            Self::DoContent => "tcp-req-cont",
            Self::DoAnswer => "tcp-res-cont",
            Self::DoRequest => "http-req",
            Self::DoResponse => "http-res",
            Self::DoAfterResponse => "http-after-res",
        }
    }

    /// The steps of `log-steps`.
    pub const STREAM: [(&'static str, Self); 5] = [
        ("accept", Self::Accept),
        ("close", Self::Close),
        ("connect", Self::Connect),
        ("request", Self::Request),
        ("response", Self::Response),
    ];
}

/// The steps at which a frontend writes lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSteps(u16);

impl LogSteps {
    /// With another step.
    #[must_use]
    pub const fn with(self, step: LogStep) -> Self {
        Self(self.0 | 1 << step as u8)
    }

    /// Whether a step is among them.
    #[inline]
    pub const fn contains(self, step: LogStep) -> bool {
        self.0 & (1 << step as u8) != 0
    }

    /// True when there are none: the one line of a stream is written at its end, or when nothing of that is shown, before.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A `log-profile` section: what the targets that name it get in place of the formats of the proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct LogProfile {
    /// Name, unique.
    pub name: String,
    /// `log-tag`; `None`: the proxy's.
    pub log_tag: Option<String>,
    /// `on`: by step, each at most once.
    pub steps: Vec<(LogStep, LogOverride)>,
    /// `on any`: for all steps that are not named.
    pub any: Option<LogOverride>,
    /// Where it stands.
    pub span: Span,
}

impl LogProfile {
    /// What holds at a step.
    pub fn at(&self, step: LogStep) -> Option<&LogOverride> {
        self.steps.iter().find(|(at, _)| *at == step).map(|(_, what)| what).or(self.any.as_ref())
    }

    /// All formats.
    pub fn formats_mut(&mut self) -> impl Iterator<Item = &mut LogFormatText> {
        self.steps.iter_mut().map(|(_, what)| what).chain(&mut self.any).flat_map(|what| what.format.iter_mut().chain(&mut what.structured))
    }
}

/// What a profile says of the lines of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogOverride {
    /// `drop`: no line.
    pub drop: bool,
    /// `format`: in place of `log-format` or `error-log-format`.
    pub format: Option<LogFormatText>,
    /// `sd`: in place of `log-format-sd`.
    pub structured: Option<LogFormatText>,
}

/// Which format the lines of a proxy have, with its text for the log-format compiler.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFormatText {
    /// How it was chosen.
    pub kind: LogFormatKind,
    /// The text in the language of manual 8.2.6.
    pub text: String,
    /// Where it was chosen; [`Span::default()`] for the built-in one.
    pub span: Span,
    /// The format itself, where the text may have samples; `None`: [`LogFormat::compile`](lb_expr::LogFormat::compile) makes it.
    pub compiled: Option<Box<lb_expr::LogFormat>>,
}

/// How a log format was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFormatKind {
    /// None: the short line of manual 8.2.1, written when the connection has come in.
    Default,
    /// `option tcplog`, manual 8.2.2.
    Tcp,
    /// `option httplog`, manual 8.2.3.
    Http,
    /// `option httplog clf`.
    HttpClf,
    /// `option httpslog`, manual 8.2.4.
    Https,
    /// `log-format`, manual 8.2.6.
    Custom,
}

impl LogFormatText {
    /// `option tcplog`: manual 8.2.2.
    pub const TCP: &'static str = lb_expr::formats::TCP;
    /// `option httplog`: manual 8.2.3.
    pub const HTTP: &'static str = lb_expr::formats::HTTP;
    /// `option httpslog`: manual 8.2.4.
    pub const HTTPS: &'static str = lb_expr::formats::HTTPS;
    /// `option httplog clf`: manual 4.2.
    pub const HTTP_CLF: &'static str = lb_expr::formats::CLF;

    /// The built-in text of a kind; `None` for [`LogFormatKind::Custom`] and for the short line, which has no text in
    /// the language (its mode word has no variable).
    pub fn built_in(kind: LogFormatKind) -> Option<&'static str> {
        match kind {
            LogFormatKind::Default | LogFormatKind::Custom => None,
            LogFormatKind::Tcp => Some(Self::TCP),
            LogFormatKind::Http => Some(Self::HTTP),
            LogFormatKind::HttpClf => Some(Self::HTTP_CLF),
            LogFormatKind::Https => Some(Self::HTTPS),
        }
    }
}

impl Default for LogFormatText {
    fn default() -> Self {
        Self { kind: LogFormatKind::Default, text: String::new(), span: Span::default(), compiled: None }
    }
}

/// What a frontend captures of messages for its lines (`capture`, `declare capture`). Slots are shown in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// Of requests.
    pub request: Vec<HeaderCapture>,
    /// Of responses.
    pub response: Vec<HeaderCapture>,
    /// `capture cookie`, of both.
    pub cookie: Option<CookieCapture>,
}

impl Captures {
    /// True when anything is captured.
    pub fn any(&self) -> bool {
        self.cookie.is_some() || !self.request.is_empty() || !self.response.is_empty()
    }
}

/// A slot for a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderCapture {
    /// The field whose last value is taken; `None`: `declare capture`, a slot that nothing fills.
    pub name: Option<String>,
    /// Bytes that are kept.
    pub len: usize,
}

/// `capture cookie`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieCapture {
    /// The beginning of `name=value`.
    pub name: String,
    /// Bytes of `name=value` that are kept.
    pub len: usize,
}
