//! Rings, buffers that log lines wait in for servers that take them over a connection, and sections that forward messages of others.
//! Source: manual 3.9 and 3.10.

use super::{Bind, LogTarget, LogTransportFormat, Server, Span};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A `ring` section, or what a `log` line with a stream's address stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    /// Name, unique; for the ring of a `log` line its address.
    pub name: String,
    /// `description`
    pub description: Option<String>,
    /// `format`: header of all lines, whatever their `log` line says.
    pub format: LogTransportFormat,
    /// `maxlen`: longest line in bytes, header included and framing not.
    pub max_len: usize,
    /// `size`: bytes that are kept, [`Ring::OVERHEAD`] for each line included.
    pub size: usize,
    /// `timeout connect`; `None`: as long as the system tries.
    pub timeout_connect: Option<Duration>,
    /// `timeout server`: how long a server may take nothing; `None`: for ever.
    pub timeout_server: Option<Duration>,
    /// `backing-file`: a file that has the newest lines, too.
    pub backing_file: Option<PathBuf>,
    /// Who gets the lines: each server gets all of them.
    pub servers: Vec<Server>,
    /// Where it stands.
    pub span: Span,
}

impl Ring {
    /// Bytes that are kept at least, and where nothing is said.
    pub const DEFAULT_SIZE: usize = 16_384;
    /// Bytes that are kept at most.
    pub const MAX_SIZE: usize = 1 << 30;
    /// What a line takes beside its bytes.
    pub const OVERHEAD: usize = 3;

    /// A ring with the defaults of an empty section.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: None,
            format: LogTransportFormat::Raw,
            max_len: Self::DEFAULT_SIZE,
            size: Self::DEFAULT_SIZE,
            timeout_connect: None,
            timeout_server: None,
            backing_file: None,
            servers: Vec::new(),
            span: Span::default(),
        }
    }
}

/// How lines are told apart on a connection (`log-proto`). Source: RFC 6587.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogProto {
    /// `legacy`: a line feed behind each.
    #[default]
    Legacy,
    /// `octet-count`: the length and a space before each.
    OctetCount,
}

/// A `log-forward` section: messages of others that go on to targets. Source: manual 3.10.
#[derive(Clone, Debug, PartialEq)]
pub struct LogForward {
    /// Name, unique.
    pub name: String,
    /// `bind`: where messages come by connection.
    pub binds: Vec<Bind>,
    /// `dgram-bind`: where messages come by datagram.
    pub dgram_binds: Vec<DgramBind>,
    /// `log` targets, `log global` already replaced by those of `global`.
    pub logs: Vec<LogTarget>,
    /// `maxconn`: connections at once.
    pub maxconn: u32,
    /// `backlog`; `None`: `maxconn`.
    pub backlog: Option<u32>,
    /// `timeout client`: how long a connection may be silent; `None`: for ever.
    pub timeout_client: Option<Duration>,
    /// `option host`: what is done with the host name of a message.
    pub host: HostField,
    /// False with `option dont-parse-log`: messages go on as they came.
    pub parses: bool,
    /// `option assume-rfc6587-ntf`: messages on connections end with a line feed, whatever they begin with.
    pub line_feeds: bool,
    /// Where it stands.
    pub span: Span,
}

/// What a `log-forward` section does with the host name of a message (`option host`). Where the sender has no IP address the name
/// stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HostField {
    /// `keep`: it stays as it is.
    #[default]
    Keep,
    /// `replace`: the sender's address stands in its place.
    Replace,
    /// `fill`: the sender's address stands where there is none.
    Fill,
    /// `append`: a comma and the sender's address follow it.
    Append,
}

impl HostField {
    /// Every way with its word in the configuration.
    pub const ALL: [(&'static str, Self); 4] =
        [("append", Self::Append), ("fill", Self::Fill), ("keep", Self::Keep), ("replace", Self::Replace)];
}

impl LogForward {
    /// Connections at once where nothing is said.
    pub const DEFAULT_MAXCONN: u32 = 10;
}

/// An address that messages come to by datagram.
#[derive(Clone, Debug, PartialEq)]
pub struct DgramBind {
    /// Address and port.
    pub address: SocketAddr,
    /// `interface`: SO_BINDTODEVICE.
    pub interface: Option<String>,
    /// Where the line stands.
    pub span: Span,
}
