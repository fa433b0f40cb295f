//! Rings: buffers that log lines wait in for servers that take them over a connection. Source: manual 3.9.

use super::{LogTransportFormat, Server, Span};
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
