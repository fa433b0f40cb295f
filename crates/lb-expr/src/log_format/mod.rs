//! `log-format`: one compiler for the built-in formats and the operator's own.
//!
//! Called by lb-config (compile, once per frontend) and by lb-core's log module (write, once per line). Holds: a compiled
//! format is immutable and shared between threads; writing appends at most `limit` bytes and never a newline of its own.
//!
//! Source: manual section 8.2.6; spacing, quoting, escaping and truncation as observed on haproxy 2.6.12 (see
//! `tests/observed.rs`).

mod alias;
mod compile;
mod encode;
mod escape;
mod write;

use std::net::IpAddr;

use alias::{Alias, Show};
use encode::{Encoding, Item};
pub(crate) use write::{Full, Writer, text_of, time_of};

use crate::sample::{Compiler, Cx, Expr};
use crate::{Termination, Timestamp};

/// What a log line can ask a session for. The source of a line answers each with the [`LogValue`] named here;
/// [`LogValue::Missing`] is always allowed and is shown as haproxy shows the absent value (`-`, `<NOSRV>`, `<BADREQ>`...).
///
/// Several words of a format may share a field: `%t`, `%T`, `%Tl`, `%Ts` and `%ms` all come from [`Field::AcceptDate`],
/// `%HM`, `%HP`, `%HPO`, `%HQ`, `%HU` and `%HV` are cut out of [`Field::RequestLine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Field {
    /// When the connection (or, on a kept-alive one, the request's slot) was accepted: [`LogValue::Time`].
    AcceptDate,
    /// When the first byte of the request arrived: [`LogValue::Time`].
    RequestDate,
    /// `%B`, bytes from server to client: [`LogValue::Int`], [`LogValue::AtLeast`] under `option logasap`.
    BytesRead,
    /// `%U`, bytes from client to server: [`LogValue::Int`].
    BytesUploaded,
    /// `%CC`, captured request cookie `name=value`: [`LogValue::Text`].
    RequestCookie,
    /// `%CS`, captured response cookie: [`LogValue::Text`].
    ResponseCookie,
    /// `%H`, host name of the machine: [`LogValue::Text`].
    Hostname,
    /// `%ID`, unique id of the request: [`LogValue::Text`].
    UniqueId,
    /// `%ST`, HTTP status, 0 in mode tcp, -1 when there was none: [`LogValue::Int`].
    Status,
    /// `%Ta`, milliseconds from the first byte of the request to the end: [`LogValue::Int`] or [`LogValue::AtLeast`].
    TimeActive,
    /// `%Tc`, milliseconds to connect to the server, -1 when it did not: [`LogValue::Int`].
    TimeConnect,
    /// `%Td`, milliseconds of data transfer, -1 when it never began: [`LogValue::Int`].
    TimeData,
    /// `%Th`, milliseconds of handshakes (TLS, PROXY): [`LogValue::Int`].
    TimeHandshake,
    /// `%Ti`, milliseconds of idleness before the request: [`LogValue::Int`].
    TimeIdle,
    /// `%Tq`, `Th + Ti + TR` or -1: [`LogValue::Int`].
    TimeQuery,
    /// `%TR`, milliseconds to receive the request head or -1: [`LogValue::Int`].
    TimeRequest,
    /// `%Tr`, milliseconds until the response head was there or -1: [`LogValue::Int`].
    TimeResponse,
    /// `%Tt`, milliseconds from accept to the last close: [`LogValue::Int`] or [`LogValue::AtLeast`].
    TimeTotal,
    /// `%Tu`, milliseconds as the user saw them: [`LogValue::Int`] or [`LogValue::AtLeast`].
    TimeUser,
    /// `%Tw`, milliseconds spent in queues or -1: [`LogValue::Int`].
    TimeQueue,
    /// `%ac`, connections of the process: [`LogValue::Int`].
    ActConn,
    /// `%fc`, connections of the frontend: [`LogValue::Int`].
    FrontendConn,
    /// `%bc`, connections of the backend: [`LogValue::Int`].
    BackendConn,
    /// `%sc`, connections of the server: [`LogValue::Int`].
    ServerConn,
    /// `%rc`, connection retries: [`LogValue::Int`], [`LogValue::AtLeast`] after a redispatch.
    Retries,
    /// `%sq`, requests ahead in the server's queue: [`LogValue::Int`].
    ServerQueue,
    /// `%bq`, requests ahead in the backend's queue: [`LogValue::Int`].
    BackendQueue,
    /// `%b`, backend name (the frontend's while none was chosen): [`LogValue::Text`].
    BackendName,
    /// `%bi`, own address towards the server: [`LogValue::Ip`].
    BackendSourceIp,
    /// `%bp`, own port towards the server: [`LogValue::Int`].
    BackendSourcePort,
    /// `%ci`, client address: [`LogValue::Ip`], [`LogValue::Text`] `unix` on a UNIX socket.
    ClientIp,
    /// `%cp`, client port, the listener's id on a UNIX socket: [`LogValue::Int`].
    ClientPort,
    /// `%f`, and with [`Field::FrontendTls`] also `%ft`, frontend name: [`LogValue::Text`].
    FrontendName,
    /// Whether the client speaks TLS, which `%ft` shows as a `~` after the name: [`LogValue::Flag`].
    FrontendTls,
    /// `%fi`, address that the client connected to: [`LogValue::Ip`].
    FrontendIp,
    /// `%fp`, port that the client connected to: [`LogValue::Int`].
    FrontendPort,
    /// `%OG`, the step of the stream that a line is written at: [`LogValue::Text`].
    LogOrigin,
    /// `%lc`, lines that this frontend has logged: [`LogValue::Int`].
    LogCounter,
    /// `%hr`, `%hrl`: [`LogValue::Captures`] with the number of request capture slots; each is then asked for through
    /// [`LogSource::capture`].
    RequestCaptures,
    /// `%hs`, `%hsl`: [`LogValue::Captures`] with the number of response capture slots.
    ResponseCaptures,
    /// `%pid`: [`LogValue::Int`].
    Pid,
    /// `%r`, `METHOD SP target SP version` as received: [`LogValue::Text`]; missing is `<BADREQ>`.
    RequestLine,
    /// `%rt`, number of the request (mode http) or session (mode tcp) in the process: [`LogValue::Int`].
    RequestCounter,
    /// `%s`, server name: [`LogValue::Text`]; missing is `<NOSRV>`, an applet has its own (`<STATS>`).
    ServerName,
    /// `%si`, server address: [`LogValue::Ip`].
    ServerIp,
    /// `%sp`, server port: [`LogValue::Int`].
    ServerPort,
    /// `%sslc`, TLS cipher: [`LogValue::Text`].
    TlsCipher,
    /// `%sslv`, TLS version: [`LogValue::Text`].
    TlsVersion,
    /// `%ts`, `%tsc`: [`LogValue::Termination`].
    Termination,
    /// Name of the `bind` line, or its id as text when it has no name, for connection errors: [`LogValue::Text`].
    ListenerName,
    /// `%[fc_err]`, number of the error that ended the client's connection before it had a request, 0 when there was none:
    /// [`LogValue::Int`]. The numbers are those of the manual, section 7.3.3.
    ConnectionError,
    /// `%[fc_err_str]`, the same in words: [`LogValue::Text`].
    ConnectionErrorText,
}

/// One value of a session, as [`LogSource::value`] answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LogValue<'a> {
    /// Not there.
    Missing,
    /// A number; timers in milliseconds, -1 when the step was not reached.
    Int(i64),
    /// A number that would have grown further (`option logasap`, a redispatch): shown with a `+` before it.
    AtLeast(i64),
    /// Text. What came from a peer is escaped where haproxy does so.
    Text(&'a [u8]),
    /// An address.
    Ip(IpAddr),
    /// A moment.
    Time(Timestamp),
    /// Yes or no.
    Flag(bool),
    /// How many capture slots there are (0: no `capture` line at all).
    Captures(usize),
    /// How the session ended.
    Termination(Termination),
}

impl<'a> From<&'a str> for LogValue<'a> {
    fn from(text: &'a str) -> Self {
        LogValue::Text(text.as_bytes())
    }
}

/// Which side's header captures are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CaptureSide {
    /// `capture request header`.
    Request,
    /// `capture response header`.
    Response,
}

/// A session as a log line sees it. The writer asks only for the fields that the format names, in its order, so that a
/// costly value is computed only where it is shown.
pub trait LogSource {
    /// The value of one field. A value of another kind than [`Field`] names is shown as missing.
    fn value(&self, field: Field) -> LogValue<'_>;

    /// The header captured in `slot` (0-based, in the order of the `capture` lines), `None` when the message had none.
    fn capture(&self, side: CaptureSide, slot: usize) -> Option<&[u8]> {
        let _ = (side, slot);
        None
    }

    /// What samples are evaluated in; `None`: they are all absent.
    fn samples(&self) -> Option<Cx<'_>> {
        None
    }
}

/// What a format is for: that decides how what is missing and what is odd is written. Observed on haproxy 2.6.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A log line: what is missing is `-`, runs of spaces are one.
    Log,
    /// An id of a request: what is missing is nothing, runs of spaces are one, samples are written as in a field.
    Id,
    /// A part of an HTTP message: what is missing is nothing, control bytes of samples are `%XX`.
    Http,
    /// Any other text: what is missing is nothing.
    Text,
}

impl Purpose {
    /// The flags that its words begin with.
    fn flags(self) -> Flags {
        match self {
            Self::Log => Flags::default(),
            Self::Id | Self::Http => Flags(Flags::OPTIONAL.0 | Flags::FIELD.0),
            Self::Text => Flags::OPTIONAL,
        }
    }

    fn merges_spaces(self) -> bool {
        matches!(self, Self::Log | Self::Id)
    }
}

/// How a value is to be shown, per word: manual section 8.2.6, flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const QUOTE: Flags = Flags(1);
    pub(crate) const HEX: Flags = Flags(2);
    pub(crate) const ESCAPE: Flags = Flags(4);
    const JSON: Flags = Flags(8);
    const CBOR: Flags = Flags(16);
    const BIN: Flags = Flags(32);
    /// What is missing is nothing.
    pub(crate) const OPTIONAL: Flags = Flags(64);
    /// A sample's bytes that a field cannot have are `%XX`.
    pub(crate) const FIELD: Flags = Flags(128);

    /// How these flags encode a value.
    fn encoding(self) -> Option<Encoding> {
        match self {
            _ if self.has(Self::JSON) => Some(Encoding::Json),
            _ if self.has(Self::CBOR) => Some(Encoding::Cbor { bin: self.has(Self::BIN) }),
            _ => None,
        }
    }

    pub(crate) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    fn set(&mut self, flag: Flags, on: bool) {
        if on { self.0 |= flag.0 } else { self.0 &= !flag.0 }
    }
}

/// One step of a compiled format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    /// Bytes `start..end` of the format's text.
    Literal { start: u32, end: u32 },
    /// One space, unless the byte written last was one.
    Space,
    /// A word, and what stands between it and the next: nothing (0), a separator (a space), or one byte of literal.
    Word { show: Show, flags: Flags, then: u8 },
    /// An encoded word, by its index in [`LogFormat::items`].
    Item(u32),
}

/// A compiled log format.
///
/// ```
/// use lb_expr::{Field, LogFormat, LogSource, LogValue};
///
/// struct Session;
/// impl LogSource for Session {
///     fn value(&self, field: Field) -> LogValue<'_> {
///         match field {
///             Field::FrontendName => "www".into(),
///             Field::Status => LogValue::Int(200),
///             _ => LogValue::Missing,
///         }
///     }
/// }
///
/// let format = LogFormat::compile("%f %{+Q}r %ST %s")?;
/// let mut line = Vec::new();
/// format.write(&Session, 1024, &mut line);
/// assert_eq!(line, b"www \"<BADREQ>\" 200 <NOSRV>");
/// # Ok::<(), lb_expr::LogFormatError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    text: Box<[u8]>,
    ops: Box<[Op]>,
    /// Words with a name and those that are encoded.
    items: Box<[Item]>,
    /// Its samples (`%[...]`).
    exprs: Box<[Expr]>,
    /// The line is one object of all items, and nothing else.
    object: Option<Encoding>,
    /// One bit per [`Field`] that the format asks for.
    fields: u64,
    /// A word is known only at the end of the session.
    late: bool,
    /// The first word that is reserved for mode http, and its offset.
    http_only: Option<(Alias, usize)>,
}

// The bit set above holds every field.
const _: () = assert!((Field::ConnectionErrorText as u8) < 64);

/// Why a format does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LogFormatError {
    /// Byte offset in the format's text where the fault begins.
    pub offset: usize,
    /// What is wrong, in haproxy's words where it has some.
    pub message: String,
}

impl LogFormat {
    /// Compiles the text of a `log-format` line, after the configuration's own quotes and backslashes were resolved.
    ///
    /// # Errors
    /// An unknown word, a `%` without word, unclosed braces or brackets; `%[...]` is refused, but for the samples of
    /// `option httpslog` and `fc_err_str`: see [`LogFormat::compile_with`].
    pub fn compile(text: &str) -> Result<Self, LogFormatError> {
        compile::compile(text, Purpose::Log, None)
    }

    /// Compiles a format that may have samples.
    ///
    /// # Errors
    /// As [`LogFormat::compile`], and what is wrong with a sample.
    pub fn compile_with(text: &str, purpose: Purpose, samples: &mut Compiler<'_>) -> Result<Self, LogFormatError> {
        compile::compile(text, purpose, Some(samples))
    }

    /// Its samples.
    pub fn samples(&self) -> &[Expr] {
        &self.exprs
    }

    /// The text, where it is the same for every session.
    pub fn constant(&self) -> Option<&[u8]> {
        match &self.ops[..] {
            [] if self.object.is_none() => Some(b""),
            [Op::Literal { start, end }] => self.text.get(*start as usize..*end as usize),
            _ => None,
        }
    }

    /// Whether writing this format asks the source for `field`: what a session has to remember until its line is written.
    pub fn uses(&self, field: Field) -> bool {
        self.fields & (1 << field as u8) != 0
    }

    /// Whether the line must wait for the end of the session (all built-in formats must). Others are written as soon as
    /// haproxy does: in mode tcp when a server was chosen, in mode http when the response head is there; that is also the
    /// moment of every format under `option logasap`.
    pub fn waits_for_end(&self) -> bool {
        self.late
    }

    /// Refuses a format that names words reserved for mode http, for use in a frontend of mode tcp.
    ///
    /// # Errors
    /// The first such word.
    pub fn check_mode_tcp(&self) -> Result<(), LogFormatError> {
        match self.http_only {
            None => Ok(()),
            Some((alias, offset)) => {
                Err(LogFormatError { offset, message: format!("format variable '{}' is reserved for HTTP mode", alias.name()) })
            }
        }
    }

    /// Appends the line for `source` to `out`: at most `limit` bytes, without a newline.
    ///
    /// `limit` is one less than the largest `len` of the loggers that get the line (observed: haproxy builds the message
    /// once for all of them); a value that does not fit is cut or left out as haproxy does, and the rest of the line is
    /// dropped.
    pub fn write<S: LogSource + ?Sized>(&self, source: &S, limit: usize, out: &mut Vec<u8>) {
        let mut writer = Writer::new(std::mem::take(out), limit);
        // Full: what fits is there, the rest is dropped by design.
        let _ = match self.object {
            None => writer.run(self, source),
            Some(encoding) => writer.object(self, encoding, source),
        };
        *out = writer.finish();
    }

    /// The same for who has what samples are evaluated in: fetches and actions of an embedding program.
    pub fn write_in(&self, cx: Cx<'_>, limit: usize, out: &mut Vec<u8>) {
        self.write(&Evaluated(cx), limit, out);
    }
}

/// All that an evaluation has, as formats want it.
struct Evaluated<'a>(Cx<'a>);

impl LogSource for Evaluated<'_> {
    fn value(&self, field: Field) -> LogValue<'_> {
        self.0.source.value(field)
    }

    fn capture(&self, side: CaptureSide, slot: usize) -> Option<&[u8]> {
        self.0.source.capture(side, slot)
    }

    fn samples(&self) -> Option<Cx<'_>> {
        Some(self.0)
    }
}

/// The built-in formats, in the words of the manual's sections 8.2.2 to 8.2.4.
pub mod formats {
    /// `option tcplog`.
    pub const TCP: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
    /// `option httplog`.
    pub const HTTP: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
    /// `option httplog clf`.
    pub const CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc \
                           %rc %sq %bq %CC %CS %hrl %hsl";
    /// `option httpslog`.
    pub const HTTPS: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r \
                             %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] \
                             %[ssl_fc_sni]/%sslv/%sslc";
}
